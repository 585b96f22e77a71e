"""Keep the public default graph a set: a triple that two of its graphs hold is answered once, not twice.

The engine reads a default graph of several graphs one after the other, and counts a shared triple once for each; SPARQL wants
the RDF merge (SPARQL 1.1 Query, section 13.1). So where public graphs share triples, the smaller ones are covered by one hidden
graph that holds what only they hold, and a plain query is given this graph in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.model import DEFAULT_ROLES, Access, GraphInfo, View
from cityorchestra_ld.store.generations import Layout, Merged
from cityorchestra_ld.store.snapshots import Difference, in_step, write_snapshot

MERGED: Final = "urn:cityorchestra:merged"  # never in a list of named graphs, so no query can name it
_FEW: Final = 20_000  # inserted triples that are looked up one by one


def members(graphs: Mapping[str, GraphInfo]) -> tuple[GraphInfo, ...]:
    """List the graphs of the public default graph."""
    return tuple(
        graphs[name] for name in sorted(graphs) if graphs[name].access is Access.PUBLIC and graphs[name].role in DEFAULT_ROLES
    )


def default_graphs(view: View, merged: Merged | None) -> list[str]:
    """Name the graphs to give to the engine as the default graph of a view."""
    if merged is None or not set(merged.members) <= set(view.default_graphs):
        return list(view.default_graphs)
    return [name for name in view.default_graphs if name not in merged.covered] + [MERGED]


def merge(layout: Layout, graphs: Mapping[str, GraphInfo]) -> Merged | None:
    """Find public graphs that share triples, cover the smaller ones, and keep what they alone hold; nothing when none share."""
    listed = [info for info in members(graphs) if info.triples]
    files = [layout.snapshot(info.sha256) for info in listed]
    covered = _cover(_shared(files), [(info.triples, info.graph) for info in listed])
    if not covered:
        return None
    content = write_snapshot(layout, _only_in(files, covered))
    return Merged(
        members=tuple(info.graph for info in members(graphs)),
        covered=tuple(listed[index].graph for index in sorted(covered)),
        sha256=content.sha256,
        triples=content.triples,
    )


def _shared(files: Sequence[Path]) -> set[tuple[int, int]]:
    """Find the pairs of files that have a line in common."""
    pairs: set[tuple[int, int]] = set()
    with ExitStack() as stack:
        for ready in in_step(files, stack):
            if len(set().union(*ready)) == sum(map(len, ready)):
                continue
            owners: dict[str, list[int]] = {}
            for index, lines in enumerate(ready):
                for line in lines:
                    owners.setdefault(line, []).append(index)
            pairs.update(pair for having in owners.values() for pair in combinations(having, 2))
    return pairs


def _cover(pairs: set[tuple[int, int]], sizes: Sequence[tuple[int, str]]) -> set[int]:
    """Choose graphs such that each pair has at least one, small ones first."""
    covered: set[int] = set()
    for left, right in sorted(pairs, key=lambda pair: min(sizes[pair[0]], sizes[pair[1]])):
        if left not in covered and right not in covered:
            covered.add(min(left, right, key=lambda index: sizes[index]))
    return covered


def _only_in(files: Sequence[Path], covered: set[int]) -> Iterator[list[str]]:
    """Yield the lines that covered files hold and no other does, sorted."""
    with ExitStack() as stack:
        for ready in in_step(files, stack):
            inside = set().union(*(lines for index, lines in enumerate(ready) if index in covered))
            inside.difference_update(*(lines for index, lines in enumerate(ready) if index not in covered))
            if inside:
                yield sorted(inside)


def surely_disjoint(parent: Path, graphs: Mapping[str, GraphInfo], differences: Mapping[str, Difference]) -> bool:
    """
    Tell whether a small change keeps public graphs without shared triples, when they had none before.

    Looks every inserted triple up in the parent; answers no when that would take long or leaves a doubt.
    """
    public = {info.graph for info in members(graphs)}
    changed = {name: difference for name, difference in differences.items() if name in public and difference.inserted}
    if sum(difference.inserted for difference in changed.values()) > _FEW:
        return False
    store = ox.Store.read_only(str(parent))
    seen: set[ox.Triple] = set()
    for name, difference in changed.items():
        for quad in ox.parse(path=str(difference.insertions), format=ox.RdfFormat.N_TRIPLES, lenient=True):
            elsewhere = store.quads_for_pattern(quad.subject, quad.predicate, quad.object, None)
            names = {str(other.graph_name.value) for other in elsewhere if isinstance(other.graph_name, ox.NamedNode)}
            if quad.triple in seen or (names & public) - {name}:
                return False
            seen.add(quad.triple)
    return True
