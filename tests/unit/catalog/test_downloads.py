"""Files of a version hold what its content says, the same bytes each time, and old ones make room for new ones."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pyoxigraph as ox
import pytest

from cityorchestra_ld.catalog import downloads
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.store import open_store
from cityorchestra_ld.wkt import read_known

X = "https://x.example/"
DATA = f"""
@prefix x: <{X}> . @prefix geo: <http://www.opengis.net/ont/geosparql#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix qb: <http://purl.org/linked-data/cube#> .
x:a a x:Stop , geo:Feature ; rdfs:label "Place \\"Hoche\\""@fr , "Hoche square"@en ; x:code "001" ; x:seats 12 ;
  x:line x:l2 , x:l1 ; x:since "2020-01-02"^^xsd:date ; geo:hasGeometry _:g ; geo:hasDefaultGeometry _:g .
_:g a geo:Geometry ; geo:asWKT "POINT(-1.6 48.1)"^^geo:wktLiteral .
x:b a x:Stop , geo:Feature ; rdfs:label "=2+3, ligne\\nsuivante"@fr ; x:seats 3 .
x:l1 a x:Line ; rdfs:label "Ligne 1"@fr . x:l2 a x:Line ; rdfs:label "Ligne 2"@fr .
x:d a qb:DataSet ; rdfs:label "apart"@en .
"""


def snapshot(state: Path, text: str, version: str = "1-aaaa", key: str = "city/stops") -> GraphInfo:
    """Keep a content as the store does."""
    content = state / "content.nt"
    state.mkdir(exist_ok=True)
    content.write_bytes(
        ox.serialize([q.triple for q in ox.parse(text, format=ox.RdfFormat.TURTLE)], format=ox.RdfFormat.N_TRIPLES)
    )
    info = GraphInfo(graph=f"{X}graph/{key}", role="data", dataset=key, version=version)
    with open_store(state / "store") as store:
        return store.snapshot(info, content)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, downloads.Made]:
    info = snapshot(tmp_path, DATA)
    found = downloads.make(tmp_path, info, prefixes())
    assert found is not None
    return tmp_path / "downloads" / "city" / "stops" / "1-aaaa", found


def test_size_and_checksum_are_those_of_the_bytes(made: tuple[Path, downloads.Made]) -> None:
    folder, found = made
    assert {file.form for file in found.files} == {"nquads", "turtle", "csv", "geojson", "parquet"}
    for file in found.files:
        data = (folder / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_rdf_files_hold_every_triple(made: tuple[Path, downloads.Made]) -> None:
    folder, found = made
    quads = set(ox.parse(gzip.decompress((folder / "stops.nq.gz").read_bytes()), format=ox.RdfFormat.N_QUADS))
    triples = set(ox.parse(gzip.decompress((folder / "stops.ttl.gz").read_bytes()), format=ox.RdfFormat.TURTLE))
    assert {quad.triple for quad in quads} == {quad.triple for quad in triples}
    assert len(quads) == found.facts.triples == 23
    assert {quad.graph_name.value for quad in quads} == {f"{X}graph/city/stops"}


def test_a_table_has_one_row_for_each_thing_and_columns_by_language(made: tuple[Path, downloads.Made]) -> None:
    folder, found = made
    text = (folder / "stop.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["iri"] for row in rows] == [f"{X}a", f"{X}b"]
    first = rows[0]
    assert (first["label_fr"], first["label_en"], first["code"]) == ('Place "Hoche"', "Hoche square", "001")
    assert first["line"] == f"{X}l1 | {X}l2" and first["asWKT"] == "POINT(-1.6 48.1)"
    assert rows[1]["label_fr"] == "=2+3, ligne\nsuivante" and rows[1]["asWKT"] == ""
    assert [(table.name, table.rows) for table in found.facts.tables] == [("line", 2), ("stop", 2)]


def test_parquet_has_types_and_keeps_codes_as_text(made: tuple[Path, downloads.Made]) -> None:
    folder, _ = made
    with duckdb.connect() as session:
        table = session.read_parquet(str(folder / "stop.parquet"))
        types = dict(zip(table.columns, map(str, table.types), strict=True))
        assert (types["seats"], types["since"], types["code"]) == ("BIGINT", "DATE", "VARCHAR")
        assert sorted(row[table.columns.index("seats")] for row in table.fetchall()) == [3, 12]


def test_geojson_is_a_collection_of_features(made: tuple[Path, downloads.Made]) -> None:
    folder, _ = made
    found = json.loads((folder / "stop.geojson").read_text(encoding="utf-8"))
    first, second = found["features"]
    assert first["geometry"] == {"type": "Point", "coordinates": [-1.6, 48.1]} and first["properties"]["seats"] == 12
    assert second["geometry"] is None and first["id"] == f"{X}a"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (downloads.make(tmp_path / name, snapshot(tmp_path / name, DATA), prefixes()) for name in ("one", "two"))
    assert one is not None and one == two


def test_older_versions_make_room_and_the_current_one_stays(tmp_path: Path) -> None:
    for version in ("1-aaaa", "2-bbbb", "3-cccc"):
        text = DATA.replace('"001"', f'"{version}"')
        assert downloads.make(tmp_path, snapshot(tmp_path, text, version), prefixes()) is not None
    downloads.retain(tmp_path, {"city/stops": "3-cccc"}, 10_000_000)
    assert all(downloads.known(tmp_path, "city/stops", version) for version in ("1-aaaa", "2-bbbb", "3-cccc"))
    downloads.retain(tmp_path, {"city/stops": "3-cccc"}, 1)
    assert downloads.known(tmp_path, "city/stops", "3-cccc") and not downloads.known(tmp_path, "city/stops", "1-aaaa")
    downloads.retain(tmp_path, {}, 10_000_000)
    assert downloads.known(tmp_path, "city/stops", "3-cccc") is None


@pytest.mark.parametrize("version", ["..", "../../x", "", ".hidden", "a/b"])
def test_a_version_never_leaves_its_folder(tmp_path: Path, version: str) -> None:
    assert downloads.folder_of(tmp_path, "city/stops", version) is None
    info = replace(snapshot(tmp_path, DATA), version=version)
    assert downloads.make(tmp_path, info, prefixes()) is None


def test_facts_count_classes_properties_and_links(made: tuple[Path, downloads.Made]) -> None:
    facts = made[1].facts
    assert facts.classes[f"{X}Stop"] == 2 and facts.properties[f"{X}line"] == 2
    assert (facts.subjects, facts.entities) == (6, 5)  # the geometry has no address of its own
    assert not [link for link in facts.links if link.property == f"{X}line"]  # lines are described here: no link to others


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LINESTRING(0 0, 1 1.5)", "LineString"),
        ("POLYGON((0 0, 1 0, 1 1, 0 0),(.1 .1, .2 .1, .2 .2, .1 .1))", "Polygon"),
        ("MULTIPOINT((0 0), (1 1))", "MultiPoint"),
        ("MULTIPOINT(0 0, 1 1)", "MultiPoint"),
        ("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)),((5 5, 6 5, 6 6, 5 5)))", "MultiPolygon"),
        ("GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0, 1 1))", "GeometryCollection"),
    ],
)
def test_every_kind_of_wkt_is_read(text: str, kind: str) -> None:
    shape = read_known(text)
    assert shape is not None and shape["type"] == kind


def test_coordinates_come_longitude_first_whatever_the_literal_says() -> None:
    assert read_known("<http://www.opengis.net/def/crs/EPSG/0/4326> POINT(48.1 -1.6)") == {
        "type": "Point",
        "coordinates": [-1.6, 48.1],
    }
    assert read_known("<http://www.opengis.net/def/crs/OGC/1.3/CRS84> POINT(-1.6 48.1)") == {
        "type": "Point",
        "coordinates": [-1.6, 48.1],
    }


@pytest.mark.parametrize(
    "text", ["", "POINT EMPTY", "POINT(1)", "POINT(1 2", "POINT(1 2))", "DROP TABLE x", "POLYGON(1 2)", "POINT(a b)"]
)
def test_broken_wkt_is_no_geometry(text: str) -> None:
    assert read_known(text) is None
