"""Cut a generation into pieces by subject, in a process that stands back, for who keeps them in memory."""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO, Final, cast

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.courtesy import be_idle
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.sandbox import die_with_parent

NUMBER: Final = 4  # bytes of the number of a piece, before its lines
_FILES: Final = 64  # each with the lines of many pieces


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Which generation to cut, and into how many pieces."""

    parent: int  # process that must stay alive
    database: str
    graphs: tuple[str, ...]
    triples: int
    pieces: int


def piece_of(subject: bytes, count: int) -> int:
    """
    Tell in which of so many pieces a subject is.

    >>> piece_of(b"http://x/1", 1000) == piece_of(b"http://x/1", 1000) < 1000
    True
    """
    return zlib.crc32(subject) % count


class _Sorter:
    """A file to the engine: puts each line of a graph into the file of its subject, as N-Quads."""

    def __init__(self, files: Sequence[BinaryIO], pieces: int) -> None:
        self._files = files
        self._pieces = pieces
        self._graph = b""
        self._rest = b""
        self.lines = 0

    def begin(self, graph: str) -> None:
        """Take the lines of this graph from now on."""
        self._graph = f"<{graph}> .\n".encode()

    def write(self, data: bytes) -> int:
        """Take a part of the dump."""
        lines = (self._rest + bytes(data)).split(b"\n")
        self._rest = lines.pop()
        files, count, graph, pieces = self._files, len(self._files), self._graph, self._pieces
        for line in lines:
            files[piece_of(_subject(line), pieces) % count].write(line[:-1] + graph)
        self.lines += len(lines)
        return len(data)

    def flush(self) -> None:
        """Do nothing; files are flushed when they are read."""


def _subject(line: bytes) -> bytes:
    return line[1 : line.index(b">")]


def cut(order: Order) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces that hold anything, as N-Quads, with their numbers; raise ValueError when something is missing."""
    with ExitStack() as stack:
        count = min(_FILES, order.pieces)
        files = [cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile())) for _ in range(count)]
        sorter = _Sorter(files, order.pieces)
        disk = ox.Store.read_only(order.database)
        for graph in order.graphs:
            sorter.begin(graph)
            disk.dump(cast("BinaryIO", sorter), ox.RdfFormat.N_TRIPLES, from_graph=ox.NamedNode(graph))
        if sorter.lines != order.triples:
            raise ValueError(f"{sorter.lines} / {order.triples}")
        for file in files:
            file.seek(0)
            found: dict[int, list[bytes]] = {}
            for line in file:
                found.setdefault(piece_of(_subject(line), order.pieces), []).append(line)
            file.close()
            for number, lines in found.items():
                yield number, b"".join(lines)


def main() -> int:
    """Do what the order on standard input says; pieces go to standard output."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    die_with_parent(order.parent)
    be_idle()
    out = sys.stdout.buffer
    try:
        for number, lines in cut(order):
            out.write(frames.frame(frames.DATA, number.to_bytes(NUMBER, "big") + lines))
    except (OSError, SyntaxError, ValueError) as error:
        out.write(frames.frame(frames.ERROR, str(error).encode()))
    else:
        out.write(frames.frame(frames.END, b""))
    out.flush()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # what the engine opened needs no closing
