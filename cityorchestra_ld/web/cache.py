"""Remember whole answers of one generation, within a budget of bytes; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from cityorchestra_ld.web.http_ import Answer


class AnswerCache:
    """A byte-budgeted LRU of answers; a new generation brings a new cache."""

    def __init__(self, budget: int = 64_000_000) -> None:
        self._lock = Lock()  # pages are built in threads
        self._budget = budget
        self._held = 0
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()

    def get(self, key: Hashable) -> Answer | None:
        """Return a remembered answer."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None:
                self._answers.move_to_end(key)
            return answer

    def put(self, key: Hashable, answer: Answer) -> None:
        """Remember an answer, unless it is too large to be worth it."""
        size = len(answer.body) + 500
        if size > self._budget // 8:
            return
        with self._lock:
            former = self._answers.pop(key, None)
            if former is not None:
                self._held -= len(former.body) + 500
            self._answers[key] = answer
            self._held += size
            while self._held > self._budget:
                _, dropped = self._answers.popitem(last=False)
                self._held -= len(dropped.body) + 500
