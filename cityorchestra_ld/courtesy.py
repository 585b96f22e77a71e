"""Let whoever waits for an answer go first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_NICE: Final = 10


def give_way(pid: int) -> None:
    """Let others go before a process, which still gets on: somebody waits for it. One that has ended is left alone."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():  # setpriority knows threads, not processes
            os.setpriority(os.PRIO_PROCESS, int(task.name), _NICE)


def stand_back() -> None:
    """
    Do the work of this thread, and of those that it starts, only when nobody else has any (SCHED_IDLE, sched(7)).

    Who started the process with `nice` or `chrt` has chosen already: that stays.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return
    if not hasattr(os, "SCHED_IDLE"):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    elif os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
