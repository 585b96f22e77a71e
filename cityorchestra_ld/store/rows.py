"""Count the rows of a result while its bytes go by."""

from __future__ import annotations

import re
from typing import Final, Protocol

_JSON_ROW: Final = re.compile(rb'\{(?<=[\[,]\{)"[^"\\]*":\{"type":"')  # five times as fast as with `[\[,]` in front
_XML_ROW: Final = re.compile(rb"<result>")
_LONGEST = 256  # bytes that one mark of a row may take


class RowCounter(Protocol):
    """Something that is shown every byte of a result, in order."""

    rows: int

    def see(self, data: bytes) -> None:
        """Look at the next bytes."""


class _Marks:
    """Rows that start with a mark which no value can contain (JSON escapes quotes, XML escapes `<`)."""

    def __init__(self, mark: re.Pattern[bytes]) -> None:
        self.rows = 0
        self._mark = mark
        self._tail = b""

    def see(self, data: bytes) -> None:
        """Look at the next bytes; a mark may lie across two pieces."""
        known = len(self._mark.findall(self._tail))
        data = self._tail + data
        self.rows += len(self._mark.findall(data)) - known
        self._tail = data[-_LONGEST:]


class _Lines:
    """Rows that are lines after a header; in CSV a quoted value may hold line ends."""

    def __init__(self, *, quoted: bool) -> None:
        self.rows = -1
        self._quoted = quoted
        self._inside = False

    def see(self, data: bytes) -> None:
        """Look at the next bytes."""
        if not self._quoted:
            self.rows += data.count(b"\n")
            return
        parts = data.split(b'"')
        outside = parts[1 if self._inside else 0 :: 2]
        self.rows += sum(part.count(b"\n") for part in outside)
        self._inside ^= len(parts) % 2 == 0


def row_counter(media_type: str) -> RowCounter | None:
    """
    Return a counter for a SPARQL results format, or nothing when we cannot count.

    >>> counter = row_counter("text/csv")
    >>> counter.see(b'x\\r\\n"a\\nb"\\r\\nc\\r\\n')
    >>> counter.rows
    2
    """
    if media_type.endswith("json"):
        return _Marks(_JSON_ROW)
    if media_type.endswith("xml"):
        return _Marks(_XML_ROW)
    if media_type == "text/csv":
        return _Lines(quoted=True)
    return _Lines(quoted=False) if media_type == "text/tab-separated-values" else None
