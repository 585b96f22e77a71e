"""Stewards write over HTTP: graphs are replaced whole or not at all, drafts are changed, looked at and published."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.web.app import create_app

CO = "https://id.example/def/co#"
IDEA = "https://id.example/graph/scenario/idea"
TURTLE = {"content-type": "text/turtle"}
UPDATE = {"content-type": "application/sparql-update"}


@pytest.fixture(scope="module")
def site(make_city, tmp_path_factory):
    """Serve a city of its own to a steward of scenarios, and to another."""
    territory = make_city(tmp_path_factory.mktemp("writes"))
    tokens = Tokens.of(territory)
    steward, other = (
        {"authorization": f"Bearer {tokens.new(name, write=['https://id.example/graph/scenario/*'])}"}
        for name in ("ann", "bob")
    )
    with TestClient(create_app(territory), follow_redirects=False) as client:
        yield client, steward, other


def graph(client):
    answer = client.get("/graph-store", params={"graph": IDEA, "format": "nt"})
    return sorted(answer.text.splitlines()) if answer.status_code == 200 else answer.status_code


@pytest.mark.slow
def test_a_graph_is_written_and_a_malformed_body_harms_nothing(site):
    client, steward, _ = site
    params = {"graph": IDEA}
    made = client.put("/graph-store", params=params, content="<a> <b> 1 .", headers=steward | TURTLE)
    assert made.status_code == 201 and made.headers["location"] == "/graph-store/scenario/idea"
    kept = graph(client)
    broken = client.put("/graph-store", params=params, content="<a> <b", headers=steward | TURTLE)
    assert broken.status_code == 400 and broken.json()["position"]["line"] == 1
    assert graph(client) == kept and len(kept) == 1
    stale = steward | TURTLE | {"if-match": '"other"'}
    assert client.put("/graph-store", params=params, content="<a> <b> 2 .", headers=stale).status_code == 412
    current = steward | TURTLE | {"if-match": made.headers["etag"]}
    assert client.put("/graph-store", params=params, content="<a> <b> 2 .", headers=current).status_code == 204
    assert client.delete("/graph-store", params=params, headers=steward).status_code == 204
    assert graph(client) == 404


@pytest.mark.parametrize(
    ("graph", "kind", "size", "status"),
    [
        ("https://id.example/graph/data/ville/stops", "text/turtle", 9, 403),  # another's dataset
        ("https://id.example/graph/catalog", "text/turtle", 9, 403),  # made by the software
        ("urn:cityorchestra:hidden", "text/turtle", 9, 403),
        (IDEA, "text/csv", 9, 415),
        (IDEA, "application/trig", 9, 415),
        (IDEA, "text/turtle; charset=latin-1", 9, 415),
        (IDEA, "text/turtle", 100_000_001, 413),
    ],
)
def test_what_may_not_be_written_is_refused_before_it_is_read(site, graph, kind, size, status):
    client, steward, _ = site
    headers = steward | {"content-type": kind, "content-length": str(size)}
    answer = client.put("/graph-store", params={"graph": graph}, content=b"<a> <b> 1", headers=headers)
    assert answer.status_code == status, answer.text
    assert client.put("/graph-store?default", content=b"", headers=steward | TURTLE).status_code == 403
    assert client.put("/graph-store", params={"graph": graph}, content=b"", headers=TURTLE).status_code == 401


@pytest.mark.slow
def test_a_draft_is_changed_looked_at_and_published(site):
    client, steward, other = site
    made = client.post("/drafts", json={"name": "idea", "graphs": [IDEA]}, headers=steward)
    assert made.status_code == 201 and made.headers["location"] == "/drafts/idea"
    assert client.get("/drafts/idea", headers=other).status_code == 404
    assert client.post("/drafts", json={"name": "idea"}, headers=steward).status_code == 409
    for update, status in (
        (f"INSERT DATA {{ GRAPH <{IDEA}> {{ <urn:a> <urn:b> 1, 2 }} }}", 204),
        (f"DELETE DATA {{ GRAPH <{IDEA}> {{ <urn:a> <urn:b> 2 }} }}", 204),
        ("INSERT DATA { GRAPH <urn:g> { <urn:a> } }", 400),
        ("LOAD <http://127.0.0.1/x>", 400),
        ("INSERT { ?s ?p ?o } WHERE { SERVICE <http://127.0.0.1/> { ?s ?p ?o } }", 400),
        ("SELECT * {}", 400),
        (f"PREFIX co: <{CO}> DELETE {{ ?s ?p ?o }} WHERE {{ ?s co:search 'gare' ; ?p ?o }}", 400),
        (f"INSERT DATA {{ GRAPH <{IDEA}> {{ <urn:a> <http://www.w3.org/2000/01/rdf-schema#label> 'La Gare' }} }}", 204),
    ):
        assert client.post("/drafts/idea/update", content=update, headers=steward | UPDATE).status_code == status, update
    rows = client.get("/drafts/idea/sparql", params={"query": "SELECT * { ?s ?p ?o }", "format": "csv"}, headers=steward)
    assert "1,urn:b,urn:a" in rows.text.splitlines()
    searched = f"PREFIX co: <{CO}> SELECT ?s ?n {{ ?s co:search 'gares' ; <urn:b> ?n }}"
    found = client.get("/drafts/idea/sparql", params={"query": searched, "format": "csv"}, headers=steward)
    assert found.text.split() == ["s,n", "urn:a,1"]
    forgotten = f"DELETE WHERE {{ GRAPH <{IDEA}> {{ ?s <http://www.w3.org/2000/01/rdf-schema#label> ?name }} }}"
    assert client.post("/drafts/idea/update", content=forgotten, headers=steward | UPDATE).status_code == 204
    assert graph(client) == 404  # nothing published yet
    shown = client.get("/drafts/idea", headers=steward).json()
    assert [(change["graph"], change["added"], change["removed"]) for change in shown["changes"]] == [(IDEA, 1, 0)]
    published = client.post("/drafts/idea/publish", headers=steward)
    assert published.status_code == 200, published.text
    assert graph(client) == ['<urn:a> <urn:b> "1"^^<http://www.w3.org/2001/XMLSchema#integer> .']
    assert client.get("/drafts", headers=steward).json() == {"drafts": []}


@pytest.mark.slow
def test_a_draft_made_from_what_has_changed_since_is_not_published(site):
    client, steward, _ = site
    client.post("/drafts", json={"name": "late", "graphs": [IDEA]}, headers=steward)
    client.post(
        "/drafts/late/update", content=f"INSERT DATA {{ GRAPH <{IDEA}> {{ <urn:x> <urn:y> 1 }} }}", headers=steward | UPDATE
    )
    client.put("/graph-store", params={"graph": IDEA}, content="<urn:c> <urn:d> 1 .", headers=steward | TURTLE)
    kept = graph(client)
    assert client.post("/drafts/late/publish", headers=steward).status_code == 409
    assert graph(client) == kept
    assert client.delete("/drafts/late", headers=steward).status_code == 204
