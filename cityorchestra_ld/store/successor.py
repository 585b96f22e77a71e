"""Make the snapshot of the next version of a graph out of the last one's: lines that both have are not looked at again."""

from __future__ import annotations

import bisect
import itertools
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.store.normal import Normaliser
from cityorchestra_ld.store.snapshots import (
    Difference,
    Lines,
    Snapshot,
    canonical,
    described,
    in_step,
    is_large,
    locate,
    spill,
    write_snapshot,
)
from cityorchestra_ld.store.sorting import line_ending, lines_database, table_of_lines

if TYPE_CHECKING:
    import duckdb

_MOST_REMOVED: Final = 0.25  # of the old lines: when more go, nothing is gained
_MOST_LOOKED_AT: Final = 0.5  # new lines that are not in the old version, against the old lines
_BATCH: Final = 50_000

# A line is recognised by 128 bits of two hashes with salts of this run. The old lines are unique, so each new one meets at most
# one of them; their hashes alone are held, with their numbers.
_UNMATCHED: Final = """CREATE TEMP TABLE unmatched AS SELECT l, n FROM (
    SELECT l, hash(concat(getvariable('salt'), t)) AS h, hash(concat(getvariable('pepper'), t)) AS i FROM (
      SELECT l, CASE WHEN ends_with(l, getvariable('ending')) THEN concat(l[:-getvariable('cut')], ' .') ELSE l END AS t
      FROM new)
  ) AS a FULL JOIN (
    SELECT row_number() OVER () - 1 AS n, hash(concat(getvariable('salt'), l)) AS h, hash(concat(getvariable('pepper'), l)) AS i
    FROM old) AS b USING (h, i)
  WHERE l IS NULL OR n IS NULL"""


def keep_successor(
    layout: Layout, content: Path, name_blank_node: Callable[[str], str], old: GraphInfo, folder: Path
) -> tuple[Snapshot, Difference] | None:
    """
    Do as `keep_snapshot`, and write into `folder` how the result differs from the kept snapshot of `old`.

    Nothing when the file is small, when too much of it is new, or when it is not written in lines that a table reader can read.
    """
    import duckdb  # a server that never publishes does without

    if not is_large(content) or not is_large(layout.snapshot(old.sha256), packed=True):
        return None
    layout.prepare()
    with tempfile.TemporaryDirectory(dir=layout.scratch) as name, ExitStack() as stack:
        work = Path(name)
        database = stack.enter_context(lines_database(work / "spill"))
        try:
            if not _find(database, content, layout.snapshot(old.sha256), old.triples, work / "other.nq"):
                return None
        except duckdb.Error:
            return None
        normaliser = Normaliser(name_blank_node)
        with locate(content), ExitStack() as inner:
            others = spill(canonical(work / "other.nq", work, normaliser, inner), work / "others")
        with (folder / "removed.nt").open("wb") as removals, (folder / "inserted.nt").open("wb") as insertions:
            splice = _Splice(_Numbers(database), removals, insertions)
            snapshot = write_snapshot(layout, splice.lines(in_step([layout.snapshot(old.sha256), others], stack)))
        found = Difference(splice.removed, splice.inserted, folder / "removed.nt", folder / "inserted.nt")
        return described(snapshot, normaliser), found


def _find(database: duckdb.DuckDBPyConnection, content: Path, old: Path, triples: int, others: Path) -> bool:
    """Find what only one of the two has, and write the new lines; tell whether it is little."""
    ending = line_ending(content)
    if ending is None:
        return False
    table_of_lines(database, content).filter("l <> ''").create_view("new")
    table_of_lines(database, old).create_view("old")
    salts = {"salt": secrets.token_hex(16), "pepper": secrets.token_hex(16)}
    for variable, value in {**salts, "ending": ending, "cut": len(ending) + 1}.items():
        database.execute(f"SET VARIABLE {variable} = ?", [value])
    database.execute("SET disabled_optimizers = 'build_side_probe_side'")  # hold the old hashes, never the new lines
    database.execute(_UNMATCHED)
    looked_at, removed = database.execute("SELECT count(l), count(n) FROM unmatched").fetchone() or (0, 0)
    if removed > triples * _MOST_REMOVED or looked_at > triples * _MOST_LOOKED_AT:
        return False
    database.execute("COPY (SELECT l FROM unmatched WHERE n IS NULL) TO ? (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', "
                     "DELIMITER '', USE_TMP_FILE false)", [str(others)])  # fmt: skip
    return True


class _Numbers:
    """The numbers of the old lines that the new file does not have, in order."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._result = database.execute("SELECT n FROM unmatched WHERE l IS NULL ORDER BY n")
        self._ready: list[int] = []
        self._all = False

    def below(self, end: int) -> list[int]:
        """Take the numbers below `end` that were not taken yet."""
        while not self._all and (not self._ready or self._ready[-1] < end):
            batch = self._result.fetchmany(_BATCH)
            self._all = not batch
            self._ready += itertools.chain.from_iterable(batch)
        cut = bisect.bisect_left(self._ready, end)
        taken, self._ready = self._ready[:cut], self._ready[cut:]
        return taken


@dataclass(slots=True)
class _Splice:
    """Puts new lines between old ones, takes others away, and writes down both."""

    numbers: _Numbers
    removals: BinaryIO
    insertions: BinaryIO
    removed: int = 0
    inserted: int = 0

    def lines(self, steps: Iterator[list[Lines]]) -> Iterator[Lines]:
        """Yield the new version; each step holds old lines, and the new ones at their place, some of which may be old."""
        start = 0
        for old, others in steps:
            missing = self.numbers.below(start + len(old))
            start, first = start + len(old), start
            if missing or others:
                yield self._step(old, [number - first for number in missing], others)
            else:
                yield old

    def _step(self, old: Lines, missing: list[int], others: Lines) -> Lines:
        again = set(others)  # a value written in another way than the store writes it is no change
        gone = [place for place in missing if old[place] not in again]
        fresh = [line for line in others if not _holds(old, line)]
        self.removals.writelines(old[place] for place in gone)
        self.insertions.writelines(fresh)
        self.removed += len(gone)
        self.inserted += len(fresh)
        for place in reversed(gone):
            del old[place]
        return sorted([*old, *fresh]) if fresh else old  # two runs: this is a merge


def _holds(lines: Lines, line: bytes) -> bool:
    place = bisect.bisect_left(lines, line)
    return place < len(lines) and lines[place] == line
