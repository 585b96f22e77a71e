"""What a worker says to one question, as it comes: waited for, or heard of by a call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cityorchestra_ld.store.workers import QueryWorker


class WorkerGoneError(Exception):
    """The worker ended in the middle of an answer."""

    def __init__(self, *, memory: bool) -> None:
        super().__init__("out of memory" if memory else "the worker ended")
        self.memory = memory


class Reply:
    """The frames that answer one question; a worker answers in the order in which it was asked."""

    __slots__ = ("_listener", "_wake", "_worker", "dropped", "ended", "frames")

    def __init__(self, worker: QueryWorker) -> None:
        self.dropped = False
        self.ended = False  # its last frame came
        self._worker = worker
        self.frames: deque[tuple[bytes, bytes]] = deque()  # that came: their kinds and payloads
        self._wake: asyncio.Future[None] | None = None
        self._listener: Callable[[], None] | None = None

    def pop(self) -> tuple[bytes, bytes]:
        """Take the next frame: its kind and its payload."""
        frame = self.frames.popleft()
        self._worker.taken(len(frame[1]))
        return frame

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until a frame is there; raise WorkerGoneError when the worker ends first, TimeoutError when it takes longer."""
        loop = asyncio.get_running_loop()
        timer = None if seconds is None else loop.call_later(seconds, self._too_late)
        try:
            while not self.frames:
                if self._worker.closed:
                    raise WorkerGoneError(memory=self._worker.is_out_of_memory())
                self._wake = loop.create_future()
                await self._wake
        finally:
            if timer is not None:
                timer.cancel()

    def _too_late(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_exception(TimeoutError())
        self._wake = None

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call this whenever something came, or the worker ended; one that listens does not wait."""
        self._listener = listener

    def drop(self) -> None:
        """Want no answer any more; what comes of it is thrown away."""
        self.dropped, self._listener = True, None
        while self.frames:
            self.pop()

    # --- the worker's side ------------------------------------------------------------------------------------------------

    def notify(self) -> None:
        """Tell whoever waits or listens that something came."""
        if self._listener is not None:
            self._listener()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        self._wake = None
