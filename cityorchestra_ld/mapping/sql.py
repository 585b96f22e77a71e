"""Small algebra of SQL text: constants, pieces of a string, loops over lists, and what must not be NULL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

_WORD: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+""")  # in SQL: a constant, a quoted name, or a word


class Lit(str):
    """A constant piece of text, in the middle of pieces that are SQL."""

    __slots__ = ()


Pieces = tuple[str, ...]  # `Lit` is constant text, any other string is a SQL expression of type VARCHAR


def text(value: str) -> str:
    """
    Write a SQL string constant.

    >>> text("d'Iroise")
    "'d''Iroise'"
    """
    if "\0" in value:
        return "concat(" + ", chr(0), ".join(text(part) for part in value.split("\0")) + ")"
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """Write a SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def is_name(sql: str) -> bool:
    """Tell whether the SQL is no more than a column or a variable."""
    return sql.isidentifier() or (sql.startswith('"co$') and sql.count('"') == 2 and sql.endswith('"'))


def merge(pieces: Iterable[str]) -> Pieces:
    """Join neighbouring constants."""
    merged: list[str] = []
    for piece in pieces:
        if isinstance(piece, Lit) and merged and isinstance(merged[-1], Lit):
            merged[-1] = Lit(merged[-1] + piece)
        elif not (isinstance(piece, Lit) and piece == ""):
            merged.append(piece)
    return tuple(merged)


def concat(pieces: Iterable[str]) -> str:
    """Write one n-ary concatenation: a chain of `||` copies the text at each step."""
    merged = merge(pieces)
    written = [text(piece) if isinstance(piece, Lit) else piece for piece in merged]
    if not written:
        return "''"
    return written[0] if len(written) == 1 else f"concat({', '.join(written)})"


def all_of(conditions: Iterable[str]) -> str:
    """Write a conjunction without repetition; `true` when there is nothing to ask."""
    unique = list(dict.fromkeys(conditions))
    return " AND ".join(f"({condition})" for condition in unique) if len(unique) > 1 else (unique[0] if unique else "true")


def guarded(conditions: Sequence[str], body: str) -> str:
    """Write `body`, or NULL when a condition does not hold."""
    return f"CASE WHEN {all_of(conditions)} THEN {body} END" if conditions else body


@dataclass(frozen=True, slots=True)
class Loop:
    """
    A variable that takes each value of a SQL list; the list may mention variables of loops before it.

    `single` is a column that holds the only value where there is just one: no list is walked there.
    """

    variable: str
    items: str
    single: str | None = None

    def alone(self, body: str) -> str:
        """Write the body for the only value."""
        return _WORD.sub(lambda found: self.single if found[0] == self.variable and self.single else found[0], body)


@dataclass(frozen=True, slots=True)
class Value:
    """
    Text that a record gives: nothing, once, or several times.

    The text is `pieces`, for each combination of the `loops`, where all `guards` hold. `natural` is the datatype of the value
    when the mapping names none (`json`: decided by each JSON value, which is then `raw`).
    """

    pieces: Pieces
    guards: tuple[str, ...] = ()
    loops: tuple[Loop, ...] = ()
    natural: str | None = None
    raw: str | None = None
    references: tuple[str, ...] = ()

    @property
    def constant(self) -> str | None:
        """Return the text when it is the same for every record."""
        merged = merge(self.pieces)
        if self.guards or self.loops or any(not isinstance(piece, Lit) for piece in merged):
            return None
        return merged[0] if merged else ""

    @property
    def sql(self) -> str:
        """Return the text as one SQL expression, guards and loops aside."""
        return concat(self.pieces)

    def with_pieces(self, *pieces: str) -> Value:
        """Return a value of the same records with other text."""
        return replace(self, pieces=tuple(pieces), natural=None, raw=None)


def unique_loops(*groups: Sequence[Loop]) -> tuple[Loop, ...]:
    """Join loops, each variable once, in order."""
    return tuple({loop.variable: loop for group in groups for loop in group}.values())


def combine(values: Sequence[Value], pieces: Iterable[str]) -> Value:
    """Return text made of several values: every combination of their repetitions."""
    return Value(
        pieces=merge(pieces),
        guards=tuple(dict.fromkeys(guard for value in values for guard in value.guards)),
        loops=unique_loops(*(value.loops for value in values)),
        references=tuple(dict.fromkeys(ref for value in values for ref in value.references)),
    )


def listed(body: str, loops: Sequence[Loop]) -> str:
    """Write the list of all non-NULL results of `body` over the loops."""
    if not loops:
        return f"list_filter([{body}], lambda co_e: co_e IS NOT NULL)"
    written = f"list_transform({loops[-1].items}, lambda {loops[-1].variable}: {body})"
    for loop in reversed(loops[:-1]):
        written = f"flatten(list_transform({loop.items}, lambda {loop.variable}: {written}))"
    return f"list_filter({written}, lambda co_e: co_e IS NOT NULL)"


def lines(body: str, loops: Sequence[Loop], between: str = "chr(10)") -> str:
    """Write all non-NULL results of `body` over the loops as lines of one text; NULL when there are none."""
    written = body
    for loop in reversed(loops):
        walked = f"list_aggregate(list_transform({loop.items}, lambda {loop.variable}: {written}), 'string_agg', {between})"
        written = f"CASE WHEN {loop.single} IS NOT NULL THEN {loop.alone(written)} ELSE {walked} END" if loop.single else walked
    return written


def counted(conditions: Sequence[str], loops: Sequence[Loop]) -> str:
    """Write how many lines `lines` gives."""
    written = f"CASE WHEN {all_of(conditions)} THEN 1 ELSE 0 END" if conditions else "1"
    for loop in reversed(loops):
        walked = f"coalesce(list_sum(list_transform({loop.items}, lambda {loop.variable}: {written})), 0)"
        written = f"CASE WHEN {loop.single} IS NOT NULL THEN {loop.alone(written)} ELSE {walked} END" if loop.single else walked
    return written
