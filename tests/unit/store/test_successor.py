"""The snapshot of a next version, made out of the last one's, is the one that its file alone gives; so is the difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.store import EmbeddedStore, publish, snapshots, successor, writing
from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.store.snapshots import Difference, Snapshot, compare, keep_snapshot

Change = Callable[..., GraphChange]
LINES = [f'<http://x.org/{number % 40}> <http://x.org/p> "{number}"^^<{XSD}decimal>' for number in range(60)]
LINES += [
    line.replace('"^^', '.0"^^').replace('<http://x.org/p> "', '<http://x.org/p> "0') for line in LINES[:20]
]  # same values
LINES += [f'_:b{number} <http://x.org/p> "a <http://g.org/1> .é\\n"@fr' for number in range(4)]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file for a large one."""
    monkeypatch.setattr(snapshots, "_LARGE", 0)


def name(label: str) -> str:
    return f"http://x.org/genid/{label}"


def write(path: Path, numbers: list[int]) -> Path:
    graphs = (" <http://g.org/1>", " <http://g.org/1>", " <http://g.org/1>", " <http://g.org/2>", "")
    path.write_text("".join(f"{LINES[number]}{graphs[number % 5]} .\n" for number in numbers), encoding="utf-8")
    return path


def described(kept: Snapshot) -> GraphInfo:
    return GraphInfo(graph="x:g", role="data", triples=kept.triples, sha256=kept.sha256)


def texts(found: Difference) -> tuple[int, int, str, str]:
    return found.removed, found.inserted, found.removals.read_text("utf-8"), found.insertions.read_text("utf-8")


NUMBERS = st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=100)


@given(old=NUMBERS, new=NUMBERS)
@settings(max_examples=15, deadline=None)
@pytest.mark.slow
def test_it_is_what_the_file_alone_gives(tmp_path_factory: pytest.TempPathFactory, old: list[int], new: list[int]) -> None:
    folder = tmp_path_factory.mktemp("successor")
    layout = Layout(folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(successor, "_MOST_REMOVED", 100)
        patch.setattr(successor, "_MOST_LOOKED_AT", 100)
        first = keep_snapshot(layout, write(folder / "old.nq", old), name)
        second = write(folder / "new.nq", new)
        patch.setattr(snapshots, "_LARGE", 0)
        made = successor.keep_successor(layout, second, name, described(first), folder)
        patch.undo()
    alone = keep_snapshot(layout, second, name)
    assert made is not None
    assert made[0] == alone
    found = compare(layout.snapshot(first.sha256), layout.snapshot(alone.sha256), folder, "whole")
    assert texts(made[1]) == texts(found)


@pytest.mark.usefixtures("large")
def test_a_file_that_is_mostly_new_is_read_as_a_first_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    first = keep_snapshot(layout, write(tmp_path / "old.nq", list(range(30))), name)
    second = write(tmp_path / "new.nq", list(range(15, 60)))
    assert successor.keep_successor(layout, second, name, described(first), tmp_path) is None


@pytest.mark.usefixtures("large")
def test_a_line_that_does_not_parse_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    first = keep_snapshot(layout, write(tmp_path / "old.nq", list(range(30))), name)
    second = write(tmp_path / "new.nq", list(range(30)))
    with second.open("a") as file:
        file.write('<x:s> <x:p> "never closed .\n')
    with pytest.raises(StoreError, match="N-Quads") as caught:
        successor.keep_successor(layout, second, name, described(first), tmp_path)
    assert caught.value.place is not None
    assert (caught.value.place.file, caught.value.place.line) == (str(second), 31)


@pytest.mark.usefixtures("large")
def test_a_small_change_of_a_large_graph_is_compared_once(
    store: EmbeddedStore, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing compares the two versions again, and nothing counts the graph."""

    def never(*_: object) -> Difference:
        raise AssertionError("compared again")

    lines = [f"<http://x.org/{number}> <http://x.org/p> <http://x.org/o> ." for number in range(1_000)]
    with store:
        first = store.publish([change("a/x", *lines)])
        monkeypatch.setattr(publish, "compare", never)
        monkeypatch.setattr(writing, "count", never)
        second = store.publish([change("a/x", *lines[5:], "<http://x.org/new> <http://x.org/p> <http://x.org/o> .")])
        monkeypatch.undo()
        assert (first.triples, second.triples) == (1_000, 996)
        assert store.verify(deep=True) == ()
    assert list((store.root / "scratch").iterdir()) == []


def test_a_parent_that_does_not_hold_what_is_taken_away_is_noticed(store: EmbeddedStore, change: Change) -> None:
    lines = [f"<x:{number}> <x:p> <x:o> ." for number in range(1_000)]
    first = store.publish([change("a/x", *lines)])
    opened = ox.Store(str(first.path / "db"))
    opened.remove(ox.Quad(ox.NamedNode("x:3"), ox.NamedNode("x:p"), ox.NamedNode("x:o"), ox.NamedNode(first.graphs[0].graph)))
    opened.flush()
    del opened
    with pytest.raises(StoreError, match="nothing is published"):
        store.publish([change("a/x", *lines[5:])])
    assert store.current() == first


@pytest.mark.slow
def test_a_large_graph_is_loaded_in_parts_whose_cuts_are_line_ends(
    store: EmbeddedStore, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_OWN_LOAD", 10)
    monkeypatch.setattr(writing, "_PART", 100)  # about three lines
    made = store.publish([change("a/x", *[f'<x:{number}> <x:p> "{"é" * (number % 300)}" .' for number in range(200)])])
    assert (made.triples, store.verify(deep=True)) == (200, ())
