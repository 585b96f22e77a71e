"""One request and one answer as plain values: what every page and document is a function of."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote

from cityorchestra_ld.errors import Text, UsageError

Language = Literal["fr", "en"]
Headers = tuple[tuple[str, str], ...]

CACHED: Final = "public, no-cache"  # keep it, and ask each time whether it is still the current one
VARY: Final = "Accept"
_MAX_FIELDS: Final = 200
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_TAG = re.compile(r'(?:W/)?"[^"]*"')


def read_fields(text: str) -> Mapping[str, tuple[str, ...]]:
    """
    Read a query string or a form body, decoding it exactly once; raise UsageError when it is not well-formed UTF-8.

    >>> read_fields("a=%252F&a=1%2B1&b=x+y")
    {'a': ('%2F', '1+1'), 'b': ('x y',)}
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:  # too many fields, or bytes that are not UTF-8
        raise UsageError(
            Text("Paramètres illisibles : UTF-8 attendu.", "The parameters cannot be read: UTF-8 is expected."),
            hint=Text(f"Au plus {_MAX_FIELDS} paramètres, encodés en UTF-8.", f"At most {_MAX_FIELDS} fields, in UTF-8."),
        ) from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a client asks; `path` is as it was sent, percent-encoded, below the mount point."""

    method: str = "GET"
    path: str = "/"
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    root: str = ""  # where the service is mounted, without a final slash
    scheme: str = "http"
    request_id: str = ""

    def fields(self) -> Mapping[str, tuple[str, ...]]:
        """Return the parameters of the query string."""
        return read_fields(self.query_string) if self.query_string else {}

    def one(self, name: str) -> str | None:
        """Return a parameter that may be given once; raise UsageError when it is repeated."""
        return single(self.fields(), name)

    @property
    def accept(self) -> str | None:
        """Return the `Accept` header, `None` when there is none."""
        return self.headers.get("accept")

    @property
    def said_language(self) -> Language | None:
        """Return the language that the address itself asks for."""
        if not self.query_string:
            return None
        asked = dict(parse_qsl(self.query_string, max_num_fields=None, errors="replace")).get("lang", "")
        return "en" if asked == "en" else "fr" if asked == "fr" else None

    @property
    def language(self) -> Language:
        """Return the language for people: French, unless the address asks for English; one address, one page for everybody."""
        return self.said_language or "fr"

    @property
    def origin(self) -> str:
        """Return scheme and host as the client calls us, or an empty string when the Host header is not one."""
        host = self.headers.get("host", "")
        return f"{self.scheme}://{host}" if _HOST.fullmatch(host) else ""


def single(fields: Mapping[str, tuple[str, ...]], name: str) -> str | None:
    """Return the value of a field that may occur once; raise UsageError when it occurs twice."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise UsageError(
            Text(
                f"Le paramètre « {name} » est donné {len(values)} fois.",
                f"The parameter '{name}' is given {len(values)} times.",
            ),
            hint=Text("Donnez-le une seule fois.", "Give it once."),
        )
    return values[0] if values else None


def new_request_id() -> str:
    """Name a request, for the client and the log."""
    return os.urandom(8).hex()


def ask_from(scope: Mapping[str, Any]) -> Ask:
    """Read an ASGI scope into an Ask."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    root = scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"], safe="/%:@!$&'()*+,;=~-._")
    return Ask(
        method=scope["method"],
        path=path.removeprefix(root) or "/",
        query_string=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        root=root,
        scheme=scope.get("scheme", "http"),
        request_id=scope.get("request_id", ""),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; streams are the business of the SPARQL endpoint alone."""

    status: int
    headers: Headers
    body: bytes = b""

    @property
    def size(self) -> int:
        """Count the bytes that it takes in memory, about."""
        return len(self.body) + 500

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Write the headers as ASGI wants them, with the length of the body."""
        raw = written(self.headers)
        if self.status not in {204, 304}:
            raw.append((b"content-length", str(len(self.body)).encode()))
        return raw


def written(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Write headers as ASGI wants them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


def etag(*parts: object) -> str:
    """
    Make a strong entity tag from everything that a representation depends on (RFC 9110, section 8.8.3).

    >>> etag(3, "https://x.example/id/a", "text/turtle") == etag(3, "https://x.example/id/a", "text/html")
    False
    """
    return etag_of(repr(parts))


def etag_of(text: str) -> str:
    """Make the entity tag from how everything that a representation depends on is written."""
    return f'"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'


@lru_cache(maxsize=256)
def http_date(moment: datetime) -> str:
    """Write a date for HTTP (RFC 9110, section 5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def is_fresh(ask: Ask, tag: str, modified: datetime | None = None) -> bool:
    """Tell whether the client already holds this representation (RFC 9110, sections 13.1.2 and 13.1.3)."""
    if ask.method not in ("GET", "HEAD"):
        return False
    known = ask.headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or tag.removeprefix("W/") in {item.removeprefix("W/") for item in _TAG.findall(known)}
    since = ask.headers.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    return moment.tzinfo is not None and modified.replace(microsecond=0) <= moment


def redirect(status: Literal[301, 302, 303], location: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Send the client elsewhere; `location` is a path or an address that we made."""
    body = f"{status} {location}\n".encode()
    return Answer(status, (("Location", location), ("Content-Type", "text/plain; charset=utf-8"), *headers), body)


def not_modified(tag: str, modified: datetime, vary: str = VARY) -> Answer:
    """Answer 304 with the headers that a cache needs (RFC 9110, section 15.4.5)."""
    return Answer(304, (("ETag", tag), ("Last-Modified", http_date(modified)), ("Vary", vary), ("Cache-Control", CACHED)))


def with_headers(answer: Answer, *headers: tuple[str, str]) -> Answer:
    """Add headers to an answer."""
    return replace(answer, headers=(*answer.headers, *headers))
