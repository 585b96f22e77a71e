"""The SPARQL endpoint: judge, negotiate, ask a worker, stream; a failure after the first byte breaks the transfer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from cityorchestra_ld.errors import CityOrchestraError, QueryError, QueryTimeoutError
from cityorchestra_ld.formats import (
    GRAPH_FORMATS,
    HTML,
    RESULT_FORMATS,
    Offer,
)
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store import Answer as Stream
from cityorchestra_ld.store import Inspected, inspect
from cityorchestra_ld.store.asking import Asking
from cityorchestra_ld.store.cheap import answer as answer_cheap
from cityorchestra_ld.store.cheap import is_cheap
from cityorchestra_ld.store.generations import read_manifest
from cityorchestra_ld.store.searching import find_searches
from cityorchestra_ld.store.shapes import Shapes, is_volatile
from cityorchestra_ld.web.addresses import to_uri
from cityorchestra_ld.web.asked import Asked, Flight, Flights
from cityorchestra_ld.web.bodies import read_body
from cityorchestra_ld.web.cache import Recent
from cityorchestra_ld.web.callers import Caller
from cityorchestra_ld.web.dataset import decide
from cityorchestra_ld.web.datasets import licences
from cityorchestra_ld.web.explain import explain
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, Headers, ask_from, etag, etag_of, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, wants_page
from cityorchestra_ld.web.protocol import SparqlRequest, read_request
from cityorchestra_ld.web.resource import has_page
from cityorchestra_ld.web.results import GRAPH_BYTES, GRAPH_LINES, ROWS, TABLE_BYTES, ResultView, read_beginning
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.service_description import service_description
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.sparql_forms import choose, formats_of
from cityorchestra_ld.web.sparql_page import failed_page, query_page
from cityorchestra_ld.web.spooled import SPOOL_TYPE, SPOOLED, row_limit, spool
from cityorchestra_ld.web.truncation import noted, noted_whole
from cityorchestra_ld.web.writing import write_graph

_TURTLE, _TSV, _JSON = "text/turtle", "text/tab-separated-values", "application/sparql-results+json"


VARY: Final = "Accept, Authorization"
_BODY: Final = frozenset(("content-length", "transfer-encoding", "content-encoding"))
_REMEMBERED: Final = 4_000_000  # bytes of an answer that are kept for who asks the same
_ADDRESSES: Final = 20_000


class Endpoint:
    """Answers SPARQL Protocol requests (SPARQL 1.1 Protocol, section 2.1)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._site = service.site
        self._limits = service.site.territory.limits
        self.flights = Flights()
        self._addresses: Recent[str] = Recent(_ADDRESSES)
        self.shapes = Shapes(self._limits, f"{self._site.territory.base_iri}sparql")

    async def answer(self, request: Request) -> Response:
        """Answer one request; what goes wrong is a page for a browser and problem details for a program."""
        ask = ask_from(request.scope)
        bare = ask.method == "GET" and not _BODY.intersection(ask.headers)
        text: str | None = None
        try:
            caller = self._service.caller(ask, request.client.host if request.client else "")
            wanted = read_request(ask, b"" if bare else await read_body(request, self._limits.body_bytes))
            text = request.scope["sparql"] = wanted.query  # for the log, where it is wanted
            if text is None:
                return _plain(self._without_query(ask, wanted))
            inspected = self._inspect(text)
            self._service.budget.require(caller.name)
            if wanted.explain or ask.path.rstrip("/").endswith("/explain"):
                return _plain(await explain(self._service, inspected, partial(decide, wanted, inspected, caller), caller))
            offer = choose(ask, wanted, formats_of(inspected))
            questions = None
            if inspected.leaves:
                inspected, left, questions = await self._service.federation.join(
                    inspected, wanted.deadline, caller.name, request.scope
                )
                wanted = replace(wanted, timeout=left)
            return await self.with_query(Asked(ask, wanted, caller, inspected, offer, questions))
        except CityOrchestraError as error:
            if not wants_page(ask) or isinstance(error, NotAcceptableError):
                raise
            request.scope["problem"] = error
            return _plain(failed_page(ask, self._site, self._service.generation, error, text))

    def _inspect(self, text: str) -> Inspected:
        seen = self.shapes.find(text)
        if seen is not None:
            return seen.inspected
        inspected = inspect(text, self._limits, may_leave=self._service.federation.open)
        self.shapes.learn(inspected)
        return inspected

    # --- without a query --------------------------------------------------------------------------------------------------

    def _without_query(self, ask: Ask, wanted: SparqlRequest) -> Answer:
        """Answer with the query page, or with the service description (SPARQL 1.1 Service Description, section 2)."""
        formats = (*GRAPH_FORMATS, HTML)
        offer = choose(ask, wanted, formats)
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

    async def with_query(self, asked: Asked) -> Response:
        """Answer a query that was judged."""
        if asked.begun is not None:
            return await self._first(asked, asked.begun.tag, asked.begun.flight)
        ask, offer, pool = asked.ask, asked.offer, self._service.pool
        tag = self._tag(asked, pool.generation)
        if tag and is_fresh(ask, tag):
            return _plain(not_modified(tag, pool.generation.created))
        if offer.format is HTML:
            stream = await self._ask(asked, _page_media_type(asked.inspected), _beginning(asked.inspected))
            return _plain(await self._result_page(asked, stream, self._tag(asked, stream.generation)))
        if tag is None or ask.method == "HEAD" or offer.format in SPOOLED:
            return await self._anew(asked)
        known = self._service.snapshot.answers.get(tag)
        if known is None and (flight := self.flights.get(tag)) is not None:
            failure = await asyncio.shield(flight)  # somebody asks the same at this moment
            if failure is not None:
                raise failure
            known = self._service.snapshot.answers.get(tag)
        if known is not None:
            return _plain(replace(known, headers=(*known.headers, *self._service.budget.headers(asked.caller.name))))
        return await self._first(asked, tag, self.flights.start(tag))

    async def _first(self, asked: Asked, tag: str, flight: Flight) -> Response:
        """Ask a worker, while whoever asks the same waits; a query that fails for one fails for all of them."""
        failure: CityOrchestraError | None = None
        try:
            return await self._anew(asked)
        except (QueryError, QueryTimeoutError) as error:
            failure = error
            raise
        finally:
            self.flights.end(tag, flight, failure)

    async def _anew(self, asked: Asked) -> Response:
        """Ask a worker; an answer that is not too large is remembered under the tag of the generation that gave it."""
        form, caller = asked.offer.format, asked.caller
        if asked.begun is None and (cheap := self._at_once(asked)) is not None:
            return _plain(cheap)
        media_type = SPOOL_TYPE if form in SPOOLED else form.media_type
        stream = await self._ask(asked, media_type, asked.inspected, row_limit(form))
        tag = self._tag(asked, stream.generation)
        lasting = (*self._headers(asked, tag), ("X-Row-Limit", str(stream.head.row_limit)))
        if stream.head.search_limit:
            lasting = (*lasting, ("X-Search-Limit", str(stream.head.search_limit)))
        sent = (*lasting, *self._service.budget.headers(caller.name))
        headers = dict(sent)
        if asked.ask.method == "HEAD":
            await stream.aclose()
            return Response(status_code=200, headers=headers)
        if form in SPOOLED:
            whole = await spool(stream, form)
            return StreamingResponse(whole.pieces(), headers=headers | {"Content-Length": str(whole.size)})
        snapshot = self._service.snapshot
        if tag is None or snapshot.generation.number != stream.generation.number:
            return StreamingResponse(noted(stream, form), headers=headers)
        remember = partial(self._remember, asked, snapshot, tag, lasting)
        if stream.whole:
            body = noted_whole(stream, form)
            remember(body)
            return _plain(Answer(200, sent, body))
        return StreamingResponse(_kept(noted(stream, form), remember), headers=headers)

    def _remember(self, asked: Asked, snapshot: Snapshot, tag: str, lasting: Headers, body: bytes) -> None:
        snapshot.answers.put(tag, Answer(200, lasting, body))
        if asked.ask.method == "GET" and asked.caller.token is None and asked.wanted.waiting is None:
            self.known_as(tag, asked.ask.query_string, asked.ask.accept, asked.ask.root)

    def known_as(self, tag: str, query_string: str, accept: str | None, root: str = "") -> None:
        """Remember the address of an answer."""
        self._addresses.put(_address(query_string, accept, root), tag)

    def _at_once(self, asked: Asked) -> Answer | None:
        """Answer a query that cannot cost much in this process; `None` when a worker has to."""
        snapshot, inspected, form = self._service.snapshot, asked.inspected, asked.offer.format
        if asked.ask.method == "HEAD" or form not in RESULT_FORMATS or not asked.small or not is_cheap(inspected):
            return None
        if snapshot.generation.number != self._service.pool.generation.number:
            return None  # nobody sees an older generation after a newer one
        base, began = f"{self._site.territory.base_iri}sparql", time.perf_counter()
        if find_searches(inspected.text, self._site.prefixes["co"], base) is not None:
            return None
        generation, asking = snapshot.generation, Asking(limits=self._limits, base=base)
        merged = snapshot.remember("merged", lambda: read_manifest(generation.path).merged)
        view = decide(asked.wanted, inspected, asked.caller, generation)
        request = asking.request(inspected, view, form.media_type, generation, merged, None)
        body = answer_cheap(snapshot.reader, request, inspected)
        if body is None:
            return None
        self._service.budget.charge(asked.caller.name, time.perf_counter() - began)
        tag = self._tag(asked, generation)
        lasting = (*self._headers(asked, tag), ("X-Row-Limit", str(request.rows)))
        if tag is not None:
            self._remember(asked, snapshot, tag, lasting, body)
        return Answer(200, (*lasting, *self._service.budget.headers(asked.caller.name)), body)

    def recall(self, scope: Scope) -> Answer | None:
        """Return the remembered answer to a request that was answered before, letter for letter; only for the anonymous."""
        accept = known_tag = None
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = value.decode("latin-1") if accept is None else f"{accept}, {value.decode('latin-1')}"
            elif name in (b"authorization", b"prefer"):
                return None
            elif name == b"if-none-match":
                known_tag = value.decode("latin-1")
        tag = self._addresses.get(_address(scope["query_string"].decode("latin-1"), accept, scope.get("root_path", "")))
        snapshot = self._service.open_snapshot
        answer = snapshot.answers.get(tag) if tag and snapshot else None
        if answer is None or tag is None or snapshot is None or known_tag is None:
            return answer
        return not_modified(tag, snapshot.generation.created) if known_tag == tag else None

    async def _ask(self, asked: Asked, media_type: str, inspected: Inspected, rows: int | None = None) -> Stream:
        """Ask a worker within the view of the very generation that answers."""
        service, caller, begun = self._service, asked.caller, asked.begun
        if begun is not None and begun.error is not None:
            raise begun.error
        return await service.pool.query(
            inspected,
            partial(decide, asked.wanted, asked.inspected, caller),
            media_type,
            deadline=asked.wanted.deadline,
            client=caller.name,
            rows=rows,
            spent=partial(service.budget.charge, caller.name),
            begun=begun.stream if begun else None,
        )

    async def _result_page(self, asked: Asked, stream: Stream, tag: str | None) -> Answer:
        ask, inspected = asked.ask, asked.inspected
        is_graph = inspected.kind == "graph"
        try:
            text, more = await read_beginning(
                stream, lines=GRAPH_LINES if is_graph else ROWS + 2, size=GRAPH_BYTES if is_graph else TABLE_BYTES
            )
        finally:
            await stream.aclose()
        site, snapshot = self._site, self._service.snapshot

        def make() -> bytes:
            view = ResultView(site.addresses, site.prefixes, ask.language, lambda iri: has_page(site, snapshot, iri), snapshot)
            results = {
                "graph": lambda: view.graph(text, inspected.text, more=more),
                "boolean": lambda: view.answer(text, inspected.text),
                "solutions": lambda: view.table(text, inspected.text, more=more),
            }[inspected.kind]()
            missing = tuple(asked.questions.failed) if asked.questions else ()
            results = replace(results, searched=stream.head.search_limit, missing=missing)
            return query_page(ask, site, snapshot.generation, text=inspected.text, results=results)

        headers = (*self._headers(asked, tag), *self._service.budget.headers(asked.caller.name))
        return Answer(200, headers, await self._service.build(make))

    def _headers(self, asked: Asked, tag: str | None) -> tuple[tuple[str, str], ...]:
        ask = asked.ask
        snapshot = self._service.snapshot
        allowed = snapshot.remember("licence links", lambda: _licence_links(licences(self._site.territory, snapshot)))
        headers = [("Content-Type", asked.offer.content_type), ("Vary", VARY)]
        if asked.questions is not None:
            headers += asked.questions.headers()
            allowed = ", ".join(filter(None, (allowed, _licence_links(asked.questions.licences))))
        cached = CACHED if asked.caller.token is None else "private, no-cache"
        lasts = ask.method in ("GET", "HEAD") and asked.questions is None
        headers.append(("Cache-Control", cached if lasts else "no-store"))
        if tag:
            headers.append(("ETag", tag))
        if allowed:
            headers.append(("Link", allowed))
        if asked.wanted.waiting is not None:
            headers.append(("Preference-Applied", f"wait={asked.wanted.waiting:.0f}"))
        return tuple(headers)

    def _tag(self, asked: Asked, generation: Generation) -> str | None:
        """Return the tag of an answer, made once."""
        if generation.number not in asked.tags:
            asked.tags[generation.number] = self._make_tag(asked, generation)
        return asked.tags[generation.number]

    def _make_tag(self, asked: Asked, generation: Generation) -> str | None:
        """Make a weak tag of an answer that our data alone decide; none for what changes from one moment to the next."""
        ask, wanted = asked.ask, asked.wanted
        if ask.method not in ("GET", "HEAD") or asked.questions is not None or is_volatile(wanted.query or ""):
            return None
        return "W/" + etag_of(self._said(asked, generation))

    def _said(self, asked: Asked, generation: Generation) -> str:
        """Write down what an answer depends on."""
        ask, offer = asked.ask, asked.offer
        spoken = (ask.language, ask.said_language, ask.root) if offer.format is HTML else ()
        who = asked.caller.name if asked.caller.token else ""
        moment = generation.created.isoformat()
        return repr((self._site.salt, generation.number, moment, asked.wanted, offer.media_type, who, *spoken))

    def plain(
        self, query: str, tag: str, rows: int, inspected: Inspected, offer: Offer, generation: Generation
    ) -> tuple[str, Headers]:
        """Tell what the answer to a plain GET of the anonymous depends on, and its lasting headers."""
        asked = Asked(Ask(), SparqlRequest(query=query), Caller(""), inspected, offer)
        return self._said(asked, generation), (*self._headers(asked, tag), ("X-Row-Limit", str(rows)))


def _address(query_string: str, accept: str | None, root: str) -> str:
    return "\n".join((query_string, accept or "", root))


async def _kept(pieces: AsyncIterator[bytes], remember: Callable[[bytes], None]) -> AsyncIterator[bytes]:
    """Pass an answer on, and remember it when it came to its end and was not large."""
    held: list[bytes] | None = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if held is not None:
            held.append(piece)
            if size > _REMEMBERED:
                held = None
        yield piece
    if held is not None:
        remember(b"".join(held))


def _page_media_type(inspected: Inspected) -> str:
    return {"graph": _TURTLE, "boolean": _JSON, "solutions": _TSV}[inspected.kind]


def _beginning(inspected: Inspected) -> Inspected:
    """Ask for no more than a page shows, and one row to know that there is more."""
    return replace(inspect(inspected.capped(ROWS + 1), may_leave=inspected.leaves), joined=inspected.joined)


def _licence_links(iris: Sequence[str]) -> str:
    return ", ".join(f'<{to_uri(iri)}>; rel="license"' for iri in iris)


class Plain(Response):
    """An answer of ours whose headers are ready."""

    def __init__(self, answer: Answer) -> None:
        self.status_code, self.body, self.background = answer.status, answer.body, None
        self.raw_headers = answer.raw_headers()


def _plain(answer: Answer) -> Response:
    return Plain(answer)
