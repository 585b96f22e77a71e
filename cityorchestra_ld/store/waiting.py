"""Who waits for a worker: a bounded queue that serves whoever cost least of late, and clients of equal cost in turn."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from cityorchestra_ld.errors import BusyError, Text

T = TypeVar("T")
_HALF_LIFE: Final = 60.0
_REMEMBERED: Final = 10_000  # clients


class QueueFullError(Exception):
    """Nobody else may wait."""


class Spending:
    """Seconds of work that each client has caused of late; half of them are forgotten after a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def of(self, client: str) -> float:
        """Return the seconds of a client."""
        seconds, then = self._known.get(client, (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - then) / _HALF_LIFE) if seconds else 0.0

    def add(self, client: str, seconds: float) -> None:
        """Count work for a client."""
        self._known[client] = (self.of(client) + seconds, self._clock())
        self._known.move_to_end(client)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


class FairQueue(Generic[T]):
    """
    Waiters by client: the client that cost least gets what is offered next, however many requests another has sent.

    Clients of equal cost come in turn.
    """

    def __init__(self, size: int, give_back: Callable[[T], None], cost: Callable[[str], float] = lambda _: 0.0) -> None:
        self._size = size
        self._give_back = give_back
        self._cost = cost
        self._count = 0
        self._clients: OrderedDict[str, deque[asyncio.Future[T]]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    async def wait(self, client: str) -> T:
        """Wait for an offer; raise QueueFullError when too many wait already."""
        if self._count >= self._size:
            raise QueueFullError
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._clients.setdefault(client, deque()).append(future)
        self._count += 1
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result())  # offered in the very moment the waiter left
            raise
        finally:
            self._forget(client, future)

    def offer(self, item: T, most: float = math.inf) -> str | None:
        """Give an item to the client whose turn it is, if that cost at most so much; return who took it, if anybody did."""
        while self._clients:
            client = min(self._clients, key=self._cost)  # the first of equals
            if self._cost(client) > most:
                return None
            waiting = self._clients.pop(client)
            future = waiting.popleft()
            self._count -= 1
            if waiting:
                self._clients[client] = waiting  # to the end of the round
            if not future.done():
                future.set_result(item)
                return client
        return None

    def fail(self, error: Exception) -> None:
        """Send everybody away."""
        for waiting in self._clients.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error)

    def _forget(self, client: str, future: asyncio.Future[T]) -> None:
        waiting = self._clients.get(client)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            self._count -= 1
            if not waiting:
                del self._clients[client]


# --- what those are told who cannot wait ------------------------------------------------------------------------------------


def full(seconds: float) -> BusyError:
    """Say that too many wait, and when there may be room."""
    error = BusyError(
        Text("Trop de requêtes attendent.", "Too many queries are waiting."),
        hint=Text("Réessayez dans quelques secondes.", "Try again in a few seconds."),
    )
    error.retry_after = float(max(1, math.ceil(seconds)))
    return error


def crowded() -> BusyError:
    """Say that there are too many long queries."""
    error = BusyError(
        Text("Trop de longues requêtes en même temps.", "Too many long queries at the same time."),
        hint=Text("Attendez la fin des vôtres, ou simplifiez.", "Wait until yours have ended, or simplify."),
    )
    error.retry_after = 10.0
    return error


def closing() -> BusyError:
    """Say that the service is about to end."""
    return BusyError(Text("Le service s'arrête.", "The service is stopping."))
