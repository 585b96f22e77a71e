"""A ledger rebuilds every version, in as few entries as it may keep, and forgets what the public may not see."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyoxigraph as ox
import zstandard

from cityorchestra_ld.catalog import ledger
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.store import open_store
from cityorchestra_ld.store.generations import Layout

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "city/stops"
N = ox.NamedNode


def content(seed: int) -> list[ox.Triple]:
    """Return one version: some of 40 things, each with a value that may change."""
    chance = random.Random(seed)
    things = [number for number in range(40) if chance.random() < 0.7]
    return [
        ox.Triple(N(f"https://x.example/{n}"), N("https://x.example/p"), ox.Literal(str(chance.randrange(3)))) for n in things
    ]


def keep(state: Path, triples: list[ox.Triple], number: int) -> GraphInfo:
    file = state / f"{number}.nt"
    file.write_bytes(ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES))
    info = GraphInfo(graph="https://x.example/g", role="data", dataset=KEY, version=f"1-{number}")
    with open_store(state / "store") as store:
        return store.snapshot(info, file)


def replayed(state: Path, from_entry: int = 0, known: dict[str, list[tuple[str, str]]] | None = None) -> set[str]:
    """Read the entries as a client does, and return the lines of the last version."""
    found = dict(known or {})
    for entry in ledger.read(state, KEY).entries[from_entry:]:
        if entry.kind == "base":
            found.clear()
        for page in range(1, entry.pages + 1):
            for subject, pairs in ledger.things(state, KEY, entry, page):
                found[subject] = pairs
    return {f"{subject} {p} {o} .\n" for subject, pairs in found.items() for p, o in pairs}


def lines(state: Path, info: GraphInfo) -> set[str]:
    with zstandard.open(Layout(state / "store").snapshot(info.sha256), "rt", encoding="utf-8") as file:
        return set(file)


def test_any_history_rebuilds_its_last_version_in_bounded_entries(tmp_path: Path) -> None:
    for number in range(15):
        info = keep(tmp_path, content(number), number)
        ledger.record(tmp_path, [info], START + timedelta(days=number), keep=6)
        entries = ledger.read(tmp_path, KEY).entries
        assert len(entries) <= 6 and entries[0].kind == "base" and {entry.kind for entry in entries[1:]} <= {"change"}
        assert [entry.moment for entry in entries] == sorted({entry.moment for entry in entries})
        assert replayed(tmp_path) == lines(tmp_path, info)
    names = {path.name for path in ledger.folder_of(tmp_path, KEY).iterdir()}
    assert len(names) <= 2 + 2 * 6


def test_the_same_content_again_is_no_entry_and_a_lost_store_loses_no_entry(tmp_path: Path) -> None:
    info = keep(tmp_path, content(1), 1)
    for day in range(3):
        ledger.record(tmp_path, [info], START + timedelta(days=day))
    assert len(ledger.read(tmp_path, KEY).entries) == 1
    expected = lines(tmp_path, info)
    Layout(tmp_path / "store").snapshot(info.sha256).unlink()
    assert replayed(tmp_path) == expected


def test_going_back_is_a_change_with_a_later_moment(tmp_path: Path) -> None:
    first, second = keep(tmp_path, content(1), 1), keep(tmp_path, content(2), 2)
    ledger.record(tmp_path, [first], START)
    ledger.record(tmp_path, [second], START + timedelta(days=1))
    ledger.record(tmp_path, [first], START)  # the generation that a rollback points at is an old one
    entries = ledger.read(tmp_path, KEY).entries
    assert len(entries) == 3 and entries[2].moment > entries[1].moment
    assert replayed(tmp_path) == lines(tmp_path, first)


def test_pages_hold_a_fixed_number_of_things(tmp_path: Path) -> None:
    many = [
        ox.Triple(N(f"https://x.example/{n:04}"), N("https://x.example/p"), ox.Literal("1")) for n in range(ledger.PAGE + 3)
    ]
    ledger.record(tmp_path, [keep(tmp_path, many, 1)], START)
    entry = ledger.read(tmp_path, KEY).entries[0]
    assert [len(list(ledger.things(tmp_path, KEY, entry, page))) for page in (1, 2)] == [ledger.PAGE, 3] and entry.pages == 2


def test_what_the_public_may_not_see_any_more_loses_its_ledger(tmp_path: Path) -> None:
    ledger.record(tmp_path, [keep(tmp_path, content(1), 1)], START)
    ledger.record(tmp_path, [], START)
    assert not ledger.folder_of(tmp_path, KEY).exists()
