"""Write the results of a report as rows: one for each result, with the cell that it speaks of."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Final

from cityorchestra_ld.model import Result, ValidationReport
from cityorchestra_ld.validation.graph import local_name
from cityorchestra_ld.validation.report import identity
from cityorchestra_ld.validation.text import short

HEADER: Final = (
    "id",
    "severity",
    "shape",
    "component",
    "path",
    "file",
    "row",
    "column",
    "cell",
    "pointer",
    "rule",
    "focus",
    "value",
    "message_fr",
    "message_en",
)
_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"[+-]?[0-9.,]+")


def rows(report: ValidationReport) -> Iterator[tuple[str, ...]]:
    """Yield one row for each shown result."""
    for result in report.results:
        yield tuple(_safe(part) for part in row(result))


def row(result: Result) -> Sequence[str]:
    """Return one result as text, column by column."""
    origin = result.origins[0] if result.origins else None
    where = (
        (origin.file, str(origin.row or ""), origin.column or "", origin.cell or "", origin.pointer or "", origin.triples_map)
        if origin
        else ("",) * 6
    )
    return (
        identity(result),
        result.severity.value,
        local_name(result.root_shape),
        short(result.component),
        result.path or "",
        *where,
        result.focus,
        result.value or "",
        result.message.fr,
        result.message.en,
    )


def _safe(text: str) -> str:
    """
    Keep a spreadsheet from running a cell as a formula.

    >>> _safe("=1+1"), _safe("-4.5")
    ("'=1+1", '-4.5')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def to_csv(report: ValidationReport) -> bytes:
    """Write rows as CSV (RFC 4180, UTF-8 with a byte order mark, for spreadsheets)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEADER)
    writer.writerows(rows(report))
    return b"\xef\xbb\xbf" + out.getvalue().encode()
