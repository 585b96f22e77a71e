"""Keep the partner's bytes of every published version, compressed and named by their hash, for lineage."""

from __future__ import annotations

from pathlib import Path

import zstandard


def _file(state: Path, sha256: str) -> Path:
    return state / "sources" / f"{sha256}.zst"


def keep_source(state: Path, sha256: str, original: Path) -> Path:
    """Compress the bytes of a source into `{state}/sources/`, once for each hash."""
    target = _file(state, sha256)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    with original.open("rb") as source, temporary.open("wb") as out:
        zstandard.ZstdCompressor(level=6).copy_stream(source, out)
    temporary.replace(target)
    return target


def restore_source(state: Path, sha256: str, target: Path) -> Path:
    """Write the kept bytes of a source to `target`; raise FileNotFoundError when they were not kept."""
    with _file(state, sha256).open("rb") as source, target.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(source, out)
    return target
