"""Draw small maps of our own geometries: areas of reference behind, what the page speaks of in front, no tiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import GEO
from cityorchestra_ld.web.geometry import Box, Frame, Shape, around, read_wkt
from cityorchestra_ld.web.snapshot import Snapshot

_WKT: Final = ox.NamedNode(f"{GEO}asWKT")
_HAS: Final = (ox.NamedNode(f"{GEO}hasDefaultGeometry"), ox.NamedNode(f"{GEO}hasGeometry"))
_WIDTH, _HEIGHT = 1600, 1000
_LINKED: Final = 600  # features that are links of their own; more are drawn as one path
_BEHIND: Final = 700  # areas behind; when there are more the view is too wide for them
_CLASSES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something with a place: its geometry, what it is called, where a click leads, and a figure when areas are coloured."""

    shape: Shape
    label: str = ""
    href: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One drawn feature."""

    path: str
    label: str
    href: str | None
    kind: str  # `dot`, `line` or `area`
    level: int = 0  # 1 to 5 when areas are coloured by a figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A drawing, ready for a template."""

    width: int
    height: int
    behind: str
    marks: tuple[Mark, ...]
    crowd: str  # dots beyond those that are links
    count: int
    steps: tuple[tuple[int, float, float], ...] = ()  # level, from, to
    kilometres: int  # how wide the drawing is
    credits: tuple[str, ...] = ()  # datasets that the areas behind come from


def shape_of(snapshot: Snapshot, iri: str) -> Shape | None:
    """Look up the geometry of a thing in the visible graphs."""
    node = ox.NamedNode(iri)
    for predicate in _HAS:
        for quad in snapshot.plain(node, predicate, None):
            if isinstance(quad.object, ox.NamedNode | ox.BlankNode):
                for text in snapshot.plain(quad.object, _WKT, None):
                    if isinstance(text.object, ox.Literal) and (shape := read_wkt(text.object.value)):
                        return shape
    return None


def features_in(snapshot: Snapshot, graph: str, most: int) -> tuple[list[tuple[str, Shape]], bool]:
    """List things of one visible graph with their geometries; also tell whether there were more."""
    found: list[tuple[str, Shape]] = []
    for quad in snapshot.in_graph(graph, _WKT):
        if len(found) >= most:
            return found, True
        shape = read_wkt(quad.object.value) if isinstance(quad.object, ox.Literal) else None
        owner = _owner(snapshot, quad.subject) if shape else None
        if shape and owner:
            found.append((owner, shape))
    return found, False


def _owner(snapshot: Snapshot, geometry: object) -> str | None:
    if not isinstance(geometry, ox.NamedNode | ox.BlankNode):
        return None
    for predicate in _HAS:
        for quad in snapshot.plain(None, predicate, geometry):
            if isinstance(quad.subject, ox.NamedNode):
                return quad.subject.value
    return None


def areas(snapshot: Snapshot) -> tuple[tuple[Box, Shape], ...]:
    """List the areas of reference (boundaries of communes, for example), read once a generation."""

    def find() -> tuple[tuple[Box, Shape], ...]:
        shapes = (
            read_wkt(quad.object.value)
            for graph, info in snapshot.infos.items()
            if info.role == "ref" and snapshot.sees(graph)
            for quad in snapshot.in_graph(graph, _WKT)
            if isinstance(quad.object, ox.Literal)
        )
        return tuple((shape.box, shape) for shape in shapes if shape and shape.rings)

    return snapshot.remember("areas of reference", find)


def draw(snapshot: Snapshot, features: Sequence[Feature], *, least: float = 0.03) -> Map | None:
    """Draw features on the areas of reference; `None` when there is nothing to draw."""
    if not features:
        return None
    boxes = [feature.shape.box for feature in features]
    corners = [(box[0], box[1]) for box in boxes] + [(box[2], box[3]) for box in boxes]
    frame = Frame.holding(around(corners), _WIDTH, _HEIGHT, least=least)
    behind = [shape for box, shape in areas(snapshot) if frame.meets(box)]
    if len(behind) > _BEHIND:
        behind = []
    steps = _steps([feature.value for feature in features if feature.value is not None])
    linked = sorted(features[:_LINKED], key=lambda feature: not feature.shape.rings)  # areas under dots
    return Map(
        width=_WIDTH,
        height=_HEIGHT,
        behind="".join(frame.path(shape.rings, closed=True, step=5) for shape in behind),
        marks=tuple(mark for feature in linked for mark in _marks(frame, feature, steps)),
        crowd="".join(_dot(frame, point) for feature in features[_LINKED:] for point in feature.shape.points),
        count=len(features),
        steps=steps,
        kilometres=max(1, round(frame.kilometres())),
        credits=_credits(snapshot) if behind else (),
    )


def _dot(frame: Frame, point: tuple[float, float]) -> str:
    x, y = frame.place(point)
    return f"M{x} {y}h0"


def _marks(frame: Frame, feature: Feature, steps: tuple[tuple[int, float, float], ...]) -> Iterable[Mark]:
    shape = feature.shape
    value = feature.value
    level = next((level for level, low, high in steps if value is not None and low <= value <= high), 0)
    if shape.rings and (path := frame.path(shape.rings, closed=True)):
        yield Mark(path, feature.label, feature.href, "area", level)
    elif shape.rings:
        yield Mark(_dot(frame, shape.rings[0][0]), feature.label, feature.href, "dot", level)  # too small to be an area here
    if shape.lines:
        yield Mark(frame.path(shape.lines, closed=False), feature.label, feature.href, "line")
    if shape.points:
        yield Mark("".join(_dot(frame, point) for point in shape.points), feature.label, feature.href, "dot")


def _steps(values: Sequence[float]) -> tuple[tuple[int, float, float], ...]:
    """Cut values into at most five classes of about the same number of areas."""
    ordered = sorted(values)
    distinct = sorted(set(ordered))
    if len(distinct) < 2:
        return ()
    number = min(_CLASSES, len(distinct))
    bounds = sorted({ordered[min(len(ordered) - 1, len(ordered) * part // number)] for part in range(number)})
    groups = [[value for value in distinct if low <= value < high] for low, high in pairwise(bounds)]
    groups.append([value for value in distinct if value >= bounds[-1]])
    first = _CLASSES - len(groups) + 1
    return tuple((first + place, group[0], group[-1]) for place, group in enumerate(groups) if group)


def _credits(snapshot: Snapshot) -> tuple[str, ...]:
    """List the datasets that the areas of reference come from."""

    def find() -> tuple[str, ...]:
        keys = [
            info.dataset
            for graph, info in snapshot.infos.items()
            if info.role == "ref" and info.dataset and next(snapshot.in_graph(graph, _WKT), None)
        ]
        return tuple(f"{snapshot.base}id/dataset/{key}" for key in keys)

    return snapshot.remember("credits of areas", find)
