"""Set wrong rows aside when a dataset asks for it: keep what is wrong with each, and leave them out of the plain form."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from cityorchestra_ld.errors import SourceError, Text
from cityorchestra_ld.model import SetAside, Table

MOST_ASIDE: Final = 100_000


@dataclass(slots=True)
class AsideList:
    """The rows set aside so far; when the dataset does not ask for it, the first error is raised."""

    wanted: bool = False
    rows: list[SetAside] = field(default_factory=list)

    def add(self, error: SourceError) -> None:
        """Keep the error of a row; raise it when wrong rows must end the run, or when there are far too many."""
        if not self.wanted:
            raise error
        if len(self.rows) == MOST_ASIDE:
            raise too_many(error)
        self.rows.append(SetAside.of(error))


def too_many(error: SourceError) -> SourceError:
    """Say that more rows are wrong than anybody would read about."""
    return SourceError(
        Text(
            f"Plus de {MOST_ASIDE} lignes sont fausses. L’une d’elles : {error.message.fr}",
            f"More than {MOST_ASIDE} rows are wrong. One of them: {error.message.en}",
        ),
        place=error.place,
        hint=error.hint,
    )


def leave_out(table: Table, records: Collection[int], reasons: Sequence[SetAside]) -> Table:
    """Return the table without some records (counted from 1), as a new file; rows keep their numbers."""
    target = table.path.with_name(f"{table.path.name}.kept")
    gaps: list[tuple[int, int]] = []
    kept = 0
    quoting: Literal[0, 1] = 1  # QUOTE_ALL: a lone carriage return stays inside its cell
    with table.path.open(encoding="utf-8", newline="") as source, target.open("w", encoding="utf-8", newline="") as out:
        rows = csv.reader(source, delimiter=table.delimiter)
        writer = csv.writer(out, delimiter=table.delimiter, lineterminator="\n", quoting=quoting)
        if table.header_row:
            writer.writerow(next(rows))
        for record, cells in enumerate(rows, 1):
            if record in records:
                continue
            kept += 1
            writer.writerow(cells)
            skipped = table.row(record) - table.header_row - kept
            if skipped != (gaps[-1][1] if gaps else 0):
                gaps.append((kept, skipped))
    target.replace(table.path)
    together = sorted((*table.set_aside, *reasons), key=lambda row: row.place.row or 0)
    return replace(table, records=kept, filled=None, gaps=tuple(gaps), set_aside=tuple(together))
