"""Describe what defines and what holds: hash ontologies with all their terms, and named graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.formats import DOCUMENT_FORMATS, JSON_LD, Format, negotiate, split_suffix
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.namespaces import OWL, RDF, REUSED, SKOS
from cityorchestra_ld.web.codes import code_lists
from cityorchestra_ld.web.describe import closure
from cityorchestra_ld.web.http_ import VARY, Answer, Ask, etag, is_fresh
from cityorchestra_ld.web.labels import LABEL_IRIS
from cityorchestra_ld.web.problems import NotAcceptableError, Variant, not_found
from cityorchestra_ld.web.profiles import PROFILES
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.resource import ResourcePage, Row, view_for
from cityorchestra_ld.web.resource_page import resource_page
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
        codes = code_lists(snapshot, view) if snapshot.is_ontology(iri) else []
        return site.pages.render(
            "ontology.html", ask, snapshot.generation, resource=whole, groups=groups, path=path, codes=codes
        )

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


def context(ask: Ask, site: Site, _: Snapshot) -> Answer:
    """Answer for `/context.jsonld`: the short names that framed JSON-LD uses."""
    if negotiate(ask.accept, (JSON_LD,)) is None:
        raise NotAcceptableError([Variant(JSON_LD.media_type, f"{ask.root}/context.jsonld")])
    tag = etag("context", site.context.document)
    headers = (("Content-Type", JSON_LD.media_type), ("Cache-Control", "public, max-age=3600"), ("ETag", tag), ("Vary", VARY))
    return Answer(304, headers) if is_fresh(ask, tag) else Answer(200, headers, site.context.document)


def profiles(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/def/profile`: the profiles that documents come in."""
    stem, form = split_suffix(ask.path, DOCUMENT_FORMATS)
    if stem != "/def/profile":
        raise not_found(ask)
    base = site.territory.base_iri
    prof = "http://www.w3.org/ns/dx/prof/"

    def triples() -> list[ox.Triple]:
        found = []
        for profile in PROFILES:
            node = N(profile.iri(base))
            found += [
                ox.Triple(node, N(f"{RDF}type"), N(f"{prof}Profile")),
                ox.Triple(node, N(f"{prof}hasToken"), ox.Literal(profile.token)),
                ox.Triple(node, N(f"{REUSED['dct']}title"), ox.Literal(profile.title.fr, language="fr")),
                ox.Triple(node, N(f"{REUSED['dct']}title"), ox.Literal(profile.title.en, language="en")),
            ]
        return found

    def page() -> bytes:
        listed = [(profile, profile.iri(base)) for profile in PROFILES]
        return site.pages.render("profiles.html", ask, snapshot.generation, profiles=listed)

    return represent(
        ask, site, snapshot, Document(iri=f"{base}def/profile", path="/def/profile", triples=triples, page=page), form
    )
