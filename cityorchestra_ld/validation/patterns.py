"""Judge a regular expression: can both engines read it, and could it take exponential time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any, Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text

_MAX_POSITIONS: Final = 400
_MAX_COPIES: Final = 8
_FLAGS: Final = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE, "x": re.VERBOSE}
_SAMPLES: Final = "aZ0_ -.\té\n€"  # one of each kind of character; those that the pattern names are added


def judge(pattern: str, flags: str = "") -> Text | None:
    """Return why a pattern must be refused, or nothing (SHACL, section 4.4.3; XPath functions, section 5.6.1)."""
    unknown = set(flags) - _FLAGS.keys()
    if unknown:
        return Text(
            f"option de motif inconnue : {''.join(sorted(unknown))}", f"unknown pattern flag: {''.join(sorted(unknown))}"
        )
    number = 0
    for flag in flags:
        number |= _FLAGS[flag]
    try:
        parsed = sre_parser.parse(_for_python(pattern), number)
    except (re.error, OverflowError, RecursionError) as error:
        return Text(f"motif illisible : {error}", f"the pattern cannot be read: {error}")
    if _looks_around(parsed):
        return Text(
            "le motif regarde autour de lui ou renvoie à un groupe ((?=…), (?<!…), \\1) : les moteurs sûrs ne le font pas",
            "the pattern looks around or refers back ((?=…), (?<!…), \\1): safe engines do not do that",
        )
    if not _readable_in_linear_time(pattern, flags):
        return Text(
            "le motif est trop grand, ou n'est pas du langage commun aux moteurs",
            "the pattern is too large, or outside the language that engines share",
        )
    if _is_exponential(parsed):
        return Text(
            "le motif peut demander un temps exponentiel (répétition ambiguë, comme (a+)+)",
            "the pattern may take exponential time (ambiguous repetition, such as (a+)+)",
        )
    return None


def _for_python(pattern: str) -> str:
    return re.sub(r"\\[pP](\{[^}]*\}|[A-Z])", r"\\w", pattern)  # Unicode categories: any class will do for this analysis


def _looks_around(parsed: Any) -> bool:
    for operator, argument in parsed:
        if operator in (sre.ASSERT, sre.ASSERT_NOT, sre.GROUPREF, sre.GROUPREF_EXISTS):
            return True
        if any(_looks_around(inner) for inner in _children(operator, argument)):
            return True
    return False


def _children(operator: Any, argument: Any) -> list[Any]:
    if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return [argument[2]]
    if operator is sre.SUBPATTERN:
        return [argument[3]]
    if operator is sre.BRANCH:
        return list(argument[1])
    if operator is sre.ATOMIC_GROUP:
        return [argument]
    return []


def _readable_in_linear_time(pattern: str, flags: str) -> bool:
    """Ask the regex crate, through SPARQL REGEX: an unreadable pattern leaves the variable unbound."""
    answer = ox.Store().query(
        "SELECT (REGEX('', ?p, ?f) AS ?ok) ?p ?f WHERE {}",
        substitutions={ox.Variable("p"): ox.Literal(pattern), ox.Variable("f"): ox.Literal(flags)},
    )
    row = next(iter(answer))  # type: ignore[arg-type]
    return row["ok"] is not None


# --- exponential ambiguity: a position automaton, and a loop that one word can walk in two ways -----------------------------


@dataclass(slots=True)
class _Part:
    """First and last positions of a part of the pattern, and whether it matches nothing at all."""

    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    nullable: bool = True


@dataclass(slots=True)
class _Automaton:
    """Positions with the characters that they match, and how many ways lead from one to the next."""

    alphabet: str
    matches: list[frozenset[str]] = field(default_factory=list)
    follow: Counter[tuple[int, int]] = field(default_factory=Counter)

    def position(self, characters: frozenset[str]) -> _Part:
        self.matches.append(characters)
        index = len(self.matches) - 1
        return _Part((index,), (index,), False)

    def link(self, last: tuple[int, ...], first: tuple[int, ...]) -> None:
        for a in last:
            for b in first:
                self.follow[a, b] += 1

    def sequence(self, parts: list[_Part]) -> _Part:
        whole = _Part()
        for part in parts:
            self.link(whole.last, part.first)
            whole = _Part(
                whole.first + (part.first if whole.nullable else ()),
                part.last + (whole.last if part.nullable else ()),
                whole.nullable and part.nullable,
            )
        return whole

    def build(self, parsed: Any) -> _Part:
        if len(self.matches) > _MAX_POSITIONS:
            return _Part()
        return self.sequence([self._one(operator, argument) for operator, argument in parsed])

    def _one(self, operator: Any, argument: Any) -> _Part:
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            return self._repeat(*argument)
        if operator is sre.BRANCH:
            branches = [self.build(inner) for inner in argument[1]]
            return _Part(
                tuple(p for part in branches for p in part.first),
                tuple(p for part in branches for p in part.last),
                any(part.nullable for part in branches),
            )
        inner = _children(operator, argument)
        if inner:
            return self.build(inner[0])
        characters = self._characters(operator, argument)
        return _Part() if characters is None else self.position(characters)

    def _repeat(self, low: int, high: int, body: Any) -> _Part:
        copies = [self.build(body) for _ in range(max(1, min(low, _MAX_COPIES)))]
        if high is sre.MAXREPEAT or high > low + 1:
            self.link(copies[-1].last, copies[-1].first)
        whole = self.sequence(copies)
        return _Part(whole.first, whole.last, whole.nullable or low == 0)

    def _characters(self, operator: Any, argument: Any) -> frozenset[str] | None:
        if operator is sre.LITERAL:
            return frozenset(c for c in self.alphabet if c == chr(argument))
        if operator is sre.NOT_LITERAL:
            return frozenset(c for c in self.alphabet if c != chr(argument))
        if operator is sre.ANY:
            return frozenset(c for c in self.alphabet if c != "\n")
        if operator is sre.IN:
            return frozenset(c for c in self.alphabet if _in_set(c, argument))
        return None  # anchors match no character

    def is_ambiguous(self) -> bool:
        """Tell whether one word can walk a loop in two ways: look for that in the product of the automaton with itself."""
        steps: dict[int, list[int]] = {}
        for a, b in self.follow:
            steps.setdefault(a, []).append(b)
        for (a, b), ways in self.follow.items():
            if ways > 1 and self._reaches((b, b), (a, a), steps):
                return True
        for start, following in steps.items():
            split = {(x, y) for x in following for y in following if x > y and self.matches[x] & self.matches[y]}
            if any(self._reaches(pair, (start, start), steps) for pair in split):
                return True
        return False

    def _reaches(self, origin: tuple[int, int], goal: tuple[int, int], steps: dict[int, list[int]]) -> bool:
        seen, todo = {origin}, [origin]
        while todo:
            pair = todo.pop()
            if pair == goal:
                return True
            for x in steps.get(pair[0], ()):
                for y in steps.get(pair[1], ()):
                    if (x, y) not in seen and self.matches[x] & self.matches[y]:
                        seen.add((x, y))
                        todo.append((x, y))
        return False


def _in_set(character: str, items: Any) -> bool:
    negated = False
    found = False
    for operator, argument in items:
        if operator is sre.NEGATE:
            negated = True
        elif operator is sre.LITERAL:
            found |= character == chr(argument)
        elif operator is sre.RANGE:
            found |= argument[0] <= ord(character) <= argument[1]
        elif operator is sre.CATEGORY:
            found |= _in_category(character, str(argument))
    return found != negated


def _in_category(character: str, name: str) -> bool:
    kind = name.rpartition("_")[2]
    inside = {"DIGIT": character.isdigit(), "SPACE": character.isspace(), "WORD": character.isalnum() or character == "_"}[kind]
    return inside != ("_NOT_" in name)


def _is_exponential(parsed: Any) -> bool:
    named: set[str] = set()
    _named_characters(parsed, named)
    automaton = _Automaton("".join(sorted(named | set(_SAMPLES))))
    automaton.build(parsed)
    return len(automaton.matches) > _MAX_POSITIONS or automaton.is_ambiguous()


def _named_characters(parsed: Any, named: set[str]) -> None:
    for operator, argument in parsed:
        if operator in (sre.LITERAL, sre.NOT_LITERAL):
            named.add(chr(argument))
        elif operator is sre.IN:
            for kind, value in argument:
                if kind is sre.LITERAL:
                    named.add(chr(value))
                elif kind is sre.RANGE:
                    named.update((chr(value[0]), chr(value[1])))
        for inner in _children(operator, argument):
            _named_characters(inner, named)
