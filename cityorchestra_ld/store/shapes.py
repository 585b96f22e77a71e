"""Recognise queries that differ from one that was judged before in nothing but IRIs and texts: what was found of it holds.

A query is cut at each `<...>` and `"..."` behind its first brace. What is between these is its shape. It is learnt only when
the lexer reads each of them as one whole token, in a place where what it says decides nothing about the query as a whole. They
hold no quote, backslash, bracket or line end, so that another in the same place cannot change how the rest is read.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cityorchestra_ld.model import Limits
from cityorchestra_ld.store.cheap import is_cheap
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.joins import Join, join_of
from cityorchestra_ld.store.lexer import Token, tokens
from cityorchestra_ld.store.lookups import Lookup, lookup_of
from cityorchestra_ld.store.searching import may_search

_HOLE: Final = re.compile(r"""(<[^<>"'{}()|^`\\\x00-\x20\x7f-\xa0]+>|"[^<>"'{}()\\\x00-\x1f]+"|(?<!")""(?!"))""")
_LONGEST: Final = 2_000  # characters of a query
_WIDEST: Final = 4  # bytes of a character
_REMEMBERED: Final = 500
_VOLATILE: Final = re.compile(r"\b(NOW|RAND|UUID|STRUUID|BNODE)\s*\(", re.IGNORECASE)
_DECIDING: Final = frozenset(("BASE", "FROM", "NAMED", "PREFIX", "SERVICE", "VERSION"))
_BRIEF: Final = 0.001  # seconds
_UNKNOWN: Final = 0.002  # seconds
_FADES: Final = 0.9  # of the slowest is remembered, from each that was quicker to the next
_COMPARED: Final = frozenset(")}]>")  # after one of these, the engine may read `<` as less-than


def is_volatile(text: str) -> bool:
    """Tell whether the answer to a query may change from one moment to the next."""
    return _VOLATILE.search(text) is not None


class Pace:
    """How long queries of one shape took of late."""

    def __init__(self) -> None:
        self._slowest = _UNKNOWN  # seconds, less with each that was quicker: some have to be

    @property
    def is_brief(self) -> bool:
        """Tell whether the next will hardly take longer than a millisecond."""
        return self._slowest <= _BRIEF

    def took(self, seconds: float) -> None:
        """Hear how long one took."""
        self._slowest = max(seconds, self._slowest * _FADES)


@dataclass(frozen=True, slots=True)
class Shape:
    """What queries of one shape have in common."""

    first: Inspected
    lookup: Lookup | Join | None  # that answers them
    small: bool  # whether they are cheap
    volatile: bool  # no hole has a parenthesis in it
    searching: bool  # perhaps, whatever is in the holes
    pace: Pace = field(default_factory=Pace, compare=False)


@dataclass(slots=True)
class Seen:
    """A query of a known shape, and what is in its holes, with their brackets or quotes."""

    shape: Shape
    text: str
    filled: Sequence[str]

    @property
    def inspected(self) -> Inspected:
        """Say of this query what the guard would say."""
        first = self.shape.first
        if self.text == first.text:
            return first
        shift, span, tail = len(self.text) - len(first.text), first.limit_span, first.tail
        return Inspected(
            text=self.text, form=first.form, prefixes=first.prefixes, limit=first.limit,
            limit_span=(span[0] + shift, span[1] + shift) if span else None,
            tail=None if tail is None else tail + shift,
        )  # fmt: skip

    def capped(self, rows: int) -> str:
        """Return what `inspected.capped` does."""
        first = self.shape.first
        if first.limit_span is not None or first.tail is not None:
            return self.inspected.capped(rows)
        return f"{self.text}\nLIMIT {rows}\n" if first.form == "SELECT" else self.text

    @property
    def searching(self) -> bool:
        """Tell whether this may be a query that searches by name: a mark of that never lies across the edge of a hole."""
        return self.shape.searching or may_search("".join(self.filled))


class Shapes:
    """The shapes of queries that came last; for one thread."""

    def __init__(self, limits: Limits, base: str) -> None:
        self._base = base
        self._longest = min(_LONGEST, limits.query_bytes // _WIDEST)
        self._known: OrderedDict[tuple[str, ...], Shape] = OrderedDict()

    def find(self, text: str) -> Seen | None:
        """
        Recognise a query of a known shape.

        >>> from cityorchestra_ld.store.guard import inspect
        >>> shapes = Shapes(Limits(), "http://x/")
        >>> shapes.learn(inspect("SELECT * { <urn:a> ?p ?o } LIMIT 5"))
        >>> seen = shapes.find("SELECT * { <urn:other> ?p ?o } LIMIT 5")
        >>> seen.filled, seen.inspected == inspect(seen.text)
        (['<urn:other>'], True)
        """
        if len(text) > self._longest:
            return None
        key, filled = _cut(text)
        shape = self._known.get(key)
        if shape is None:
            return None
        self._known.move_to_end(key)
        return Seen(shape, text, filled)

    def learn(self, inspected: Inspected) -> None:
        """Remember the shape of a query that the guard let pass, if all queries of its shape are alike to it."""
        if len(inspected.text) > self._longest:
            return
        holes = _holes(inspected)
        if holes is not None:
            key, _ = _cut(inspected.text)
            volatile, searching = is_volatile(inspected.text), may_search("".join(key[:-1]))
            lookup = None if volatile else lookup_of(inspected, holes, self._base) or join_of(inspected, holes, self._base)
            self._known[key] = Shape(inspected, lookup, is_cheap(inspected), volatile, searching)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _cut(text: str) -> tuple[tuple[str, ...], list[str]]:
    """Return what names the shape of a query, and what is in its holes."""
    prologue, brace, rest = text.partition("{")
    parts = _HOLE.split(rest)
    filled = parts[1::2]
    return (prologue + brace, *parts[::2], "".join([hole[0] for hole in filled])), filled


def _holes(inspected: Inspected) -> tuple[Token, ...] | None:
    """Find the holes of a query; nothing when what is in one of them could decide more than what is asked for."""
    text = inspected.text
    found = list(tokens(text))
    start = text.find("{")
    inside = [token for token in found if token.at >= start >= 0]
    if not inside or inside[0].text != "{" or inspected.from_default or inspected.from_named:
        return None
    if any(token.kind == "word" and token.text.upper() in _DECIDING for token in inside):
        return None
    places = {(match.start(), match.end()) for match in _HOLE.finditer(text, start + 1)}
    holes = tuple(token for token in inside if (token.at, token.end) in places and token.kind in ("iri", "string"))
    last = holes[-1].end if holes else 0
    moves = [at for at in (inspected.limit_span[0] if inspected.limit_span else None, inspected.tail) if at is not None]
    if len(holes) != len(places) or any(at < last for at in moves) or not _all_terms(inside):
        return None
    return holes


def _all_terms(inside: Sequence[Token]) -> bool:
    """Tell whether no IRI stands where the engine could see a comparison in it: right after an operand, in parentheses."""
    brackets: list[str] = []
    before = inside[0]
    for token in inside:
        if token.text in ("{", "(", "["):
            brackets.append(token.text)
        elif token.text in ("}", ")", "]"):
            brackets.pop()
        elif token.kind == "iri" and brackets and brackets[-1] == "(" and (before.kind != "mark" or before.text in _COMPARED):
            return False
        before = token
    return True
