"""Runs are kept as files, two of them never overlap, and what a killed one left is swept."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cityorchestra_ld.errors import BusyError, UsageError
from cityorchestra_ld.runs import Run, RunFolder, Status, exclusive

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def make(folder: RunFolder, dataset: str = "star/arrets") -> Run:
    identity, _ = folder.start(dataset, NOW)
    run = Run(id=identity, dataset=dataset, status=Status.CHECKED, started=NOW, finished=NOW, records={"a.csv": 3})
    folder.save(run)
    return run


def test_a_run_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run = make(folder)
    assert folder.load(run.id) == run and folder.list() == (run,)


@pytest.mark.parametrize("identity", ["../../etc/passwd", "", "20260101T000000Z-a-0000"])
def test_a_name_that_is_no_run_is_refused(tmp_path: Path, identity: str) -> None:
    with pytest.raises(UsageError):
        RunFolder(tmp_path).load(identity)


def test_what_a_killed_run_left_is_swept_and_old_runs_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    kept = make(folder, "z/newest")
    _, unfinished = folder.start("a/killed", NOW)
    (unfinished / "quads.nq.part").write_text("half")
    make(folder, "a/older")
    folder.sweep(keep=1)
    assert [run.id for run in folder.list()] == [kept.id]
    assert not unfinished.exists()


def _hold(state: Path, ready: multiprocessing.synchronize.Event, done: multiprocessing.synchronize.Event) -> None:
    with exclusive(state):
        ready.set()
        done.wait(20)


def test_two_runs_at_once_are_kept_apart_and_the_holder_is_named(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, done))
    process.start()
    assert ready.wait(20)
    try:
        with pytest.raises(BusyError) as raised, exclusive(tmp_path):
            pass
        assert f"pid {process.pid}" in raised.value.render("fr") and raised.value.exit_code == 6
    finally:
        done.set()
        process.join(20)
    with exclusive(tmp_path):
        pass
