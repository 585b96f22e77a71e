"""What was answered is answered again without a query: to the same question, of the same generation, and to nobody else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.web.app import create_app

BASE = "https://id.example/"
STOPS = "PREFIX gtfs: <http://vocab.gtfs.org/terms#> SELECT (COUNT(?s) AS ?n) { ?s a gtfs:Stop }"
SLOW = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
CSV, JSON = "text/csv", "application/sparql-results+json"


@pytest.fixture
def asked(client, monkeypatch):
    """Count the queries that reach a worker."""
    seen = []
    query = client.app.service.pool.query

    async def counted(inspected, *rest, **more):
        seen.append(inspected.text)
        return await query(inspected, *rest, **more)

    monkeypatch.setattr(client.app.service.pool, "query", counted)
    return seen


def ask(client, query, accept=CSV, **headers):
    return client.get("/sparql", params={"query": query}, headers={"accept": accept, **headers})


def test_the_same_question_is_asked_once(client, asked):
    first, again = ask(client, f"{STOPS} # once"), ask(client, f"{STOPS} # once")
    assert asked == [f"{STOPS} # once"]
    assert (first.status_code, first.content) == (again.status_code, again.content) == (200, first.content)
    kept = ("content-type", "etag", "vary", "cache-control", "x-row-limit", "link")
    assert {name: first.headers.get(name) for name in kept} == {name: again.headers.get(name) for name in kept}
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    fresh = ask(client, f"{STOPS} # once", **{"if-none-match": first.headers["etag"]})
    assert (fresh.status_code, fresh.content) == (304, b"") and len(asked) == 1


def test_another_form_another_deadline_and_a_body_are_other_questions_or_the_same_answer(client, asked):
    text = f"{STOPS} # forms"
    assert ask(client, text).headers["content-type"].startswith(CSV)
    assert ask(client, text, JSON).headers["content-type"] == JSON
    assert client.get("/sparql", params={"query": text, "timeout": "3"}, headers={"accept": CSV}).status_code == 200
    assert len(asked) == 3
    posted = client.post("/sparql", data={"query": text}, headers={"accept": CSV})
    assert posted.content == ask(client, text).content and "etag" not in posted.headers


@pytest.mark.parametrize("text", ["SELECT (NOW() AS ?t) {}", "SELECT (RAND() AS ?t) {}", "SELECT (STRUUID() AS ?t) {}"])
def test_what_changes_by_itself_is_never_remembered(client, asked, text):
    assert ask(client, text).content != ask(client, text).content or "NOW" in text
    assert len(asked) == 2


def test_what_a_bearer_saw_is_for_the_bearer(make_city, tmp_path):
    city = make_city(tmp_path)
    secret = Tokens.of(city).new("reader", read=("ville/secret",))
    bearer = {"authorization": f"Bearer {secret}"}
    with TestClient(create_app(city), follow_redirects=False) as client:
        seen, plain = ask(client, STOPS, **bearer), ask(client, STOPS)
        assert int(seen.text.split()[1]) == int(plain.text.split()[1]) + 1
        assert ask(client, STOPS, **bearer).content == seen.content and ask(client, STOPS).content == plain.content
        assert seen.headers["cache-control"].startswith("private") and seen.headers["etag"] != plain.headers["etag"]


def test_a_publication_ends_what_was_remembered(make_city, publish_stops, tmp_path):
    city = make_city(tmp_path)
    with TestClient(create_app(city), follow_redirects=False) as client:
        before = ask(client, STOPS)
        publish_stops(city, f"<{BASE}id/stop/only> a <http://vocab.gtfs.org/terms#Stop> .")
        ends = time.monotonic() + 20
        while (after := ask(client, STOPS, **{"if-none-match": before.headers["etag"]})).status_code == 304:
            assert time.monotonic() < ends, "the old answer is still given"
            time.sleep(0.05)
        assert after.text.split() == ["n", "1"] and after.headers["etag"] != before.headers["etag"]


@pytest.mark.parametrize(
    ("text", "status"), [("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f }", 200), (f"{SLOW} # fails", 503)]
)
def test_who_asks_the_same_at_the_same_moment_waits_for_one_answer(client, asked, text, status):
    fields = {"query": text, **({"timeout": "1.5"} if status == 503 else {})}
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: client.get("/sparql", params=fields, headers={"accept": CSV}), range(4)))
    assert {answer.status_code for answer in answers} == {status}
    assert len(asked) == 1


@pytest.mark.parametrize("accept", [CSV, JSON, "text/tab-separated-values", "application/sparql-results+xml"])
def test_what_is_answered_without_a_worker_is_what_a_worker_answers(client, asked, accept):
    pattern = f"<{BASE}id/stop/1001> ?p ?o"
    cheap = ask(client, f"SELECT ?p ?o {{ {pattern} }}", accept)
    assert asked == []
    slow = ask(client, f"SELECT ?p ?o {{ {pattern} FILTER(true) }}", accept)
    assert len(asked) == 1
    assert sorted(cheap.content) == sorted(slow.content) and cheap.status_code == slow.status_code == 200
    names = ("content-type", "vary", "cache-control", "x-row-limit", "link")
    assert {name: cheap.headers.get(name) for name in names} == {name: slow.headers.get(name) for name in names}
    assert ask(client, f"SELECT ?p ?o {{ {pattern} }}", accept).content == cheap.content and len(asked) == 1


def test_what_is_answered_without_a_worker_is_within_the_view(make_city, tmp_path):
    city = make_city(tmp_path)
    bearer = {"authorization": f"Bearer {Tokens.of(city).new('reader', read=('ville/secret',))}"}
    with TestClient(create_app(city), follow_redirects=False) as client:
        every = ask(client, "SELECT DISTINCT ?s { ?s ?p ?o }", **bearer).text.split()[1:]
        secret = set(every) - set(ask(client, "SELECT DISTINCT ?s { ?s ?p ?o }").text.split()[1:])
        assert secret
        for thing in secret:
            text = f"SELECT ?p ?o {{ <{thing}> ?p ?o }}"
            for _ in range(3):
                assert ask(client, text).text.split() == ["p,o"]
                assert len(ask(client, text, **bearer).text.split()) > 1
