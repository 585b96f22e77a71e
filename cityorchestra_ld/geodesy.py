"""Where places are on the ellipsoid: Lambert-93, plane maps around a place, true lengths and areas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # one row each: longitude and latitude in degrees, or x and y in metres

_A: Final = 6_378_137.0
_F: Final = 1 / 298.257222101  # GRS 80, on which RGF93 stands; WGS 84 differs by a tenth of a millimetre
_E: Final = math.sqrt(_F * (2 - _F))
_RANGE: Final = (-10.0, 41.0, 11.0, 52.0)  # where Lambert-93 is used (IGN: metropolitan France)
_WIDE: Final = 30.0  # degrees from its middle that a plane map shows


class OutOfRangeError(ValueError):
    """A place is not on the map."""


def _isometric(latitude: Points) -> Points:
    sine = np.sin(latitude)
    return np.asarray(np.arctanh(sine) - _E * np.arctanh(_E * sine))


def _latitude(isometric: Points) -> Points:
    """Find the latitude of an isometric latitude; each step gains three digits."""
    latitude = np.arctan(np.sinh(isometric))
    for _ in range(8):
        latitude = np.arctan(np.sinh(isometric + _E * np.arctanh(_E * np.sin(latitude))))
    return np.asarray(latitude)


# --- Lambert-93 (IGN, NTG 71; EPSG:2154) --------------------------------------------------------------------------------------

_PARALLELS = np.radians([44.0, 49.0, 46.5])
_MERIDIAN: Final = math.radians(3.0)


def _normal(latitude: Points) -> Points:
    """Return the radius of curvature in the prime vertical, times the cosine: the radius of the parallel."""
    return np.asarray(_A * np.cos(latitude) / np.sqrt(1 - (_E * np.sin(latitude)) ** 2))


_L1, _L2, _L0 = (float(value) for value in _isometric(_PARALLELS))
_R1, _R2, _ = (float(value) for value in _normal(_PARALLELS))
_N: Final = math.log(_R1 / _R2) / (_L2 - _L1)
_C: Final = _R1 / _N * math.exp(_N * _L1)
_XS: Final = 700_000.0
_YS: Final = 6_600_000.0 + _C * math.exp(-_N * _L0)


def to_lambert93(places: Points) -> Points:
    """
    Turn longitudes and latitudes into metres of Lambert-93; raise OutOfRangeError outside metropolitan France.

    >>> [round(float(value), 3) for value in to_lambert93(np.array([[3.0, 46.5]]))[0]]
    [700000.0, 6600000.0]
    """
    west, south, east, north = _RANGE
    longitude, latitude = places[:, 0], places[:, 1]
    if not np.all((longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)):
        raise OutOfRangeError("Lambert-93 is for metropolitan France")
    radius = _C * np.exp(-_N * _isometric(np.radians(latitude)))
    angle = _N * (np.radians(longitude) - _MERIDIAN)
    return np.column_stack((_XS + radius * np.sin(angle), _YS - radius * np.cos(angle)))


def from_lambert93(places: Points) -> Points:
    """Turn metres of Lambert-93 into longitudes and latitudes; raise OutOfRangeError outside metropolitan France."""
    x, y = places[:, 0] - _XS, _YS - places[:, 1]
    longitude = np.degrees(_MERIDIAN + np.arctan2(x, y) / _N)
    with np.errstate(divide="ignore"):
        latitude = np.degrees(_latitude(np.log(_C / np.hypot(x, y)) / _N))
    found = np.column_stack((longitude, latitude))
    west, south, east, north = _RANGE
    if not np.all((found >= (west - 1, south - 1)) & (found <= (east + 1, north + 1))):
        raise OutOfRangeError("Lambert-93 is for metropolitan France")
    return found


# --- plane maps and true measures ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaneMap:
    """A conformal map (stereographic) around a place: true in the middle, within a millionth 10 km from it."""

    longitude: float
    latitude: float

    @property
    def _sphere(self) -> tuple[float, float]:
        """Return the latitude of the middle on the conformal sphere, and the radius that this has there."""
        latitude = np.radians([self.latitude])
        conformal = math.atan(math.sinh(float(_isometric(latitude)[0])))
        return conformal, float(_normal(latitude)[0]) / math.cos(conformal)

    def draw(self, places: Points) -> Points:
        """Turn longitudes and latitudes into metres from the middle; raise OutOfRangeError for what is far away."""
        if not np.all(np.abs(places - (self.longitude, self.latitude)) <= _WIDE) or not np.all(np.abs(places[:, 1]) < 89.9):
            raise OutOfRangeError("too far away for a plane map")
        middle, radius = self._sphere
        conformal = np.arctan(np.sinh(_isometric(np.radians(places[:, 1]))))
        turn = np.radians(places[:, 0] - self.longitude)
        scale = 2 * radius / (1 + math.sin(middle) * np.sin(conformal) + math.cos(middle) * np.cos(conformal) * np.cos(turn))
        north = math.cos(middle) * np.sin(conformal) - math.sin(middle) * np.cos(conformal) * np.cos(turn)
        return np.column_stack((scale * np.cos(conformal) * np.sin(turn), scale * north))

    def read(self, places: Points) -> Points:
        """Turn metres from the middle back into longitudes and latitudes."""
        middle, radius = self._sphere
        far = np.hypot(places[:, 0], places[:, 1])
        arc = 2 * np.arctan(far / (2 * radius))
        sine = np.divide(np.sin(arc), far, out=np.full_like(far, 1 / radius), where=far > 0)
        conformal = np.arcsin(np.clip(np.cos(arc) * math.sin(middle) + places[:, 1] * sine * math.cos(middle), -1, 1))
        turn = np.arctan2(places[:, 0] * sine, np.cos(arc) * math.cos(middle) - places[:, 1] * sine * math.sin(middle))
        latitude = _latitude(np.arctanh(np.sin(conformal)))
        return np.column_stack((self.longitude + np.degrees(turn), np.degrees(latitude)))


def lengths(starts: Points, ends: Points) -> Points:
    """
    Measure the metres between places, row by row, on the sphere that fits the ellipsoid halfway.

    >>> round(float(lengths(np.array([[0.0, 48.0]]), np.array([[0.0, 49.0]]))[0]))
    111200
    """
    halfway = np.radians((starts[:, 1] + ends[:, 1]) / 2)
    radius = _normal(halfway) / np.cos(np.arctan(np.sinh(_isometric(halfway))))
    first, second = (np.arctan(np.sinh(_isometric(np.radians(places[:, 1])))) for places in (starts, ends))
    turn = np.radians(ends[:, 0] - starts[:, 0])
    chord = np.sin((second - first) / 2) ** 2 + np.cos(first) * np.cos(second) * np.sin(turn / 2) ** 2
    return np.asarray(2 * radius * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


Spot = tuple[float, float, float, float]  # longitude, latitude and its cosine on the conformal sphere, radius of this there


def spot(longitude: float, latitude: float) -> Spot:
    """Prepare a place for `between`; both in degrees, not at a pole."""
    angle = math.radians(latitude)
    sine = math.sin(angle)
    isometric = math.atanh(sine) - _E * math.atanh(_E * sine)
    radius = _A * math.cos(angle) / math.sqrt(1 - (_E * sine) ** 2) * math.cosh(isometric)
    return math.radians(longitude), math.atan(math.sinh(isometric)), 1 / math.cosh(isometric), radius


def between(first: Spot, second: Spot) -> float:
    """
    Measure the metres between two places, as `lengths` does for many.

    >>> round(between(spot(0.0, 48.0), spot(0.0, 49.0)))
    111200
    """
    chord = math.sin((second[1] - first[1]) / 2) ** 2 + first[2] * second[2] * math.sin((second[0] - first[0]) / 2) ** 2
    return (first[3] + second[3]) * math.asin(math.sqrt(chord)) if chord <= 1 else math.nan


def equal_area(places: Points) -> Points:
    """Turn longitudes and latitudes into a map on which areas are true, in metres (Lambert, cylindrical)."""
    sine = np.sin(np.radians(places[:, 1]))
    height = (1 - _E**2) * (sine / (1 - (_E * sine) ** 2) + np.arctanh(_E * sine) / _E) / 2
    return np.column_stack((_A * np.radians(places[:, 0]), _A * height))
