"""Decide whether two regular expressions have a text in common: finite automata over the few characters that matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any, Final

_COPIES: Final = 40  # repetitions that are counted; beyond, any number is taken
_LAST: Final = 0x10FFFF
_OTHER: Final = "\ue000"  # a character that nobody writes
_FLAGS: Final = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE, "x": re.VERBOSE}
_CATEGORY: Final = re.compile(r"\\[pP](\{[^}]*\}|[A-Z])")

Ranges = tuple[tuple[int, int], ...]
_DIGITS: Final[Ranges] = ((48, 57),)
_SPACES: Final[Ranges] = ((9, 13), (32, 32), (0xA0, 0xA0))
_WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122), (0xAA, _LAST))


class UnreadableError(ValueError):
    """A regular expression is outside the language that we understand; nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Chars:
    """A set of characters: ranges of code points, or all but these."""

    ranges: Ranges
    negated: bool = False

    def has(self, character: str) -> bool:
        """Tell whether a character is in the set."""
        code = ord(character)
        return any(low <= code <= high for low, high in self.ranges) != self.negated


_ANY: Final = Chars((), negated=True)
_BEGIN, _END = "begin", "end"
Label = Chars | str | None  # characters, an anchor, or nothing


@dataclass(slots=True)
class Automaton:
    """States with labelled edges; one start and one end."""

    edges: list[list[tuple[Label, int]]] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def state(self) -> int:
        """Add a state."""
        self.edges.append([])
        return len(self.edges) - 1

    def link(self, source: int, label: Label, target: int) -> None:
        """Add an edge."""
        self.edges[source].append((label, target))

    @property
    def critical(self) -> Iterator[int]:
        """Yield the code points where a set of characters begins or ends, and their neighbours."""
        for edges in self.edges:
            for label, _ in edges:
                if isinstance(label, Chars):
                    for low, high in label.ranges:
                        yield from (low - 1, low, low + 1, high - 1, high, high + 1)


# --- from a regular expression ------------------------------------------------------------------------------------------------


class _Builder:
    """Turns a parsed regular expression into an automaton."""

    def __init__(self, *, ignore_case: bool) -> None:
        self.automaton = Automaton()
        self.ignore_case = ignore_case

    def sequence(self, parsed: Iterable[Any], source: int) -> int:
        """Add the parts one after the other; return the last state."""
        for operator, argument in parsed:
            source = self._part(operator, argument, source)
        return source

    def _part(self, operator: Any, argument: Any, source: int) -> int:
        automaton = self.automaton
        target = automaton.state()
        if operator in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            automaton.link(source, self._chars(operator, argument), target)
        elif operator is sre.AT:
            automaton.link(source, self._anchor(argument), target)
        elif operator is sre.SUBPATTERN:
            automaton.link(self.sequence(argument[3], source), None, target)
        elif operator is sre.ATOMIC_GROUP:
            automaton.link(self.sequence(argument, source), None, target)
        elif operator is sre.BRANCH:
            for branch in argument[1]:
                automaton.link(self.sequence(branch, source), None, target)
        elif operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, most, inner = argument
            self._repeat(least, most, inner, source, target)
        else:
            raise UnreadableError(str(operator))
        return target

    def _repeat(self, least: int, most: Any, inner: Any, source: int, target: int) -> None:
        automaton = self.automaton
        for _ in range(min(least, _COPIES)):
            source = self.sequence(inner, source)
        automaton.link(source, None, target)
        if most is sre.MAXREPEAT or most > _COPIES:
            back = automaton.state()
            automaton.link(source, None, back)
            automaton.link(self.sequence(inner, back), None, back)
            automaton.link(back, None, target)
            return
        for _ in range(most - least):
            source = self.sequence(inner, source)
            automaton.link(source, None, target)

    def _anchor(self, where: Any) -> str | None:
        if where in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            return _BEGIN
        if where in (sre.AT_END, sre.AT_END_STRING):
            return _END
        return None  # word boundaries: taken as always there

    def _chars(self, operator: Any, argument: Any) -> Chars:
        if operator is sre.ANY:
            return _ANY
        if operator is sre.LITERAL:
            return Chars(self._folded(((argument, argument),)))
        if operator is sre.NOT_LITERAL:
            return Chars(self._folded(((argument, argument),)), negated=True)
        negated = argument[0][0] is sre.NEGATE
        ranges: list[tuple[int, int]] = []
        for kind, value in argument[1:] if negated else argument:
            ranges += self._ranges(kind, value)
        return Chars(self._folded(tuple(ranges)), negated)

    def _ranges(self, kind: Any, value: Any) -> Ranges:
        if kind is sre.LITERAL:
            return ((value, value),)
        if kind is sre.RANGE:
            return (tuple(value),)
        if kind is sre.CATEGORY:
            base = {"DIGIT": _DIGITS, "SPACE": _SPACES, "WORD": _WORD}[str(value).rpartition("_")[2]]
            return _complement(base) if "NOT" in str(value) else base
        raise UnreadableError(str(kind))

    def _folded(self, ranges: Ranges) -> Ranges:
        if not self.ignore_case:
            return ranges
        both = list(ranges)
        for low, high in ranges:
            if high - low < 1000:
                for code in range(low, high + 1):
                    both += [(ord(c), ord(c)) for c in (chr(code).lower(), chr(code).upper()) if len(c) == 1]
        return tuple(both)


def _complement(ranges: Ranges) -> Ranges:
    rest: list[tuple[int, int]] = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            rest.append((start, low - 1))
        start = max(start, high + 1)
    return (*rest, (start, _LAST)) if start <= _LAST else tuple(rest)


@lru_cache(maxsize=2048)
def _compiled(pattern: str, flags: str, anywhere: bool) -> Automaton:
    number = 0
    for flag in flags:
        number |= _FLAGS.get(flag, 0)
    try:
        parsed = sre_parser.parse(_CATEGORY.sub(r"[\\s\\S]", pattern), number)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnreadableError(str(error)) from error
    builder = _Builder(ignore_case="i" in flags)
    automaton = builder.automaton
    automaton.start = first = automaton.state()
    automaton.end = automaton.state()
    if anywhere:
        automaton.link(first, _ANY, first)
        automaton.link(automaton.end, _ANY, automaton.end)
    automaton.link(builder.sequence(parsed, first), None, automaton.end)
    return automaton


# --- common texts -------------------------------------------------------------------------------------------------------------

_State = tuple[int, int, bool, bool]  # of each automaton; whether a character was read; whether none may follow


class _Product:
    """Walks two automata side by side, looking for a text that both accept."""

    def __init__(self, one: Automaton, other: Automaton) -> None:
        self.one, self.other = one, other
        codes = {code for code in (*one.critical, *other.critical) if 0 <= code <= _LAST and not 0xD800 <= code <= 0xDFFF}
        self.alphabet = [chr(code) for code in codes] + [_OTHER]
        self._sets: dict[Chars, frozenset[str]] = {}

    def meets(self) -> bool:
        """Tell whether both ends are reached together."""
        waiting: list[_State] = [(self.one.start, self.other.start, False, False)]
        seen: set[_State] = set(waiting)
        while waiting:
            state = waiting.pop()
            if state[0] == self.one.end and state[1] == self.other.end:
                return True
            for following in self._next(state):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return False

    def _next(self, state: _State) -> Iterator[_State]:
        a, b, begun, ended = state
        for label, target in self.one.edges[a]:
            if not isinstance(label, Chars) and self._free(label, begun):
                yield target, b, begun, ended or label == _END
        for label, target in self.other.edges[b]:
            if not isinstance(label, Chars) and self._free(label, begun):
                yield a, target, begun, ended or label == _END
        if ended:
            return
        for left, to_a in self.one.edges[a]:
            if isinstance(left, Chars):
                for right, to_b in self.other.edges[b]:
                    if isinstance(right, Chars) and self._common(left, right):
                        yield to_a, to_b, True, False

    @staticmethod
    def _free(label: Label, begun: bool) -> bool:
        return label is None or label == _END or not begun

    def _common(self, left: Chars, right: Chars) -> bool:
        return not self._set(left).isdisjoint(self._set(right))

    def _set(self, chars: Chars) -> frozenset[str]:
        if chars not in self._sets:
            self._sets[chars] = frozenset(c for c in self.alphabet if chars.has(c))
        return self._sets[chars]


@lru_cache(maxsize=8192)
def may_match(language: str, pattern: str, flags: str = "") -> bool:
    """
    Tell whether some text that `language` describes as a whole has a match of `pattern` in it; yes when we cannot tell.

    >>> may_match("https://x\\.example/stop/[0-9]+", "/stop/[A-Z]")
    False
    """
    try:
        return _Product(_compiled(language, "s", False), _compiled(pattern, flags, True)).meets()
    except UnreadableError:
        return True


@lru_cache(maxsize=8192)
def may_meet(one: str, other: str) -> bool:
    """
    Tell whether two descriptions of whole texts have a text in common; yes when we cannot tell.

    >>> may_meet("a[0-9]+", "[a-z]+1"), may_meet("a[0-9]+", "[a-z]+")
    (True, False)
    """
    try:
        return _Product(_compiled(one, "s", False), _compiled(other, "s", False)).meets()
    except UnreadableError:
        return True
