"""Maps and charts: geometries read honestly, drawn small, and laid out the same each time."""

from __future__ import annotations

import re

import pyoxigraph as ox
import pytest

from cityorchestra_ld.web.charts import bars, figure, lines, strip
from cityorchestra_ld.web.geometry import Frame, read_wkt
from cityorchestra_ld.web.maps import Feature, draw
from cityorchestra_ld.web.panels import day_of, moment_of
from cityorchestra_ld.web.terms import Shown

SQUARE = "POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))"


@pytest.mark.parametrize(
    ("text", "points", "lines_", "rings"),
    [
        ("POINT(-1.5 48)", 1, 0, 0),
        ("point ( -1.5 48 )", 1, 0, 0),
        ("POINT Z (-1.5 48 12)", 1, 0, 0),
        ("MULTIPOINT((0 0), (1 1))", 2, 0, 0),
        ("MULTIPOINT(0 0, 1 1)", 2, 0, 0),
        ("LINESTRING(0 0, 1 1, 2 2)", 0, 1, 0),
        (SQUARE, 0, 0, 1),
        ("POLYGON((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))", 0, 0, 2),
        ("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))", 0, 0, 2),
        ("<http://www.opengis.net/def/crs/OGC/1.3/CRS84> POINT(0 0)", 1, 0, 0),
    ],
)
def test_geometries_are_taken_apart(text, points, lines_, rings):
    shape = read_wkt(text)
    assert (len(shape.points), len(shape.lines), len(shape.rings)) == (points, lines_, rings)


@pytest.mark.parametrize(
    "text",
    ["", "POINT", "POINT()", "POINT(a b)", "POINT(1)", "POINT(nan 0)", "POINT(200 0)", "CIRCLE(0 0 1)",
     "<http://www.opengis.net/def/crs/EPSG/0/2154> POINT(352000 6789000)", "POINT EMPTY"],
)  # fmt: skip
def test_what_cannot_be_drawn_is_not_guessed(text):
    assert read_wkt(text) is None


def test_latitude_first_is_turned_round():
    assert read_wkt("<http://www.opengis.net/def/crs/EPSG/0/4326> POINT(48 -1.5)").points == ((-1.5, 48.0),)


def test_a_frame_holds_its_box_and_keeps_the_north_up():
    frame = Frame.holding((-2.0, 48.0, -1.0, 49.0), 1600, 1000)
    west, south = frame.place((-2.0, 48.0))
    east, north = frame.place((-1.0, 49.0))
    assert 0 < west < east < 1600
    assert 0 < north < south < 1000
    assert frame.meets((-1.5, 48.5, -1.4, 48.6))
    assert not frame.meets((5.0, 40.0, 6.0, 41.0))


def test_points_that_nobody_would_see_are_left_out_of_a_path():
    frame = Frame((0.0, 0.0, 1.0, 1.0), 100, 100)
    many = [(number / 10_000, 0.5) for number in range(10_000)]
    path = frame.path([many], closed=False, step=5)
    assert path.startswith("M0 50l5 0")
    assert len(re.findall(r"5 0", path)) == 20
    assert frame.path([[(0.1, 0.1), (0.1001, 0.1), (0.1, 0.1001)]], closed=True) == ""


class NoAreas:
    """A snapshot without areas of reference."""

    def __init__(self):
        self.infos = {}

    def remember(self, key, make):
        return make()


def test_a_map_colours_areas_by_their_figure_and_crowds_dots_beyond_what_can_be_links():
    areas = [Feature(shape=read_wkt(f"POLYGON(({x} 0, {x + 1} 0, {x + 1} 1, {x} 0))"), value=float(x)) for x in range(10)]
    drawn = draw(NoAreas(), areas)
    assert [level for level, _, _ in drawn.steps] == [1, 2, 3, 4, 5]
    assert drawn.steps[0][1] == 0.0
    assert drawn.steps[-1][2] == 9.0
    assert sorted(mark.level for mark in drawn.marks) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    dots = [Feature(shape=read_wkt(f"POINT({number / 1000} 0)"), href="/x") for number in range(700)]
    crowd = draw(NoAreas(), dots)
    assert len(crowd.marks) == 600
    assert crowd.crowd.count("M") == 100
    assert draw(NoAreas(), []) is None


def shown(text):
    return Shown(kind="text", text=text)


def test_bars_share_one_scale_and_begin_where_zero_is():
    chart = bars([(shown("a"), 30.0), (shown("b"), -10.0)], "fr", unit="M€")
    assert [(bar.start, bar.length, bar.negative) for bar in chart.bars] == [(25.0, 75.0, False), (0.0, 25.0, True)]
    assert bars([], "fr") is None
    assert bars([(shown("a"), 0.0)], "fr").bars[0].length == 0


def test_a_line_goes_through_its_points_in_the_order_of_time():
    chart = lines([(2.0, "2022", 10.0), (1.0, "2021", 0.0)], "fr", unit="MWh")
    first, last = chart.spots
    assert first.x < last.x
    assert first.y > last.y
    assert (chart.first, chart.last) == ("2021", "2022")
    assert chart.rows[0].text == "0"
    assert lines([(1.0, "2021", 3.0)], "fr") is None
    assert (
        lines([(1.0, "a", 5.0), (2.0, "b", 5.0)], "fr").spots[0].y == lines([(1.0, "a", 5.0), (2.0, "b", 5.0)], "fr").spots[1].y
    )


def test_states_have_a_row_each():
    chart = strip([(1.0, "lundi", "dry"), (2.0, "mardi", "wet")], [("wet", "Eau"), ("dry", "À sec")])
    assert [row.text for row in chart.rows] == ["Eau", "À sec"]
    assert chart.spots[0].y > chart.spots[1].y
    assert strip([], []) is None


@pytest.mark.parametrize(
    ("value", "text"), [(1234567.8, "1\u202f234\u202f568"), (123.45, "123,5"), (1.005, "1"), (-0.25, "-0,25"), (1e30, "1e+30")]
)
def test_figures_have_no_more_digits_than_people_read(value, text):
    assert figure(value, "fr") == text


def test_moments_are_ordered_whatever_their_precision():
    years = [moment_of(ox.Literal(text)) for text in ("2021", "2021-06", "2021-06-02", "2021-06-02T12:00:00Z", "2022")]
    assert years == sorted(years)
    assert moment_of(ox.Literal("hier")) is None
    assert moment_of(ox.Literal("2021-02-31")) is None
    instant = ox.Literal("2022-01-01T00:00:00+01:00", datatype=ox.NamedNode("http://www.w3.org/2001/XMLSchema#dateTime"))
    assert day_of(instant, "fr") == "1er janvier 2022"
