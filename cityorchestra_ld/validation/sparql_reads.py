"""What the SPARQL of a shape reads: its triple patterns, walked from $this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise
from typing import Any, Final

from cityorchestra_ld.validation.paths import Path
from cityorchestra_ld.validation.queries import tokens
from cityorchestra_ld.validation.reads import OpaqueError, Read, steps

_GROUPS: Final = frozenset(
    {
        ("LeftJoin", "p2"), ("Union", "p1"), ("Union", "p2"), ("Builtin_EXISTS", "graph"), ("Builtin_NOTEXISTS", "graph"),
    }
)  # fmt: skip


def query_reads(query: tuple[str, dict[str, str]], walk: tuple[Path, ...], own: Path | None) -> Iterator[Read]:
    """
    Tell what a SELECT reads around $this; raise OpaqueError when some pattern is not connected to it.

    A triple matters when its pattern matches together with the patterns of its own group and of the groups around it. So each
    pattern is read from a node that those patterns reach, forwards when they reach its subject.
    """
    text, prefixes = query
    patterns = _patterns(text, tuple(prefixes.items()), own)
    for index, pattern in enumerate(patterns):
        guards = [p for place, p in enumerate(patterns) if place != index and p.group == pattern.group[: len(p.group)]]
        reached = _reach(guards, walk)
        inverse = pattern.subject not in reached
        if inverse and pattern.value not in reached:
            raise OpaqueError
        chain = reached[pattern.value if inverse else pattern.subject]
        yield from steps(pattern.path, chain, inverse=inverse) if pattern.path else [Read(chain, None, inverse)]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A triple pattern, in the group (OPTIONAL, EXISTS, branch of UNION) that it is written in."""

    group: tuple[int, ...]
    subject: Any
    path: Path | None  # nothing for a variable
    value: Any


def _reach(patterns: Sequence[_Pattern], walk: tuple[Path, ...]) -> dict[Any, tuple[Path, ...]]:
    """
    Return a chain from $this to each variable that patterns lead to: forwards as far as possible, then one step backwards.

    A step backwards may start from a hub (a period, an indicator), so it is taken from the node that is farthest from $this.
    """
    from rdflib import BNode, Variable

    found: dict[Any, tuple[Path, ...]] = {Variable("this"): walk}
    usable = [pattern for pattern in patterns if pattern.path is not None]
    while True:
        edges = [(p, p.subject, p.value) for p in usable if p.subject in found and _is_new(p.value, found, (Variable, BNode))]
        if edges:
            pattern, here, there = edges[0]
            found[there] = (*found[here], _of(pattern))
            continue
        edges = [(p, p.value, p.subject) for p in usable if p.value in found and _is_new(p.subject, found, (Variable, BNode))]
        if not edges:
            return found
        pattern, here, there = max(edges, key=lambda edge: len(found[edge[1]]))
        found[there] = (*found[here], Path("inverse", parts=(_of(pattern),)))


def _is_new(node: Any, found: dict[Any, tuple[Path, ...]], kinds: tuple[type, ...]) -> bool:
    return isinstance(node, kinds) and node not in found


def _of(pattern: _Pattern) -> Path:
    if pattern.path is None:
        raise OpaqueError
    return pattern.path


@lru_cache(maxsize=256)
def _patterns(text: str, prefixes: tuple[tuple[str, str], ...], own: Path | None) -> tuple[_Pattern, ...]:
    """Parse a query, which takes rdflib some 20 ms."""
    from pyparsing import ParseException
    from rdflib.plugins.sparql.algebra import translateQuery
    from rdflib.plugins.sparql.parser import parseQuery

    path = own.sparql() if own else ""
    try:
        algebra = translateQuery(parseQuery(text.replace("$PATH", path).replace("?PATH", path)), initNs=dict(prefixes)).algebra
    except (ParseException, ValueError, KeyError) as error:
        raise OpaqueError from error
    found = list(_walk(algebra, (), count()))
    seen = {str(term) for _, triple in found for term in triple}
    if _variables(text) - seen - {"PATH", "this"}:
        raise OpaqueError  # some pattern escaped us
    return tuple(_Pattern(group, subject, _path(predicate), value) for group, (subject, predicate, value) in found)


def _variables(text: str) -> set[str]:
    """Return the variables of a query, but for those that it computes."""
    words = list(tokens(text))
    computed = {token.variable for before, token in pairwise(words) if before.word == "AS"}
    return {token.variable for token in words if token.variable} - computed


def _walk(node: Any, group: tuple[int, ...], numbers: Iterator[int]) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Yield every triple pattern with its group."""
    from rdflib.plugins.sparql.parserutils import CompValue

    if isinstance(node, list | tuple):
        for item in node:
            yield from _walk(item, group, numbers)
    if not isinstance(node, CompValue):
        return
    if node.name in ("Graph", "ServiceGraphPattern"):
        raise OpaqueError
    if node.name == "BGP":
        yield from ((group, triple) for triple in node.get("triples") or ())
    for name, value in node.items():
        if name not in ("triples", "_vars"):
            inside = (*group, next(numbers)) if (node.name, name) in _GROUPS else group
            yield from _walk(vars(node).get(name, value), inside, numbers)  # rdflib keeps the algebra of EXISTS beside its text


def _path(predicate: Any) -> Path | None:
    """Translate a path of rdflib; nothing for a variable."""
    from rdflib import URIRef, Variable, paths

    marks: dict[str, Any] = {"*": "star", "+": "plus", "?": "optional"}
    if isinstance(predicate, URIRef):
        return Path("predicate", str(predicate))
    if isinstance(predicate, Variable):
        return None
    if isinstance(predicate, paths.InvPath):
        return Path("inverse", parts=_parts([predicate.arg]))
    if isinstance(predicate, paths.SequencePath):
        return Path("sequence", parts=_parts(predicate.args))
    if isinstance(predicate, paths.AlternativePath):
        return Path("alternative", parts=_parts(predicate.args))
    if isinstance(predicate, paths.MulPath):
        return Path(marks[str(predicate.mod)], parts=_parts([predicate.path]))
    raise OpaqueError


def _parts(predicates: Iterable[Any]) -> tuple[Path, ...]:
    found = [_path(predicate) for predicate in predicates]
    if any(part is None for part in found):
        raise OpaqueError
    return tuple(part for part in found if part is not None)
