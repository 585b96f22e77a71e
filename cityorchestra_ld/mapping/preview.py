"""Show the first records of each source beside the triples that they give, and what is wrong with them."""

from __future__ import annotations

import csv
import itertools
import tempfile
from collections.abc import Mapping, Sequence
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

    file: str
    row: int  # as a spreadsheet shows it; of a JSON document the number of the record
    pointed: bool  # a JSON document
    record: Mapping[str, Any]
    triples: tuple[Said, ...]
    wrong: tuple[Wrong, ...] = ()


def preview(plan: Plan, tables: Mapping[str, Table], count: int) -> tuple[Previewed, ...]:
    """Return the first `count` records of each source with their triples; a wrong value is said, and does not stop the rest."""
    shown: list[Previewed] = []
    with tempfile.TemporaryDirectory(prefix="preview-") as folder, workspace(plan, tables, Path(folder)) as opened:
        for unit in compile_units(opened, strict=False):
            if not any(compiled.lines for compiled in unit.maps):
                continue  # read for joins only
            source = plan.base_source(unit.source)
            table = opened.table(source)
            triples, wrong = _triples(opened, unit, count), _wrong(opened, unit, table, count)
            for number, record in enumerate(_records(opened, source, table, count), 1):
                shown.append(
                    Previewed(
                        file=table.label, row=spreadsheet_row(table, number), pointed=table.format == "json", record=record,
                        triples=tuple(triples.get(number, ())), wrong=tuple(wrong.get(number, ())),
                    )
                )  # fmt: skip
    return tuple(shown)


# --- triples ------------------------------------------------------------------------------------------------------------------


def _triples(opened: Workspace, unit: Unit, count: int) -> dict[int, list[Said]]:
    lines = [(compiled, line) for compiled in unit.maps for line in compiled.lines]
    found: dict[int, list[Said]] = {}
    if not lines:
        return found
    items = ", ".join(_entry(position, line) for position, (_, line) in enumerate(lines))
    inner = unit.rows.select(f"{ROW} AS n, unnest(flatten([{items}])) AS t", numbered=True, where=f"{ROW} <= {count}")
    rows = opened.execute(f"SELECT DISTINCT n, t.k, t.s, t.p, t.o FROM ({inner}) ORDER BY n, t.k, t.o").fetchall()
    for number, position, subject, predicate, value in rows:
        compiled, line = lines[position]
        found.setdefault(int(number), []).append(Said(subject, predicate, value, _name(compiled), line.line))
    return found


def _name(compiled: Compiled) -> str:
    return compiled.map.name


def _entry(position: int, line: Line) -> str:
    used = (line.subject, line.predicate, line.object)
    texts = [f"({concat(value.pieces)})::VARCHAR" for value in used]
    packed = f"struct_pack(k := {position}, s := {texts[0]}, p := {texts[1]}, o := {texts[2]})"
    made = [f"({piece}) IS NOT NULL" for value in used for piece in value.pieces if not isinstance(piece, Lit)]  # not wrong
    guards = dict.fromkeys((*line.guards, *(guard for value in used for guard in value.guards), *made))
    return listed(guarded(list(guards), packed), unique_loops(*(value.loops for value in used)))


def _wrong(opened: Workspace, unit: Unit, table: Table, count: int) -> dict[int, list[Wrong]]:
    found: dict[int, list[Wrong]] = {}
    if not unit.checks:
        return found
    columns = ", ".join(f"{check.bad} AS b{number}" for number, check in enumerate(unit.checks))
    rows: Sequence[Sequence[Any]] = opened.execute(
        unit.rows.select(f"{ROW} AS n, {columns}", numbered=True, where=f"{ROW} <= {count}")
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


def _records(opened: Workspace, source: LogicalSource, table: Table, count: int) -> list[dict[str, Any]]:
    if source.formulation == "csv":
        with table.path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter=table.delimiter, quotechar=table.quote or None)
            first = 1 if table.header_row else 0
            names = table.labels if len(table.labels) == len(table.columns) else table.columns
            return [dict(zip(names, cells, strict=False)) for cells in itertools.islice(rows, first, first + count)]
    with opened.records(source).path.open("rb") as lines:
        values = [msgspec.json.decode(line)["r"] for line in itertools.islice(lines, count)]
    return [value if isinstance(value, dict) else {"@": value} for value in values]
