"""The catalogue as a page with facets, and as RDF."""

from __future__ import annotations

from cityorchestra_ld.formats import DOCUMENT_FORMATS, HTML
from cityorchestra_ld.web.catalog_records import answer, chosen_form, records
from cityorchestra_ld.web.entries import read_wanted, select
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.representation import Document, represent
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot


def catalogue(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/catalog` and its forms: every dataset, from the catalogue graph that was published with the data."""
    form = None
    if ask.path != "/catalog":
        suffix = ask.path.removeprefix("/catalog.")
        form = next((form for form in DOCUMENT_FORMATS if form.suffix == suffix), None)
        if form is None:
            raise not_found(ask)
    written = chosen_form(ask, form, DOCUMENT_FORMATS)
    if written is not HTML:
        return answer(ask, site, snapshot, written, fixed=form is not None)
    main = site.territory.iris.id("catalog", "main")
    chosen = repr(read_wanted(ask))
    document = Document(
        iri=main,
        path="/catalog",
        triples=lambda: records(site, snapshot),
        page=lambda: catalog_page(ask, site, snapshot),
        variant=chosen,
    )
    return represent(ask, site, snapshot, document, form)


def catalog_page(ask: Ask, site: Site, snapshot: Snapshot) -> bytes:
    """Render the catalogue: what the address chooses, and what else could be chosen."""
    return site.pages.render("catalog.html", ask, snapshot.generation, selection=select(ask, site, snapshot))
