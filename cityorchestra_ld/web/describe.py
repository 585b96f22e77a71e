"""Collect what the visible graphs say about a resource: its own triples, its nested nodes, the links to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol

import pyoxigraph as ox

Node = ox.NamedNode | ox.BlankNode
Object = ox.NamedNode | ox.BlankNode | ox.Literal

GENID: Final = ".well-known/genid/"
_NESTED = 500  # skolemised nodes in one description
_USES = 100  # triples that stand for an IRI which nothing describes
_SCANNED = 5_000  # inverse links that we look at


class Match(Protocol):
    """Find quads by pattern, in the graphs that may be seen."""

    def __call__(self, subject: Node | None, predicate: ox.NamedNode | None, object_: Object | None, /) -> Iterator[ox.Quad]:
        """Yield the quads that match; the iterator stays in this thread."""


@dataclass(frozen=True, slots=True)
class Inverse:
    """Links to a resource by one property: a few of them, and how many were seen."""

    predicate: str
    subjects: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of one resource."""

    iri: str
    quads: tuple[ox.Quad, ...]  # about the resource itself, and about the nodes nested in it
    inverse: tuple[Inverse, ...] = ()
    partial: bool = False  # there are more links to it than we counted

    @property
    def own(self) -> tuple[ox.Quad, ...]:
        """List the quads whose subject is the resource itself."""
        return tuple(quad for quad in self.quads if isinstance(quad.subject, ox.NamedNode) and quad.subject.value == self.iri)

    @property
    def triples(self) -> list[ox.Triple]:
        """List the triples without their graphs, each once."""
        return list(dict.fromkeys(quad.triple for quad in self.quads))

    @property
    def graphs(self) -> tuple[str, ...]:
        """Name the graphs that say something about it."""
        return tuple(sorted({quad.graph_name.value for quad in self.own if isinstance(quad.graph_name, ox.NamedNode)}))


def is_nested(term: object) -> bool:
    """Tell whether a term stands for a blank node of the source: described with its owner, not by itself."""
    return isinstance(term, ox.BlankNode) or (isinstance(term, ox.NamedNode) and GENID in term.value)


def closure(match: Match, node: Node) -> tuple[ox.Quad, ...]:
    """Collect the quads of a node and of the nested nodes that hang from it (a concise bounded description)."""
    found: dict[ox.Quad, None] = {}
    waiting: list[Node] = [node]
    seen: set[Node] = {node}
    while waiting and len(seen) <= _NESTED:
        for quad in match(waiting.pop(0), None, None):
            found[quad] = None
            target = quad.object
            if isinstance(target, ox.NamedNode | ox.BlankNode) and is_nested(target) and target not in seen:
                seen.add(target)
                waiting.append(target)
    return tuple(found)


def exists(match: Match, iri: str) -> bool:
    """Tell whether anything is said about an IRI."""
    return next(match(ox.NamedNode(iri), None, None), None) is not None


def is_mentioned(match: Match, iri: str) -> bool:
    """Tell whether any triple has an IRI as its object or its predicate."""
    node = ox.NamedNode(iri)
    return next(match(None, None, node), None) is not None or next(match(None, node, None), None) is not None


def uses(match: Match, iri: str) -> tuple[ox.Triple, ...]:
    """Collect a few triples that mention an IRI which nothing describes."""
    node = ox.NamedNode(iri)
    found = (quad.triple for pattern in ((None, None, node), (None, node, None)) for quad in match(*pattern))
    return tuple(dict.fromkeys(islice(found, _USES)))


def inverse(match: Match, iri: str, shown: int = 10) -> tuple[tuple[Inverse, ...], bool]:
    """Collect links to an IRI by property, a bounded number of them; also tell whether there are more."""
    groups: dict[str, list[str]] = {}
    scanned = 0
    for quad in islice(match(None, None, ox.NamedNode(iri)), _SCANNED + 1):
        scanned += 1
        if isinstance(quad.subject, ox.NamedNode) and scanned <= _SCANNED:
            groups.setdefault(quad.predicate.value, []).append(quad.subject.value)
    links = []
    for predicate, subjects in sorted(groups.items()):
        unique = list(dict.fromkeys(subjects))
        links.append(Inverse(predicate, tuple(unique[:shown]), len(unique)))
    return tuple(links), scanned > _SCANNED


def describe(match: Match, iri: str) -> Description:
    """Describe a resource by what is said of it."""
    return Description(iri=iri, quads=closure(match, ox.NamedNode(iri)))


def with_links(match: Match, description: Description) -> Description:
    """Add the links to a resource, which pages show."""
    towards, partial = inverse(match, description.iri)
    return replace(description, inverse=towards, partial=partial)
