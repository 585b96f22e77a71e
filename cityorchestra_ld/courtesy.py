"""Let whoever waits for an answer go first."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

_BEHIND: Final = 5
_NICE: Final = 10
_LAST: Final = 19


def go_first() -> bool:
    """
    Let this thread go before all others of the machine (SCHED_RR, sched(7)); tell whether it does now.

    What it starts is ordinary. It stays as it is where the system does not allow it; on one processor, where those that work
    for it would starve; and when somebody has chosen already by starting the process with `nice` or `chrt`.
    """
    if not hasattr(os, "SCHED_RESET_ON_FORK") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    if os.getpriority(os.PRIO_PROCESS, 0) != 0 or len(os.sched_getaffinity(0)) < 2:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        return False
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))  # what it starts may not do the same
    return True


def follow(pid: int) -> None:
    """Let this process go before one that it has just started: who answers everybody waits for nobody who computes for one."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _behind())


def _behind() -> int:
    return min(_LAST, max(0, os.getpriority(os.PRIO_PROCESS, 0)) + _BEHIND)


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


def hurry(pid: int) -> bool:
    """
    Let a process that gave way go as when it was started; tell whether that is so now.

    The system allows it to root, and where RLIMIT_NICE (getrlimit(2)) does.
    """
    if not hasattr(os, "SCHED_IDLE") or os.sched_getscheduler(0) == os.SCHED_IDLE:
        return False
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            if os.sched_getscheduler(int(task.name)) == os.SCHED_IDLE:
                os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, int(task.name), _behind())
    except OSError:
        return False
    return True


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
