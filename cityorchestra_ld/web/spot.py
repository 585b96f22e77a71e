"""A small SELECT on the spot: what is said of one thing, for plain requests of a known shape, as the endpoint would answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.formats import RESULTS_JSON, Offer, negotiate
from cityorchestra_ld.store.cheap import MOST
from cityorchestra_ld.store.searching import find_searches
from cityorchestra_ld.web.again import Key, Whole, head_of
from cityorchestra_ld.web.asked import Asked, Begun
from cityorchestra_ld.web.callers import Caller, stranger
from cityorchestra_ld.web.http_ import Answer, Ask, Headers, etag_of, written
from cityorchestra_ld.web.problems import wants_page
from cityorchestra_ld.web.protocol import SparqlRequest
from cityorchestra_ld.web.sparql import Endpoint
from cityorchestra_ld.web.sparql_forms import BOOLEAN_FORMATS, SELECT_FORMATS

if TYPE_CHECKING:
    from cityorchestra_ld.store import Inspected
    from cityorchestra_ld.store.shapes import Seen
    from cityorchestra_ld.web.service import Service
    from cityorchestra_ld.web.snapshot import Snapshot

_ASKED: Final = b"/sparql?query="
_PATH: Final = len(b"/sparql?")
_PLAIN: Final = frozenset((b"host", b"accept-language"))  # headers on which these answers do not depend
_QUERY, _TAG = "0-text-of-a-query-0", "0-tag-of-an-answer-0"  # slots


@dataclass(frozen=True, slots=True)
class Form:
    """
    What plain answers of one generation, one media type and one row limit have in common, around the slots of
    query and tag.
    """

    rows: int
    said: tuple[str, str]  # what a tag is made of
    headers: tuple[Headers, Headers]
    head: tuple[bytes, bytes]

    def tag(self, text: str) -> str:
        """Make the tag of the answer to a query."""
        return "W/" + etag_of(f"{self.said[0]}{text!r}{self.said[1]}")

    def lasting(self, tag: str) -> Headers:
        """Give the headers that are remembered with an answer."""
        return (*self.headers[0], ("ETag", tag), *self.headers[1])

    def whole(self, tag: str, further: Headers, body: bytes) -> Whole:
        """Put an answer together."""
        length = b"content-length: %d\r\n" % len(body)
        return Whole(200, b"".join((self.head[0], tag.encode(), self.head[1], _lines(further), length)), body, "sparql")


@dataclass(slots=True)
class Plain:
    """A plain query that is not answered on the spot: what its answer will be known by, and in which form."""

    snapshot: Snapshot
    form: Form
    tag: str
    seen: Seen
    query_string: str
    accept: str | None
    caller: Caller
    offer: Offer

    def judged(self, begun: Begun | None = None) -> Asked:
        """Say the same as the endpoint has it."""
        ask = Ask(
            path="/sparql", query_string=self.query_string, headers={} if self.accept is None else {"accept": self.accept}
        )
        seen, tag = self.seen, None if self.seen.shape.volatile else self.tag
        wanted, tags = SparqlRequest(query=seen.text), {self.snapshot.generation.number: tag}
        return Asked(ask, wanted, self.caller, seen.inspected, self.offer, small=seen.shape.small, tags=tags, begun=begun)


class Spot:
    """Answers queries by look-ups; what is not plain, what is refused and what may be much is for the endpoint."""

    def __init__(self, service: Service, endpoint: Endpoint) -> None:
        self._service = service
        self._endpoint = endpoint
        territory = service.site.territory
        self._base = f"{territory.base_iri}sparql"
        self._space = service.site.prefixes["co"]
        self._rows = territory.limits.result_rows
        self._open = not territory.log.queries and self._rows > MOST

    def find(self, snapshot: Snapshot, key: Key, client: str) -> Whole | Plain | None:
        """Answer a request of the anonymous, or judge it for the endpoint; `None` when that has to do all of it."""
        text = _text(key) if self._open else None
        if text is None:
            return None
        try:
            return self._answer(snapshot, key, text, client)
        except (CityOrchestraError, OSError):
            return None  # the endpoint will tell

    def _answer(self, snapshot: Snapshot, key: Key, text: str, client: str) -> Whole | Plain | None:
        seen, pool = self._endpoint.shapes.find(text), self._service.open_pool
        chosen = _choose(key, seen.shape.first.kind) if seen else None
        if seen is None or chosen is None or pool is None:
            return None
        if pool.generation.number != snapshot.generation.number:
            return None  # nobody sees an older generation after a newer one
        accept, offer = chosen
        budget, caller, began = self._service.budget, stranger(client), time.perf_counter()
        budget.require(caller.name)
        form = self.form(snapshot, seen.shape.first, offer, self._rows)
        tag, lookup, body = form.tag(text), seen.shape.lookup, None
        if lookup is not None:
            if tag in snapshot.answers or (seen.searching and find_searches(text, self._space, self._base) is not None):
                return None
            body = lookup.answer(snapshot.reader, seen.filled, snapshot.plain.graphs)
        if body is None:
            return Plain(snapshot, form, tag, seen, key[0][_PATH:].decode(), accept, caller, offer)
        budget.charge(caller.name, time.perf_counter() - began)
        snapshot.answers.missed()
        snapshot.answers.put(tag, Answer(200, form.lasting(tag), body))
        self._endpoint.known_as(tag, key[0][_PATH:].decode(), accept)
        return form.whole(tag, budget.headers(caller.name), body)

    def form(self, snapshot: Snapshot, inspected: Inspected, offer: Offer, rows: int) -> Form:
        """Return what answers with this row limit have in common."""
        name = f"plain answers {offer.media_type} {rows}"
        return snapshot.remember(name, lambda: self._make_form(snapshot, inspected, offer, rows))

    def _make_form(self, snapshot: Snapshot, inspected: Inspected, offer: Offer, rows: int) -> Form:
        said, headers = self._endpoint.plain(_QUERY, _TAG, rows, inspected, offer, snapshot.generation)
        before, _, after = said.partition(repr(_QUERY))
        place = next(number for number, (_, value) in enumerate(headers) if value == _TAG)
        first, _, last = head_of(written(headers)).partition(_TAG.encode())
        return Form(rows, (before, after), (headers[:place], headers[place + 1 :]), (first, last))


def _text(key: Key) -> str | None:
    """Read the query of a request that says nothing else."""
    address, _, root, _ = key
    if root or not address.startswith(_ASKED):
        return None
    raw = address[len(_ASKED) :]
    if not raw or not raw.isascii() or b"&" in raw or b"#" in raw or b"\\" in raw:  # a second parameter, a fragment
        return None
    try:  # percent signs become escapes of Python's, which are read at once
        text = raw.replace(b"+", b" ").replace(b"%", b"\\x").decode("unicode_escape")
        return text if text.isascii() else text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return None


def _choose(key: Key, kind: str) -> tuple[str | None, Offer] | None:
    """Choose the form of an answer, if that is JSON; nothing when the request says more that an answer may depend on."""
    accept: str | None = None
    for name, value in key[3]:
        if name == b"accept":
            said = value.decode("latin-1")
            accept = said if accept is None else f"{accept}, {said}"
        elif name not in _PLAIN:
            return None
    offer = _json(accept, kind)
    return (accept, offer) if offer else None


@lru_cache(maxsize=256)
def _lines(headers: Headers) -> bytes:
    return head_of(written(headers))


@lru_cache(maxsize=256)
def _json(accept: str | None, kind: str) -> Offer | None:
    if kind == "graph" or wants_page(Ask(headers={} if accept is None else {"accept": accept})):
        return None
    offer = negotiate(accept, SELECT_FORMATS if kind == "solutions" else BOOLEAN_FORMATS)
    return offer if offer is not None and offer.format is RESULTS_JSON else None
