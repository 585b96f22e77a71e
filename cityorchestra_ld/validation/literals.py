"""Give triples that a database wrote its own way back the literals of the file that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.validation.state import Reader, Triple, triples_of

_TYPED: Final = f'"^^<{XSD}'.encode()
_STRING: Final = ox.NamedNode(f"{XSD}string")


def as_written(seen: Set[Triple], content: Path, database: Reader, stays: Callable[[Triple], bool]) -> set[Triple]:
    """Return triples with the literals of a file; one that `stays` is also in a graph that the file does not hold."""
    typed = {t for t in seen if isinstance(t[2], ox.Literal) and not t[2].language and t[2].datatype != _STRING}
    if not typed:
        return set(seen)
    original: dict[Triple, set[Triple]] = {}
    for triple in _lines_about({str(subject).encode() for subject, _, _ in typed}, content):
        stored = triple if triple in typed else next(iter(database.canonical([triple])))
        if stored in typed:
            original.setdefault(stored, set()).add(triple)
    found: set[Triple] = set()
    for triple in seen:
        written = original.get(triple)
        if written is None:
            found.add(triple)
        else:
            found |= {*written, triple} if stays(triple) else written
    return found


def _lines_about(subjects: Set[bytes], content: Path) -> Iterator[Triple]:
    """Read the typed literals of some subjects from a plain N-Quads file."""
    with content.open("rb") as file:
        about = [line for line in file if _TYPED in line and line[: line.index(b" ")] in subjects]
    return triples_of(ox.parse(b"".join(about), format=ox.RdfFormat.N_QUADS))
