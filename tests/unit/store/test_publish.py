"""Publication is whole or nothing, cheap for small changes, alone in its time, and leaves no litter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import BusyError, StoreError
from cityorchestra_ld.model import Generation, GraphChange
from cityorchestra_ld.store import EmbeddedStore, Hold, Reader, building, current_generation, open_store
from cityorchestra_ld.store.generations import Layout, publisher_lock, read_manifest

Change = Callable[..., GraphChange]


def lines(*numbers: int, value: str = "o") -> list[str]:
    return [f'<x:{number}> <x:p> "{value}" .' for number in numbers]


def test_a_small_change_is_applied_as_a_difference_and_a_large_one_by_a_rebuild(store: EmbeddedStore, change: Change) -> None:
    first = store.publish([change("a/x", *lines(*range(1_000)))])
    small = store.publish([change("a/x", *lines(*range(10, 1_010)))])
    large = store.publish([change("a/x", *lines(*range(1_000), value="other"))])
    manifests = [read_manifest(generation.path) for generation in (first, small, large)]
    assert [manifest.method for manifest in manifests] == ["rebuild", "difference", "rebuild"]
    assert (manifests[1].removed, manifests[1].inserted, manifests[1].churn) == (10, 10, 20)
    assert manifests[2].churn == 0
    assert all(store.verify(number, deep=True) == () for number in (1, 2, 3))


def test_a_long_row_of_small_changes_ends_in_a_rebuild(
    store: EmbeddedStore, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_CHURN", 100)  # against 50 for each change below
    store.publish([change("a/x", *lines(*range(100)))])
    methods = []
    for start in (25, 50, 75):
        methods.append(read_manifest(store.publish([change("a/x", *lines(*range(start, start + 100)))]).path).method)
    assert methods == ["difference"] * 2 + ["rebuild"]
    assert store.verify(deep=True) == ()


def test_large_insertions_and_removals_go_through_bulk_loads(store: EmbeddedStore, change: Change) -> None:
    store.publish([change("a/x", *lines(*range(12_000)))])
    made = store.publish([change("a/x", *lines(*range(18_000)))])
    assert read_manifest(made.path).method == "difference"
    made = store.publish([change("a/x", *lines(*range(2_000, 18_000)))])
    assert (made.triples, store.verify(deep=True)) == (16_000, ())


def test_a_generation_never_changes_once_published(store: EmbeddedStore, change: Change) -> None:
    def state(generation: Generation) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(generation.path.rglob("*")) if path.is_file()}

    first = store.publish([change("a/x", *lines(*range(500)))])
    before = state(first)
    with Reader(first) as reader:
        store.publish([change("a/x", *lines(*range(5, 505))), change("b/y", *lines(1))])
        assert len(list(reader.quads())) == 500
        store.rollback()
    assert state(first) == before


def test_only_one_publisher_at_a_time_and_the_other_is_told_who(store: EmbeddedStore, change: Change) -> None:
    store.publish([change("a/x", *lines(1))])
    with publisher_lock(Layout(store.root)):
        with pytest.raises(BusyError, match=rf"process {os.getpid()}, since 20\d\d-") as caught:
            store.publish([change("a/x", *lines(2))])
        with pytest.raises(BusyError):
            store.rollback()
    assert caught.value.exit_code == 6
    assert store.publish([change("a/x", *lines(2))]).number == 2


def test_leftovers_of_a_killed_publisher_are_swept(store: EmbeddedStore, change: Change) -> None:
    first = store.publish([change("a/x", *lines(1))])
    orphan = store.root / "generations" / "000002"
    (orphan / "db").mkdir(parents=True)  # renamed into place, but CURRENT was not switched
    unfinished = store.root / "staging" / "publish-x" / "generation" / "db"
    unfinished.mkdir(parents=True)
    (unfinished / "bulk-7.sst").write_bytes(b"junk")
    old = store.root / "scratch" / "old"
    old.mkdir()
    os.utime(old, (0, 0))
    assert store.current() == first
    assert store.generations() == (first,)
    second = store.publish([change("a/x", *lines(1, 2))])
    assert second.number == 2
    assert (second.path / "manifest.json").exists()
    assert list((store.root / "staging").iterdir()) == []
    assert not old.exists()


def test_bulk_files_that_a_killed_load_left_do_not_reach_the_next_generation(store: EmbeddedStore, change: Change) -> None:
    first = store.publish([change("a/x", *lines(*range(100)))])
    (first.path / "db" / "bulk-3.sst").write_bytes(b"junk")
    second = store.publish([change("a/x", *lines(*range(101)))])
    assert list((second.path / "db").glob("bulk-*")) == []


def test_old_generations_go_unless_somebody_reads_them(store: EmbeddedStore, change: Change) -> None:
    first = store.publish([change("a/x", *lines(1))])
    store.keep = 2
    with Hold(first.path):
        for number in range(2, 5):
            store.publish([change("a/x", *lines(number))])
        assert [generation.number for generation in store.generations()] == [1, 3, 4]
    store.publish([change("a/x", *lines(5))])
    assert [generation.number for generation in store.generations()] == [4, 5]
    with pytest.raises(StoreError, match="does not exist any more"):
        Reader(first)


def test_the_current_generation_is_kept_however_old(store: EmbeddedStore, change: Change) -> None:
    for number in range(1, 4):
        store.publish([change("a/x", *lines(number))])
    store.rollback(1)
    store.keep = 1
    made = store.publish([])
    assert made.number == 1
    assert current_generation(store.root) == made


def test_contents_that_no_generation_names_go_when_they_are_old(tmp_path: Path, change: Change) -> None:
    store = open_store(tmp_path / "store", keep=1)
    first = store.publish([change("a/x", *lines(1))])
    snapshot = store.root / "snapshots" / f"{first.graphs[0].sha256}.nt.zst"
    store.publish([change("a/x", *lines(2))])
    assert snapshot.exists()  # recent: a version somebody may ask for
    store = EmbeddedStore(store.root, keep=1, keep_snapshots=timedelta(days=30))
    os.utime(snapshot, (time.time() - 31 * 86_400,) * 2)
    store.publish([change("a/x", *lines(3))])
    assert not snapshot.exists()
    assert store.verify(deep=True) == ()


def test_a_lost_snapshot_is_made_again_from_the_generation(store: EmbeddedStore, change: Change, tmp_path: Path) -> None:
    first = store.publish([change("a/x", *lines(*range(50)), "_:b <x:p> <x:o> .")])
    lost = store.root / "snapshots" / f"{first.graphs[0].sha256}.nt.zst"
    lost.unlink()
    store.publish([change("b/y", *lines(1))])
    made = store.publish([change("a/x", *lines(*range(49)))])
    assert (made.triples, store.verify(deep=True)) == (50, ())
    lost.unlink(missing_ok=True)
    store.rollback(2)
    path = store.export(first.graphs[0].graph, tmp_path)
    assert path is not None
    assert len(path.read_text().splitlines()) == 51


def test_what_was_tampered_with_is_found(store: EmbeddedStore, change: Change) -> None:
    made = store.publish([change("a/x", *lines(1, 2)), change("b/y", *lines(3))])
    names = [ox.NamedNode(info.graph) for info in made.graphs]
    opened = ox.Store(str(made.path / "db"))
    opened.remove(ox.Quad(ox.NamedNode("x:1"), ox.NamedNode("x:p"), ox.Literal("o"), names[0]))
    opened.remove(ox.Quad(ox.NamedNode("x:3"), ox.NamedNode("x:p"), ox.Literal("o"), names[1]))
    opened.add(ox.Quad(ox.NamedNode("x:3"), ox.NamedNode("x:p"), ox.Literal("forged"), names[1]))
    opened.add(ox.Quad(ox.NamedNode("x:4"), ox.NamedNode("x:p"), ox.Literal("o"), ox.NamedNode("x:secret")))
    opened.add(ox.Quad(ox.NamedNode("x:4"), ox.NamedNode("x:p"), ox.Literal("o")))
    opened.flush()
    del opened
    shallow = [problem.en for problem in store.verify()]
    assert len(shallow) == 3
    assert any("1 triples instead of 2" in problem for problem in shallow)
    assert any("x:secret" in problem for problem in shallow)
    assert any("The default graph: 4 triples instead of 3" in problem for problem in shallow)
    assert any("content has changed" in problem.en for problem in store.verify(deep=True))


def test_a_pointer_that_cannot_be_read_is_an_error_and_not_an_empty_store(store: EmbeddedStore, change: Change) -> None:
    store.publish([change("a/x", *lines(1))])
    (store.root / "CURRENT").write_text("{")
    with pytest.raises(StoreError, match="pointer"):
        store.current()


def test_the_manifest_is_readable_json(store: EmbeddedStore, change: Change) -> None:
    made = store.publish([change("a/x", *lines(1))], run="r1")
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert (manifest["number"], manifest["run"], manifest["graphs"][0]["triples"]) == (1, "r1", 1)


FULL = """
import resource, signal, sys
from pathlib import Path
from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.store import open_store
root, content, largest = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
info = GraphInfo(graph="https://ld.cityorchestra.example/graph/data/a/x", role="data", dataset="a/x")
try:
    open_store(root).publish([GraphChange(info=info, content=content)])
except StoreError as error:
    print(error.message.en)
"""


@pytest.mark.parametrize("largest", [3_000, 120_000])
def test_a_full_disk_publishes_nothing(store: EmbeddedStore, change: Change, largest: int) -> None:
    """No file may grow past `largest` bytes: the snapshot, the log or the tables of the engine fail to be written."""
    first = store.publish([change("a/x", *lines(*range(2_000)))])
    after = change("a/x", *[f'<x:{number}> <x:p> "{number * 7919 % 100_003}" .' for number in range(20_000)])
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(store.root), str(after.content), str(largest)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "The disk is full: nothing is published.\n", done.stderr
    assert done.returncode == 0
    assert store.current() == first
    assert store.verify(deep=True) == ()
    assert list((store.root / "staging").iterdir()) == []
    assert store.publish([after]).number == 2


@pytest.mark.slow
def test_a_process_killed_while_publishing_leaves_the_old_or_the_new_state(root: Path) -> None:
    """The whole of 50 kills is `tools/kill_test.py`; here a few, so that the script itself stays alive."""
    done = subprocess.run(
        [sys.executable, str(root / "tools" / "kill_test.py"), "--kills", "2", "--triples", "2000", "--seed", "7"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills, 0 broken" in done.stdout
