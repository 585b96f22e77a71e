"""Decide the cheaper way to make the RDF store of a new generation, and make it: by difference from its parent, or anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast

import pyoxigraph as ox
import zstandard

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation, GraphInfo
from cityorchestra_ld.store import merge, names, writing
from cityorchestra_ld.store.generations import Layout, Merged, read_manifest
from cityorchestra_ld.store.hidden import HIDDEN, graph_of
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
    hidden = _differences(layout, work, parent, _apart(manifest.merged), _apart(merged), compare, "hidden-")
    changed = [*differences.items(), *hidden.items()]
    removed = sum(difference.removed for _, difference in changed)
    inserted = sum(difference.inserted for _, difference in changed)
    total = sum(info.triples for info in new.values())
    churn = manifest.churn + removed + inserted
    if removed * _REMOVAL_COST + inserted <= total and churn <= max(total, _CHURN):
        with _beside(partial(_follow_names, layout, parent, differences, target, after)):
            writing.change(parent.path / "db", target, changed, old, new)
        return Built("difference" if changed else "unchanged", removed, inserted, churn, merged)
    for info in after.values():
        require_snapshot(layout, parent, info)
    return _rebuild(layout, target, before, after, merged)


@contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread of its own meanwhile; what it raises is raised at the end."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield
        done.result()


def _make_names(layout: Layout, target: Path, after: Mapping[str, GraphInfo]) -> None:
    """Write the index of names of a generation anew."""
    listed = [info for info in after.values() if info.triples and info.graph != HIDDEN]
    names.make(((info.graph, _names(layout.snapshot(info.sha256))) for info in listed), target.with_name(names.FILE))


def _follow_names(
    layout: Layout, parent: Generation, changes: Mapping[str, Difference], target: Path, after: Mapping[str, GraphInfo]
) -> None:
    """Write the index of names as the parent's with what changed; anew when much did, or the parent has none."""
    known = parent.path / names.FILE
    if names.can_follow(known, changes.values(), sum(info.triples for info in after.values())):
        names.follow(known, target.with_name(names.FILE), changes)
        return
    for info in after.values():
        require_snapshot(layout, parent, info)
    _make_names(layout, target, after)


def _names(snapshot: Path) -> Iterator[names.Name]:
    with zstandard.open(snapshot, "rb") as lines:
        yield from names.names_of(cast("BinaryIO", lines))


def _rebuild(
    layout: Layout, target: Path, before: Mapping[str, GraphInfo], after: Mapping[str, GraphInfo], merged: Merged | None
) -> Built:
    fill(layout, target, with_merged(after, merged))
    removed, inserted = (sum(info.triples for info in infos.values()) for infos in (before, after))
    return Built("rebuild", removed, inserted, 0, merged)


def fill(layout: Layout, target: Path, graphs: Mapping[str, GraphInfo]) -> None:
    """Load graphs from their snapshots into a fresh store, write the index of their names beside it, count."""
    with _beside(partial(_make_names, layout, target, graphs)):
        writing.rebuild(layout, target, graphs.values())
        writing.check_counts(target, graphs.values())


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
    label: str = "",
) -> dict[str, Difference]:
    """Compare the graphs whose content is not the same."""
    result: dict[str, Difference] = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if _content(old) != _content(new):
            if old is not None:
                require_snapshot(layout, parent, old)
            files = [layout.snapshot(info.sha256) if info else None for info in (old, new)]
            result[name] = compare(files[0], files[1], work, f"{label}{len(result)}")
    return result


def _content(info: GraphInfo | None) -> str | None:
    return info.sha256 if info and info.triples else None


def with_merged(graphs: Mapping[str, GraphInfo], merged: Merged | None) -> dict[str, GraphInfo]:
    """Add the hidden graph to the graphs of a generation."""
    return {**graphs, **_apart(merged)}


def _apart(merged: Merged | None) -> dict[str, GraphInfo]:
    if merged is None:
        return {}
    return {merged.graph: GraphInfo(graph=merged.graph, role="data", triples=merged.triples, sha256=merged.sha256)}


def require_snapshot(layout: Layout, generation: Generation, info: GraphInfo) -> None:
    """Have the snapshot of a published graph, from its generation when the file is lost; StoreError when that has changed."""
    if layout.snapshot(info.sha256).exists():
        return
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder:
        dump = Path(folder) / "graph.nt"
        store = ox.Store.read_only(str(generation.path / "db"))
        store.dump(str(dump), ox.RdfFormat.N_TRIPLES, from_graph=graph_of(info.graph))
        made = keep_snapshot(layout, dump, lambda label: f"urn:blank:{label}")  # no blank node ever enters a store
    if made.sha256 != info.sha256:
        raise StoreError(
            Text(
                f"Le graphe <{info.graph}> de la génération {generation.number} n'est plus ce qui a été publié.",
                f"The graph <{info.graph}> of generation {generation.number} is not what was published any more.",
            ),
            hint=Text("Voyez `cityorchestra doctor`.", "See `cityorchestra doctor`."),
        )
