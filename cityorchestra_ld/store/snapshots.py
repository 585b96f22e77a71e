"""Keep the content of one graph as sorted, unique N-Triples lines, compressed and named by their hash; compare two of them."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import pyoxigraph as ox
import zstandard

from cityorchestra_ld.errors import Place, StoreError, Text
from cityorchestra_ld.store.generations import Layout, sync_folder
from cityorchestra_ld.store.normal import Normaliser

_CHUNK_LINES: Final = 500_000
_CHUNK_CHARS: Final = 100_000_000
_MERGED: Final = 128  # sorted chunks that are open at once
_BATCH: Final = 4_096


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The canonical content of a graph: the SHA-256 of its lines, and how many triples they are."""

    sha256: str
    triples: int


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
        work = Path(folder)
        return write_snapshot(layout, _sorted_batches(_chunks(content, Normaliser(name_blank_node)), work, stack))


def write_snapshot(layout: Layout, batches: Iterable[list[str]]) -> Snapshot:
    """Keep lines that are sorted and unique already under their hash."""
    digest, triples = hashlib.sha256(), 0
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder:
        temporary = Path(folder) / "snapshot"
        with temporary.open("wb") as raw:
            with zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False) as out:
                for batch in batches:
                    data = "".join(batch).encode()
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
    with ExitStack() as stack:
        before = read_lines(old, stack) if old else iter(())
        after = read_lines(new, stack) if new else iter(())
        out = stack.enter_context(removals.open("w", encoding="utf-8", newline="\n"))
        into = stack.enter_context(insertions.open("w", encoding="utf-8", newline="\n"))
        removed, inserted = _difference(before, after, out, into)
    return Difference(removed, inserted, removals, insertions)


def _difference(before: Iterator[str], after: Iterator[str], out: TextIO, into: TextIO) -> tuple[int, int]:
    removed = inserted = 0
    left, right = next(before, None), next(after, None)
    while left is not None and right is not None:
        if left == right:
            left, right = next(before, None), next(after, None)
        elif left < right:
            out.write(left)
            removed += 1
            left = next(before, None)
        else:
            into.write(right)
            inserted += 1
            right = next(after, None)
    for line in itertools.chain([left] if left is not None else [], before):
        out.write(line)
        removed += 1
    for line in itertools.chain([right] if right is not None else [], after):
        into.write(line)
        inserted += 1
    return removed, inserted


# --- external sort ------------------------------------------------------------------------------------------------------------


def _chunks(content: Path, normaliser: Normaliser) -> Iterator[list[str]]:
    """Yield sorted lists of unique lines, each small enough to hold; at least one."""
    lines: set[str] = set()
    size = 0
    stream = normaliser.lines(_quads(content))
    while batch := list(itertools.islice(stream, _BATCH)):
        size += sum(map(len, batch))
        lines.update(batch)
        if len(lines) >= _CHUNK_LINES or size >= _CHUNK_CHARS:
            yield sorted(lines)
            lines, size = set(), 0
    yield sorted(lines)


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


def _sorted_batches(chunks: Iterator[list[str]], work: Path, stack: ExitStack) -> Iterator[list[str]]:
    """Merge sorted chunks into one sorted stream of unique lines; one chunk stays in memory, more go to disk."""
    first = next(chunks)
    second = next(chunks, None)
    if second is None:
        return _cut(first)
    files = [_spill(_cut(chunk), work / f"{number}") for number, chunk in enumerate(itertools.chain([first, second], chunks))]
    first, second = [], None
    for number in itertools.count(len(files)):
        if len(files) <= _MERGED:
            break
        with ExitStack() as inner:
            files = [*files[_MERGED:], _spill(_merge(files[:_MERGED], inner), work / f"{number}")]
    return _merge(files, stack)


def _cut(lines: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(lines), _BATCH):
        yield lines[start : start + _BATCH]


def _spill(batches: Iterator[list[str]], path: Path) -> Path:
    with zstandard.open(path, "wt", encoding="utf-8", newline="\n", cctx=zstandard.ZstdCompressor(level=1)) as out:
        for batch in batches:
            out.writelines(batch)
    return path


def _merge(files: list[Path], stack: ExitStack) -> Iterator[list[str]]:
    """Merge sorted files; sorting what is ready is a merge of runs, which is fast."""
    for ready in in_step(files, stack):
        yield sorted(set().union(*ready))


def in_step(files: Sequence[Path], stack: ExitStack) -> Iterator[list[list[str]]]:
    """Read sorted files in step: yield for each its next lines, such that equal lines of two files come at the same time."""
    streams = [read_lines(file, stack) for file in files]
    blocks = [list(itertools.islice(stream, _BATCH)) for stream in streams]
    while any(blocks):
        limit = min(block[-1] for block in blocks if block)
        ready = []
        for index, block in enumerate(blocks):
            count = bisect.bisect_right(block, limit)
            ready.append(block[:count])
            blocks[index] = block[count:] or list(itertools.islice(streams[index], _BATCH))
        yield ready
