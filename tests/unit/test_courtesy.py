"""Long work gives way to whoever waits for an answer, unless the person who started it chose otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from cityorchestra_ld.courtesy import be_idle, follow, give_way

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


@pytest.mark.parametrize(("own", "theirs"), [(-10, 5), (0, 5), (3, 8), (18, 19)])
def test_who_computes_for_one_comes_after_who_answers_everybody(monkeypatch: pytest.MonkeyPatch, own: int, theirs: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(os, "getpriority", lambda which, who: own)
        follow(process.pid)
        monkeypatch.undo()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == theirs
        process.communicate(b"\n")
