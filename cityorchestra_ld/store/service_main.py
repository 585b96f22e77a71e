"""Ask one SPARQL service elsewhere, in a process of its own with little memory, and write its rows as a VALUES block.

What comes back is hostile until it is parsed: it is read as it comes, up to a limit, never unpacked, and each term is checked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import IO, Final, Protocol, cast
from urllib.parse import SplitResult, urlencode

import msgspec
import pyoxigraph as ox
import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from cityorchestra_ld import __version__
from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.outbound import GuardedHTTPPool, GuardedHTTPSPool, check_url
from cityorchestra_ld.store.errands import Brought, Errand, Trouble
from cityorchestra_ld.store.sandbox import die_with_parent, limit_memory

MEMORY_MB: Final = 256
_JSON: Final = frozenset(("application/sparql-results+json", "application/json"))
_CUTS: Final = ("X-Row-Limit", "X-SPARQL-MaxRows")  # how services say after how many rows they cut an answer: ours, Virtuoso
_SAID: Final = 2_000  # bytes of a refusal that are looked at
_SHOWN: Final = 200  # characters of it that are told
_TAG: Final = re.compile(r"<[^<>]{0,500}>")


class _TroubleError(Exception):
    def __init__(self, kind: Trouble, said: str = "") -> None:
        super().__init__(said)
        self.brought = Brought(trouble=kind, said=_clean(said))


class Readable(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int = -1, /) -> bytes:
        """Read a part."""
        ...


class _Body:
    """The body of an answer as a file that ends with an error when there is too much of it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, most: int) -> None:
        self._response = response
        self._left = most
        self.too_large = False

    def read(self, size: int = -1) -> bytes:
        """Read a part."""
        piece = self._response.read(min(size, 1 << 16) if size > 0 else 1 << 16, decode_content=False)
        self._left -= len(piece)
        if self._left < 0:
            self.too_large = True
            raise OSError("too large")
        return piece


def ask(errand: Errand) -> Brought:
    """Run an errand; nothing is sent unless the whole query is well-formed."""
    try:
        ox.Store().query(errand.check, base_iri=errand.base)
    except SyntaxError as error:
        return Brought(trouble="syntax", said=str(error))
    try:
        return _asked(errand)
    except _TroubleError as error:
        return error.brought
    except SourceError as error:
        return Brought(trouble="address", said=error.message.en)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(error, urllib3.exceptions.NewConnectionError):
            return Brought(trouble="slow")
        return Brought(trouble="unreachable", said=_clean(_reason(error)))
    except MemoryError:
        return Brought(trouble="memory")


def _asked(errand: Errand) -> Brought:
    parts = check_url(errand.address)
    headers = {
        "Accept": "application/sparql-results+json, application/json;q=0.9",
        "Accept-Encoding": "identity",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"cityorchestra-ld/{__version__}",
    }
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = urlencode({"query": f"{errand.asked} LIMIT {errand.rows + 1}"})
    with _connect(errand, parts) as pool:
        response = pool.urlopen(
            "POST", target, body, headers, retries=False, redirect=False, preload_content=False, decode_content=False,
            timeout=urllib3.Timeout(total=errand.seconds),
        )  # fmt: skip
        _require(response)
        received = _Body(response, errand.max_bytes)
        try:
            brought = rows_of(errand, received)
        except (SyntaxError, ValueError) as error:
            raise _TroubleError("form", str(error)) from None
        except OSError:
            if received.too_large:
                raise _TroubleError("size") from None
            raise
        limits = [response.headers.get(name, "") for name in _CUTS]
        if any(limit.isascii() and limit.isdecimal() and brought.rows >= int(limit[:18]) for limit in limits):
            raise _TroubleError("cut", f"{brought.rows}")
        return brought


def _connect(errand: Errand, parts: SplitResult) -> HTTPConnectionPool:
    host = parts.hostname or ""
    if parts.scheme == "https":
        secure = HTTPSConnectionPool if errand.private else GuardedHTTPSPool
        return secure(host, parts.port, cert_reqs="CERT_REQUIRED", ca_certs=errand.certificates or _certificates())
    return (HTTPConnectionPool if errand.private else GuardedHTTPPool)(host, parts.port)


def _certificates() -> str:
    import certifi

    return certifi.where()


def _require(response: urllib3.BaseHTTPResponse) -> None:
    """Refuse every answer that is not a table in JSON as it was asked for; a redirection is told, never followed."""
    if 300 <= response.status < 400:
        raise _TroubleError("status", f"{response.status} → {response.headers.get('Location', '')}")
    if response.status != 200:
        start = response.read(_SAID, decode_content=False).decode("utf-8", "replace")
        raise _TroubleError("status", f"{response.status} {start}")
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise _TroubleError("form", f"Content-Encoding: {packed}")
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in _JSON:
        raise _TroubleError("form", f"Content-Type: {media_type}")


def rows_of(errand: Errand, body: Readable) -> Brought:
    """Write the rows of a table in JSON as a VALUES block; raise SyntaxError or ValueError when it is not one."""
    solutions = ox.parse_query_results(cast("IO[bytes]", body), format=ox.QueryResultsFormat.JSON)
    if not isinstance(solutions, ox.QuerySolutions):
        raise _TroubleError("form", "boolean")
    variables = [variable.value for variable in solutions.variables if variable.value in errand.variables]
    lines: list[str] = []
    for solution in solutions:
        if len(lines) >= errand.rows:
            raise _TroubleError("rows")
        lines.append(f"({' '.join(_written(solution[name], errand.blank) for name in variables)})")
    named = " ".join(f"?{name}" for name in variables)
    return Brought(text=f"VALUES ({named}) {{ {' '.join(lines)} }}", rows=len(lines))


def _written(term: object, blank: str) -> str:
    """Write a term for VALUES; a blank node becomes an IRI that stands for it (RDF 1.1 Concepts, section 3.5)."""
    if term is None:
        return "UNDEF"
    if isinstance(term, ox.BlankNode):
        return str(ox.NamedNode(blank + term.value))
    if isinstance(term, ox.Triple):
        raise _TroubleError("terms")
    return str(term)


def _reason(error: BaseException) -> str:
    """Return what an error says at its heart; libraries wrap it several times."""
    inner: object = error
    while isinstance(inner, BaseException):
        inner = getattr(inner, "reason", None) or next((part for part in reversed(inner.args) if part), type(inner).__name__)
    return str(inner).rpartition(": ")[2]


def _clean(said: str) -> str:
    """
    Shorten what somebody else said to one line of plain text.

    >>> _clean("<h1>Bad\\x1b[31m  Request</h1>")
    'Bad [31m Request'
    """
    plain = "".join(_printable(_TAG.sub(" ", said)))
    words = " ".join(plain.split())
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"


def _printable(said: str) -> Iterator[str]:
    for char in said:
        yield char if char.isprintable() else " "


def main() -> int:
    """Run the errand that is on the standard input."""
    errand = msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)
    die_with_parent(errand.parent)
    limit_memory(MEMORY_MB)
    sys.stdout.buffer.write(msgspec.json.encode(ask(errand)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
