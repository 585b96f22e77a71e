"""What became of a thing: 301 to the one thing that replaces it, 410 with a tombstone when it was taken away."""

from __future__ import annotations

from itertools import islice
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.formats import GRAPH_FORMATS, HTML, negotiate
from cityorchestra_ld.namespaces import DCT, PROV, RDF, XSD
from cityorchestra_ld.store import Gone, find_gone
from cityorchestra_ld.web.addresses import to_uri
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, redirect
from cityorchestra_ld.web.problems import PROBLEM, GoneError
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import date_text
from cityorchestra_ld.web.writing import write_graph

INSEE: Final = "http://id.insee.fr/geo/"
REPLACED: Final = ox.NamedNode(f"{DCT}isReplacedBy")
_REPLACES: Final = ox.NamedNode(f"{DCT}replaces")
_STEPS: Final = 20
_FEW: Final = 1_000  # replacements that are known by heart
N = ox.NamedNode


def successor(snapshot: Snapshot, iri: str) -> str | None:
    """Return the one thing that a chain of replacements leads to; `None` for none, for several, and for a circle."""
    seen, here = {iri}, iri
    while len(seen) <= _STEPS:
        found = _next(snapshot, here)
        if not found:
            return here if here != iri else None
        if len(found) > 1 or found & seen:
            return None
        here = found.pop()
        seen.add(here)
    return None


def _next(snapshot: Snapshot, iri: str) -> set[str]:
    node = N(iri)
    said = {quad.object.value for quad in snapshot.plain(node, REPLACED, None) if isinstance(quad.object, ox.NamedNode)}
    listed = replaced(snapshot)
    if listed is not None and iri not in listed:
        return said
    return said | {q.subject.value for q in snapshot.plain(None, _REPLACES, node) if isinstance(q.subject, ox.NamedNode)}


def replaced(snapshot: Snapshot) -> frozenset[str] | None:
    """List what anything says that it replaces; `None` when that is much."""
    return snapshot.remember("replaced", lambda: _replaced(snapshot))


def _replaced(snapshot: Snapshot) -> frozenset[str] | None:
    found = list(islice(snapshot.plain(None, _REPLACES, None), _FEW + 1))
    if len(found) > _FEW:
        return None
    return frozenset(quad.object.value for quad in found if isinstance(quad.object, ox.NamedNode))


def identity(site: Site, iri: str) -> str:
    """Return the path that stands for a thing here: its own, the alias of an IRI of INSEE, or the page about it."""
    if iri.startswith(INSEE):
        return "/id/" + to_uri(iri.removeprefix(INSEE))
    return site.addresses.path(iri) if site.addresses.is_ours(iri) else site.addresses.page(iri) or "/"


def moved(ask: Ask, site: Site, iri: str) -> Answer:
    """Send to what replaces a thing, for good (RFC 9110, section 15.4.2)."""
    target = ask.root + identity(site, iri)
    return redirect(301, target, (("Cache-Control", CACHED), ("Link", f'<{target}>; rel="successor-version"')))


def replaced_or_gone(ask: Ask, site: Site, snapshot: Snapshot, path: str) -> Answer | None:
    """
    Answer for a thing of ours that is not there any more; `None` when there never was one.

    Raises GoneError with the tombstone, unless the client wants it as RDF.
    """
    for iri in site.addresses.iris(path):
        heir = successor(snapshot, iri)
        if heir is not None:
            return moved(ask, site, heir)
        gone = find_gone(site.territory.state / "store", iri, snapshot.generation.number)
        if gone is not None and _may_be_told(snapshot, gone):
            return _tombstone(ask, site, snapshot, gone)
    return None


def _may_be_told(snapshot: Snapshot, gone: Gone) -> bool:
    """Tell whether the dataset that a thing was in is still public, or went away as a whole."""
    graphs = [info.graph for info in snapshot.generation.graphs if info.dataset == gone.dataset and gone.dataset]
    return not graphs or any(snapshot.sees(graph) for graph in graphs)


def _tombstone(ask: Ask, site: Site, snapshot: Snapshot, gone: Gone) -> Answer:
    path = site.addresses.page(gone.iri) or "/"
    links = (
        f'<{ask.root}{path}>; rel="original timegate"',
        f'<{ask.root}/timemap{path}>; rel="timemap"; type="application/link-format"',
    )
    offer = negotiate(ask.accept, (PROBLEM, HTML, *GRAPH_FORMATS))
    if offer is not None and offer.format in GRAPH_FORMATS:
        body = write_graph(_triples(site, gone), offer.format, site.prefixes, gone.iri)
        headers = (
            ("Content-Type", offer.content_type),
            ("Vary", "Accept"),
            ("Cache-Control", CACHED),
            ("Link", ", ".join(links)),
        )
        return Answer(410, headers, body)
    facts = {"iri": gone.iri, "removed": gone.at.isoformat(timespec="seconds"), "generation": str(gone.generation)}
    facts |= {"dataset": gone.dataset} if gone.dataset else {}
    facts |= {"version": gone.version} if gone.version else {}
    raise GoneError(
        _why(gone),
        facts,
        hint=Text(
            f"Les versions gardées sont listées à /timemap{path}.", f"The versions that are kept are listed at /timemap{path}."
        ),
        links=links,
    )


def _why(gone: Gone) -> Text:
    day = {lang: date_text(gone.at.date().isoformat(), f"{XSD}date", lang) or "" for lang in ("fr", "en")}
    if gone.dataset is None:
        return Text(f"Cette ressource a été retirée le {day['fr']}.", f"This resource was removed on {day['en']}.")
    if gone.version is None:
        return Text(
            f"Cette ressource a été retirée le {day['fr']} : le jeu de données {gone.dataset} n'est plus publié.",
            f"This resource was removed on {day['en']}: the dataset {gone.dataset} is published no more.",
        )
    return Text(
        f"Cette ressource a été retirée le {day['fr']} : elle n'est plus dans la version {gone.version} de {gone.dataset}.",
        f"This resource was removed on {day['en']}: it is not in version {gone.version} of {gone.dataset} any more.",
    )


def _triples(site: Site, gone: Gone) -> list[ox.Triple]:
    """Tell the end of a thing as data (PROV-O, section 3.3, qualified invalidation)."""
    subject, event = N(gone.iri), N(f"{gone.iri}#removal")
    moment = ox.Literal(gone.at.isoformat(), datatype=N(f"{XSD}dateTime"))
    found = [
        ox.Triple(subject, N(f"{PROV}invalidatedAtTime"), moment),
        ox.Triple(subject, N(f"{PROV}qualifiedInvalidation"), event),
        ox.Triple(event, N(f"{RDF}type"), N(f"{PROV}Invalidation")),
        ox.Triple(event, N(f"{PROV}atTime"), moment),
        ox.Triple(event, N(f"{DCT}description"), ox.Literal(_why(gone).fr, language="fr")),
        ox.Triple(event, N(f"{DCT}description"), ox.Literal(_why(gone).en, language="en")),
    ]
    if gone.dataset and gone.version:
        found.append(ox.Triple(event, N(f"{PROV}activity"), N(site.territory.iris.dataset(gone.dataset, gone.version))))
    return found
