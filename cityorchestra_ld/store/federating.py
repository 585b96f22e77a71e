"""Find what a query asks other services (`SERVICE`), write what each is asked, and put what it said in the place of that.

A block is asked alone, and its rows join the rest of the query as `VALUES`. That is what SERVICE means wherever groups are
evaluated from the inside out; where they are not, the block is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import pyoxigraph as ox

from cityorchestra_ld.errors import QueryError, Text
from cityorchestra_ld.store.frames import Joined
from cityorchestra_ld.store.lexer import Token, iri_value, place, tokens
from cityorchestra_ld.store.resolving import Resolver

MOST: Final = 5  # blocks of a query
_OPENS: Final = {")": "(", "]": "[", "}": "{"}
_NAMES: Final = frozenset(("iri", "pname", "variable"))
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_ASCII: Final = re.compile(r"\\u00[0-7][0-9A-Fa-f]|\\U000000[0-7][0-9A-Fa-f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One SERVICE block of a query: where it stands, whom it names, and the SELECT that goes out."""

    at: int
    group: int  # where its brace is
    end: int
    address: str
    silent: bool
    asked: str
    variables: tuple[str, ...]


def find_blocks(text: str, base: str | None) -> tuple[Block, ...]:
    """
    List the SERVICE blocks of a query, in the order of its text.

    Raises QueryError for a block that names no address, or stands where its rows alone do not decide what it means.

    >>> found = find_blocks("PREFIX x: <http://x/> SELECT * { ?s a x:T SERVICE x:sparql { ?s x:p ?v } # mine", None)
    >>> found[0].address, found[0].asked
    ('http://x/sparql', 'PREFIX x: <http://x/>\\nSELECT * WHERE { ?s x:p ?v }')
    """
    return tuple(_Finder(text, base).find())


def probe(text: str, blocks: Sequence[Block]) -> str:
    """Return a query of the same length that the engine reads exactly when it reads this one, and that asks nobody."""
    return _replace(text, [(block.at, block.group, _blanked(text, block.at, block.group)) for block in blocks])


def without(text: str, blocks: Sequence[Block]) -> str:
    """Return a query of the same length and lines that has nothing in the place of its blocks."""
    return _replace(text, [(block.at, block.end, _blanked(text, block.at, block.end)) for block in blocks])


def joined(block: Block, text: str) -> Joined:
    """Say what takes the place of a block: the rows that were found."""
    return Joined(at=block.at, end=block.end, text=f" {text} ")


def nothing(block: Block) -> Joined:
    """Say what takes the place of a SERVICE SILENT that failed: one solution without values (Federated Query, section 2.3)."""
    return joined(block, "VALUES () { () }")


def _blanked(text: str, start: int, end: int) -> str:
    """Write what means nothing, and stands nowhere where SERVICE may not, over a part of a query; its lines stay."""
    return "MINUS{}" + re.sub(r"[^\n]", " ", text[start + 7 : end])


def put_in(text: str, found: Sequence[Joined]) -> str:
    """Put what other services said into a query, in the place of its blocks."""
    return _replace(text, [(one.at, one.end, one.text) for one in found])


def _replace(text: str, pieces: Sequence[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(pieces, reverse=True):
        text = text[:start] + new + text[end:]
    return text


class _Finder:
    """One pass over the tokens of a query whose brackets match."""

    def __init__(self, text: str, base: str | None) -> None:
        self.text = text
        self.found = list(tokens(text))
        self.resolver = Resolver(text, base)
        self.open: list[tuple[str, str]] = []  # the brackets that are open, and the word that each belongs to
        self.count = 0

    def find(self) -> Iterator[Block]:
        """Yield each block."""
        number = 0
        while number < len(self.found):
            token = self.found[number]
            if _is_service(token):
                last = self._last(number)
                yield self._block(number, last)
                number = last
            elif token.kind == "mark" and token.text in "{([":
                self.open.append((token.text, self._word_of(number)))
            elif token.kind == "mark" and token.text in _OPENS and self.open:
                self.open.pop()
            number += 1

    def _word_of(self, number: int) -> str:
        """Return the word that a bracket belongs to: right before it, or before a name."""
        before = self.found[max(0, number - 2) : number]
        if len(before) == 2 and before[1].kind in _NAMES:
            before.pop()
        return before[-1].text.upper() if before and before[-1].kind == "word" else ""

    def _brace(self, number: int) -> int:
        """Return where the group of a block opens."""
        silent = self._upper(number + 1) == "SILENT"
        brace = number + 2 + silent
        name = self.found[brace - 1] if brace <= len(self.found) else None
        if name is None or name.kind not in _NAMES or brace >= len(self.found) or self.found[brace].text != "{":
            self._refuse(
                self.found[number],
                Text("SERVICE est suivi d'une adresse et d'un groupe.", "SERVICE is followed by an address and a group."),
                Text("Écrivez SERVICE <https://…> { … }.", "Write SERVICE <https://…> { … }."),
            )
        return brace

    def _last(self, number: int) -> int:
        """Return where the group of a block closes; raise QueryError for a block in it."""
        brace = self._brace(number)
        depth = 0
        for at in range(brace, len(self.found)):
            token = self.found[at]
            if _is_service(token):
                self._refuse(
                    token,
                    Text("Un SERVICE est dans un autre.", "A SERVICE is inside another one."),
                    Text("Mettez-les l'un à côté de l'autre.", "Put one beside the other."),
                )
            if token.kind == "mark":
                depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                return at
        self._refuse(self.found[number], Text("Ce groupe n'est pas refermé.", "This group is not closed."))

    def _upper(self, number: int) -> str:
        return self.found[number].text.upper() if number < len(self.found) else ""

    def _block(self, number: int, last: int) -> Block:
        service, brace = self.found[number], self._brace(number)
        name = self.found[brace - 1]
        self.count += 1
        if self.count > MOST:
            self._refuse(service, Text(f"Plus de {MOST} SERVICE dans une requête.", f"More than {MOST} SERVICE in one query."))
        if name.kind == "variable":
            self._refuse(
                name,
                Text(
                    f"SERVICE {name.text} est refusé : la requête doit nommer le service.",
                    f"SERVICE {name.text} is refused: the query has to name the service.",
                ),
                Text("Écrivez SERVICE <https://…>.", "Write SERVICE <https://…>."),
            )
        self._require_place(service)
        if self._upper(last + 1) == "UNION":
            self._refuse(
                self.found[last + 1],
                Text("UNION suit directement un SERVICE.", "UNION directly follows a SERVICE."),
                Text("Mettez SERVICE entre accolades.", "Put braces around SERVICE."),
            )
        inside = self.found[brace : last + 1]
        return Block(
            at=service.at, group=self.found[brace].at, end=self.found[last].end, address=self._address(name),
            silent=brace - number == 3, asked=self._prologue(inside) + "SELECT * WHERE " + self._written(inside),
            variables=tuple(dict.fromkeys(token.text[1:] for token in inside if token.kind == "variable")),
        )  # fmt: skip

    def _require_place(self, service: Token) -> None:
        """Refuse a block whose rows depend on what is around it, or that our engine would join to the wrong graphs."""
        words = {word for _, word in self.open}
        if "LATERAL" in words or "EXISTS" in words or any(mark != "{" for mark, _ in self.open):
            self._refuse(
                service,
                Text("SERVICE ne va pas dans EXISTS ni LATERAL.", "SERVICE does not go into EXISTS or LATERAL."),
                Text(
                    "Mettez-le dans le groupe ; pour ce que l'autre service ne connaît pas : MINUS { SERVICE … }.",
                    "Put it into the group; for what the other service does not know: MINUS { SERVICE … }.",
                ),
            )
        if "GRAPH" in words:
            self._refuse(
                service,
                Text("SERVICE ne va pas dans GRAPH.", "SERVICE does not go into GRAPH."),
                Text(
                    "Mettez-le à côté : GRAPH ne change rien à ce qu'un autre service répond.",
                    "Put it beside: GRAPH changes nothing of what another service answers.",
                ),
            )

    def _address(self, name: Token) -> str:
        return self._iri(self.resolver.names[name.at], name)

    def _iri(self, iri: str, token: Token) -> str:
        try:
            return ox.NamedNode(iri).value
        except ValueError:
            self._refuse(token, Text("Ce n'est pas une adresse absolue.", "This is not an absolute IRI."))

    def _prologue(self, inside: Sequence[Token]) -> str:
        """Declare what the block uses, and nothing else."""
        lines = dict[str, None]()
        for token in inside:
            if token.kind == "pname":
                prefix = token.text.partition(":")[0]
                lines[f"PREFIX {prefix}: <{self._iri(self.resolver.prefixes.get(prefix, ''), token)}>\n"] = None
            elif token.kind == "iri" and not _ABSOLUTE.match(iri_value(token.text)):
                lines[f"BASE <{self._iri(self.resolver.base or '', token)}>\n"] = None
        return "".join(sorted(lines))

    def _written(self, inside: Sequence[Token]) -> str:
        """Write a group without its comments; what could be code to a reader that takes escapes first is refused."""
        parts: list[str] = []
        end = inside[0].at
        for token in inside:
            if _ASCII.search(token.text):
                self._refuse(
                    token,
                    Text("Un caractère ordinaire est écrit par son code.", "A plain character is written by its code."),
                    Text("Dans SERVICE, écrivez le caractère lui-même.", "Inside SERVICE, write the character itself."),
                )
            parts.append(" " + token.text if token.at > end else token.text)
            end = token.end
        return "".join(parts)

    def _refuse(self, token: Token, message: Text, hint: Text | None = None) -> NoReturn:
        raise QueryError(message, place=place(self.text, token.at), hint=hint)


def _is_service(token: Token) -> bool:
    return token.kind == "word" and token.text.upper() == "SERVICE"
