"""Projections and measures agree with published reference values, and lead back to where they came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld import geodesy

PLACES = [  # longitude, latitude; x, y as PROJ gives them for EPSG:4171 to EPSG:2154
    (3.0, 46.5, 700000.0, 6600000.0),
    (-1.6794, 48.1147, 351971.4127, 6789685.1603),
    (2.3488, 48.8534, 652216.6260, 6861681.5000),
    (8.7369, 41.9268, 1176465.1927, 6109106.7746),
]
LENGTH = 308862.15596  # metres from the second to the third, by Karney's algorithm
AREA = 82896661.94  # square metres of the square below, by the same
SQUARE = np.array([[-1.7, 48.0], [-1.6, 48.0], [-1.6, 48.1], [-1.7, 48.1], [-1.7, 48.0]])


@pytest.mark.parametrize(("longitude", "latitude", "x", "y"), PLACES)
def test_lambert_93_is_that_of_the_ign(longitude: float, latitude: float, x: float, y: float) -> None:
    found = geodesy.to_lambert93(np.array([[longitude, latitude]]))
    assert found == pytest.approx(np.array([[x, y]]), abs=0.001)
    assert geodesy.from_lambert93(found) == pytest.approx(np.array([[longitude, latitude]]), abs=1e-9)


def test_lengths_and_areas_are_those_of_the_ellipsoid() -> None:
    start, end = PLACES[1][:2], PLACES[2][:2]
    assert geodesy.lengths(np.array([start]), np.array([end]))[0] == pytest.approx(LENGTH, rel=1e-6)
    assert geodesy.between(geodesy.spot(*start), geodesy.spot(*end)) == pytest.approx(LENGTH, rel=1e-6)
    x, y = geodesy.equal_area(SQUARE).T
    assert abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2 == pytest.approx(AREA, rel=1e-6)


@pytest.mark.parametrize("place", [(-60.0, 4.0), (3.0, 90.0), (float("nan"), 46.0), (float("inf"), 46.0)])
def test_what_is_not_in_france_is_not_in_lambert_93(place: tuple[float, float]) -> None:
    with pytest.raises(geodesy.OutOfRangeError):
        geodesy.to_lambert93(np.array([place]))


@pytest.mark.parametrize("place", [(1e12, 0.0), (700000.0, 12655612.0499), (float("nan"), 0.0)])
def test_metres_far_from_france_are_nowhere(place: tuple[float, float]) -> None:
    with pytest.raises(geodesy.OutOfRangeError):
        geodesy.from_lambert93(np.array([place]))


@given(st.floats(-175, 175), st.floats(-80, 80), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_plane_map_is_true_around_its_middle_and_reads_back(east: float, north: float, right: float, up: float) -> None:
    plane = geodesy.PlaneMap(east, north)
    place = np.array([[east + right, north + up]])
    drawn = plane.draw(place)
    assert plane.read(drawn) == pytest.approx(place, abs=1e-8)
    true = geodesy.lengths(np.array([[east, north]]), place)[0]
    assert float(np.hypot(*drawn[0])) == pytest.approx(true, rel=2e-5, abs=0.01)
