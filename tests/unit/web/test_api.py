"""Query APIs: parameters are terms of a type, answers come in pages and forms, the description of it all is valid OpenAPI."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pyoxigraph as ox
import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.web.api_catalog import read_apis
from cityorchestra_ld.web.app import create_app

BASE = "https://id.example/"
STOPS = """#+ title.fr: Arrêts
#+ title.en: Stops
#+ param: kind iri(owl:Class) | Classe | Class
#+ param: indicator code(code:indicator) | Indicateur | Indicator
#+ param: place iri | Lieu | Place
#+ param: text text(40) | Texte | Text
#+ param: bbox bbox | Zone | Area
#+ param: from date | Depuis | From
#+ param: year year | Année | Year
#+ param: max integer(0..100) = 9 | Maximum | Maximum
#+ param: share decimal(0..1) | Part | Share
#+ geometry: shape
#+ example: text=rép&max=5
#+ expect: rows >= 1
PREFIX gtfs: <http://vocab.gtfs.org/terms#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX geo: <http://www.opengis.net/ont/geosparql#>
PREFIX geof: <http://www.opengis.net/def/function/geosparql/>
SELECT ?stop ?name ?shape ?max ?text WHERE {
  VALUES ?kind { UNDEF } VALUES ?indicator { UNDEF } VALUES ?place { UNDEF } VALUES ?text { UNDEF } VALUES ?bbox { UNDEF }
  VALUES ?from { UNDEF } VALUES ?year { UNDEF } VALUES ?max { UNDEF } VALUES ?share { UNDEF }
  ?stop a gtfs:Stop . OPTIONAL { ?stop rdfs:label ?name FILTER(LANG(?name) != "en") }
  OPTIONAL { ?stop geo:hasGeometry/geo:asWKT ?shape }
  FILTER(!BOUND(?text) || CONTAINS(LCASE(?name), LCASE(?text)))
  FILTER(!BOUND(?bbox) || geof:sfIntersects(?shape, ?bbox))
} ORDER BY ?stop
"""
ABOUT = """#+ title.fr: Tout sur un arrêt
#+ param: stop iri(gtfs:Stop) required | Arrêt | Stop
#+ example: stop=https://id.example/id/stop/1001
CONSTRUCT { ?stop ?p ?o } WHERE { VALUES ?stop { UNDEF } ?stop ?p ?o } ORDER BY ?p ?o
"""


@pytest.fixture(scope="module")
def api(make_city, tmp_path_factory):
    root = tmp_path_factory.mktemp("apis")
    folder = root / "queries" / "api"
    folder.mkdir(parents=True)
    (folder / "stops.rq").write_text(STOPS, encoding="utf-8")
    (folder / "about.rq").write_text(ABOUT, encoding="utf-8")
    with TestClient(create_app(make_city(root)), follow_redirects=False) as client:
        yield client


def names(answer):
    return [item["name"] for item in answer.json()["items"]]


def test_rows_come_as_objects_csv_features_and_results(api):
    objects = api.get("/api/queries/stops?text=République")
    assert objects.status_code == 200
    assert objects.json()["items"] == [
        {"stop": f"{BASE}id/stop/1001", "name": "République", "shape": "POINT(-1.68 48.11)", "max": 9, "text": "République"}
    ]
    table = list(csv.reader(io.StringIO(api.get("/api/queries/stops.csv?text=République").text)))
    assert table[0] == ["stop", "name", "shape", "max", "text"] and table[1][1] == "République"
    features = api.get("/api/queries/stops?text=République", headers={"accept": "application/geo+json"}).json()
    assert features["features"][0]["geometry"]["coordinates"] == [-1.68, 48.11]
    results = api.get("/api/queries/stops?format=srj&text=République").content
    assert next(iter(ox.parse_query_results(results, format=ox.QueryResultsFormat.JSON)))["name"].language == "fr"


def test_a_graph_comes_in_every_graph_format_and_in_pages(api):
    address = f"/api/queries/about?stop={BASE}id/stop/1001"
    whole = {q.triple for q in ox.parse(api.get(f"{address}&format=nt").content, format=ox.RdfFormat.N_TRIPLES)}
    found, link = set(), f"{address}&format=nt&limit=2"
    while link:
        answer = api.get(link)
        found |= {quad.triple for quad in ox.parse(answer.content, format=ox.RdfFormat.N_TRIPLES)}
        link = answer.links.get("next", {}).get("url")
    assert found == whole and len(whole) == 7
    for accept in ("text/turtle", "application/ld+json", "application/rdf+xml"):
        assert api.get(address, headers={"accept": accept}).headers["content-type"].startswith(accept)


def test_pages_follow_each_other_and_hold_each_row_once(api):
    whole, found, link = names(api.get("/api/queries/stops")), [], "/api/queries/stops?limit=3"
    while link:
        answer = api.get(link)
        assert answer.json()["next"] == answer.links.get("next", {}).get("url")
        found += names(answer)
        link = answer.json()["next"]
    assert found == whole and len(whole) > 6
    assert "prev" in api.get("/api/queries/stops?limit=3&offset=3").links


def test_each_form_has_a_tag_and_is_not_sent_twice(api):
    tags = set()
    for accept in ("application/json", "text/csv", "application/geo+json", "application/sparql-results+json"):
        answer = api.get("/api/queries/stops", headers={"accept": accept})
        head = api.head("/api/queries/stops", headers={"accept": accept})
        assert head.status_code == 200 and head.headers["etag"] == answer.headers["etag"] and not head.content
        again = api.get("/api/queries/stops", headers={"accept": accept, "if-none-match": answer.headers["etag"]})
        assert again.status_code == 304 and "Accept" in answer.headers["vary"]
        tags.add(answer.headers["etag"])
    assert len(tags) == 4
    assert api.get("/api/queries/stops", headers={"accept": "image/png"}).status_code == 406


def test_the_list_is_data_for_programs_and_forms_for_people(api):
    listed = api.get("/api/queries")
    stops = listed.json()["queries"][1]
    assert stops["name"] == "stops" and all(api.get(example).status_code == 200 for example in stops["examples"])
    page = api.get("/api/queries", headers={"accept": "text/html"})
    ElementTree.fromstring(page.text.removeprefix("<!DOCTYPE html>"))
    assert 'name="bbox"' in page.text and page.headers["etag"] != listed.headers["etag"]
    assert api.get("/api/queries", headers={"if-none-match": listed.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", f"{BASE}id/stop/1001"), ("kind", "co:Tree"), ("kind", "javascript:alert(1)"), ("kind", "x> } DROP ALL #"),
        ("indicator", "nothing"), ("indicator", "a b"), ("indicator", "../x"), ("text", "x" * 41),
        ("bbox", "1,2,3"), ("bbox", "3,0,1,1"), ("bbox", "0,0,NaN,1"), ("bbox", "0,0,1,91"), ("from", "2026-02-30"),
        ("from", "hier"), ("year", "26"), ("max", "101"), ("max", "-1"), ("max", "1.5"), ("max", "1e3"), ("share", "2"),
        ("share", "x"), ("limit", "0"), ("limit", "10001"), ("limit", "²"), ("offset", "-1"), ("unknown", "1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_400_and_its_parameter_is_named(api, field, value):
    answer = api.get("/api/queries/stops", params={field: value})
    assert answer.status_code == 400
    assert answer.json()["position"]["parameter"] == field


@pytest.mark.parametrize(
    "params",
    [
        {"kind": f"{BASE}def/co#Tree"}, {"indicator": "population"}, {"indicator": f"{BASE}id/code/indicator/population"},
        {"place": "urn:x"}, {"bbox": "-2,48,-1,49"}, {"from": "2026-02-28"}, {"year": "2026"}, {"max": "100"}, {"share": "0.5"},
    ],
)  # fmt: skip
def test_a_right_value_is_taken(api, params):
    assert api.get("/api/queries/stops", params=params).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        '" } UNION { ?s ?p ?o',
        "\\",
        "'''",
        "VALUES ?max { UNDEF }",
        "?x } #",
        "é\u202e\u0000",
        "</script>",
    ],
)
def test_a_text_stays_one_literal_whatever_it_says(api, text):
    answer = api.get("/api/queries/stops", params={"text": text})
    assert answer.status_code == 200 and answer.json()["items"] == []


def test_a_missing_parameter_and_a_repeated_one_are_400(api):
    assert api.get("/api/queries/about").json()["position"] == {"parameter": "stop"}
    assert api.get("/api/queries/stops?text=a&text=b").status_code == 400
    assert api.get("/api/queries/nothing").status_code == 404
    assert api.post("/api/queries/stops").status_code == 405


@pytest.mark.parametrize(
    "text",
    [
        "ASK {}",
        "SELECT * { ?s ?p ?o } LIMIT 3",
        "#+ param: s iri | S | S\nSELECT * { ?s ?p ?o }",
        "#+ param: s what | S | S\nSELECT * { VALUES ?s { UNDEF } ?s ?p ?o }",
        "#+ param: limit integer | S | S\nSELECT * { VALUES ?limit { UNDEF } ?s ?p ?o }",
        "#+ param: s iri | S | S\n#+ param: s iri | S | S\nSELECT * { VALUES ?s { UNDEF } ?s ?p ?o }",
        "#+ param: n integer(1..2) = 7 | N | N\nSELECT * { VALUES ?n { UNDEF } ?s ?p ?n }",
        "#+ param: s iri\nSELECT * { VALUES ?s { UNDEF } ?s ?p ?o }",
    ],
)
def test_a_query_that_cannot_be_served_is_refused_when_it_is_read(tmp_path, text):
    (tmp_path / "q.rq").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_apis(tmp_path, prefixes(BASE))


def test_the_description_of_the_service_is_valid_openapi(api):
    document = json.loads(api.get("/openapi.json").content)
    validate(document)
    stops = document["paths"]["/api/queries/stops"]["get"]
    assert {parameter["name"] for parameter in stops["parameters"]} >= {"text", "bbox", "limit", "offset"}
    assert "/api/queries/{name}" not in document["paths"]
    assert set(stops["responses"]["200"]["content"]) >= {"application/json", "text/csv", "application/geo+json"}
