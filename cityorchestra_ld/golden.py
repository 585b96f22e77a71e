"""Golden rows: rows that a steward marked, the triples that they must give, and what a change of the mapping does to them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.mapping import read_mapping
from cityorchestra_ld.mapping.preview import Previewed, Said, Wrong, preview_rows
from cityorchestra_ld.prepare import check_sources
from cityorchestra_ld.sources import stage
from cityorchestra_ld.territory import Territory

_MARK: Final = re.compile(r"#\s*row:\s*(\S.*?)\s+(\d+)\s*")
_HEAD: Final = """\
# Golden rows: what these rows of the partner's file must become. `cityorchestra golden {key}` compares,
# `--row FILE:ROW --update` marks one more row, `--update` accepts what the mapping gives now. Rows are counted as a
# spreadsheet counts them, records of JSON from 1.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A row and the triples that it must give, each a line of N-Triples."""

    source: str
    row: int
    triples: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What became of one marked row: triples that are gone, triples that are new, and values that cannot be mapped."""

    source: str
    row: int
    missing: tuple[str, ...] = ()
    added: tuple[Said, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    gone: bool = False  # the row is no longer in the file

    @property
    def same(self) -> bool:
        """Tell whether the row gives what it must."""
        return not (self.missing or self.added or self.wrong or self.gone)


def file_of(territory: Territory, key: str) -> Path:
    """Return where the golden rows of a dataset are."""
    return territory.root / "examples" / key / "golden" / "expected.nt"


def read(file: Path) -> tuple[Marked, ...]:
    """Read marked rows; raise UsageError with the line of what is no mark and no triple."""
    rows: dict[tuple[str, int], set[str]] = {}
    current: set[str] | None = None
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        mark = _MARK.fullmatch(line)
        if mark:
            current = rows.setdefault((mark[1], int(mark[2])), set())
        elif line.strip() and not line.startswith("#"):
            if current is None:
                raise _unreadable(file, number, line, "no row")
            current.add(_normal(line, file, number))
    return tuple(Marked(source=source, row=row, triples=frozenset(triples)) for (source, row), triples in rows.items())


def _normal(line: str, file: Path, number: int) -> str:
    try:
        return _written(next(iter(ox.parse(line, ox.RdfFormat.N_TRIPLES))))
    except (SyntaxError, StopIteration) as error:
        raise _unreadable(file, number, line, str(error)) from None


def _written(triple: ox.Quad) -> str:
    return f"{triple.subject} {triple.predicate} {triple.object} ."


def _unreadable(file: Path, number: int, line: str, why: str) -> UsageError:
    return UsageError(
        Text(f"Ligne illisible dans les lignes de référence : {why}.", f"A line of the golden rows cannot be read: {why}."),
        place=Place(file=str(file), line=number, value=line),
        hint=Text("Écrivez « # row: fichier numéro », puis ses triplets en N-Triples.",
                  "Write '# row: file number', then its triples in N-Triples."),
    )  # fmt: skip


def write(file: Path, key: str, rows: Sequence[Marked]) -> None:
    """Write marked rows, each with its triples in a fixed order."""
    parts = [_HEAD.format(key=key)]
    for row in sorted(rows, key=lambda row: (row.source, row.row)):
        parts.append(f"\n# row: {row.source} {row.row}\n" + "".join(f"{triple}\n" for triple in sorted(row.triples)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(parts), encoding="utf-8")


def compare(territory: Territory, key: str) -> tuple[Difference, ...]:
    """Map the marked rows of a dataset and hold them against what they must give; raise UsageError when none is marked."""
    file = file_of(territory, key)
    territory.dataset(key)
    if not file.exists():
        raise _none_marked(file, key)
    marked = read(file)
    shown = _mapped(territory, key, [(row.source, row.row) for row in marked])
    return tuple(_difference(row, shown.get((row.source, row.row), [])) for row in marked)


def _none_marked(file: Path, key: str) -> UsageError:
    return UsageError(
        Text(f"{key} n'a pas de lignes de référence.", f"{key} has no golden rows."),
        place=Place(file=str(file)),
        hint=Text(f"Marquez-en : cityorchestra golden {key} --row FICHIER:LIGNE --update",
                  f"Mark some: cityorchestra golden {key} --row FILE:ROW --update"),
    )  # fmt: skip


def _mapped(territory: Territory, key: str, rows: Collection[tuple[str, int]]) -> dict[tuple[str, int], list[Previewed]]:
    dataset = territory.dataset(key)
    plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
    check_sources(plan, dataset)
    known = [spec.name for spec in dataset.sources if spec.name in plan.names]
    wanted: dict[str, list[int]] = {}
    for source, row in rows:
        if source not in known:
            raise UsageError(
                Text(f"« {source} » n'est pas une source de {key}.", f"'{source}' is not a source of {key}."),
                hint=Text(f"Les sources sont : {', '.join(known)}.", f"The sources are: {', '.join(known)}."),
            )
        wanted.setdefault(source, []).append(row)
    found: dict[tuple[str, int], list[Previewed]] = {}
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        tables = {spec.name: stage(spec, Path(folder), territory.limits) for spec in dataset.sources}
        for item in preview_rows(plan, tables, wanted):
            found.setdefault((item.source, item.row), []).append(item)
    return found


def _difference(row: Marked, shown: Sequence[Previewed]) -> Difference:
    given = {_line(said): said for item in shown for said in item.triples}
    return Difference(
        source=row.source,
        row=row.row,
        missing=tuple(sorted(row.triples - given.keys())),
        added=tuple(given[line] for line in sorted(given.keys() - row.triples)),
        wrong=tuple(wrong for item in shown for wrong in item.wrong),
        gone=not shown,
    )


def _line(said: Said) -> str:
    return _written(next(iter(ox.parse(f"{said.subject} {said.predicate} {said.object} .", ox.RdfFormat.N_TRIPLES))))


def accept(territory: Territory, key: str, more: Sequence[str] = ()) -> tuple[Marked, ...]:
    """
    Write what the marked rows give now, and mark more of them (`FILE:ROW`); raise UsageError for a row that cannot be mapped.

    `FILE` may be left out when the dataset has one source.
    """
    file = file_of(territory, key)
    names = [spec.name for spec in territory.dataset(key).sources]
    old: Mapping[tuple[str, int], Marked] = {(row.source, row.row): row for row in (read(file) if file.exists() else ())}
    wanted = list(dict.fromkeys([*old, *_asked(more, names)]))
    if not wanted:
        raise _none_marked(file, key)
    shown = _mapped(territory, key, wanted)
    rows = []
    for source, row in wanted:
        given = shown.get((source, row), [])
        wrong = next((wrong for item in given for wrong in item.wrong), None)
        if wrong is not None or not given:
            raise UsageError(
                wrong.message if wrong else Text("Cette ligne n'existe pas.", "There is no such row."),
                place=wrong.place if wrong else Place(file=source, row=row),
                hint=wrong.hint if wrong else None,
            )
        triples = frozenset(_line(said) for item in given for said in item.triples)
        rows.append(Marked(source=source, row=row, triples=triples))
    write(file, key, rows)
    return tuple(rows)


def _asked(given: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, int]]:
    for text in given:
        source, _, row = text.rpartition(":")
        source = source or (names[0] if len(names) == 1 else "")
        if not source or not row.isdecimal():
            raise UsageError(
                Text(f"Écrivez FICHIER:LIGNE au lieu de « {text} ».", f"Write FILE:ROW instead of '{text}'."),
                hint=Text(f"Les sources sont : {', '.join(names)}.", f"The sources are: {', '.join(names)}."),
            )
        yield source, int(row)
