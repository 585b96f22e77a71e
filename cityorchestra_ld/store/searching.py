"""Find what a query searches by name, `?thing co:search "words"`, and put the things that are found in its place.

It means: as if every graph held this triple for each thing that has such a name in this graph. What is not written in the one
simple form is refused, so that no search is ever overlooked.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.errors import QueryError, Text
from cityorchestra_ld.store.frames import Joined, Search, Searches
from cityorchestra_ld.store.lexer import Token, place, tokens
from cityorchestra_ld.store.names import Named, Names, words_of
from cityorchestra_ld.store.patterns import Group, Pattern, Walker, first_term, split_at, terms_of
from cityorchestra_ld.store.resolving import Resolver

MOST: Final = 10_000  # things that one search finds
_ALL: Final = 2**31
_LONG: Final = 5_000  # letters of a query
_SEARCHES: Final = 20  # in one query
_PERHAPS: Final = re.compile(r"search|score|\\|(?:s|se|sea|sear|searc|sc|sco|scor)>")  # the last: a prefix may hold a part
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_CHARS: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


def may_search(text: str) -> bool:
    """Tell whether it is worth looking for searches in a text."""
    return _PERHAPS.search(text) is not None


def find_searches(text: str, space: str, base: str | None = None) -> Searches | None:
    """
    Find the searches of a query whose own vocabulary is `space`; nothing when there is none.

    Raises QueryError for a search that is not a plain triple pattern with a text.

    >>> found = find_searches('SELECT * { ?s <http://x/search> "gare" ; a ?t }', "http://x/")
    >>> found.found[0].text, found.found[0].subject
    ('gare', '?s')
    """
    if _PERHAPS.search(text) is None:
        return None
    finder = _Finder(text, Resolver(text, base).names, space)
    if not finder.wanted:
        return None
    for _ in finder.find():
        pass
    return finder.done()


async def searches_of(text: str, space: str | None, base: str | None) -> Searches | None:
    """Find the searches of a query without holding the loop up for a long one."""
    if space is None or _PERHAPS.search(text) is None:
        return None
    if len(text) < _LONG:
        return find_searches(text, space, base)
    return await asyncio.to_thread(find_searches, text, space, base)


def refuse_searches(text: str, space: str, base: str | None = None) -> None:
    """Raise QueryError for an update that searches: it would change nothing, and not say why."""
    named = Resolver(text, base).names if _PERHAPS.search(text) else {}
    at = min((at for at, iri in named.items() if iri in (f"{space}search", f"{space}score")), default=None)
    if at is not None:
        raise QueryError(
            Text("co:search ne va pas dans une mise à jour.", "co:search does not go into an update."),
            place=place(text, at),
            hint=Text("Cherchez d'abord, puis nommez les choses.", "Search first, then name the things."),
        )


class _Finder(Walker):
    """One pass over the groups of a query that takes its searches out."""

    def __init__(self, text: str, names: Mapping[int, str], space: str) -> None:
        super().__init__(text)
        self.names = names
        self.search, self.score = f"{space}search", f"{space}score"
        self.wanted = {at for at, iri in names.items() if iri in (self.search, self.score)}
        self.found: list[Search] = []
        self.cuts: list[tuple[int, int]] = []
        for token, following in _pairs(text):  # RDF 1.2: what is in a triple term is matched, not searched
            if token.text + following.text in ("<<", "{|") and token.end == following.at:
                self._refuse(token.at)

    def done(self) -> Searches | None:
        """Return what was found; a search in any other place is refused, a term that is spoken of is not."""
        first, last = self.text.find("{"), self.text.rfind("}")
        self.wanted = {at for at in self.wanted if first < at < last}
        if self.wanted:
            self._refuse(min(self.wanted))
        return Searches(found=tuple(self.found), cuts=tuple(self.cuts)) if self.found else None

    def close_run(self) -> Iterator[Pattern]:
        group = self.groups[-1] if self.groups else None
        if group is None:
            return
        run, group.run = group.run, []
        marks = [token for token in run if token.at in self.wanted]
        if not marks:
            return
        if group.data:  # triples to make, values
            self.wanted.difference_update(token.at for token in marks)
            return
        for statement in split_at(run, "."):
            self._speak_of(statement)
        marks = [token for token in marks if token.at in self.wanted]
        if marks:
            if self._is_elsewhere():
                self._refuse(marks[0].at)
            self._run(run, group, marks[0].at)
        yield from ()

    def _speak_of(self, statement: list[Token]) -> None:
        """Leave alone what is said about the terms themselves, as subject or object."""
        subject, rest = first_term(statement)
        named = [subject]
        for part in split_at(rest, ";"):
            pieces = [terms_of(piece) for piece in split_at(part, ",")]
            named += [terms[-1] for number, terms in enumerate(pieces) if terms and (number or len(terms) > 1)]
        self.wanted.difference_update(term[0].at for term in named if len(term) == 1)

    def _is_elsewhere(self) -> bool:
        """Tell whether what is here is matched by another service, or copied from the pattern of a CONSTRUCT."""
        return any(group.word in ("SERVICE", "SILENT") for group in self.groups) or self.short_construct

    def _run(self, run: list[Token], group: Group, first: int) -> None:
        """Take the searches out of triples that stand together; what they find is joined before them."""
        next_of = {token.at: following for token, following in itertools.pairwise(run)}
        graph = self._graph(group, first)
        asked: list[Search] = []
        scores: dict[str, Token] = {}
        start: int | None = None
        for statement in split_at(run, "."):
            start = statement[0].at if start is None else start
            subject, rest = first_term(statement)
            parts = list(split_at(rest, ";"))
            mine = [part for part in parts if part[0].at in self.wanted]
            if not mine:
                continue
            name = self._subject(subject, mine[0][0].at)
            self._cut(statement, parts, next_of)
            for part in mine:
                self.wanted.discard(part[0].at)
                if self.names[part[0].at] == self.search:
                    asked.append(self._asked(part, name, graph, start))
                elif name in scores:
                    self._refuse(part[0].at)
                else:
                    scores[name] = self._scored(part)
        self._join(asked, scores)

    def _join(self, asked: list[Search], scores: dict[str, Token]) -> None:
        """Give each score to the one search for the same thing."""
        times = Counter(search.subject for search in asked)
        for name, score in scores.items():
            if times[name] != 1:
                self._refuse(score.at)
        for search in asked:
            score_of = scores.get(search.subject)
            self.found.append(msgspec.structs.replace(search, score=score_of.text if score_of else ""))
        if len(self.found) > _SEARCHES:
            raise QueryError(
                Text(f"Plus de {_SEARCHES} recherches dans une requête.", f"More than {_SEARCHES} searches in one query."),
                place=place(self.text, self.found[-1].at),
                hint=Text("Posez plusieurs questions.", "Ask several questions."),
            )

    def _cut(self, statement: list[Token], parts: list[list[Token]], next_of: Mapping[int, Token]) -> None:
        """Leave out the parts of a statement that are searches; without any other, the statement and the dot after it."""
        first = next((part[0].at for part in parts if part[0].at not in self.wanted), None)
        if first is None:
            last = statement[-1]
            while last.at in next_of and next_of[last.at].text in (";", "."):
                last = next_of[last.at]
                if last.text == ".":
                    break
            self.cuts.append((statement[0].at, last.end))
            return
        self.cuts += [(part[0].at, part[-1].end) for part in parts if part[0].at in self.wanted]
        for token in statement:  # a semicolon may stand alone, but not first
            if parts[0][0].at < token.at < first and token.text == ";" and token.kind == "mark":
                self.cuts.append((token.at, token.end))

    def _subject(self, subject: list[Token], at: int) -> str:
        if len(subject) == 1 and subject[0].kind == "variable":
            return f"?{subject[0].text[1:]}"
        if len(subject) == 1 and subject[0].kind in ("iri", "pname"):
            return self._node(subject[0])
        self._refuse(at)

    def _node(self, token: Token) -> str:
        try:
            return str(ox.NamedNode(self.names[token.at]))
        except ValueError:
            self._refuse(token.at)

    def _asked(self, part: list[Token], subject: str, graph: str, start: int) -> Search:
        terms = terms_of(part)
        value = terms[1] if len(terms) == 2 else []
        plain = bool(value) and value[0].kind == "string" and len(part) == 1 + len(value) <= 3
        if not plain or (len(value) == 2 and value[1].kind != "language"):
            self._refuse(part[0].at)
        text = _unescaped(value[0].text)
        if not words_of(text):
            raise QueryError(
                Text("Cette recherche n'a ni lettre ni chiffre.", "This search has no letter and no digit."),
                place=place(self.text, value[0].at),
            )
        language = value[1].text[1:] if len(value) == 2 else ""
        return Search(text=text, language=language, subject=subject, graph=graph, at=start)

    def _scored(self, part: list[Token]) -> Token:
        if len(part) != 2 or part[1].kind != "variable":
            self._refuse(part[0].at)
        return part[1]

    def _graph(self, group: Group, at: int) -> str:
        if group.graph is None:
            return ""
        token = group.graph
        if token.kind != "variable":
            return self._node(token)
        inside = self.groups[next(place for place, other in enumerate(self.groups) if other.graph is token) :]
        if any(other.select for other in inside):
            raise QueryError(
                Text(
                    f"co:search est dans un sous-SELECT de GRAPH {token.text}.",
                    f"co:search is in a sub-SELECT of GRAPH {token.text}.",
                ),
                place=place(self.text, at),
                hint=Text("Mettez GRAPH dans le sous-SELECT.", "Put GRAPH inside the sub-SELECT."),
            )
        return f"?{token.text[1:]}"

    def _refuse(self, at: int) -> NoReturn:
        raise QueryError(
            Text("Cette recherche n'est pas dans la forme prévue.", "This search is not in the form that we know."),
            place=place(self.text, at),
            hint=Text(
                'Écrivez ?chose co:search "des mots" (et ?chose co:score ?proximite à côté), sans chemin ni liste, '
                "avec une variable ou une adresse devant et un texte derrière.",
                'Write ?thing co:search "some words" (and ?thing co:score ?nearness beside it), without path or list, '
                "with a variable or an IRI before it and a text after it.",
            ),
        )


def _pairs(text: str) -> Iterator[tuple[Token, Token]]:
    before: Token | None = None
    for token in tokens(text):
        if before is not None and before.kind == token.kind == "mark":
            yield before, token
        before = token


def _unescaped(token: str) -> str:
    """
    Read the text between quotes.

    >>> _unescaped('"l\\\\u0027\\\\"eau"')
    'l\\'"eau'
    """
    marks = 3 if token.startswith(('"""', "'''")) and len(token) >= 6 else 1

    def char(match: re.Match[str]) -> str:
        short, long, other = match.groups()
        return chr(int(short or long, 16)) if short or long else _CHARS.get(other, other)

    return _ESCAPED.sub(char, token[marks:-marks])


# --- in the place of searches -------------------------------------------------------------------------------------------------


def rewrite(
    text: str, base: str | None, asked: Searches, named: Sequence[str], names: Names, joined: Sequence[Joined] = ()
) -> tuple[str, bool]:
    """
    Put what is found into a query in the place of its searches, and what other services said in the place of these.

    Also tells whether a search found more than there may be. Raises SyntaxError for a query that the engine does not read as it
    was written; one that asked others was looked at before.
    """
    if not joined:
        ox.Store().query(text, base_iri=base)
    pieces: list[tuple[int, int, str]] = [(start, end, " ") for start, end in asked.cuts]
    pieces += [(one.at, one.end, one.text) for one in joined]
    cut = False
    for search in asked.found:
        hits = _hits(search, names, asked.default_graphs, named)
        if search.subject.startswith("?") and len(hits) > MOST:
            cut, hits = True, hits[:MOST]
        pieces.append((search.at, search.at, values(search, hits)))
    for start, end, new in sorted(pieces, key=lambda piece: piece[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text, cut


def _hits(search: Search, names: Names, default: Sequence[str], named: Sequence[str]) -> list[Named]:
    most = MOST + 1 if search.subject.startswith("?") else _ALL
    if search.graph.startswith("?"):
        return names.find(search.text, named, most, language=search.language, apart=True)
    graphs = default if not search.graph else [name for name in named if f"<{name}>" == search.graph]
    return names.find(search.text, graphs, most, language=search.language)


def values(search: Search, hits: Sequence[Named]) -> str:
    """Write what was found as a VALUES block; a thing that the query names itself only decides whether it has a row."""
    rows: list[dict[str, str]] = []
    for hit in hits:
        row = {search.subject: str(ox.NamedNode(hit.iri))}
        graph = str(ox.NamedNode(hit.graph))
        if search.graph.startswith("?") and row.setdefault(search.graph, graph) != graph:
            continue
        score = f"{hit.score:.3f}"
        if search.score and row.setdefault(f"?{search.score[1:]}", score) != score:
            continue
        if search.subject.startswith("?") or row[search.subject] == search.subject:
            rows.append(row)
    wanted = (search.subject, search.graph, f"?{search.score[1:]}" if search.score else "")
    variables = list(dict.fromkeys(name for name in wanted if name.startswith("?")))
    lines = dict.fromkeys(f"({' '.join(row[name] for name in variables)})" for row in rows)
    return f" VALUES ({' '.join(variables)}) {{ {' '.join(lines)} }} "
