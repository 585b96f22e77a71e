"""Find every row that a mapping cannot translate, and leave such rows out of the tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from cityorchestra_ld.mapping.diagnose import explain_failure, failure, places_of
from cityorchestra_ld.mapping.engine import Unit, compile_units
from cityorchestra_ld.mapping.plan import Plan
from cityorchestra_ld.mapping.relations import ROW
from cityorchestra_ld.mapping.workspace import Workspace, workspace
from cityorchestra_ld.model import SetAside, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRow:
    """A record that cannot be mapped: where it is, and the first thing that is wrong with it."""

    source: str
    record: int
    found: SetAside
    inside: tuple[str | int, ...] | None = None  # where the record is in a JSON document


def wrong_rows(plan: Plan, tables: Mapping[str, Table], *, most: int = 100_000) -> tuple[WrongRow, ...]:
    """Return each record with a value that the mapping refuses, at most `most` for each source, in the order of the file."""
    found: dict[object, WrongRow] = {}
    with tempfile.TemporaryDirectory(prefix="wrong-") as folder, workspace(plan, tables, Path(folder)) as opened:
        for row in _rows(opened, most):
            found.setdefault((row.source, row.record, row.inside), row)
    return tuple(found.values())


def _rows(opened: Workspace, most: int) -> list[WrongRow]:
    found: list[WrongRow] = []
    for unit in compile_units(opened, strict=False):
        try:
            found += _of_unit(opened, unit, most)
        except duckdb.Error as error:
            if not opened.adapt(unit.rows, str(error)):
                raise explain_failure(opened, unit.source, error, compile_units) from error
            return _rows(opened, most)
    return found


def _of_unit(opened: Workspace, unit: Unit, most: int) -> Iterator[WrongRow]:
    if not unit.checks:
        return
    columns = ", ".join(f"{check.bad} AS b{number}" for number, check in enumerate(unit.checks))
    some = " OR ".join(f"b{number} IS NOT NULL" for number in range(len(unit.checks)))
    inner = unit.rows.select(f"{ROW} AS n, {columns}", numbered=True)
    rows: Sequence[Sequence[Any]] = opened.execute(f"SELECT * FROM ({inner}) WHERE {some} ORDER BY n LIMIT {most}").fetchall()
    source = opened.plan.base_source(unit.source)
    places = places_of(opened, source, {int(row[0]) for row in rows})
    for row in rows:
        position, value = next((position, value) for position, value in enumerate(row[1:]) if value is not None)
        record = int(row[0])
        error = failure(opened, unit, unit.checks[position], record, str(value), places.get(record))
        yield WrongRow(source=source.spec.name, record=record, found=SetAside.of(error), inside=places.get(record))
