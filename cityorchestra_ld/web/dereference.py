"""Dereference: `/id` sends to `/doc`, documents describe resources, ontologies and graphs, `/describe` those of others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final
from urllib.parse import quote

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.formats import DOCUMENT_FORMATS, Format, split_suffix
from cityorchestra_ld.namespaces import OWL, RDF, REUSED
from cityorchestra_ld.web.addresses import checked_iri, to_uri
from cityorchestra_ld.web.datasets import DatasetCard, card, classes, sources_of
from cityorchestra_ld.web.describe import Description
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, redirect
from cityorchestra_ld.web.problems import NotFoundError
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.resource import ResourceView
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

_INSEE: Final = "http://id.insee.fr/geo/"
_INSEE_CONCEPTS: Final = frozenset(("commune", "departement", "region", "arrondissement", "canton"))
_CLASSES: Final = frozenset((f"{OWL}Class", f"{REUSED['rdfs']}Class"))
_PROPERTIES: Final = frozenset((f"{OWL}ObjectProperty", f"{OWL}DatatypeProperty", f"{OWL}AnnotationProperty", f"{RDF}Property"))
N = ox.NamedNode


def not_found(ask: Ask) -> NotFoundError:
    """Make the error for an address where there is nothing."""
    address = ask.path if len(ask.path) <= 200 else ask.path[:199] + "…"
    return NotFoundError(
        Text(f"Rien n'est publié à l'adresse {address}", f"Nothing is published at {address}"),
        hint=Text(
            "Vérifiez l'adresse, ou partez de la liste des données.", "Check the address, or start from the list of data."
        ),
    )


def _find(site: Site, snapshot: Snapshot, path: str) -> str | None:
    """Return the IRI that a path means among those that exist."""
    return next((iri for iri in site.addresses.iris(path) if snapshot.exists(iri)), None)


def _find_document(site: Site, snapshot: Snapshot, path: str) -> tuple[str | None, Format | None]:
    """Return the IRI and the form that a path means; a reference that ends like a suffix comes first."""
    iri = _find(site, snapshot, path)
    if iri is not None:
        return iri, None
    stem, form = split_suffix(path, DOCUMENT_FORMATS)
    return (_find(site, snapshot, stem), form) if form else (None, None)


def _elsewhere(ask: Ask, snapshot: Snapshot, path: str) -> Answer | None:
    """Send `commune/35238` to the page of INSEE's IRI, for which we cannot answer ourselves."""
    concept, _, reference = path.partition("/")
    if concept in _INSEE_CONCEPTS and reference.isalnum():
        iri = f"{_INSEE}{concept}/{reference}"
        if snapshot.exists(iri):
            return see_other(ask, "/describe?iri=" + quote(iri, safe=""))
    return None


def see_other(ask: Ask, path: str) -> Answer:
    """Send to the document about a thing (303), with the parameters of the request."""
    kept = ask.query_string if "?" not in path else ""
    target = f"{ask.root}{path}{'?' + kept if kept else ''}"
    headers = (("Vary", "Accept"), ("Cache-Control", CACHED), ("Link", f'<{target}>; rel="describedby"'))
    return redirect(303, target, headers)


def identify(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/id/…`: 303 to the document when the thing exists, 404 when it does not."""
    path = ask.path.removeprefix("/id/")
    iri = _find(site, snapshot, "id/" + path)
    if iri is not None:
        return see_other(ask, site.addresses.page(iri) or "/")
    elsewhere = _elsewhere(ask, snapshot, path)
    if elsewhere is None:
        raise not_found(ask)
    return elsewhere


def document(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/doc/…`: the description of a thing in the form asked for."""
    path = ask.path.removeprefix("/doc/")
    iri, form = _find_document(site, snapshot, "id/" + path)
    if iri is None:
        elsewhere = _elsewhere(ask, snapshot, path)
        if elsewhere is None:
            raise not_found(ask)
        return elsewhere
    return represent(ask, site, snapshot, _about(ask, site, snapshot, iri), form)


def nested(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for the IRI that stands for a blank node."""
    iri, form = _find_document(site, snapshot, ask.path.removeprefix("/"))
    if iri is None:
        raise not_found(ask)
    return represent(ask, site, snapshot, _about(ask, site, snapshot, iri), form)


def describe(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/describe?iri=`: what we know of an IRI that others coined."""
    text = ask.one("iri")
    if text is None:
        raise UsageError(
            Text("Il manque le paramètre « iri ».", "The parameter 'iri' is missing."),
            hint=Text("Exemple : /describe?iri=http://id.insee.fr/geo/commune/35238",
                      "Example: /describe?iri=http://id.insee.fr/geo/commune/35238"),
        )  # fmt: skip
    iri = checked_iri(text)
    if site.addresses.is_ours(iri) and snapshot.exists(iri):
        said = f"?lang={ask.said_language}" if ask.said_language else ""
        return redirect(303, ask.root + (site.addresses.page(iri) or "/") + said, (("Vary", "Accept"),))
    if not snapshot.exists(iri) and not snapshot.is_mentioned(iri):
        raise NotFoundError(
            Text("Ces données ne disent rien de cette adresse.", "These data say nothing about this IRI."),
            place=Place(value=text),
        )
    return represent(ask, site, snapshot, _about(ask, site, snapshot, iri, "?iri=" + quote(iri, safe="")))


def _about(ask: Ask, site: Site, snapshot: Snapshot, iri: str, query: str = "") -> Document:
    """Prepare the document that describes a resource."""
    path = "/describe" if query else site.addresses.page(iri) or "/"
    tell = cache(lambda: snapshot.describe(iri))  # only when the answer is not remembered

    def triples() -> Sequence[ox.Triple]:
        return tell().triples if tell().quads else snapshot.uses(iri)

    def page() -> bytes:
        whole = snapshot.with_links(tell())
        dataset = site.dataset_at(iri)
        if dataset is not None:
            return _dataset_page(ask, site, snapshot, card(site.territory, site.addresses, snapshot, dataset), whole, path)
        return resource_page(ask, site, snapshot, whole, path, query)

    def links() -> list[str]:
        datasets = _sources(site, snapshot, tell())
        licences = [f'<{to_uri(item)}>; rel="license"' for item in dict.fromkeys(source.licence.iri for source in datasets)]
        records = [f'<{ask.root}{source.href}>; rel="describedby"' for source in datasets if source.href and source.iri != iri]
        return [f'<{to_uri(iri)}>; rel="describes"', *records, *licences]

    return Document(iri=iri, path=path, query=query, triples=triples, page=page, links=links)


def _sources(site: Site, snapshot: Snapshot, described: Description) -> tuple[DatasetCard, ...]:
    dataset = site.dataset_at(described.iri)
    if dataset is not None:
        return (card(site.territory, site.addresses, snapshot, dataset),)
    return sources_of(site.territory, site.addresses, snapshot, described.graphs)


def view_for(ask: Ask, site: Site, snapshot: Snapshot) -> ResourceView:
    """Make the maker of page models for this request."""
    return ResourceView(site.addresses, snapshot.labels, ask.language, lambda iri: has_page(site, snapshot, iri))


def has_page(site: Site, snapshot: Snapshot, iri: str) -> bool:
    """Tell whether we have a page about an IRI: a thing that is described, an IRI of others that is used, a page of ours."""
    if not site.addresses.is_ours(iri):
        return snapshot.exists(iri) or snapshot.is_mentioned(iri)
    return not iri.removeprefix(site.addresses.base).startswith(("id/", "def/")) or snapshot.exists(iri)


def resource_page(ask: Ask, site: Site, snapshot: Snapshot, told: Description, path: str, query: str) -> bytes:
    """Render the page of a resource."""
    datasets = _sources(site, snapshot, told)
    said = {snapshot.infos[graph].dataset for graph in told.graphs if graph in snapshot.infos}
    warned = said == {dataset.key for dataset in datasets if dataset.illustration}  # nobody else vouches for it
    home = sources_of(site.territory, site.addresses, snapshot, told.graphs[:1])
    return site.pages.render(
        "resource.html",
        ask,
        snapshot.generation,
        resource=view_for(ask, site, snapshot).page(told),
        datasets=datasets,
        home=home[0] if home and home[0].href else None,
        warnings=[dataset.illustration for dataset in datasets] if warned else [],
        path=path,
        query=query,
        whole=f"{path}{query}&format=nt" if query else f"{path}.nt",
        all_links=site.query("links", o=N(told.iri)).run,
    )


def _dataset_page(ask: Ask, site: Site, snapshot: Snapshot, dataset: DatasetCard, told: Description, path: str) -> bytes:
    view = view_for(ask, site, snapshot)
    visible = snapshot.sees(dataset.graph)
    graph = N(dataset.graph)
    return site.pages.render(
        "dataset.html",
        ask,
        snapshot.generation,
        dataset=dataset,
        classes=classes(snapshot, view, dataset) if visible else (),
        queries=[site.query(name, graph=graph) for name in ("classes", "properties", "sample")] if visible else (),
        record=view.page(told),
        path=path,
    )
