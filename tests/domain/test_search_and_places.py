"""The queries that the documentation shows find the stops of the territory by their names and by their communes."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
import shapely

from cityorchestra_ld.governance.views import view
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.store import current_generation, inspect, query_once
from cityorchestra_ld.territory import Territory

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(r"```sparql\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.DOTALL)
RENNES = "http://id.insee.fr/geo/commune/35238"


def answer(territory: Territory, text: str) -> list[dict[str, str]]:
    generation = current_generation(territory.state / "store")
    assert generation is not None
    media_type, out = "application/sparql-results+json", io.BytesIO()
    asked, seen = inspect(text, territory.limits), view(generation.graphs)
    query_once(generation, asked, seen, media_type, territory.limits, out, prefixes=prefixes(territory.base_iri))
    rows = msgspec.json.decode(out.getvalue())["results"]["bindings"]
    return [{name: cell["value"] for name, cell in row.items()} for row in rows]


def test_stops_are_found_by_their_names(loaded: Territory) -> None:
    rows = answer(loaded, SHOWN[0])
    assert all("république" in row["name"].casefold() or "republique" in row["name"].casefold() for row in rows)
    assert float(rows[0]["nearness"]) == 1
    plain = answer(
        loaded,
        "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX gtfs: <http://vocab.gtfs.org/terms#> "
        'SELECT ?stop { ?stop a gtfs:Stop ; rdfs:label ?name FILTER(REGEX(?name, "r.publique", "i")) }',
    )
    assert {row["stop"] for row in plain} == {row["stop"] for row in rows if "/stop/" in row["stop"]}
    assert len(plain) > 5


def test_stops_are_counted_in_their_communes(loaded: Territory) -> None:
    rows = answer(loaded, SHOWN[1])
    assert rows[0]["commune"] == RENNES
    assert float(rows[0]["each"]) * int(rows[0]["stops"]) == pytest.approx(50.4, rel=0.02)  # km², says the INSEE
    assert len(rows) > 30


def test_what_lies_in_a_commune_is_what_the_engine_finds_there(loaded: Territory) -> None:
    geo = "PREFIX geo: <http://www.opengis.net/ont/geosparql#> PREFIX gtfs: <http://vocab.gtfs.org/terms#> "
    outline = answer(loaded, geo + f"SELECT ?w {{ <{RENNES}> geo:hasDefaultGeometry/geo:asWKT ?w }}")[0]["w"]
    stops = answer(loaded, geo + "SELECT ?s ?w { ?s a gtfs:Stop ; geo:hasGeometry/geo:asWKT ?w }")
    area = shapely.from_wkt(outline.partition("> ")[2] or outline)
    expected = {row["s"] for row in stops if area.contains(shapely.from_wkt(row["w"].partition("> ")[2] or row["w"]))}
    found = answer(loaded, geo + f"SELECT ?s {{ ?s a gtfs:Stop ; geo:sfWithin <{RENNES}> }}")
    assert {row["s"] for row in found} == expected
    assert len(expected) > 500


def test_the_graph_of_what_lies_where_says_where_it_comes_from(loaded: Territory) -> None:
    graph = loaded.iris.graph("within")
    rows = answer(
        loaded, f"SELECT ?from {{ GRAPH <{graph}> {{ <{graph}> <http://www.w3.org/ns/prov#wasDerivedFrom> ?from }} }}"
    )
    named = {row["from"].rpartition("/dataset/")[2] for row in rows}
    assert {"ign/contours-communes", "star/arrets"} <= named
