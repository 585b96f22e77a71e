"""What was answered before is answered again by one look-up: whole answers, known by everything that a request says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cityorchestra_ld.web.http_ import Answer, new_request_id
from cityorchestra_ld.web.metrics import route_class

if TYPE_CHECKING:
    from starlette.types import Scope, Send

    from cityorchestra_ld.web.service import Service
    from cityorchestra_ld.web.snapshot import Snapshot
    from cityorchestra_ld.web.watching import Watch

Key = tuple[object, ...]
RawHeaders = Iterable[tuple[bytes, bytes]]

EVERYWHERE: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Content-Language, Content-Location, Content-Profile, ETag, Last-Modified, Link, Location, Memento-Datetime, "
        b"Preference-Applied, RateLimit, RateLimit-Policy, Repr-Digest, Retry-After, Vary, X-Generation, X-Request-Id, "
        b"X-Row-Limit, X-Search-Limit, X-Version",
    ),
)
_KEPT: Final = frozenset((200, 301, 303, 304))
_HEADERS: Final = 6_000  # bytes that the headers of an answer and its key take, about
_LONGEST: Final = 4_000  # bytes of an address and its headers
_OWN: Final = frozenset(  # what makes a request one of its own: never answered from here
    (
        b"authorization", b"prefer", b"accept-datetime", b"content-length", b"content-type", b"transfer-encoding", b"expect",
        b"upgrade",
    )
)  # fmt: skip
_UNREAD: Final = frozenset(  # what no answer depends on; a header that is in neither list makes another request
    (
        b"user-agent", b"accept-encoding", b"accept-charset", b"connection", b"keep-alive", b"cache-control", b"pragma",
        b"referer", b"cookie", b"dnt", b"te", b"priority", b"origin", b"upgrade-insecure-requests", b"from", b"via",
        b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"x-request-id",
        b"traceparent", b"tracestate", b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc",
        b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform",
    )
)  # fmt: skip


@dataclass(slots=True)
class Whole:
    """An answer as it goes out, but for the id of the request: as ASGI wants it, and as HTTP/1.1 writes its headers."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    route: str
    _written: bytes = b""

    @property
    def written(self) -> bytes:
        """Return the headers as HTTP/1.1 writes them."""
        if not self._written:
            self._written = b"".join(b"%s: %s\r\n" % pair for pair in (*self.headers, *EVERYWHERE))
        return self._written

    @property
    def size(self) -> int:
        """Count the bytes that it takes in memory, about."""
        return len(self.body) + _HEADERS


def key_of(address: bytes, scheme: str, root: str, headers: RawHeaders) -> Key | None:
    """
    Name a GET request by what an answer may depend on; `None` when its answer is for itself alone.

    >>> key_of(b"/doc/a?lang=en", "http", "", [(b"accept", b"*/*"), (b"user-agent", b"curl")])
    (b'/doc/a?lang=en', 'http', '', (b'accept', b'*/*'))
    """
    said = []
    size = len(address)
    for pair in headers:
        name = pair[0]
        if name in _UNREAD:
            continue
        if name in _OWN:
            return None
        size += len(pair[1])
        said.append(pair)
    return (address, scheme, root, *said) if size <= _LONGEST else None


class Again:
    """Gives answers again; each generation has its own table of them (`Snapshot.again`)."""

    def __init__(self, service: Service, watch: Watch) -> None:
        self._service = service
        self._watch = watch

    def find(self, address: bytes, scheme: str, root: str, headers: RawHeaders) -> Whole | None:
        """Return the answer that the same GET request got before, from the generation that answers now."""
        snapshot = self._service.open_snapshot
        key = key_of(address, scheme, root, headers) if snapshot else None
        return snapshot.again.get(key) if snapshot and key else None

    async def give(self, scope: Scope, send: Send) -> bool:
        """Answer a request that was answered before; tell whether it was."""
        if scope["method"] != "GET":
            return False
        address = _address(scope)
        known = self.find(address, scope["scheme"], scope.get("root_path", ""), scope["headers"])
        if known is None:
            return False
        began, request_id = time.perf_counter(), scope.get("request_id") or new_request_id()
        headers = [*known.headers, *EVERYWHERE, (b"x-request-id", request_id.encode())]
        await send({"type": "http.response.start", "status": known.status, "headers": headers})
        await send({"type": "http.response.body", "body": known.body})
        self.given(known, request_id, scope.get("client"), address, began)
        return True

    def given(self, known: Whole, request_id: str, client: tuple[str, int] | None, address: bytes, began: float) -> None:
        """Count and log an answer that went out again."""
        self._watch.again(known, request_id, client[0] if client else "", address, time.perf_counter() - began)

    def keep(self, scope: Scope, snapshot: Snapshot | None, answer: Answer, headers: list[tuple[bytes, bytes]]) -> None:
        """Remember a public answer that a snapshot gave, with its raw headers, unless another generation answers by now."""
        if snapshot is None or snapshot is not self._service.open_snapshot:
            return
        if scope["method"] != "GET" or answer.status not in _KEPT:
            return
        key = key_of(_address(scope), scope["scheme"], scope.get("root_path", ""), scope["headers"])
        if key is not None:
            route = route_class(scope["path"].removeprefix(scope.get("root_path", "")))
            snapshot.again.put(key, Whole(answer.status, headers, answer.body, route))


def _address(scope: Scope) -> bytes:
    """Return path and parameters as they were sent."""
    raw: bytes = (scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")).partition(b"?")[0]
    return raw + b"?" + scope["query_string"] if scope.get("query_string") else raw
