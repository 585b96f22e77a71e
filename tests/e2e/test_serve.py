"""A real server process on the loaded territory behaves as the README promises."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyoxigraph as ox
import pytest
import requests

from cityorchestra_ld import harvest
from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.sources.fetch import Policy
from cityorchestra_ld.territory import Territory

from ..conformance.serving import server as running

BASE = "https://ld.cityorchestra.example/"
RESOURCES = [
    "id/stop/star/1002",
    "id/iris/352380101",
    "id/obs/insee/iris-population/2021/352380101-population",
    "id/dataset/star/arrets",
    "id/epci/243500139",
]
RUNAWAY = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"


@pytest.fixture(scope="module")
def server(loaded: Territory) -> Iterator[str]:
    with running(loaded) as address:
        yield address


@pytest.mark.parametrize("path", RESOURCES)
def test_a_resource_answers_rdf_about_itself_and_a_french_page(server: str, path: str) -> None:
    turtle = requests.get(f"{server}/{path}", headers={"Accept": "text/turtle"}, timeout=10)
    assert turtle.status_code == 200 and turtle.history[0].status_code == 303
    assert turtle.headers["Content-Type"].startswith("text/turtle")
    quads = list(ox.parse(turtle.content, format=ox.RdfFormat.TURTLE))
    assert any(quad.subject == ox.NamedNode(BASE + path) for quad in quads)
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page = requests.get(f"{server}/{path}", headers=browser, timeout=10)
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert re.search(r'<html[^>]* lang="fr"', page.text)


def test_an_unknown_resource_is_404_and_an_unknown_type_406(server: str) -> None:
    assert requests.get(f"{server}/id/stop/star/nowhere", timeout=10).status_code == 404
    answer = requests.get(f"{server}/{RESOURCES[0]}", headers={"Accept": "image/png"}, timeout=10)
    assert answer.status_code == 406


def test_a_runaway_query_ends_at_its_deadline_and_others_answer_meanwhile(server: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        runaway = pool.submit(requests.post, f"{server}/sparql", data={"query": RUNAWAY, "timeout": "3"}, timeout=30)
        time.sleep(0.3)
        while not runaway.done():
            assert requests.get(f"{server}/doc/epci/243500139", timeout=5).status_code == 200
            assert requests.post(f"{server}/sparql", data={"query": "ASK { ?s ?p ?o }"}, timeout=5).status_code == 200
            time.sleep(0.2)
        assert runaway.result().status_code == 503
        assert time.monotonic() - began < 10


def test_a_nest_of_braces_does_not_take_the_service_down(server: str) -> None:
    for nest in ("{" * 10_000, "SELECT * " + "{" * 5000 + "}" * 5000, "ASK { FILTER(" + "!" * 10_000 + "true) }"):
        assert requests.post(f"{server}/sparql", data={"query": nest}, timeout=10).status_code == 400
    assert requests.get(f"{server}/-/health", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/sparql-results+json", "json"),
        ("application/sparql-results+xml", "xml"),
        ("text/csv", "csv"),
        ("text/tab-separated-values", "tab-separated-values"),
    ],
)
def test_a_select_comes_in_the_form_that_was_asked_for(server: str, accept: str, kind: str) -> None:
    query = "SELECT ?s { ?s a <http://vocab.gtfs.org/terms#Stop> } LIMIT 2"
    answer = requests.get(f"{server}/sparql", params={"query": query}, headers={"Accept": accept}, timeout=10)
    assert answer.status_code == 200 and kind in answer.headers["Content-Type"]


def test_our_own_harvester_takes_over_our_catalogue_over_http(server: str, loaded: Territory) -> None:
    trusted = Policy(allow_private=True)
    found = harvest.read(loaded, f"{server}/catalog.ttl?page=1&page_size=10", "dcat", policy=trusted)
    assert {dataset.iri for dataset in found.datasets} == {loaded.iris.dataset(key) for key in loaded.datasets}
    with pytest.raises(SourceError):
        harvest.read(loaded, f"{server}/catalog.ttl", "dcat")  # an address of a private network, unless it is trusted


def started_by(pid: int) -> list[int]:
    """List what a process started, and what that started."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *started_by(child)]
    return found


def policies(pid: int) -> dict[int, int]:
    """Tell how each thread of a process is scheduled."""
    found = {}
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found[int(task.name)] = os.sched_getscheduler(int(task.name))
    return found


def test_the_loop_alone_goes_first_where_that_is_allowed(server: str) -> None:
    with ThreadPoolExecutor(4) as pool:  # let threads and workers be at work
        asked = [f"{server}/search?q=rennes", f"{server}/doc/epci/243500139", f"{server}/sparql?query=ASK{{?s ?p ?o}}"] * 4
        assert {answer.status_code for answer in pool.map(lambda url: requests.get(url, timeout=20), asked)} == {200}
    code = "from cityorchestra_ld.courtesy import go_first; print(go_first())"
    allowed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
    port = server.rpartition(":")[2].encode()
    web = next(pid for pid in started_by(os.getpid()) if port in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    threads = policies(web)
    loop = threads.pop(web)
    assert loop == (os.SCHED_RR | os.SCHED_RESET_ON_FORK if allowed else os.sched_getscheduler(0))
    workers = [policy for pid in started_by(web) for policy in policies(pid).values()]
    assert threads and len(workers) >= 2
    assert {*threads.values(), *workers} <= {os.sched_getscheduler(0), os.SCHED_OTHER, os.SCHED_IDLE}
