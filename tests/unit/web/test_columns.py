"""Results as typed tables and as GeoJSON: every value arrives, with the type that its column can hold."""

from __future__ import annotations

import datetime
from decimal import Decimal

import duckdb
import orjson
import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.formats import RESULTS_ARROW, RESULTS_PARQUET
from cityorchestra_ld.web.columnar import write_columns
from cityorchestra_ld.web.geojson import write_features
from cityorchestra_ld.wkt import WktError, read_wkt

XSD = "http://www.w3.org/2001/XMLSchema#"
PROLOGUE = f"PREFIX xsd: <{XSD}> PREFIX geo: <http://www.opengis.net/ont/geosparql#> "


def spool(folder, query):
    """Write the rows of a query as a worker and the service together do."""
    rows = ox.Store().query(PROLOGUE + query).serialize(format=ox.QueryResultsFormat.TSV)
    path = folder / "rows.tsv"
    path.write_bytes(rows.replace(b"\n", b"\t\n"))
    return path


def table(folder, query):
    write_columns(spool(folder, query), folder / "out.parquet", RESULTS_PARQUET)
    with duckdb.connect() as connection:
        found = connection.sql(f"FROM '{folder / 'out.parquet'}'")
        return dict(zip(found.columns, map(str, found.types), strict=True)), found.fetchall()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ("1 UNDEF 300", "BIGINT", [1, None, 300]),
        ("1 2.50 -0.125", "DECIMAL(18,3)", [Decimal("1"), Decimal("2.5"), Decimal("-0.125")]),
        ("1 2.5e3", "DOUBLE", [1.0, 2500.0]),
        ("true false UNDEF", "BOOLEAN", [True, False, None]),
        ('"2026-01-31"^^xsd:date', "DATE", [datetime.date(2026, 1, 31)]),
        ('"2026-01-31T10:00:00"^^xsd:dateTime', "TIMESTAMP", [datetime.datetime(2026, 1, 31, 10)]),
        ('"2026"^^xsd:gYear "1999"^^xsd:gYear', "SMALLINT", [2026, 1999]),
        ('"2026-02-30"^^xsd:date', "VARCHAR", ["2026-02-30"]),  # not a day: the text stays
        ('<http://x/a> "b"@fr "c" 1', "VARCHAR", ["http://x/a", "b", "c", "1"]),
        ('"" UNDEF', "VARCHAR", ["", None]),
        ("99999999999999999999", "DECIMAL(38,0)", [Decimal(99999999999999999999)]),
        ('"\\"^^<x" "a\\\\tb\\t" "é\\n"', "VARCHAR", ['"^^<x', "a\\tb\t", "é\n"]),
    ],
)
def test_a_column_has_the_narrowest_type_that_holds_it(tmp_path, values, kind, expected):
    types, rows = table(tmp_path, f"SELECT ?x {{ VALUES ?x {{ {values} }} }}")
    assert types == {"x": kind}
    assert [row[0] for row in rows] == expected


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12), max_size=4))
def test_any_text_arrives_as_it_was(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("text")
    terms = " ".join(str(ox.Literal(text)) for text in ["stays text", *texts])
    _, rows = table(folder, f"SELECT ?x {{ VALUES ?x {{ {terms} }} }}")
    assert [row[0] for row in rows] == ["stays text", *texts]


def test_arrow_holds_the_same_table(tmp_path):
    from nanoarrow import ArrayStream, ipc

    path = spool(tmp_path, 'SELECT ?n ?name { VALUES (?n ?name) { (1 "a") (2 "b") } }')
    write_columns(path, tmp_path / "out.arrows", RESULTS_ARROW)
    with ipc.InputStream.from_path(str(tmp_path / "out.arrows")) as stream:
        assert ArrayStream(stream).read_all().to_pylist() == [{"n": 1, "name": "a"}, {"n": 2, "name": "b"}]


def test_a_table_without_columns_is_refused(tmp_path):
    with pytest.raises(UsageError):
        table(tmp_path, "SELECT * {}")


def features(folder, query):
    write_features(spool(folder, query), folder / "out.geojson")
    return orjson.loads((folder / "out.geojson").read_bytes())


def test_each_row_is_a_feature_with_its_values_as_properties(tmp_path):
    found = features(
        tmp_path,
        """SELECT ?g ?name ?n ?ok { VALUES (?g ?name ?n ?ok) {
        ("POINT(-1.68 48.11)"^^geo:wktLiteral "République"@fr 12 true) (UNDEF "nowhere" 1.5 UNDEF) } }""",
    )
    assert found["type"] == "FeatureCollection"
    assert found["features"] == [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [-1.68, 48.11]},
            "properties": {"name": "République", "n": 12, "ok": True},
        },
        {"type": "Feature", "geometry": None, "properties": {"name": "nowhere", "n": 1.5}},
    ]


@pytest.mark.parametrize(
    "query",
    [
        'SELECT ?x { VALUES ?x { "no geometry" } }',
        'SELECT ?x { VALUES ?x { "<http://www.opengis.net/def/crs/EPSG/0/2154> POINT(352000 6789000)"^^geo:wktLiteral } }',
        'SELECT ?x { VALUES ?x { "POINT(1"^^geo:wktLiteral } }',
    ],
)
def test_what_cannot_be_on_a_map_is_refused(tmp_path, query):
    with pytest.raises(UsageError):
        features(tmp_path, query)


@pytest.mark.parametrize(
    ("text", "kind", "coordinates"),
    [
        ("LINESTRING Z (1 2 3, 4 5 6)", "LineString", [[1, 2, 3], [4, 5, 6]]),
        ("POLYGON((0 0,1 0,1 1,0 0),(.1 .1,.2 .1,.2 .2,.1 .1))", "Polygon",
         [[[0, 0], [1, 0], [1, 1], [0, 0]], [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2], [0.1, 0.1]]]),
        ("MultiPoint((1 2),(3 4))", "MultiPoint", [[1, 2], [3, 4]]),
        ("MULTIPOINT(1 2,3 4)", "MultiPoint", [[1, 2], [3, 4]]),
        ("MULTIPOLYGON(((0 0,1 0,1 1,0 0)))", "MultiPolygon", [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]),
        ("POINTM(1 2 9)", "Point", [1, 2]),
    ],
)  # fmt: skip
def test_wkt_is_read(text, kind, coordinates):
    assert read_wkt(text) == {"type": kind, "coordinates": coordinates}


@pytest.mark.parametrize("text", ["", "POINT", "POINT(1)", "POINT(1 2) x", "CIRCLE(1 2)", "GEOMETRYCOLLECTION(" * 50, "(1 2)"])
def test_what_is_not_wkt_is_refused(text):
    with pytest.raises(WktError):
        read_wkt(text)


def test_an_empty_geometry_is_none_and_a_collection_holds_its_members():
    assert read_wkt("POLYGON EMPTY") is None
    collection = read_wkt("GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))")
    assert [member["type"] for member in collection["geometries"]] == ["Point", "LineString"]
