"""GeoSPARQL functions measure truly, and what is hostile or meaningless has no value."""

from __future__ import annotations

import re
from typing import cast

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.store import spatial
from cityorchestra_ld.store.functions import functions_for

GEOF = "http://www.opengis.net/def/function/geosparql/"
LAMBERT = "http://www.opengis.net/def/crs/EPSG/0/2154"
PROLOGUE = (
    f"PREFIX geof: <{GEOF}> PREFIX geo: <http://www.opengis.net/ont/geosparql#> PREFIX sf: <http://www.opengis.net/ont/sf#> "
    "PREFIX uom: <http://www.opengis.net/def/uom/OGC/1.0/> PREFIX unit: <http://qudt.org/vocab/unit/> "
)
GIVEN = {
    "$square": "POLYGON((-1.7 48,-1.6 48,-1.6 48.1,-1.7 48.1,-1.7 48))",
    "$swapped": "<http://www.opengis.net/def/crs/EPSG/0/4326> POLYGON((48 -1.7,48 -1.6,48.1 -1.6,48.1 -1.7,48 -1.7))",
    "$other": "POLYGON((-1.65 48,-1.5 48,-1.5 48.1,-1.65 48.1,-1.65 48))",
    "$centre": "POINT(3 46.5)",
    "$metres": f"<{LAMBERT}> POINT(700000 6600000)",
    "$here": "POINT(-1.6794 48.1147)",
    "$there": "POINT(2.3488 48.8534)",
    "$line": "LINESTRING(-1.6794 48.1147, 2.3488 48.8534)",
    "$two": "MULTIPOINT((1 2),(3 4))",
}


def value(expression: str) -> str | float | None:
    """Evaluate one expression as a query worker does."""
    for name, text in GIVEN.items():
        expression = re.sub(re.escape(name) + r"\b", lambda _, text=text: f'"{text}"^^geo:wktLiteral', expression)
    text = f"{PROLOGUE} SELECT ?x {{ BIND({expression} AS ?x) }}"
    rows = cast("ox.QuerySolutions", ox.Store().query(text, custom_functions=functions_for(text)))
    found = next(rows)["x"]
    if isinstance(found, ox.Literal) and found.datatype.value.endswith(("double", "integer")):
        return float(found.value)
    return found.value if isinstance(found, ox.Literal | ox.NamedNode) else None


MEASURES = [
    ("geof:area($square, uom:squareMetre)", 82896661.94),
    ("geof:area($swapped, unit:HA)", 8289.666194),
    ("geof:metricArea($square)", 82896661.94),
    ("geof:metricPerimeter($square)", 37148.8955),
    ("geof:length($line, uom:metre)", 308862.156),
    ("geof:distance($here, $there, uom:kilometre)", 308.862156),
    ("geof:metricDistance($metres, $centre)", 0.0),
    ("geof:distance($here, $square, uom:metre)", 1633.9),
    ("geof:distance($here, $there, uom:degree)", 4.0953732),
    ("geof:metricArea(geof:buffer($here, 100, uom:metre))", 31214.45),
    ("geof:metricArea(geof:metricBuffer($square, 1000))", 123173810.0),
    ("geof:metricArea(geof:intersection($square, $other))", 41448331.0),
    ("geof:metricArea(geof:union($square, $other))", 165793324.0),
    ("geof:minX($square)", -1.7),
    ("geof:maxY($swapped)", 48.1),
    ("geof:minX($metres)", 700000.0),
    ("geof:numGeometries($two)", 2.0),
]


@pytest.mark.parametrize(("expression", "expected"), MEASURES)
def test_measures_are_those_of_the_ellipsoid(expression: str, expected: float) -> None:
    assert value(expression) == pytest.approx(expected, rel=2e-4, abs=1e-3)


SHAPES = [
    (f"geof:transform($centre, <{LAMBERT}>)", f"<{LAMBERT}> POINT (700000 6600000)"),
    (
        "geof:transform($metres, <http://www.opengis.net/def/crs/EPSG/0/4326>)",
        "<http://www.opengis.net/def/crs/EPSG/0/4326> POINT (46.5 3)",
    ),
    ("geof:geometryType($line)", "http://www.opengis.net/ont/sf#LineString"),
    ("geof:geometryN($two, 2)", "<http://www.opengis.net/def/crs/OGC/1.3/CRS84> POINT (3 4)"),
    ("geof:boundary($line)", "<http://www.opengis.net/def/crs/OGC/1.3/CRS84> MULTIPOINT ((-1.6794 48.1147), (2.3488 48.8534))"),
    ('geof:sfWithin("POINT(-1.65 48.05)"^^geo:wktLiteral, $square)', "true"),  # the engine's own
    ("geof:sfIntersects($square, geof:boundingCircle($square))", "true"),
]


@pytest.mark.parametrize(("expression", "expected"), SHAPES)
def test_shapes_come_back_as_they_were_asked_for(expression: str, expected: str) -> None:
    assert value(expression) == expected


HOSTILE = [
    "POLYGON((0 0,1 1,0 1,1 0,0 0))",
    "POINT(nan nan)",
    "POINT(1e308 1e308)",
    "POLYGON((0 0,1 1))",
    "",
    "POLYGON EMPTY",
    "POINT(0 91)",
    "<http://x> POINT(1 1)",
    "<" * 5000,
    "(" * 90_000,
    "POINT(1 1",
    "POINT(" + "1" * 90_000 + " 1)",
    "GEOMETRYCOLLECTION(" * 2000 + "POINT(1 1)" + ")" * 2000,
    f"<{LAMBERT}> POINT(1e300 1e300)",
    "POINT(0 0)); DROP",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_broken_or_hostile_geometry_has_no_value(text: str) -> None:
    literal = ox.Literal(text, datatype=ox.NamedNode("http://www.opengis.net/ont/geosparql#wktLiteral"))
    for name in ("metricArea", "metricLength", "boundary", "minX", "numGeometries"):
        assert spatial.FUNCTIONS[ox.NamedNode(GEOF + name)](literal) is None
    assert spatial.FUNCTIONS[ox.NamedNode(f"{GEOF}metricBuffer")](literal, ox.Literal(1)) is None


@pytest.mark.parametrize(
    "expression",
    [
        "geof:buffer($here, 1e300, uom:metre)",
        "geof:buffer($here, -10, uom:metre)",
        "geof:buffer($here, 'NaN'^^<http://x>, uom:metre)",
        "geof:buffer($here, 1e9, uom:degree)",
        "geof:area($square, uom:degree)",
        "geof:area($square, 3)",
        "geof:area(3)",
        "geof:intersection($here, $there)",
        "geof:geometryN($two, 9)",
        "geof:geometryN($two, 0)",
        "geof:transform($here, <http://x>)",
        f'geof:transform("POINT(-60 4)"^^geo:wktLiteral, <{LAMBERT}>)',
        "geof:distance($here, $there, uom:parsec)",
        "geof:boundary($here)",
    ],
)
def test_what_makes_no_sense_has_no_value(expression: str) -> None:
    assert value(expression) is None


@given(
    st.sampled_from(sorted(spatial.FUNCTIONS, key=str)),
    st.text("POINTLYGMU(),.-e 0123456789<>/", max_size=80),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_a_function(name: ox.NamedNode, text: str, more: int) -> None:
    literal = ox.Literal(text, datatype=ox.NamedNode("http://www.opengis.net/ont/geosparql#wktLiteral"))
    found = spatial.FUNCTIONS[name](*[literal] * more, literal)
    assert found is None or isinstance(found, ox.Literal | ox.NamedNode)
