"""Find the triple patterns of a query in its tokens, well enough to say what each would match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cityorchestra_ld.store.lexer import Token, tokens

_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_NODES: Final = frozenset(("iri", "pname", "variable", "bnode", "string", "number"))
_VALUES: Final = frozenset(("A", "TRUE", "FALSE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One triple pattern as it is written, the group that it stands in, and the GRAPH clause around it."""

    text: str
    at: int
    group: int
    variables: frozenset[str]
    graph: str | None = None


@dataclass(slots=True)
class Group:
    """A group of the query that is being read."""

    number: int
    graph: Token | None  # that the GRAPH clause around it names
    word: str = ""  # before its brace
    data: bool = False  # VALUES, or the template of a CONSTRUCT
    select: bool = False  # it is a query in the query
    run: list[Token] = field(default_factory=list)


def find_patterns(text: str) -> tuple[Pattern, ...]:
    """
    List the triple patterns of a query; what is in expressions, VALUES and templates is left out.

    >>> [p.text for p in find_patterns('SELECT * { ?s a <http://x/T> ; <http://x/p> "v"@fr , ?o FILTER(?o > 1) }')]
    ['?s a <http://x/T>', '?s <http://x/p> "v"@fr', '?s <http://x/p> ?o']
    """
    return tuple(Walker(text).find())


class Walker:
    """One pass over the tokens, with the groups that are open."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.groups: list[Group] = []
        self.count = 0
        self.words: list[Token] = []  # what stands before the next brace
        self.depth = 0  # of brackets that do not open a group
        self.short_construct = False  # CONSTRUCT WHERE: the pattern is the template

    def find(self) -> Iterator[Pattern]:
        """Yield the patterns of each run of triples."""
        for token in tokens(self.text):
            if self.depth or (token.kind == "mark" and token.text in "(["):
                self._inside(token)
            elif token.kind == "mark" and token.text == "{":
                yield from self.close_run()
                self._open()
            elif token.kind == "mark" and token.text == "}":
                yield from self.close_run()
                self._leave()
            elif token.kind == "word" and token.text.upper() not in _VALUES:
                yield from self.close_run()
                self._word(token)
            else:
                self._take(token)

    def _word(self, token: Token) -> None:
        word = token.text.upper()
        if word == "SELECT" and self.groups:
            self.groups[-1].select = True
        if word in ("WHERE", "FROM") and self.words and self.words[0].text.upper() == "CONSTRUCT":
            self.short_construct = True
        self.words = [token]

    def _inside(self, token: Token) -> None:
        if token.kind == "mark":
            self.depth += (token.text in "([") - (token.text in ")]")
        self._take(token)

    def _take(self, token: Token) -> None:
        if self.words:
            self.words.append(token)
            if self.words[0].text.upper() not in ("GRAPH", "VALUES") and not self.depth:
                self._after_word(token)
        elif self.groups:
            self.groups[-1].run.append(token)

    def _after_word(self, token: Token) -> None:
        """Leave the expression of a FILTER or BIND once its bracket is closed."""
        if token.text == ")":
            self.words = []

    def _open(self) -> None:
        outer = self.groups[-1] if self.groups else None
        word = self.words[0].text.upper() if self.words else ""
        graph = outer.graph if outer else None
        if word == "GRAPH" and len(self.words) > 1:
            graph = self.words[1]
        self.count += 1
        data = word in ("VALUES", "CONSTRUCT") or bool(outer and outer.data)
        self.groups.append(Group(self.count, graph, word, data))
        self.words = []

    def _leave(self) -> None:
        if self.groups:
            self.groups.pop()
        self.words = []

    def close_run(self) -> Iterator[Pattern]:
        """Yield what the triples say that have stood together up to here."""
        group = self.groups[-1] if self.groups else None
        if group is None:
            return
        run, group.run = group.run, []
        if group.data:
            return
        for statement in split_at(run, "."):
            yield from self._statement(statement, group)

    def _statement(self, statement: list[Token], group: Group) -> Iterator[Pattern]:
        subject, rest = first_term(statement)
        for part in split_at(rest, ";"):
            pieces = [terms_of(piece) for piece in split_at(part, ",")]
            if not pieces or len(pieces[0]) < 2:
                continue
            *predicate, first = pieces[0]
            path = [token for term in predicate for token in term]
            for value in (first, *(piece[-1] for piece in pieces[1:] if piece)):
                yield self._pattern(group, subject, path, value)

    def _pattern(self, group: Group, subject: list[Token], path: list[Token], value: list[Token]) -> Pattern:
        parts = [self._slice(part) for part in (subject, path, value)]
        variables = frozenset(token.text[1:] for token in (*subject, *path, *value) if token.kind == "variable")
        return Pattern(
            text=" ".join(parts), at=path[0].at, group=group.number, variables=variables,
            graph=group.graph.text if group.graph else None,
        )  # fmt: skip

    def _slice(self, part: list[Token]) -> str:
        return self.text[part[0].at : part[-1].end] if part else ""


def split_at(run: list[Token], mark: str) -> Iterator[list[Token]]:
    """Split tokens at a mark that is in no bracket."""
    part: list[Token] = []
    depth = 0
    for token in run:
        if token.kind == "mark":
            depth += (token.text in "([") - (token.text in ")]")
        if token.kind == "mark" and token.text == mark and depth == 0:
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def terms_of(run: list[Token]) -> list[list[Token]]:
    """Put together the tokens of one term: a bracket and what is in it, a literal with its language or datatype."""
    terms: list[list[Token]] = []
    depth = 0
    for token in run:
        typed = bool(terms) and terms[-1][-1].text == "^" and terms[-1][0].kind == "string"
        belongs = token.kind == "language" or (token.text == "^" and terms and terms[-1][0].kind == "string")
        if depth or typed or belongs:
            terms[-1].append(token)
        else:
            terms.append([token])
        if token.kind == "mark":
            depth += (token.text in "([") - (token.text in ")]")
    return terms


def first_term(statement: list[Token]) -> tuple[list[Token], list[Token]]:
    """Split the first term off a statement."""
    terms = terms_of(statement)
    if not terms:
        return [], []
    return terms[0], statement[len(terms[0]) :]
