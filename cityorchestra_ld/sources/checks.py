"""Checks of files that run beside other work: what they find wrong is said before anything made of the files is kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Checks:
    """Checks that run one after the other in a thread of their own, while the block goes on; at its end all have passed."""

    def __init__(self) -> None:
        self._beside = ThreadPoolExecutor(1)
        self._running: list[Future[None]] = []

    def add(self, check: Callable[[], None]) -> None:
        """Begin a check when those before it are done."""
        self._running.append(self._beside.submit(check))

    def settle(self) -> None:
        """Wait for all checks; raise what the first one that failed has raised."""
        for check in self._running:
            check.result()

    def __enter__(self) -> Checks:
        return self

    def __exit__(self, *_: object) -> None:
        """Settle: what is wrong with a file comes before what it made go wrong in the block."""
        with self._beside:
            self.settle()
