"""Who waits for a worker: a bounded queue that serves clients in turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFullError(Exception):
    """Nobody else may wait."""


class FairQueue(Generic[T]):
    """Waiters by client: each client in turn gets what is offered next, however many requests another has sent."""

    def __init__(self, size: int, give_back: Callable[[T], None]) -> None:
        self._size = size
        self._give_back = give_back
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

    def offer(self, item: T) -> bool:
        """Give an item to the client whose turn it is; tell whether anybody took it."""
        while self._clients:
            client, waiting = self._clients.popitem(last=False)
            future = waiting.popleft()
            self._count -= 1
            if waiting:
                self._clients[client] = waiting  # to the end of the round
            if not future.done():
                future.set_result(item)
                return True
        return False

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
