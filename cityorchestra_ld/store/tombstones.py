"""Remember which subjects of ours went away, when, and from which version: what stands behind 410 Gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, StoreError, Text
from cityorchestra_ld.model import Access, Generation, GraphInfo, Role

_FILE: Final = "gone.sqlite"
_TABLE: Final = """CREATE TABLE IF NOT EXISTS gone (
  iri TEXT, generation INTEGER, at TEXT, dataset TEXT, version TEXT, PRIMARY KEY (iri, generation)
) WITHOUT ROWID"""
_LASTING: Final[frozenset[Role]] = frozenset(("ref", "data", "codelist"))  # live things come and go by the minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A subject that is published no more."""

    iri: str
    generation: int  # the first one without it
    at: datetime
    dataset: str | None  # where it was
    version: str | None  # of the dataset, the first one without it; nothing when the whole dataset went away


def record(root: Path, removals: Iterable[Path], parent: Generation, generation: Generation, prefix: str) -> int:
    """
    Note the subjects under `prefix` that a generation has no more, before it is published; return how many they are.

    `removals` are N-Triples files with what was taken away from graphs, each sorted. What a publisher that was killed noted is
    forgotten. Only what everybody could see is noted. Raises StoreError when the ledger cannot be written.
    """
    files = [file for file in removals if file.stat().st_size]
    if not files and not (root / _FILE).exists():
        return 0
    before = {info.graph: info for info in parent.graphs}
    after = {info.graph: info for info in generation.graphs}
    old, new = (ox.Store.read_only(str(folder / "db")) for folder in (parent.path, generation.path))
    rows = (
        (iri, generation.number, generation.created.isoformat(), info.dataset, _version(info, after))
        for iri in _subjects(files, prefix)
        if next(new.quads_for_pattern(ox.NamedNode(iri), None, None, None), None) is None
        for info in _where(old, iri, before)
    )
    try:
        with closing(sqlite3.connect(root / _FILE)) as ledger, ledger:
            ledger.execute(_TABLE)
            ledger.execute("DELETE FROM gone WHERE generation >= ?", (generation.number,))
            return ledger.executemany("INSERT OR IGNORE INTO gone VALUES (?, ?, ?, ?, ?)", rows).rowcount
    except sqlite3.Error as error:
        raise _broken(root, error) from None


def _subjects(removals: Iterable[Path], prefix: str) -> Iterator[str]:
    start = f"<{prefix}"
    for file in removals:
        last = ""
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith(start):
                    subject = line[1 : line.index(">")]
                    if subject != last:
                        yield subject
                    last = subject


def _where(store: ox.Store, iri: str, graphs: dict[str, GraphInfo]) -> Iterator[GraphInfo]:
    """Yield the first public graph that said something lasting about a subject."""
    for quad in store.quads_for_pattern(ox.NamedNode(iri), None, None, None):
        info = graphs.get(quad.graph_name.value) if isinstance(quad.graph_name, ox.NamedNode) else None
        if info is not None and info.role in _LASTING and info.access is Access.PUBLIC:
            yield info
            return


def _version(info: GraphInfo, after: dict[str, GraphInfo]) -> str | None:
    return after[info.graph].version if info.graph in after else None


def find_gone(root: Path, iri: str, generation: int) -> Gone | None:
    """Look up when a subject went away, as far as a generation knows; raise StoreError when the ledger cannot be read."""
    file = root / _FILE
    if not file.exists():
        return None
    query = (
        "SELECT generation, at, dataset, version FROM gone WHERE iri = ? AND generation <= ? ORDER BY generation DESC LIMIT 1"
    )
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as ledger:
            row = ledger.execute(query, (iri, generation)).fetchone()
    except sqlite3.Error as error:
        raise _broken(root, error) from None
    if row is None:
        return None
    return Gone(iri=iri, generation=row[0], at=datetime.fromisoformat(row[1]), dataset=row[2], version=row[3])


def _broken(root: Path, error: sqlite3.Error) -> StoreError:
    return StoreError(
        Text(f"Le registre des ressources retirées est illisible : {error}", f"The ledger of removed resources fails: {error}"),
        place=Place(file=str(root / _FILE)),
    )
