"""Dereference: `/id` sends to `/doc`, documents describe resources, ontologies and graphs, `/describe` those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.formats import DOCUMENT_FORMATS, GEOJSON, Format, split_suffix
from cityorchestra_ld.namespaces import OWL, RDF, REUSED
from cityorchestra_ld.store import find_gone
from cityorchestra_ld.web import memento
from cityorchestra_ld.web.addresses import checked_iri, to_uri
from cityorchestra_ld.web.afterlife import INSEE, identity, moved, replaced_or_gone, successor
from cityorchestra_ld.web.dataset_page import dataset_page
from cityorchestra_ld.web.datasets import card
from cityorchestra_ld.web.describe import Description
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, redirect
from cityorchestra_ld.web.located import is_located
from cityorchestra_ld.web.memento import (
    asked_moment,
    dated,
    find_state,
    opened,
    split,
    stamp,
    states,
    time_map,
    timegate,
    without_date,
)
from cityorchestra_ld.web.problems import NotFoundError, not_found
from cityorchestra_ld.web.renderings import of_thing
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.resource_page import resource_page, sources_for
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

_INSEE_CONCEPTS: Final = frozenset(("commune", "departement", "region", "arrondissement", "canton"))
_CLASSES: Final = frozenset((f"{OWL}Class", f"{REUSED['rdfs']}Class"))
_PROPERTIES: Final = frozenset((f"{OWL}ObjectProperty", f"{OWL}DatatypeProperty", f"{OWL}AnnotationProperty", f"{RDF}Property"))
N = ox.NamedNode


def _find(site: Site, snapshot: Snapshot, path: str) -> str | None:
    """Return the IRI that a path means among those that exist."""
    return next((iri for iri in site.addresses.iris(path) if snapshot.exists(iri)), None)


def _find_document(site: Site, snapshot: Snapshot, path: str) -> tuple[str | None, Format | None]:
    """Return the IRI and the form that a path means; a reference that ends like a suffix comes first."""
    iri = _find(site, snapshot, path)
    if iri is not None:
        return iri, None
    stem, form = split_suffix(path, (*DOCUMENT_FORMATS, GEOJSON))
    iri = _find(site, snapshot, stem) if form else None
    if iri is not None and form is GEOJSON and not is_located(snapshot.all, iri):
        return None, None
    return iri, form


def _elsewhere(ask: Ask, site: Site, snapshot: Snapshot, path: str) -> Answer | None:
    """Send `commune/35238` to the page of INSEE's IRI, for which we cannot answer ourselves."""
    concept, _, reference = path.partition("/")
    if concept in _INSEE_CONCEPTS and reference.isalnum():
        iri = f"{INSEE}{concept}/{reference}"
        heir = successor(snapshot, iri)
        if heir is not None and ask.path.startswith("/id/"):
            return moved(ask, site, heir)
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
    """
    Answer for `/id/…`: 303 to the document when the thing exists, 301 to what replaces it.

    Raises GoneError when the thing was taken away, NotFoundError when there never was one.
    """
    path = ask.path.removeprefix("/id/")
    iri = _find(site, snapshot, "id/" + path)
    if iri is not None:
        heir = successor(snapshot, iri)
        return moved(ask, site, heir) if heir is not None else see_other(ask, site.addresses.page(iri) or "/")
    elsewhere = _elsewhere(ask, site, snapshot, path) or replaced_or_gone(ask, site, snapshot, "id/" + path)
    if elsewhere is None:
        raise not_found(ask)
    return elsewhere


def document(ask: Ask, site: Site, snapshot: Snapshot, prefix: str = "") -> Answer:
    """Answer for `/doc/…`: the description of a thing in the form asked for, or the way to an older state of it."""
    path = ask.path.removeprefix("/doc/")
    moment = None if prefix else asked_moment(ask)
    iri, form = _find_document(site, snapshot, "id/" + path)
    if moment is not None and (iri is not None or _was_there(site, snapshot, path)):
        return timegate(ask, site, snapshot, moment)
    if iri is None:
        elsewhere = _elsewhere(ask, site, snapshot, path) or replaced_or_gone(
            ask, site, snapshot, "id/" + split_suffix(path, (*DOCUMENT_FORMATS, GEOJSON))[0]
        )
        if elsewhere is None:
            raise not_found(ask)
        return elsewhere
    return represent(ask, site, snapshot, about(ask, site, snapshot, iri, prefix=prefix), form)


def _was_there(site: Site, snapshot: Snapshot, path: str) -> bool:
    """Tell whether a thing of ours was published once."""
    folder, number = site.territory.state / "store", snapshot.generation.number
    return any(find_gone(folder, iri, number) for iri in site.addresses.iris("id/" + path))


def state(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/memento/{moment}/doc/…`: a document as it was; raise NotFoundError when it was not there yet."""
    parts = split(ask.path)
    if parts is None:
        raise not_found(ask)
    generation, exact = find_state(site, snapshot, parts[0])
    if not exact:
        kept = f"?{ask.query_string}" if ask.query_string else ""
        return redirect(302, f"{ask.root}/memento/{stamp(generation)}{parts[1]}{kept}", (("Vary", "Accept"),))
    with opened(site, snapshot, generation) as then:
        answer = document(without_date(ask, parts[1]), site, then, prefix=f"/memento/{parts[0]}")
    return dated(ask, answer, generation, parts[1])


def state_list(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/timemap/doc/…`: the states of a document that are kept."""
    path = ask.path.removeprefix("/timemap")
    held = []
    for generation in states(site, snapshot) if path.startswith("/doc/") else ():
        with opened(site, snapshot, generation) as then:
            if _find(site, then, "id/" + path.removeprefix("/doc/")) is not None:
                held.append(generation)
    if not held:
        raise not_found(ask)
    return time_map(ask, path, snapshot, tuple(held))


def nested(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for the IRI that stands for a blank node."""
    iri, form = _find_document(site, snapshot, ask.path.removeprefix("/"))
    if iri is None:
        raise not_found(ask)
    return represent(ask, site, snapshot, about(ask, site, snapshot, iri), form)


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
    return represent(ask, site, snapshot, about(ask, site, snapshot, iri, "?iri=" + quote(iri, safe="")))


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a resource before its document is prepared."""

    graphs: tuple[str, ...]  # that speak of it
    located: bool  # has a geometry


def about(
    ask: Ask, site: Site, snapshot: Snapshot, iri: str, query: str = "", prefix: str = "", seen: Seen | None = None
) -> Document:
    """Prepare the document that describes a resource; older states have a prefix before their address."""
    path = "/describe" if query else prefix + (site.addresses.page(iri) or "/")
    told: list[Description] = []

    def tell() -> Description:
        if not told:  # only when the answer is not remembered, and once
            told.append(snapshot.describe(iri))
        return told[0]

    def triples() -> Sequence[ox.Triple]:
        return tell().triples if tell().quads else snapshot.uses(iri)

    def page() -> bytes:
        whole = snapshot.with_links(tell())
        dataset = site.dataset_at(iri)
        if dataset is not None:
            return dataset_page(ask, site, snapshot, card(site.territory, site.addresses, snapshot, dataset), whole, path)
        return resource_page(ask, site, snapshot, whole, path, query)

    def links() -> list[str]:
        sources = _source_links(ask, site, snapshot, iri, seen.graphs if seen else tell().graphs)
        dated = memento.links(ask, path) if path.startswith("/doc/") else []
        heir = successor(snapshot, iri)
        later = [f'<{ask.root}{identity(site, heir)}>; rel="successor-version"'] if heir else []
        return [f'<{to_uri(iri)}>; rel="describes"', *sources, *later, *dated]

    return Document(
        iri=iri,
        path=path,
        query=query,
        triples=triples,
        page=page,
        links=links,
        further=of_thing(
            ask, site, snapshot, iri, tell, triples, located=seen.located if seen else is_located(snapshot.all, iri)
        ),
        vary=memento.VARY if path.startswith("/doc/") else "Accept, Accept-Profile",
    )


def _source_links(ask: Ask, site: Site, snapshot: Snapshot, iri: str, graphs: tuple[str, ...]) -> list[str]:
    """Link to the datasets that a description comes from, and to their licences."""

    def find() -> list[str]:
        found = sources_for(site, snapshot, iri, graphs)
        licences = [f'<{to_uri(item)}>; rel="license"' for item in dict.fromkeys(source.licence.iri for source in found)]
        others = (source.href for source in found if source.href and source.iri != iri)
        return [*(f'<{ask.root}{href}>; rel="describedby"' for href in others), *licences]

    if site.dataset_at(iri) is not None:
        return find()
    return snapshot.remember(f"links {ask.root} {' '.join(graphs)}", find)
