"""Put the service together: routes, the fast path for identifiers, headers that every answer carries, errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityorchestra_ld import __version__
from cityorchestra_ld.errors import CityOrchestraError, Text, UsageError
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web import (
    catalog,
    catalog_records,
    completion,
    definitions,
    dereference,
    feed,
    home,
    links,
    metrics,
    ops,
    provenance,
    quality_page,
    search,
    story,
    territory_page,
)
from cityorchestra_ld.web.again import ASKED, DIRECT, EVERYWHERE, SENT, Again, head_of
from cityorchestra_ld.web.api import QueryApi
from cityorchestra_ld.web.direct import Direct
from cityorchestra_ld.web.downloads import Downloads
from cityorchestra_ld.web.first import First
from cityorchestra_ld.web.http_ import Answer, Ask, ask_from, redirect
from cityorchestra_ld.web.problems import (
    MethodError,
    NotAcceptableError,
    internal,
    kind_of,
    not_found,
    problem_headers,
    problem_json,
    wants_page,
)
from cityorchestra_ld.web.routes import add_service, allowed
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.sparql import Endpoint, Plain
from cityorchestra_ld.web.spot import Spot
from cityorchestra_ld.web.watching import Watch

Handler = Callable[[Ask, Site, Snapshot], Answer]
Live = Callable[[Ask, Service], Awaitable[Answer]]

_READ: Final = "GET, HEAD, OPTIONS"
_PAGES: Final[tuple[tuple[str, Handler], ...]] = (
    ("/catalog", catalog.catalogue),
    ("/catalog.{suffix}", catalog.catalogue),
    ("/describe", dereference.describe),
    ("/links", links.links_to),
    ("/memento/{moment}/{name:path}", dereference.state),
    ("/timemap/{name:path}", dereference.state_list),
    ("/context.jsonld", definitions.context),
    ("/def/profile", definitions.profiles),
    ("/def/profile.{suffix}", definitions.profiles),
    ("/completion.json", completion.completion),
    ("/provenance", provenance.provenance),
    ("/search", search.search),
    ("/quality/{name:path}", quality_page.quality_page),
    ("/def/{name:path}", definitions.define),
    ("/graph/{name:path}", definitions.graph),
    ("/.well-known/genid/{name:path}", dereference.nested),
    ("/.well-known/void", catalog_records.statistics),
    ("/.well-known/void.{suffix}", catalog_records.statistics),
    ("/feed", feed.index),
    ("/feed/{name:path}", feed.feed),
)
_LIVE: Final[tuple[tuple[str, Live], ...]] = (
    ("/", home.home),
    ("/story", story.story),
    ("/territory", territory_page.territory_index),
    ("/territory/{place:path}", territory_page.territory_page),
)
_PREFLIGHT: Final = (
    "Accept, Accept-Datetime, Accept-Language, Accept-Profile, Authorization, Content-Type, If-Match, If-Modified-Since, "
    "If-None-Match, Prefer"
)
_log = logging.getLogger("cityorchestra_ld.web")


class CityService(FastAPI):
    """The application, with what must hold for every answer, whoever makes it."""

    service: Service
    endpoint: Endpoint
    at_once: ASGIApp
    queried: ASGIApp
    watch: Watch
    again: Again
    direct: Direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: identifiers at once, everything else through the routes."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if not await self.again.give(scope, send):
            await self.watch.follow(scope, receive, send, self._answer)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = _dressed(scope, send)
        path: str = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if scope["method"] == "OPTIONS":
            await _send(_options(allowed(self.router.routes, scope) or _READ), send)
        elif path != "/" and (path.endswith("/") or path.startswith("//")) and _has_spare_slash(scope):
            await _send(_without_slash(ask_from(scope)), send)
        elif path == "/sparql" and scope["method"] in ("GET", "POST", "QUERY"):
            await self.queried(scope, receive, send)
        elif path.startswith(("/id/", "/doc/")):
            await self.at_once(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def identify(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for `/id` and `/doc` without the cost of a route."""
        ask, snapshot = ask_from(scope), self.service.open_snapshot
        if ask.path.startswith("/id/"):
            answer = self.answer(ask, dereference.identify)
        elif "html" in (ask.accept or "") or ".html" in ask.path:
            if snapshot is not None and snapshot.statistics is None:
                snapshot = None  # a page says more once the generation is measured
            answer = await self.service.build(lambda: self.answer(ask, dereference.document))
        else:
            answer = self.answer(ask, dereference.document)
        await self._send_and_keep(scope, snapshot, answer, send)

    async def ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for `/sparql` without the cost of a route."""
        asked = scope[ASKED].judged() if scope.get(ASKED) else None
        known = self.endpoint.recall(scope) if scope["method"] == "GET" and not (asked and asked.begun) else None
        if known is not None:
            await self._send_and_keep(scope, self.service.open_snapshot, known, send)
            return
        try:
            response = await (self.endpoint.with_query(asked) if asked else self.endpoint.answer(Request(scope, receive)))
        except CityOrchestraError as error:
            response = _response(self.problem(ask_from(scope), error))
        if not isinstance(response, Plain) or not _sent(scope, response):
            await response(scope, receive, send)

    async def _send_and_keep(self, scope: Scope, snapshot: Snapshot | None, answer: Answer, send: Send) -> None:
        """Send an answer that a snapshot gave, and keep it for who asks the same."""
        headers = answer.raw_headers()
        self.again.keep(scope, snapshot, answer, headers)
        await _send(answer, send, headers)

    def answer(self, ask: Ask, handler: Handler) -> Answer:
        """Run a handler on the open generation; an error of ours becomes an answer too."""
        try:
            if ask.method not in ("GET", "HEAD"):
                raise MethodError(ask.method, _READ)
            return handler(ask, self.service.site, self.service.snapshot)
        except CityOrchestraError as error:
            return self.problem(ask, error)

    def problem(self, ask: Ask, error: CityOrchestraError) -> Answer:
        """Tell an error: a page for a browser, problem details for a program."""
        site = self.service.site
        self.watch.problem(ask.request_id, error)
        if not wants_page(ask):
            return problem_json(error, ask, site.territory.base_iri)
        kind, lang = kind_of(error), ask.language
        facts: dict[str, Any] = {
            "title": kind.title,
            "status": error.http_status,
            "detail": error.message.get(lang),
            "where": error.place.describe(lang) if error.place else "",
            "hint": error.hint.get(lang) if error.hint else "",
            "variants": error.variants if isinstance(error, NotAcceptableError) else (),
        }
        body = site.pages.render("problem.html", ask, self.service.generation, problem=facts)
        headers = (("Content-Type", "text/html; charset=utf-8"), ("Content-Language", lang), *problem_headers(error))
        return Answer(error.http_status, headers, body)


def _options(methods: str) -> Answer:
    """Answer a preflight or a plain OPTIONS (Fetch standard, CORS protocol); credentials are never allowed."""
    headers = (
        ("Allow", methods),
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", _PREFLIGHT),
        ("Access-Control-Max-Age", "86400"),
    )
    return Answer(204, headers)


def _has_spare_slash(scope: Scope) -> bool:
    """Tell whether the address as it was written has a slash too many; one that is part of a reference is `%2F`."""
    path = ask_from(scope).path
    return path.startswith("//") or (path.endswith("/") and scope["method"] in ("GET", "HEAD"))


def _without_slash(ask: Ask) -> Answer:
    """Send to the address without its last slash (never to another host, however many slashes come first)."""
    kept = f"?{ask.query_string}" if ask.query_string else ""
    return redirect(301, f"{ask.root}/{ask.path.strip('/')}{kept}")


async def _send(answer: Answer, send: Send, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": headers or answer.raw_headers()})
    await send({"type": "http.response.body", "body": answer.body})


def _sent(scope: Scope, answer: Plain) -> bool:
    """Send a whole answer without ceremony, if the connection can; tell whether it was."""
    direct, status, body = scope.get(DIRECT), answer.status_code, bytes(answer.body)
    if direct is None or not direct(status, head_of(answer.raw_headers), body, scope["request_id"]):
        return False
    scope[SENT] = (status, len(body), True)
    return True


def _dressed(scope: Scope, send: Send) -> Send:
    """Add the headers that every answer carries, and take the body away from an answer to HEAD."""
    silent = scope["method"] == "HEAD"
    request_id = scope["request_id"].encode()

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *EVERYWHERE, (b"x-request-id", request_id)]
        elif silent and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return dressed


def _route(app: CityService, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        ask = ask_from(request.scope)
        return _response(await app.service.build(lambda: app.answer(ask, handler)))

    return endpoint


def _live(app: CityService, live: Live) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return _response(await live(ask_from(request.scope), app.service))

    return endpoint


def _response(answer: Answer) -> Response:
    response = Response(answer.body, status_code=answer.status)
    response.raw_headers = answer.raw_headers()
    return response


def _operations(app: CityService) -> None:
    """Add what does not need a generation."""
    service = app.service

    def route(path: str, handler: Handler | Callable[[Ask], Answer]) -> None:
        async def endpoint(request: Request) -> Response:
            ask = ask_from(request.scope)
            try:
                return _response(handler(ask))  # type: ignore[call-arg]
            except CityOrchestraError as error:
                return _response(app.problem(ask, error))

        app.add_route(path, endpoint, methods=["GET"], include_in_schema=False)

    route("/-/health", lambda ask: ops.health())
    route("/-/ready", lambda ask: ops.ready(service.generation, service.broken))

    async def figures(request: Request) -> Response:
        return _response(metrics.answer(ask_from(request.scope), request.client.host if request.client else "", service))

    app.add_route("/-/metrics", figures, methods=["GET"], include_in_schema=False)
    route("/-/version", lambda ask: ops.version(service.site, service.generation))
    route("/robots.txt", lambda ask: ops.robots())
    route("/favicon.ico", lambda ask: ops.static(ask, "favicon.svg"))
    route("/static/{name:path}", lambda ask: ops.static(ask, ask.path.removeprefix("/static/")))
    route("/def/problem", lambda ask: ops.problems(ask, service.site, service.generation))


def _errors(app: CityService) -> None:
    async def ours(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, CityOrchestraError) else internal(request.scope.get("request_id", ""))
        return _response(app.problem(ask_from(request.scope), known))

    async def theirs(request: Request, error: Exception) -> Response:
        ask = ask_from(request.scope)
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 405:
            return await ours(request, MethodError(ask.method, allowed(app.router.routes, request.scope) or _READ))
        if status == 404:
            return await ours(request, not_found(ask))
        return await ours(request, UsageError(Text("Demande mal formée.", "Malformed request.")) if status < 500 else error)

    async def bug(request: Request, error: Exception) -> Response:
        request_id = request.scope.get("request_id", "")
        _log.error("request %s failed: %s %s", request_id, request.method, request.url.path, exc_info=error)
        return await ours(request, error)

    app.add_exception_handler(CityOrchestraError, ours)
    app.add_exception_handler(HTTPException, theirs)
    app.add_exception_handler(Exception, bug)
    app.at_once = ServerErrorMiddleware(app.identify, handler=bug)
    app.queried = ServerErrorMiddleware(app.ask, handler=bug)


def create_app(territory: Territory) -> CityService:
    """Make the application for a territory; nothing is opened before it starts."""
    service = Service(Site(territory))
    service.after_opening.append(home.warm)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        exports.start()
        try:
            yield
        finally:
            await exports.stop()
            await service.stop()

    app = CityService(
        title=territory.name.en,
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.service, app.watch = service, Watch(service)
    app.endpoint = Endpoint(service)
    spot = Spot(service, app.endpoint)
    app.again = Again(service, app.watch, First(service.site), spot.find)
    app.direct = Direct(service, app.endpoint, spot, app.watch)
    _operations(app)
    exports = add_service(app, service, app.endpoint)
    apis = QueryApi(service)
    app.add_route("/api/queries", apis.listing, methods=["GET"], include_in_schema=False)
    app.add_route("/api/queries/{name}", apis.answer, methods=["GET"], include_in_schema=False)
    app.add_route("/download/{name:path}", Downloads(service).answer, methods=["GET"], include_in_schema=False)
    for path, handler in _PAGES:
        app.add_route(path, _route(app, handler), include_in_schema=False)
    for path, live in _LIVE:
        app.add_route(path, _live(app, live), methods=["GET"], include_in_schema=False)
    _errors(app)
    return app
