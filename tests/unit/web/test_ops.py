"""Health, readiness, static files, and what happens on the way from nothing to a generation, and from one to the next."""

from __future__ import annotations

import logging
import time

import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.territory import load_territory
from cityorchestra_ld.web import dereference
from cityorchestra_ld.web.app import create_app

BROWSER = {"accept": "text/html"}
DATA = ["/", "/catalog", "/id/stop/1001", "/doc/stop/1001", "/sparql?query=ASK%7B%7D", "/def/co", "/graph/catalog"]


def test_a_service_with_data_is_healthy_ready_and_says_which_version(client):
    assert client.get("/-/health").json() == {"status": "ok"}
    ready = client.get("/-/ready").json()
    assert ready["status"] == "ready"
    assert ready["triples"] > 100
    version = client.get("/-/version").json()
    assert version["software"] == "cityorchestra_ld"
    assert version["base_iri"] == "https://id.example/"
    assert all(client.get(f"/-/{name}").headers["cache-control"] == "no-store" for name in ("health", "ready", "version"))


@pytest.fixture
def empty(tmp_path):
    """Serve a territory in which nothing was ever published."""
    (tmp_path / "territory.toml").write_text('base_iri = "https://id.example/"\nname = { fr = "Vide", en = "Empty" }\n')
    with TestClient(create_app(load_territory(tmp_path)), follow_redirects=False) as client:
        yield client


def test_before_the_first_publication_the_service_lives_and_says_that_it_is_not_ready(empty):
    assert empty.get("/-/health").status_code == 200
    for path in ["/-/ready", *DATA]:
        answer = empty.get(path)
        assert answer.status_code == 503, path
        assert answer.json()["type"].endswith("#not-ready")
        assert int(answer.headers["retry-after"]) > 0
        page = empty.get(path, headers=BROWSER)
        assert page.status_code == 503
        assert "Aucune donnée n&#39;est encore publiée." in page.text
    assert empty.get("/static/style.css").status_code == 200


def test_a_publication_is_noticed_without_a_restart(tmp_path, make_city, publish_stops):
    territory = make_city(tmp_path)
    with TestClient(create_app(territory), follow_redirects=False) as client:
        before = client.get("/doc/stop/1001")
        count = "SELECT (COUNT(?s) AS ?n) { ?s a <http://vocab.gtfs.org/terms#Stop> }"
        assert client.get("/sparql", params={"query": count, "format": "csv"}).text.split() == ["n", "7"]
        publish_stops(territory, "<id/stop/1001> a gtfs:Stop ; rdfs:label 'Nouveau nom' .")
        deadline = time.monotonic() + 5
        while client.get("/-/ready").json()["generation"] == 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        after = client.get("/doc/stop/1001", headers={"if-none-match": before.headers["etag"]})
        assert after.status_code == 200
        assert "Nouveau nom" in after.text
        assert after.headers["etag"] != before.headers["etag"]
        assert client.get("/id/stop/nameless").status_code == 410
        assert client.get("/sparql", params={"query": count, "format": "csv"}).text.split() == ["n", "1"]


def test_a_broken_publication_keeps_the_service_on_what_it_has(tmp_path, make_city, caplog):
    territory = make_city(tmp_path)
    with TestClient(create_app(territory), follow_redirects=False) as client:
        (territory.state / "store" / "CURRENT").write_text('{"generation": 99, "latest": 99}')
        deadline = time.monotonic() + 20
        while "cannot be opened" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "cannot be opened" in caplog.text
        assert client.get("/doc/stop/1001").status_code == 200
        assert client.get("/-/ready").json()["generation"] == 1


def test_a_bug_is_a_500_without_its_trace_and_can_be_found_in_the_log(city, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(dereference, "document", broken)
    monkeypatch.setattr("cityorchestra_ld.web.sparql.read_request", broken)
    with TestClient(create_app(city), raise_server_exceptions=False) as client, caplog.at_level(logging.ERROR):
        for path in ("/doc/stop/1001?x=1", "/sparql?query=ASK%7B%7D"):
            for headers in ({}, BROWSER):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 500
                assert "secret detail" not in answer.text
                assert "Traceback" not in answer.text
                assert answer.headers["x-request-id"] in answer.text
                assert answer.headers["x-request-id"] in caplog.text
                assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/static/style.css", "text/css; charset=utf-8"),
        ("/static/favicon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
def test_static_files_are_few_typed_and_validated(client, path, kind):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert client.get(path, headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_a_static_address_with_its_hash_may_be_kept_for_ever(client):
    page = client.get("/", headers=BROWSER).text
    start = page.index("/static/style.css?v=")
    address = page[start : page.index('"', start)]
    assert "immutable" in client.get(address).headers["cache-control"]
    assert "immutable" not in client.get("/static/style.css?v=0").headers["cache-control"]


def test_robots_are_kept_from_queries(client):
    text = client.get("/robots.txt").text
    assert "Disallow: /sparql" in text
    assert client.get("/robots.txt").headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", [*DATA, "/-/health", "/nothing", "/static/style.css", "/robots.txt"])
def test_every_answer_carries_the_headers_that_protect(client, path):
    for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
        headers = client.request(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]
