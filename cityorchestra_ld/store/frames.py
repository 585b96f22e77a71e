"""The words that the service and its query workers exchange, and how they are framed on a socket."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

HEADER: Final = struct.Struct("!cI")  # kind of frame, length of payload
CHUNK: Final = 65_536
READY, HEAD, DATA, END, ERROR = b"R", b"H", b"D", b"Z", b"E"

ResultKind = Literal["solutions", "boolean", "graph"]
ErrorKind = Literal["syntax", "evaluation", "memory", "format", "store"]


class Settings(msgspec.Struct, frozen=True):
    """What a worker is told once, before it opens its generation."""

    generation: str  # path of the generation's folder
    parent: int  # process that must stay alive
    memory_mb: int
    prefixes: dict[str, str] = {}


class Ready(msgspec.Struct, frozen=True):
    """A worker has opened its generation."""

    confined: bool


class Request(msgspec.Struct, frozen=True):
    """One query for a worker; both graph lists are always there."""

    text: str
    default_graphs: list[str]
    named_graphs: list[str]
    media_type: str
    rows: int
    prefixes: dict[str, str] = {}
    base: str | None = None  # what relative IRIs of the query start from
    triples: int = 0  # in all these graphs, when several make the default graph


class Failure(msgspec.Struct, frozen=True):
    """Why a worker could not answer."""

    kind: ErrorKind
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is known of an answer before its first byte."""

    kind: ResultKind
    media_type: str
    generation: int = 0
    row_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What is known of an answer after its last byte; `truncated` when it was cut at the row limit."""

    rows: int | None = None
    truncated: bool = False
    retire: bool = False  # the worker has grown and wants to be replaced
    seconds: float = 0.0  # of processor time


def frame(kind: bytes, payload: bytes) -> bytes:
    """Put a payload in a frame."""
    return HEADER.pack(kind, len(payload)) + payload
