"""Filters of a query that are decided without the engine, exactly as it does: languages, kinds of terms, and which IRI it is.

Read once for a shape, then asked of each row: BOUND, isIRI, isLiteral, LANGMATCHES, `=`, `!=`, IN, and `!`, `&&`, `||` of
these (SPARQL 1.1 Query, section 17). A test says true, false, or nothing when there is an error. Terms are compared if one of
the two is an IRI or has a language, or if both are simple texts; of others, the engine knows the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.store.plain import NotPlainError, Plain, Row, TooMuchError
from cityorchestra_ld.store.reader import Object

PARTS: Final = 20  # tests, and parentheses, in the filters of one query
_STRING: Final = ox.NamedNode(f"{XSD}string")

Value = Object | str | None  # a term, but a text for a simple one; nothing when there is an error
Test = Callable[[Row], bool | None]
Read = Callable[[Row], Value]


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter, the variables that it asks for, and how many tests there are in it."""

    test: Test
    variables: frozenset[str]
    parts: int


def read_filter(plain: Plain) -> Filter:
    """Read what follows the word FILTER; raise NotPlainError for what is to be left to the engine."""
    reader = _Expressions(plain)
    test = reader.one()
    return Filter(test, frozenset(reader.variables), reader.parts)


class _Expressions:
    """Reads one filter; what would be another expression than it seems has been refused by the engine."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain
        self.variables: set[str] = set()
        self.parts = 0

    def one(self) -> Test:
        """Read a test, or several in parentheses."""
        plain = self._plain
        self._count()
        if plain.is_mark("!"):
            return _not(self.one())
        if plain.is_mark("("):
            test = self._chain("|", lambda: self._chain("&", self.one, wanted=False), wanted=True)
            plain.mark(")")
            return test
        if plain.word("BOUND"):
            return _bound(self._argument())
        if plain.word("ISIRI", "ISURI"):
            return _kind(self._argument(), ox.NamedNode)
        if plain.word("ISLITERAL"):
            return _kind(self._argument(), ox.Literal)
        return self._language_range() if plain.word("LANGMATCHES") else self._comparison()

    def _count(self) -> None:
        self.parts += 1
        if self.parts > PARTS:
            raise NotPlainError

    def _chain(self, mark: str, read: Callable[[], Test], *, wanted: bool) -> Test:
        """Read tests with a mark, written twice, between them."""
        tests = [read()]
        while self._plain.is_mark(mark):
            self._plain.mark(mark)
            tests.append(read())
        return _first(tests, wanted=wanted)

    def _argument(self) -> str:
        self._plain.mark("(")
        slot = self._plain.slot()
        self._plain.mark(")")
        if not isinstance(slot, str):
            raise NotPlainError
        self.variables.add(slot)
        return slot

    def _language_range(self) -> Test:
        self._plain.mark("(")
        if not self._plain.word("LANG"):
            raise NotPlainError
        tag = _language(self._argument())
        self._plain.mark(",")
        asked = self._value()
        self._plain.mark(")")
        return _within(tag, asked)

    def _comparison(self) -> Test:
        left, plain = self._value(), self._plain
        if plain.is_mark("="):
            return _equal(left, self._value())
        if plain.is_mark("!"):
            plain.mark("=")
            return _not(_equal(left, self._value()))
        negated = plain.word("NOT")
        if not plain.word("IN"):
            raise NotPlainError
        test = _first([_equal(left, each) for each in self._list()], wanted=True)
        return _not(test) if negated else test

    def _list(self) -> list[Read]:
        self._plain.mark("(")
        values = [self._value()]  # of none, the engine has its own opinion
        while self._plain.is_mark(","):
            self._count()
            values.append(self._value())
        self._plain.mark(")")
        return values

    def _value(self) -> Read:
        if self._plain.word("LANG"):
            return _language(self._argument())
        slot = self._plain.slot()
        if isinstance(slot, ox.NamedNode):
            return lambda _: slot
        if isinstance(slot, ox.Literal):
            text = slot.value
            return lambda _: text
        if isinstance(slot, str):
            self.variables.add(slot)
        return lambda row: _simple(row.get(slot))


# --- of one row ---------------------------------------------------------------------------------------------------------------


def _simple(term: Object | None) -> Value:
    plain = isinstance(term, ox.Literal) and term.language is None and term.datatype == _STRING
    return term.value if plain else term  # type: ignore[union-attr]


def _language(name: str) -> Read:
    def read(row: Row) -> str | None:
        term = row.get(name)
        return term.language or "" if isinstance(term, ox.Literal) else None

    return read


def _bound(name: str) -> Test:
    return lambda row: name in row


def _kind(name: str, kind: type[ox.NamedNode | ox.Literal]) -> Test:
    return lambda row: isinstance(row[name], kind) if name in row else None


def _not(test: Test) -> Test:
    def opposite(row: Row) -> bool | None:
        holds = test(row)
        return None if holds is None else not holds

    return opposite


def _first(tests: Sequence[Test], *, wanted: bool) -> Test:
    """Make `||` (true is wanted) or `&&` (false is): one that is found decides, else an error does (section 17.2)."""
    if len(tests) == 1:
        return tests[0]

    def found(row: Row) -> bool | None:
        otherwise: bool | None = not wanted
        for test in tests:
            holds = test(row)
            if holds is wanted:
                return wanted
            if holds is None:
                otherwise = None
        return otherwise

    return found


def _equal(left: Read, right: Read) -> Test:
    def test(row: Row) -> bool | None:
        one, other = left(row), right(row)
        if one is None or other is None:
            return None
        if isinstance(one, str) and isinstance(other, str):
            return one == other
        if _is_itself(one) or _is_itself(other):
            return type(one) is type(other) and one == other
        raise TooMuchError

    return test


def _is_itself(value: Value) -> bool:
    """Tell whether a term has no other value than itself."""
    return isinstance(value, ox.NamedNode) or (isinstance(value, ox.Literal) and value.language is not None)


def _within(tag: Read, asked: Read) -> Test:
    """Compare a language with a range of languages (section 17.4.3.6, RFC 4647, section 3.3.1)."""

    def test(row: Row) -> bool | None:
        language, wanted = tag(row), asked(row)
        if language is None:
            return None
        if not isinstance(language, str) or not isinstance(wanted, str) or not wanted.isascii():
            raise TooMuchError
        if wanted == "*":
            return language != ""
        language, wanted = language.lower(), wanted.lower()
        return language == wanted or language.startswith(f"{wanted}-")

    return test
