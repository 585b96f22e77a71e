"""Forms of a result that need all of it before their first byte: GeoJSON, Parquet, Arrow; written to a file, then sent."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cityorchestra_ld.errors import QueryTimeoutError, Text
from cityorchestra_ld.formats import GEOJSON, RESULTS_ARROW, RESULTS_PARQUET, Format
from cityorchestra_ld.store import Answer as Stream
from cityorchestra_ld.web.columnar import write_columns
from cityorchestra_ld.web.geojson import MOST_FEATURES, write_features

SPOOLED: Final = (GEOJSON, RESULTS_PARQUET, RESULTS_ARROW)
SPOOL_TYPE: Final = "text/tab-separated-values"
_MOST_BYTES: Final = 2_000_000_000
_PIECE: Final = 1 << 18


def row_limit(form: Format) -> int | None:
    """Return the row limit of a form, when it has one of its own."""
    return MOST_FEATURES if form is GEOJSON else None


@dataclass(frozen=True, slots=True)
class Spooled:
    """A whole answer in a file that nobody else can see and that is gone once it is closed."""

    file: BinaryIO
    size: int

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the answer, and close its file."""
        try:
            while piece := await asyncio.to_thread(self.file.read, _PIECE):
                yield piece
        finally:
            self.file.close()


async def spool(stream: Stream, form: Format) -> Spooled:
    """
    Take a result in as TSV and write it in another form.

    Raises what the query raises, UsageError when it does not fit the form, QueryTimeoutError when it is too large for it.
    """
    with tempfile.TemporaryDirectory(prefix="result-") as name:
        folder = Path(name)
        await take_in(stream, folder / "rows.tsv")
        await asyncio.to_thread(convert, folder, form)
        file = (folder / "out").open("rb")
        return Spooled(file, (folder / "out").stat().st_size)


async def take_in(stream: Stream, path: Path) -> None:
    """Write the bytes of a TSV result; each line gets one more tab at its end, so that no line is empty."""
    size = 0
    try:
        with path.open("wb") as out:
            async for chunk in stream:
                size += len(chunk)
                if size > _MOST_BYTES:
                    raise QueryTimeoutError(
                        Text("Le résultat est trop grand pour cette forme.", "The result is too large for this form."),
                        hint=Text("Demandez CSV, ou moins de lignes.", "Ask for CSV, or for fewer rows."),
                    )
                out.write(chunk.replace(b"\n", b"\t\n"))
    finally:
        await stream.aclose()


def convert(folder: Path, form: Format) -> None:
    """Write `out` from `rows.tsv`."""
    if form is GEOJSON:
        write_features(folder / "rows.tsv", folder / "out")
    else:
        write_columns(folder / "rows.tsv", folder / "out", form)
