"""Queries that cannot cost much are told from all others, and see what a worker would see."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import Limits, View
from cityorchestra_ld.store.asking import Asking
from cityorchestra_ld.store.cheap import MOST, answer, is_cheap
from cityorchestra_ld.store.guard import inspect
from cityorchestra_ld.store.hidden import HIDDEN, graph_of
from cityorchestra_ld.store.reader import Reader

CSV = "text/csv"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { <urn:a> ?p ?o }", "select ?p ?o where { <urn:a> ?p ?o . } limit 10", "SELECT ?p { <urn:a> ?p <urn:b> }",
        "PREFIX x: <urn:> SELECT ?o WHERE { x:a x:b ?o }", "SELECT ?c { <urn:a> a ?c }", "SELECT ?z { <urn:a> ?p ?o }",
        "SELECT * # {\n{ <urn:a> ?p ?o }",
    ],
)  # fmt: skip
def test_one_pattern_with_a_fixed_subject_is_cheap(text):
    assert is_cheap(inspect(text))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s ?p ?o }", "SELECT * { ?s ?p <urn:a> }", "SELECT * { <urn:a> <urn:b>* ?o }", "SELECT * { <urn:a> ?x ?x }",
        "SELECT * { <urn:a> ^<urn:b> ?o }", "SELECT * { <urn:a> <urn:b>/<urn:c> ?o }", "SELECT * { <urn:a> !<urn:b> ?o }",
        "SELECT * { <urn:a> ?p ?o . ?o ?q ?r }", "SELECT * { <urn:a> ?p ?o ; ?q ?r }", "SELECT * { <urn:a> ?p ?o , ?r }",
        "SELECT * { <urn:a> ?p ?o FILTER(?o > 1) }", "SELECT (COUNT(*) AS ?n) { <urn:a> ?p ?o }", "ASK { <urn:a> ?p ?o }",
        "SELECT * { GRAPH ?g { <urn:a> ?p ?o } }", "SELECT * FROM <urn:g> { <urn:a> ?p ?o }", "DESCRIBE <urn:a>",
        "SELECT * { <urn:a> ?p ?o } ORDER BY ?o", "SELECT * { <urn:a> ?p ?o } OFFSET 9", "SELECT DISTINCT ?p { <urn:a> ?p ?o }",
        "SELECT * { { SELECT * { <urn:a> ?p ?o } } }", "SELECT * { <urn:a> ?p ?o } VALUES ?p { <urn:b> }",
        "BASE <urn:x> SELECT * { <a> ?p ?o }", "SELECT * { _:a ?p ?o }", "SELECT * { <urn:a> ?p ?o } LIMIT 1 VALUES ?p { 1 }",
    ],
)  # fmt: skip
def test_everything_else_goes_to_a_worker(text):
    assert not is_cheap(inspect(text))


class Held(Reader):
    """A reader of a store in memory."""

    def __init__(self, store):
        self._store = store

    def close(self):
        self._store = None


@pytest.fixture
def held():
    store = ox.Store()
    node = ox.NamedNode
    for graph, count in (("urn:g", 3), ("urn:h", 1), ("urn:large", MOST + 1), (HIDDEN, 4)):
        for number in range(count):
            store.add(ox.Quad(node("urn:a"), node("urn:p"), ox.Literal(f"{graph} {number}"), graph_of(graph)))
    return Held(store)


def rows(held, *default, text="SELECT ?o { <urn:a> ?p ?o }", most=None):
    inspected, limits = inspect(text), Limits(result_rows=most or 10_000)
    view = View(default_graphs=default, named_graphs=())
    request = Asking(limits=limits, base=None).request(inspected, view, CSV, GENERATION, None, None)
    found = answer(held, request, inspected)
    return None if found is None else found.decode().split("\r\n")[1:-1]


class GENERATION:
    graphs = ()


def test_it_sees_the_default_graph_of_its_view_and_no_other(held):
    assert sorted(rows(held, "urn:g")) == ["urn:g 0", "urn:g 1", "urn:g 2"]
    assert rows(held, "urn:nothing") == []
    assert len(rows(held, "urn:g", text="SELECT ?o { <urn:a> ?p ?o } LIMIT 2")) == 2
    assert len(rows(held, HIDDEN)) == 4


def test_what_it_cannot_do_is_left_to_a_worker(held):
    assert rows(held, "urn:large") is None
    assert len(rows(held, "urn:large", text=f"SELECT ?o {{ <urn:a> ?p ?o }} LIMIT {MOST}")) == MOST
    assert rows(held, "urn:g", "urn:h") is None
    assert rows(held) is None
    assert rows(held, "urn:g", most=MOST) is None
    assert rows(held, "urn:g", text="SELECT ?o { <a b> ?p ?o }".replace("a b", "relative")) is None
