"""Let whoever waits for an answer go first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_BEHIND: Final = 5
_NICE: Final = 10
_LAST: Final = 19


def follow(pid: int) -> None:
    """Let this process go before one that it has just started: who answers everybody waits for nobody who computes for one."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, min(_LAST, max(0, os.getpriority(os.PRIO_PROCESS, 0)) + _BEHIND))


def give_way(pid: int, *, to_all: bool = False) -> None:
    """
    Let others go before a process, which still gets on: somebody waits for it. One that has ended is left alone.

    With `to_all`, it only gets the time that nobody else wants.
    """
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():  # setpriority knows threads, not processes
            if to_all and hasattr(os, "SCHED_IDLE"):
                os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
            else:
                os.setpriority(os.PRIO_PROCESS, int(task.name), _NICE)


def stand_back() -> None:
    """
    Do the work of this thread, and of those that it starts, only when nobody else has any (SCHED_IDLE, sched(7)).

    Who started the process with `nice` or `chrt` has chosen already: that stays.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) == 0:
        be_idle()


def be_idle() -> None:
    """Do the work of this thread, and of those that it starts, only when nobody else has any, whatever was chosen before."""
    if not hasattr(os, "SCHED_IDLE"):
        os.setpriority(os.PRIO_PROCESS, 0, _LAST)
    elif os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
