"""Bring data graphs to one local N-Quads file that engines read and that can be scanned line by line."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.validation.shapes import FORMATS

_CHUNK: Final = 1 << 20
_BLANK_GRAPH: Final = re.compile(rb'^(?:_:\S+|<[^>]*>) <[^>]*> (?:<[^>]*>|_:\S+|".*"\S*) _:\S+ \.$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Staged:
    """A graph as an N-Quads file with one quad a line and single spaces; graph names mean nothing."""

    path: Path
    blank: bool  # whether blank nodes may occur


class NotPlainError(Exception):
    """A line is N-Quads at most, but not written the plain way."""


def stage(source: Path, folder: Path, name: str) -> Staged:
    """Return a plain N-Quads file with the same triples: the source itself when it already is one."""
    suffix = source.suffix.lower()
    if suffix not in FORMATS:
        raise ShapesError(
            Text("Ces données n'ont pas un suffixe RDF connu.", "These data have no known RDF suffix."),
            place=Place(file=str(source)),
            hint=Text(f"Suffixes lus : {' '.join(FORMATS)}", f"Suffixes read: {' '.join(FORMATS)}"),
        )
    try:
        if suffix in (".nq", ".nt"):
            blank = _mentions(source, b"_:")
            if not (blank and _search(source, _BLANK_GRAPH)):
                return Staged(_named(source, folder, name), blank)
        return normalise(source, folder, name)
    except OSError as error:
        raise ShapesError(
            Text(f"Ces données ne peuvent être lues : {error.strerror}", f"These data cannot be read: {error.strerror}"),
            place=Place(file=str(source)),
        ) from None


def _named(source: Path, folder: Path, name: str) -> Path:
    if source.suffix == ".nq":
        return source
    link = folder / f"{name}.nq"  # engines tell the syntax by the suffix; every N-Triples file is an N-Quads file
    link.symlink_to(source.resolve())
    return link


def _mentions(path: Path, what: bytes) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(what) >= 0


def _search(path: Path, pattern: re.Pattern[bytes]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return pattern.search(content) is not None


def normalise(source: Path, folder: Path, name: str) -> Staged:
    """Parse any RDF file and write its triples the plain way; raise ShapesError with the line where it does not parse."""
    target = folder / f"{name}-plain.nq"
    format_ = FORMATS[source.suffix.lower()]
    blank = False
    try:
        with source.open("rb") as file, target.open("w", encoding="utf-8", newline="\n") as out:
            base = source.resolve().as_uri() if format_ not in (ox.RdfFormat.N_TRIPLES, ox.RdfFormat.N_QUADS) else None
            for quad in ox.parse(file, format=format_, base_iri=base):
                subject, value = quad.subject, quad.object
                blank = blank or isinstance(subject, ox.BlankNode) or isinstance(value, ox.BlankNode)
                out.write(f"{subject} {quad.predicate} {value} .\n")
    except SyntaxError as error:
        raise _unreadable(source, error.msg, error.lineno, error.offset) from None
    except (UnicodeDecodeError, ValueError) as error:
        raise _unreadable(source, str(error), None, None) from None
    return Staged(target, blank)


def _unreadable(source: Path, why: str, line: int | None, column: int | None) -> ShapesError:
    return ShapesError(
        Text(f"Ces données ne se lisent pas comme RDF : {why}", f"These data are not readable RDF: {why}"),
        place=Place(file=str(source.resolve() if source.is_symlink() else source), line=line, column_number=column),
        hint=Text(
            "Vérifiez que le suffixe du fichier dit bien sa syntaxe.", "Check that the suffix of the file tells its syntax."
        ),
    )


def triples(path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield subject, predicate and the rest of each line of a plain file; raise NotPlainError where a line is not plain."""
    with path.open("rb") as file:
        while lines := file.readlines(_CHUNK):
            for line in lines:
                try:
                    subject, predicate, rest = line.split(b" ", 2)
                except ValueError:
                    raise NotPlainError from None
                if (
                    predicate[:1] != b"<"
                    or predicate[-1:] != b">"
                    or rest[-3:] != b" .\n"
                    or subject[:1] not in (b"<", b"_")
                    or b"\\" in subject
                    or b"\t" in subject
                    or b"\\" in predicate
                ):
                    raise NotPlainError
                yield subject, predicate, rest


def object_of(rest: bytes) -> bytes:
    """
    Return the object of a line whose rest is `object [graph] .`

    >>> object_of(b'"a \\\\" b"@fr <urn:g> .\\n')
    b'"a \\\\" b"@fr'
    """
    if rest[:1] != b'"':
        return rest.split(b" ", 1)[0]
    end = rest.rindex(b'"')
    return rest[: end + 1] + rest[end + 1 :].split(b" ", 1)[0]
