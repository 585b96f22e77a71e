"""Keep the public default graph as one graph of its own: a set, as SPARQL wants it, and read by one look-up.

The engine reads a default graph of several graphs one after the other: it counts a shared triple once for each, and each
pattern costs a look-up in every graph. SPARQL wants the RDF merge (SPARQL 1.1 Query, section 13.1). So a generation holds the
merge of its public graphs in one hidden graph, and a plain query is given this graph in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from cityorchestra_ld.model import DEFAULT_ROLES, Access, GraphInfo, View
from cityorchestra_ld.store.generations import Layout, Merged
from cityorchestra_ld.store.snapshots import in_step, merged_lines, write_snapshot

MERGED: Final = "urn:cityorchestra:merged"  # never in a list of named graphs, so no query can name it
_LARGE: Final = 500_000  # triples from which a graph is not copied into the merge


def members(graphs: Mapping[str, GraphInfo]) -> tuple[GraphInfo, ...]:
    """List the graphs of the public default graph."""
    return tuple(
        graphs[name] for name in sorted(graphs) if graphs[name].access is Access.PUBLIC and graphs[name].role in DEFAULT_ROLES
    )


def default_graphs(view: View, merged: Merged | None) -> list[str]:
    """Name the graphs to give to the engine as the default graph of a view."""
    if merged is None or not set(merged.members) <= set(view.default_graphs):
        return list(view.default_graphs)
    beside = [merged.beside] if merged.beside else []
    return [MERGED, *beside, *(name for name in view.default_graphs if name not in merged.members)]


def merge(layout: Layout, graphs: Mapping[str, GraphInfo]) -> Merged | None:
    """
    Keep the merge of the public graphs; nothing when there is only one, which is its own merge.

    Where one graph is most of it, only what the others add to this one is kept: the two have no triple in common.
    """
    listed = [info for info in members(graphs) if info.triples]
    if len(listed) < 2:
        return None
    beside = _beside(listed)
    content = write_snapshot(layout, _lines(layout, listed, beside))
    return Merged(
        members=tuple(info.graph for info in members(graphs)), sha256=content.sha256, triples=content.triples,
        beside=beside.graph if beside else None,
    )  # fmt: skip


def _beside(listed: Sequence[GraphInfo]) -> GraphInfo | None:
    """Return the graph that is not worth a second copy."""
    largest = max(listed, key=lambda info: info.triples)
    return largest if largest.triples >= _LARGE and 2 * largest.triples > sum(info.triples for info in listed) else None


def _lines(layout: Layout, listed: Sequence[GraphInfo], beside: GraphInfo | None) -> Iterator[list[bytes]]:
    """Yield the lines of all graphs, sorted, each once, without those of the one beside."""
    with ExitStack() as stack:
        if beside is None:
            yield from merged_lines([layout.snapshot(info.sha256) for info in listed], stack)
            return
        files = [layout.snapshot(info.sha256) for info in (beside, *(info for info in listed if info != beside))]
        for known, *others in in_step(files, stack):
            if any(others):
                yield sorted(set().union(*others).difference(known))
