"""Look at the start of a source without reading its rows: the columns of a table, the bytes of a small JSON document."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.sources.detect import encoding_of, receive, to_utf8
from cityorchestra_ld.sources.tables import header_of
from cityorchestra_ld.sources.unpack import opened, packed
from cityorchestra_ld.sources.workbooks import PLAIN, kind_of, start_of

_START: Final = 1 << 18  # bytes of a table
_DOCUMENT: Final = 1 << 26  # bytes of a JSON document, or of a workbook
_ROWS: Final = 1200  # of a workbook; description rows may come before the header


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """What the start of a source shows: the columns as mappings call them (CSV), or a whole document (JSON)."""

    label: str
    columns: tuple[str, ...] | None = None
    document: bytes | None = None


def peek(spec: SourceSpec, path: Path, limits: Limits) -> Peek:
    """Look at a file of the disk; raise SourceError when it is not there, or when its header breaks the contract."""
    if not path.is_file():
        raise SourceError(Text("Le fichier n’existe pas.", "The file does not exist."), place=Place(file=str(path)))
    most = min(spec.max_bytes or limits.source_bytes, limits.source_bytes)
    json = spec.format == "json"
    with tempfile.TemporaryDirectory() as folder:
        with opened(packed(path, path.name, spec.compression, spec.member, most, limits)) as (chunks, label):
            whole = json or label.lower().endswith((".xlsx", ".parquet"))
            received = receive(_start(chunks, _DOCUMENT if whole else _START), label, Path(folder) / "start")
        kind = None if json else kind_of(received.path)
        if kind is not None:
            rows = start_of(received.path, kind, spec, label, (most, limits.compression_ratio), _ROWS)
            received, spec = receive([rows], label, Path(folder) / "rows"), replace(spec, **PLAIN)
        if not json:
            return Peek(label=label, columns=header_of(received, spec, Path(folder)).columns)
        codec, _ = encoding_of(received, spec.encoding)
        plain = to_utf8(received, codec, Path(folder) / "plain")
        return Peek(label=label, document=plain.read_bytes() if received.size < _DOCUMENT else None)


def _start(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield the first bytes, up to the end of a line when there are more."""
    size = 0
    for chunk in chunks:
        if size + len(chunk) >= most:
            cut = chunk[: most - size]
            yield cut[: cut.rfind(b"\n") + 1] or cut
            return
        size += len(chunk)
        yield chunk
