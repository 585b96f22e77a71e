"""What the SPARQL service promises beside its answers: limits, budgets, tokens, exports, explanations, methods."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace

import orjson
import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.model import Limits
from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.callers import Budget
from cityorchestra_ld.web.problems import TooManyError

BASE = "https://id.example/"
SECRET = f"{BASE}graph/data/ville/secret"
ALL = "SELECT ?s { ?s ?p ?o }"


def ask(client, query, **headers):
    return client.get("/sparql", params={"query": query}, headers={k.replace("_", "-"): v for k, v in headers.items()})


# --- forms --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["trig", "nq", "n-quads", "application/trig"])
def test_a_graph_comes_in_the_formats_of_datasets_too(client, word):
    answer = client.get("/sparql", params={"query": "CONSTRUCT WHERE { ?s ?p ?o } LIMIT 5", "format": word})
    assert answer.status_code == 200
    form = ox.RdfFormat.from_media_type(answer.headers["content-type"].partition(";")[0])
    assert len(list(ox.parse(answer.content, format=form))) == 5


def test_places_come_as_geojson(client):
    query = "PREFIX geo: <http://www.opengis.net/ont/geosparql#> SELECT ?s ?wkt { ?s geo:hasGeometry/geo:asWKT ?wkt }"
    answer = ask(client, query, accept="application/geo+json")
    assert answer.headers["content-type"] == "application/geo+json"
    assert orjson.loads(answer.content)["features"][0]["geometry"] == {"type": "Point", "coordinates": [-1.68, 48.11]}


@pytest.mark.parametrize(("word", "magic"), [("parquet", b"PAR1"), ("arrow", b"\xff\xff\xff\xff")])
def test_analysts_get_typed_tables(client, word, magic):
    answer = client.get("/sparql", params={"query": ALL, "format": word})
    assert answer.status_code == 200 and answer.content.startswith(magic)
    assert answer.headers["content-length"] == str(len(answer.content))


def test_the_most_specific_range_decides(client):
    answer = ask(client, ALL, accept="application/*;q=0.9, application/sparql-results+json;q=0.1, text/csv;q=0.5")
    assert answer.headers["content-type"] == "application/sparql-results+xml"


# --- limits -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(city):
    """Serve the city with limits that tests can reach."""
    limits = replace(city.limits, result_rows=7, body_bytes=5000, query_bytes=3000, client_seconds=0)
    with TestClient(create_app(replace(city, limits=limits, workers=1)), follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize(
    ("word", "sign"),
    [("json", '"truncated":{"rows":7}'), ("xml", "<!-- truncated at 7 rows -->"), ("csv", ""), ("tsv", "")],
)
def test_an_answer_that_was_cut_says_so_where_it_can(small, word, sign):
    answer = small.get("/sparql", params={"query": ALL, "format": word})
    assert answer.headers["x-row-limit"] == "7" and sign in answer.text
    if word == "json":
        assert len(json.loads(answer.text)["results"]["bindings"]) == 7
    whole = small.get("/sparql", params={"query": f"{ALL} LIMIT 3", "format": word})
    assert "truncated" not in whole.text


@pytest.mark.parametrize("word", ["ttl", "nt", "trig", "nq", "rdf"])
def test_a_graph_that_was_cut_says_so_and_stays_readable(small, word):
    answer = small.get("/sparql", params={"query": "CONSTRUCT WHERE { ?s ?p ?o }", "format": word})
    assert "truncated at 7 rows" in answer.text
    assert len(list(ox.parse(answer.content, format=ox.RdfFormat.from_extension(word)))) == 7


def test_long_bodies_and_long_queries_are_refused(small):
    assert small.post("/sparql", data={"query": ALL + " " * 6000}).status_code == 413
    assert small.post("/sparql", data={"query": ALL + " " * 3000}).status_code == 400


@pytest.mark.parametrize("send", [{"params": {"timeout": "0.2"}}, {"headers": {"prefer": "respond-async, wait=1"}}])
def test_the_client_may_lower_the_deadline(client, send):
    runaway = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
    answer = client.get("/sparql", params={"query": runaway, **send.get("params", {})}, headers=send.get("headers", {}))
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"].endswith("#timeout")


def test_a_preference_that_was_heard_is_confirmed(client):
    assert ask(client, ALL, prefer="wait=3").headers["preference-applied"] == "wait=3"
    assert "preference-applied" not in ask(client, ALL).headers


def test_a_budget_empties_and_fills_again():
    now = [0.0]
    budget = Budget(Limits(client_seconds=10, client_refill=0.5), clock=lambda: now[0])
    budget.require("a")
    budget.charge("a", 12)
    budget.require("b")
    with pytest.raises(TooManyError) as caught:
        budget.require("a")
    assert caught.value.http_status == 429 and caught.value.retry_after == 6
    now[0] += 6
    budget.require("a")
    assert dict(budget.headers("b")) == {
        "RateLimit-Policy": '"query-seconds";q=10;w=20',
        "RateLimit": '"query-seconds";r=10;t=0',
    }
    assert Budget(Limits(client_seconds=0)).headers("a") == ()


def test_a_client_without_budget_is_sent_away_until_later(city):
    limits = replace(city.limits, client_seconds=0.000001, client_refill=0.001)
    with TestClient(create_app(replace(city, limits=limits, workers=1)), follow_redirects=False) as client:
        assert ask(client, ALL).status_code == 200
        refused = ask(client, f"{ALL} OFFSET 1")
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 1
        assert refused.json()["type"].endswith("#budget")


# --- methods ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/sparql", "GET, HEAD, QUERY, POST, OPTIONS"),
        ("PATCH", "/graph-store", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("PUT", "/drafts/x", "GET, HEAD, DELETE, OPTIONS"),
        ("GET", "/drafts/x/update", "POST, OPTIONS"),
        ("DELETE", "/openapi.json", "GET, HEAD, OPTIONS"),
        ("POST", "/id/stop/1001", "GET, HEAD, OPTIONS"),
        ("DELETE", "/catalog", "GET, HEAD, OPTIONS"),
        ("TRACE", "/exports", "POST, OPTIONS"),
    ],
)
def test_a_method_that_an_address_has_not_is_405_with_those_it_has(client, method, path, allowed):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["status"] == 405
    assert client.options(path).headers["allow"] == allowed


def test_the_query_method_asks_as_post_does(client):
    answer = client.request("QUERY", "/sparql", content="ASK {}", headers={"content-type": "application/sparql-query"})
    assert answer.json()["boolean"] is True


# --- tokens -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader(city):
    """Make a token that may read what is not public."""
    tokens = Tokens.of(city)
    secret = tokens.new("reader", read=["ville/sec*"])
    yield {"authorization": f"Bearer {secret}"}
    tokens.revoke("reader")


def test_a_token_opens_what_it_names_and_nothing_is_shared_between_clients(client, reader):
    query = f"SELECT ?o {{ GRAPH <{SECRET}> {{ ?s ?p ?o }} }}"
    open_, closed = ask(client, query, **reader), ask(client, query)
    assert len(open_.json()["results"]["bindings"]) == 3 and closed.json()["results"]["bindings"] == []
    assert open_.headers["etag"] != closed.headers["etag"]
    assert open_.headers["cache-control"].startswith("private") and "Authorization" in open_.headers["vary"].split(", ")
    again = client.get("/sparql", params={"query": query}, headers={"if-none-match": open_.headers["etag"]})
    assert again.status_code == 200
    assert client.get("/graph-store", params={"graph": SECRET}, headers=reader).status_code == 200
    assert client.get("/graph-store", params={"graph": SECRET}).status_code == 404


@pytest.mark.parametrize("shown", ["Bearer wrong", "Bearer ", "Basic YTpi", "nonsense", "Bearer \u00e9"])
def test_a_token_that_we_do_not_know_is_401_even_for_what_is_public(client, shown):
    answer = ask(client, ALL, authorization=shown.encode())
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith('Bearer realm="cityorchestra"')


def test_a_token_that_may_only_read_changes_nothing(client, reader):
    for method, path in (
        ("PUT", f"/graph-store?graph={SECRET}"),
        ("POST", "/drafts"),
        ("DELETE", f"/graph-store?graph={SECRET}"),
    ):
        answer = client.request(method, path, headers={**reader, "content-type": "text/turtle"}, content="")
        assert answer.status_code == 403, path


def test_tokens_are_kept_as_hashes_and_expire(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    secret = tokens.new("a", write=["x/y"])
    assert secret not in (tmp_path / "tokens.json").read_text(encoding="utf-8")
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0
    found = tokens.find(secret)
    assert found is not None and found.name == "a"
    past = tokens.new("old", write=["x/y"], expires=found.created)
    assert tokens.find(past) is None
    tokens.revoke("a")
    assert tokens.find(secret) is None
    for name in ("old", "Not A Name", ""):
        with pytest.raises(UsageError):
            tokens.new(name, write=["x/y"])


# --- explanations -------------------------------------------------------------------------------------------------------------


def test_a_query_is_explained_without_being_run(client):
    query = """PREFIX gtfs: <http://vocab.gtfs.org/terms#>
SELECT * { ?s a gtfs:Stop ; gtfs:code ?code .
  ?x a gtfs:Nothing . FILTER(?code != "1") GRAPH <https://id.example/graph/scenario/2030> { ?s gtfs:code ?other } }"""
    for answer in (
        client.post("/sparql/explain", data={"query": query}),
        client.get("/sparql", params={"query": query, "explain": "1"}),
    ):
        body = answer.json()
        matches = {pattern["text"]: pattern["matches"] for pattern in body["patterns"]}
        assert matches == {"?s a gtfs:Stop": 7, "?s gtfs:code ?code": 1, "?x a gtfs:Nothing": 0, "?s gtfs:code ?other": 1}
        assert any("multiply" in said for said in body["warnings"])
        assert any("matches nothing" in said for said in body["warnings"])
        assert SECRET not in answer.text and body["view"]["reasons"]


SEARCH = """PREFIX co: <https://id.example/def/co#>
SELECT ?s { ?s co:search "republiques" }"""


def test_a_search_is_answered_and_explained(client):
    found = client.get("/sparql", params={"query": SEARCH, "format": "csv"})
    assert found.text.split() == ["s", "https://id.example/id/stop/1001"]
    assert "x-search-limit" not in found.headers
    body = client.post("/sparql/explain", data={"query": SEARCH}).json()
    assert [pattern["matches"] for pattern in body["patterns"]] == [1]
    (search,) = body["searches"]
    assert (search["line"], search["words"]) == (2, ["republiques"]) and search["becomes"].startswith("VALUES (?s)")


def test_a_search_that_cannot_be_understood_is_refused_where_it_stands(client):
    answer = client.get("/sparql", params={"query": SEARCH.replace('"republiques"', "?text")})
    assert answer.status_code == 400 and answer.json()["position"] == {"line": 2, "column": 16}
    assert "co:search" in answer.json()["hint"]


# --- exports ------------------------------------------------------------------------------------------------------------------


def finished(client, path):
    for _ in range(400):
        state = client.get(path).json()
        if state["state"] in ("done", "failed"):
            return state
        time.sleep(0.05)
    pytest.fail("the export does not end")


@pytest.mark.parametrize("word", ["csv", "parquet"])
def test_a_long_export_becomes_a_file_with_its_checksum(client, word):
    ordered = client.post("/exports", data={"query": ALL, "format": word})
    assert ordered.status_code == 202
    state = finished(client, ordered.headers["location"])
    assert state["state"] == "done", state
    file = client.get(state["file"])
    assert hashlib.sha256(file.content).hexdigest() == state["sha256"] and len(file.content) == state["size"]
    part = client.get(state["file"], headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, file.content[:4])
    assert client.delete(ordered.headers["location"]).status_code == 204
    assert client.get(state["file"]).status_code == 404


def test_an_export_that_fails_says_why(client):
    ordered = client.post("/exports", data={"query": "SELECT * {}", "format": "parquet"})
    state = finished(client, ordered.headers["location"])
    assert state["state"] == "failed" and "variable" in state["detail"]
    assert client.get(ordered.headers["location"] + "/file").status_code == 409


def test_an_export_of_a_bearer_is_shown_to_nobody_else(client, reader):
    ordered = client.post("/exports", data={"query": ALL, "format": "csv"}, headers=reader)
    assert client.get(ordered.headers["location"]).status_code == 404
    assert client.get(ordered.headers["location"], headers=reader).status_code == 200


# --- reading graphs -----------------------------------------------------------------------------------------------------------


def test_a_graph_is_read_by_its_name_its_path_or_as_the_default(client):
    stops = f"{BASE}graph/data/ville/stops"
    answers = [
        client.get("/graph-store", params={"graph": stops}, headers={"accept": "application/n-triples"}),
        client.get("/graph-store/data/ville/stops", headers={"accept": "application/n-triples"}),
    ]
    assert len({tuple(sorted(answer.text.splitlines())) for answer in answers}) == 1
    whole = client.get("/graph-store?default&format=nt").text.splitlines()
    assert set(answers[0].text.splitlines()) < set(whole) and len(whole) == len(set(whole))
    assert "9999" not in "".join(whole) and "Ne pas montrer" not in "".join(whole)
    tag = answers[0].headers["etag"]
    headers = {"accept": "application/n-triples", "if-none-match": tag}
    assert client.get("/graph-store", params={"graph": stops}, headers=headers).status_code == 304
    assert client.head("/graph-store", params={"graph": stops}).content == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/graph-store", 400),
        ("/graph-store?graph=relative", 400),
        ("/graph-store?graph=urn:x&default", 400),
        ("/graph-store?graph=urn:x&graph=urn:y", 400),
        ("/graph-store?graph=urn:none", 404),
        ("/graph-store?graph=urn:cityorchestra:hidden", 404),
        (f"/graph-store?graph={SECRET}", 404),
        ("/graph-store/data/ville/../secret", 404),
        ("/graph-store?default&format=pdf", 406),
    ],
)
def test_a_graph_that_cannot_be_read_has_its_status(client, path, status):
    assert client.get(path).status_code == status
