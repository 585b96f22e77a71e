"""Build the RDF store of a generation in a staging folder: by difference from its parent, or anew from snapshots."""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import pyoxigraph as ox
import zstandard

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.store.hidden import HIDDEN, Graph, graph_of
from cityorchestra_ld.store.snapshots import Difference, read_lines

_SMALL: Final = 5_000  # triples that a transaction inserts faster than a bulk load
_OWN_LOAD: Final = 100_000  # triples from which a graph gets a bulk load of its own
_OPTIMIZE: Final = 1_000_000
_PART: Final = 32_000_000  # bytes of one bulk load
_AT_ONCE: Final = 2
_FEW: Final = 10  # a change of less than this part of a graph is checked triple by triple, a larger one by a count
_COUNT: Final = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"


@contextmanager
def writable(path: Path) -> Iterator[ox.Store]:
    """Open a store for writing, after sweeping what a killed bulk load left; flush and close it at the end."""
    for leftover in path.glob("bulk-*.sst"):
        leftover.unlink()
    store = ox.Store(str(path))
    try:
        yield store
        store.flush()
    finally:
        del store  # the last reference: this closes the files


def change(
    parent: Path,
    target: Path,
    changes: Sequence[tuple[str, Difference]],
    before: Mapping[str, GraphInfo],
    after: Mapping[str, GraphInfo],
) -> None:
    """
    Link the parent's files into `target`, then take away and add what changed in each graph.

    Raises StoreError when a graph does not hold what it should: a small change is checked triple by triple, a large one by the
    count of the graph.
    """
    ox.Store.read_only(str(parent)).backup(str(target))
    counted = [after[name] for name, difference in changes if name in after and not _is_small(difference, after[name])]
    for info, found in _apply(target, changes, before, after):  # raised here, when the files are closed
        _require(found, info)
    check_counts(target, counted)


def _apply(
    target: Path, changes: Sequence[tuple[str, Difference]], before: Mapping[str, GraphInfo], after: Mapping[str, GraphInfo]
) -> list[tuple[GraphInfo, int]]:
    """Change the graphs; return how many triples those hold that are checked triple by triple."""
    found = []
    with writable(target) as store:
        for graph, difference in changes:
            name, info = graph_of(graph), after.get(graph)
            checked = info if info is not None and _is_small(difference, info) else None
            wrong = _wrong(store, name, difference.removals, difference.insertions) if checked else 0
            _subtract(store, name, difference)
            _add(store, name, difference)
            wrong += _wrong(store, name, difference.insertions, difference.removals) if checked else 0
            if checked is not None:
                held = before[graph].triples if graph in before else 0
                found.append((checked, held - difference.removed + difference.inserted - wrong))
        if sum(difference.inserted for _, difference in changes) >= _OPTIMIZE:
            store.optimize()
    return found


def _is_small(difference: Difference, info: GraphInfo) -> bool:
    return _FEW * (difference.removed + difference.inserted) <= info.triples


def _wrong(store: ox.Store, graph: Graph, there: Path, away: Path) -> int:
    """Count the triples that should be in a graph and are not, and those that should not and are."""
    missing = sum(_in_graph(quad, graph) not in store for quad in _parse(there))
    return missing + sum(_in_graph(quad, graph) in store for quad in _parse(away))


def _in_graph(quad: ox.Quad, graph: Graph) -> ox.Quad:
    return ox.Quad(quad.subject, quad.predicate, quad.object, graph)


def _subtract(store: ox.Store, graph: Graph, difference: Difference) -> None:
    if difference.removed:
        for quad in _parse(difference.removals):
            store.remove(_in_graph(quad, graph))
    if not difference.inserted and next(store.quads_for_pattern(None, None, None, graph), None) is None:
        store.remove_graph(graph)  # empty: this only forgets the name


def _add(store: ox.Store, graph: Graph, difference: Difference) -> None:
    if 0 < difference.inserted <= _SMALL:
        store.extend(_in_graph(quad, graph) for quad in _parse(difference.insertions))
    elif difference.inserted:
        store.bulk_load(path=str(difference.insertions), format=ox.RdfFormat.N_TRIPLES, to_graph=graph, lenient=True)


def _parse(path: Path) -> Iterator[ox.Quad]:
    return iter(ox.parse(path=str(path), format=ox.RdfFormat.N_TRIPLES, lenient=True))


def rebuild(layout: Layout, target: Path, graphs: Iterable[GraphInfo]) -> None:
    """Load every graph from its snapshot into a fresh store; large graphs one by one, small ones in one stream."""
    listed = [info for info in graphs if info.triples]
    with writable(target) as store:
        for info in listed:
            if info.triples >= _OWN_LOAD:
                with zstandard.open(layout.snapshot(info.sha256), "rb") as lines:
                    _load(store, lines, graph_of(info.graph))
        small = [info for info in listed if info.triples < _OWN_LOAD]
        if small:
            stream = cast("io.BufferedIOBase", _Stream(_quads(layout, small)))
            store.bulk_load(stream, ox.RdfFormat.N_QUADS, lenient=True)  # type: ignore[arg-type]
        if sum(info.triples for info in listed) >= _OPTIMIZE:
            store.optimize()


def _load(store: ox.Store, lines: BinaryIO, graph: Graph) -> None:
    """Load in parts, two at once: the memory of a bulk load grows with what it is given."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[Future[None]] = deque()
        for part in _parts(lines):
            if len(waiting) == _AT_ONCE:
                waiting.popleft().result()
            waiting.append(pool.submit(store.bulk_load, part, ox.RdfFormat.N_TRIPLES, to_graph=graph, lenient=True))
        while waiting:
            waiting.popleft().result()


def _parts(lines: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while data := lines.read(_PART):
        head, mark, tail = data.rpartition(b"\n")
        if mark:
            yield b"".join((rest, head, mark))
            rest = tail
        else:
            rest += data
    if rest:
        yield rest


def _quads(layout: Layout, graphs: Sequence[GraphInfo]) -> Iterator[bytes]:
    """Yield blocks of N-Quads: each line of each snapshot with the name of its graph before the final dot."""
    for info in graphs:
        name = " .\n" if info.graph == HIDDEN else f" {ox.NamedNode(info.graph)} .\n"
        with ExitStack() as stack:
            lines = read_lines(layout.snapshot(info.sha256), stack)
            while batch := list(itertools.islice(lines, 2_000)):
                yield "".join([line[:-3] + name for line in batch]).encode()


class _Stream(io.RawIOBase):
    """Blocks of bytes as a file to read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, nothing at the end."""
        if not self._rest:
            self._rest = next(self._blocks, b"")
        cut = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data


def count(store: ox.Store, graph: str) -> int:
    """Count the triples of a graph."""
    rows = cast("ox.QuerySolutions", store.query(_COUNT, default_graph=[graph_of(graph)], named_graphs=[]))
    return int(cast("ox.Literal", next(rows)[0]).value)


def check_counts(database: Path, graphs: Iterable[GraphInfo]) -> None:
    """Compare the store with what its manifest will say; raise StoreError at the first graph that differs."""
    store = ox.Store.read_only(str(database))
    for info in graphs:
        _require(count(store, info.graph), info)


def _require(found: int, info: GraphInfo) -> None:
    if found != info.triples:
        raise StoreError(
            Text(
                f"Le graphe <{info.graph}> contient {found} triplets au lieu de {info.triples} ; rien n'est publié.",
                f"The graph <{info.graph}> holds {found} triples instead of {info.triples}; nothing is published.",
            )
        )
