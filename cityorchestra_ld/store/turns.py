"""Give idle workers to those who ask: at once, or in their turn; one worker is kept for clients that cost little."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from cityorchestra_ld.errors import BusyError
from cityorchestra_ld.store.waiting import FairQueue, QueueFullError, Spending, Waiter, closing, full
from cityorchestra_ld.store.workers import QueryWorker

TOGETHER: Final = 8  # brief questions that one worker has before it at most
_FRESH: Final = 0.002  # seconds for which a worker that was idle may be asked more of them
_MUCH: Final = 2.0  # seconds of work, of late, from which a client costs much


class Turns:
    """The idle workers of a pool, and who waits for one."""

    def __init__(self, size: int, most: int) -> None:
        self.idle: deque[QueryWorker] = deque()
        self.closed = True
        self._size = size
        self._spending = Spending()
        self._queue: FairQueue[QueryWorker] = FairQueue(most, self.offer, self._spending.of)
        self._costly: set[QueryWorker] = set()  # that answer short queries of clients that cost much
        self._typical = 0.1  # seconds that an answer takes, smoothed

    @property
    def waiting(self) -> int:
        """Count those who wait."""
        return len(self._queue)

    def close(self) -> None:
        """Send away whoever waits."""
        self.closed = True
        self._queue.fail(closing())

    def clear(self) -> list[QueryWorker]:
        """Take all idle workers away."""
        taken = list(self.idle)
        self.idle.clear()
        return taken

    def without(self, fits: Callable[[QueryWorker], bool]) -> list[QueryWorker]:
        """Take away the idle workers that do not fit any more."""
        gone = [worker for worker in self.idle if not fits(worker)]
        for worker in gone:
            self.idle.remove(worker)
        return gone

    # --- those who ask ----------------------------------------------------------------------------------------------------

    async def take(self, client: str, seconds: float) -> QueryWorker:
        """Return a worker for a client, within so many seconds; raise BusyError when too many wait, or for too long."""
        worker = self._at_once(client)
        if worker is not None:
            return worker
        if self.closed:
            raise closing()
        try:
            async with asyncio.timeout(seconds):
                return await self._queue.wait(client)
        except (QueueFullError, TimeoutError):
            raise self.full() from None

    def take_soon(self, client: str, waiter: Waiter[QueryWorker], *, together: bool = False) -> None:
        """
        Give a worker to a waiter, now or in its turn; raise QueueFullError when too many wait.

        Those of one client that may go `together` ask the same worker when it is their turn.
        """
        worker = self._at_once(client)
        if worker is not None:
            waiter.set_result(worker)
        elif self.closed:
            raise QueueFullError
        else:
            self._queue.enter(client, waiter, together=together)

    def leave(self, client: str, waiter: Waiter[QueryWorker]) -> None:
        """Forget a waiter."""
        self._queue.leave(client, waiter)

    def full(self) -> BusyError:
        """Say that too many wait, and when there may be room."""
        return full(self._typical * (len(self._queue) + 1) / self._size)

    def _at_once(self, client: str) -> QueryWorker | None:
        free = self.idle and (self._room or self._spending.of(client) <= _MUCH)
        return self._take(client) if free else None

    def shared(self, client: str, workers: Iterable[QueryWorker]) -> QueryWorker | None:
        """Return the worker that answers brief questions of a client and may be asked another, with the least before it."""
        if self._queue:
            return None
        found, least, since = None, TOGETHER, time.monotonic() - _FRESH
        for worker in workers:
            if worker.shared == client and 0 < len(worker.line) < least and worker.asked_at > since and not worker.closed:
                found, least = worker, len(worker.line)
        return found

    # --- workers ----------------------------------------------------------------------------------------------------------

    def offer(self, worker: QueryWorker) -> None:
        """Take a worker that is idle."""
        self._costly.discard(worker)
        self.idle.append(worker)
        self.dispatch()

    def dispatch(self) -> None:
        """Give idle workers to those who wait."""
        while self.idle and (turn := self._queue.next(math.inf if self._room else _MUCH)) is not None:
            client, waiter = turn
            worker = self._take(client)
            waiter.set_result(worker)
            while worker.shared == client and 0 < len(worker.line) < TOGETHER and (other := self._queue.next_with(client)):
                other.set_result(worker)

    def lost(self, worker: QueryWorker) -> bool:
        """Hear that a worker answers nobody's short query any more; tell whether it works for a client that costs much."""
        costly = worker in self._costly
        self._costly.discard(worker)
        return costly

    def worked(self, client: str, seconds: float) -> None:
        """Count work for a client."""
        self._spending.add(client, seconds)

    def took(self, seconds: float) -> None:
        """Hear how long somebody waited for a first byte."""
        self._typical += (seconds - self._typical) * 0.1

    @property
    def _room(self) -> bool:
        """Tell whether a client that costs much may have a worker: one is kept for the others."""
        return len(self._costly) < max(1, self._size - 1)

    def _take(self, client: str) -> QueryWorker:
        """Take the idle worker that answered last, whose memory is nearest to the processor, for a client."""
        worker = self.idle.pop()
        if self._spending.of(client) > _MUCH:
            self._costly.add(worker)
        return worker
