"""What a process is told that asks another service, and what it brings back."""

from __future__ import annotations

from typing import Literal

import msgspec

Trouble = Literal["syntax", "address", "unreachable", "slow", "status", "form", "rows", "cut", "size", "terms", "memory"]


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is sent out to ask, and how much it may bring back."""

    parent: int
    check: str  # the query around: nothing is sent unless it is well-formed
    base: str | None
    address: str
    private: bool
    certificates: str | None
    asked: str
    variables: tuple[str, ...]
    blank: str  # what the IRIs start with that stand for blank nodes
    seconds: float
    rows: int
    max_bytes: int


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What it brings back: a VALUES block, or its trouble and what was said."""

    text: str = ""
    rows: int = 0
    trouble: Trouble | None = None
    said: str = ""
