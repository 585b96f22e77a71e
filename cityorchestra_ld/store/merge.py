"""Keep the public default graph as one graph of its own: a set, as SPARQL wants it, and read by one look-up.

The engine reads a default graph of several graphs one after the other: it counts a shared triple once for each, and each
pattern costs a look-up in every graph. SPARQL wants the RDF merge (SPARQL 1.1 Query, section 13.1). So a generation holds the
merge of its public graphs in the default graph of the engine, whose indexes are the shortest, and a plain query is given this
graph in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from cityorchestra_ld.model import DEFAULT_ROLES, Access, GraphInfo, View
from cityorchestra_ld.store.generations import Layout, Merged
from cityorchestra_ld.store.hidden import HIDDEN
from cityorchestra_ld.store.snapshots import merged_lines, write_snapshot


def members(graphs: Mapping[str, GraphInfo]) -> tuple[GraphInfo, ...]:
    """List the graphs of the public default graph."""
    return tuple(
        graphs[name] for name in sorted(graphs) if graphs[name].access is Access.PUBLIC and graphs[name].role in DEFAULT_ROLES
    )


def default_graphs(view: View, merged: Merged | None) -> list[str]:
    """Name the graphs to give to the engine as the default graph of a view."""
    known = set(merged.members if merged else ())
    if merged is None or not known.issubset(view.default_graphs):
        return list(view.default_graphs)
    beside = [merged.beside] if merged.beside else []
    return [merged.graph, *beside, *(name for name in view.default_graphs if name not in known)]


def merge(layout: Layout, graphs: Mapping[str, GraphInfo]) -> Merged | None:
    """Keep the merge of the public graphs; nothing when there is only one, which is its own merge."""
    listed = [info for info in members(graphs) if info.triples]
    if len(listed) < 2:
        return None
    content = write_snapshot(layout, _lines(layout, listed))
    everyone = tuple(info.graph for info in members(graphs))
    return Merged(members=everyone, sha256=content.sha256, triples=content.triples, graph=HIDDEN)


def _lines(layout: Layout, listed: Sequence[GraphInfo]) -> Iterator[list[bytes]]:
    """Yield the lines of all graphs, sorted, each once."""
    with ExitStack() as stack:
        yield from merged_lines([layout.snapshot(info.sha256) for info in listed], stack)
