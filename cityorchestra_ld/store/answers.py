"""The answer to one query: its head, then its bytes as they come, under a deadline."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from cityorchestra_ld.errors import CityOrchestraError, QueryError, QueryTimeoutError, StoreError, Text, UsageError
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.asking import Question
from cityorchestra_ld.store.frames import End, Failure, Head, ResultKind
from cityorchestra_ld.store.names import no_names_error
from cityorchestra_ld.store.replies import Reply, WorkerGoneError
from cityorchestra_ld.store.syntax import syntax_error
from cityorchestra_ld.store.workers import QueryWorker

_WALL: Final = 6.0  # a slow client may take this many times the deadline, and at least a minute


class EngineStoppedError(QueryTimeoutError):
    """The worker ended under a query, for a reason of its own."""


class Answer:
    """
    An answer as it comes: `head` is known, iterate for the bytes, `end` is known after the last.

    The deadline counts the time in which the engine works, not the time in which the client reads. An answer that is not read
    to its end must be closed; the worker behind it is killed.
    """

    def __init__(
        self,
        worker: QueryWorker,
        question: Question,
        request: bytes,
        rows: int,
        stall: float,
        release: Callable[[Answer, bool], None],
    ) -> None:
        now = time.monotonic()
        self.head = _head("solutions", question.media_type, 0)
        self.end: End | None = None
        self.generation = worker.generation
        self.worker = worker
        self.client = question.client
        self.began = now
        self._question = question
        self._request = request
        self._rows = rows
        self._stall = stall  # seconds for which a client may leave bytes waiting
        self._release = release
        self._spent = question.spent  # hears once how many seconds the engine worked
        self._left = question.seconds
        self._ends_at = now + max(60.0, _WALL * question.seconds)
        self._chunks: deque[bytes] = deque()
        self.released = False  # the worker is free again
        self._failure: CityOrchestraError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reply: Reply | None = None  # of the worker, once that was asked
        self._since = now  # when the worker was asked, while somebody hears of the answer by a call
        self._heard: Callable[[], None] | None = None
        self._came = False
        self.dropped = False

    def ask(self, heard: Callable[[], None]) -> None:
        """Ask, and call back once when something came; what did not come yet may then be waited for by `begin`."""
        self._since, self._heard = time.monotonic(), heard
        self._reply = self.worker.put(self._request)
        self._reply.listen(self._hear)

    def _hear(self) -> None:
        reply, heard, self._heard = self._reply, self._heard, None
        if reply is not None and heard is not None:
            reply.listen(None)
            self._left -= time.monotonic() - self._since
            self._take_frames(reply)
            heard()

    def stop_hearing(self) -> None:
        """Call nobody any more."""
        if self._reply is not None and self._heard is not None:
            self._reply.listen(None)
            self._left -= time.monotonic() - self._since
            self._heard = None

    @property
    def is_lost(self) -> bool:
        """Tell whether the worker ended before it could answer this, perhaps because of what it was asked before."""
        return not self._came and self.worker.closed and (self.worker.killed or len(self.worker.line) > 1)

    def drop(self) -> None:
        """Want the answer no more; the worker goes on, for the others that it was asked by."""
        self.stop_hearing()
        self._spent, self.dropped = None, True
        if self._reply is not None:
            self._reply.drop()
        self._finish(reusable=True)

    async def begin(self) -> None:
        """Ask, and wait for the head; what goes wrong before the first byte is raised here."""
        try:
            if not self._came:
                await self._next_frame()
        except asyncio.CancelledError:
            self._finish(reusable=False)
            raise
        if self._failure is not None:
            raise self._failure
        self._watch()

    @property
    def whole(self) -> bool:
        """Tell whether all bytes of the answer are here already."""
        return self.end is not None

    def taken(self) -> bytes:
        """Return the bytes of an answer of which all is here."""
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> bytes:
        self._unwatch()
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self.released:
                raise StopAsyncIteration
            try:
                await self._next_frame()
            except asyncio.CancelledError:
                self._finish(reusable=False)
                raise
        self._watch()
        return self._chunks.popleft()

    async def read(self) -> bytes:
        """Return all bytes of the answer."""
        return b"".join([chunk async for chunk in self])

    async def aclose(self) -> None:
        """Stop; the worker is killed when it is still busy with this answer."""
        self._finish(reusable=False)

    def interrupt(self, error: CityOrchestraError) -> None:
        """Stop from outside: whoever reads hears this error."""
        self._fail(error)

    # --- frames -----------------------------------------------------------------------------------------------------------

    async def _next_frame(self) -> None:
        """Wait for a frame, and take all that have arrived with it, so that a small answer frees its worker at once."""
        if self._reply is None:
            self._reply = self.worker.put(self._request)
        before = time.monotonic()
        try:
            if not self._reply.frames:
                await self._reply.wait(max(0.0, min(self._left, self._ends_at - before)))
        except TimeoutError:
            self._left -= time.monotonic() - before
            self._fail(deadline_error(self._question.seconds))
            return
        except WorkerGoneError as error:
            self._left -= time.monotonic() - before
            self._fail(self._failure or gone_error(memory=error.memory))
            return
        self._left -= time.monotonic() - before
        self._take_frames(self._reply)

    def _take_frames(self, reply: Reply) -> None:
        while not self.released and reply.frames:
            self._came = True
            self._take(*reply.pop())

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == frames.WHOLE:
            found, self.end, body = frames.opened(payload)
            self.head = _head(found, self._question.media_type, self._rows)
            if body:
                self._chunks.append(body)
            self._finish(reusable=not self.end.retire)
        elif kind == frames.DATA:
            self._chunks.append(payload)
        elif kind == frames.HEAD:
            self.head = msgspec.json.decode(payload, type=Head)
        elif kind == frames.END:
            self.end = msgspec.json.decode(payload, type=End)
            self._finish(reusable=not self.end.retire)
        else:
            self._failure = failure_error(msgspec.json.decode(payload, type=Failure), self._question.asked.text)
            self._finish(reusable=True)

    def _fail(self, error: CityOrchestraError) -> None:
        self._failure = error
        self._finish(reusable=False)

    def _finish(self, *, reusable: bool) -> None:
        if self._timer is not None:
            self._unwatch()
        if not self.released:
            self.released = True
            done = self._reply is not None and self._reply.ended and self.end is None  # it works for others, or for nobody
            self._release(self, reusable or done)
            if self._spent is not None:
                self._spent(self.end.seconds if self.end else self._question.seconds - self._left)

    # --- slow clients -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if not self.released:
            self._timer = asyncio.get_running_loop().call_later(self._stall, self._stalled)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stalled(self) -> None:
        self._fail(
            QueryTimeoutError(
                Text(
                    f"La réponse n'a pas été lue pendant {self._stall:g} s.",
                    f"The answer was not read for {self._stall:g} s.",
                )
            )
        )


@lru_cache(maxsize=64)
def _head(kind: ResultKind, media_type: str, row_limit: int) -> Head:
    return Head(kind=kind, media_type=media_type, row_limit=row_limit)


def deadline_error(seconds: float) -> QueryTimeoutError:
    """Say that a query ran into its deadline."""
    return QueryTimeoutError(
        Text(f"La requête a été arrêtée après {seconds:g} s.", f"The query was stopped after {seconds:g} s."),
        hint=Text(
            "Ajoutez des conditions ou un LIMIT ; vérifiez que chaque motif partage une variable avec un autre.",
            "Add conditions or a LIMIT; check that every pattern shares a variable with another.",
        ),
    )


def gone_error(*, memory: bool) -> CityOrchestraError:
    """Say that the worker ended under a query."""
    if memory:
        return memory_error()
    return EngineStoppedError(
        Text("Le moteur s'est arrêté sur cette requête.", "The engine stopped on this query."),
        hint=Text("Elle est sans doute trop complexe : découpez-la.", "It is probably too complex: split it."),
    )


def memory_error() -> QueryTimeoutError:
    """Say that a query ran into its memory limit."""
    return QueryTimeoutError(
        Text("La requête a été arrêtée : elle demande trop de mémoire.", "The query was stopped: it needs too much memory."),
        hint=Text(
            "Évitez de trier ou de grouper un grand résultat ; ajoutez des conditions.",
            "Avoid sorting or grouping a large result; add conditions.",
        ),
    )


def failure_error(failure: Failure, text: str) -> CityOrchestraError:
    """Turn what a worker reports into an error of ours."""
    said = failure.message
    if failure.kind == "syntax":
        return syntax_error(text, said)
    if failure.kind == "memory":
        return memory_error()
    if failure.kind == "format":
        return UsageError(Text(f"Format impossible : {said}", f"Not possible as a format: {said}"))
    if failure.kind == "names":
        return no_names_error()
    if failure.kind == "store":
        return StoreError(Text(f"La lecture du dépôt échoue : {said}", f"Reading the store fails: {said}"))
    return QueryError(Text(f"La requête ne peut pas être évaluée : {said}", f"The query cannot be evaluated: {said}"))
