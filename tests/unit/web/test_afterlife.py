"""What was published keeps an answer: older states by date, a tombstone for what was taken away, a way to what replaces it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.model import Access, GraphChange
from cityorchestra_ld.store import current_generation, find_gone, kept_generations, open_store
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.http_ import http_date

BASE = "https://id.example/"
COMMUNE = "http://id.insee.fr/geo/commune"
FIRST = """
<id/stop/1> a gtfs:Stop ; rdfs:label "Un"@fr .
<id/stop/2> a gtfs:Stop ; rdfs:label "Deux"@fr .
<id/stop/3> a gtfs:Stop ; rdfs:label "Trois"@fr .
<id/stop/Caf%C3%A9> a gtfs:Stop ; rdfs:label "Café"@fr .
"""
SECOND = f"""
<id/stop/1> a gtfs:Stop ; rdfs:label "Un, rénové"@fr .
<id/stop/4> a gtfs:Stop ; rdfs:label "Quatre"@fr ; dct:replaces <id/stop/3> .
<id/stop/5> a gtfs:Stop ; dct:isReplacedBy <id/stop/6> . <id/stop/6> a gtfs:Stop ; dct:isReplacedBy <id/stop/1> .
<id/stop/7> a gtfs:Stop ; dct:isReplacedBy <id/stop/8> . <id/stop/8> a gtfs:Stop ; dct:isReplacedBy <id/stop/7> .
<id/stop/9> a gtfs:Stop ; dct:isReplacedBy <id/stop/1> , <id/stop/4> .
<{COMMUNE}/35301> a igeo:TerritoireAdministratif ; dct:isReplacedBy <{COMMUNE}/35184> .
<{COMMUNE}/35184> a igeo:Commune ; igeo:nom "Montauban" .
"""


@dataclass(frozen=True)
class Served:
    """Two generations, served."""

    client: TestClient
    territory: Territory


@pytest.fixture(scope="module")
def served(make_city, publish_stops, tmp_path_factory):
    territory = make_city(tmp_path_factory.mktemp("afterlife"))
    publish_stops(territory, FIRST)
    publish_stops(territory, SECOND)
    with TestClient(create_app(territory), follow_redirects=False) as client:
        yield Served(client, territory)


@pytest.mark.parametrize("path", ["/id/stop/2", "/doc/stop/2", "/doc/stop/2.ttl", "/id/stop/Café", "/id/stop/Caf%C3%A9"])
def test_what_was_taken_away_is_gone_and_the_tombstone_says_when_and_by_which_version(served, path):
    answer = served.client.get(path)
    assert answer.status_code == 410
    problem = answer.json()
    generation = current_generation(served.territory.state / "store")
    assert problem["type"] == f"{BASE}def/problem#gone"
    tombstone = problem["tombstone"]
    assert tombstone["dataset"] == "ville/stops" and tombstone["generation"] == str(generation.number)
    assert tombstone["version"] == "1-aaaa" and tombstone["removed"].startswith(generation.created.strftime("%Y-%m-%d"))
    assert "ville/stops" in problem["detail"] and 'rel="timemap"' in answer.headers["link"]
    page = served.client.get(path, headers={"accept": "text/html"})
    assert page.status_code == 410 and "<h1>Retiré</h1>" in page.text


def test_a_tombstone_is_data_too(served):
    answer = served.client.get("/id/stop/2", headers={"accept": "text/turtle"})
    assert (answer.status_code, answer.headers["vary"]) == (410, "Accept")
    said = {quad.predicate.value.rpartition("#")[2] for quad in ox.parse(answer.content, format=ox.RdfFormat.TURTLE)}
    assert {"invalidatedAtTime", "qualifiedInvalidation", "atTime"} <= said


def test_what_never_was_is_404_and_what_is_there_answers(served):
    assert served.client.get("/id/stop/nowhere").status_code == 404
    assert served.client.get("/id/stop/1").status_code == 303


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/id/stop/3", "/id/stop/4"),
        ("/id/stop/5", "/id/stop/1"),
        ("/id/commune/35301", "/id/commune/35184"),
        ("/doc/stop/3", "/id/stop/4"),
    ],
)
def test_what_was_replaced_leads_to_its_successor_for_good(served, path, target):
    answer = served.client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (301, target)
    assert 'rel="successor-version"' in answer.headers["link"]


@pytest.mark.parametrize("path", ["/id/stop/7", "/id/stop/9"])
def test_a_circle_and_a_choice_of_successors_lead_nowhere(served, path):
    assert served.client.get(path).status_code == 303


def test_the_document_of_what_was_replaced_stays_and_names_its_successor(served):
    link = served.client.get("/doc/stop/5").headers["link"]
    assert '</id/stop/1>; rel="successor-version"' in link


def test_the_time_gate_leads_to_the_state_of_that_day(served):
    states = kept_generations(served.territory.state / "store")
    for state, label in ((states[1], "Un"), (states[2], "Un, rénové")):
        moment = http_date(state.created + timedelta(milliseconds=1))
        gate = served.client.get("/doc/stop/1", headers={"accept-datetime": moment, "accept": "text/turtle"})
        assert gate.status_code == 302 and "Accept-Datetime" in gate.headers["vary"]
        assert 'rel="original timegate"' in gate.headers["link"] and 'rel="timemap"' in gate.headers["link"]
        memento = served.client.get(gate.headers["location"], headers={"accept": "text/turtle"})
        assert memento.status_code == 200
        if len({http_date(one.created) for one in states}) == len(states):
            assert f'"{label}"@fr' in memento.text and memento.headers["memento-datetime"] == http_date(state.created)
        assert "original timegate" in memento.headers.get_list("link")[-1] or "original timegate" in memento.headers["link"]
        again = served.client.get(gate.headers["location"], headers={"if-none-match": memento.headers["etag"]})
        assert again.status_code == 304


def test_a_moment_before_the_first_state_leads_to_the_first_and_no_date_is_400(served):
    gate = served.client.get("/doc/stop/1", headers={"accept-datetime": "Thu, 01 Jan 1970 00:00:00 GMT"})
    first = kept_generations(served.territory.state / "store")[0]
    assert gate.headers["location"] == f"/memento/{first.created:%Y%m%d%H%M%S}/doc/stop/1"
    wrong = served.client.get("/doc/stop/1", headers={"accept-datetime": "yesterday"})
    assert wrong.status_code == 400 and wrong.json()["position"]["parameter"] == "Accept-Datetime"
    assert served.client.get("/memento/20990101000000/doc/stop/1").status_code == 302
    for path in ("/memento/20991399000000/doc/stop/1", "/memento/now/doc/stop/1", "/timemap/doc/stop/nowhere", "/timemap/x"):
        assert served.client.get(path).status_code == 404


def test_the_time_map_lists_only_the_states_that_know_the_resource(served):
    answer = served.client.get("/timemap/doc/stop/1")
    assert answer.headers["content-type"] == "application/link-format"
    mementos = re.findall(r'<([^<>]*)>; rel="(?:first |last )*memento"', answer.text)
    assert mementos and all(served.client.get(address).status_code == 200 for address in mementos)
    gone = re.findall(r'<([^<>]*)>; rel="(?:first |last )*memento"', served.client.get("/timemap/doc/stop/4").text)
    assert len(gone) == 1
    again = served.client.get("/timemap/doc/stop/1", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_what_was_closed_is_neither_told_as_gone_nor_shown_in_older_states(make_city, publish_stops, tmp_path):
    territory = make_city(tmp_path)
    publish_stops(territory, FIRST)
    store_root = territory.state / "store"
    generation = current_generation(store_root)
    graph = next(info for info in generation.graphs if info.dataset == "ville/stops")
    content = tmp_path / "closed.nt"
    content.write_text(f'<{BASE}id/stop/1> <http://www.w3.org/2000/01/rdf-schema#label> "Un" .\n', encoding="utf-8")
    with open_store(store_root, base_iri=BASE) as store:
        store.publish([GraphChange(info=replace(graph, access=Access.RESTRICTED), content=content)])
    with TestClient(create_app(territory), follow_redirects=False) as client:
        assert client.get("/id/stop/2").status_code == 404
        assert client.get(f"/memento/{generation.created:%Y%m%d%H%M%S}/doc/stop/1").status_code in (302, 404)
        assert client.get("/timemap/doc/stop/1").status_code == 404


def test_the_ledger_knows_a_whole_dataset_that_went_away_and_forgets_what_was_not_published(make_city, tmp_path):
    territory = make_city(tmp_path)
    root = territory.state / "store"
    graph = next(info for info in current_generation(root).graphs if info.dataset == "ville/stops")

    def refuse(_):
        raise RuntimeError("no")

    with open_store(root, base_iri=BASE) as store:
        with pytest.raises(Exception, match="no"):
            store.publish([GraphChange(info=graph, content=None)], gate=refuse)
        assert find_gone(root, f"{BASE}id/stop/nameless", 99) is None
        store.publish([GraphChange(info=graph, content=None)])
    gone = find_gone(root, f"{BASE}id/stop/nameless", 2)
    assert gone is not None and (gone.dataset, gone.version, gone.generation) == ("ville/stops", None, 2)
    assert find_gone(root, f"{BASE}id/stop/nameless", 1) is None
    assert find_gone(root, f"{BASE}id/secret/1", 2) is None
