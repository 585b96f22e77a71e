"""Find things by their names, in the index of the generation: the page and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson
import pyoxigraph as ox

from cityorchestra_ld.errors import Text, UsageError
from cityorchestra_ld.formats import HTML, Format, negotiate
from cityorchestra_ld.namespaces import RDF, REUSED
from cityorchestra_ld.store.names import Named, fold, words_of
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, Variant
from cityorchestra_ld.web.resource import is_generic, view_for
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, shorten

_JSON: Final = Format(name="json", label="JSON", media_type="application/json", suffix="json")
_OFFERS: Final = (HTML, _JSON)
_TYPE: Final = ox.NamedNode(f"{RDF}type")
_PARTS: Final = frozenset(  # of the records of datasets: nobody looks for them
    REUSED[prefix] + name
    for prefix, name in (
        ("dct", "RightsStatement"),
        ("dcat", "Distribution"),
        ("vcard", "Organization"),
        ("dct", "PeriodOfTime"),
    )
)
_SHOWN: Final = 60
_LISTED: Final = 20  # of the JSON form
_LONGEST: Final = 120
_NAMES: Final = 50_000  # names that are looked at
_CANDIDATES: Final = 1_000  # things that are put in order


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the search page."""

    link: Shown
    kind: Shown | None


def find_by_name(snapshot: Snapshot, text: str, most: int) -> list[Named]:
    """Find things whose name holds all words of a text, best first."""
    found = snapshot.reader.names.find(text, sorted(snapshot.all.graphs), _CANDIDATES, of=_NAMES)
    asked = " ".join(words_of(text))
    hits: list[Named] = []
    for hit in sorted(found, key=lambda hit: _rank(fold(hit.name), hit, asked)):
        if len(hits) >= most:
            break
        if _kind(snapshot, hit.iri) not in _PARTS:
            hits.append(hit)
    return hits


def _rank(folded: str, hit: Named, asked: str) -> tuple[int, int, bool, str, str]:
    """Whole names first, then names that begin so, then words inside; short names before long ones."""
    closeness = 0 if folded == asked else 1 if folded.startswith(asked) else 2
    return closeness, len(folded), "/geo/" not in hit.iri, folded, hit.iri


def search(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/search?q=`: a page, or JSON for programs and for completion; raises UsageError for a text too long."""
    offer = negotiate(ask.accept, _OFFERS)
    if offer is None and ask.one("format") != "json":
        raise NotAcceptableError([Variant(item.media_type, f"{ask.root}/search?format={item.suffix}") for item in _OFFERS])
    chosen = _JSON if offer is None or ask.one("format") == "json" else offer.format
    text = (ask.one("q") or "").strip()
    if len(text) > _LONGEST:
        raise UsageError(
            Text("La recherche est trop longue.", "The search is too long."),
            hint=Text("Donnez quelques mots.", "Give a few words."),
        )
    generation = snapshot.generation
    said = (chosen.suffix, text, ask.said_language, ask.root)
    tag = etag(site.salt, generation.number, generation.created.isoformat(), "/search", *said)
    if is_fresh(ask, tag, generation.created):
        return not_modified(tag, generation.created)
    hits = find_by_name(snapshot, text, _SHOWN + 1)
    body = _page(ask, site, snapshot, text, hits) if chosen is HTML else _json(ask, site, snapshot, text, hits)
    headers = (
        ("Content-Type", chosen.media_type + ("; charset=utf-8" if chosen is HTML else "")),
        ("Vary", VARY),
        ("Cache-Control", CACHED),
        ("ETag", tag),
        ("Last-Modified", http_date(generation.created)),
    )
    return Answer(200, headers, body)


def _json(ask: Ask, site: Site, snapshot: Snapshot, text: str, hits: list[Named]) -> bytes:
    view = view_for(ask, site, snapshot)
    listed = []
    for hit in hits[:_LISTED]:
        kind = _kind(snapshot, hit.iri)
        page = site.places.page(hit.iri) or view.link(hit.iri).href
        listed.append({"iri": hit.iri, "name": hit.name, "kind": view.link(kind).text if kind else "", "page": page})
    return orjson.dumps({"query": text, "results": listed, "more": len(hits) > _LISTED})


def _page(ask: Ask, site: Site, snapshot: Snapshot, text: str, hits: list[Named]) -> bytes:
    view = view_for(ask, site, snapshot)
    found = []
    for hit in hits[:_SHOWN]:
        page = site.places.page(hit.iri) or view.link(hit.iri).href
        kind = _kind(snapshot, hit.iri)
        link = Shown(kind="link" if page else "iri", text=clean(shorten(hit.name, 200)[0]), raw=clean(hit.iri), href=page)
        found.append(Found(link, view.link(kind) if kind else None))
    return site.pages.render("search.html", ask, snapshot.generation, text=text, found=found, more=len(hits) > _SHOWN)


def _kind(snapshot: Snapshot, iri: str) -> str | None:
    """Return the class that says most of a thing."""
    kinds = (
        quad.object.value for quad in snapshot.all(ox.NamedNode(iri), _TYPE, None) if isinstance(quad.object, ox.NamedNode)
    )
    return min(set(kinds), key=lambda kind: (is_generic(kind), kind), default=None)
