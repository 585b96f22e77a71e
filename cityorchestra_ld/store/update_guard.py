"""Judge a SPARQL update before the engine parses it, and give it the dataset that the protocol names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from cityorchestra_ld.errors import Place, QueryError, Text, UsageError
from cityorchestra_ld.model import Limits
from cityorchestra_ld.store.guard import KEYWORDS, UPDATE_WORDS, Scan
from cityorchestra_ld.store.lexer import Token, place

_STARTS: Final = frozenset(["ADD", "CLEAR", "COPY", "CREATE", "DELETE", "DROP", "INSERT", "MOVE", "WITH"])
_KNOWN: Final = KEYWORDS | UPDATE_WORDS


def inspect_update(
    text: str, limits: Limits | None = None, *, using: Sequence[str] = (), using_named: Sequence[str] = ()
) -> str:
    """
    Look at an update before anything parses it, and return it with the graphs of the request as its USING clauses.

    Refused, with line and character: too long, nested too deep, SERVICE, LOAD. Raises UsageError when the request and the
    update both name a dataset (SPARQL 1.1 Protocol, section 2.2.3).
    """
    scan = _Updates(text, limits or Limits())
    scan.read()
    return scan.with_dataset(using, using_named)


class _Updates(Scan):
    """One pass over the tokens of an update."""

    def __init__(self, text: str, limits: Limits) -> None:
        super().__init__(text, limits)
        self.operations = 0
        self.wheres: list[int] = []  # where USING clauses fit
        self.short: Token | None = None  # DELETE WHERE, which has no place for them
        self.own: Token | None = None  # USING or WITH in the text

    def _word(self, token: Token) -> None:
        word = token.text.upper()
        if "SERVICE" in word:
            self._service(token)
        if word == "LOAD":
            self._refuse(
                Text("LOAD est refusé : rien n'est cherché ailleurs.", "LOAD is refused: nothing is fetched from elsewhere."),
                token.at,
                Text("Envoyez les triplets par INSERT DATA.", "Send the triples with INSERT DATA."),
            )
        if word not in _KNOWN:
            self._unknown(token, word, _KNOWN)
        if not self.stack:
            self._outside(token, word)
        if word == "VALUES":
            self.values = True

    def _outside(self, token: Token, word: str) -> None:
        """Take note of a word that is in no group."""
        if word in _STARTS:
            self.operations += 1
        if word in ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE"):
            self._not_an_update(token.at)
        if word in ("USING", "WITH"):
            self.own = self.own or token
        if word == "WHERE":
            if self._after("DELETE"):
                self.short = self.short or token
            else:
                self.wheres.append(token.at)

    def _not_an_update(self, at: int) -> NoReturn:
        self._refuse(
            Text("Ce n'est pas une mise à jour SPARQL.", "This is not a SPARQL update."),
            at,
            Text("Une mise à jour commence par INSERT, DELETE…", "An update starts with INSERT, DELETE…"),
        )

    def read(self) -> None:
        """Read every token; raise QueryError for the first that is refused."""
        self.scan()
        if not self.operations:
            self._not_an_update(0)

    def with_dataset(self, using: Sequence[str], using_named: Sequence[str]) -> str:
        """Return the text with USING clauses before each WHERE of a change."""
        if not using and not using_named:
            return self.text
        if self.own is not None:
            raise UsageError(
                Text(
                    "Le jeu de graphes est à la fois dans l'adresse et dans la mise à jour.",
                    "The dataset is both in the address and in the update.",
                ),
                place=place(self.text, self.own.at),
                hint=Text("Donnez-le une seule fois.", "Give it once."),
            )
        if self.short is not None:
            raise QueryError(
                Text("DELETE WHERE ne prend pas de using-graph-uri.", "DELETE WHERE takes no using-graph-uri."),
                place=place(self.text, self.short.at),
                hint=Text("Écrivez DELETE { … } WHERE { … }.", "Write DELETE { … } WHERE { … }."),
            )
        clauses = "".join(
            [*(f"USING <{_iri(iri)}> " for iri in using), *(f"USING NAMED <{_iri(iri)}> " for iri in using_named)]
        )
        text = self.text
        for at in reversed(self.wheres):
            text = f"{text[:at]}{clauses}{text[at:]}"
        return text


def _iri(iri: str) -> str:
    """Let an IRI into a query only when nothing in it can end it (SPARQL 1.1 Query, section 19.8, rule IRIREF)."""
    if any(char in '<>"{}|^`\\' or char <= " " for char in iri):
        raise UsageError(Text("Ce n'est pas une adresse.", "This is not an IRI."), place=Place(value=iri[:200]))
    return iri
