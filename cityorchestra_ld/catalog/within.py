"""Say in which areas things lie (`geo:sfWithin`): points of public datasets in the areas that other public datasets draw.

What restricted graphs hold is not looked at, so that nothing of it can be read off here. Found once for each content: the next
publication looks only at datasets that changed, or at all when the areas did.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyoxigraph as ox
import zstandard

from cityorchestra_ld.catalog.triples import Graph, both
from cityorchestra_ld.model import Access, GraphInfo, Text
from cityorchestra_ld.namespaces import GEO
from cityorchestra_ld.store.scanning import triples_with
from cityorchestra_ld.territory import Territory

Content = Callable[[GraphInfo], Path]

_LAYOUT: Final = "1"  # another one when the same content would give other triples
_HAS: Final = (f"{GEO}hasGeometry", f"{GEO}hasDefaultGeometry")
_WKT: Final = f"{GEO}asWKT"
_WITHIN: Final = f"<{GEO}sfWithin>"
_POINT: Final = re.compile(r"POINT ?\( ?(-?\d{1,3}(?:\.\d+)?) (-?\d{1,2}(?:\.\d+)?) ?\)")
_KEPT: Final = 2_000_000  # letters of one geometry


def info_of(territory: Territory) -> GraphInfo:
    """Name the graph."""
    return GraphInfo(graph=territory.iris.graph("within"), role="ref", access=Access.PUBLIC)


def within(territory: Territory, graphs: Iterable[GraphInfo], content: Content, target: Path) -> bool:
    """Write the graph; tell whether there is anything in it. `content` gives the kept snapshot of a graph."""
    public = [info for info in graphs if info.access is Access.PUBLIC and info.sha256 and info.dataset in territory.datasets]
    held = sorted((info for info in public if info.role in ("data", "ref", "live")), key=lambda info: info.graph)
    areas = [info for info in held if territory.datasets[info.dataset or ""].areas]
    things = [info for info in held if info not in areas]
    files = _files(territory.state / "within", areas, things, content) if areas else []
    found = [(info, path) for info, path in zip(things, files, strict=False) if path.stat().st_size]
    if not found:
        return False
    _about(territory, [*areas, *(info for info, _ in found)]).write(target)
    with target.open("ab") as out:
        for _, path in found:
            out.write(path.read_bytes())
    return True


def _about(territory: Territory, used: Sequence[GraphInfo]) -> Graph:
    graph = Graph(territory.base_iri)
    graph.add(
        info_of(territory).graph,
        ["prov:Entity"],
        dct_title=both(Text("Ce qui se trouve où", "What lies where")),
        dct_description=both(
            Text(
                "Calculé à chaque publication : les points des jeux de données publics, dans les contours publiés "
                "(geo:sfWithin, bords exclus).",
                "Computed at each publication: the points of public datasets, in the outlines that are published "
                "(geo:sfWithin, without their edges).",
            )
        ),
        prov_wasDerivedFrom=[ox.NamedNode(territory.iris.dataset(info.dataset or "")) for info in used],
    )
    return graph


def _files(folder: Path, areas: Sequence[GraphInfo], things: Sequence[GraphInfo], content: Content) -> list[Path]:
    """Return for each graph of things the file of its triples; makes those that are missing, deletes those of others."""
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\n".join([_LAYOUT, *(info.sha256 for info in areas)]).encode()).hexdigest()[:16]
    files = [folder / f"{info.sha256}-{key}.nt" for info in things]
    missing = [(info, path) for info, path in zip(things, files, strict=True) if not path.exists()]
    if missing:
        drawn = _Areas([content(info) for info in areas])
        for info, path in missing:
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_text("".join(drawn.lines(content(info))), encoding="utf-8")
            temporary.replace(path)
    for other in set(folder.iterdir()) - set(files):
        other.unlink()
    return files


class _Areas:
    """Areas by their features, in a tree."""

    def __init__(self, contents: Sequence[Path]) -> None:
        import shapely

        from cityorchestra_ld.store.spatial import shape_of

        drawn = ((iri, shape_of(text)) for path in contents for iri, text in _located(path))
        kept = [(iri, shape) for iri, shape in drawn if shape is not None and shape.geom_type in ("Polygon", "MultiPolygon")]
        self._iris = [iri for iri, _ in kept]
        self._tree = shapely.STRtree([shape for _, shape in kept])

    def lines(self, content: Path) -> list[str]:
        """Write the triples of the points of one graph, in order."""
        import shapely

        points = [(iri, place) for iri, text in _located(content) if (place := _place(text)) is not None]
        if not points:
            return []
        places, areas = self._tree.query(shapely.points([place for _, place in points]), predicate="within")
        return sorted(
            {f"{ox.NamedNode(points[place][0])} {_WITHIN} {ox.NamedNode(self._iris[area])} .\n"
             for place, area in zip(places.tolist(), areas.tolist(), strict=True)}
        )  # fmt: skip


def _place(text: str) -> tuple[float, float] | None:
    from cityorchestra_ld.store.spatial import shape_of

    match = _POINT.fullmatch(text)
    if match is not None:
        return float(match[1]), float(match[2])
    if "POINT" not in text[:120].upper():
        return None
    shape = shape_of(text)
    return (shape.x, shape.y) if shape is not None and shape.geom_type == "Point" else None


def _located(content: Path) -> Iterator[tuple[str, str]]:
    """Yield each feature of a graph with each of its geometries as WKT."""
    features: dict[str, set[str]] = {}
    written: list[tuple[str, str]] = []
    with zstandard.open(content, "rb") if content.suffix == ".zst" else content.open("rb") as file:
        for quad in triples_with(file, (*_HAS, _WKT)):
            if not isinstance(quad.subject, ox.NamedNode):
                continue
            if quad.predicate.value == _WKT:
                if isinstance(quad.object, ox.Literal) and len(quad.object.value) <= _KEPT:
                    written.append((quad.subject.value, quad.object.value))
            elif isinstance(quad.object, ox.NamedNode):
                features.setdefault(quad.object.value, set()).add(quad.subject.value)
    for geometry, text in written:
        for feature in sorted(features.get(geometry, ())):
            yield feature, text
