"""What was answered before is answered again by one look-up: whole answers, known by everything that a request says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cityorchestra_ld.web.http_ import Answer, new_request_id
from cityorchestra_ld.web.metrics import route_class

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from starlette.types import Scope, Send

    from cityorchestra_ld.web.service import Service
    from cityorchestra_ld.web.snapshot import Snapshot
    from cityorchestra_ld.web.spot import Plain
    from cityorchestra_ld.web.watching import Watch

RawHeaders = Iterable[tuple[bytes, bytes]]
Key = tuple[bytes, str, str, tuple[tuple[bytes, bytes], ...]]  # address, scheme, where the service is mounted, headers

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
        b"X-Row-Limit, X-Search-Limit, X-Service-Failed, X-Version",
    ),
)
ASKED: Final = "cityorchestra.asked"  # in a scope: the query that was read
BEGAN: Final = "cityorchestra.began"  # in a scope: when its request came, if it was not given to the application at once
DIRECT: Final = "cityorchestra.direct"  # in a scope: what sends a whole answer, if that can be done at once
SENT: Final = "cityorchestra.sent"  # in a scope: status and size of an answer that was sent so
_LOOKED: Final = "cityorchestra.looked"  # in a scope for which nothing was found
_KEPT: Final = frozenset((200, 301, 303, 304))
_KEY: Final = 1_500  # bytes that what an answer is known by takes, about
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
    """An answer as it goes out, without what every answer carries."""

    status: int
    head: bytes  # its headers as HTTP/1.1 writes them
    body: bytes
    route: str

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return its headers as ASGI wants them."""
        lines = self.head.split(b"\r\n")[:-1]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    @property
    def size(self) -> int:
        """Count the bytes that it takes in memory, about."""
        return len(self.body) + len(self.head) + _KEY


def head_of(headers: RawHeaders) -> bytes:
    """
    Write headers as HTTP/1.1 does (RFC 9112, section 5).

    >>> head_of([(b"vary", b"Accept"), (b"etag", b'"1"')])
    b'vary: Accept\\r\\netag: "1"\\r\\n'
    """
    return b"".join([b"%s: %s\r\n" % pair for pair in headers])


def key_of(address: bytes, scheme: str, root: str, headers: RawHeaders) -> Key | None:
    """
    Name a GET request by what an answer may depend on; `None` when its answer is for itself alone.

    >>> key_of(b"/doc/a?lang=en", "http", "", [(b"accept", b"*/*"), (b"user-agent", b"curl")])
    (b'/doc/a?lang=en', 'http', '', ((b'accept', b'*/*'),))
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
    return (address, scheme, root, tuple(said)) if size <= _LONGEST else None


class Again:
    """
    Gives answers again; each generation has its own table of them (`Snapshot.again`).

    A request that is not in it may be so plain that `first` can answer it on the spot.
    """

    def __init__(
        self,
        service: Service,
        watch: Watch,
        first: Callable[[Snapshot, Key], Whole | None],
        asked: Callable[[Snapshot, Key, str], Whole | Plain | None],
    ) -> None:
        self._service = service
        self._watch = watch
        self._first = first
        self._asked = asked  # the same for queries, which are charged to a client

    def look(self, scope: MutableMapping[str, Any], address: bytes, client: str) -> Whole | None:
        """
        Return the answer that the same GET request got before, or the first to a plain one, of the open generation.

        A scope remembers when there is nothing to be found, and the query that a worker is to be asked.
        """
        found = self.find(address, scope["scheme"], scope.get("root_path", ""), scope["headers"], client)
        if isinstance(found, Whole):
            return found
        looked(scope, found)
        return None

    def find(self, address: bytes, scheme: str, root: str, headers: RawHeaders, client: str) -> Whole | Plain | None:
        """Return the answer to a GET request that can be given on the spot, or the plain query that a worker is to be asked."""
        snapshot = self._service.open_snapshot
        key = key_of(address, scheme, root, headers) if snapshot else None
        if snapshot is None or key is None:
            return None
        known = snapshot.again.get(key)
        if known is None and (known := self._first(snapshot, key)):
            snapshot.again.put(key, known)
        return known or self._asked(snapshot, key, client)

    async def give(self, scope: Scope, send: Send) -> bool:
        """Answer a request on the spot if that can be done; tell whether it was."""
        if scope["method"] != "GET" or scope.get(_LOOKED):
            return False
        began, address = time.perf_counter(), _address(scope)
        client = scope["client"][0] if scope.get("client") else ""
        known = self.look(scope, address, client)
        if known is None:
            return False
        request_id = scope.get("request_id") or new_request_id()
        headers = [*known.headers, *EVERYWHERE, (b"x-request-id", request_id.encode())]
        await send({"type": "http.response.start", "status": known.status, "headers": headers})
        await send({"type": "http.response.body", "body": known.body})
        self.given(known, request_id, scope.get("client"), address, began)
        return True

    def given(self, known: Whole, request_id: str, client: tuple[str, int] | None, address: bytes, began: float) -> None:
        """Count and log an answer that went out on the spot."""
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
            snapshot.again.put(key, Whole(answer.status, head_of(headers), answer.body, route))


def looked(scope: MutableMapping[str, Any], asked: object) -> None:
    """Let a scope remember that there is nothing to be found for it, and the query that was read."""
    scope[_LOOKED], scope[ASKED] = True, asked


def _address(scope: Scope) -> bytes:
    """Return path and parameters as they were sent."""
    raw: bytes = (scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")).partition(b"?")[0]
    return raw + b"?" + scope["query_string"] if scope.get("query_string") else raw
