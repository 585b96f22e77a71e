"""Put small questions to workers without a task for each: who asked hears by a call when the answer is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.store.answers import Answer
from cityorchestra_ld.store.asking import Question
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

    __slots__ = ("_question", "_set", "_since", "_told", "answer")

    def __init__(self, quicks: Quicks, question: Question, told: Told) -> None:
        self._set, self._question = quicks, question
        self._told: Told | None = told
        self._since = time.monotonic()
        self.answer: Answer | None = None

    # --- as a waiter ------------------------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Tell whether this one waits no more for a worker."""
        return self._told is None or self.answer is not None

    def set_result(self, worker: QueryWorker, /) -> None:
        """Ask this worker."""
        try:
            self.answer = self._set.put(self._question, worker)
        except CityOrchestraError as error:
            self.tell(error)
            return
        if self.answer is None:
            self.tell()
        else:
            self._since = time.monotonic()
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
            if answer is not None and not answer.released:
                if answer.is_lost:
                    answer.drop()
                    answer = None
                else:
                    answer.worker.shared = None
            told(answer, error)

    def look(self, now: float) -> None:
        """Give over what takes longer."""
        if self.answer is None:
            if now - self._since >= self._question.seconds:
                self._set.turns.leave(self._question.client, self)
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

    def __init__(self, turns: Turns, put: Callable[[Question, QueryWorker], Answer | None]) -> None:
        self.turns, self.put = turns, put
        self._loop = asyncio.get_running_loop()
        self._under_way: set[Quick] = set()
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, question: Question, told: Told, shared: QueryWorker | None = None) -> bool:
        """Ask this worker, or as soon as there is one; tell whether that is so: too many may wait."""
        quick = Quick(self, question, told)
        self._under_way.add(quick)
        if shared is not None:
            quick.set_result(shared)
        else:
            try:
                self.turns.take_soon(question.client, quick, together=question.brief)
            except QueueFullError:
                self._under_way.discard(quick)
                return False
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_EVERY, self._look)
        return True

    def forget(self, quick: Quick, since: float | None) -> None:
        """Drop one that is done."""
        self._under_way.discard(quick)
        if since is not None:
            self.turns.took(time.monotonic() - since)

    def _look(self) -> None:
        now = time.monotonic()
        for quick in tuple(self._under_way):
            quick.look(now)
        self._timer = self._loop.call_later(_LOOK_EVERY, self._look) if self._under_way else None
