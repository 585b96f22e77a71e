"""Go through the tokens of a query that the engine has read already, as long as it is written plainly."""

from __future__ import annotations

from collections.abc import Sequence

import pyoxigraph as ox

from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.lexer import Token, tokens
from cityorchestra_ld.store.lookups import fixed_iri, plain_node, plain_text
from cityorchestra_ld.store.reader import Object

Slot = ox.NamedNode | ox.Literal | int | str  # a term; the number of a hole; the name of a variable
Row = dict[int | str, Object]  # what is in the holes of a query, and the values of its variables


class NotPlainError(Exception):
    """There is something in queries of a shape that only the engine answers."""


class TooMuchError(Exception):
    """The engine has to answer this query."""


class Plain:
    """The tokens of a query, and how far they are read; what is asked for behind the last raises IndexError."""

    def __init__(self, inspected: Inspected, holes: Sequence[Token]) -> None:
        self._inspected = inspected
        self._tokens = list(tokens(inspected.text))
        self._holes = {hole.at: number for number, hole in enumerate(holes)}
        self._at = 0

    @property
    def next(self) -> Token:
        """Return the token that is to be read."""
        return self._tokens[self._at]

    @property
    def ended(self) -> bool:
        """Tell whether all tokens are read."""
        return self._at == len(self._tokens)

    def skip(self, count: int = 1) -> None:
        """Go past some tokens, whatever they are."""
        self._at += count

    def word(self, *words: str) -> bool:
        """Go past one of some words, if it is the next."""
        found = not self.ended and self.next.text.upper() in words
        self._at += found
        return found

    def is_mark(self, mark: str) -> bool:
        """Go past a mark, if it is the next."""
        found = self.next.text == mark
        self._at += found
        return found

    def mark(self, *marks: str) -> None:
        """Go past marks; raise NotPlainError if they are not the next."""
        for mark in marks:
            if not self.is_mark(mark):
                raise NotPlainError

    def slot(self) -> Slot:
        """Read a variable, an IRI or a simple text; raise NotPlainError for another term."""
        token = self.next
        self._at += 1
        if token.kind == "variable":
            return token.text[1:]
        if token.kind == "string" and (self.next.kind == "language" or self.next.text == "^"):
            raise NotPlainError
        if token.at in self._holes:
            return self._holes[token.at]
        if token.kind == "string" and (text := plain_text(token)) is not None:
            return ox.Literal(text)
        if token.kind in ("iri", "pname") or token.text == "a":
            node = plain_node(fixed_iri(token, self._inspected) or "")
            if node is not None:
                return node
        raise NotPlainError


def terms_of(filled: Sequence[str]) -> Row:
    """Return what is in the holes of a query by their numbers; raise TooMuchError for what the engine may read otherwise."""
    row: Row = {}
    for number, hole in enumerate(filled):
        term = plain_node(hole[1:-1]) if hole[0] == "<" else ox.Literal(hole[1:-1])
        if term is None:
            raise TooMuchError
        row[number] = term
    return row
