"""The SPARQL Protocol: three ways to ask, one answer; every mistake has its status; nothing outside the view is seen."""

from __future__ import annotations

import csv
import io
import json
import time

import pyoxigraph as ox
import pytest

BASE = "https://id.example/"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FORM = {"content-type": "application/x-www-form-urlencoded"}
DIRECT = {"content-type": "application/sparql-query"}
UTF_16 = {"content-type": "application/sparql-query; charset=utf-16"}
STOPS = "PREFIX gtfs: <http://vocab.gtfs.org/terms#> SELECT ?s { ?s a gtfs:Stop } ORDER BY ?s"
RUNAWAY = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"


def ask(client, query, method="GET", accept=None, **fields):
    headers = {"accept": accept} if accept else {}
    if method == "GET":
        return client.get("/sparql", params={"query": query, **fields}, headers=headers)
    if method == "form":
        return client.post("/sparql", data={"query": query, **fields}, headers=headers)
    return client.request(
        {"body": "POST", "QUERY": "QUERY"}[method], "/sparql", params=fields, content=query.encode(), headers=DIRECT | headers
    )


def media_type(answer):
    return answer.headers["content-type"].partition(";")[0]


TRICKY = [
    STOPS,
    'SELECT ("%2F+%2B a+b" AS ?x) {}',
    'SELECT ("100 % é œ \\u00e9 &query=1;a=b" AS ?x) {}',
    "ASK { ?s ?p ?o }",
    f"DESCRIBE <{BASE}id/stop/1001>",
]


@pytest.mark.parametrize("query", TRICKY)
def test_three_ways_to_ask_give_one_answer(client, query):
    answers = [ask(client, query, method) for method in ("GET", "form", "body", "QUERY")]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["content-type"] for answer in answers}) == 1


def test_a_form_is_decoded_exactly_once(client):
    value = "%2F+%2B a+b %252F"
    answer = ask(client, f'SELECT ("{value}" AS ?x) {{}}', "form")
    assert answer.json()["results"]["bindings"][0]["x"]["value"] == value


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        (STOPS, None, "application/sparql-results+json"),
        (STOPS, "*/*", "application/sparql-results+json"),
        (STOPS, "application/sparql-results+json", "application/sparql-results+json"),
        (STOPS, "application/json", "application/json"),
        (STOPS, "application/sparql-results+xml", "application/sparql-results+xml"),
        (STOPS, "application/xml;q=0.9, text/csv;q=0.8", "application/xml"),
        (STOPS, "text/csv", "text/csv"),
        (STOPS, "text/tab-separated-values", "text/tab-separated-values"),
        (STOPS, "text/*;q=0.5, text/csv;q=0.1", "text/tab-separated-values"),
        (STOPS, BROWSER, "text/html"),
        ("ASK {}", "application/sparql-results+xml", "application/sparql-results+xml"),
        ("ASK {}", BROWSER, "text/html"),
        ("CONSTRUCT WHERE { ?s ?p ?o } LIMIT 3", None, "text/turtle"),
        ("CONSTRUCT WHERE { ?s ?p ?o } LIMIT 3", "application/n-triples", "application/n-triples"),
        ("CONSTRUCT WHERE { ?s ?p ?o } LIMIT 3", "application/ld+json", "application/ld+json"),
        ("CONSTRUCT WHERE { ?s ?p ?o } LIMIT 3", "application/rdf+xml", "application/rdf+xml"),
        ("CONSTRUCT WHERE { ?s ?p ?o } LIMIT 3", BROWSER, "text/html"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "form", "body"])
def test_the_answer_has_the_type_that_was_asked_for(client, query, accept, expected, method):
    answer = ask(client, query, method, accept)
    assert answer.status_code == 200
    assert media_type(answer) == expected
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    if expected not in ("text/html",):
        assert answer.headers["x-row-limit"] == "1000000"


def test_every_table_format_holds_the_same_rows(client):
    forms = {name: ask(client, STOPS, format=name).content for name in ("json", "xml", "tsv", "csv")}
    parsed = {
        name: [solution["s"].value for solution in ox.parse_query_results(forms[name], format=form)]
        for name, form in (
            ("json", ox.QueryResultsFormat.JSON),
            ("xml", ox.QueryResultsFormat.XML),
            ("tsv", ox.QueryResultsFormat.TSV),
        )
    }
    parsed["csv"] = [row["s"] for row in csv.DictReader(io.StringIO(forms["csv"].decode()))]
    assert parsed["json"] == parsed["xml"] == parsed["tsv"] == parsed["csv"]
    assert len(parsed["json"]) == 7


def test_every_graph_format_holds_the_same_triples(client):
    query = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ ?s ?p ?o FILTER(STRSTARTS(STR(?s), '{BASE}id/stop/')) }}"
    graphs = []
    for name, form in (
        ("ttl", ox.RdfFormat.TURTLE),
        ("nt", ox.RdfFormat.N_TRIPLES),
        ("jsonld", ox.RdfFormat.JSON_LD),
        ("rdf", ox.RdfFormat.RDF_XML),
    ):
        graphs.append({quad.triple for quad in ox.parse(ask(client, query, format=name).content, format=form)})
    assert all(graph == graphs[0] for graph in graphs)
    assert len(graphs[0]) > 10


@pytest.mark.parametrize(
    ("query", "accept", "offered"),
    [
        (STOPS, "image/png", "text/csv"),
        (STOPS, "text/turtle", "application/sparql-results+json"),
        ("CONSTRUCT WHERE { ?s ?p ?o }", "text/csv", "text/turtle"),
        ("CONSTRUCT WHERE { ?s ?p ?o }", "application/sparql-results+json;q=1, text/turtle;q=0", "application/n-triples"),
    ],
)
def test_an_impossible_type_is_406_with_the_possible_ones(client, query, accept, offered):
    answer = ask(client, query, accept=accept)
    assert answer.status_code == 406
    assert media_type(answer) == "application/problem+json"
    listed = {variant["type"]: variant["href"] for variant in answer.json()["variants"]}
    assert media_type(client.get(listed[offered])) == offered


def test_format_wins_over_accept(client):
    assert media_type(ask(client, STOPS, accept=BROWSER, format="csv")) == "text/csv"
    assert media_type(ask(client, STOPS, accept="text/csv", format="json")) == "application/sparql-results+json"
    assert ask(client, STOPS, format="pdf").status_code == 406


@pytest.mark.parametrize(
    ("status", "send"),
    [
        (400, lambda c: c.get("/sparql", params={"query": "SELECT * {"})),
        (400, lambda c: c.get("/sparql", params={"query": "SELECT * WHERE { ?s ?p }"})),
        (400, lambda c: c.get("/sparql", params={"query": ""})),
        (400, lambda c: c.get("/sparql", params={"query": "CLEAR ALL"})),
        (400, lambda c: c.get("/sparql", params={"query": "INSERT DATA { <x:a> <x:b> <x:c> }"})),
        (400, lambda c: c.get("/sparql?query=ASK%7B%7D&query=ASK%7B%7D")),
        (400, lambda c: c.get("/sparql?query=%FF%FE")),
        (400, lambda c: c.get("/sparql", params={"query": "ASK {}", "timeout": "soon"})),
        (400, lambda c: c.get("/sparql", params={"query": "ASK {}", "timeout": "-1"})),
        (400, lambda c: c.get("/sparql", params={"query": "ASK {}", "default-graph-uri": "not an iri"})),
        (400, lambda c: c.get("/sparql", params={"query": "SELECT * { SERVICE <http://169.254.169.254/> { ?s ?p ?o } }"})),
        (400, lambda c: c.get("/sparql", params={"query": "SELECT * { SERVICE SILENT ?u { ?s ?p ?o } }"})),
        (400, lambda c: c.post("/sparql", data={"format": "json"})),
        (400, lambda c: c.post("/sparql", content=b"query=ASK%7B%7D&query=ASK%7B%7D", headers=FORM)),
        (400, lambda c: c.post("/sparql", content=b"query=%FF", headers=FORM)),
        (400, lambda c: c.post("/sparql", content="ASK {}".encode("utf-16"), headers=DIRECT)),
        (400, lambda c: c.post("/sparql?query=ASK%7B%7D", content=b"ASK {}", headers=DIRECT)),
        (400, lambda c: c.get("/sparql", params=[("query", "ASK {}")] + [("x", "y")] * 300)),
        (403, lambda c: c.post("/sparql", data={"update": "CLEAR ALL"})),
        (403, lambda c: c.post("/sparql", data={"query": "ASK {}", "update": "CLEAR ALL"})),
        (403, lambda c: c.get("/sparql", params={"update": "CLEAR ALL"})),
        (403, lambda c: c.post("/sparql", content=b"CLEAR ALL", headers={"content-type": "application/sparql-update"})),
        (405, lambda c: c.put("/sparql", content=b"ASK {}")),
        (405, lambda c: c.delete("/sparql")),
        (413, lambda c: c.post("/sparql", content=b"#" * 300_000, headers=DIRECT)),
        (413, lambda c: c.post("/sparql", content=iter([b"#" * 150_000] * 2), headers=DIRECT)),
        (415, lambda c: c.post("/sparql", content=b"ASK {}")),
        (415, lambda c: c.post("/sparql", content=b"ASK {}", headers={"content-type": "text/plain"})),
        (415, lambda c: c.post("/sparql", content=b"ASK {}", headers=UTF_16)),
        (415, lambda c: c.post("/sparql", files={"query": b"ASK {}"})),
    ],
)  # fmt: skip
def test_every_mistake_has_its_status_and_is_told_as_a_problem(client, status, send):
    answer = send(client)
    assert answer.status_code == status
    assert media_type(answer) == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text


def test_a_mistake_in_a_query_has_its_place_and_a_hint(client):
    body = ask(client, "SELECT ?s\nWHERE { ?s a dcta:Dataset }").json()
    assert body["position"]["line"] == 2
    assert body["position"]["column"] == 14
    english = client.get("/sparql", params={"query": "SELECT * {", "lang": "en"}).json()
    assert english["detail"] == "'{' is never closed."


def test_a_browser_gets_its_query_back_with_the_mistake(client):
    answer = client.get("/sparql", params={"query": "SELECT * {\n<script>"}, headers={"accept": BROWSER})
    assert answer.status_code == 400
    assert media_type(answer) == "text/html"
    assert "SELECT * {\n&lt;script&gt;" in answer.text
    assert 'role="alert"' in answer.text


def test_a_nest_of_braces_is_refused_and_the_service_lives(client):
    nest = "SELECT * " + "{" * 5000 + "}" * 5000
    for query in (
        nest,
        "ASK " + "(" * 10_000,
        "ASK { FILTER(" + "!" * 10_000 + "true) }",
        "SELECT * {?s " + "(" * 20_000 + "}",
    ):
        assert ask(client, query, "body").status_code == 400
    assert ask(client, "ASK {}").json() == {"head": {}, "boolean": True}


def test_a_runaway_query_is_stopped_at_the_deadline_that_the_client_lowers(client):
    start = time.monotonic()
    answer = ask(client, RUNAWAY, timeout="0.4")
    assert answer.status_code == 503
    assert 0.3 < time.monotonic() - start < 9  # the service itself would wait for 10 s
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"].endswith("#timeout")
    assert ask(client, "ASK {}").status_code == 200


def test_a_plain_query_sees_public_current_data_and_nothing_else(client):
    seen = ask(client, "SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } }").json()["results"]["bindings"]
    graphs = {row["g"]["value"].removeprefix(f"{BASE}graph/") for row in seen}
    assert graphs == {"ontology", "codelist/indicator", "data/ville/stops", "data/ville/figures", "catalog", "scenario/2030"}
    assert not ask(client, "ASK { ?s ?p 'Ne pas montrer' }").json()["boolean"]
    assert not ask(client, "ASK { ?s ?p '9999' }").json()["boolean"]


SECRET = f"<{BASE}graph/data/ville/secret>"


@pytest.mark.parametrize(
    "query",
    [
        f"ASK {{ GRAPH {SECRET} {{ ?s ?p ?o }} }}",
        f"ASK FROM {SECRET} {{ ?s ?p ?o }}",
        f"ASK FROM NAMED {SECRET} {{ GRAPH ?g {{ ?s ?p ?o }} }}",
        f"ASK {{ FILTER EXISTS {{ GRAPH {SECRET} {{ ?s ?p ?o }} }} }}",
        f"ASK {{ <{BASE}id/secret/1> (!<x:y>)* ?x . ?x ?p ?o }}",
    ],
)
@pytest.mark.parametrize(
    "fields",
    [{}, {"default-graph-uri": f"{BASE}graph/data/ville/secret"}, {"named-graph-uri": f"{BASE}graph/data/ville/secret"}],
)
def test_a_restricted_graph_is_absent_however_it_is_asked_for(client, query, fields):
    assert ask(client, query, **fields).json()["boolean"] is False


def count(client, query, **fields):
    return int(ask(client, query, **fields).json()["results"]["bindings"][0]["n"]["value"])


def test_the_request_names_its_dataset_and_wins_over_from(client):
    query = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
    stops, codes = f"{BASE}graph/data/ville/stops", f"{BASE}graph/codelist/indicator"
    whole, some, few = count(client, query), count(client, query, **{"default-graph-uri": stops}), count(
        client, query, **{"default-graph-uri": codes}
    )  # fmt: skip
    assert whole > some > few == 4
    assert count(client, query, **{"default-graph-uri": [stops, codes]}) == some + few
    assert count(client, f"SELECT (COUNT(*) AS ?n) FROM <{codes}> {{ ?s ?p ?o }}") == few
    assert count(client, f"SELECT (COUNT(*) AS ?n) FROM <{codes}> {{ ?s ?p ?o }}", **{"default-graph-uri": stops}) == some
    scenario = {"named-graph-uri": f"{BASE}graph/scenario/2030"}
    assert count(client, "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }", **scenario) == 3
    assert count(client, query, **scenario) == 0


def test_without_a_query_a_program_gets_the_service_description(client):
    answer = client.get("/sparql", headers={"accept": "text/turtle"})
    triples = {(q.predicate.value, q.object.value) for q in ox.parse(answer.content, format=ox.RdfFormat.TURTLE)}
    sd = "http://www.w3.org/ns/sparql-service-description#"
    assert (f"{sd}endpoint", "http://testserver/sparql") in triples
    assert (f"{sd}supportedLanguage", f"{sd}SPARQL11Query") in triples
    assert (f"{sd}name", f"{BASE}graph/data/ville/stops") in triples
    assert (f"{sd}name", f"{BASE}graph/data/ville/secret") not in triples
    assert media_type(client.get("/sparql")) == "text/turtle"
    assert client.get("/sparql", headers={"accept": "image/png"}).status_code == 406


def test_without_a_query_a_browser_gets_a_form_and_ready_queries(client):
    page = client.get("/sparql", headers={"accept": BROWSER}).text
    assert '<textarea id="query" name="query"' in page
    assert "Combien d&#39;arrêts ?" in page
    shown = client.get("/sparql?example=stops", headers={"accept": BROWSER}).text
    assert "SELECT (COUNT(?stop) AS ?n)" in shown
    assert "#+" not in shown


def test_a_browser_sees_a_table_with_links_and_the_whole_to_download(client):
    page = ask(client, STOPS, accept=BROWSER).text
    assert '<th scope="col">s</th>' in page
    assert 'href="/doc/stop/1001"' in page
    assert "format=csv" in page
    answer = ask(client, "ASK {}", accept=BROWSER).text
    assert "<strong>oui</strong>" in answer
    graph = ask(client, f"DESCRIBE <{BASE}id/stop/1001>", accept=BROWSER).text
    assert "&lt;https://id.example/id/stop/1001&gt;" in graph


def test_a_page_shows_the_first_rows_of_a_long_answer_and_says_so(client):
    page = ask(client, "SELECT ?a ?b { ?a ?b ?c . ?d ?e ?f }", accept=BROWSER)
    assert page.status_code == 200
    assert page.text.count("<tr>") == 501
    assert "premières lignes" in page.text


def test_hostile_values_stay_values_in_a_table(client):
    page = ask(client, f"SELECT ?p ?o {{ <{BASE}id/hostile/1> ?p ?o }}", accept=BROWSER).text
    assert "<img" not in page
    assert 'href="javascript' not in page
    assert 'href="data:' not in page
    assert len(page) < 100_000


def test_an_answer_that_only_the_data_decide_is_not_sent_twice(client):
    first = ask(client, STOPS)
    tag = first.headers["etag"]
    assert tag.startswith("W/")
    again = client.get("/sparql", params={"query": STOPS}, headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert ask(client, STOPS, format="csv").headers["etag"] != tag
    assert ask(client, STOPS, accept="text/csv").headers["etag"] != tag
    assert "etag" not in ask(client, "SELECT (NOW() AS ?now) {}").headers
    assert "etag" not in ask(client, "SELECT (RAND() AS ?x) {}").headers
    assert "etag" not in ask(client, STOPS, "form").headers


def test_head_and_options_answer(client):
    head = client.head("/sparql", params={"query": STOPS})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == ask(client, STOPS).headers["etag"]
    options = client.options("/sparql", headers={"origin": "https://app.example", "access-control-request-method": "POST"})
    assert options.status_code == 204
    assert options.headers["access-control-allow-origin"] == "*"
    assert "POST" in options.headers["access-control-allow-methods"]
    assert "Content-Type" in options.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in options.headers


def test_the_licences_of_what_can_be_reached_go_with_the_answer(client):
    link = ask(client, STOPS).headers["link"]
    assert '<http://spdx.org/licenses/ODbL-1.0>; rel="license"' in link
    assert '<http://spdx.org/licenses/etalab-2.0>; rel="license"' in link


def test_prefixes_and_unicode_survive_in_json(client):
    answer = ask(client, 'SELECT ("Plœuc-L\'Hermitage"@fr AS ?x) {}')
    assert json.loads(answer.content)["results"]["bindings"][0]["x"] == {
        "type": "literal",
        "value": "Plœuc-L'Hermitage",
        "xml:lang": "fr",
    }


def test_without_any_allowed_service_the_refusal_says_how_to_allow_one(client):
    answer = client.get("/sparql", params={"query": "SELECT * { SERVICE <https://far.example/> { ?s ?p ?o } }"})
    assert answer.status_code == 400
    assert "[[sparql.service]]" in answer.json()["hint"]
    assert "BasicFederatedQuery" not in client.get("/sparql", headers={"Accept": "text/turtle"}).text
