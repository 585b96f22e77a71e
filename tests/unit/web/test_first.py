"""The first answer about a thing has the same bytes on the spot as by the long way; who wants more goes the long way."""

from __future__ import annotations

import random

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.model import View
from cityorchestra_ld.web import dereference
from cityorchestra_ld.web.again import head_of, key_of
from cityorchestra_ld.web.first import First
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.snapshot import Snapshot

BASE = "https://id.example/"
ACCEPTS = (
    "text/turtle", "application/ld+json", "application/n-triples", "application/rdf+xml", "*/*", None,
    "text/*;q=0.5, */*;q=0.1", "application/json", "application/x-turtle", "TEXT/TURTLE; q=0.9",
    "text/turtle;q=0, application/n-triples", "", "nonsense", "text/html", "image/png", "application/geo+json",
    'application/ld+json;profile="http://www.w3.org/ns/json-ld#framed"',
    "text/turtle;q=1.0, text/html;q=0.1", "text/html;q=0.3, application/ld+json;q=0.2",
)  # fmt: skip
PREFIXES = """PREFIX dct: <http://purl.org/dc/terms/> PREFIX geo: <http://www.opengis.net/ont/geosparql#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX co: <https://id.example/def/co#> BASE <https://id.example/id/>"""
KNOWN = ("stop/1001", "stop/nameless", "stop/readme.ttl", "obs/1", "code/indicator/population", "scenario/2030")
OBJECTS = (
    "<t/0>", "<t/1>", "<t/2>", "<t/3>", "_:a", "_:b", "<https://id.example/.well-known/genid/x/1>", "'a'", "'a'@fr",
    "'a'@ar--rtl", "1", "1.50", "-0", "true", "'x\\ny\\\"'", "'2024'^^xsd:gYear", "'01'^^xsd:integer", "1e3",
    "<https://elsewhere.example/a?b=1#c>", "<https://id.example/def/co#Thing>", "<https://id.example/def/co#>",
    "<<( <t/0> <https://id.example/p> 'q'@en )>>",
    "'POINT(1 2)'^^geo:wktLiteral", "'Été'", "<t/0/part>",
)  # fmt: skip
PREDICATES = (
    "a",
    "rdfs:label",
    "co:value",
    "co:value-2",
    "dct:spatial",
    "<https://other.example/p/>",
    "<https://other.example/p/q>",
)
RARE = ("dct:isReplacedBy", "dct:replaces", "geo:hasGeometry", "geo:asWKT", "dct:rights", "geo:hasCentroid")


class Kept:
    """Quads in memory, looked up as a reader looks up those of a generation."""

    def __init__(self, text):
        self.store = ox.Store()
        self.store.update(text)

    def quads(self, subject=None, predicate=None, object_=None, graph=None):
        return iter(self.store.quads_for_pattern(subject, predicate, object_, graph))


def long_way(site, snapshot, path, headers):
    """Answer as the application does when nothing is answered on the spot; nothing for an error."""
    handler = dereference.identify if path.startswith("/id/") else dereference.document
    try:
        answer = handler(Ask(path=path, headers=headers), site, snapshot)
    except CityOrchestraError:
        return None
    return answer.status, head_of(answer.raw_headers()), answer.body


def compare(first, site, snapshot, path, accept):
    """Answer both ways, and tell whether the answer came on the spot; both must say the same."""
    headers = {"host": "h"} | ({} if accept is None else {"accept": accept})
    key = key_of(path.encode(), "http", "", [(name.encode(), value.encode()) for name, value in headers.items()])
    whole = first(snapshot, key)
    if whole is None:
        return False
    assert (whole.status, whole.head, whole.body) == long_way(site, snapshot, path, headers), (path, accept)
    assert whole.route == ("identifier" if path.startswith("/id/") else "document")
    assert head_of(whole.headers) == whole.head
    return True


@pytest.fixture(params=["memory", "disk"])
def held(request, client):
    """Give the site, the open generation from memory or from disk, and what makes first answers."""
    service = client.app.service
    known = service.snapshot
    snapshot = Snapshot(known.generation, known.reader, known.view, known.base)
    copy = known.reader._copy
    known.reader._copy = copy if request.param == "memory" else None
    yield service.site, snapshot, First(service.site)
    known.reader._copy = copy


def test_every_thing_of_the_city_is_answered_alike_both_ways(held):
    site, snapshot, first = held
    subjects = {quad.subject.value for quad in snapshot.reader.quads() if isinstance(quad.subject, ox.NamedNode)}
    paths = sorted(iri.removeprefix(BASE + "id/") for iri in subjects if iri.startswith(BASE + "id/"))
    plain = [path for path in paths if "link/" not in path] + ["link/007", "none", "stop", "stop/1001.ttl", "stop/1001.geojson"]
    spot = {
        (kind, path, accept)
        for path in plain for kind in ("doc", "id") for accept in (ACCEPTS if path in KNOWN else ACCEPTS[:3])
        if compare(first, site, snapshot, f"/{kind}/{path}", accept)
    }  # fmt: skip
    for path in KNOWN:
        assert all((kind, path, "text/turtle") in spot for kind in ("doc", "id")), path
        for accept in ("application/ld+json", "application/n-triples", "application/rdf+xml", "*/*", None, "application/json"):
            assert ("doc", path, accept) in spot, (path, accept)
        assert ("doc", path, "text/html") not in spot and ("doc", path, "image/png") not in spot
    assert not any(path in ("secret/1", "none", "stop", "stop/1001.ttl", "stop/a%2Fb") for _, path, _ in spot)
    assert not any(kind == "doc" and path == "dataset/ville/stops" for kind, path, _ in spot)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_graphs_say_is_answered_alike_both_ways(client, seed):
    site, chance = client.app.service.site, random.Random(seed)
    graphs = ["graph/data/ville/stops", "graph/data/ville/figures", "graph/scenario/2030", "graph/data/ville/secret"]
    view = View(
        default_graphs=tuple(BASE + name for name in graphs[:2]), named_graphs=tuple(BASE + name for name in graphs[:3])
    )
    answered = 0
    for _ in range(12):
        said = []
        for _ in range(chance.randrange(3, 40)):
            subject = chance.choice(["<t/0>", "<t/1>", "<t/2>", "<t/3>", "<t/0/part>", "_:a"])
            predicate = chance.choice(RARE if chance.random() < 0.05 else PREDICATES)
            triple = f"{subject} {predicate} {chance.choice(OBJECTS)}"
            said += [f"GRAPH <{BASE}{graph}> {{ {triple} }}" for graph in chance.sample(graphs, chance.choice((1, 1, 1, 2)))]
        known = client.app.service.snapshot
        snapshot = Snapshot(known.generation, Kept(f"{PREFIXES} INSERT DATA {{ {' '.join(said)} }}"), view, BASE)
        first = First(site)
        for path in ("t/0", "t/1", "t/2", "t/3", "t/0/part"):
            answered += sum(compare(first, site, snapshot, f"/doc/{path}", accept) for accept in chance.sample(ACCEPTS, 5))
            answered += compare(first, site, snapshot, f"/id/{path}", None)
    assert answered > 60


def test_what_is_replaced_is_left_to_the_long_way(client):
    site, known = client.app.service.site, client.app.service.snapshot
    text = "<t/0> dct:isReplacedBy <t/1> . <t/1> rdfs:label 'b' . <t/2> dct:replaces <t/3> . <t/3> rdfs:label 'd' ."
    graph = f"{BASE}graph/data/ville/stops"
    view = View(default_graphs=(graph,), named_graphs=(graph,))
    snapshot = Snapshot(known.generation, Kept(f"{PREFIXES} INSERT DATA {{ GRAPH <{graph}> {{ {text} }} }}"), view, BASE)
    first = First(site)
    spot = [path for path in ("t/0", "t/1", "t/2", "t/3") if compare(first, site, snapshot, f"/id/{path}", None)]
    assert spot == ["t/1", "t/2"]
    assert [path for path in ("t/0", "t/1", "t/2", "t/3") if compare(first, site, snapshot, f"/doc/{path}", None)] == spot


@pytest.mark.parametrize(
    ("address", "root", "headers"),
    [
        ("/doc/stop/1001?lang=en", "", {}), ("/doc/stop/1001?", "", {}),
        ("/doc/stop/1001/", "", {}), ("//doc/stop/1001", "", {}),
        ("/doc//stop/1001", "", {}), ("/doc/stop/%31001", "", {}), ("/doc/stop/1001", "/city", {}), ("/doc/", "", {}),
        ("/doc/stop/1001\n", "", {}), ("/doc/stop/1001", "", {"if-none-match": '"a"'}),
        ("/doc/stop/1001", "", {"range": "bytes=0-"}),
        ("/doc/stop/1001", "", {"if-modified-since": "Sun, 22 Nov 2026 05:00:00 GMT"}), ("/doc/stop/1001", "", {"x-else": "1"}),
        ("/doc/stop/1001", "", {"accept-profile": "<https://schema.org/>"}), ("/sparql", "", {}), ("/describe", "", {}),
        ("http://h/doc/stop/1001", "", {}),
    ],
)  # fmt: skip
def test_a_request_that_says_more_goes_the_long_way(client, address, root, headers):
    first, snapshot = First(client.app.service.site), client.app.service.snapshot
    said = [(name.encode(), value.encode()) for name, value in ({"host": "h", "accept": "text/turtle"} | headers).items()]
    assert first(snapshot, key_of(address.encode(), "http", root, said)) is None
    assert first(snapshot, key_of(b"/doc/stop/1001", "http", "", [*said[:2], (b"accept-language", b"en")])) is not None
    assert first(snapshot, key_of(b"/doc/stop/1001", "http", "", [*said[:2], (b"accept", b"*/*")])) is None


def test_over_http_an_answer_on_the_spot_is_counted_and_told_as_any_other(client, caplog):
    again, path, turtle = client.app.again, "/doc/stop/nameless", {"accept": "text/turtle"}
    usual, found = again._first, []
    with caplog.at_level("INFO", "cityorchestra_ld.requests"):
        for first in (usual, lambda *_: None):
            again._first = first
            try:
                misses = client.app.service.snapshot.answers.misses
                counted = client.app.service.metrics.requests["document", 200]
                answer = client.get(
                    path, headers=turtle | {"x-forwarded-for": "a"} | ({"x-slow": "1"} if first is not usual else {})
                )
            finally:
                again._first = usual
            assert client.app.service.snapshot.answers.misses == misses + 1
            assert client.app.service.metrics.requests["document", 200] == counted + 1
            headers = {name: value for name, value in answer.headers.multi_items() if name != "x-request-id"}
            found.append((answer.status_code, headers, list(answer.headers), answer.content))
    assert found[0] == found[1]
    lines = [record.line for record in caplog.records if getattr(record, "line", None) and record.line.path == path]
    told = [(line.client, line.method, line.path, line.status, line.bytes, line.problem, line.broken) for line in lines]
    assert len(told) == 2 and told[0] == told[1]


def test_a_reader_that_fails_is_left_to_the_long_way(client):
    class Broken:
        def quads(self, *_):
            raise OSError("no")

    known = client.app.service.snapshot
    snapshot = Snapshot(known.generation, Broken(), known.view, BASE)
    key = key_of(b"/doc/stop/1001", "http", "", [(b"accept", b"text/turtle")])
    assert First(client.app.service.site)(snapshot, key) is None
