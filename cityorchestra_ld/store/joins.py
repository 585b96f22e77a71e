"""Answer a query of a few patterns by look-ups, each from where those before it ended, for queries of a known shape.

A SELECT of what is written plainly: triple patterns, then OPTIONAL ones (SPARQL 1.1 Query, sections 18.2.2 and 18.5), and
filters of a few kinds (`filters.py`). Each pattern has its subject, or its predicate and object, when its turn comes, and all
together may read a few hundred triples: a query that would read more goes to a worker, and so do the next ones of its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Final, cast

import orjson
import pyoxigraph as ox

from cityorchestra_ld.store.cheap import MOST
from cityorchestra_ld.store.filters import PARTS, Filter, Test, read_filter
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.lexer import Token
from cityorchestra_ld.store.lookups import Frame, cell, frame_of, merged
from cityorchestra_ld.store.plain import NotPlainError, Plain, Row, Slot, TooMuchError, terms_of
from cityorchestra_ld.store.reader import Node, Object, Reader

_READS: Final = 400  # look-ups and triples that one query may take
_LEFT: Final = 30  # queries of a shape that go to a worker at once, after one that would have taken more
_PATTERNS: Final = 12

Terms = tuple[Slot, Slot, Slot]


@dataclass(frozen=True, slots=True)
class Group:
    """Patterns in the order in which they are looked up; with `optional`, a row that finds nothing stays as it is."""

    patterns: tuple[Terms, ...]
    optional: bool = False
    within: tuple[Test, ...] = ()  # of what is found
    after: tuple[Test, ...] = ()  # of each row that comes out, of the outer group


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
        """Answer from the merge of these graphs; `None` when the engine has to: there is much, or what it alone knows."""
        if self._skipped:
            self._skipped -= 1
            return None
        try:
            lookups = _Lookups(reader, graphs)
            rows = [terms_of(filled)]
            for group in self._groups:
                rows = list(islice(lookups.joined(rows, group), MOST + 1))
                if len(rows) > MOST:
                    raise TooMuchError
            return self._written(rows)
        except TooMuchError:
            self._skipped = _LEFT
            return None

    def _written(self, rows: Sequence[Row]) -> bytes:
        written = [b",".join([start + _cell(row[name]) for name, start in self._columns if name in row]) for row in rows]
        if self._distinct:
            written = list(dict.fromkeys(written))
        if len(written) > self._most:
            raise TooMuchError
        return b"".join((self._frame.head, b",".join([b"{" + row + b"}" for row in written]), self._frame.tail))


def _cell(term: Object) -> bytes:
    written = cell(term)
    if written is None:
        raise TooMuchError
    return written


class _Lookups:
    """The look-ups of one query, counted."""

    def __init__(self, reader: Reader, graphs: Set[str]) -> None:
        self._reader, self._graphs = reader, graphs
        self._left = _READS

    def joined(self, rows: Sequence[Row], group: Group) -> Iterator[Row]:
        """Yield the rows with what the patterns of a group find, and its filters let pass."""
        for row in rows:
            found = [row]
            for pattern in group.patterns:
                found = [new for old in found for new in self._matches(old, pattern)]
            found = _passing(found, group.within)
            yield from _passing(found or ([row] if group.optional else []), group.after)

    def _matches(self, row: Row, pattern: Terms) -> Iterator[Row]:
        subject, predicate, object_ = (_term(slot, row) for slot in pattern)
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


def _passing(rows: list[Row], tests: Sequence[Test]) -> list[Row]:
    return [row for row in rows if all(test(row) for test in tests)] if tests else rows


def _term(slot: Slot, row: Mapping[int | str, Object]) -> Object | None:
    """Return what stands in a place of a pattern, nothing for a variable that has no value yet."""
    return row.get(slot) if isinstance(slot, str | int) else slot


# --- shapes -------------------------------------------------------------------------------------------------------------------


def join_of(inspected: Inspected, holes: Sequence[Token], base: str) -> Join | None:
    """Return what queries of a shape look up; nothing when they are to be answered by the engine."""
    frame = frame_of(inspected, base) if inspected.form == "SELECT" else None
    if frame is None:
        return None
    query = _Query(Plain(inspected, holes))
    try:
        query.read()
    except (NotPlainError, IndexError):
        return None
    groups = _ordered(query.blocks, query.filters)
    return None if groups is None else Join(groups, frame, inspected.limit, distinct=query.distinct)


@dataclass(frozen=True, slots=True)
class _Block:
    """Patterns as they are written, and the filters among them; what follows the first is OPTIONAL."""

    patterns: list[Terms]
    filters: list[Filter]

    @property
    def variables(self) -> set[str]:
        return {slot for pattern in self.patterns for slot in pattern if isinstance(slot, str)}


class _Query:
    """Reads the patterns and filters of a query that the engine has read already."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain
        self.distinct = False
        self.blocks: list[_Block] = []
        self.filters: list[Filter] = []  # of the outer group, wherever they stand in it
        self._parts = 0

    def read(self) -> None:
        """Read all of it; raise NotPlainError, or IndexError at the end, for what look-ups do not answer."""
        plain = self._plain
        self._prologue()
        first = self._block()
        self.blocks, self.filters = [first], first.filters
        while plain.word("OPTIONAL"):
            plain.mark("{")
            self.blocks.append(self._block())
            plain.mark("}")
            plain.is_mark(".")
            while plain.word("FILTER"):
                self._filter(self.filters)
        plain.mark("}")
        if plain.word("LIMIT"):
            plain.skip()
        if not plain.ended or sum(len(block.patterns) for block in self.blocks) > _PATTERNS or self._parts > PARTS:
            raise NotPlainError

    def _prologue(self) -> None:
        plain = self._plain
        while plain.word("PREFIX"):
            plain.skip(2)
        if not plain.word("SELECT"):
            raise NotPlainError
        self.distinct = plain.word("DISTINCT")
        while plain.next.kind == "variable" or plain.next.text == "*":
            plain.skip()
        plain.word("WHERE")
        plain.mark("{")

    def _block(self) -> _Block:
        """Read patterns and filters up to an OPTIONAL group or the end of this one."""
        block = _Block([], [])
        while (token := self._plain.next).text != "}" and token.text.upper() != "OPTIONAL":
            if self._plain.word("FILTER"):
                self._filter(block.filters)
            else:
                block.patterns.extend(self._triples())
                self._plain.is_mark(".")
        return block

    def _filter(self, into: list[Filter]) -> None:
        into.append(read_filter(self._plain))
        self._parts += into[-1].parts
        self._plain.is_mark(".")

    def _triples(self) -> Iterator[Terms]:
        """Read what is said of one subject."""
        plain = self._plain
        subject = plain.slot()
        while True:
            predicate = plain.slot()
            yield subject, predicate, plain.slot()
            while plain.is_mark(","):
                yield subject, predicate, plain.slot()
            if not plain.is_mark(";"):
                return
            while plain.is_mark(";"):
                pass
            if plain.next.text in ("}", ".") or plain.next.text.upper() in ("FILTER", "OPTIONAL"):
                return


def _ordered(blocks: Sequence[_Block], filters: Sequence[Filter]) -> list[Group] | None:
    """Put patterns in an order in which each can be looked up; nothing when there is none, or when it could matter."""
    known: set[str] = set()
    perhaps: set[str] = set()  # variables of OPTIONAL patterns, which may have no value
    waiting, ordered = list(filters), []
    for number, block in enumerate(blocks):
        own = block.variables
        if own & perhaps or not block.patterns:
            return None
        patterns = _in_turn(block.patterns, known)
        if patterns is None:
            return None
        if number:
            perhaps |= own - known
        else:
            known |= own
        last = number == len(blocks) - 1
        ready = [each for each in waiting if last or each.variables <= known | perhaps]  # as early as they can be decided
        waiting = [each for each in waiting if each not in ready]
        ordered.append(Group(patterns, number > 0, _tests(block.filters if number else ()), _tests(ready)))
    return ordered


def _tests(filters: Iterable[Filter]) -> tuple[Test, ...]:
    return tuple(each.test for each in filters)


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
