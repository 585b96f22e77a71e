"""What an attacker tries first gets its right status, said as a problem with its place, and the service lives on."""

from __future__ import annotations

import gzip

import pytest

BASE = "https://id.example/"
SECRET = f"{BASE}graph/data/ville/secret"
HIDDEN = ("Ne pas montrer", "id/secret/1")
METADATA = "http://169.254.169.254/"


def post(client, query, **fields):
    return client.post("/sparql", data={"query": query, **fields})


def is_problem(answer, status, *, placed=True):
    """Check that an answer is a problem, says where and what to try, and nothing of the inside."""
    assert answer.status_code == status, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["detail"] and "Traceback" not in answer.text
    if placed:
        assert {"line", "column"} <= set(body["position"]), body
    return body


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { SERVICE ?u { ?s ?p ?o } VALUES ?u { <%s> } }",
        "SELECT * { SERVICE SILENT <%s> { ?s ?p ?o } }",
        "SELECT * { SERVICE <http://[::ffff:127.0.0.1]/> { ?s ?p ?o } }",
        "SELECT * { { SELECT * { SERVICE <%s> { } } } }",
        "ASK { FILTER EXISTS { SERVICE <%s> { ?s ?p ?o } } }",
        "SELECT * { sErViCe <%s> { } }",
    ],
)
def test_a_query_never_goes_out(client, query):
    body = is_problem(post(client, query.replace("%s", METADATA)), 400)
    assert "SERVICE" in body["detail"] and body["hint"]


@pytest.mark.parametrize(
    "update",
    ["INSERT DATA { <urn:a> <urn:b> 1 }", "CLEAR ALL", "LOAD <file:///etc/passwd>", "DELETE WHERE { ?s ?p ?o }", "DROP ALL"],
)
def test_an_update_is_refused_however_it_is_sent(client, update):
    is_problem(client.get("/sparql", params={"query": update}), 400)
    is_problem(client.get("/sparql", params={"update": update}), 403, placed=False)
    is_problem(post(client, "ASK {}", update=update), 403, placed=False)
    is_problem(client.post("/sparql", content=update, headers={"content-type": "application/sparql-update"}), 403, placed=False)
    override = {"x-http-method-override": "DELETE", "x-method-override": "PUT", "x-http-method": "PATCH"}
    answer = client.get("/graph-store", params={"graph": f"{BASE}graph/data/ville/stops"}, headers=override)
    assert answer.status_code == 200  # the headers mean nothing


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "", "application/sparql-query; charset=utf-16"])
def test_a_body_of_another_type_is_415_with_the_types_that_are_read(client, kind):
    answer = client.post("/sparql", content="ASK {}", headers={"content-type": kind} if kind else {})
    is_problem(answer, 415, placed=False)
    assert "application/sparql-query" in answer.headers["accept-post"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("SELECT * " + "{" * 5000 + "}" * 5000, 400),
        ("ASK { FILTER" + "(" * 100_000 + "1" + ")" * 100_000 + " }", 413),
        ("ASK { FILTER" + "(" * 20_000 + "1" + ")" * 20_000 + " }", 400),
        ("ASK { FILTER(" + "!" * 10_000 + "true) }", 400),
        ("ASK { ?s " + "(" * 20_000 + "<urn:p>" + ")" * 20_000 + " ?o }", 400),
        ("SELECT * { ?s ?p '" + "x" * 2_000_000 + "' }", 413),
    ],
)
def test_nests_and_giants_are_refused_before_the_engine_sees_them(client, query, status):
    is_problem(post(client, query), status, placed=False)
    assert post(client, "ASK {}").json()["boolean"] is True


def test_a_cross_product_ends_at_its_deadline(client):
    query = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
    is_problem(post(client, query, timeout="0.3"), 503, placed=False)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s ?p ?o FILTER REGEX(STR(?o), '(a+)+$') }",
        "SELECT (COUNT(*) AS ?n) { ?s (!<urn:a>)* ?o }",
        "SELECT * {" + " UNION ".join(["{}"] * 10_000) + "}",
    ],
)
def test_what_kills_others_is_answered_or_stopped(client, query):
    assert post(client, query, timeout="1").status_code in (200, 503)


@pytest.mark.parametrize("source", ["file:///etc/passwd", METADATA])
@pytest.mark.parametrize("clause", ["FROM", "FROM NAMED"])
def test_from_fetches_nothing(client, clause, source):
    answer = client.get("/sparql", params={"query": f"SELECT * {clause} <{source}> {{ ?s ?p ?o }}"})
    assert answer.status_code == 200 and answer.json()["results"]["bindings"] == []


@pytest.mark.parametrize("path", ["/sparql", "/exports"])
def test_a_compressed_body_is_not_unpacked(client, path):
    bomb = gzip.compress(b"\0" * 10_000_000)
    headers = {"content-type": "application/sparql-query", "content-encoding": "gzip"}
    is_problem(client.post(path, content=bomb, headers=headers), 415, placed=False)


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [("SELECT * {\n ?s ?p }", 2, 2), ("SELECT *\n{ ?s nope:p ?o }", 2, 6), ("SELEC * {}", 1, 1), ("ASK { ?s ?p 'x }", 1, 13)],
)
def test_a_mistake_has_its_line_and_column(client, query, line, column):
    body = is_problem(post(client, query), 400)
    assert (body["position"]["line"], body["position"]["column"]) == (line, column)


@pytest.mark.parametrize(
    "address",
    [
        f"/sparql?query=SELECT+*+FROM+<{SECRET}>+{{?s+?p+?o}}",
        f"/sparql?query=SELECT+*+{{GRAPH+?g+{{?s+?p+?o}}}}&named-graph-uri={SECRET}",
        "/sparql?query=SELECT+*+{GRAPH+?g+{?s+?p+?o}}&format=csv",
        f"/sparql?query=SELECT+*+{{GRAPH+<{SECRET}>+{{?s+?p+?o}}}}&explain=1",
        f"/sparql?query=DESCRIBE+<{BASE}id/secret/1>&format=nt",
        f"/sparql?query=SELECT+*+{{GRAPH+<{SECRET}>+{{?s+(!<urn:x>)*+?o}}}}&format=csv",
        "/graph-store?default&format=nt",
        "/doc/stop/1001.nt",
        "/doc/stop/1001?format=html",
        f"/describe?iri={BASE}id/stop/1001",
        "/search?q=montrer",
        "/completion.json",
        "/catalog.ttl",
        "/.well-known/void.ttl",
        "/sparql?format=ttl",
        "/openapi.json",
    ],
)
def test_what_is_restricted_shows_nowhere(client, address):
    answer = client.get(address)
    assert answer.status_code < 500
    for word in HIDDEN:
        asked = word in address
        assert word not in answer.text or asked, address


def test_counts_do_not_betray_what_is_restricted(client):
    query = f"SELECT (COUNT(*) AS ?n) {{ GRAPH <{SECRET}> {{ ?s ?p ?o }} }}"
    assert post(client, query).json()["results"]["bindings"][0]["n"]["value"] == "0"
    described = client.get("/sparql", params={"format": "nt"}).text
    assert SECRET not in described


@pytest.mark.parametrize("path", ["/doc/stop/1001", "/sparql?query=SELECT+*+{?s+?p+?o}"])
def test_a_tag_of_one_form_is_not_fresh_for_another(client, path):
    page = client.get(path, headers={"accept": "text/html"})
    other = {"accept": "text/turtle, text/csv;q=0.9", "if-none-match": page.headers["etag"]}
    assert client.get(path, headers=other).status_code == 200
