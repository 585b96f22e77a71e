"""Put small questions to workers without a task for each: who asked hears by a call when the answer is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.store.answers import Answer
from cityorchestra_ld.store.turns import Turns
from cityorchestra_ld.store.waiting import QueueFullError
from cityorchestra_ld.store.workers import QueryWorker

_LOOK_EVERY: Final = 0.02  # seconds, after which an answer that is not there yet is waited for in a task
_ASK_AGAIN: Final = 0.25  # seconds, after which questions that share a worker are asked again, each for itself


class Told(Protocol):
    """What hears of an answer, once: all of it, or as far as it came; or why there is none; nothing for "ask again"."""

    def __call__(self, stream: Answer | None, error: CityOrchestraError | None) -> None:
        """Hear of it."""


class Quick:
    """One question on its way: it waits for a worker, then for the answer."""

    __slots__ = ("_client", "_make", "_seconds", "_set", "_since", "_told", "answer")

    def __init__(
        self, quicks: Quicks, client: str, seconds: float, make: Callable[[QueryWorker], Answer | None], told: Told
    ) -> None:
        self._set, self._client, self._seconds, self._make = quicks, client, seconds, make
        self._told: Told | None = told
        self._since = quicks.loop.time()
        self.answer: Answer | None = None

    # --- as a waiter ------------------------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Tell whether this one waits no more for a worker."""
        return self._told is None or self.answer is not None

    def set_result(self, worker: QueryWorker, /) -> None:
        """Ask this worker."""
        try:
            self.answer = self._make(worker)
        except CityOrchestraError as error:
            self.tell(error)
            return
        if self.answer is None:
            self.tell()
        else:
            self._since = self._set.loop.time()
            self.answer.ask(self.tell)

    def set_exception(self, error: Exception, /) -> None:
        """Hear that there will be no worker."""
        self.tell(error if isinstance(error, CityOrchestraError) else None)

    # --- the end ----------------------------------------------------------------------------------------------------------

    def tell(self, error: CityOrchestraError | None = None) -> None:
        """Say what there is, and be done; one that was lost with what its worker was asked before is to be asked again."""
        told, self._told = self._told, None
        if told is not None:
            answer = self.answer
            self._set.forget(self, self._since if answer is not None else None)
            if answer is not None and answer.is_lost:
                answer.drop()
                answer = None
            elif answer is not None and not answer.released:
                answer.worker.shared = None
            told(answer, error)

    def look(self, now: float) -> None:
        """Give over what takes longer."""
        if self.answer is None:
            if now - self._since >= self._seconds:
                self._set.turns.leave(self._client, self)
                self.tell(self._set.turns.full())
        elif len(self.answer.worker.line) > 1:
            if now - self._since >= _ASK_AGAIN:
                self.answer.drop()
                self.answer = None
                self.tell()
        elif now - self._since >= _LOOK_EVERY:
            self.answer.stop_hearing()
            self.tell()


class Quicks:
    """All such questions of a pool."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.loop = asyncio.get_running_loop()
        self._under_way: set[Quick] = set()
        self._timer: asyncio.TimerHandle | None = None

    def ask(
        self, client: str, seconds: float, make: Callable[[QueryWorker], Answer | None], told: Told,
        shared: QueryWorker | None = None, *, brief: bool,
    ) -> bool:  # fmt: skip
        """
        Ask this worker, or as soon as there is one, which `make` makes the question for.

        Returns whether that is so: too many may wait.
        """
        quick = Quick(self, client, seconds, make, told)
        self._under_way.add(quick)
        if shared is not None:
            quick.set_result(shared)
        else:
            try:
                self.turns.take_soon(client, quick, together=brief)
            except QueueFullError:
                self._under_way.discard(quick)
                return False
        if self._timer is None:
            self._timer = self.loop.call_later(_LOOK_EVERY, self._look)
        return True

    def forget(self, quick: Quick, since: float | None) -> None:
        """Drop one that is done."""
        self._under_way.discard(quick)
        if since is not None:
            self.turns.took(self.loop.time() - since)

    def _look(self) -> None:
        now = self.loop.time()
        for quick in tuple(self._under_way):
            quick.look(now)
        self._timer = self.loop.call_later(_LOOK_EVERY, self._look) if self._under_way else None
