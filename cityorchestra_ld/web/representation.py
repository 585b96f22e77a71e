"""Answer with one of the forms of a document: choose it, validate what the client holds, build it once a generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyoxigraph as ox

from cityorchestra_ld.formats import DOCUMENT_FORMATS, HTML, Format, Offer, named, negotiate
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, Variant
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.writing import write_graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something with several forms: where it is, what it says, how its page is made."""

    iri: str
    path: str  # without suffix
    triples: Callable[[], Sequence[ox.Triple]]
    page: Callable[[], bytes]
    query: str = ""  # `?iri=…` when the address needs one; then forms are chosen by `format=`
    links: Callable[[], Sequence[str]] = tuple  # further Link values
    formats: tuple[Format, ...] = DOCUMENT_FORMATS

    def form_path(self, form: Format, root: str = "") -> str:
        """Return the address of one form."""
        if self.query:
            return f"{root}{self.path}{self.query}&format={form.suffix}"
        return f"{root}{self.path}.{form.suffix}"


def choose(ask: Ask, document: Document, fixed: Format | None) -> Offer:
    """Choose the form: a suffix decides, then `format=`, then the Accept header; raise NotAcceptableError for none."""
    if fixed is not None:
        return Offer(fixed, fixed.media_type)
    word = ask.one("format")
    offer = named(word, document.formats) if word else negotiate(ask.accept, document.formats)
    if offer is None:
        variants = [Variant(form.media_type, document.form_path(form, ask.root)) for form in document.formats]
        raise NotAcceptableError(variants, word or ask.accept or "")
    return offer


def represent(ask: Ask, site: Site, snapshot: Snapshot, document: Document, fixed: Format | None = None) -> Answer:
    """Answer with a form of a document, 304 when the client has it already (RFC 9110, sections 8.8 and 12)."""
    offer = choose(ask, document, fixed)
    generation = snapshot.generation
    spoken = (ask.language, ask.said_language, ask.root) if offer.format is HTML else (ask.root,)
    measured = offer.format is HTML and snapshot.statistics is not None
    key = (generation.number, document.iri, document.path, offer.media_type, fixed is None, measured, *spoken)
    tag = etag(site.salt, generation.created.isoformat(), *key)
    if is_fresh(ask, tag, generation.created):
        return not_modified(tag, generation.created)
    answer = snapshot.answers.get(key)
    if answer is None:
        body = document.page() if offer.format is HTML else _write(site, document, offer.format)
        validators = (("ETag", tag), ("Last-Modified", http_date(generation.created)))
        answer = Answer(200, (*_headers(ask, document, offer, fixed), *validators), body)
        snapshot.answers.put(key, answer)
    return answer


def _write(site: Site, document: Document, form: Format) -> bytes:
    return write_graph(document.triples(), form, site.prefixes, document.iri)


def _headers(ask: Ask, document: Document, offer: Offer, fixed: Format | None) -> list[tuple[str, str]]:
    headers = [("Content-Type", offer.content_type), ("Cache-Control", CACHED), ("Vary", VARY)]
    if offer.format is HTML:
        headers.append(("Content-Language", ask.language))
    if fixed is None and not document.query:
        headers.append(("Content-Location", document.form_path(offer.format, ask.root)))
    alternates = [
        f'<{document.form_path(form, ask.root)}>; rel="alternate"; type="{form.media_type}"'
        for form in document.formats
        if form is not offer.format
    ]
    headers.append(("Link", ", ".join([*alternates, *document.links()])))
    return headers
