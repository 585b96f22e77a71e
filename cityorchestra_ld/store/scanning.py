"""Read the triples with certain predicates out of many lines of N-Triples, most of which are not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import pyoxigraph as ox

_PART: Final = 4_000_000  # bytes that are looked at in one piece


def triples_with(file: BinaryIO, predicates: Sequence[str]) -> Iterator[ox.Quad]:
    """
    Yield the triples with one of these predicates, by predicate within each part of the file.

    >>> import io
    >>> lines = b'<urn:a> <urn:p> "1" .\\\\n<urn:a> <urn:q> "> <urn:p> " .\\\\n'
    >>> [quad.object.value for quad in triples_with(io.BytesIO(lines), ["urn:p"])]
    ['1']
    """
    needles = [f"> <{name}> ".encode() for name in predicates]
    rest = b""
    while data := file.read(_PART):
        head, mark, tail = data.rpartition(b"\n")
        block, rest = (rest + head + mark, tail) if mark else (b"", rest + data)
        yield from ox.parse(input=_lines(block, needles), format=ox.RdfFormat.N_TRIPLES, lenient=True)


def _lines(block: bytes, needles: Sequence[bytes]) -> bytes:
    found = []
    for needle in needles:
        at = block.find(needle)
        while at >= 0:
            start, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at) + 1
            if block.find(b" ", start) == at + 1:  # it stands behind the subject, not in a literal
                found.append(block[start:end])
            at = block.find(needle, end)
    return b"".join(found)
