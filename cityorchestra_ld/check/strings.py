"""What is known of a text before any row is read: fixed parts, and holes that cells will fill."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cityorchestra_ld.check.automata import may_match, may_meet

ANYTHING: Final = r"[\s\S]*"
ENCODED: Final = "[-A-Za-z0-9._~%\u00a0-\U0010ffff]+"  # what a template leaves of a cell in an IRI
_TO_ENCODE: Final = "[^-A-Za-z0-9._~\u00a0-\U0010ffff]"
_MOST: Final = 64  # alternatives that are followed


@dataclass(frozen=True, slots=True)
class Hole:
    """A place that a cell fills: a regular expression of what can come, and the column when there is one."""

    pattern: str = ANYTHING
    reference: str | None = None

    @property
    def encoded(self) -> Hole:
        """Return the same hole in an IRI template, where what has no place in an IRI is percent-encoded."""
        if self.pattern == ANYTHING or may_match(self.pattern, _TO_ENCODE):
            return Hole(ENCODED, self.reference)
        return self


Part = str | Hole


@dataclass(frozen=True)
class Strings:
    """A set of texts, as alternatives that are each a sequence of parts."""

    alternatives: tuple[tuple[Part, ...], ...]

    @classmethod
    def of(cls, *parts: Part) -> Strings:
        """Make the texts of one sequence."""
        return cls((_merged(parts),))

    @cached_property
    def constants(self) -> tuple[str, ...] | None:
        """Return the texts when they can be listed."""
        if any(isinstance(part, Hole) for sequence in self.alternatives for part in sequence):
            return None
        return tuple(dict.fromkeys("".join(str(part) for part in sequence) for sequence in self.alternatives))

    @cached_property
    def pattern(self) -> str:
        """Write all the texts as one regular expression."""
        return "|".join(
            "".join(f"(?:{part.pattern})" if isinstance(part, Hole) else re.escape(part) for part in sequence)
            for sequence in self.alternatives
        )

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """Return the regular expression, compiled."""
        return re.compile(self.pattern, re.DOTALL)

    @cached_property
    def prefix(self) -> str:
        """Return what all the texts start with."""
        firsts = [sequence[0] if sequence and isinstance(sequence[0], str) else "" for sequence in self.alternatives]
        shortest = min(firsts, key=len, default="")
        while shortest and not all(first.startswith(shortest) for first in firsts):
            shortest = shortest[:-1]
        return shortest

    @cached_property
    def key(self) -> tuple[tuple[str, ...], ...]:
        """Return what two sets of texts have in common when they differ at most by the names of columns."""
        return tuple(tuple("\0" if isinstance(part, Hole) else part for part in sequence) for sequence in self.alternatives)

    @cached_property
    def references(self) -> tuple[str | None, ...]:
        """Return the columns of the holes, in order."""
        return tuple(part.reference for sequence in self.alternatives for part in sequence if isinstance(part, Hole))

    @cached_property
    def unknown(self) -> bool:
        """Tell whether a text may be anything at all."""
        return any(
            bool(sequence) and isinstance(sequence[0], Hole) and sequence[0].pattern == ANYTHING
            for sequence in self.alternatives
        )  # fmt: skip

    @cached_property
    def shown(self) -> str:
        """Write the texts for people, as a template."""
        written = [
            "".join(f"{{{part.reference or '…'}}}" if isinstance(part, Hole) else part for part in sequence)
            for sequence in self.alternatives
        ]
        return " | ".join(written[:3]) + (" | …" if len(written) > 3 else "")

    def holds(self, text: str) -> bool:
        """Tell whether a text is one of these."""
        return text.startswith(self.prefix) and self.compiled.fullmatch(text) is not None

    def meets(self, other: Strings) -> bool:
        """Tell whether the two sets may have a text in common."""
        shorter, longer = sorted((self.prefix, other.prefix), key=len)
        if not longer.startswith(shorter):
            return False
        if other.constants is not None:
            return any(self.holds(text) for text in other.constants)
        if self.constants is not None:
            return any(other.holds(text) for text in self.constants)
        return self.key == other.key or may_meet(self.pattern, other.pattern)

    def matches(self, pattern: str, flags: str = "") -> bool:
        """Tell whether one of the texts may have a match of a pattern in it."""
        return may_match(self.pattern, pattern, flags)

    def after(self, prefix: str) -> Strings:
        """Return the texts with a prefix before each."""
        return Strings(tuple(_merged((prefix, *sequence)) for sequence in self.alternatives))


def _merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)


UNKNOWN: Final = Strings.of(Hole())


def joined(pieces: Iterable[Strings]) -> Strings:
    """Return the texts made of one text of each, one after the other; anything when there would be too many."""
    parts = list(pieces)
    count = 1
    for piece in parts:
        count *= len(piece.alternatives)
    if count > _MOST:
        return UNKNOWN
    return Strings(
        tuple(_merged(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*(p.alternatives for p in parts)))
    )


def either(choices: Iterable[Strings]) -> Strings:
    """Return the texts of all the choices."""
    alternatives = tuple(dict.fromkeys(sequence for choice in choices for sequence in choice.alternatives))
    return Strings(alternatives) if alternatives and len(alternatives) <= 4 * _MOST else UNKNOWN
