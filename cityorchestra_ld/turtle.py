"""Read a Turtle file that people wrote: triples, prefixes, and the line of the first mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError


class TurtleFile:
    """One file, read as it is walked; its prefixes are known when all of it was."""

    def __init__(self, path: Path, base: str) -> None:
        self.path = path
        try:
            data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        except OSError as error:
            raise UsageError(
                Text(f"Fichier illisible : {error.strerror}", f"The file cannot be read: {error.strerror}"),
                place=Place(file=str(path)),
            ) from None
        self._parser = ox.parse(data, format=ox.RdfFormat.TURTLE, base_iri=base)

    def __iter__(self) -> Iterator[ox.Triple]:
        """Yield the triples; raise UsageError with the line of the first mistake."""
        try:
            for quad in self._parser:
                yield quad.triple
        except SyntaxError as error:
            raise UsageError(
                Text(f"Turtle illisible : {error.msg}", f"Not valid Turtle: {error.msg}"),
                place=Place(file=str(self.path), line=error.lineno, column_number=error.offset),
            ) from None

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Return the prefixes that the file declares, as far as it was read."""
        return self._parser.prefixes


def read_turtle(path: Path, base: str) -> Iterator[ox.Triple]:
    """Parse one Turtle file; raise UsageError with the line of the first mistake."""
    yield from TurtleFile(path, base)
