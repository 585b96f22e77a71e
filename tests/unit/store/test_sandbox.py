"""A process in the sandbox has no network, starts no program, and does not outlive its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cityorchestra_ld.store import sandbox_available
from cityorchestra_ld.store.sandbox import child_environment

linux_only = pytest.mark.skipif(
    not sandbox_available(), reason="no seccomp on this machine; `cityorchestra doctor` says so too"
)

TRIES = """
import ctypes, errno, os, socket, sys
from cityorchestra_ld.store.sandbox import deny_network
ours, theirs = socket.socketpair()
open_before = socket.socket()
assert deny_network()
def refused(what):
    try:
        what()
    except PermissionError:
        return True
    return False
def raw(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(number, *arguments) == -1 and ctypes.get_errno() == errno.EACCES
results = {
    "socket": refused(socket.socket),
    "connect": refused(lambda: open_before.connect(("127.0.0.1", 9))),
    "bind": refused(lambda: open_before.bind(("127.0.0.1", 0))),
    "socketpair": refused(socket.socketpair),
    "exec": refused(lambda: os.execv("/bin/true", ["true"])),
    "io_uring": raw(425, 1, 0),
    "pipe still works": os.write(ours.fileno(), b"x") == 1 and os.read(theirs.fileno(), 1) == b"x",
}
if os.uname().machine == "x86_64":
    results["second numbering"] = raw(0x40000000 | 41, 2, 1, 0)
print([name for name, as_wanted in results.items() if not as_wanted])
"""


@linux_only
def test_sockets_programs_and_ways_round_the_filter_are_refused() -> None:
    done = subprocess.run([sys.executable, "-c", TRIES], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


@linux_only
def test_threads_that_run_already_are_confined_too() -> None:
    code = """
import socket, threading
from cityorchestra_ld.store.sandbox import deny_network
go, seen = threading.Event(), []
def late():
    go.wait()
    try:
        socket.socket()
    except PermissionError:
        seen.append("refused")
thread = threading.Thread(target=late)
thread.start()
deny_network()
go.set()
thread.join()
print(seen)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "['refused']\n", done.stderr


@linux_only
def test_a_child_dies_when_its_parent_is_killed() -> None:
    child = (
        "import os, sys, time; from cityorchestra_ld.store.sandbox import die_with_parent; "
        "die_with_parent(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, str(os.getpid())])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def test_memory_is_limited_to_what_a_query_may_add() -> None:
    code = """
from cityorchestra_ld.store.sandbox import limit_memory
limit_memory(100)
bytearray(60_000_000)
try:
    bytearray(200_000_000)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr


def test_a_limited_process_gets_no_secret_and_few_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYORCHESTRA_TOKENS", "/secret")
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    given = child_environment()
    assert "CITYORCHESTRA_TOKENS" not in given
    assert (given["LANG"], given["MALLOC_ARENA_MAX"]) == ("fr_FR.UTF-8", "3")
