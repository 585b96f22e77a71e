"""What happens to wrong rows: they end the run, or are set aside up to a share, counted, and written down for the partner."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cityorchestra_ld.errors import MappingError, RefusedError, Text
from cityorchestra_ld.mapping import EXECUTORS, Executor, MapReport, Plan
from cityorchestra_ld.mapping.failures import WrongRow, wrong_rows
from cityorchestra_ld.model import SetAside, Table
from cityorchestra_ld.sources import leave_out

FILE: Final = "quarantine.csv"
_ROUNDS: Final = 3  # a row may hide another mistake of its own only when something else is set aside first
_NUMBER: Final = re.compile(r"[+-]?[0-9 .,]+")
_HEAD: Final = ("file", "row", "pointer", "column", "value", "rule", "reason_fr", "reason_en", "hint_fr", "hint_en")


class TooManyWrongRowsError(RefusedError):
    """More rows are wrong than the dataset allows to be set aside."""


def map_or_set_aside(
    plan: Plan,
    tables: dict[str, Table],
    out: Path,
    *,
    default_graph: str,
    share: float | None,
    executor: Executor = "duckdb",
) -> MapReport:
    """
    Run a plan; with a `share`, rows that cannot be mapped leave `tables`, as long as they are no more than that.

    Raises MappingError for what is no matter of a row, and TooManyWrongRowsError naming the first row and the count.
    """
    run = EXECUTORS[executor]
    for _ in range(_ROUNDS if share is not None else 0):
        try:
            return _judged(run(plan, tables, out, default_graph=default_graph), tables, share or 0.0)
        except MappingError as error:
            _set_aside(plan, tables, error)
    return _judged(run(plan, tables, out, default_graph=default_graph), tables, share)


def _set_aside(plan: Plan, tables: dict[str, Table], error: MappingError) -> None:
    """Leave the rows out that cannot be mapped; raise the error again when it is not about a row."""
    wrong: dict[str, list[WrongRow]] = {}
    for row in wrong_rows(plan, tables):
        wrong.setdefault(row.source, []).append(row)
    if not wrong:
        raise error
    for name, rows in wrong.items():
        tables[name] = _left(tables[name], rows)


def _left(table: Table, wrong: Sequence[WrongRow]) -> Table:
    reasons = tuple(row.found for row in wrong)
    if table.format == "csv":
        return leave_out(table, {row.record for row in wrong}, reasons)
    places = frozenset(row.inside for row in wrong if row.inside is not None)
    return replace(table, without=table.without | places, set_aside=(*table.set_aside, *reasons))


def _judged(report: MapReport, tables: Mapping[str, Table], share: float | None) -> MapReport:
    for name, table in tables.items():
        check_share(table, share, report.records.get(name))
    return report


def check_share(table: Table, share: float | None, read: int | None = None) -> None:
    """Refuse a table of which more rows were set aside than its dataset allows."""
    total = len(table.set_aside) + (read if read is not None else table.records or 0)
    if share is not None and len(table.set_aside) > share * total:
        raise _too_many(table, total, share)


def _too_many(table: Table, total: int, share: float) -> TooManyWrongRowsError:
    """Say how many rows of a table are wrong, and show the first."""
    first, aside = table.set_aside[0], len(table.set_aside)
    percent, most = f"{100 * aside / total:.1f}", f"{100 * share:g}"
    return TooManyWrongRowsError(
        Text(
            f"{aside} lignes sur {total} de {table.label} sont fausses ({percent} %) ; {most} % peuvent être mises de côté "
            f"(quarantine_max). La première : {first.reason.fr}",
            f"{aside} of {total} rows of {table.label} are wrong ({percent} %); {most} % may be set aside (quarantine_max). "
            f"The first: {first.reason.en}",
        ),
        place=first.place,
        hint=first.hint or Text(f"Toutes sont dans {FILE}.", f"All of them are in {FILE}."),
    )


def write(rows: Sequence[SetAside], folder: Path) -> None:
    """Write the rows that were set aside as CSV that spreadsheets open, one line for each; no file when there are none."""
    if not rows:
        return
    with (folder / FILE).open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(_HEAD)
        for row in rows:
            at, hint = row.place, row.hint or Text("", "")
            cells = (at.file, at.row, at.pointer, at.column, at.value, at.rule, row.reason.fr, row.reason.en, hint.fr, hint.en)
            writer.writerow(["" if cell is None else _safe(str(cell)) for cell in cells])


def _safe(cell: str) -> str:
    """Keep a spreadsheet from running a cell as a formula."""
    formula = cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if formula else cell
