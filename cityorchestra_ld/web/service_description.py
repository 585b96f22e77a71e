"""Describe the SPARQL service to programs: languages, formats, and the graphs that anybody may query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.formats import QUERY_GRAPH_FORMATS, RESULT_FORMATS, Format
from cityorchestra_ld.namespaces import RDF, REUSED
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

_SD: Final = "http://www.w3.org/ns/sparql-service-description#"
_FORMATS: Final = "http://www.w3.org/ns/formats/"
_NAMES: Final = {
    "turtle": "Turtle",
    "json-ld": "JSON-LD",
    "n-triples": "N-Triples",
    "rdf-xml": "RDF_XML",
    "trig": "TriG",
    "n-quads": "N-Quads",
    "json": "SPARQL_Results_JSON",
    "xml": "SPARQL_Results_XML",
    "csv": "SPARQL_Results_CSV",
    "tsv": "SPARQL_Results_TSV",
}
N = ox.NamedNode


def format_iri(form: Format) -> str:
    """Return the IRI that W3C gave a format (https://www.w3.org/ns/formats/)."""
    return _FORMATS + _NAMES[form.name]


def service_description(site: Site, snapshot: Snapshot, endpoint: str) -> Iterator[ox.Triple]:
    """Describe the service (SPARQL 1.1 Service Description, section 3), with the visible graphs and their sizes."""
    service, dataset, default = N(site.territory.iris.id("service", "sparql")), ox.BlankNode("dataset"), ox.BlankNode("default")
    yield ox.Triple(service, _rdf("type"), _sd("Service"))
    yield ox.Triple(service, _sd("endpoint"), N(endpoint))
    yield ox.Triple(service, _sd("supportedLanguage"), _sd("SPARQL11Query"))
    for form in (*RESULT_FORMATS, *QUERY_GRAPH_FORMATS):
        yield ox.Triple(service, _sd("resultFormat"), N(format_iri(form)))
    yield ox.Triple(service, _sd("feature"), _sd("EmptyGraphs"))
    if site.territory.services:
        yield ox.Triple(service, _sd("feature"), _sd("BasicFederatedQuery"))
    for other in site.territory.services:
        yield ox.Triple(service, _rdfs("seeAlso"), N(other.address))
        yield ox.Triple(N(other.address), _rdfs("label"), ox.Literal(other.name))
        if other.licence:
            yield ox.Triple(N(other.address), N(REUSED["dct"] + "rights"), ox.Literal(other.licence))
    yield ox.Triple(service, _sd("defaultDataset"), dataset)
    yield ox.Triple(dataset, _rdf("type"), _sd("Dataset"))
    yield ox.Triple(dataset, _sd("defaultGraph"), default)
    yield ox.Triple(default, _rdf("type"), _sd("Graph"))
    size = sum(snapshot.infos[name].triples for name in snapshot.view.default_graphs if name in snapshot.infos)
    yield ox.Triple(default, _void("triples"), ox.Literal(size))
    for number, name in enumerate(snapshot.view.named_graphs):
        node, graph = ox.BlankNode(f"named{number}"), ox.BlankNode(f"graph{number}")
        yield ox.Triple(dataset, _sd("namedGraph"), node)
        yield ox.Triple(node, _rdf("type"), _sd("NamedGraph"))
        yield ox.Triple(node, _sd("name"), N(name))
        yield ox.Triple(node, _sd("graph"), graph)
        yield ox.Triple(graph, _rdf("type"), _sd("Graph"))
        if name in snapshot.infos:
            yield ox.Triple(graph, _void("triples"), ox.Literal(snapshot.infos[name].triples))


def _sd(name: str) -> ox.NamedNode:
    return N(_SD + name)


def _rdf(name: str) -> ox.NamedNode:
    return N(RDF + name)


def _rdfs(name: str) -> ox.NamedNode:
    return N(REUSED["rdfs"] + name)


def _void(name: str) -> ox.NamedNode:
    return N(REUSED["void"] + name)
