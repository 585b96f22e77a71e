"""Build triples of one subject at a time from plain Python values, and write them as N-Triples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.model import Text
from cityorchestra_ld.namespaces import DEFAULT_BASE, RDF, XSD, prefixes

Value = ox.NamedNode | ox.Literal


def lit(value: str | int | float | bool | date | datetime) -> ox.Literal:
    """Write a Python value as a literal of the XSD type that fits."""
    if isinstance(value, datetime):
        return ox.Literal(value.isoformat(timespec="seconds"), datatype=ox.NamedNode(f"{XSD}dateTime"))
    if isinstance(value, date):
        return ox.Literal(value.isoformat(), datatype=ox.NamedNode(f"{XSD}date"))
    return ox.Literal(value)


def typed(value: str, datatype: str) -> ox.Literal:
    """Write a lexical form with a datatype of XSD."""
    return ox.Literal(value, datatype=ox.NamedNode(XSD + datatype))


def both(text: Text) -> tuple[ox.Literal, ...]:
    """Write a sentence in both languages."""
    return ox.Literal(text.fr, language="fr"), ox.Literal(text.en, language="en")


class Graph:
    """A list of triples under construction; terms are given as CURIEs."""

    def __init__(self, base: str = DEFAULT_BASE) -> None:
        self._prefixes = prefixes(base)
        self.triples: list[ox.Triple] = []

    def term(self, curie: str) -> ox.NamedNode:
        """Expand `prefix:name`; raise KeyError for a prefix that is not ours."""
        prefix, _, name = curie.partition(":")
        return ox.NamedNode(self._prefixes[prefix] + name)

    def add(self, subject: str, types: Iterable[str] = (), **values: Value | Iterable[Value] | None) -> str:
        """Add triples about an IRI; a keyword `dct_title` is the property `dct:title`; `None` adds nothing."""
        node = ox.NamedNode(subject)
        for kind in types:
            self.triples.append(ox.Triple(node, ox.NamedNode(f"{RDF}type"), self.term(kind)))
        for name, value in values.items():
            if value is None:
                continue
            predicate = self.term(name.replace("_", ":", 1))
            for item in (value,) if isinstance(value, ox.NamedNode | ox.Literal) else value:
                self.triples.append(ox.Triple(node, predicate, item))
        return subject

    def __iter__(self) -> Iterator[ox.Triple]:
        return iter(self.triples)

    def write(self, path: Path) -> Path:
        """Write everything as N-Triples."""
        with path.open("wb") as out:
            ox.serialize(self.triples, out, format=ox.RdfFormat.N_TRIPLES)
        return path
