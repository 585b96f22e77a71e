"""Write a set of triples in one of the graph formats, with the prefixes that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

import pyoxigraph as ox

from cityorchestra_ld.formats import Format
from cityorchestra_ld.web.jsonld import compact

_ROOT = re.compile(rb"<rdf:RDF ([^<>]*)>")


@dataclass(frozen=True, slots=True)
class Declared:
    """The prefixes that some triples use, in alphabetical order, and how Turtle declares them."""

    prefixes: dict[str, str]
    turtle: bytes


def iris_of(triple: ox.Triple) -> Iterable[str]:
    """List the IRIs of a triple, datatypes too."""
    found = [triple.predicate.value]
    for term in (triple.subject, triple.object):
        if isinstance(term, ox.NamedNode):
            found.append(term.value)
        elif isinstance(term, ox.Literal):
            found.append(term.datatype.value)
        elif isinstance(term, ox.Triple):
            found += iris_of(term)
    return found


def used_prefixes(triples: Iterable[ox.Triple], prefixes: Mapping[str, str]) -> dict[str, str]:
    """Keep the prefixes that give a name without a slash to at least one IRI, in alphabetical order."""
    return declared({space_of(iri) for triple in triples for iri in iris_of(triple)}, prefixes).prefixes


def declared(spaces: Set[str], prefixes: Mapping[str, str]) -> Declared:
    """Keep the prefixes of the spaces that are used."""
    used = dict(sorted([(name, space) for name, space in prefixes.items() if space in spaces]))
    return Declared(used, b"".join(sorted(f"@prefix {name}: <{space}> .\n".encode() for name, space in used.items())))


@lru_cache(maxsize=4096)
def space_of(iri: str) -> str:
    """
    Return an IRI up to its last slash or hash.

    >>> space_of("https://x.example/id/stop/1")
    'https://x.example/id/stop/'
    """
    return iri[: max(iri.rfind("/"), iri.rfind("#")) + 1]


def order(triples: Iterable[ox.Triple], first: str | None = None) -> list[ox.Triple]:
    """Sort triples by subject, the main subject first and `rdf:type` first of each, so that they are written together."""
    rdf_type = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"

    def key(triple: ox.Triple) -> tuple[bool, str, bool, str, str]:
        subject = triple.subject.value if isinstance(triple.subject, ox.NamedNode) else str(triple.subject)
        return (
            subject != first,
            subject,
            triple.predicate.value != rdf_type,
            triple.predicate.value,
            str(triple.object),
        )

    return sorted(dict.fromkeys(triples), key=key)


def write_graph(triples: Sequence[ox.Triple], form: Format, prefixes: Mapping[str, str], first: str | None = None) -> bytes:
    """Serialise triples; Turtle, RDF/XML and JSON-LD get prefixes, all of them a fixed order."""
    return write_ordered(order(triples, first), form, prefixes)


def write_ordered(triples: Sequence[ox.Triple], form: Format, prefixes: Mapping[str, str]) -> bytes:
    """Serialise triples that are in order already."""
    named = form.rdf != ox.RdfFormat.N_TRIPLES  # where IRIs have short names
    spaces = {space_of(iri) for triple in triples for iri in iris_of(triple)} if named else frozenset[str]()
    return write_declared(triples, form, declared(spaces, prefixes))


def write_declared(triples: Sequence[ox.Triple], form: Format, used: Declared) -> bytes:
    """
    Serialise triples that are in order already, with the prefixes that they use.

    The library declares these in no order: they are put in alphabetical order, so that equal data are equal bytes.
    """
    if form.rdf == ox.RdfFormat.JSON_LD:
        return compact(triples, used.prefixes)
    written = ox.serialize(triples, format=form.rdf, prefixes=used.prefixes)
    if not written:
        return b""
    if form.rdf == ox.RdfFormat.TURTLE and used.turtle:
        return b"".join((used.turtle, b"\n", written[len(used.turtle) :]))
    if form.rdf == ox.RdfFormat.RDF_XML:
        return _ROOT.sub(lambda match: b"<rdf:RDF " + b" ".join(sorted(match.group(1).split())) + b">", written, count=1)
    return written
