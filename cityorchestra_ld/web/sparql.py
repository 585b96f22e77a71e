"""The SPARQL endpoint: judge, negotiate, ask a worker, stream; a failure after the first byte breaks the transfer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cityorchestra_ld.errors import CityOrchestraError, Text
from cityorchestra_ld.formats import GRAPH_FORMATS, HTML, RESULT_FORMATS, Format, Offer, named, negotiate
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation, View
from cityorchestra_ld.store import Answer as Stream
from cityorchestra_ld.store import Inspected, inspect
from cityorchestra_ld.web.addresses import to_uri
from cityorchestra_ld.web.datasets import licences
from cityorchestra_ld.web.dereference import has_page
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, ask_from, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, TooLargeError, Variant, wants_page
from cityorchestra_ld.web.protocol import SparqlRequest, read_request
from cityorchestra_ld.web.results import GRAPH_BYTES, GRAPH_LINES, ROWS, TABLE_BYTES, ResultView, read_beginning
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.service_description import service_description
from cityorchestra_ld.web.sparql_page import failed_page, query_page
from cityorchestra_ld.web.writing import write_graph

_VOLATILE: Final = re.compile(r"\b(NOW|RAND|UUID|STRUUID|BNODE)\s*\(", re.IGNORECASE)
_TURTLE, _TSV, _JSON = "text/turtle", "text/tab-separated-values", "application/sparql-results+json"


class Endpoint:
    """Answers SPARQL Protocol requests (SPARQL 1.1 Protocol, section 2.1)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._site = service.site
        self._limits = service.site.territory.limits

    async def answer(self, request: Request) -> Response:
        """Answer one request; what goes wrong is a page for a browser and problem details for a program."""
        ask = ask_from(request.scope)
        body = await self._read_body(request)
        text: str | None = None
        try:
            wanted = read_request(ask, body)
            text = wanted.query
            if text is None:
                return _plain(self._without_query(ask, wanted))
            return await self._with_query(ask, wanted, text, request.client.host if request.client else "")
        except CityOrchestraError as error:
            if not wants_page(ask) or isinstance(error, NotAcceptableError):
                raise
            return _plain(failed_page(ask, self._site, self._service.generation, error, text))

    async def _read_body(self, request: Request) -> bytes:
        limit = self._limits.body_bytes
        declared = request.headers.get("content-length", "0")
        body = bytearray()
        if not declared.isdecimal() or int(declared) <= limit:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    break
            else:
                return bytes(body)
        raise TooLargeError(
            Text(f"Le corps dépasse {limit} octets.", f"The body is longer than {limit} bytes."),
            hint=Text("Raccourcissez la requête.", "Shorten the query."),
        )

    # --- without a query --------------------------------------------------------------------------------------------------

    def _without_query(self, ask: Ask, wanted: SparqlRequest) -> Answer:
        """Answer with the query page, or with the service description (SPARQL 1.1 Service Description, section 2)."""
        formats = (*GRAPH_FORMATS, HTML)
        offer = _offer(ask, wanted, formats)
        snapshot = self._service.snapshot
        generation = snapshot.generation
        tag = etag(self._site.salt, generation.number, generation.created.isoformat(), offer.media_type, ask)
        if is_fresh(ask, tag, generation.created):
            return not_modified(tag, generation.created)
        if offer.format is HTML:
            body = query_page(ask, self._site, generation)
        else:
            endpoint = f"{ask.origin}{ask.root}/sparql" if ask.origin else f"{self._site.territory.base_iri}sparql"
            triples = list(service_description(self._site, snapshot, endpoint))
            body = write_graph(triples, offer.format, self._site.prefixes, self._site.territory.iris.id("service", "sparql"))
        validators = (("ETag", tag), ("Last-Modified", http_date(generation.created)))
        return Answer(200, (("Content-Type", offer.content_type), ("Vary", VARY), ("Cache-Control", CACHED), *validators), body)

    # --- with a query -----------------------------------------------------------------------------------------------------

    async def _with_query(self, ask: Ask, wanted: SparqlRequest, text: str, client: str) -> Response:
        inspected = inspect(text, self._limits)
        offer = _offer(ask, wanted, _formats(inspected))
        pool = self._service.pool
        tag = self._tag(ask, wanted, pool.generation, offer)
        if tag and is_fresh(ask, tag):
            return _plain(not_modified(tag, pool.generation.created))
        if offer.format is HTML:
            stream = await self._ask(_beginning(inspected), wanted, _page_media_type(inspected), client)
            return _plain(await self._result_page(ask, inspected, stream, offer, tag))
        stream = await self._ask(inspected, wanted, offer.format.media_type, client)
        headers = dict(self._headers(ask, offer, tag)) | {"X-Row-Limit": str(stream.head.row_limit)}
        if ask.method == "HEAD":
            await stream.aclose()
            return Response(status_code=200, headers=headers)
        return StreamingResponse(_pieces(stream), headers=headers)

    async def _ask(self, inspected: Inspected, wanted: SparqlRequest, media_type: str, client: str) -> Stream:
        """Ask a worker within the view of the very generation that answers."""
        while True:
            generation = self._service.pool.generation
            stream = await self._service.pool.query(
                inspected, _view(generation, wanted, inspected), media_type, deadline=wanted.timeout, client=client
            )
            if stream.generation == generation.number:
                return stream
            await stream.aclose()  # a publication came between; its graphs may be open to others than before

    async def _result_page(self, ask: Ask, inspected: Inspected, stream: Stream, offer: Offer, tag: str | None) -> Answer:
        is_graph = inspected.kind == "graph"
        try:
            text, more = await read_beginning(
                stream, lines=GRAPH_LINES if is_graph else ROWS + 2, size=GRAPH_BYTES if is_graph else TABLE_BYTES
            )
        finally:
            await stream.aclose()
        site, snapshot = self._site, self._service.snapshot

        def make() -> bytes:
            view = ResultView(site.addresses, site.prefixes, ask.language, lambda iri: has_page(site, snapshot, iri))
            results = {
                "graph": lambda: view.graph(text, inspected.text, more=more),
                "boolean": lambda: view.answer(text, inspected.text),
                "solutions": lambda: view.table(text, inspected.text, more=more),
            }[inspected.kind]()
            return query_page(ask, site, snapshot.generation, text=inspected.text, results=results)

        return Answer(200, self._headers(ask, offer, tag), await self._service.build(make))

    def _headers(self, ask: Ask, offer: Offer, tag: str | None) -> tuple[tuple[str, str], ...]:
        reachable = licences(self._site.territory, self._service.snapshot)
        headers = [("Content-Type", offer.content_type), ("Vary", VARY)]
        headers.append(("Cache-Control", CACHED if ask.method in ("GET", "HEAD") else "no-store"))
        if tag:
            headers.append(("ETag", tag))
        if reachable:
            headers.append(("Link", ", ".join(f'<{to_uri(iri)}>; rel="license"' for iri in reachable)))
        return tuple(headers)

    def _tag(self, ask: Ask, wanted: SparqlRequest, generation: Generation, offer: Offer) -> str | None:
        """Make a weak tag of an answer that the data alone decide; none for what changes from one moment to the next."""
        if ask.method not in ("GET", "HEAD") or _VOLATILE.search(wanted.query or ""):
            return None
        spoken = (ask.language, ask.said_language, ask.root) if offer.format is HTML else ()
        return "W/" + etag(
            self._site.salt, generation.number, generation.created.isoformat(), wanted, offer.media_type, *spoken
        )


def _formats(inspected: Inspected) -> tuple[Format, ...]:
    return (*GRAPH_FORMATS, HTML) if inspected.kind == "graph" else (*RESULT_FORMATS, HTML)


def _offer(ask: Ask, wanted: SparqlRequest, formats: tuple[Format, ...]) -> Offer:
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


def _view(generation: Generation, wanted: SparqlRequest, inspected: Inspected) -> View:
    """Decide the view: the graphs of the request win over the query's own FROM (SPARQL 1.1 Protocol, section 2.1.4)."""
    if wanted.default_graphs or wanted.named_graphs:
        return view(generation.graphs, asked_default=wanted.default_graphs, asked_named=wanted.named_graphs)
    return view(generation.graphs, asked_default=inspected.from_default, asked_named=inspected.from_named)


def _page_media_type(inspected: Inspected) -> str:
    return {"graph": _TURTLE, "boolean": _JSON, "solutions": _TSV}[inspected.kind]


def _beginning(inspected: Inspected) -> Inspected:
    """Ask for no more than a page shows, and one row to know that there is more."""
    return inspect(inspected.capped(ROWS + 1))


async def _pieces(stream: Stream) -> AsyncIterator[bytes]:
    try:
        async for piece in stream:
            yield piece
    finally:
        await stream.aclose()


def _plain(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))
