"""SERVICE asks allowed services only, through a second server of ours; whatever goes wrong there is said, never hidden."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import random
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.model import Access, GraphChange, GraphInfo, RemoteService
from cityorchestra_ld.store import open_store, service_main
from cityorchestra_ld.store.errands import Errand
from cityorchestra_ld.territory import load_territory
from cityorchestra_ld.web import federation
from cityorchestra_ld.web.app import create_app

TOML = """
base_iri = "https://%s.example/"
name = { fr = "Essai", en = "Test" }
[store]
workers = 1
resident = "never"
[limits]
query_seconds = 30.0
"""
JSON = {"Accept": "application/sparql-results+json"}
N = ox.NamedNode
P, Q = N("http://x/p"), N("http://x/q")


def make(root: Path, name: str, triples: list[ox.Triple], secret: tuple[ox.Triple, ...] = ()):
    """Write a territory and publish its triples."""
    root.mkdir(parents=True)
    (root / "territory.toml").write_text(TOML % name, encoding="utf-8")
    territory = load_territory(root)
    publish(territory, triples, secret)
    return territory


def publish(territory, triples, secret=()):
    changes = []
    for graph, content, access in (("open", triples, Access.PUBLIC), ("secret", secret, Access.RESTRICTED)):
        file = territory.root / f"{graph}.nt"
        file.write_bytes(ox.serialize(content, format=ox.RdfFormat.N_TRIPLES))
        info = GraphInfo(graph=territory.iris.graph("data", "x", graph), role="data", access=access)
        changes.append(GraphChange(info=info, content=file))
    with open_store(territory.state / "store", territory.limits, keep=2, base_iri=territory.base_iri) as store:
        store.publish(changes)


class Scripted:
    """A service that does what a test wants, and keeps what it was asked."""

    def __init__(self):
        self.asked, self.headers, self.status, self.body, self.wait = [], [], 200, None, 0.0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": message["type"] + ".complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = (await receive())["body"]
        self.asked.append(parse_qs(body.decode())["query"][0])
        self.headers.append(dict(scope["headers"]))
        deadline = time.monotonic() + self.wait
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if (await asyncio.wait_for(receive(), 0.05))["type"] == "http.disconnect":
                    return
        table = {"head": {"vars": ["n"]}, "results": {"bindings": []}}
        said = self.body if self.body is not None else json.dumps(table).encode()
        headers = [(b"content-type", b"application/sparql-results+json"), (b"location", b"http://169.254.169.254/")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": said})


HERE = [
    ox.Triple(N("http://x/a"), P, N("http://x/b")),
    ox.Triple(N("http://x/b"), P, ox.Literal("é\n\"'\\")),
    ox.Triple(N("http://x/c"), Q, ox.Literal(1)),
    ox.Triple(N("http://x/a"), N("http://www.w3.org/2000/01/rdf-schema#label"), ox.Literal("Gare de Rennes", language="fr")),
]
THERE = [
    ox.Triple(N("http://x/a"), Q, ox.Literal("un", language="fr")),
    ox.Triple(N("http://x/b"), Q, ox.Literal("é\n\"'\\")),
    ox.Triple(N("http://x/z"), Q, ox.BlankNode("b1")),
]
SECRET = (ox.Triple(N("http://x/hidden"), P, ox.Literal("nobody sees this")),)


@pytest.fixture(scope="module")
def world(tmp_path_factory, serving):
    """Serve a territory that may ask a second one of ours and a scripted service; both on this machine."""
    root = tmp_path_factory.mktemp("federation")
    there = make(root / "there", "there", THERE)
    here = make(root / "here", "here", HERE, SECRET)
    scripted = Scripted()
    with serving(create_app(there)) as port, serving(scripted) as odd:
        ours, other = f"http://127.0.0.1:{port}/sparql", f"http://127.0.0.1:{odd}/sparql"
        services = (
            RemoteService(name="ours", address=ours, private=True, licence="https://licence.example/", rows=50, seconds=20.0),
            RemoteService(name="odd", address=other, private=True, seconds=3.0, at_once=1, rows=5),
            RemoteService(name="closed", address="https://127.0.0.1:9/"),
        )
        with TestClient(create_app(replace(here, services=services)), follow_redirects=False) as client:
            yield client, ours, other, scripted


@pytest.fixture
def in_process(monkeypatch):
    """Ask from this process: another one takes a quarter of a second to start (tests without this do start it)."""

    async def run_here(module, message, seconds):
        errand = msgspec.json.decode(message, type=Errand)
        return msgspec.json.encode(await asyncio.to_thread(service_main.ask, errand))

    monkeypatch.setattr(federation, "run_child", run_here)


@pytest.fixture
def odd(world):
    _, _, _, scripted = world
    scripted.__init__()
    return scripted


def ask(client, query, **headers):
    return client.get("/sparql", params={"query": query, "lang": "en"}, headers=JSON | headers)


def rows(answer):
    assert answer.status_code == 200, answer.text
    return [{name: cell["value"] for name, cell in row.items()} for row in answer.json()["results"]["bindings"]]


def test_the_rows_of_another_service_join_ours(world):
    client, ours, _, _ = world
    answer = ask(client, f"SELECT * {{ ?s <http://x/p> ?o SERVICE <{ours}> {{ ?s <http://x/q> ?v }} }} ORDER BY ?s")
    assert [row["v"] for row in rows(answer)] == ["un", "é\n\"'\\"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert '<https://licence.example/>; rel="license"' in answer.headers["Link"]


@pytest.mark.usefixtures("in_process")
def test_a_blank_node_from_elsewhere_has_an_address_that_stands_for_it(world, odd):
    client, _, other, _ = world
    cell = {"n": {"type": "bnode", "value": "b1"}}
    odd.body = json.dumps({"head": {"vars": ["n"]}, "results": {"bindings": [cell, cell]}}).encode()
    query = f"SELECT ?n {{ SERVICE <{other}> {{ <http://x/z> <http://x/q> ?n }} }}"
    (first, same), (other, _) = (rows(ask(client, query)) for _ in range(2))
    assert first["n"].startswith("https://here.example/.well-known/genid/")
    assert first == same
    assert first != other  # nobody knows whether it is the same


@pytest.mark.usefixtures("in_process")
def test_forms_other_than_tables_are_answered_too(world):
    client, ours, _, _ = world
    block = f"SERVICE <{ours}> {{ ?s <http://x/q> ?v }}"
    assert ask(client, f"ASK {{ {block} FILTER(isLiteral(?v)) }}").json()["boolean"] is True
    graph = client.get(
        "/sparql", params={"query": f"CONSTRUCT {{ ?s <http://x/r> ?v }} {{ ?s <http://x/p> ?o {block} }}", "format": "nt"}
    )
    assert graph.text.count("<http://x/r>") == 2
    page = client.get("/sparql", params={"query": f"SELECT * {{ {block} }}"}, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "http://x/z" in page.text


@pytest.mark.usefixtures("in_process")
def test_a_search_by_name_may_stand_beside_another_service(world):
    client, ours, _, _ = world
    query = f"""PREFIX co: <https://here.example/def/co#>
SELECT * {{ SERVICE <{ours}> {{ ?s <http://x/q> ?v }} ?s co:search "gare" }}"""
    assert rows(ask(client, query)) == [{"s": "http://x/a", "v": "un"}]
    answer = ask(client, query.replace("?v }", '?v ; co:search "gare" }'))
    assert answer.status_code == 400


@pytest.mark.slow
def test_an_export_asks_other_services_too(world, odd):
    client, ours, other, _ = world
    odd.status = 500
    query = (
        f"SELECT * {{ ?s <http://x/p> ?o SERVICE <{ours}> {{ ?s <http://x/q> ?v }} SERVICE SILENT <{other}> {{ ?a ?b ?c }} }}"
    )
    ordered = client.post("/exports", data={"query": query}, headers={"Accept": "text/csv"})
    assert ordered.status_code == 202
    deadline = time.monotonic() + 20
    while (state := client.get(ordered.headers["Location"]).json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (state["state"], state["rows"], state["missing_services"]) == ("done", 2, ["odd"])
    refused = client.post("/exports", data={"query": query.replace(other, "https://far.example/")})
    assert refused.status_code == 400


@pytest.mark.usefixtures("in_process")
def test_a_service_that_is_not_allowed_is_refused_with_its_place_and_the_allowed_ones(world):
    client, ours, _, _ = world
    for silent in ("", "SILENT "):
        answer = ask(client, f"SELECT * {{\n  SERVICE {silent}<http://169.254.169.254/> {{ ?s ?p ?o }} }}")
        assert answer.status_code == 400
        body = answer.json()
        assert body["type"].endswith("#query")
        assert body["position"] == {"line": 2, "column": 3}
        assert "169.254.169.254" in body["detail"]
        assert ours in body["hint"]
        assert "[[sparql.service]]" in body["hint"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { SERVICE ?u { ?s ?p ?o } VALUES ?u { <%s> } }",
        "SELECT * { SERVICE <%s?x> { ?s ?p ?o } }",
        "SELECT * { SERVICE <%s/../sparql> { ?s ?p ?o } }",
        "ASK { FILTER EXISTS { SERVICE <%s> { ?s ?p ?o } } }",
        "SELECT * { SERVICE <%s> { ?s ?p ?o SERVICE SILENT <http://169.254.169.254/> { ?s ?p ?o } } }",
        "SELECT * { SERVICE <%s> { ?s ?p '\\u0027 } } #' } }",
        "SELECT * { SERVICESILENT <%s> { ?s ?p ?o } }",
        "SELECT * { SERVICE <%s> { ?s ?p ?o } UNION { SERVICE <%s> { ?s ?p ?o } } }",
    ],
)
def test_a_question_that_is_not_plain_asks_nobody(world, odd, query):
    client, _, other, _ = world
    answer = ask(client, query.replace("%s", other))
    assert answer.status_code == 400
    assert answer.json()["position"]["line"] == 1
    assert not odd.asked


@pytest.mark.usefixtures("in_process")
def test_a_service_whose_address_is_private_is_not_asked_unless_that_is_said(world):
    client, *_ = world
    answer = ask(client, "SELECT * { SERVICE <https://127.0.0.1:9/> { ?s ?p ?o } }")
    assert answer.status_code == 502
    assert answer.json()["detail"] == "'closed' has no public address."


@pytest.mark.usefixtures("in_process")
def test_only_the_block_is_sent_and_nothing_of_who_asks(world, odd):
    client, _, other, _ = world
    query = f"SELECT * {{ ?hidden <http://x/p> 'nobody sees this' SERVICE <{other}> {{ <http://x/k> <http://x/q> ?n }} }}"
    client.cookies.set("session", "mine")
    assert rows(ask(client, query, **{"X-Secret": "mine"})) == []
    client.cookies.clear()
    assert odd.asked == ["SELECT * WHERE { <http://x/k> <http://x/q> ?n } LIMIT 6"]
    (headers,) = odd.headers
    assert set(headers) == {b"host", b"accept", b"accept-encoding", b"content-type", b"content-length", b"user-agent"}
    assert headers[b"user-agent"].startswith(b"cityorchestra-ld/")


@pytest.mark.usefixtures("in_process")
def test_a_query_that_is_not_sparql_asks_nobody(world, odd):
    client, _, other, _ = world
    answer = ask(client, f"SELECT * {{\n SERVICE <{other}> {{ ?s ?p ?o }}\n ?a ?b }}")
    assert answer.status_code == 400
    assert answer.json()["position"]["line"] == 3
    assert not odd.asked


@pytest.mark.parametrize(
    ("changes", "status", "kind", "told"),
    [
        ({"status": 302}, 502, "service", "169.254.169.254"),
        ({"status": 500, "body": b"<b>no</b>"}, 502, "service", "500 no"),
        ({"body": b"{"}, 502, "service", "JSON"),
        pytest.param({"wait": 6.0}, 504, "service-timeout", "within 3 s", marks=pytest.mark.slow),
    ],
)
def test_a_service_that_fails_is_named_or_missing_when_silent(world, odd, changes, status, kind, told, request):
    client, _, other, _ = world
    if "wait" not in changes:
        request.getfixturevalue("in_process")
    for name, value in changes.items():
        setattr(odd, name, value)
    pattern = f"SELECT * {{ ?s <http://x/q> ?v SERVICE %s<{other}> {{ ?s <http://x/r> ?n }} }}"
    answer = ask(client, pattern % "")
    body = answer.json()
    assert (answer.status_code, body["type"].rpartition("#")[2]) == (status, kind)
    assert "'odd'" in body["detail"]
    assert told in body["detail"]
    assert body["position"]["line"] == 1
    silent = ask(client, pattern % "SILENT ")
    assert rows(silent) == [{"s": "http://x/c", "v": "1"}]
    assert silent.headers["X-Service-Failed"] == "odd"


@pytest.mark.usefixtures("in_process")
def test_more_rows_than_allowed_are_refused_even_when_silent(world, odd):
    client, _, other, _ = world
    cell = {"n": {"type": "literal", "value": "1"}}
    odd.body = json.dumps({"head": {"vars": ["n"]}, "results": {"bindings": [cell] * 6}}).encode()
    for silent in ("", "SILENT "):
        answer = ask(client, f"SELECT * {{ SERVICE {silent}<{other}> {{ ?s ?p ?n }} }}")
        assert answer.status_code == 400
        assert "more than 5 rows at 'odd'" in answer.json()["detail"]


@pytest.mark.slow
def test_the_deadline_of_the_query_counts_the_other_service(world, odd):
    client, _, other, _ = world
    odd.wait = 3.0
    answer = client.get(
        "/sparql", params={"query": f"SELECT * {{ SERVICE SILENT <{other}> {{ ?s ?p ?n }} }}", "timeout": "0.6"}, headers=JSON
    )
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("#timeout")


@pytest.mark.usefixtures("in_process")
def test_what_was_asked_is_logged_counted_and_charged(world, odd, caplog):
    client, ours, other, _ = world
    odd.status = 500
    service = client.app.service
    before = service.budget.left("testclient")
    with caplog.at_level(logging.INFO, logger="cityorchestra_ld.requests"):
        ask(client, f"SELECT * {{ SERVICE <{ours}> {{ ?s ?p ?o }} SERVICE SILENT <{other}> {{ ?s ?p ?n }} }}")
        deadline = time.monotonic() + 5
        while not (lines := _lines(caplog)) and time.monotonic() < deadline:
            time.sleep(0.01)
    (line,) = lines
    assert sorted((one.service, one.outcome, one.rows > 0, one.ms > 0) for one in line.services) == [
        ("odd", "status", False, True), ("ours", "ok", True, True),
    ]  # fmt: skip
    assert service.budget.left("testclient") < before
    figures = client.get("/-/metrics", headers={"Authorization": f"Bearer {_token(service)}"}).text
    assert 'cityorchestra_service_asked_total{service="odd",outcome="status"}' in figures
    assert 'cityorchestra_service_rows_total{service="ours"}' in figures


def _lines(caplog):
    return [record.line for record in caplog.records if hasattr(record, "line") and record.line.services]


def _token(service):
    """Make a token that may read metrics."""
    return service.tokens.new("metrics", read=("urn:cityorchestra:metrics",))


@pytest.mark.slow
def test_too_many_questions_at_once_wait_then_are_sent_away(world, odd, monkeypatch):
    client, _, other, _ = world
    monkeypatch.setattr(client.app.service.federation.gate(client.app.service.federation.services[other])._queue, "_size", 1)
    odd.wait = 0.8
    answers = []
    query = f"SELECT * {{ SERVICE <{other}> {{ ?s ?p ?n }} }}"
    threads = [threading.Thread(target=lambda: answers.append(ask(client, query))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    busy = [answer for answer in answers if answer.status_code == 503]
    assert len(busy) == 2
    assert all("asking 'odd'" in answer.json()["detail"] for answer in busy)
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in busy)


@pytest.mark.usefixtures("in_process")
def test_explain_and_the_service_description_name_the_services(world, odd):
    client, ours, other, _ = world
    query = f"SELECT * {{ ?s ?p ?o\n SERVICE <{other}> {{ ?s <http://x/r> ?n }} }}"
    body = client.get("/sparql", params={"query": query, "explain": "1"}).json()
    assert body["services"] == [
        {"name": "odd", "address": other, "silent": False, "line": 2, "sent": "SELECT * WHERE { ?s <http://x/r> ?n }"}
    ]
    assert [pattern["text"] for pattern in body["patterns"]] == ["?s ?p ?o"]
    assert {one["name"] for one in body["allowed_services"]} == {"ours", "odd", "closed"}
    assert not odd.asked
    described = client.get("/sparql", headers={"Accept": "text/turtle"}).text
    assert "BasicFederatedQuery" in described
    assert ours in described
    assert ours in client.get("/sparql", headers={"Accept": "text/html"}).text


def _cases():
    """Load the queries that the property test asks in one process."""
    path = Path(__file__).parents[2] / "properties" / "test_federation.py"
    spec = importlib.util.spec_from_file_location("federated_queries", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_answers_over_two_servers_of_ours_are_those_of_one_store(tmp_path, serving):
    cases, chance = _cases(), random.Random(2026)

    def some():
        predicates = [N("http://p/1"), N("http://p/2")]
        return [
            ox.Triple(chance.choice(cases.NODES), chance.choice(predicates), chance.choice((*cases.NODES, *cases.TEXTS)))
            for _ in range(chance.randrange(10))
        ]

    here, there = make(tmp_path / "here", "here", []), make(tmp_path / "there", "there", [])
    far = create_app(there)
    with serving(far) as port:
        address = f"http://127.0.0.1:{port}/sparql"
        service = RemoteService(name="ours", address=address, private=True, rows=5000)
        with TestClient(create_app(replace(here, services=(service,)))) as client:
            for generation in range(2, 10):
                ours, theirs = some(), some()
                publish(here, ours)
                publish(there, theirs)
                for app in (far, client.app):
                    deadline = time.monotonic() + 20
                    while app.service.generation.number < generation and time.monotonic() < deadline:
                        time.sleep(0.05)
                    assert app.service.generation.number == generation
                whole = cases.both(ours, theirs)
                for _ in range(40):
                    query, blocks = (
                        chance.choice(cases.QUERIES).replace("%H", chance.choice(cases.HERE)),
                        chance.sample(cases.BLOCKS, 2),
                    )
                    text = cases.filled(query, blocks, f"SERVICE <{address}>")
                    form = "application/n-triples" if text.startswith("CONSTRUCT") else JSON["Accept"]
                    answer = client.get("/sparql", params={"query": text}, headers={"Accept": form})
                    assert answer.status_code == 200, (text, answer.text)
                    found = (
                        sorted({str(quad.triple) for quad in ox.parse(answer.content, format=ox.RdfFormat.N_TRIPLES)})
                        if text.startswith("CONSTRUCT")
                        else cases.in_order(ox.parse_query_results(answer.content, format=ox.QueryResultsFormat.JSON))
                    )
                    assert found == cases.in_order(whole.query(cases.filled(query, blocks, f"GRAPH {cases.THERE}"))), text
