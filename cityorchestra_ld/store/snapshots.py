"""Keep the content of one graph as sorted, unique N-Triples lines, compressed and named by their hash; compare two of them."""

from __future__ import annotations

import bisect
import hashlib
import io
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

import pyoxigraph as ox
import zstandard

from cityorchestra_ld.errors import Place, StoreError, Text
from cityorchestra_ld.store.generations import Layout, sync_folder
from cityorchestra_ld.store.normal import Normaliser
from cityorchestra_ld.store.sorting import MARK, mark_lines

_CHUNK_LINES: Final = 500_000
_CHUNK_BYTES: Final = 64_000_000
_MERGED: Final = 128  # sorted chunks that are open at once
_BATCH: Final = 4_096
_LINE: Final = 100  # bytes, about
_LARGE: Final = 4_000_000  # bytes from which DuckDB looks at the lines first

Lines = list[bytes]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The canonical content of a graph: the SHA-256 of its lines, and how many triples they are."""

    sha256: str
    triples: int
    rewritten: str = ""  # a digest of the triples that were written another way than the store writes them; "" when none was


@dataclass(frozen=True, slots=True)
class Difference:
    """What to take away from a graph and what to add, as N-Triples files."""

    removed: int
    inserted: int
    removals: Path
    insertions: Path


def keep_snapshot(layout: Layout, content: Path, name_blank_node: Callable[[str], str]) -> Snapshot:
    """
    Canonicalise an N-Triples or N-Quads file and keep it under its hash; memory is bounded, whatever the size.

    Graph names are ignored, duplicates fall away, blank nodes get the names that the caller gives them. Raises StoreError with
    line and character for a line that does not parse.
    """
    layout.prepare()
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder, ExitStack() as stack:
        normaliser = Normaliser(name_blank_node)
        snapshot = write_snapshot(layout, canonical(content, Path(folder), normaliser, stack))
        return described(snapshot, normaliser)


def described(snapshot: Snapshot, normaliser: Normaliser) -> Snapshot:
    """Add what the normaliser met."""
    return replace(snapshot, rewritten=f"{normaliser.rewritten % 2**64:x}" if normaliser.rewritten else "")


def write_snapshot(layout: Layout, batches: Iterable[Lines]) -> Snapshot:
    """Keep lines that are sorted and unique already under their hash."""
    digest, triples = hashlib.sha256(), 0
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder:
        temporary = Path(folder) / "snapshot"
        with temporary.open("wb") as raw:
            with zstandard.ZstdCompressor(level=3, threads=2).stream_writer(raw, closefd=False) as out:
                for batch in batches:
                    data = b"".join(batch)
                    digest.update(data)
                    triples += len(batch)
                    out.write(data)
            raw.flush()
            os.fsync(raw.fileno())
        snapshot = Snapshot(digest.hexdigest(), triples)
        temporary.replace(layout.snapshot(snapshot.sha256))
    sync_folder(layout.snapshots)
    return snapshot


def read_lines(path: Path, stack: ExitStack) -> Iterator[str]:
    """Yield the lines of a kept snapshot, each with its line end; the stack closes the file."""
    return iter(stack.enter_context(zstandard.open(path, "rt", encoding="utf-8", newline="\n")))


def compare(old: Path | None, new: Path | None, folder: Path, name: str) -> Difference:
    """Write what `new` lacks and what it adds, in one pass over both; nothing stands for an empty graph."""
    removals, insertions = folder / f"{name}.removed.nt", folder / f"{name}.inserted.nt"
    removed = inserted = 0
    with ExitStack() as stack, removals.open("wb") as out, insertions.open("wb") as into:
        streams = [_blocks(path, stack) if path else iter(()) for path in (old, new)]
        for before, after in _in_step(streams):
            if before != after:
                left, right = set(before), set(after)
                removed += _write(out, left - right)
                inserted += _write(into, right - left)
    return Difference(removed, inserted, removals, insertions)


def _write(out: BinaryIO, lines: set[bytes]) -> int:
    out.writelines(sorted(lines))
    return len(lines)


# --- external sort ------------------------------------------------------------------------------------------------------------


def is_large(content: Path, *, packed: bool = False) -> bool:
    """Tell whether a file is worth the start of a database; a kept snapshot is packed to a tenth, about."""
    return content.is_file() and content.stat().st_size >= (_LARGE // 10 if packed else _LARGE)


def canonical(content: Path, work: Path, normaliser: Normaliser, stack: ExitStack) -> Iterator[Lines]:
    """Yield the lines of N-Triples or N-Quads as the store keeps them, sorted, each once; raise StoreError."""
    marked = mark_lines(content, work / "marked") if is_large(content) else None
    chunks = _marked_chunks(marked, content, normaliser) if marked else _chunks(content, normaliser)
    return _sorted_batches(chunks, work, stack)


def _chunks(content: Path, normaliser: Normaliser) -> Iterator[Lines]:
    """Yield sorted lists of unique lines, each small enough to hold; at least one."""
    lines: set[bytes] = set()
    size = 0
    stream = normaliser.lines(_quads(content))
    while batch := list(itertools.islice(stream, _BATCH)):
        size += sum(map(len, batch))
        lines.update(line.encode() for line in batch)
        if len(lines) >= _CHUNK_LINES or size >= _CHUNK_BYTES:
            yield sorted(lines)
            lines, size = set(), 0
    yield sorted(lines)


def _marked_chunks(marked: Path, content: Path, normaliser: Normaliser) -> Iterator[Lines]:
    """Do the same with lines that are as they should be, but for those that are marked: these are normalised at the end."""
    odd = marked.with_name("odd.nq")
    with marked.open("rb") as file, odd.open("wb") as out:
        while lines := file.readlines(_CHUNK_BYTES):
            lines.sort()  # lines that come in order are sorted in one pass
            cut = bisect.bisect_left(lines, bytes([MARK[0] + 1]))
            out.writelines(line[1:] for line in lines[:cut])
            del lines[:cut]
            yield list(dict.fromkeys(lines))
    marked.unlink()
    with locate(content):
        yield from _chunks(odd, normaliser)


@contextmanager
def locate(content: Path) -> Iterator[None]:
    """Give an error in a part of a file the line that it has in the file itself."""
    try:
        yield
    except StoreError:
        for _ in _quads(content):
            pass
        raise


def _quads(content: Path) -> Iterator[ox.Quad]:
    try:
        yield from ox.parse(path=str(content), format=ox.RdfFormat.N_QUADS)
    except SyntaxError as error:
        raise StoreError(
            Text(f"Une ligne n'est pas du N-Quads : {error.msg}", f"A line is not N-Quads: {error.msg}"),
            place=Place(file=str(content), line=error.lineno, column_number=error.offset),
        ) from None
    except OSError as error:
        raise StoreError(
            Text(f"Le contenu d'un graphe est illisible : {error}", f"The content of a graph cannot be read: {error}"),
            place=Place(file=str(content)),
        ) from None


def _sorted_batches(chunks: Iterator[Lines], work: Path, stack: ExitStack) -> Iterator[Lines]:
    """Merge sorted chunks into one sorted stream of unique lines; one chunk stays in memory, more go to disk."""
    first = next(chunks)
    second = next(chunks, None)
    if second is None:
        return (first[start : start + _BATCH] for start in range(0, len(first), _BATCH))
    files = [spill([chunk], work / f"{number}") for number, chunk in enumerate(itertools.chain([first, second], chunks))]
    first, second = [], None
    for number in itertools.count(len(files)):
        if len(files) <= _MERGED:
            break
        with ExitStack() as inner:
            files = [*files[_MERGED:], spill(merged_lines(files[:_MERGED], inner), work / f"{number}")]
    return merged_lines(files, stack)


def spill(batches: Iterable[Lines], path: Path) -> Path:
    """Write sorted lines as they are."""
    with path.open("wb") as out:
        for batch in batches:
            out.writelines(batch)
    return path


def merged_lines(files: Sequence[Path], stack: ExitStack) -> Iterator[Lines]:
    """Merge sorted files; sorting what is ready is a merge of runs, which is fast."""
    for ready in in_step(files, stack):
        some = [lines for lines in ready if lines]
        yield some[0] if len(some) == 1 else sorted(set().union(*some))


def in_step(files: Sequence[Path], stack: ExitStack) -> Iterator[list[Lines]]:
    """Read sorted files in step: yield for each its next lines, such that equal lines of two files come at the same time."""
    return _in_step([_blocks(file, stack) for file in files])


def _in_step(streams: Sequence[Iterator[Lines]]) -> Iterator[list[Lines]]:
    blocks = [next(stream, []) for stream in streams]
    while any(blocks):
        limit = min(block[-1] for block in blocks if block)
        ready = []
        for index, block in enumerate(blocks):
            count = bisect.bisect_right(block, limit)
            ready.append(block[:count])
            blocks[index] = block[count:] or next(streams[index], [])
        yield ready


def _blocks(path: Path, stack: ExitStack) -> Iterator[Lines]:
    """Yield the lines of a sorted file in blocks; a kept snapshot is compressed."""
    raw = stack.enter_context(zstandard.open(path, "rb") if path.suffix == ".zst" else path.open("rb"))
    file = stack.enter_context(io.BufferedReader(cast("io.RawIOBase", raw), 1 << 20))
    while block := file.readlines(_BATCH * _LINE):
        yield block
