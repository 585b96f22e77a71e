"""Answer a query of a few patterns by look-ups, each from where those before it ended, for queries of a known shape.

A SELECT of what is written plainly: triple patterns, then OPTIONAL ones (SPARQL 1.1 Query, sections 18.2.2 and 18.5). Each
pattern has its subject, or its predicate and object, when its turn comes, and all together may read a few hundred triples:
a query that would read more goes to a worker, and so do the next ones of its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Final, cast

import orjson
import pyoxigraph as ox

from cityorchestra_ld.store.cheap import MOST
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.lexer import Token, tokens
from cityorchestra_ld.store.lookups import Frame, cell, fixed_iri, frame_of, merged, plain_node, plain_text
from cityorchestra_ld.store.reader import Node, Object, Reader

_READS: Final = 400  # look-ups and triples that one query may take
_LEFT: Final = 30  # queries of a shape that go to a worker at once, after one that would have taken more
_PATTERNS: Final = 12

Slot = ox.NamedNode | ox.Literal | int | str  # a term; the number of a hole; the name of a variable
Terms = tuple[Slot, Slot, Slot]
Row = dict[str, Object]


@dataclass(frozen=True, slots=True)
class Group:
    """Patterns in the order in which they are looked up; with `optional`, a row that finds nothing stays as it is."""

    patterns: tuple[Terms, ...]
    optional: bool = False


class TooMuchError(Exception):
    """The engine has to answer."""


class Join:
    """What all queries of one shape look up, one thing after the other, and how their rows are written."""

    def __init__(self, groups: Sequence[Group], frame: Frame, limit: int | None, *, distinct: bool) -> None:
        self._groups = groups
        self._frame = frame
        self._columns = [(name, orjson.dumps(name) + b":") for name in frame.names]
        self._distinct = distinct
        self._most = MOST if limit is None else min(MOST, limit)
        self._skipped = 0

    def answer(self, reader: Reader, filled: Sequence[str], graphs: Set[str]) -> bytes | None:
        """Answer from the merge of these graphs; `None` when the engine has to: there is much, or what it alone writes."""
        if self._skipped:
            self._skipped -= 1
            return None
        try:
            lookups = _Lookups(reader, filled, graphs)
            rows: list[Row] = [{}]
            for group in self._groups:
                rows = list(islice(lookups.joined(rows, group), MOST + 1))
            return self._written(rows)
        except TooMuchError:
            self._skipped = _LEFT
            return None

    def _written(self, rows: Sequence[Row]) -> bytes:
        written = [b",".join([start + _cell(row[name]) for name, start in self._columns if name in row]) for row in rows]
        if self._distinct:
            written = list(dict.fromkeys(written))
        if len(rows) > MOST or len(written) > self._most:
            raise TooMuchError
        return b"".join((self._frame.head, b",".join([b"{" + row + b"}" for row in written]), self._frame.tail))


def _cell(term: Object) -> bytes:
    written = cell(term)
    if written is None:
        raise TooMuchError
    return written


class _Lookups:
    """The look-ups of one query, counted."""

    def __init__(self, reader: Reader, filled: Sequence[str], graphs: Set[str]) -> None:
        self._reader, self._filled, self._graphs = reader, filled, graphs
        self._left = _READS

    def joined(self, rows: Sequence[Row], group: Group) -> Iterator[Row]:
        """Yield the rows with what the patterns of a group find."""
        for row in rows:
            found = [row]
            for pattern in group.patterns:
                found = [new for old in found for new in self._matches(old, pattern)]
            yield from found or ([row] if group.optional else [])

    def _matches(self, row: Row, pattern: Terms) -> Iterator[Row]:
        subject, predicate, object_ = (self._term(slot, row) for slot in pattern)
        if isinstance(subject, ox.Literal) or isinstance(predicate, ox.Literal):
            return
        quads = list(
            islice(
                self._reader.quads(cast("Node | None", subject), cast("ox.NamedNode | None", predicate), object_),
                self._left + 1,
            )
        )
        self._left -= len(quads) + 1
        if self._left < 0:
            raise TooMuchError
        for triple in merged(quads, self._graphs):
            new = row.copy()
            for slot, term in zip(pattern, (triple.subject, triple.predicate, triple.object), strict=True):
                if isinstance(slot, str):
                    if not isinstance(term, ox.NamedNode | ox.Literal):
                        raise TooMuchError
                    new[slot] = term
            yield new

    def _term(self, slot: Slot, row: Mapping[str, Object]) -> Object | None:
        """Return what stands in a place of a pattern, nothing for a variable that has no value yet."""
        if isinstance(slot, str):
            return row.get(slot)
        if isinstance(slot, int):
            hole = self._filled[slot]
            term = plain_node(hole[1:-1]) if hole[0] == "<" else ox.Literal(hole[1:-1])
            if term is None:
                raise TooMuchError
            return term
        return slot


# --- shapes -------------------------------------------------------------------------------------------------------------------


def join_of(inspected: Inspected, holes: Sequence[Token], base: str) -> Join | None:
    """Return what queries of a shape look up; nothing when they are to be answered by the engine."""
    plain = inspected.form == "SELECT" and "(" not in inspected.text  # nothing that is computed, in a comment neither
    frame = frame_of(inspected, base) if plain else None
    if frame is None:
        return None
    reader = _Patterns(inspected, holes)
    try:
        groups = _ordered(reader.read())
    except (NotPlainError, IndexError):
        return None
    return None if groups is None else Join(groups, frame, inspected.limit, distinct=reader.distinct)


class NotPlainError(Exception):
    """There is something in a query that is not looked up here."""


class _Patterns:
    """Reads the patterns of a query that the engine has read already."""

    def __init__(self, inspected: Inspected, holes: Sequence[Token]) -> None:
        self._inspected = inspected
        self._tokens = list(tokens(inspected.text))
        self._holes = {hole.at: number for number, hole in enumerate(holes)}
        self._at = 0
        self.distinct = False

    def read(self) -> list[Group]:
        self._prologue()
        groups = [Group(tuple(self._triples()))]
        while self._word("OPTIONAL"):
            self._mark("{")
            groups.append(Group(tuple(self._triples()), optional=True))
            self._mark("}")
            self._is_mark(".")
        self._mark("}")
        if self._word("LIMIT"):
            self._at += 1
        if self._at != len(self._tokens) or sum(len(group.patterns) for group in groups) > _PATTERNS:
            raise NotPlainError
        return groups

    def _prologue(self) -> None:
        while self._word("PREFIX"):
            self._at += 2
        if not self._word("SELECT"):
            raise NotPlainError
        self.distinct = self._word("DISTINCT")
        while self._tokens[self._at].kind == "variable" or self._tokens[self._at].text == "*":
            self._at += 1
        self._word("WHERE")
        self._mark("{")

    def _triples(self) -> Iterator[Terms]:
        while (token := self._tokens[self._at]).text != "}" and token.text.upper() != "OPTIONAL":
            subject = self._slot(subject=True)
            while True:
                predicate = self._slot()
                yield subject, predicate, self._slot()
                while self._is_mark(","):
                    yield subject, predicate, self._slot()
                if not self._is_mark(";"):
                    break
                while self._is_mark(";"):
                    pass
                if self._tokens[self._at].text in ("}", "."):
                    break
            self._is_mark(".")

    def _slot(self, *, subject: bool = False) -> Slot:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "variable":
            return token.text[1:]
        after = self._tokens[self._at]
        if token.kind == "string" and not subject and after.kind != "language" and after.text != "^":
            if token.at in self._holes:
                return self._holes[token.at]
            text = plain_text(token)
            if text is not None:
                return ox.Literal(text)
        elif token.at in self._holes:
            return self._holes[token.at]
        elif token.kind in ("iri", "pname") or (token.text == "a" and not subject):
            node = plain_node(fixed_iri(token, self._inspected) or "")
            if node is not None:
                return node
        raise NotPlainError

    def _word(self, word: str) -> bool:
        """Go past a word, if it is the next."""
        found = self._at < len(self._tokens) and self._tokens[self._at].text.upper() == word
        self._at += found
        return found

    def _is_mark(self, mark: str) -> bool:
        found = self._tokens[self._at].text == mark
        self._at += found
        return found

    def _mark(self, mark: str) -> None:
        if not self._is_mark(mark):
            raise NotPlainError


def _ordered(groups: Sequence[Group]) -> list[Group] | None:
    """Put patterns in an order in which each can be looked up; nothing when there is none, or when it could matter."""
    known: set[str] = set()
    perhaps: set[str] = set()  # variables of OPTIONAL patterns, which may have no value
    ordered = []
    for group in groups:
        own = {slot for pattern in group.patterns for slot in pattern if isinstance(slot, str)}
        if own & perhaps or not group.patterns:
            return None
        patterns = _in_turn(group.patterns, known)
        if patterns is None:
            return None
        ordered.append(Group(patterns, group.optional))
        if group.optional:
            perhaps |= own - known
        else:
            known |= own
    return ordered


def _in_turn(patterns: Sequence[Terms], before: Set[str]) -> tuple[Terms, ...] | None:
    known, waiting, turns = set(before), list(patterns), []

    def cost(pattern: Terms) -> int:
        subject, predicate, object_ = (not isinstance(slot, str) or slot in known for slot in pattern)
        if subject:
            return 0 if predicate else 1
        return 2 if predicate and object_ else 3

    while waiting:
        best = min(waiting, key=cost)
        variables = [slot for slot in best if isinstance(slot, str)]
        if cost(best) == 3 or len(variables) != len(set(variables)):
            return None
        waiting.remove(best)
        turns.append(best)
        known.update(variables)
    return tuple(turns)
