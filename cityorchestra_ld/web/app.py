"""Put the service together: routes, the fast path for identifiers, headers that every answer carries, errors."""

from __future__ import annotations

import logging
import secrets
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
from cityorchestra_ld.web import catalog, definitions, dereference, ops
from cityorchestra_ld.web.http_ import Answer, Ask, ask_from, redirect
from cityorchestra_ld.web.problems import (
    MethodError,
    NotAcceptableError,
    internal,
    kind_of,
    problem_headers,
    problem_json,
    wants_page,
)
from cityorchestra_ld.web.protocol import METHODS
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.sparql import Endpoint

Handler = Callable[[Ask, Site, Snapshot], Answer]

_READ: Final = "GET, HEAD, OPTIONS"
_PAGES: Final[tuple[tuple[str, Handler], ...]] = (
    ("/", catalog.home),
    ("/catalog", catalog.catalogue),
    ("/catalog.{suffix}", catalog.catalogue),
    ("/describe", dereference.describe),
    ("/def/{name:path}", definitions.define),
    ("/graph/{name:path}", definitions.graph),
    ("/.well-known/genid/{name:path}", dereference.nested),
)
_EVERYWHERE: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Content-Language, Content-Location, ETag, Last-Modified, Link, Retry-After, Vary, X-Request-Id, X-Row-Limit",
    ),
)
_PREFLIGHT: Final = "Accept, Content-Type, If-Modified-Since, If-None-Match"
_log = logging.getLogger("cityorchestra_ld.web")


class CityService(FastAPI):
    """The application, with what must hold for every answer, whoever makes it."""

    service: Service
    at_once: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: identifiers at once, everything else through the routes."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["request_id"] = secrets.token_hex(8)
        send = _dressed(scope, send)
        path: str = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if scope["method"] == "OPTIONS":
            await _send(_options(path), send)
        elif (path.endswith("/") and path != "/" and scope["method"] in ("GET", "HEAD")) or path.startswith("//"):
            await _send(_without_slash(ask_from(scope)), send)
        elif path.startswith(("/id/", "/doc/")):
            await self.at_once(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def identify(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for `/id` and `/doc` without the cost of a route."""
        ask = ask_from(scope)
        if ask.path.startswith("/id/"):
            await _send(self.answer(ask, dereference.identify), send)
        elif "html" in (ask.accept or "") or ".html" in ask.path:
            await _send(await self.service.build(lambda: self.answer(ask, dereference.document)), send)
        else:
            await _send(self.answer(ask, dereference.document), send)

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


def _options(path: str) -> Answer:
    """Answer a preflight or a plain OPTIONS (Fetch standard, CORS protocol); credentials are never allowed."""
    methods = METHODS if path.rstrip("/") == "/sparql" else _READ
    headers = (
        ("Allow", methods),
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", _PREFLIGHT),
        ("Access-Control-Max-Age", "86400"),
    )
    return Answer(204, headers)


def _without_slash(ask: Ask) -> Answer:
    """Send to the address without its last slash (never to another host, however many slashes come first)."""
    kept = f"?{ask.query_string}" if ask.query_string else ""
    return redirect(301, f"{ask.root}/{ask.path.strip('/')}{kept}")


async def _send(answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.raw_headers()})
    await send({"type": "http.response.body", "body": answer.body})


def _dressed(scope: Scope, send: Send) -> Send:
    """Add the headers that every answer carries, and take the body away from an answer to HEAD."""
    silent = scope["method"] == "HEAD"
    request_id = scope["request_id"].encode()

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *_EVERYWHERE, (b"x-request-id", request_id)]
        elif silent and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return dressed


def _route(app: CityService, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        ask = ask_from(request.scope)
        return _response(await app.service.build(lambda: app.answer(ask, handler)))

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
    route("/-/version", lambda ask: ops.version(service.site, service.generation))
    route("/robots.txt", lambda ask: ops.robots())
    route("/favicon.ico", lambda ask: ops.static(ask, "favicon.svg"))
    route("/static/{name}", lambda ask: ops.static(ask, ask.path.removeprefix("/static/")))
    route("/def/problem", lambda ask: ops.problems(ask, service.site, service.generation))


def _errors(app: CityService) -> None:
    async def ours(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, CityOrchestraError) else internal(request.scope.get("request_id", ""))
        return _response(app.problem(ask_from(request.scope), known))

    async def theirs(request: Request, error: Exception) -> Response:
        ask = ask_from(request.scope)
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 405:
            methods = METHODS if ask.path.rstrip("/") == "/sparql" else _READ
            return await ours(request, MethodError(ask.method, methods))
        if status == 404:
            return await ours(request, dereference.not_found(ask))
        return await ours(request, UsageError(Text("Demande mal formée.", "Malformed request.")) if status < 500 else error)

    async def bug(request: Request, error: Exception) -> Response:
        request_id = request.scope.get("request_id", "")
        _log.error("request %s failed: %s %s", request_id, request.method, request.url.path, exc_info=error)
        return await ours(request, error)

    app.add_exception_handler(CityOrchestraError, ours)
    app.add_exception_handler(HTTPException, theirs)
    app.add_exception_handler(Exception, bug)
    app.at_once = ServerErrorMiddleware(app.identify, handler=bug)


def create_app(territory: Territory) -> FastAPI:
    """Make the application for a territory; nothing is opened before it starts."""
    service = Service(Site(territory))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
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
    app.service = service
    _operations(app)
    endpoint = Endpoint(service)
    for path in ("/sparql", "/sparql/"):
        app.add_route(path, endpoint.answer, methods=["GET", "POST", "QUERY"], include_in_schema=False)
    for path, handler in _PAGES:
        app.add_route(path, _route(app, handler), include_in_schema=False)
    _errors(app)
    return app
