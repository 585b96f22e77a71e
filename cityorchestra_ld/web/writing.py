"""Write a set of triples in one of the graph formats, with the prefixes that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import pyoxigraph as ox

from cityorchestra_ld.formats import Format
from cityorchestra_ld.web.jsonld import compact

_ROOT = re.compile(rb"<rdf:RDF ([^<>]*)>")


_PREFIXES = re.compile(rb"(?:@prefix [^\n]*\n)*")


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
    return prefixes_of({iri for triple in triples for iri in iris_of(triple)}, prefixes)


def prefixes_of(iris: Iterable[str], prefixes: Mapping[str, str]) -> dict[str, str]:
    """Keep the prefixes that these IRIs use."""
    spaces = set(map(_space, iris))
    return dict(sorted([(name, space) for name, space in prefixes.items() if space in spaces]))


@lru_cache(maxsize=4096)
def _space(iri: str) -> str:
    """Return an IRI up to its last slash or hash."""
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


def write_ordered(
    triples: Sequence[ox.Triple], form: Format, prefixes: Mapping[str, str], iris: Iterable[str] | None = None
) -> bytes:
    """Serialise triples that are in order already; whoever knows their IRIs says so."""
    if form.rdf == ox.RdfFormat.N_TRIPLES:
        return ox.serialize(triples, format=form.rdf) or b""
    used = used_prefixes(triples, prefixes) if iris is None else prefixes_of(iris, prefixes)
    if form.rdf == ox.RdfFormat.JSON_LD:
        return compact(triples, used)
    written = ox.serialize(triples, format=form.rdf, prefixes=used)
    return _settle(written or b"", form)


def _settle(written: bytes, form: Format) -> bytes:
    """Put the prefix declarations, which the library writes in no order, in alphabetical order: equal data, equal bytes."""
    if form.rdf == ox.RdfFormat.TURTLE:
        declared = _PREFIXES.match(written)
        end = declared.end() if declared else 0
        return b"".join((*sorted(written[:end].splitlines(keepends=True)), b"\n", written[end:])) if end else written
    if form.rdf == ox.RdfFormat.RDF_XML:
        return _ROOT.sub(lambda match: b"<rdf:RDF " + b" ".join(sorted(match.group(1).split())) + b">", written, count=1)
    return written
