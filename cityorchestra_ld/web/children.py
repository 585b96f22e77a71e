"""Do dangerous or long work in a process of its own: give it a message, wait for its answer, kill it at the deadline."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Final

from cityorchestra_ld.courtesy import follow
from cityorchestra_ld.errors import QueryTimeoutError, Text
from cityorchestra_ld.store.sandbox import child_environment

_AT_ONCE: Final = 2


class ChildDiedError(Exception):
    """The process ended without an answer: killed by what it read, or by its memory limit."""


class Children:
    """Processes that work for stewards, a few at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def run(self, module: str, message: bytes, seconds: float) -> bytes:
        """
        Run a module of ours with a message on its standard input, and return what it writes.

        Raises QueryTimeoutError at the deadline and ChildDiedError when the process dies; it never outlives the call.
        """
        async with self._free:
            try:
                return await run_child(module, message, seconds)
            except TimeoutError:
                raise QueryTimeoutError(
                    Text(f"Le travail a été arrêté après {seconds:g} s.", f"The work was stopped after {seconds:g} s."),
                    hint=Text("Rien n'a changé. Envoyez moins à la fois.", "Nothing has changed. Send less at once."),
                ) from None


async def run_child(module: str, message: bytes, seconds: float) -> bytes:
    """
    Run a module of ours with a message on its standard input, and return what it writes; it never outlives the call.

    Raises TimeoutError at the deadline and ChildDiedError when the process dies.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(),
    )  # fmt: skip
    follow(process.pid)
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate(message)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0 or not said:
        raise ChildDiedError(f"{module} ended with {process.returncode}")
    return said
