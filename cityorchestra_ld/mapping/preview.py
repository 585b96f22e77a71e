"""Show records of the sources beside the triples that they give, and what is wrong with them."""

from __future__ import annotations

import bisect
import csv
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cityorchestra_ld.errors import Place, Text
from cityorchestra_ld.mapping.diagnose import label_of, spreadsheet_row
from cityorchestra_ld.mapping.engine import Unit, compile_units
from cityorchestra_ld.mapping.plan import LogicalSource, Plan
from cityorchestra_ld.mapping.relations import ROW
from cityorchestra_ld.mapping.sql import Lit, concat, guarded, listed, unique_loops
from cityorchestra_ld.mapping.statements import Compiled, Line
from cityorchestra_ld.mapping.workspace import Workspace, workspace
from cityorchestra_ld.model import Table


@dataclass(frozen=True, slots=True)
class Said:
    """One triple of a record, as in N-Triples, and the rule that makes it."""

    subject: str
    predicate: str
    object: str
    triples_map: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A value of a record that stops the mapping."""

    place: Place
    message: Text
    hint: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """One record, its triples, and what is wrong with it."""

    source: str  # as the mapping calls it
    file: str
    row: int  # as a spreadsheet shows it; of a JSON document the number of the record
    pointed: bool  # a JSON document
    record: Mapping[str, Any]
    triples: tuple[Said, ...]
    wrong: tuple[Wrong, ...] = ()


def preview(plan: Plan, tables: Mapping[str, Table], count: int) -> tuple[Previewed, ...]:
    """Return the first `count` records of each source with their triples; a wrong value is said, and does not stop the rest."""
    return _shown(plan, tables, dict.fromkeys(tables, range(1, count + 1)))


def preview_rows(plan: Plan, tables: Mapping[str, Table], rows: Mapping[str, Collection[int]]) -> tuple[Previewed, ...]:
    """Return chosen rows of some sources with their triples; rows are counted as a spreadsheet does, records of JSON from 1."""
    return _shown(plan, tables, {name: _records_of(tables[name], chosen) for name, chosen in rows.items()})


def _records_of(table: Table, rows: Collection[int]) -> list[int]:
    """Return the numbers of the records in some rows; rows that hold no record are left out."""
    if table.format == "json":
        return sorted(rows)
    numbers = range(1, (table.records or 0) + 1)
    places = {row: bisect.bisect_left(numbers, row, key=table.row) for row in rows}
    return [numbers[at] for row, at in sorted(places.items()) if at < len(numbers) and table.row(numbers[at]) == row]


def _shown(plan: Plan, tables: Mapping[str, Table], records: Mapping[str, Sequence[int]]) -> tuple[Previewed, ...]:
    shown: list[Previewed] = []
    with tempfile.TemporaryDirectory(prefix="preview-") as folder, workspace(plan, tables, Path(folder)) as opened:
        for unit in compile_units(opened, strict=False):
            if not any(compiled.lines for compiled in unit.maps):
                continue  # read for joins only
            source = plan.base_source(unit.source)
            numbers = records.get(source.spec.name, ())
            if not numbers:
                continue
            table = opened.table(source)
            triples, wrong = _triples(opened, unit, numbers), _wrong(opened, unit, table, numbers)
            for number, record in _records(opened, source, table, numbers):
                shown.append(
                    Previewed(
                        source=source.spec.name,
                        file=table.label, row=spreadsheet_row(table, number), pointed=table.format == "json", record=record,
                        triples=tuple(triples.get(number, ())), wrong=tuple(wrong.get(number, ())),
                    )
                )  # fmt: skip
    return tuple(shown)


# --- triples ------------------------------------------------------------------------------------------------------------------


def _triples(opened: Workspace, unit: Unit, numbers: Sequence[int]) -> dict[int, list[Said]]:
    lines = [(compiled, line) for compiled in unit.maps for line in compiled.lines]
    found: dict[int, list[Said]] = {}
    if not lines:
        return found
    items = ", ".join(_entry(position, line) for position, (_, line) in enumerate(lines))
    inner = unit.rows.select(f"{ROW} AS n, unnest(flatten([{items}])) AS t", numbered=True, where=_among(numbers))
    rows = opened.execute(f"SELECT DISTINCT n, t.k, t.s, t.p, t.o FROM ({inner}) ORDER BY n, t.k, t.o").fetchall()
    for number, position, subject, predicate, value in rows:
        compiled, line = lines[position]
        found.setdefault(int(number), []).append(Said(subject, predicate, value, _name(compiled), line.line))
    return found


def _among(numbers: Sequence[int]) -> str:
    return f"{ROW} IN ({', '.join(str(number) for number in numbers)})"


def _name(compiled: Compiled) -> str:
    return compiled.map.name


def _entry(position: int, line: Line) -> str:
    used = (line.subject, line.predicate, line.object)
    texts = [f"({concat(value.pieces)})::VARCHAR" for value in used]
    packed = f"struct_pack(k := {position}, s := {texts[0]}, p := {texts[1]}, o := {texts[2]})"
    made = [f"({piece}) IS NOT NULL" for value in used for piece in value.pieces if not isinstance(piece, Lit)]  # not wrong
    guards = dict.fromkeys((*line.guards, *(guard for value in used for guard in value.guards), *made))
    return listed(guarded(list(guards), packed), unique_loops(*(value.loops for value in used)))


def _wrong(opened: Workspace, unit: Unit, table: Table, numbers: Sequence[int]) -> dict[int, list[Wrong]]:
    found: dict[int, list[Wrong]] = {}
    if not unit.checks:
        return found
    columns = ", ".join(f"{check.bad} AS b{number}" for number, check in enumerate(unit.checks))
    rows: Sequence[Sequence[Any]] = opened.execute(
        unit.rows.select(f"{ROW} AS n, {columns}", numbered=True, where=_among(numbers))
    ).fetchall()
    for row in rows:
        for check, value in zip(unit.checks, row[1:], strict=True):
            if value is None:
                continue
            place = Place(
                file=table.label, row=spreadsheet_row(table, int(row[0])), value=str(value), line=None,
                column=", ".join(label_of(table, reference) for reference in check.references) or None,
                rule=f"{check.rule.triples_map} → {check.rule.part}",
            )  # fmt: skip
            wrong = Wrong(place=place, message=check.message, hint=check.hint)
            several = found.setdefault(int(row[0]), [])
            if wrong not in several:
                several.append(wrong)
    return found


# --- records ------------------------------------------------------------------------------------------------------------------


def _records(
    opened: Workspace, source: LogicalSource, table: Table, numbers: Sequence[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    wanted, last = set(numbers), max(numbers)
    if source.formulation == "csv":
        with table.path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter=table.delimiter, quotechar=table.quote or None)
            if table.header_row:
                next(rows, None)
            names = table.labels if len(table.labels) == len(table.columns) else table.columns
            for number, cells in zip(range(1, last + 1), rows, strict=False):
                if number in wanted:
                    yield number, dict(zip(names, cells, strict=False))
        return
    with opened.records(source, numbered=True).path.open("rb") as lines:
        for line in lines:
            record = msgspec.json.decode(line)
            if record["n"] in wanted:
                yield record["n"], record["r"] if isinstance(record["r"], dict) else {"@": record["r"]}
            if record["n"] >= last:
                return
