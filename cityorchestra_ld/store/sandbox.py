"""Take from a process what a query never needs: the network, other programs, endless memory, a life after its parent."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_SET_MODE_FILTER: Final = 1
_FILTER_ALL_THREADS: Final = 1
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EXPENDABLE: Final = "500"  # of 1000: as if it took half of all memory more than it does
_X32 = 0x40000000  # the second numbering of system calls on x86_64


_PASSED_ON: Final = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    seccomp: int
    denied: tuple[int, ...]


# socket connect accept accept4 bind listen socketpair, execve execveat, ptrace, process_vm_readv process_vm_writev, io_uring_*
_MACHINES: Final = {
    "x86_64": _Machine(
        0xC000003E, 317, (41, 42, 43, 288, 49, 50, 53, 59, 322, 101, 310, 311, 425, 426, 427)
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, (198, 203, 202, 242, 200, 201, 199, 221, 281, 117, 270, 271, 425, 426, 427)
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _filter(machine: _Machine) -> bytes:
    """Write the filter: another architecture, the second numbering and every denied call get EACCES, the rest goes on."""
    refuse = _instruction(_RETURN, _ERRNO | errno.EACCES)
    calls = machine.denied
    lines = [
        _instruction(_LOAD, 4),
        _instruction(_JUMP_EQUAL, machine.audit, 1, 0),
        refuse,
        _instruction(_LOAD, 0),
        _instruction(_JUMP_AT_LEAST, _X32, len(calls) + 1, 0),
        *(_instruction(_JUMP_EQUAL, number, len(calls) - index, 0) for index, number in enumerate(calls)),
        _instruction(_RETURN, _ALLOW),
        refuse,
    ]
    return b"".join(lines)


def sandbox_available() -> bool:
    """Tell whether this machine can deny the network to query workers (seccomp on Linux, x86_64 and aarch64)."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as actions:  # noqa: PTH123 - a kernel file
            return "errno" in actions.read().split()
    except OSError:
        return False


def deny_network() -> bool:
    """Deny sockets and new programs to this process and all its threads, for good; tell whether it worked."""
    if not sandbox_available():
        return False
    machine = _MACHINES[platform.machine()]
    code = _filter(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    result = libc.syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, _FILTER_ALL_THREADS, ctypes.byref(program))
    return bool(result == 0)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends; leave at once when it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def be_expendable() -> None:
    """Have the kernel end this process before others when memory runs out (proc_pid_oom_score_adj(5))."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE, encoding="ascii")


def child_environment() -> dict[str, str]:
    """
    Return the environment of a process of ours that is limited: what Python needs, no secret, few arenas.

    The allocator reserves address space for each arena, and makes more of them when threads wait for each other (mallopt(3)):
    a limit on address space would then end a process that uses little.
    """
    said = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return said | {"MALLOC_ARENA_MAX": "3", "OPENBLAS_NUM_THREADS": "1"}


def limit_memory(megabytes: int) -> None:
    """Let this process grow by at most this much address space, and leave no core file behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    now = _address_space()
    if now is not None:
        most = now + megabytes * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _address_space() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123 - a kernel file
            return int(pages.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None
