"""See each request through: give it an id, measure it, count it, and write its line of log."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.web.again import BEGAN, SENT, Whole
from cityorchestra_ld.web.http_ import new_request_id
from cityorchestra_ld.web.problems import kind_of
from cityorchestra_ld.web.request_log import LOGGER, Line, LineRecord, moment, network, path_of, query_of
from cityorchestra_ld.web.service import Service

_requests = logging.getLogger(LOGGER)
_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_CLOSED: Final = 499  # what the log says of a client that left before the first byte


class Watch:
    """What sees the requests of one service through."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._metrics = service.metrics
        self._queries = service.site.territory.log.queries
        self._told: dict[str, str] = {}  # requests under way → the problem that their client is told of

    async def follow(
        self, scope: Scope, receive: Receive, send: Send, answer: Callable[[Scope, Receive, Send], Awaitable[None]]
    ) -> None:
        """Have a request answered; whatever happens, it is counted and logged once."""
        scope.setdefault("request_id", new_request_id())
        began, status, size, whole = scope.get(BEGAN) or time.perf_counter(), 0, 0, False

        async def counted(message: Message) -> None:
            nonlocal status, size, whole
            await send(message)
            if message["type"] == "http.response.body":
                size += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            elif message["type"] == "http.response.start":
                status = message["status"]

        self._metrics.under_way += 1
        try:
            await answer(scope, receive, counted)
        except BaseException as error:
            known = error.__cause__ or error
            if isinstance(known, CityOrchestraError):  # after the first byte: the client learns it by a transfer that breaks
                self.problem(scope["request_id"], known)
            raise
        finally:
            self._metrics.under_way -= 1
            status, size, whole = scope.get(SENT, (status, size, whole))
            self._ended(scope, status or _CLOSED, time.perf_counter() - began, size, whole=whole)

    def problem(self, request_id: str, error: CityOrchestraError) -> None:
        """Hear what a client is told instead of an answer."""
        kind = kind_of(error).name
        self._metrics.problem(kind)
        if request_id:
            self._told[request_id] = kind

    def _ended(self, scope: Scope, status: int, seconds: float, size: int, *, whole: bool) -> None:
        if isinstance(error := scope.get("problem"), CityOrchestraError):
            self.problem(scope["request_id"], error)
        raw = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
        self._metrics.answered(scope, status, seconds, size, whole=whole)
        problem = self._told.pop(scope["request_id"], "")
        if not _requests.isEnabledFor(logging.INFO):
            return
        now = time.time()
        line = Line(
            time=moment(now), id=scope["request_id"], client=self._client(scope), method=scope["method"][:20],
            path=path_of(raw), status=status, ms=round(seconds * 1000, 2), bytes=size, problem=problem, broken=not whole,
        )  # fmt: skip
        if "services" in scope:
            line.services = scope["services"]
        if self._queries:
            line.query = query_of(scope.get("sparql") or scope["query_string"].decode("latin-1"))
        _requests.handle(LineRecord(line, now))

    def again(self, known: Whole, request_id: str, client: str, address: bytes, seconds: float) -> None:
        """Hear of an answer that was given again, to somebody who showed no token."""
        self._metrics.counted(known.route, known.status, seconds, len(known.body))
        if not _requests.isEnabledFor(logging.INFO):
            return
        now = time.time()
        line = Line(
            time=moment(now), id=request_id, client=network(client), method="GET", path=path_of(address),
            status=known.status, ms=round(seconds * 1000, 2), bytes=len(known.body),
        )  # fmt: skip
        if self._queries:
            line.query = query_of(address.partition(b"?")[2].decode("latin-1"))
        _requests.handle(LineRecord(line, now))

    def _client(self, scope: Scope) -> str:
        """Name a client: the bearer of a token by its name, everybody else by the network."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = self._service.tokens.find(value.partition(b" ")[2].strip().decode("latin-1"))
                if token is not None:
                    return f"token {token.name}"
        return network(scope["client"][0] if scope.get("client") else "")


class BehindProxy:
    """Believes what proxies say that are trusted (client, scheme, request id), and nobody else."""

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self._inner: Any = ProxyHeadersMiddleware(cast(Any, app), trusted_hosts=trusted)  # it has types of its own for ASGI

    def trusts(self, address: str) -> bool:
        """Tell whether a client is a proxy that is believed."""
        return address in self._inner.trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take over the id that a trusted proxy gave (ASGI)."""
        client = scope.get("client")
        if scope["type"] == "http" and client and self.trusts(client[0]):
            given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
            if _ID.fullmatch(given):
                scope["request_id"] = given.decode()
        await self._inner(scope, receive, send)
