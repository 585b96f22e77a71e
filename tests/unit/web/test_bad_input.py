"""What is hostile, huge, nameless or broken in data gets an honest answer in every form of every document."""

from __future__ import annotations

from xml.etree import ElementTree

import orjson
import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import load_territory
from cityorchestra_ld.web.app import create_app

BASE = "https://id.example/"
LINKS = 50_000
RDF = {"ttl": ox.RdfFormat.TURTLE, "nt": ox.RdfFormat.N_TRIPLES, "rdf": ox.RdfFormat.RDF_XML, "jsonld": ox.RdfFormat.JSON_LD}
JSON_TREES = ("framed", "schema", "ngsi-ld")


@pytest.fixture(scope="module")
def hub(make_city, tmp_path_factory):
    """Serve a city in which 50 000 things point to one, and one thing has 6 000 values."""
    territory = make_city(tmp_path_factory.mktemp("hub"))
    part_of = "<http://purl.org/dc/terms/isPartOf>"
    file = territory.root / "hub.nt"
    lines = [f"<{BASE}id/leaf/{n}> {part_of} <{BASE}id/hub/1> .\n" for n in range(LINKS)]
    lines += [f'<{BASE}id/hub/1> <http://purl.org/dc/terms/title> "Le moyeu" .\n']
    lines += [f'<{BASE}id/wide/1> <http://purl.org/dc/terms/subject> "{n}" .\n' for n in range(6_000)]
    file.write_text("".join(lines), encoding="utf-8")
    info = GraphInfo(graph=f"{BASE}graph/data/ville/hub", role="data", dataset="ville/planned", version="1-hub")
    with open_store(territory.state / "store", base_iri=BASE) as store:
        store.publish([GraphChange(info=info, content=file)])
    with TestClient(create_app(territory), follow_redirects=False) as client:
        yield client


@pytest.mark.slow
def test_fifty_thousand_inverse_links_are_paged_and_the_page_of_the_thing_stays_small(hub):
    page = hub.get("/doc/hub/1", headers={"accept": "text/html"})
    assert page.status_code == 200 and len(page.content) < 100_000
    first = hub.get("/links", params={"iri": f"{BASE}id/hub/1"}, headers={"accept": "application/n-triples"})
    assert first.content.count(b"/id/leaf/") == 200 and "prev" not in first.links
    after = hub.get(first.links["next"]["url"], headers={"accept": "application/n-triples"})
    assert "prev" in after.links and not set(first.text.splitlines()) & {x for x in after.text.splitlines() if "/leaf/" in x}
    last = hub.get("/links", params={"iri": f"{BASE}id/hub/1", "page": LINKS // 200}, headers={"accept": "text/html"})
    assert last.status_code == 200 and "/doc/leaf/" in last.text and 'rel="next"' not in last.text
    assert hub.get("/links", params={"iri": f"{BASE}id/hub/1", "page": LINKS // 200 + 1}).status_code == 404
    none = hub.get("/links", params={"iri": f"{BASE}id/hub/1", "property": "http://purl.org/dc/terms/title"})
    assert none.status_code == 200 and b"/leaf/" not in none.content


@pytest.mark.slow
def test_what_has_thousands_of_values_comes_in_pages_that_together_are_whole(hub):
    found, address = set(), "/doc/wide/1.nt"
    while address:
        answer = hub.get(address)
        found |= {
            q.object.value for q in ox.parse(answer.content, format=ox.RdfFormat.N_TRIPLES) if "subject" in q.predicate.value
        }
        address = answer.links.get("next", {}).get("url")
    assert len(found) == 6_000
    assert hub.get("/doc/wide/1?page=1").headers["etag"] != hub.get("/doc/wide/1?page=2").headers["etag"]
    assert hub.get("/doc/wide/1?page=3").status_code == 404


@pytest.mark.parametrize("path", ["/doc/hostile/1", "/doc/stop/nameless", "/doc/stop/1001", "/doc/obs/2"])
def test_every_form_of_what_is_hostile_or_nameless_is_well_formed(client, path):
    for variant in client.get(f"{path}?_profile=nothing").json()["variants"]:
        answer = client.get(variant["href"])
        suffix = variant["href"].partition("?")[0].rpartition(".")[2]
        assert answer.status_code == 200, variant
        if suffix == "html":
            ElementTree.fromstring(answer.text.removeprefix("<!DOCTYPE html>"))
            assert 'href="javascript:' not in answer.text and "<img src=x" not in answer.text
        elif any(f"_profile={token}" in variant["href"] for token in JSON_TREES) or suffix == "geojson":
            assert isinstance(orjson.loads(answer.content), dict)
        else:
            assert list(ox.parse(answer.content, format=RDF[suffix]))


def test_a_back_end_that_fails_is_an_error_of_ours_and_never_a_thing_that_is_not_there(city, monkeypatch):
    with TestClient(create_app(city), follow_redirects=False, raise_server_exceptions=False) as client:
        assert client.get("/doc/stop/nameless").status_code == 200

        def fails(*_):
            raise StoreError(Text("Panne.", "Failure."))

        def breaks(*_):
            raise OSError("disk")

        for broken, status in ((fails, 503), (breaks, 500)):
            monkeypatch.setattr(client.app.service.snapshot.reader, "quads", broken)
            for address in ("/id/stop/1001", "/doc/stop/1001", "/doc/stop/none", f"/describe?iri={BASE}id/stop/1", "/def/co"):
                answer = client.get(address, headers={"accept": "application/n-quads, application/json"})
                assert answer.status_code == status
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["cache-control"] == "no-store"


def test_nothing_is_published_yet_is_503_and_says_when_to_come_back(tmp_path, make_city):
    territory = load_territory(make_city(tmp_path).root, state=tmp_path / "empty")
    with TestClient(create_app(territory), follow_redirects=False) as client:
        for address in ("/id/stop/1001", "/doc/stop/1001", "/links?iri=urn:x", "/memento/20260101000000/doc/stop/1", "/def/co"):
            answer = client.get(address)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/links", 400), ("/links?iri=x", 400), ("/links?iri=urn:nobody", 404),
        (f"/links?iri={BASE}id/stop/1001&property=x", 400),
        (f"/links?iri={BASE}id/stop/1001&page=0", 400), ("/doc/stop/1001?_profile=a&_profile=b", 400),
        ("/context.jsonld", 200), ("/api/queries/none", 404), ("/doc/stop/none?_profile=schema", 404),
        ("/doc/stop/none.geojson", 404), ("/timemap/doc/stop/none", 404),
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense_gets_the_status_that_says_why(client, address, status):
    assert client.get(address).status_code == status
