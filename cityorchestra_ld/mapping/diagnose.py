"""Find the row behind a failure: the fast pass runs without row numbers, this second pass has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.expressions import FAILED, Check
from cityorchestra_ld.mapping.plan import LogicalSource
from cityorchestra_ld.mapping.relations import ROW
from cityorchestra_ld.mapping.workspace import Workspace
from cityorchestra_ld.model import Table

if TYPE_CHECKING:
    from cityorchestra_ld.mapping.engine import Unit

_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")


def explain_failure(
    opened: Workspace, source: str, error: duckdb.Error, compile_units: Callable[..., Sequence[Unit]]
) -> MappingError:
    """Turn an error of the database into one that names file, row, column, value and rule."""
    said = str(error)
    if FAILED not in said:
        return _database_error(opened, source, said)
    for unit in compile_units(opened, strict=False):
        if unit.source == source or opened.plan.source_key(unit.source) == opened.plan.source_key(source):
            found = _first_failure(opened, unit)
            if found is not None:
                return found
    for unit in compile_units(opened, strict=False):  # the value may be in the source of a parent
        found = _first_failure(opened, unit)
        if found is not None:
            return found
    return _database_error(opened, source, said)


def _first_failure(opened: Workspace, unit: Unit) -> MappingError | None:
    if not unit.checks:
        return None
    columns = ", ".join(f"{check.bad} AS b{number}" for number, check in enumerate(unit.checks))
    some = " OR ".join(f"b{number} IS NOT NULL" for number in range(len(unit.checks)))
    inner = unit.rows.select(f"{ROW} AS n, {columns}", numbered=True)
    row: Sequence[Any] | None = opened.execute(f"SELECT * FROM ({inner}) WHERE {some} ORDER BY n LIMIT 1").fetchone()
    if row is None:
        return None
    number, value = next((position, value) for position, value in enumerate(row[1:]) if value is not None)
    inside = places_of(opened, opened.plan.base_source(unit.source), {int(row[0])}).get(int(row[0]))
    return failure(opened, unit, unit.checks[number], int(row[0]), str(value), inside)


def failure(
    opened: Workspace, unit: Unit, check: Check, record: int, value: str, inside: tuple[str | int, ...] | None
) -> MappingError:
    """Make the error that names the file, row, column, value and rule of a check that a record does not pass."""
    source = opened.plan.base_source(unit.source)
    table = opened.tables[source.spec.name]
    rule = f"{check.rule.triples_map} → {check.rule.part}" if check.rule.part else check.rule.triples_map
    place = Place(
        file=table.label,
        row=spreadsheet_row(table, record),
        column=", ".join(label_of(table, reference) for reference in check.references) or None,
        value=value,
        rule=rule,
        pointer=jsonpath.pointer(inside) if inside else None,
    )
    return MappingError(check.message, place=place, hint=check.hint)


def places_of(opened: Workspace, source: LogicalSource, records: Collection[int]) -> dict[int, tuple[str | int, ...]]:
    """Return where records of a JSON document are; records that are left out of it count too."""
    if source.formulation != "json" or not records:
        return {}
    table = opened.table(source)
    found = jsonpath.find(table.path.read_bytes(), jsonpath.parse(source.iterator or "$"))
    return {number: place for number, (place, _) in enumerate(found, 1 + table.before) if number in records}


def spreadsheet_row(table: Table, record: int) -> int:
    """Return the row that a spreadsheet shows for a record; the number of the record for JSON."""
    return table.row(record) if table.format == "csv" else record


def label_of(table: Table, reference: str) -> str:
    """Return a column's name as the file writes it."""
    if reference in table.columns and len(table.labels) == len(table.columns):
        return table.labels[table.columns.index(reference)]
    return reference


def _database_error(opened: Workspace, source: str, said: str) -> MappingError:
    table = opened.tables[opened.plan.base_source(source).spec.name]
    line = _CSV_LINE.search(said)
    first = said.split("\n\n", maxsplit=1)[0].split("\n  file =", maxsplit=1)[0]
    if line:
        return MappingError(
            Text("Le fichier CSV est mal formé à cette ligne.", "The CSV file is malformed at this line."),
            place=Place(file=table.label, line=int(line[1])),
            hint=Text(f"Le lecteur dit : {_csv_reason(said)}", f"The reader says: {_csv_reason(said)}"),
        )
    if "No space left" in said or "could not write" in said.lower():
        return MappingError(
            Text("Le disque est plein.", "The disk is full."),
            hint=Text(
                "Libérez de la place puis relancez : rien n'a été publié.",
                "Free some space and run again: nothing was published.",
            ),
        )
    return MappingError(Text(f"La lecture a échoué : {first}", f"Reading failed: {first}"), place=Place(file=table.label))


def _csv_reason(said: str) -> str:
    for part in said.splitlines():
        if part.startswith(("Expected Number of Columns", "Value with unterminated", "Invalid unicode", "Maximum line size")):
            return part
    return said.splitlines()[1] if len(said.splitlines()) > 1 else said
