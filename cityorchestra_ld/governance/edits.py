"""The words that the web and the publishing process exchange about what stewards send."""

from __future__ import annotations

from typing import Literal

import msgspec

from cityorchestra_ld.errors import Place, Text

Action = Literal["put", "post", "delete"]


class Body(msgspec.Struct, frozen=True):
    """One document that a steward sent, in a file."""

    path: str
    media_type: str


class Edit(msgspec.Struct, frozen=True):
    """What to do with one graph; `expected` are hashes of which the current content must have one, if any is given."""

    graph: str
    action: Action
    bodies: tuple[Body, ...] = ()
    dataset: str | None = None
    expected: tuple[str, ...] = ()
    absent: bool = False  # it must not exist yet


class Job(msgspec.Struct, frozen=True):
    """Edits that are published together or not at all."""

    root: str
    state: str
    author: str
    edits: tuple[Edit, ...]
    draft: bool = False


class Done(msgspec.Struct, frozen=True):
    """What became of one graph."""

    graph: str
    action: Action
    created: bool
    triples: int
    version: str | None
    sha256: str


class Violation(msgspec.Struct, frozen=True):
    """One thing that shapes object to."""

    message: Text
    focus: str
    path: str | None
    value: str | None


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing was published, with the HTTP status that says so."""

    status: int
    message: Text
    place: Place | None = None
    hint: Text | None = None
    violations: tuple[Violation, ...] = ()
    count: int = 0


class Reported(msgspec.Struct, frozen=True):
    """What the process says at its end."""

    generation: int | None = None
    published: bool = False
    done: tuple[Done, ...] = ()
    refusal: Refusal | None = None
