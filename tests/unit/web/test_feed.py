"""A client that only speaks HTTP rebuilds a dataset from its feed and follows its updates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.catalog.publications import follow
from cityorchestra_ld.namespaces import DCT, PROV, RDF, REUSED
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.app import create_app

N = ox.NamedNode
TREE, LDES = REUSED["tree"], REUSED["ldes"]
RELATION, NODE, MEMBER, VALUE = (N(f"{TREE}{name}") for name in ("relation", "node", "member", "value"))
OLD = """
<id/stop/1> a gtfs:Stop ; rdfs:label "Un"@fr ; geo:hasGeometry <.well-known/genid/city/stops/b1> .
<.well-known/genid/city/stops/b1> geo:asWKT "POINT(0 1)" .
<id/stop/2> rdfs:label "Deux"@fr ; dct:isVersionOf <id/x> .
"""
NEW = OLD.replace('"Un"', '"Une"') + '<id/stop/3> rdfs:label "Trois"@fr .\n'
LAST = NEW.replace('<id/stop/2> rdfs:label "Deux"@fr ; dct:isVersionOf <id/x> .\n', "").replace('"Trois"', '"Three"')


class Follower:
    """Replicates a feed as LDES says: the last version of each thing by time, and nothing is read twice."""

    def __init__(self, client: TestClient, address: str) -> None:
        self.client, self.address = client, address
        self.things: dict[str, set[ox.Triple]] = {}
        self.done: set[str] = set()  # pages that never change again
        self.latest = ""
        self.requests = 0

    def get(self, address: str) -> tuple[list[ox.Quad], bool]:
        self.requests += 1
        answer = self.client.get(address, headers={"Accept": "application/trig"})
        assert answer.status_code == 200, answer.text
        return list(ox.parse(answer.content, format=ox.RdfFormat.TRIG)), "immutable" in answer.headers["Cache-Control"]

    def follow(self) -> None:
        todo = [("", self.address)]
        while todo:
            todo.sort(key=lambda item: item[0])  # by the moment that a relation promises
            _, address = todo.pop(0)
            if address in self.done:
                continue
            quads, lasting = self.get(address)
            if lasting:
                self.done.add(address)
            self.take(quads)
            todo += [found for found in self.links(quads, address) if found not in todo]

    def links(self, quads: list[ox.Quad], address: str) -> list[tuple[str, str]]:
        about = {(q.subject, q.predicate): q.object for q in quads}
        relations = [q.object for q in quads if q.predicate == RELATION and q.subject.value == address]
        found = {(about[relation, VALUE].value, about[relation, NODE].value) for relation in relations}
        return sorted(item for item in found if item[1] not in self.done)

    def take(self, quads: list[ox.Quad]) -> None:
        members = [q.object for q in quads if q.predicate == MEMBER]
        about = {(q.subject, q.predicate): q.object for q in quads if q.graph_name == ox.DefaultGraph()}
        for member in members:
            moment = about[member, N(f"{PROV}generatedAtTime")].value
            assert moment >= self.latest, "members come in the order of time"
            self.latest = moment
            content = {q.triple for q in quads if q.graph_name == member}
            gone = about.get((member, N(f"{RDF}type"))) == N("https://www.w3.org/ns/activitystreams#Delete")
            assert gone is not bool(content)
            self.things[about[member, N(f"{DCT}isVersionOf")].value] = content

    @property
    def triples(self) -> set[ox.Triple]:
        return set().union(*self.things.values())


def published(territory: Territory, key: str = "ville/stops") -> set[ox.Triple]:
    """Read what the store holds now."""
    generation = current_generation(territory.state / "store")
    graph = next(info.graph for info in generation.graphs if info.dataset == key)
    store = ox.Store.read_only(str(generation.path / "db"))
    return {quad.triple for quad in store.quads_for_pattern(None, None, None, N(graph))}


def serve(folder: Path, make_city, publish_stops) -> Iterator[tuple[Territory, TestClient]]:
    territory = make_city(folder)
    publish(territory, publish_stops, OLD)
    with TestClient(create_app(territory), follow_redirects=False) as client:
        yield territory, client


@pytest.fixture
def changing(tmp_path: Path, make_city, publish_stops) -> Iterator[tuple[Territory, TestClient]]:
    yield from serve(tmp_path, make_city, publish_stops)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, make_city, publish_stops) -> Iterator[TestClient]:
    for _, client in serve(tmp_path_factory.mktemp("feed"), make_city, publish_stops):
        yield client


def publish(territory: Territory, publish_stops, stops: str) -> None:
    publish_stops(territory, stops)
    follow(territory, current_generation(territory.state / "store"))


def test_a_client_rebuilds_the_dataset_and_follows_two_updates(changing, publish_stops) -> None:
    territory, client = changing
    follower = Follower(client, "http://testserver/feed/ville/stops")
    follower.follow()
    assert follower.triples == published(territory) and len(follower.triples) == 6
    for stops, requests in ((NEW, 2), (LAST, 2)):
        publish(territory, publish_stops, stops)
        before = follower.requests
        follower.follow()
        assert follower.triples == published(territory)
        assert follower.requests - before == requests, "only the start page and the new page are read"
    late = Follower(client, "http://testserver/feed/ville/stops")
    late.follow()
    assert late.triples == follower.triples and not follower.things["https://id.example/id/stop/2"]


def test_pages_are_lasting_and_the_start_page_is_not(still: TestClient) -> None:
    root = still.get("/feed/ville/stops", headers={"Accept": "application/n-quads"})
    assert root.headers["Cache-Control"] == "public, no-cache" and f"{LDES}retentionPolicy" in root.text
    page = still.get("/feed/ville/stops/base-1/1")
    assert "immutable" in page.headers["Cache-Control"] and page.headers["Vary"] == "Accept"
    again = still.get("/feed/ville/stops/base-1/1", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == 304 and again.headers["ETag"] == page.headers["ETag"]
    other = still.get("/feed/ville/stops/base-1/1", headers={"Accept": "application/ld+json"})
    assert other.headers["Content-Type"] == "application/ld+json" and other.headers["ETag"] != page.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    ["/feed/ville/secret", "/feed/ville/planned", "/feed/ville/nothing", "/feed/ville", "/feed/ville/stops/base-1/2",
     "/feed/ville/stops/base-1/0", "/feed/ville/stops/99/1", "/feed/ville/stops/base-1", "/feed/../ville/stops/base-1/1",
     "/feed/ville/stops/base-1/1/1", "/feed/ville/stops/base-1/x"],
)  # fmt: skip
def test_what_is_not_there_or_not_public_is_404(still: TestClient, path: str) -> None:
    assert still.get(path).status_code == 404


def test_the_list_of_feeds_names_public_datasets_only(still: TestClient) -> None:
    text = still.get("/feed", headers={"Accept": "application/n-triples"}).text
    assert "/feed/ville/stops>" in text and "secret" not in text and "planned" not in text
    assert still.get("/feed/ville/stops", headers={"Accept": "image/png"}).status_code == 406
