"""A graph as it is before and after a change, read by index and not by scanning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    """All graphs of an Oxigraph store as one graph; the store writes some literals its own way."""

    def __init__(self, store: ox.Store) -> None:
        self._store = store

    def outgoing(self, subject: Term, predicate: str | None) -> Iterable[Triple]:
        """Return the triples of a subject, with one predicate or with any."""
        return () if isinstance(subject, ox.Literal) else self._match(subject, predicate, None)

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
        return frozenset(_triples(small.quads_for_pattern(None, None, None)))

    def _match(self, subject: Node | None, predicate: str | None, value: Term | None) -> Iterator[Triple]:
        named = ox.NamedNode(predicate) if predicate is not None else None
        return _triples(self._store.quads_for_pattern(subject, named, value))


def _triples(quads: Iterable[ox.Quad]) -> Iterator[Triple]:
    for quad in quads:
        if not isinstance(quad.subject, ox.Triple) and not isinstance(quad.object, ox.Triple):
            yield quad.subject, quad.predicate.value, quad.object


class Changed:
    """A graph with triples added and triples hidden; with nothing hidden it is the union of before and after."""

    def __init__(self, base: Reader, added: Triples, hidden: frozenset[Triple]) -> None:
        self._base, self._added, self._hidden = base, added, hidden
        self._known: dict[tuple[Term, str | None, bool], tuple[Triple, ...]] = {}

    def edges(self, node: Term, predicate: str | None, *, inverse: bool) -> tuple[Triple, ...]:
        """Return the triples that leave a node, or enter it; what was read once is not read again."""
        key = (node, predicate, inverse)
        found = self._known.get(key)
        if found is None:
            sources = (self._base, self._added)
            triples = (t for s in sources for t in (s.incoming(node, predicate) if inverse else s.outgoing(node, predicate)))
            found = tuple({t for t in triples if t not in self._hidden or t in self._added.all})
            self._known[key] = found
        return found

    def having(self, predicate: str) -> set[Triple]:
        """Return every triple with a predicate."""
        return {t for t in self._base.having(predicate) if t not in self._hidden} | set(self._added.having(predicate))

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
