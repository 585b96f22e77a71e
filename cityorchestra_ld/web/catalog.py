"""The home page, and the catalogue as a page and as RDF."""

from __future__ import annotations

from dataclasses import dataclass

import pyoxigraph as ox

from cityorchestra_ld.formats import DOCUMENT_FORMATS, HTML, negotiate
from cityorchestra_ld.web.datasets import Theme, by_theme, cards
from cityorchestra_ld.web.dereference import not_found
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, Variant
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.site_ import Example, Site
from cityorchestra_ld.web.snapshot import Snapshot

_QUESTIONS = 6


@dataclass(frozen=True, slots=True)
class Overview:
    """What the home page and the catalogue say of the whole."""

    datasets: int
    partners: int
    triples: int
    themes: tuple[Theme, ...]
    questions: tuple[Example, ...] = ()
    example: str = ""


def overview(ask: Ask, site: Site, snapshot: Snapshot) -> Overview:
    """Count what is really there."""
    listed = cards(site.territory, site.addresses, snapshot)
    loaded = [dataset for dataset in listed if dataset.loaded]
    example = next((dataset.example for dataset in loaded if dataset.example and snapshot.exists(dataset.example)), None)
    home = ask.origin + ask.root if ask.origin else site.territory.base_iri.rstrip("/")
    path = (site.addresses.path(example) if example and site.addresses.is_ours(example) else None) or "/catalog"
    return Overview(
        datasets=len(listed),
        partners=len({dataset.publisher for dataset in listed}),
        triples=sum(info.triples for graph, info in snapshot.infos.items() if snapshot.sees(graph)),
        themes=by_theme(listed),
        questions=tuple(site.examples.values())[:_QUESTIONS],
        example=home + path,
    )


def home(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/`: a page and nothing else."""
    offer = negotiate(ask.accept, (HTML,))
    if offer is None:
        raise NotAcceptableError([Variant(HTML.media_type, f"{ask.root}/"), Variant("text/turtle", f"{ask.root}/catalog.ttl")])
    generation = snapshot.generation
    said = (ask.language, ask.said_language, ask.root, ask.origin, offer.media_type)
    tag = etag(site.salt, generation.number, generation.created.isoformat(), "/", *said)
    if is_fresh(ask, tag, generation.created):
        return not_modified(tag, generation.created)
    headers = (
        ("Content-Type", offer.content_type),
        ("Content-Language", ask.language),
        ("Vary", VARY),
        ("Cache-Control", CACHED),
        ("ETag", tag),
        ("Last-Modified", http_date(generation.created)),
        ("Link", f'<{ask.root}/catalog.ttl>; rel="alternate"; type="text/turtle", <{ask.root}/sparql>; rel="service"'),
    )
    return Answer(200, headers, site.pages.render("home.html", ask, generation, home=overview(ask, site, snapshot)))


def catalogue(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/catalog` and its forms: every dataset, from the catalogue graph that was published with the data."""
    graphs = [graph for graph, info in snapshot.infos.items() if info.role == "catalog" and snapshot.sees(graph)]
    form = None
    if ask.path != "/catalog":
        suffix = ask.path.removeprefix("/catalog.")
        form = next((form for form in DOCUMENT_FORMATS if form.suffix == suffix), None)
        if form is None:
            raise not_found(ask)

    def triples() -> list[ox.Triple]:
        return list(dict.fromkeys(quad.triple for graph in graphs for quad in snapshot.in_graph(graph)))

    def page() -> bytes:
        return site.pages.render("catalog.html", ask, snapshot.generation, catalog=overview(ask, site, snapshot))

    main = site.territory.iris.id("catalog", "main")
    return represent(ask, site, snapshot, Document(iri=main, path="/catalog", triples=triples, page=page), form)
