"""Long work gives way to whoever waits for an answer, unless the person who started it chose otherwise."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from cityorchestra_ld.courtesy import be_idle, follow, give_way, go_first, hurry

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no class for work that can wait")
USUAL = ("chrt", "--other", "0")  # whatever the tests themselves run as


def policy_after(command: Sequence[str], *start: str) -> int:
    """Run a command of ours, in a way, and tell with which policy it ends."""
    code = "import os\nfrom cityorchestra_ld.cli import main\ntry: main()\nexcept SystemExit: print(os.sched_getscheduler(0))"
    done = subprocess.run([*start, sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("command", "policy"), [("run", os.SCHED_IDLE), ("publish", os.SCHED_IDLE), ("serve", os.SCHED_OTHER)])
def test_commands_that_publish_stand_back_and_those_that_answer_do_not(command: str, policy: int) -> None:
    assert policy_after([command, "--help"], *USUAL) == policy


@pytest.mark.slow
def test_who_started_a_run_with_a_niceness_has_chosen() -> None:
    assert policy_after(["run", "--help"], *USUAL, "nice", "-n", "5") == os.SCHED_OTHER


def test_one_thread_stands_back_and_the_others_do_not() -> None:
    before, found = os.sched_getscheduler(0), list[int]()

    def work() -> None:
        be_idle()
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [os.SCHED_IDLE]
    assert os.sched_getscheduler(0) == before


def test_a_process_gives_way_and_one_that_has_ended_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10
        process.communicate(b"\n")
    give_way(process.pid)


def test_a_process_gives_way_to_all() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid, to_all=True)
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        process.communicate(b"\n")
    give_way(process.pid, to_all=True)


@pytest.mark.parametrize("to_all", [False, True])
def test_a_process_that_gave_way_goes_as_before_where_the_system_allows_it(
    monkeypatch: pytest.MonkeyPatch, to_all: bool
) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid, real=os.sched_getscheduler: real(pid) if pid else os.SCHED_RR)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        resource.prlimit(process.pid, resource.RLIMIT_NICE, (0, resource.prlimit(process.pid, resource.RLIMIT_NICE)[1]))
        follow(process.pid)
        before = (os.getpriority(os.PRIO_PROCESS, process.pid), os.sched_getscheduler(process.pid))
        give_way(process.pid, to_all=to_all)
        assert (os.getpriority(os.PRIO_PROCESS, process.pid), os.sched_getscheduler(process.pid)) != before
        assert hurry(process.pid) is (os.geteuid() == 0)
        if os.geteuid() == 0:
            assert (os.getpriority(os.PRIO_PROCESS, process.pid), os.sched_getscheduler(process.pid)) == before
        process.communicate(b"\n")


def test_a_service_that_gives_way_to_all_hurries_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_IDLE)
    assert not hurry(os.getpid())


@pytest.mark.parametrize(("own", "theirs"), [(-10, 5), (0, 5), (3, 8), (18, 19)])
def test_who_computes_for_one_comes_after_who_answers_everybody(monkeypatch: pytest.MonkeyPatch, own: int, theirs: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(os, "getpriority", lambda which, who: own)
        follow(process.pid)
        monkeypatch.undo()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == theirs
        process.communicate(b"\n")


@pytest.mark.parametrize(
    ("policy", "niceness", "processors", "forbidden", "done"),
    [
        (os.SCHED_OTHER, 0, 2, False, True),
        (os.SCHED_OTHER, 0, 64, False, True),
        (os.SCHED_OTHER, 0, 1, False, False),
        (os.SCHED_OTHER, 1, 2, False, False),
        (os.SCHED_OTHER, -5, 2, False, False),
        (os.SCHED_IDLE, 0, 2, False, False),
        (os.SCHED_BATCH, 0, 2, False, False),
        (os.SCHED_FIFO, 0, 2, False, False),
        (os.SCHED_RR | os.SCHED_RESET_ON_FORK, 0, 2, False, False),
        (os.SCHED_OTHER, 0, 2, True, False),
    ],
)
def test_who_answers_everybody_goes_first_unless_somebody_chose_or_would_starve(
    monkeypatch: pytest.MonkeyPatch, policy: int, niceness: int, processors: int, forbidden: bool, done: bool
) -> None:
    asked, given_up = list[tuple[int, int, int]](), list[tuple[int, tuple[int, int]]]()

    def ask(pid: int, wanted: int, parameter: os.sched_param) -> None:
        if forbidden:
            raise PermissionError
        asked.append((pid, wanted, parameter.sched_priority))

    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: policy)
    monkeypatch.setattr(os, "getpriority", lambda which, who: niceness)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(processors)))
    monkeypatch.setattr(os, "sched_setscheduler", ask)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: given_up.append((kind, limits)))
    assert go_first() is done
    assert asked == ([(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, 1)] if done else [])
    assert given_up == ([(resource.RLIMIT_RTPRIO, (0, 0))] if done else [])


def test_a_system_without_the_class_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(0)
    monkeypatch.delattr(os, "SCHED_RESET_ON_FORK")
    assert not go_first()
    assert os.sched_getscheduler(0) == before


GOING_FIRST = """
import json, os, resource, subprocess, sys, threading
from cityorchestra_ld.courtesy import follow, go_first
try:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
except OSError as error:
    sys.exit(f"forbidden: {error}")
found = {"may": os.getpriority(os.PRIO_PROCESS, 0) == 0 and len(os.sched_getaffinity(0)) >= 2, "done": go_first()}
found["own"] = os.sched_getscheduler(0)
def look():
    found["thread"] = os.sched_getscheduler(0)
thread = threading.Thread(target=look)
thread.start()
thread.join()
with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
    follow(child.pid)
    found["child"] = [os.sched_getscheduler(child.pid), os.getpriority(os.PRIO_PROCESS, child.pid)]
    found["right"] = resource.prlimit(child.pid, resource.RLIMIT_RTPRIO)
    child.communicate()
print(json.dumps(found))
"""


def test_one_thread_goes_first_and_what_it_starts_is_ordinary() -> None:
    done = subprocess.run([*USUAL, sys.executable, "-c", GOING_FIRST], capture_output=True, text=True, check=False)
    if "forbidden" in done.stderr:
        pytest.skip(f"NO REAL TIME HERE, NOBODY WENT FIRST: {done.stderr.strip()} (run as root, or with ulimit -r 1)")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["done"] is found["may"]
    assert found["own"] == (os.SCHED_RR | os.SCHED_RESET_ON_FORK if found["may"] else os.SCHED_OTHER)
    assert found["thread"] == os.SCHED_OTHER
    assert found["child"][0] == os.SCHED_OTHER and found["child"][1] >= 5
    assert not found["may"] or found["right"] == [0, 0]
