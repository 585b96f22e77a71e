"""List what points to a resource, page by page: `/links?iri=…`, of one property when it is named."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Final
from urllib.parse import quote

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.namespaces import DCT, RDF
from cityorchestra_ld.web.addresses import checked_iri
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.paging import Pages, Part, no_page, page_number, told
from cityorchestra_ld.web.problems import NotFoundError
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.resource import view_for
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

_PAGE: Final = 200
_HYDRA: Final = "http://www.w3.org/ns/hydra/core#"
N = ox.NamedNode
_TYPE: Final = N(f"{RDF}type")
_SUBJECT: Final = N(f"{DCT}subject")


def links_to(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/links?iri=`: a page of the links to a resource, and where the next page is."""
    given = ask.one("iri")
    if given is None:
        raise UsageError(Text("Il manque le paramètre « iri ».", "The parameter 'iri' is missing."), place=Place(column="iri"))
    iri, by = checked_iri(given), ask.one("property")
    predicate = checked_iri(by) if by else None
    if not snapshot.exists(iri) and not snapshot.is_mentioned(iri):
        raise NotFoundError(
            Text("Ces données ne disent rien de cette adresse.", "These data say nothing about this IRI."),
            place=Place(value=given),
        )
    number = page_number(ask)
    query = f"?iri={quote(iri, safe='')}" + (f"&property={quote(predicate, safe='')}" if predicate else "")
    pages = Pages(f"/links{query}&page=", site.territory.base_iri, ask.root)
    found = cache(lambda: _part(snapshot, iri, predicate, pages, number))

    def page() -> bytes:
        view = view_for(ask, site, snapshot)
        pointing = [triple for triple in found().triples if triple.object == N(iri) and triple.predicate != _SUBJECT]
        rows = [(view.link(triple.predicate.value), view.link(_name(triple.subject))) for triple in pointing]
        more = any('rel="next"' in link for link in found().links)
        return site.pages.render(
            "links.html",
            ask,
            snapshot.generation,
            about=view.link(iri),
            rows=rows,
            number=number,
            more=more,
            path=f"/links{query}",
        )

    document = Document(
        iri=pages.iri(number).value,
        path="/links",
        query=f"{query}&page={number}",
        triples=lambda: found().triples,
        page=page,
        links=lambda: found().links,
        own_pages=True,
    )
    return represent(ask, site, snapshot, document)


def _part(snapshot: Snapshot, iri: str, predicate: str | None, pages: Pages, number: int) -> Part:
    start = (number - 1) * _PAGE
    found = list(islice(snapshot.links_to(iri, predicate), start, start + _PAGE + 1))
    if not found and number > 1:
        raise no_page(number)
    collection = N(pages.iri(1).value.rpartition("&")[0])
    about = [ox.Triple(collection, _TYPE, N(f"{_HYDRA}Collection")), ox.Triple(collection, _SUBJECT, N(iri))]
    return told([*about, *found[:_PAGE]], collection.value, pages, number, more=len(found) > _PAGE)


def _name(term: ox.NamedNode | ox.BlankNode | ox.Triple) -> str:
    return term.value if isinstance(term, ox.NamedNode) else str(term)
