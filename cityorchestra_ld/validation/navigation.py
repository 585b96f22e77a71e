"""What shapes can see: the triples around a focus node that can change the verdict on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.validation.graph import TYPE, Graph
from cityorchestra_ld.validation.lint import prefixes_of
from cityorchestra_ld.validation.paths import Path
from cityorchestra_ld.validation.reads import OpaqueError, Read, steps
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.sparql_reads import query_reads
from cityorchestra_ld.validation.vocabulary import SHAPE_LISTS, SHAPE_VALUES

_PAIRS: Final = ("equals", "disjoint", "lessThan", "lessThanOrEquals")


@dataclass(frozen=True, slots=True)
class Navigation:
    """Everything that a shape reads; opaque when that cannot be told from its text."""

    reads: frozenset[Read]
    opaque: bool = False

    @property
    def turns_back(self) -> bool:
        """Tell whether it goes on to a node and comes back from it: many others may share that node (a period, a parent)."""
        return any(_turns(read) for read in self.reads)


def _turns(read: Read) -> bool:
    backwards = [step for path in read.walk for step in _directions(path)] + [read.inverse]
    return any(later for number, step in enumerate(backwards) if not step for later in backwards[number:])


def _directions(path: Path, *, back: bool = False) -> Iterator[bool]:
    if path.operator == "predicate":
        yield back
    for part in reversed(path.parts) if back else path.parts:
        yield from _directions(part, back=back is not (path.operator == "inverse"))


def navigate(shapes: ShapesGraph, shape: Shape) -> Navigation:
    """Tell what a targeted shape reads, through all the shapes that it refers to."""
    reads = set(aims_by(shape).reads)
    try:
        reads |= set(_reads(shapes, shape, (), frozenset()))
    except OpaqueError:
        return Navigation(frozenset(reads), opaque=True)
    return Navigation(frozenset(reads))


def aims_by(shape: Shape) -> Navigation:
    """Tell what decides whether a node is a focus node of a shape."""
    reads = {Read((), TYPE)}  # targets by class
    for target in shape.targets:
        if target.kind in ("subjects", "objects"):
            reads.add(Read((), target.term.value, target.kind == "objects"))
    return Navigation(frozenset(reads))


def _reads(shapes: ShapesGraph, shape: Shape, walk: tuple[Path, ...], seen: frozenset[str]) -> Iterator[Read]:
    if shape.id in seen or shape.deactivated:
        return
    for name in _PAIRS:
        yield from (Read(walk, value.value) for value in shape.parameters.get(name, ()))
    for query in _queries(shapes.graph, shape):
        yield from query_reads(query, walk, shape.path)
    if shape.path is not None:
        yield from steps(shape.path, walk)
        walk = (*walk, shape.path)
    if "class" in shape.parameters:
        yield Read(walk, TYPE)
    if any(value.value in ("true", "1") for value in shape.parameters.get("closed", ())):
        yield Read(walk, None)
    for inner in _inner(shapes, shape):
        yield from _reads(shapes, inner, walk, seen | {shape.id})


def _inner(shapes: ShapesGraph, shape: Shape) -> Iterator[Shape]:
    """Return the shapes that decide about the value nodes of a shape."""
    for name in (*SHAPE_VALUES, *SHAPE_LISTS):
        yield from (found for term in shape.parameters.get(name, ()) if (found := shapes.shape(str(term))) is not None)
    if "qualifiedValueShapesDisjoint" in shape.parameters:
        yield from _siblings(shapes, shape)


def _siblings(shapes: ShapesGraph, shape: Shape) -> Iterator[Shape]:
    for parent in shapes.graph.referrers(ox.NamedNode(shape.id[1:-1]), f"{SH}property"):
        for sibling in shapes.graph.objects(parent, f"{SH}property"):
            for inner in shapes.graph.objects(sibling, f"{SH}qualifiedValueShape"):
                found = shapes.shape(str(inner))
                if found is not None:
                    yield found


def _queries(graph: Graph, shape: Shape) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the queries of a shape with their prefixes; raise OpaqueError for custom components."""
    for constraint in shape.parameters.get("sparql", ()):
        for query in graph.objects(constraint, f"{SH}select"):
            yield query.value, prefixes_of(graph, constraint)
    known = {component for component, _ in graph.pairs(f"{SH}parameter")}
    for component in known:
        for parameter in graph.objects(component, f"{SH}parameter"):
            path = graph.one(parameter, f"{SH}path")
            if path is not None and path.value in shape.parameters:
                raise OpaqueError
