"""Describe what defines and what holds: hash ontologies with all their terms, and named graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.formats import DOCUMENT_FORMATS, Format, split_suffix
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.namespaces import OWL, RDF, REUSED, SKOS
from cityorchestra_ld.web.dereference import not_found, resource_page, view_for
from cityorchestra_ld.web.describe import closure
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.labels import LABEL_IRIS
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.resource import ResourcePage, Row
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

_CLASSES: Final = frozenset((f"{OWL}Class", f"{REUSED['rdfs']}Class"))
_PROPERTIES: Final = frozenset((f"{OWL}ObjectProperty", f"{OWL}DatatypeProperty", f"{OWL}AnnotationProperty", f"{RDF}Property"))
_SAID: Final = LABEL_IRIS | {f"{REUSED['rdfs']}isDefinedBy", f"{SKOS}definition", f"{REUSED['dct']}description"}
_VOID: Final = REUSED["void"]
_GRAPH: Final = "http://www.w3.org/ns/sparql-service-description#NamedGraph"
N = ox.NamedNode


def _named(ask: Ask, site: Site, known: Callable[[str], bool]) -> tuple[str, Format | None]:
    """Return the known IRI that the path means, and the form that its suffix asks for; raise NotFoundError."""
    path = ask.path.removeprefix("/")
    for spelled, form in ((path, None), split_suffix(path, DOCUMENT_FORMATS)):
        iri = next((iri for iri in site.addresses.iris(spelled) if known(iri)), None)
        if iri is not None:
            return iri, form
    raise not_found(ask)


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an ontology, as its page shows it."""

    anchor: str
    label: str
    about: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class TermGroup:
    """Terms of one sort."""

    title: Text
    terms: tuple[Term, ...]


def define(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/def/…`: a hash ontology is one document with all its terms."""
    iri, fixed = _named(ask, site, lambda iri: _is_defined(snapshot, iri))
    path = site.addresses.path(iri)

    def triples() -> list[ox.Triple]:
        quads = [quad for node in _terms(snapshot, iri) for quad in closure(snapshot.all, N(node))]
        return list(dict.fromkeys(quad.triple for quad in quads))

    def page() -> bytes:
        view = view_for(ask, site, snapshot)
        terms = [view.page(snapshot.describe(node)) for node in _terms(snapshot, iri) if node != iri]
        whole = view.page(snapshot.describe(iri))
        whole = replace(whole, rows=_further(whole.rows))
        groups = _groups(terms, len(iri) + 1)
        return site.pages.render("ontology.html", ask, snapshot.generation, resource=whole, groups=groups, path=path)

    return represent(ask, site, snapshot, Document(iri=iri, path=path, triples=triples, page=page), fixed)


def _definitions(snapshot: Snapshot) -> list[str]:
    return [graph for graph, info in snapshot.infos.items() if info.role in ("ontology", "shapes")]


def _is_defined(snapshot: Snapshot, iri: str) -> bool:
    return snapshot.exists(iri) or len(_terms(snapshot, iri)) > 1


def _terms(snapshot: Snapshot, iri: str) -> list[str]:
    """List an ontology and its terms, from the graphs that define things."""
    start = iri + "#"
    found = {
        quad.subject.value
        for graph in _definitions(snapshot)
        for quad in snapshot.in_graph(graph)
        if isinstance(quad.subject, ox.NamedNode) and quad.subject.value.startswith(start)
    }
    return [iri, *sorted(found)]


def _groups(terms: list[ResourcePage], cut: int) -> list[TermGroup]:
    titles = (Text("Classes", "Classes"), Text("Propriétés", "Properties"), Text("Autres termes", "Other terms"))
    sorted_out: tuple[list[Term], ...] = ([], [], [])
    for term in sorted(terms, key=lambda item: item.iri.lower()):
        kinds = {kind.raw for kind in term.kinds}
        place = 0 if kinds & _CLASSES else 1 if kinds & _PROPERTIES else 2
        sorted_out[place].append(Term(term.iri[cut:], term.label, term.about, _further(term.rows)))
    return [TermGroup(title, tuple(group)) for title, group in zip(titles, sorted_out, strict=True) if group]


def _further(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Leave out what the heading of a term says already."""
    return tuple(row for row in rows if row.iri not in _SAID)


def graph(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/graph/…`: what a graph is, how large, from which dataset; never one that is not visible."""
    name, form = _named(ask, site, snapshot.sees)
    told = snapshot.describe(name)
    told = replace(told, quads=(*told.quads, *_graph_facts(site, snapshot.infos[name])))
    path = site.addresses.path(name)
    return represent(
        ask,
        site,
        snapshot,
        Document(
            iri=name,
            path=path,
            triples=lambda: told.triples,
            page=lambda: resource_page(ask, site, snapshot, told, path, ""),
        ),
        form,
    )


def _graph_facts(site: Site, info: GraphInfo) -> list[ox.Quad]:
    """Say of a graph what the generation knows of it."""
    node = N(info.graph)
    dct = REUSED["dct"]
    facts: list[tuple[str, ox.NamedNode | ox.Literal]] = [
        (f"{RDF}type", N(_GRAPH)),
        (f"{RDF}type", N(f"{_VOID}Dataset")),
        (f"{_VOID}triples", ox.Literal(info.triples)),
        (f"{dct}type", ox.Literal(info.role)),
    ]
    if info.dataset:
        facts.append((f"{dct}isPartOf", N(site.territory.iris.dataset(info.dataset))))
    if info.version:
        facts.append((f"{REUSED['dcat']}version", ox.Literal(info.version)))
    return [ox.Quad(node, N(predicate), value, ox.DefaultGraph()) for predicate, value in facts]
