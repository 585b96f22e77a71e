"""Who waits for a worker: a bounded queue that serves whoever cost least of late, and clients of equal cost in turn."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from cityorchestra_ld.errors import BusyError, Text

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
_HALF_LIFE: Final = 60.0
_REMEMBERED: Final = 10_000  # clients


class QueueFullError(Exception):
    """Nobody else may wait."""


class Waiter(Protocol[T_contra]):
    """Who waits for something: a future, or anything that takes what a future takes."""

    def done(self) -> bool:
        """Tell whether this one waits no more."""

    def set_result(self, item: T_contra, /) -> None:
        """Take what there is."""

    def set_exception(self, error: Exception, /) -> None:
        """Hear that there is nothing."""


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
        now = self._clock()
        before, then = self._known.get(client, (0.0, now))
        self._known[client] = (before * 0.5 ** ((now - then) / _HALF_LIFE) + seconds, now)
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
        self._clients: OrderedDict[str, deque[Waiter[T]]] = OrderedDict()
        self._together: set[Waiter[T]] = set()

    def __len__(self) -> int:
        return self._count

    async def wait(self, client: str) -> T:
        """Wait for an offer; raise QueueFullError when too many wait already."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.enter(client, future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result())  # offered in the very moment the waiter left
            raise
        finally:
            self.leave(client, future)

    def enter(self, client: str, waiter: Waiter[T], *, together: bool = False) -> None:
        """Let somebody wait, perhaps `together` with others of the client; raise QueueFullError when too many do already."""
        if self._count >= self._size:
            raise QueueFullError
        self._clients.setdefault(client, deque()).append(waiter)
        self._count += 1
        if together:
            self._together.add(waiter)

    def leave(self, client: str, waiter: Waiter[T]) -> None:
        """Forget somebody who may still wait."""
        waiting = self._clients.get(client)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            self._together.discard(waiter)
            self._count -= 1
            if not waiting:
                del self._clients[client]

    def next(self, most: float = math.inf) -> tuple[str, Waiter[T]] | None:
        """Return who is next, if that client cost at most so much; nobody, if nobody waits."""
        while self._clients:
            client = next(iter(self._clients)) if len(self._clients) == 1 else min(self._clients, key=self._cost)
            if most < math.inf and self._cost(client) > most:
                return None
            waiting = self._clients.pop(client)
            waiter = waiting.popleft()
            self._together.discard(waiter)
            self._count -= 1
            if waiting:
                self._clients[client] = waiting  # to the end of the round
            if not waiter.done():
                return client, waiter
        return None

    def next_with(self, client: str) -> Waiter[T] | None:
        """Return the next of a client whose turn it is, if that one may go together with the one before."""
        waiter = next(iter(self._clients.get(client, ())), None)
        if waiter is None or waiter not in self._together or waiter.done():
            return None
        self.leave(client, waiter)
        return waiter

    def offer(self, item: T, most: float = math.inf) -> str | None:
        """Give an item to the client whose turn it is, if that cost at most so much; return who took it, if anybody did."""
        turn = self.next(most)
        if turn is None:
            return None
        turn[1].set_result(item)
        return turn[0]

    def fail(self, error: Exception) -> None:
        """Send everybody away."""
        everybody, self._clients, self._count = self._clients, OrderedDict(), 0
        self._together.clear()
        for waiting in everybody.values():
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_exception(error)


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
