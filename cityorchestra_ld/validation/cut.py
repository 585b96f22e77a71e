"""Cut a graph into buckets of focus nodes, each with the triples that shapes can see from them."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cityorchestra_ld.validation.data import Staged, triples
from cityorchestra_ld.validation.navigation import Navigation

_BUCKET: Final = 50_000  # triples
_MOST: Final = 64  # files open at once

Pair = tuple[int, bytes]  # number of a shape, focus node


@dataclass(frozen=True, slots=True)
class Bucket:
    """Some focus nodes and a graph that shows of them what the whole graph shows."""

    graph: Staged
    pairs: list[Pair]


def cut(graph: Staged, pairs: Sequence[Pair], navigations: Sequence[Navigation], folder: Path) -> Iterator[Bucket]:
    """
    Yield buckets that together hold every pair once.

    Triples that are only read on the focus node itself go to the bucket of their subject; all others go to every bucket.
    """
    shown = _shown_everywhere(navigations)
    number = min(_MOST, sum(1 for _ in triples(graph.path)) // _BUCKET)
    if shown is None or number < 2:
        yield Bucket(graph, list(pairs))
        return
    parts = [folder / f"bucket-{index}.nq" for index in range(number)]
    shared = folder / "bucket-shared.nq"
    with ExitStack() as stack, shared.open("wb") as everywhere:
        files = [stack.enter_context(part.open("wb")) for part in parts]
        for subject, predicate, rest in triples(graph.path):
            out = everywhere if predicate in shown else files[_index(subject, number)]
            out.write(b"%s %s %s" % (subject, predicate, rest))
    mine: list[list[Pair]] = [[] for _ in parts]
    for pair in pairs:
        mine[_index(pair[1], number)].append(pair)
    for part, chosen in zip(parts, mine, strict=True):
        with part.open("ab") as out, shared.open("rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)
        if chosen:
            yield Bucket(Staged(part, graph.blank), chosen)
        part.unlink()


def _index(node: bytes, number: int) -> int:
    return zlib.crc32(node) % number


def _shown_everywhere(navigations: Sequence[Navigation]) -> frozenset[bytes] | None:
    """Return the predicates that some shape reads away from its focus node; nothing when that may be all of them."""
    far = {read.predicate for navigation in navigations for read in navigation.reads if read.walk or read.inverse}
    if None in far or any(navigation.opaque for navigation in navigations):
        return None
    return frozenset(f"<{predicate}>".encode() for predicate in far)
