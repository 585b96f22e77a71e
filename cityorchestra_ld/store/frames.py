"""The words that the service and its query workers exchange, and how they are framed on a socket."""

from __future__ import annotations

import struct
from typing import Final, Literal

import msgspec

HEADER: Final = struct.Struct("!cI")  # kind of frame, length of payload
CHUNK: Final = 65_536
READY, HEAD, DATA, END, ERROR = b"R", b"H", b"D", b"Z", b"E"

ResultKind = Literal["solutions", "boolean", "graph"]
ErrorKind = Literal["syntax", "evaluation", "memory", "format", "store", "names"]

WHOLE: Final = b"W"  # a small answer at once: its head, its end and its bytes
LAST: Final = frozenset((READY, END, ERROR, WHOLE))  # after these, a question is answered
_WHOLE: Final = struct.Struct("!Bqd")  # kind of result, truncated, retire; rows; seconds
_KINDS: Final[tuple[ResultKind, ...]] = ("solutions", "boolean", "graph")
_NONE: Final = -1


class Settings(msgspec.Struct, frozen=True):
    """What a worker is told once, before it opens its generation."""

    generation: str  # path of the generation's folder
    parent: int  # process that must stay alive
    memory_mb: int
    prefixes: dict[str, str] = {}
    resident: bool = False  # the generation is in its memory already
    touch: bool = False  # all of it before the first query, which would pay for it otherwise


class Ready(msgspec.Struct, frozen=True):
    """A worker has opened its generation."""

    confined: bool
    pid: int = 0


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """One search of a query: what for, in which graphs, and where the things go that are found."""

    text: str
    at: int
    subject: str  # `?variable` or `<iri>`
    graph: str = ""  # of the GRAPH clause around it, in the same way
    language: str = ""
    score: str = ""  # the variable that gets the nearness


class Searches(msgspec.Struct, frozen=True, kw_only=True):
    """The searches of a query, and which parts of its text they take the place of."""

    found: tuple[Search, ...]
    cuts: tuple[tuple[int, int], ...]
    default_graphs: tuple[str, ...] = ()  # as the view has them


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What takes the place of a part of a query: what another service said."""

    at: int
    end: int
    text: str


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """One query for a worker; both graph lists are always there."""

    text: str
    default_graphs: list[str]
    named_graphs: list[str]
    media_type: str
    rows: int
    prefixes: dict[str, str] = {}
    base: str | None = None  # what relative IRIs of the query start from
    triples: int = 0  # in all these graphs, when several make the default graph
    searches: Searches | None = None
    joined: tuple[Joined, ...] = ()


class Failure(msgspec.Struct, frozen=True):
    """Why a worker could not answer."""

    kind: ErrorKind
    message: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer before its first byte."""

    kind: ResultKind
    media_type: str
    row_limit: int = 0
    search_limit: int = 0  # that a search of the query went beyond


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer after its last byte; `truncated` when it was cut at the row limit."""

    rows: int | None = None
    truncated: bool = False
    retire: bool = False  # the worker has grown and wants to be replaced
    seconds: float = 0.0  # of processor time


def frame(kind: bytes, payload: bytes) -> bytes:
    """Put a payload in a frame."""
    return HEADER.pack(kind, len(payload)) + payload


def whole(kind: ResultKind, end: End, body: bytes) -> bytes:
    """
    Put a whole answer in a frame.

    >>> end = End(rows=None, truncated=True, seconds=0.5)
    >>> opened(whole("graph", end, b"<a> <b> <c> .")[HEADER.size :]) == ("graph", end, b"<a> <b> <c> .")
    True
    """
    flags = _KINDS.index(kind) | end.truncated << 2 | end.retire << 3
    payload = _WHOLE.pack(flags, _NONE if end.rows is None else end.rows, end.seconds)
    return b"".join((HEADER.pack(WHOLE, len(payload) + len(body)), payload, body))


def opened(payload: bytes) -> tuple[ResultKind, End, bytes]:
    """Take a whole answer out of the payload of its frame."""
    flags, rows, seconds = _WHOLE.unpack_from(payload)
    end = End(rows=None if rows == _NONE else rows, truncated=bool(flags & 4), retire=bool(flags & 8), seconds=seconds)
    return _KINDS[flags & 3], end, payload[_WHOLE.size :]
