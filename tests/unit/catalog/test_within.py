"""Points are said to lie in an area exactly when they do, of public graphs only, and only as long as both are there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import shapely

from cityorchestra_ld.catalog.within import info_of, within
from cityorchestra_ld.model import Access, GraphInfo
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[3]
GEO = "http://www.opengis.net/ont/geosparql#"
AREAS, STOPS, STATIONS = "ign/contours-communes", "star/arrets", "velib/gbfs"


def located(name: str, wkt: str) -> str:
    return (
        f"<x:{name}> <{GEO}hasGeometry> <x:{name}/g> .\n<x:{name}> <{GEO}hasDefaultGeometry> <x:{name}/g> .\n"
        f'<x:{name}/g> <{GEO}asWKT> "{wkt}"^^<{GEO}wktLiteral> .\n'
    )


class World:
    """Graphs with their contents in files, and how often each was read."""

    def __init__(self, folder: Path) -> None:
        self.territory: Territory = replace(load_territory(ROOT), state=folder / "state")
        self.folder = folder
        self.read: list[str] = []

    def graph(self, key: str, text: str, access: Access = Access.PUBLIC) -> GraphInfo:
        sha = f"{abs(hash((key, text))):x}"
        (self.folder / f"{sha}.nt").write_text(text, encoding="utf-8")
        return GraphInfo(graph=f"x:graph/{key}", role="data", dataset=key, access=access, sha256=sha)

    def content(self, info: GraphInfo) -> Path:
        self.read.append(info.dataset or "")
        return self.folder / f"{info.sha256}.nt"

    def found(self, *graphs: GraphInfo) -> set[tuple[str, str]] | None:
        target = self.folder / "within.nt"
        if not within(self.territory, graphs, self.content, target):
            return None
        lines = [line.split() for line in target.read_text().splitlines() if "sfWithin>" in line.split()[1]]
        return {(thing[3:-1], area[3:-1]) for thing, _, area, _ in lines}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def squares(count: int) -> list[tuple[str, shapely.Polygon]]:
    """Draw squares with a hole that overlap their neighbours."""
    chance = random.Random(7)
    drawn = []
    for number in range(count):
        x, y, size = chance.uniform(-2, 2), chance.uniform(47, 49), chance.uniform(0.1, 1)
        whole = shapely.box(x, y, x + size, y + size)
        drawn.append((f"area{number}", shapely.difference(whole, shapely.buffer(whole.centroid, size / 5))))
    return drawn


def test_the_tree_finds_what_looking_everywhere_finds(world: World) -> None:
    areas, chance = squares(40), random.Random(8)
    points = [(f"stop{number}", (chance.uniform(-2.5, 2.5), chance.uniform(46.5, 49.5))) for number in range(600)]
    written = [located(name, shapely.to_wkt(area, rounding_precision=-1)) for name, area in areas]
    graphs = (
        world.graph(AREAS, "".join(written)),
        world.graph(STOPS, "".join(located(name, f"POINT({x!r} {y!r})") for name, (x, y) in points)),
    )
    expected = {(name, area) for name, place in points for area, shape in areas if shape.contains(shapely.Point(place))}
    assert len(expected) > 300
    assert world.found(*graphs) == expected


SQUARE = located("a", "POLYGON((0 0,2 0,2 2,0 2,0 0))")
METRES = "<http://www.opengis.net/def/crs/EPSG/0/2154> POINT(700000 6600000)"
CASES: Sequence[tuple[str, bool]] = [
    ("POINT(1 1)", True),
    ("POINT (1.0 1)", True),
    ("<http://www.opengis.net/def/crs/EPSG/0/4326> POINT(1 1.5)", True),
    ("POINT(2 1)", False),  # on the edge
    ("POINT(3 1)", False),
    ("POINT(nan 1)", False),
    ("LINESTRING(0.5 0.5, 1 1)", False),
    ("POINT EMPTY", False),
    ("nonsense", False),
    (METRES, False),
]


@pytest.mark.parametrize(("wkt", "there"), CASES)
def test_only_points_inside_are_said_to_lie_there(world: World, wkt: str, there: bool) -> None:
    found = world.found(world.graph(AREAS, SQUARE), world.graph(STOPS, located("s", wkt)))
    assert found == ({("s", "a")} if there else None)


@pytest.mark.parametrize("hidden", [AREAS, STOPS])
@pytest.mark.parametrize("access", [access for access in Access if access is not Access.PUBLIC])
def test_nothing_is_derived_from_what_is_not_public(world: World, hidden: str, access: Access) -> None:
    levels = {key: access if key == hidden else Access.PUBLIC for key in (AREAS, STOPS)}
    graphs = (world.graph(AREAS, SQUARE, levels[AREAS]), world.graph(STOPS, located("s", "POINT(1 1)"), levels[STOPS]))
    assert world.found(*graphs) is None
    assert hidden not in world.read
    assert info_of(world.territory).access is Access.PUBLIC


def test_only_what_changed_is_looked_at_again_and_what_goes_is_forgotten(world: World) -> None:
    def point(name: str) -> str:
        return located(name, "POINT(1 1)")

    areas, stops, stations = world.graph(AREAS, SQUARE), world.graph(STOPS, point("s")), world.graph(STATIONS, point("t"))
    assert world.found(areas, stops, stations) == {("s", "a"), ("t", "a")}
    world.read.clear()
    assert world.found(areas, stops, stations) == {("s", "a"), ("t", "a")}
    assert world.read == []
    assert world.found(areas, world.graph(STOPS, point("other")), stations) == {("other", "a"), ("t", "a")}
    assert world.read == [AREAS, STOPS]
    assert world.found(areas, stations) == {("t", "a")}
    assert world.found(world.graph(AREAS, located("b", "POLYGON((0 0,3 0,3 3,0 0))")), stations) is None
    assert world.found(stations) is None
