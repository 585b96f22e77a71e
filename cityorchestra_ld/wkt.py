"""Read geometries written as WKT into the form that GeoJSON gives them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

Position = list[float]
Coordinates = Position | list["Coordinates"]
Geometry = dict[str, object]  # a GeoJSON geometry object (RFC 7946, section 3.1): the JSON document itself

_CRS: Final = re.compile(r"\s*<([^<>]*)>\s*")
_TOKEN: Final = re.compile(r"\s*(?:([A-Za-z]+)|([-+.\d]+)|([(),]))")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_LONGITUDE_FIRST: Final = frozenset(
    ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "http://www.opengis.net/def/crs/OGC/0/CRS84", "urn:ogc:def:crs:OGC::CRS84")
)
_LATITUDE_FIRST: Final = frozenset(
    ("http://www.opengis.net/def/crs/EPSG/0/4326", "https://www.opengis.net/def/crs/EPSG/0/4326", "urn:ogc:def:crs:EPSG::4326")
)
_DEPTHS: Final = {  # how many lists stand around a position
    "POINT": ("Point", 0),
    "LINESTRING": ("LineString", 1),
    "POLYGON": ("Polygon", 2),
    "MULTIPOINT": ("MultiPoint", 1),
    "MULTILINESTRING": ("MultiLineString", 2),
    "MULTIPOLYGON": ("MultiPolygon", 3),
}
_NESTED: Final = 8  # collections in collections


class WktError(ValueError):
    """A text is not WKT, or is in a reference system that GeoJSON has not."""


def read_wkt(text: str) -> Geometry | None:
    """
    Read a wktLiteral (GeoSPARQL 1.1, section 8.5.1); an empty geometry is `None`, as in a GeoJSON feature.

    Raises WktError when it is not WKT, or not in longitude and latitude.

    >>> read_wkt("POINT(-1.68 48.11)")
    {'type': 'Point', 'coordinates': [-1.68, 48.11]}
    >>> read_wkt("<http://www.opengis.net/def/crs/EPSG/0/4326> POINT(48.11 -1.68)")
    {'type': 'Point', 'coordinates': [-1.68, 48.11]}
    """
    match = _CRS.match(text)
    name = match.group(1) if match else ""
    if match and name not in _LONGITUDE_FIRST and name not in _LATITUDE_FIRST:
        raise WktError(f"<{name}> is not a reference system of longitude and latitude")
    reader = _Reader(text[match.end() :] if match else text, swap=name in _LATITUDE_FIRST)
    geometry = reader.geometry(0)
    reader.end()
    return geometry


def read_known(text: str) -> Geometry | None:
    """Read a wktLiteral; nothing when it is empty, broken, or not in longitude and latitude."""
    try:
        return read_wkt(text)
    except WktError:
        return None


@dataclass(slots=True)
class _Reader:
    """A recursive descent over the tokens of one geometry."""

    text: str
    swap: bool
    at: int = 0

    def geometry(self, depth: int) -> Geometry | None:
        kind = self._word()
        further = self._peek_word()
        if further in ("Z", "M", "ZM"):
            self._word()
        measured = further in ("M", "ZM")
        if kind.endswith("ZM") or (kind.endswith(("Z", "M")) and kind not in _DEPTHS):
            measured, kind = kind.endswith("M"), kind.rstrip("ZM")
        if self._peek_word() == "EMPTY":
            self._word()
            return None
        if kind == "GEOMETRYCOLLECTION":
            return self._collection(depth)
        if kind not in _DEPTHS:
            raise WktError(f"'{kind}' is not a geometry")
        name, lists = _DEPTHS[kind]
        coordinates = self._coordinates(lists, measured=measured, points=kind == "MULTIPOINT")
        return {"type": name, "coordinates": coordinates[0] if lists == 0 else coordinates}

    def end(self) -> None:
        if self.text[self.at :].strip():
            raise WktError(f"unexpected '{self.text[self.at :].strip()[:20]}'")

    def _collection(self, depth: int) -> Geometry:
        if depth >= _NESTED:
            raise WktError("collections are nested too deep")
        self._mark("(")
        members = [self.geometry(depth + 1)]
        while self._marked(","):
            members.append(self.geometry(depth + 1))
        self._mark(")")
        return {"type": "GeometryCollection", "geometries": [member for member in members if member is not None]}

    def _coordinates(self, lists: int, *, measured: bool, points: bool) -> list[Coordinates]:
        self._mark("(")
        if lists <= 1 and not (points and self._next(3) == "("):
            return self._positions(measured)
        found: list[Coordinates] = []
        while True:
            if points:
                self._mark("(")
                found += self._positions(measured)
            else:
                found.append(self._coordinates(lists - 1, measured=measured, points=False))
            if not self._marked(","):
                self._mark(")")
                return found

    def _positions(self, measured: bool) -> list[Coordinates]:
        """Read positions up to the bracket that closes their list."""
        end = self.text.find(")", self.at)
        if end < 0:
            raise WktError("')' is missing")
        run, self.at = self.text[self.at : end], end + 1
        return [self._position(pair, measured) for pair in run.split(",")]

    def _position(self, pair: str, measured: bool) -> Coordinates:
        words = pair.split()
        if not 2 <= len(words) <= 4:
            raise WktError(f"a position of {len(words)} numbers")
        if not all(_NUMBER.fullmatch(word) for word in words):
            raise WktError(f"'{pair.strip()[:20]}' is not a position")
        numbers = [float(word) for word in words]
        if self.swap:
            numbers[0], numbers[1] = numbers[1], numbers[0]
        return [*numbers[: 3 if len(numbers) == 4 else len(numbers) - measured]]

    def _next(self, group: int) -> str | None:
        match = _TOKEN.match(self.text, self.at)
        return match.group(group) if match else None

    def _peek_word(self) -> str:
        return (self._next(1) or "").upper()

    def _word(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match is None or not match.group(1):
            raise WktError("a geometry starts with its kind")
        self.at = match.end()
        return match.group(1).upper()

    def _marked(self, mark: str) -> bool:
        match = _TOKEN.match(self.text, self.at)
        if match is None or match.group(3) != mark:
            return False
        self.at = match.end()
        return True

    def _mark(self, mark: str) -> None:
        if not self._marked(mark):
            raise WktError(f"'{mark}' is missing")
