"""Check a CSV file where it lies: DuckDB reads its records, and each byte of the file is accounted for; no copy is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from cityorchestra_ld.model import SourceSpec
from cityorchestra_ld.sources.contract import CellCheck, Header

_LEAST: Final = 200_000  # bytes; a smaller file is copied faster than a database starts
_MOST_VALUES: Final = 1_000_000  # distinct values of a column that are looked at in memory
_MEMORY: Final = "384MB"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file that can stay as it is holds: its records, and for each column how many cells are not empty."""

    records: int
    filled: tuple[int, ...]


def check_in_place(
    path: Path, quotes: int, spec: SourceSpec, header: Header, delimiter: str, checks: Sequence[CellCheck], folder: Path
) -> Checked | None:
    """
    Check every record of a file whose first line is its header; nothing when something in it needs the careful reader.

    The file has so many `quotes`.

    What is wrong is not said here: the careful reader finds it again, with its row and column.
    """
    if not _is_usual(spec, header, delimiter) or path.stat().st_size < _LEAST:
        return None
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 2, "memory_limit": _MEMORY, "temp_directory": str(folder / ".spill"),
    }  # fmt: skip
    try:
        with duckdb.connect(config=config) as database:
            found = _look(_rows(database, path, delimiter, len(header.columns), empty=False), path, quotes, len(header.columns))
            rows = _rows(database, path, delimiter, len(header.columns), empty=True)
            if found and _keys_differ(rows, header, spec) and all(_conforms(rows, check) for check in checks):
                return found
    except duckdb.Error:  # the careful reader says what is wrong, and where
        return None
    return None


def _is_usual(spec: SourceSpec, header: Header, delimiter: str) -> bool:
    """Tell whether the file is declared to be written as mappings read it."""
    usual = spec.header and spec.skip_until is None and not spec.comment and not spec.trim
    quoted = spec.quote == '"' and spec.escape in ('"', "")
    one_line = not any("\n" in label or "\r" in label for label in header.labels)
    return usual and quoted and one_line and len(header.columns) > 1 and len(delimiter) == 1


def _rows(
    database: duckdb.DuckDBPyConnection, path: Path, delimiter: str, width: int, *, empty: bool
) -> duckdb.DuckDBPyRelation:
    """Read the records as mappings will read them; a cell without text is `empty` text, or NULL."""
    names = [f"c{position}" for position in range(width)]
    return database.read_csv(
        str(path), header=False, skiprows=1, sep=delimiter, quotechar='"', escapechar='"', auto_detect=False,
        columns=dict.fromkeys(names, "VARCHAR"), null_padding=False, force_not_null=names if empty else None,
    )  # fmt: skip


def _look(rows: duckdb.DuckDBPyRelation, path: Path, all_quotes: int, width: int) -> Checked | None:
    """
    Count the records and the cells that are not empty; nothing when a record is blank or a byte is not accounted for.

    A file is its cells, the delimiters between them, the line ends and the quotes: a record that the reader skipped, or a
    space that it took away, is missing from this sum.
    """
    body, quotes, ending, ended = _bytes(path, all_quotes)
    cells = [f"c{position}" for position in range(width)]
    whole = f"concat({', '.join(cells)})"
    inner = f"sum(strlen({whole}) - strlen(replace({whole}, '\"', ''))) FILTER (WHERE contains({whole}, '\"'))"
    columns = ["count(*)", f"sum(strlen({whole}))", inner if quotes else "0", *(f"count({cell})" for cell in cells)]
    found = rows.aggregate(", ".join(f"coalesce({column}, 0)" for column in columns)).fetchall()[0]
    records, held, quoted, *filled = map(int, found)
    blanks = 0
    if max(filled) < records:  # else a column has a value in every record
        blanks = len(rows.filter(f"coalesce({', '.join(cells)}) IS NULL").limit(1).fetchall())
    written = held + records * (width - 1) + records * ending - (0 if ended else ending) + quotes - quoted
    return Checked(records, tuple(filled)) if written == body and not blanks else None


def _bytes(path: Path, quotes: int) -> tuple[int, int, int, bool]:
    """Return the bytes under the first line, the quotes among them, how long a line end is, and whether the last is there."""
    with path.open("rb") as file:
        first = file.readline()
        body = path.stat().st_size - len(first)
        file.seek(-1, 2)
        ended = file.read() == b"\n"
    return body, quotes - first.count(b'"'), 2 if first.endswith(b"\r\n") else 1, ended


def _keys_differ(rows: duckdb.DuckDBPyRelation, header: Header, spec: SourceSpec) -> bool:
    key = ", ".join(f"c{header.columns.index(name)}" for name in spec.key)
    return not key or rows.aggregate("count(*) AS n", key).filter("n > 1").limit(1).fetchall() == []


def _conforms(rows: duckdb.DuckDBPyRelation, check: CellCheck) -> bool:
    values = rows.project(f"c{check.index}").distinct().limit(_MOST_VALUES + 1).fetchall()
    return len(values) <= _MOST_VALUES and all(value in check.passed or check.pattern.fullmatch(value) for (value,) in values)
