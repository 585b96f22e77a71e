"""Remember answers within bounds; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Sized(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def size(self) -> int:
        """Count its bytes, about."""


S = TypeVar("S", bound=Sized)


class Recent(Generic[T]):
    """The last `most` values by name; for one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()

    def get(self, name: str) -> T | None:
        """Return a value that is still remembered."""
        value = self._values.get(name)
        if value is not None:
            self._values.move_to_end(name)
        return value

    def put(self, name: str, value: T) -> None:
        """Remember a value."""
        self._values[name] = value
        self._values.move_to_end(name)
        if len(self._values) > self._most:
            self._values.popitem(last=False)


class AnswerCache(Generic[S]):
    """A byte-budgeted LRU of answers; a new generation brings a new cache."""

    def __init__(self, budget: int = 64_000_000) -> None:
        self._lock = Lock()  # pages are built in threads
        self._budget = budget
        self._held = 0
        self.hits = self.misses = 0
        self._answers: OrderedDict[Hashable, S] = OrderedDict()

    @property
    def held(self) -> int:
        """Count the bytes that are remembered."""
        return self._held

    def get(self, key: Hashable) -> S | None:
        """Return a remembered answer."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is None:
                self.misses += 1
            else:
                self.hits += 1
                self._answers.move_to_end(key)
            return answer

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether an answer is remembered; nothing is counted."""
        return key in self._answers

    def missed(self) -> None:
        """Count an answer that was made without a look here."""
        with self._lock:
            self.misses += 1

    def put(self, key: Hashable, answer: S) -> None:
        """Remember an answer, unless it is too large to be worth it."""
        size = answer.size
        if size > self._budget // 8:
            return
        with self._lock:
            former = self._answers.pop(key, None)
            if former is not None:
                self._held -= former.size
            self._answers[key] = answer
            self._held += size
            while self._held > self._budget:
                _, dropped = self._answers.popitem(last=False)
                self._held -= dropped.size
