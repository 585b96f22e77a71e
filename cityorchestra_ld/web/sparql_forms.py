"""Choose the form of an answer to a query, and say which there are."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from cityorchestra_ld.formats import (
    HTML,
    QUERY_GRAPH_FORMATS,
    QUERY_RESULT_FORMATS,
    RESULT_FORMATS,
    Format,
    Offer,
    named,
    negotiate,
)
from cityorchestra_ld.store import Inspected
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.problems import NotAcceptableError, Variant
from cityorchestra_ld.web.protocol import SparqlRequest

SELECT_FORMATS: Final = (*QUERY_RESULT_FORMATS, HTML)
BOOLEAN_FORMATS: Final = (*RESULT_FORMATS, HTML)


def formats_of(inspected: Inspected) -> tuple[Format, ...]:
    """List the formats in which a query can be answered."""
    if inspected.kind == "graph":
        return (*QUERY_GRAPH_FORMATS, HTML)
    return SELECT_FORMATS if inspected.kind == "solutions" else BOOLEAN_FORMATS


def choose(ask: Ask, wanted: SparqlRequest, formats: tuple[Format, ...]) -> Offer:
    """Choose the form that a request names or accepts; raise NotAcceptableError when none is."""
    offer = named(wanted.format, formats) if wanted.format else negotiate(ask.accept, formats)
    if offer is None:
        variants = [Variant(form.media_type, _variant(ask, wanted, form)) for form in formats]
        raise NotAcceptableError(variants, wanted.format or ask.accept or "")
    return offer


def _variant(ask: Ask, wanted: SparqlRequest, form: Format) -> str | None:
    """Return the address of the same answer in another form, when it is not too long to say."""
    if ask.method not in ("GET", "HEAD") or len(wanted.query or "") > 1000:
        return None
    fields = {"query": wanted.query, "format": form.suffix} if wanted.query else {"format": form.suffix}
    return f"{ask.root}/sparql?{urlencode(fields)}"
