"""Write a set of triples in one of the graph formats, with the prefixes that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import pyoxigraph as ox

from cityorchestra_ld.formats import Format
from cityorchestra_ld.web.jsonld import compact

_ROOT = re.compile(rb"<rdf:RDF ([^<>]*)>")


def iris_of(triple: ox.Triple) -> Iterable[str]:
    """List the IRIs of a triple, datatypes too."""
    found: list[str] = []
    for term in (triple.subject, triple.predicate, triple.object):
        if isinstance(term, ox.NamedNode):
            found.append(term.value)
        elif isinstance(term, ox.Literal):
            found.append(term.datatype.value)
        elif isinstance(term, ox.Triple):
            found += iris_of(term)
    return found


def used_prefixes(triples: Iterable[ox.Triple], prefixes: Mapping[str, str]) -> dict[str, str]:
    """Keep the prefixes that give a name without a slash to at least one IRI, in alphabetical order."""
    iris = {iri for triple in triples for iri in iris_of(triple)}
    spaces = {iri[: max(iri.rfind("/"), iri.rfind("#")) + 1] for iri in iris}
    return dict(sorted((name, space) for name, space in prefixes.items() if space in spaces))


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


def write_ordered(triples: Sequence[ox.Triple], form: Format, prefixes: Mapping[str, str], _: str | None = None) -> bytes:
    """Serialise triples that are in order already."""
    used = used_prefixes(triples, prefixes)
    if form.rdf == ox.RdfFormat.JSON_LD:
        return compact(triples, used)
    written = ox.serialize(triples, format=form.rdf, prefixes=used)
    return _settle(written or b"", form)


def _settle(written: bytes, form: Format) -> bytes:
    """Put the prefix declarations, which the library writes in no order, in alphabetical order: equal data, equal bytes."""
    if form.rdf == ox.RdfFormat.TURTLE:
        lines = written.splitlines(keepends=True)
        count = next((index for index, line in enumerate(lines) if not line.startswith(b"@prefix ")), len(lines))
        return b"".join(sorted(lines[:count]) + ([b"\n"] if count else []) + lines[count:])
    if form.rdf == ox.RdfFormat.RDF_XML:
        return _ROOT.sub(lambda match: b"<rdf:RDF " + b" ".join(sorted(match.group(1).split())) + b">", written, count=1)
    return written
