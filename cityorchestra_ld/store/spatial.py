"""GeoSPARQL functions that the engine has not, or only for some geometries: measures, buffers, boundaries, projections.

Geometries are WKT in longitude and latitude (CRS84, or EPSG:4326 with the latitude first) or in Lambert-93 (EPSG:2154).
Measures are true ones on the ellipsoid, whatever the geometry is written in. What has no answer has no value, as SPARQL has it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyoxigraph as ox
import shapely
from shapely.geometry.base import BaseGeometry

from cityorchestra_ld import geodesy
from cityorchestra_ld.geodesy import Points
from cityorchestra_ld.namespaces import GEO, REUSED, XSD

Term = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple
Function = Callable[..., Term | None]

SPACE: Final = REUSED["geof"]
_WKT: Final = ox.NamedNode(f"{GEO}wktLiteral")
_CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_WGS84: Final = "http://www.opengis.net/def/crs/EPSG/0/4326"
_LAMBERT93: Final = "http://www.opengis.net/def/crs/EPSG/0/2154"
_WRITTEN: Final = re.compile(r"\s*(?:<([^<>\s]*)>)?\s*(.*)", re.DOTALL)
_POINT: Final = re.compile(rf"(?:<{re.escape(_CRS84)}> *)?POINT ?\( ?(-?\d{{1,3}}(?:\.\d+)?) (-?\d{{1,2}}(?:\.\d+)?) ?\)")
_SHORT: Final = 20_000  # letters of a geometry that is remembered, of a thousand such
_MOST_TEXT: Final = 20_000_000  # letters of one geometry
_MOST_POINTS: Final = 1_000_000
_NESTED: Final = 20  # collections
_MOST_BUFFER: Final = 1_000_000.0  # metres
_WIDEST: Final = 90.0  # degrees
_UNITS: Final = {  # metres, or square metres, in one
    f"{REUSED['uom']}metre": 1.0, f"{REUSED['uom']}meter": 1.0, f"{REUSED['uom']}kilometre": 1000.0,
    f"{REUSED['unit']}M": 1.0, f"{REUSED['unit']}KiloM": 1000.0,
}  # fmt: skip
_SQUARES: Final = {
    f"{REUSED['uom']}metre": 1.0, f"{REUSED['uom']}squareMetre": 1.0, f"{REUSED['unit']}M2": 1.0,
    f"{REUSED['unit']}HA": 10_000.0, f"{REUSED['unit']}KiloM2": 1_000_000.0,
}  # fmt: skip
_DEGREE: Final = frozenset((f"{REUSED['uom']}degree", f"{REUSED['unit']}DEG"))


class _NoValueError(ValueError):
    """A function has no value for what it was given."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A geometry in longitude and latitude, and the reference system that it was written in."""

    shape: BaseGeometry
    system: str = ""

    def map(self, other: _Place | None = None) -> geodesy.PlaneMap:
        """Return a plane map around this, and the other."""
        bounds = [place.shape.bounds for place in (self, other) if place is not None]
        west, south = (min(bound[number] for bound in bounds) for number in (0, 1))
        east, north = (max(bound[number] for bound in bounds) for number in (2, 3))
        return geodesy.PlaneMap((west + east) / 2, (south + north) / 2)


# --- terms --------------------------------------------------------------------------------------------------------------------


def _swap(points: Points) -> Points:
    return points[:, ::-1]


def _read(term: Term) -> _Place:
    text = _text(term)
    return _remembered(text) if len(text) <= _SHORT else _parse(text)


def shape_of(text: str) -> BaseGeometry | None:
    """Read a geometry in longitude and latitude; nothing for what is none, or broken."""
    try:
        return _parse(text).shape
    except (ValueError, shapely.errors.ShapelyError):
        return None


def _text(term: Term) -> str:
    if not isinstance(term, ox.Literal) or term.datatype != _WKT or len(term.value) > _MOST_TEXT:
        raise _NoValueError
    return term.value


@lru_cache(maxsize=1024)
def _remembered(text: str) -> _Place:
    """Read a geometry that a query may look at again and again."""
    return _parse(text)


@lru_cache(maxsize=16_384)
def _point(text: str) -> geodesy.Spot | None:
    """Read the place out of what is written most often; nothing when it is anything else."""
    match = _POINT.fullmatch(text)
    if match is None:
        return None
    longitude, latitude = float(match[1]), float(match[2])
    return geodesy.spot(longitude, latitude) if abs(longitude) <= 360 and abs(latitude) < 90 else None


def _parse(written: str) -> _Place:
    match = _WRITTEN.fullmatch(written)
    system, text = match.groups() if match else ("", "")
    if text.upper().count("COLLECTION") > _NESTED:
        raise _NoValueError
    shape = shapely.force_2d(shapely.from_wkt(text))
    points = shapely.get_coordinates(shape)
    if shape.is_empty or len(points) > _MOST_POINTS or not np.isfinite(points).all():
        raise _NoValueError
    turned: dict[str, Callable[[Points], Points]] = {_WGS84: _swap, _LAMBERT93: geodesy.from_lambert93}
    if system in turned:
        shape = shapely.transform(shape, turned[system])
    elif system not in (None, "", _CRS84):
        raise _NoValueError
    if not np.all(np.abs(shapely.get_coordinates(shape)) <= (360, 90)) or not shapely.is_valid(shape):
        raise _NoValueError
    return _Place(shape, system or "")


def _write(shape: BaseGeometry, system: str) -> ox.Literal:
    """Write a geometry in a reference system; coordinates to a millimetre."""
    turned: dict[str, Callable[[Points], Points]] = {_WGS84: _swap, _LAMBERT93: geodesy.to_lambert93}
    if shape.is_empty:
        raise _NoValueError
    if system in turned:
        shape = shapely.transform(shape, turned[system])
    elif system not in ("", _CRS84):
        raise _NoValueError
    digits = 3 if system == _LAMBERT93 else 8
    text = shapely.to_wkt(shape, rounding_precision=digits, trim=True)
    return ox.Literal(f"<{system or _CRS84}> {text}", datatype=_WKT)


def _double(value: float) -> ox.Literal:
    if not math.isfinite(value):
        raise _NoValueError
    return ox.Literal(float(value))


def _number(term: Term) -> float:
    if not isinstance(term, ox.Literal) or not term.datatype.value.startswith(XSD):
        raise _NoValueError
    return float(term.value)


def _unit(term: Term, units: Mapping[str, float]) -> float:
    """Return what one unit is; degrees are 0."""
    name = term.value if isinstance(term, ox.NamedNode | ox.Literal) else ""
    if name in _DEGREE and units is _UNITS:
        return 0.0
    if name not in units:
        raise _NoValueError
    return units[name]


# --- measures -----------------------------------------------------------------------------------------------------------------


def _area(place: _Place) -> float:
    return float(shapely.area(shapely.transform(place.shape, geodesy.equal_area)))


def _length(place: _Place) -> float:
    """Measure lines, and the edges of areas."""
    total = 0.0
    for line in shapely.get_parts(_lines(place.shape)):
        points = shapely.get_coordinates(line)
        total += float(geodesy.lengths(points[:-1], points[1:]).sum())
    return total


def _lines(shape: BaseGeometry) -> BaseGeometry:
    parts = shapely.get_parts(shape)
    edges = [shapely.boundary(part) if part.geom_type == "Polygon" else part for part in parts]
    lines = [line for edge in edges for line in shapely.get_parts(edge) if line.geom_type in ("LineString", "LinearRing")]
    return shapely.multilinestrings(lines)


def _distance(first: _Place, second: _Place) -> float:
    """Measure the metres between the nearest points of both."""
    plane = first.map(second)
    nearest = shapely.shortest_line(*(shapely.transform(place.shape, plane.draw) for place in (first, second)))
    ends = plane.read(shapely.get_coordinates(nearest))
    return float(geodesy.lengths(ends[:1], ends[1:])[0])


def _buffer(place: _Place, metres: float) -> BaseGeometry:
    if not abs(metres) <= _MOST_BUFFER:
        raise _NoValueError
    plane = place.map()
    return shapely.transform(shapely.buffer(shapely.transform(place.shape, plane.draw), metres), plane.read)


def _circle(place: _Place) -> BaseGeometry:
    plane = place.map()
    return shapely.transform(shapely.minimum_bounding_circle(shapely.transform(place.shape, plane.draw)), plane.read)


# --- functions ----------------------------------------------------------------------------------------------------------------


def _measured(measure: Callable[[_Place], float], units: Mapping[str, float]) -> Function:
    def function(geometry: Term, unit: Term | None = None) -> Term:
        one = 1.0 if unit is None else _unit(unit, units)
        if one == 0:
            raise _NoValueError
        return _double(measure(_read(geometry)) / one)

    return function


def _distant(geometry: Term, other: Term, unit: Term | None = None) -> Term:
    one = 1.0 if unit is None else _unit(unit, _UNITS)
    here, there = _point(_text(geometry)), _point(_text(other))
    if one and here is not None and there is not None:
        return _double(geodesy.between(here, there) / one)
    first, second = _read(geometry), _read(other)
    return _double(_distance(first, second) / one if one else float(shapely.distance(first.shape, second.shape)))


def _buffered(geometry: Term, radius: Term, unit: Term | None = None) -> Term:
    place, far = _read(geometry), _number(radius)
    one = 1.0 if unit is None else _unit(unit, _UNITS)
    if not one and not abs(far) <= _WIDEST:
        raise _NoValueError
    return _write(_buffer(place, far * one) if one else shapely.buffer(place.shape, far), place.system)


def _shaped(make: Callable[[BaseGeometry], BaseGeometry]) -> Function:
    def function(geometry: Term) -> Term:
        place = _read(geometry)
        return _write(make(place.shape), place.system)

    return function


def _combined(make: Callable[[BaseGeometry, BaseGeometry], BaseGeometry]) -> Function:
    def function(geometry: Term, other: Term) -> Term:
        first, second = _read(geometry), _read(other)
        return _write(make(first.shape, second.shape), first.system)

    return function


def _side(number: int) -> Function:
    def function(geometry: Term) -> Term:
        place = _read(geometry)
        shape = shapely.transform(place.shape, geodesy.to_lambert93) if place.system == _LAMBERT93 else place.shape
        return _double(shape.bounds[number])

    return function


def _transform(geometry: Term, system: Term) -> Term:
    name = system.value if isinstance(system, ox.NamedNode | ox.Literal) else ""
    if name not in (_CRS84, _WGS84, _LAMBERT93):
        raise _NoValueError
    return _write(_read(geometry).shape, name)


def _geometry_type(geometry: Term) -> Term:
    kind = _read(geometry).shape.geom_type
    return ox.NamedNode(f"http://www.opengis.net/ont/sf#{kind}")


def _geometry_n(geometry: Term, number: Term) -> Term:
    place, wanted = _read(geometry), int(_number(number))
    part = shapely.get_geometry(place.shape, wanted - 1) if wanted >= 1 else None
    if part is None:
        raise _NoValueError
    return _write(part, place.system)


def _parts(geometry: Term) -> Term:
    return ox.Literal(int(shapely.get_num_geometries(_read(geometry).shape)))


def _circled(geometry: Term) -> Term:
    place = _read(geometry)
    return _write(_circle(place), place.system)


def _safe(function: Function) -> Function:
    """Turn what cannot be computed into no value."""

    def guarded(*arguments: Term) -> Term | None:
        try:
            return function(*arguments)
        except (ValueError, TypeError, ArithmeticError, shapely.errors.ShapelyError):
            return None

    return guarded


_FUNCTIONS: Final[dict[str, Function]] = {
    "area": _measured(_area, _SQUARES),
    "boundary": _shaped(shapely.boundary),
    "boundingCircle": _circled,
    "buffer": _buffered,
    "difference": _combined(shapely.difference),
    "distance": _distant,
    "geometryN": _geometry_n,
    "geometryType": _geometry_type,
    "intersection": _combined(shapely.intersection),
    "length": _measured(_length, _UNITS),
    "maxX": _side(2),
    "maxY": _side(3),
    "metricArea": _measured(_area, {}),
    "metricBuffer": _buffered,
    "metricDistance": _distant,
    "metricLength": _measured(_length, {}),
    "metricPerimeter": _measured(_length, {}),
    "minX": _side(0),
    "minY": _side(1),
    "numGeometries": _parts,
    "perimeter": _measured(_length, _UNITS),
    "symDifference": _combined(shapely.symmetric_difference),
    "transform": _transform,
    "union": _combined(shapely.union),
}
np.seterr(all="ignore")  # what is not finite is refused where it comes out
FUNCTIONS: Final = {ox.NamedNode(SPACE + name): _safe(function) for name, function in _FUNCTIONS.items()}
"""What the engine is given beside its own functions."""
