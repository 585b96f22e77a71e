"""Make a default graph of several graphs a set, as SPARQL wants it, when they share triples and are small enough to copy.

The engine reads a default graph of several graphs one after the other, so a triple that two of them hold counts twice. Which
lists of graphs share triples is found out once for each list; only these are copied, into memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

import pyoxigraph as ox

from cityorchestra_ld.store.hidden import Graph

_MOST: Final = 50_000  # triples that are looked at, or copied
_REMEMBERED: Final = 64  # lists of graphs
_COPIES: Final = 2


class Dataset(NamedTuple):
    """The store to ask, and both lists of graphs to give it."""

    store: ox.Store
    default: Sequence[Graph]
    named: Sequence[ox.NamedNode]


class Datasets:
    """The RDF datasets of one store, as queries name them."""

    def __init__(self, store: ox.Store) -> None:
        self._store = store
        self._shared: OrderedDict[tuple[str, ...], bool] = OrderedDict()
        self._copies: OrderedDict[tuple[tuple[str, ...], tuple[str, ...]], ox.Store] = OrderedDict()

    def choose(self, default: Sequence[Graph], named: Sequence[ox.NamedNode], triples: int) -> Dataset:
        """
        Return what to ask for a query on these graphs, which hold so many triples.

        >>> graph, other = ox.NamedNode("urn:g"), ox.NamedNode("urn:h")
        >>> quads = [ox.Quad(graph, graph, graph, name) for name in (graph, other)]
        >>> store = ox.Store()
        >>> store.extend(quads)
        >>> found = Datasets(store).choose([graph, other], [], 2)
        >>> len(list(found.store.query("SELECT * { ?s ?p ?o }", default_graph=list(found.default))))
        1
        """
        if len(default) < 2 or triples > _MOST or not self._share(default):
            return Dataset(self._store, default, named)
        key = (tuple(map(str, default)), tuple(map(str, named)))
        copy = self._copies.pop(key, None) or self._copied(default, named)
        self._copies[key] = copy
        if len(self._copies) > _COPIES:
            self._copies.popitem(last=False)
        return Dataset(copy, [ox.DefaultGraph()], named)

    def _share(self, graphs: Sequence[Graph]) -> bool:
        """Tell whether a triple is in two of these graphs."""
        key = tuple(sorted(map(str, graphs)))
        known = self._shared.get(key)
        if known is None:
            seen: set[ox.Triple] = set()
            count = 0
            for node in graphs:
                triples = [quad.triple for quad in self._store.quads_for_pattern(None, None, None, node)]
                count += len(triples)
                seen.update(triples)
            known = self._shared[key] = count > len(seen)
            if len(self._shared) > _REMEMBERED:
                self._shared.popitem(last=False)
        return known

    def _copied(self, default: Sequence[Graph], named: Sequence[ox.NamedNode]) -> ox.Store:
        copy = ox.Store()
        for name in named:
            copy.add_graph(name)
            copy.bulk_extend(self._store.quads_for_pattern(None, None, None, name))
        for graph in default:
            quads = self._store.quads_for_pattern(None, None, None, graph)
            copy.bulk_extend(ox.Quad(quad.subject, quad.predicate, quad.object) for quad in quads)
        return copy
