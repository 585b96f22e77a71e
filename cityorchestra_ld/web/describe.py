"""Collect what the visible graphs say about a resource: its own triples, its nested nodes, the links to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol, TypeGuard

import pyoxigraph as ox

from cityorchestra_ld.namespaces import GEO, REUSED

Node = ox.NamedNode | ox.BlankNode
Object = ox.NamedNode | ox.BlankNode | ox.Literal

GENID: Final = ".well-known/genid/"
_SHAPES: Final = frozenset(GEO + name for name in ("hasGeometry", "hasDefaultGeometry", "hasCentroid", "hasBoundingBox"))
_PARTS: Final = frozenset(
    REUSED[prefix] + name
    for prefix, name in (
        ("dct", "rights"),
        ("dct", "temporal"),
        ("dcat", "distribution"),
        ("dcat", "contactPoint"),
        ("spdx", "checksum"),
        ("prov", "qualifiedAssociation"),
    )
)
OWNING: Final = _SHAPES | _PARTS  # properties that may lead to a part of their owner
_NESTED = 500  # skolemised nodes in one description
_USES = 100  # triples that stand for an IRI which nothing describes
_SCANNED = 1_000  # links to a resource that we look at, when we do not know the properties
_EACH = 200  # links to a resource by one property that we count


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
    partial: bool = False


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
        node = ox.NamedNode(self.iri)
        return tuple(quad for quad in self.quads if quad.subject == node)

    @property
    def triples(self) -> list[ox.Triple]:
        """List the triples without their graphs, each once."""
        return list(dict.fromkeys(quad.triple for quad in self.quads))

    @property
    def graphs(self) -> tuple[str, ...]:
        """Name the graphs that say something about it, the one that says most first."""
        return by_weight(name.value for quad in self.own if isinstance(name := quad.graph_name, ox.NamedNode))


def by_weight(graphs: Iterable[str]) -> tuple[str, ...]:
    """
    List each graph once, the one that is named most often first.

    >>> by_weight(["c", "b", "a", "b"])
    ('b', 'a', 'c')
    """
    counts = Counter(graphs)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def is_part(term: object, predicate: str, owner: str) -> TypeGuard[Node]:
    """Tell whether a node is described with its owner: a blank node or its stand-in, a geometry, a part of its record."""
    if isinstance(term, ox.BlankNode):
        return True
    if not isinstance(term, ox.NamedNode):
        return False
    return GENID in term.value or predicate in _SHAPES or (predicate in _PARTS and term.value.startswith(owner + "/"))


def is_unnamed(term: object, predicate: str, owner: str) -> TypeGuard[Node]:
    """Tell whether a node is a blank node or its stand-in."""
    return isinstance(term, ox.BlankNode) or (isinstance(term, ox.NamedNode) and GENID in term.value)


def closure(match: Match, node: Node, follow: Callable[[object, str, str], TypeGuard[Node]] = is_part) -> tuple[ox.Quad, ...]:
    """Collect the quads of a node and of the nodes that are part of it (a concise bounded description)."""
    found: dict[ox.Quad, None] = {}
    waiting: list[Node] = [node]
    seen: set[Node] = {node}
    while waiting and len(seen) <= _NESTED:
        owner = waiting.pop(0)
        for quad in sorted(match(owner, None, None), key=_place):  # as it is kept, in memory or on disk, makes no difference
            found[quad] = None
            target = quad.object
            if target not in seen and follow(target, quad.predicate.value, owner.value):
                seen.add(target)
                waiting.append(target)
    return tuple(found)


def _place(quad: ox.Quad) -> tuple[str, str, str]:
    return quad.predicate.value, str(quad.object), str(quad.graph_name)


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


def inverse(match: Match, iri: str, properties: Sequence[str] | None, shown: int = 10) -> tuple[tuple[Inverse, ...], bool]:
    """
    Collect links to an IRI by property, a bounded number of each; also tell whether there are more than were counted.

    With the properties that occur in the data none is missed; without them only the first links are looked at.
    """
    node = ox.NamedNode(iri)
    groups: dict[str, list[str]] = {}
    first = list(islice(match(None, None, node), _SCANNED + 1))
    partial = len(first) > _SCANNED
    if not partial or properties is None:  # one look-up tells all there is, which is so for nearly every resource
        for quad in first[:_SCANNED]:
            if isinstance(quad.subject, ox.NamedNode):
                groups.setdefault(quad.predicate.value, []).append(quad.subject.value)
    else:
        for name in properties:
            found = islice(match(None, ox.NamedNode(name), node), _EACH + 1)
            groups[name] = [quad.subject.value for quad in found if isinstance(quad.subject, ox.NamedNode)]
    if properties is not None:
        partial = any(len(subjects) > _EACH for subjects in groups.values())
        groups = {name: subjects[:_EACH] for name, subjects in groups.items() if subjects}
    links = []
    for predicate, subjects in sorted(groups.items()):
        unique = sorted(set(subjects))
        links.append(Inverse(predicate, tuple(unique[:shown]), len(unique), len(subjects) >= _EACH))
    return tuple(links), partial


def describe(match: Match, iri: str) -> Description:
    """Describe a resource by what is said of it."""
    return Description(iri=iri, quads=closure(match, ox.NamedNode(iri)))


def with_links(match: Match, description: Description, properties: Sequence[str] | None) -> Description:
    """Add the links to a resource, which pages show."""
    towards, partial = inverse(match, description.iri, properties)
    return replace(description, inverse=towards, partial=partial)
