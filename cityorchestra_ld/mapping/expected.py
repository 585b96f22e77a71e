"""Say which columns a rule would have used for a predicate, when a record gave no triple for it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace

import pyoxigraph as ox

from cityorchestra_ld.mapping.plan import Fixed, Join, Plan, PredicateObject, references
from cityorchestra_ld.model import Origin, Table


def expected_columns(plan: Plan, triples_map: str, predicate: str) -> tuple[str, ...]:
    """Return the references that make objects of a predicate, in the rule of the subject or one with the same subject."""
    subject = plan.triples_map(triples_map)
    found: dict[str, None] = {}
    for rule in plan.maps:
        if rule.name != triples_map and (rule.source != subject.source or rule.subject != subject.subject):
            continue
        for item in rule.predicate_objects:
            if _says(item, predicate):
                found |= dict.fromkeys(_used(item))
    return tuple(found)


def _says(item: PredicateObject, predicate: str) -> bool:
    return any(isinstance(p.expression, Fixed) and p.expression.term == ox.NamedNode(predicate) for p in item.predicates)


def _used(item: PredicateObject) -> list[str]:
    used: list[str] = []
    for value in item.objects:
        if isinstance(value, Join):
            used += [name for condition in value.conditions for name in references(condition.child)]
        else:
            used += references(value.expression)
    return used


def at_expected_column(origin: Origin, plan: Plan, tables: Mapping[str, Table], predicate: str) -> Origin:
    """Move an origin from the column of the subject to the column where the missing value should have been."""
    columns = expected_columns(plan, origin.triples_map, predicate)
    if not columns:
        return origin
    table = tables[plan.base_source(plan.triples_map(origin.triples_map).source).spec.name]
    labels = dict(zip(table.columns, table.labels, strict=True)) if table.format == "csv" else {}
    pointer = origin.pointer
    if pointer is not None and len(columns) == 1 and columns[0].removesuffix("[*]").isidentifier():
        whole = origin.column is None or ", " in origin.column  # the pointer is that of the record, not of one value in it
        pointer = f"{pointer if whole else pointer.rpartition('/')[0]}/{columns[0].removesuffix('[*]')}"
    shown = ", ".join(labels.get(name, name) for name in columns)
    return replace(origin, column=shown, cell=_content(table, origin, columns), pointer=pointer, term_map=None)


def _content(table: Table, origin: Origin, columns: tuple[str, ...]) -> str | None:
    """Read what the cell of a CSV file holds; nothing for several columns, and for JSON, where a value may be anywhere."""
    if table.format != "csv" or len(columns) != 1 or columns[0] not in table.columns or origin.row is None:
        return None
    with table.path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=table.delimiter, quotechar=table.quote or None)
        for record, cells in enumerate(rows, start=0 if table.header_row else 1):
            if record and table.row(record) == origin.row:
                place = table.columns.index(columns[0])
                return cells[place] if place < len(cells) else None
    return None
