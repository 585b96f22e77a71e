"""A graph as it is before and after a change, read by index and not by scanning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol, TypeAlias

import pyoxigraph as ox

from cityorchestra_ld.validation.graph import Node, Term
from cityorchestra_ld.validation.paths import Path

Triple: TypeAlias = tuple[Node, str, Term]


class Reader(Protocol):
    """A graph that can be asked for the triples of a subject or of an object."""

    def outgoing(self, subject: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples of a subject, with one predicate or with any."""
        ...

    def incoming(self, value: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples that point at a term, with one predicate or with any."""
        ...

    def having(self, predicate: str) -> Iterable[Triple]:
        """Return every triple with a predicate."""
        ...

    def canonical(self, triples: Iterable[Triple]) -> frozenset[Triple]:
        """Return triples as this graph writes them."""
        ...


class Triples:
    """Triples in memory, indexed both ways."""

    def __init__(self, triples: Iterable[Triple] = ()) -> None:
        self.all: set[Triple] = set()
        self._out: dict[Term, dict[str, set[Triple]]] = {}
        self._in: dict[Term, dict[str, set[Triple]]] = {}
        for triple in triples:
            self.add(triple)

    def add(self, triple: Triple) -> None:
        """Add one triple."""
        subject, predicate, value = triple
        self.all.add(triple)
        self._out.setdefault(subject, {}).setdefault(predicate, set()).add(triple)
        self._in.setdefault(value, {}).setdefault(predicate, set()).add(triple)

    def outgoing(self, subject: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples of a subject, with one predicate or with any."""
        return _chosen(self._out.get(subject, {}), predicate)

    def incoming(self, value: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples that point at a term, with one predicate or with any."""
        return _chosen(self._in.get(value, {}), predicate)

    def having(self, predicate: str) -> Iterable[Triple]:
        """Return every triple with a predicate."""
        return (triple for triple in self.all if triple[1] == predicate)

    def canonical(self, triples: Iterable[Triple]) -> frozenset[Triple]:
        """Return the triples: memory keeps terms as they are."""
        return frozenset(triples)


def _chosen(found: dict[str, set[Triple]], predicate: str | None) -> Iterable[Triple]:
    if predicate is not None:
        return found.get(predicate, ())
    return (triple for triples in found.values() for triple in triples)


class StoreReader:
    """Some graphs of an Oxigraph store, or all, as one graph; the store writes some literals its own way."""

    def __init__(self, store: ox.Store, graphs: Sequence[str] | None = None) -> None:
        self._store = store
        self._graphs = None if graphs is None else tuple(ox.NamedNode(name) for name in graphs)
        self._names = frozenset(self._graphs or ())

    def outgoing(self, subject: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples of a subject, with one predicate or with any."""
        if isinstance(subject, ox.Literal):
            return ()
        if self._graphs is None or len(self._graphs) < 3:
            return self._match(subject, predicate, None)
        # A subject has few triples: one search in all graphs is cheaper than one search in each.
        named = ox.NamedNode(predicate) if predicate is not None else None
        found = self._store.quads_for_pattern(subject, named, None)
        return triples_of(quad for quad in found if quad.graph_name in self._names)

    def incoming(self, value: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples that point at a term, with one predicate or with any."""
        return self._match(None, predicate, value)

    def having(self, predicate: str) -> Iterable[Triple]:
        """Return every triple with a predicate."""
        return self._match(None, predicate, None)

    def canonical(self, triples: Iterable[Triple]) -> frozenset[Triple]:
        """Return triples as the store writes them."""
        small = ox.Store()
        small.extend(ox.Quad(subject, ox.NamedNode(predicate), value) for subject, predicate, value in triples)
        return frozenset(triples_of(small.quads_for_pattern(None, None, None)))

    def _match(self, subject: Node | None, predicate: str | None, value: Term | None) -> Iterator[Triple]:
        named = ox.NamedNode(predicate) if predicate is not None else None
        if self._graphs is None:
            return triples_of(self._store.quads_for_pattern(subject, named, value))
        return chain.from_iterable(
            triples_of(self._store.quads_for_pattern(subject, named, value, graph)) for graph in self._graphs
        )


def triples_of(quads: Iterable[ox.Quad]) -> Iterator[Triple]:
    """Yield the triples of quads, but for those that quote a triple."""
    for quad in quads:
        if not isinstance(quad.subject, ox.Triple) and not isinstance(quad.object, ox.Triple):
            yield quad.subject, quad.predicate.value, quad.object


class TooMuchError(Exception):
    """A change reaches so far that looking at everything is cheaper."""


class Remembering:
    """A graph of which nothing is read twice, and not more than so many triples."""

    def __init__(self, graph: Reader, most: int | None = None) -> None:
        self._graph = graph
        self._left = most
        self._known: dict[tuple[Term, str | None, bool], tuple[Triple, ...]] = {}

    def edges(self, node: Term, predicate: str | None, *, inverse: bool) -> tuple[Triple, ...]:
        """Return the triples that leave a node, or enter it; raise TooMuchError over the bound."""
        key = (node, predicate, inverse)
        found = self._known.get(key)
        if found is None:
            triples = self._graph.incoming(node, predicate) if inverse else self._graph.outgoing(node, predicate)
            found = self._known[key] = self._bounded(triples)
        return found

    def holds(self, predicate: str, value: Term | None = None) -> bool:
        """Tell whether there is any triple with a predicate, and with an object if given."""
        found = self._graph.having(predicate) if value is None else self._graph.incoming(value, predicate)
        return next(iter(found), None) is not None

    def having(self, predicate: str) -> tuple[Triple, ...]:
        """Return every triple with a predicate; raise TooMuchError over the bound."""
        return self._bounded(self._graph.having(predicate))

    def _bounded(self, triples: Iterable[Triple]) -> tuple[Triple, ...]:
        if self._left is None:
            return tuple(triples)
        found = tuple(islice(triples, self._left + 1))
        self._left -= len(found)
        if self._left < 0:
            raise TooMuchError
        return found


class Changed:
    """
    A graph with triples added and triples hidden, and another beside it that does not change.

    With nothing hidden it is the union of before and after.
    """

    def __init__(
        self, base: Remembering, added: Triples, hidden: frozenset[Triple] = frozenset(), beside: Remembering | None = None
    ) -> None:
        self._base, self._added, self._hidden, self._beside = base, added, hidden, beside
        self._known: dict[tuple[Term, str | None, bool], tuple[Triple, ...]] = {}

    def edges(self, node: Term, predicate: str | None, *, inverse: bool) -> tuple[Triple, ...]:
        """Return the triples that leave a node, or enter it."""
        key = (node, predicate, inverse)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(self._edges(node, predicate, inverse=inverse))
        return found

    def _edges(self, node: Term, predicate: str | None, *, inverse: bool) -> Iterable[Triple]:
        base = self._base.edges(node, predicate, inverse=inverse)
        new = tuple(self._added.incoming(node, predicate) if inverse else self._added.outgoing(node, predicate))
        beside = self._beside.edges(node, predicate, inverse=inverse) if self._beside is not None else ()
        if base and self._hidden:
            base = tuple(triple for triple in base if triple not in self._hidden)
        return {*base, *new, *beside} if bool(base) + bool(new) + bool(beside) > 1 else base or new or beside

    def holds(self, predicate: str, value: Term | None = None) -> bool:
        """Tell whether there is any triple with a predicate, and with an object if given; hidden ones count."""
        new = self._added.having(predicate) if value is None else self._added.incoming(value, predicate)
        graphs = (self._base, self._beside) if self._beside is not None else (self._base,)
        return next(iter(new), None) is not None or any(graph.holds(predicate, value) for graph in graphs)

    def having(self, predicate: str) -> set[Triple]:
        """Return every triple with a predicate."""
        found = {t for t in self._base.having(predicate) if t not in self._hidden} | set(self._added.having(predicate))
        return found | set(self._beside.having(predicate)) if self._beside is not None else found

    def walk(self, nodes: Iterable[Term], path: Path, *, back: bool = False) -> set[Term]:
        """Return where a path leads from nodes; `back`: the nodes from which it leads to them."""
        match path.operator:
            case "predicate":
                found = {triple for node in nodes for triple in self.edges(node, path.iri, inverse=back)}
                return {subject if back else value for subject, _, value in found}
            case "inverse":
                return self.walk(nodes, path.parts[0], back=not back)
            case "sequence":
                reached = set(nodes)
                for part in reversed(path.parts) if back else path.parts:
                    reached = self.walk(reached, part, back=back)
                return reached
            case "alternative":
                starts = set(nodes)
                return {node for part in path.parts for node in self.walk(starts, part, back=back)}
            case _:
                return self._repeat(set(nodes), path, back=back)

    def _repeat(self, nodes: set[Term], path: Path, *, back: bool) -> set[Term]:
        found = set() if path.operator == "plus" else set(nodes)
        front = nodes
        while front:
            front = self.walk(front, path.parts[0], back=back) - found
            found |= front
            if path.operator == "optional":
                break
        return found
