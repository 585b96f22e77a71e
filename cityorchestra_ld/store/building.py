"""Decide the cheaper way to make the RDF store of a new generation, and make it: by difference from its parent, or anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation, GraphInfo
from cityorchestra_ld.store import merge, writing
from cityorchestra_ld.store.generations import Layout, Merged, read_manifest
from cityorchestra_ld.store.snapshots import Difference, compare, keep_snapshot

_REMOVAL_COST: Final = 3.0  # taking one triple away, against loading one; measured
_CHURN: Final = 10_000  # triples changed by differences that a small store bears before it is rebuilt

Comparing = Callable[[Path | None, Path | None, Path, str], Difference]


@dataclass(frozen=True, slots=True)
class Built:
    """How a generation was made."""

    method: str
    removed: int
    inserted: int
    churn: int
    merged: Merged | None


def build(
    layout: Layout,
    work: Path,
    parent: Generation | None,
    before: Mapping[str, GraphInfo],
    after: Mapping[str, GraphInfo],
    compare: Comparing = compare,
) -> Built:
    """Make `work/generation/db` hold the graphs of `after`; raise StoreError when a count is not what it should be."""
    target = work / "generation" / "db"
    if parent is None:
        return _rebuild(layout, target, before, after, merge.merge(layout, after))
    manifest = read_manifest(parent.path)
    differences = _differences(layout, work, parent, before, after, compare)
    merged = _merged(layout, parent, manifest.merged, before, after)
    old, new = with_merged(before, manifest.merged), with_merged(after, merged)
    hidden = _differences(layout, work, parent, _only(old), _only(new), compare)
    changed = [*differences.items(), *hidden.items()]
    removed = sum(difference.removed for _, difference in changed)
    inserted = sum(difference.inserted for _, difference in changed)
    total = sum(info.triples for info in new.values())
    churn = manifest.churn + removed + inserted
    if removed * _REMOVAL_COST + inserted <= total and churn <= max(total, _CHURN):
        writing.change(parent.path / "db", target, changed, old, new)
        return Built("difference" if changed else "unchanged", removed, inserted, churn, merged)
    for info in after.values():
        require_snapshot(layout, parent, info)
    return _rebuild(layout, target, before, after, merged)


def _rebuild(
    layout: Layout, target: Path, before: Mapping[str, GraphInfo], after: Mapping[str, GraphInfo], merged: Merged | None
) -> Built:
    graphs = with_merged(after, merged)
    writing.rebuild(layout, target, graphs.values())
    writing.check_counts(target, graphs.values())
    removed, inserted = (sum(info.triples for info in infos.values()) for infos in (before, after))
    return Built("rebuild", removed, inserted, 0, merged)


def _merged(
    layout: Layout,
    parent: Generation,
    known: Merged | None,
    before: Mapping[str, GraphInfo],
    after: Mapping[str, GraphInfo],
) -> Merged | None:
    """Merge the public graphs anew when one of them changed."""
    old = {info.graph: _content(info) for info in merge.members(before)}
    new = {info.graph: _content(info) for info in merge.members(after)}
    if old == new:
        return known
    for info in merge.members(after):
        require_snapshot(layout, parent, info)
    return merge.merge(layout, after)


def _differences(
    layout: Layout,
    work: Path,
    parent: Generation,
    before: Mapping[str, GraphInfo],
    after: Mapping[str, GraphInfo],
    compare: Comparing,
) -> dict[str, Difference]:
    """Compare the graphs whose content is not the same."""
    result: dict[str, Difference] = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if _content(old) != _content(new):
            if old is not None:
                require_snapshot(layout, parent, old)
            files = [layout.snapshot(info.sha256) if info else None for info in (old, new)]
            label = "merged" if name == merge.MERGED else str(len(result))
            result[name] = compare(files[0], files[1], work, label)
    return result


def _content(info: GraphInfo | None) -> str | None:
    return info.sha256 if info and info.triples else None


def with_merged(graphs: Mapping[str, GraphInfo], merged: Merged | None) -> dict[str, GraphInfo]:
    """Add the hidden graph to the graphs of a generation."""
    if merged is None:
        return dict(graphs)
    hidden = GraphInfo(graph=merge.MERGED, role="data", triples=merged.triples, sha256=merged.sha256)
    return {**graphs, merge.MERGED: hidden}


def _only(graphs: Mapping[str, GraphInfo]) -> dict[str, GraphInfo]:
    return {name: info for name, info in graphs.items() if name == merge.MERGED}


def require_snapshot(layout: Layout, generation: Generation, info: GraphInfo) -> None:
    """Have the snapshot of a published graph, from its generation when the file is lost; StoreError when that has changed."""
    if layout.snapshot(info.sha256).exists():
        return
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder:
        dump = Path(folder) / "graph.nt"
        store = ox.Store.read_only(str(generation.path / "db"))
        store.dump(str(dump), ox.RdfFormat.N_TRIPLES, from_graph=ox.NamedNode(info.graph))
        made = keep_snapshot(layout, dump, lambda label: f"urn:blank:{label}")  # no blank node ever enters a store
    if made.sha256 != info.sha256:
        raise StoreError(
            Text(
                f"Le graphe <{info.graph}> de la génération {generation.number} n'est plus ce qui a été publié.",
                f"The graph <{info.graph}> of generation {generation.number} is not what was published any more.",
            ),
            hint=Text("Voyez `cityorchestra doctor`.", "See `cityorchestra doctor`."),
        )
