"""Judge the SPARQL inside shapes: what SHACL forbids, what could leave the process, what does not parse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text

MAX_NESTING: Final = 40
MAX_LENGTH: Final = 20_000

_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n\r]*)
      | (?P<iri><[^<>"{}|^`\\\s]*>)
      | (?P<string>\"\"\"(?:\"{0,2}(?:[^"\\]|\\.))*\"\"\" | '''(?:'{0,2}(?:[^'\\]|\\.))*'''
          | "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*')
      | (?P<variable>[?$]\w+)
      | (?P<prefixed>(?:[^\W\d][\w.\-]*)?:[\w.\-:%]*)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign>[{}()\[\]])
      | (?P<other>\s+|.)""",
    re.VERBOSE | re.DOTALL,
)

# Keyword -> why it is refused (SHACL, section 5.2.1 and appendix B; the rest is our own rule).
_REFUSED: Final[dict[str, Text]] = {
    "SERVICE": Text("SERVICE appelle un autre serveur", "SERVICE calls another server"),
    "FROM": Text("FROM lit un autre graphe", "FROM reads another graph"),
    "LOAD": Text("LOAD lit une adresse", "LOAD fetches an address"),
    "MINUS": Text("MINUS n'est pas admis dans une contrainte SHACL", "MINUS is not allowed in a SHACL constraint"),
    "VALUES": Text("VALUES n'est pas admis dans une contrainte SHACL", "VALUES is not allowed in a SHACL constraint"),
    "INSERT": Text("une contrainte n'écrit pas", "a constraint does not write"),
    "DELETE": Text("une contrainte n'écrit pas", "a constraint does not write"),
    "CLEAR": Text("une contrainte n'écrit pas", "a constraint does not write"),
    "DROP": Text("une contrainte n'écrit pas", "a constraint does not write"),
    "CREATE": Text("une contrainte n'écrit pas", "a constraint does not write"),
    "CONSTRUCT": Text("une contrainte est un SELECT ou un ASK", "a constraint is a SELECT or an ASK"),
    "DESCRIBE": Text("une contrainte est un SELECT ou un ASK", "a constraint is a SELECT or an ASK"),
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign of a query."""

    kind: str
    text: str

    @property
    def word(self) -> str:
        """Return a keyword in upper case."""
        return self.text.upper() if self.kind == "name" else ""

    @property
    def variable(self) -> str:
        """Return the name of a variable."""
        return self.text[1:] if self.kind == "variable" else ""


def tokenize(query: str) -> Iterator[Token]:
    """Cut a query into tokens that together are its whole text; a comment becomes a space."""
    for match in _TOKEN.finditer(query):
        kind = match.lastgroup or "other"
        blank = kind == "comment" or match.group().isspace()
        yield Token("space", " ") if blank else Token(kind, match.group())


def tokens(query: str) -> Iterator[Token]:
    """Cut a query into tokens; comments and spaces are dropped."""
    return (token for token in tokenize(query) if token.kind != "space")


def judge(
    query: str, prefixes: Mapping[str, str], *, kind: str = "select", prebound: frozenset[str] = frozenset()
) -> Text | None:
    """Return why the query of a SPARQL-based constraint or validator must be refused, or nothing."""
    if re.search(r"\\[uU][0-9A-Fa-f]{4}", query):
        return Text("une échappée \\u peut cacher un mot-clé", "a \\u escape can hide a keyword")
    if len(query) > MAX_LENGTH:
        return Text("la requête est trop longue", "the query is too long")
    words = list(tokens(query))
    depth = 0
    for token in words:
        depth += (token.text in "{([") - (token.text in "})]") if token.kind == "sign" else 0
        if depth > MAX_NESTING:
            return Text("la requête est trop imbriquée", "the query is nested too deeply")
        if token.word in _REFUSED:
            return _REFUSED[token.word]
    bound = frozenset({"this", "shapesGraph", "currentShape"}) | prebound | ({"value"} if kind == "ask" else frozenset())
    return _rebinding(words, bound) or _projections(words, kind, prebound) or _syntax(query, prefixes)


def _rebinding(words: list[Token], bound: frozenset[str]) -> Text | None:
    for before, token in pairwise(words):
        if before.word == "AS" and token.variable in bound:
            return Text(
                f"${token.variable} est donnée : AS ne peut la changer", f"${token.variable} is given: AS cannot change it"
            )
    return None


def _projections(words: list[Token], kind: str, prebound: frozenset[str]) -> Text | None:
    selects = [index for index, token in enumerate(words) if token.word == "SELECT"]
    if kind == "select" and not selects:
        return Text("sh:select attend un SELECT", "sh:select expects a SELECT")
    if kind == "ask" and not any(token.word == "ASK" for token in words):
        return Text("sh:ask attend un ASK", "sh:ask expects an ASK")
    for number, index in enumerate(selects):
        names, stars = _projected(words[index + 1 :])
        if stars and number:
            return Text(
                "un SELECT interne nomme ses variables, dont $this", "an inner SELECT names its variables, $this among them"
            )
        if stars:
            continue
        needed = {"this"} if number == 0 or kind == "select" else set()
        if number:
            needed |= {name for name in prebound if any(token.variable == name for token in words)}
        missing = sorted(needed - names)
        if missing:
            return Text(f"un SELECT ne rend pas ${missing[0]}", f"a SELECT does not return ${missing[0]}")
    return None


def _projected(words: list[Token]) -> tuple[set[str], bool]:
    """Return the variables of a SELECT clause, and whether it selects everything."""
    names: set[str] = set()
    depth = 0
    for before, token in zip([Token("other", ""), *words], words, strict=False):
        if token.word == "WHERE" or token.text == "{":
            break
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "*" and not depth:
            return names, True
        if token.variable and (not depth or before.word == "AS"):
            names.add(token.variable)
    return names, False


def _syntax(query: str, prefixes: Mapping[str, str]) -> Text | None:
    """Parse by running on an empty store; nothing can be reached from there, and nothing is found."""
    text = re.sub(r"[$?]PATH\b", "<urn:path>", query)
    try:
        ox.Store().query(text, prefixes=dict(prefixes))
    except (SyntaxError, ValueError) as error:
        return Text(f"la requête ne se lit pas : {error}", f"the query does not parse: {error}")
    return None
