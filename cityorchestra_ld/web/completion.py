"""What the query editor proposes: prefixes, classes and properties that are defined here or used in the data."""

from __future__ import annotations

from typing import Final

import orjson
import pyoxigraph as ox

from cityorchestra_ld.namespaces import OWL, RDF, REUSED
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import clean

_TYPE: Final = ox.NamedNode(f"{RDF}type")
_CLASSES: Final = (f"{OWL}Class", f"{REUSED['rdfs']}Class")
_PROPERTIES: Final = (f"{OWL}ObjectProperty", f"{OWL}DatatypeProperty", f"{RDF}Property")


def completion(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/completion.json`: terms with their names in the language of the page."""
    generation = snapshot.generation
    tag = etag(site.salt, generation.number, "/completion", ask.language, snapshot.statistics is not None)
    if is_fresh(ask, tag, generation.created):
        return not_modified(tag, generation.created)
    terms = [
        *({"iri": iri, "kind": "class", "label": clean(snapshot.labels.of(iri, ask.language))} for iri in _classes(snapshot)),
        *(
            {"iri": iri, "kind": "property", "label": clean(snapshot.labels.of(iri, ask.language))}
            for iri in _properties(snapshot)
        ),
    ]
    graphs = sorted(info.graph for info in snapshot.infos.values() if info.dataset and snapshot.sees(info.graph))
    body = orjson.dumps({"prefixes": site.prefixes, "terms": terms, "graphs": graphs})
    validators = (("Cache-Control", CACHED), ("ETag", tag), ("Last-Modified", http_date(generation.created)))
    return Answer(200, (("Content-Type", "application/json"), ("Vary", "Accept"), *validators), body)


def _classes(snapshot: Snapshot) -> list[str]:
    used = {kind for kinds in snapshot.statistics.classes.values() for kind in kinds} if snapshot.statistics else set()
    return sorted(used | _defined(snapshot, _CLASSES))


def _properties(snapshot: Snapshot) -> list[str]:
    used = set(snapshot.statistics.properties) if snapshot.statistics else set()
    return sorted(used | _defined(snapshot, _PROPERTIES))


def _defined(snapshot: Snapshot, kinds: tuple[str, ...]) -> set[str]:
    """List what the ontologies of the territory define."""
    graphs = [graph for graph, info in snapshot.infos.items() if info.role == "ontology"]
    return {
        quad.subject.value
        for graph in graphs
        for kind in kinds
        for quad in snapshot.in_graph(graph, _TYPE, ox.NamedNode(kind))
        if isinstance(quad.subject, ox.NamedNode)
    }
