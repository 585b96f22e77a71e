"""A third SHACL engine, which only tests know: pyshacl-turbo, written from pySHACL's rules in another language."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyoxigraph as ox
import pyshacl_turbo
import rdflib

SH = rdflib.Namespace("http://www.w3.org/ns/shacl#")


class Refused(Exception):
    """The engine does not do what the shapes ask for."""


def third_voice(data: Path, shapes: bytes) -> Counter:
    """Return results as (focus, value, component, severity, shape), with every blank node written `_:`."""
    options = {"data_graph_format": "nt", "shacl_graph_format": "nt", "inference": "none"}
    _, report, text = pyshacl_turbo.validate(as_triples(data.read_bytes()), shacl_graph=shapes, **options)
    if not isinstance(report, rdflib.Graph):
        raise Refused(str(text))
    return Counter(
        (
            written(report.value(result, SH.focusNode)),
            written(report.value(result, SH.value)),
            str(report.value(result, SH.sourceConstraintComponent)),
            str(report.value(result, SH.resultSeverity)),
            written(report.value(result, SH.sourceShape)),
        )
        for result in report.objects(None, SH.result)
    )


def as_triples(quads: bytes) -> bytes:
    """Forget the names of graphs."""
    return "".join(f"{quad.triple} .\n" for quad in ox.parse(quads, format=ox.RdfFormat.N_QUADS)).encode()


def written(term: rdflib.term.Node | None) -> str | None:
    """Write a term as our results do."""
    if term is None:
        return None
    if isinstance(term, rdflib.BNode):
        return "_:"
    if isinstance(term, rdflib.URIRef):
        return str(ox.NamedNode(str(term)))
    if term.language:
        return str(ox.Literal(str(term), language=term.language))
    return str(ox.Literal(str(term), datatype=ox.NamedNode(str(term.datatype)) if term.datatype else None))


def masked(rows: Counter) -> Counter:
    """Write our results as the third voice does: blank nodes without a label, the component as it is."""
    found: Counter = Counter()
    for row, count in rows.items():
        found[tuple("_:" if part is not None and part.startswith("_:") else part for part in row)] += count
    return found
