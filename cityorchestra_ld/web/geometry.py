"""Read geometries (WKT) into rings, lines and points, and write them as the paths of a small drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from cityorchestra_ld.wkt import Coordinates, Geometry, Position, read_known

Point = tuple[float, float]  # longitude, latitude
Box = tuple[float, float, float, float]  # west, south, east, north

_LONGEST: Final = 2_000_000  # characters of one geometry


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry on the globe, taken apart."""

    points: tuple[Point, ...] = ()
    lines: tuple[tuple[Point, ...], ...] = ()
    rings: tuple[tuple[Point, ...], ...] = ()

    @property
    def box(self) -> Box:
        """Return the smallest box that holds the shape."""
        return around([*self.points, *(point for part in (*self.lines, *self.rings) for point in part)])


def around(points: Iterable[Point]) -> Box:
    """Return the smallest box that holds some points; there must be one."""
    held = list(points)
    return (min(x for x, _ in held), min(y for _, y in held), max(x for x, _ in held), max(y for _, y in held))


def read_wkt(text: str) -> Shape | None:
    """
    Read a `geo:wktLiteral` (OGC GeoSPARQL 1.1, section 8.5.1); `None` for what we cannot draw honestly.

    >>> read_wkt("POINT(-1.68 48.11)").points
    ((-1.68, 48.11),)
    >>> read_wkt("<http://www.opengis.net/def/crs/EPSG/0/4326> POINT(48.11 -1.68)").points
    ((-1.68, 48.11),)
    >>> read_wkt("POINT(352000 6789000)") is None
    True
    """
    geometry = read_known(text) if len(text) <= _LONGEST else None
    if geometry is None:
        return None
    points: list[Point] = []
    lines: list[tuple[Point, ...]] = []
    rings: list[tuple[Point, ...]] = []
    for kind, coordinates in _parts(geometry):
        line = tuple((position[0], position[1]) for position in coordinates)
        if any(abs(x) > 180 or abs(y) > 90 for x, y in line):
            return None
        if kind.endswith("Point"):
            points += line
        else:
            (rings if kind.endswith("Polygon") else lines).append(line)
    return Shape(tuple(points), tuple(lines), tuple(rings)) if points or lines or rings else None


def _parts(geometry: Geometry) -> Iterator[tuple[str, list[Position]]]:
    """Yield the lists of positions of a geometry object, each with the kind it belongs to."""
    kind = str(geometry["type"])
    if kind == "GeometryCollection":
        for member in cast("list[Geometry]", geometry["geometries"]):
            yield from _parts(member)
    else:
        yield from ((kind, positions) for positions in _lists(cast("Coordinates", geometry["coordinates"])))


def _lists(coordinates: Coordinates) -> Iterator[list[Position]]:
    first = coordinates[0]
    if not isinstance(first, list):
        yield [cast("Position", coordinates)]
    elif not isinstance(first[0], list):
        yield cast("list[Position]", coordinates)
    else:
        for inner in cast("list[Coordinates]", coordinates):
            yield from _lists(inner)


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of the globe laid out flat: degrees in, units of the drawing out."""

    box: Box
    width: int
    height: int

    @classmethod
    def holding(cls, box: Box, width: int, height: int, *, least: float = 0.03, margin: float = 0.08) -> Frame:
        """Choose the frame around a box: some air around it, never closer than `least` degrees, the ratio kept."""
        west, south, east, north = box
        middle_x, middle_y = (west + east) / 2, (south + north) / 2
        squeeze = max(0.05, math.cos(math.radians(middle_y)))
        across = max((east - west) * squeeze, (north - south) * width / height, least) * (1 + 2 * margin)
        half_x, half_y = across / squeeze / 2, across * height / width / 2
        return cls((middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y), width, height)

    def place(self, point: Point) -> tuple[int, int]:
        """Return where a point lies in the drawing."""
        west, south, east, north = self.box
        return (
            round((point[0] - west) / (east - west) * self.width),
            round((north - point[1]) / (north - south) * self.height),
        )

    def meets(self, box: Box) -> bool:
        """Tell whether a box and the frame have a part in common."""
        west, south, east, north = self.box
        return box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south

    def path(self, parts: Sequence[Sequence[Point]], *, closed: bool, step: int = 3) -> str:
        """
        Write lines or rings as the data of an SVG path, without points that nobody would see.

        >>> Frame((0.0, 0.0, 1.0, 1.0), 100, 100).path([[(0, 0), (1, 0), (1, 1), (0, 0)]], closed=True)
        'M0 100l100 0 0-100z'
        """
        return "".join(self._part(part, closed, step) for part in parts)

    def _part(self, part: Sequence[Point], closed: bool, step: int) -> str:
        places = [self.place(point) for point in part]
        if closed and len(places) > 1 and places[0] == places[-1]:
            places.pop()
        kept = places[:1]
        for place in places[1:]:
            if abs(place[0] - kept[-1][0]) + abs(place[1] - kept[-1][1]) >= step:
                kept.append(place)
        if not closed and places and kept[-1] != places[-1]:
            kept.append(places[-1])
        if len(kept) < (3 if closed else 2):
            return ""
        moves, last = [], kept[0]
        for x, y in kept[1:]:
            dx, dy = x - last[0], y - last[1]
            moves.append(f"{dx}{' ' if dy >= 0 else ''}{dy}")
            last = (x, y)
        return f"M{kept[0][0]} {kept[0][1]}l" + " ".join(moves).replace(" -", "-") + ("z" if closed else "")

    def kilometres(self) -> float:
        """Return how many kilometres the drawing is wide."""
        west, south, east, north = self.box
        return (east - west) * 111.32 * math.cos(math.radians((south + north) / 2))
