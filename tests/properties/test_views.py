"""For any data, any view and any query, the answer is that of a store which holds nothing but the view's graphs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.governance.views import Principal, view
from cityorchestra_ld.model import Access, GraphInfo, View
from cityorchestra_ld.store import inspect, names
from cityorchestra_ld.store.frames import DATA, ERROR, HEADER, WHOLE, Request, Settings, opened
from cityorchestra_ld.store.searching import find_searches
from cityorchestra_ld.store.worker_main import Opened, Worker

CO = "http://co/"

GRAPHS = tuple(f"http://g/{letter}" for letter in "abcd")
NODES = tuple(f"http://n/{number}" for number in range(4))
PREDICATES = ("http://p/1", "http://p/2")

quads = st.lists(
    st.builds(
        lambda s, p, o, g: ox.Quad(ox.NamedNode(s), ox.NamedNode(p), ox.NamedNode(o), ox.NamedNode(g)),
        st.sampled_from(NODES),
        st.sampled_from(PREDICATES),
        st.sampled_from(NODES),
        st.sampled_from(GRAPHS),
    ),
    max_size=25,
)
infos = st.tuples(
    *(
        st.builds(
            GraphInfo,
            graph=st.just(name),
            role=st.sampled_from(["data", "codelist", "prov", "scenario"]),
            access=st.sampled_from([Access.PUBLIC, Access.RESTRICTED]),
        )
        for name in GRAPHS
    )
)
principals = st.builds(Principal, name=st.just("somebody"), granted=st.frozensets(st.sampled_from(GRAPHS), max_size=2))
asked = st.lists(st.sampled_from((*GRAPHS, "http://g/none")), max_size=3)

QUERIES = [  # %D: where FROM and FROM NAMED stand; %G and %N: a graph and a node of the attacker's choice
    "SELECT ?s ?p ?o %D { ?s ?p ?o }",
    "SELECT (COUNT(*) AS ?n) %D { ?s ?p ?o }",
    "SELECT ?p (COUNT(DISTINCT ?s) AS ?n) %D { ?s ?p ?o } GROUP BY ?p",
    "SELECT ?g ?s ?p ?o %D { GRAPH ?g { ?s ?p ?o } }",
    "SELECT ?g (COUNT(*) AS ?n) %D { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g",
    "SELECT ?s ?p ?o %D { GRAPH <%G> { ?s ?p ?o } }",
    "SELECT ?s ?o %D { VALUES ?g { <%G> <http://g/a> <http://g/b> } GRAPH ?g { ?s ?p ?o } }",
    "SELECT ?s %D { ?s ?p ?o FILTER EXISTS { GRAPH <%G> { ?s ?q ?x } } }",
    "SELECT ?s %D { ?s ?p ?o FILTER NOT EXISTS { GRAPH ?g { ?o ?q ?s } } }",
    "SELECT ?s %D { ?s ?p ?o MINUS { GRAPH <%G> { ?s ?p ?o } } }",
    "SELECT ?s ?x %D { ?s ?p ?o OPTIONAL { GRAPH <%G> { ?s <http://p/1> ?x } } }",
    "SELECT ?s ?o %D { ?s (<http://p/1>/^<http://p/2>) ?o }",
    "SELECT ?s ?o %D { ?s (<http://p/1>|<http://p/2>)+ ?o }",
    "SELECT ?s ?o %D { ?s <http://p/1>* ?o }",
    "SELECT ?o %D { <%N> <http://p/1>* ?o }",
    "SELECT ?s ?o %D { ?s !(<http://p/1>|^<http://p/2>) ?o }",
    "SELECT ?g ?s ?o %D { GRAPH ?g { ?s <http://p/1>+ ?o } }",
    "SELECT ?s %D { { SELECT ?s { GRAPH ?g { ?s ?p ?o } } } UNION { { SELECT ?s { ?s ?p <%N> } } } }",
    "SELECT (COUNT(DISTINCT ?g) AS ?n) %D { GRAPH ?g { } }",
    "SELECT ?g ?s %D { VALUES (?g ?s) { (<%G> UNDEF) (UNDEF <%N>) } GRAPH ?g { ?s ?p ?o } }",
    "SELECT ?s (EXISTS { GRAPH ?g { ?s (<http://p/1>|!<http://p/1>)* <%N> } } AS ?there) %D { ?s ?p ?o }",
    "DESCRIBE ?o %D { <%N> (<http://p/1>|<http://p/2>)* ?o }",
    "SELECT ?o ?x %D { ?s ?p ?o LATERAL { SELECT ?x { GRAPH <%G> { ?o ?p ?x } } } }",
    "ASK %D { <%N> ?p ?o }",
    "ASK %D { GRAPH <%G> { <%N> ?p ?o } }",
    "DESCRIBE <%N> %D",
    "DESCRIBE ?s %D { GRAPH ?g { ?s ?p <%N> } }",
    "CONSTRUCT { ?s ?p ?o } %D { { ?s ?p ?o } UNION { GRAPH <%G> { ?s ?p ?o } } }",
]


class _Line:
    """A worker's line to its parent, in memory."""

    def __init__(self, payload: bytes) -> None:
        self._requests = [payload]
        self.sent = b""

    def receive(self) -> bytes | None:
        return self._requests.pop() if self._requests else None

    def send(self, data: bytes) -> None:
        self.sent += data

    send_soon = send


def through_the_worker(store: ox.Store, text: str, seen: View, folder: str = "") -> tuple[str, ...]:
    """Ask as a worker does, and return the rows or triples in a fixed order."""
    inspected = inspect(text)
    media_type = "application/n-triples" if inspected.kind == "graph" else "application/sparql-results+json"
    searches = find_searches(text, CO)
    if searches is not None:
        searches = msgspec.structs.replace(searches, default_graphs=seen.default_graphs)
    request = Request(text, list(seen.default_graphs), list(seen.named_graphs), media_type, 10**9, searches=searches)
    line = _Line(msgspec.json.encode(request))
    Worker(line, Settings(folder, 0, 10_000), Opened(store)).serve()  # type: ignore[arg-type]
    data, at = b"", 0
    while at < len(line.sent):
        kind, length = HEADER.unpack_from(line.sent, at)
        payload = line.sent[at + HEADER.size : at + HEADER.size + length]
        assert kind != ERROR, payload
        data += opened(payload)[2] if kind == WHOLE else payload if kind == DATA else b""
        at += HEADER.size + length
    return in_order(data, inspected.kind)


def in_order(data: bytes, kind: str) -> tuple[str, ...]:
    if kind == "graph":
        return tuple(sorted(set(data.decode().splitlines())))
    body = msgspec.json.decode(data)
    if "boolean" in body:
        return (str(body["boolean"]),)
    return tuple(sorted(str(sorted(row.items(), key=str)) for row in body["results"]["bindings"]))


def alone(content: list[ox.Quad], text: str, seen: View) -> tuple[str, ...]:
    """Ask a store that physically holds the view's dataset and nothing else; the query names no dataset."""
    store = ox.Store()
    for name in seen.named_graphs:
        store.add_graph(ox.NamedNode(name))
    for quad in content:
        name = quad.graph_name.value
        if name in seen.default_graphs:
            store.add(ox.Quad(quad.subject, quad.predicate, quad.object))
        if name in seen.named_graphs:
            store.add(quad)
    result = store.query(text)
    if isinstance(result, ox.QueryTriples):
        return in_order(result.serialize(format=ox.RdfFormat.N_TRIPLES) or b"", "graph")
    return in_order(result.serialize(format=ox.QueryResultsFormat.JSON) or b"", "solutions")


CASES = {
    "content": quads,
    "graphs": infos,
    "principal": principals,
    "protocol": st.tuples(asked, asked),
    "clauses": st.tuples(asked, asked),
    "graph": st.sampled_from((*GRAPHS, "http://g/none")),
    "node": st.sampled_from(NODES),
}


@given(**CASES)
@settings(max_examples=60, deadline=None)
def test_an_answer_is_that_of_a_store_with_the_views_graphs_only(**case) -> None:
    check(**case)


@pytest.mark.slow
@given(**CASES)
@settings(max_examples=1000, deadline=None)
def test_a_thousand_views_show_nothing_else(**case) -> None:
    check(**case)


def check(
    content: list[ox.Quad],
    graphs: tuple[GraphInfo, ...],
    principal: Principal,
    protocol: tuple[list[str], list[str]],
    clauses: tuple[list[str], list[str]],
    graph: str,
    node: str,
) -> None:
    store = ox.Store()
    store.extend(content)
    dataset = " ".join([f"FROM <{name}>" for name in clauses[0]] + [f"FROM NAMED <{name}>" for name in clauses[1]])
    for template in QUERIES:
        text = template.replace("%G", graph).replace("%N", node)
        hostile = text.replace("%D", dataset)
        inspected = inspect(hostile)
        wanted = protocol if protocol[0] or protocol[1] else (inspected.from_default, inspected.from_named)
        seen = view(graphs, principal=principal, asked_default=wanted[0], asked_named=wanted[1])
        assert through_the_worker(store, hostile, seen) == alone(content, text.replace("%D", ""), seen), hostile


# --- search by name -----------------------------------------------------------------------------------------------------------

NAMES = ("Gare", "gare sud", "Place de la Gare", "Écoles", "ecole", "Œuvre d'art", "Rue", "-")
LABELS = ("http://www.w3.org/2000/01/rdf-schema#label", "http://www.w3.org/2004/02/skos/core#prefLabel")
SEARCHED = {  # what is asked, and which of the names answer: said here, not computed
    "gare": {"Gare", "gare sud", "Place de la Gare"},
    "GARE sud": {"gare sud"},
    "école": {"Écoles", "ecole"},
    "oeuvres": {"Œuvre d'art"},
    'l\\"eau*': set(),
}
SEARCHES = [
    'SELECT ?s %D { ?s co:search "%T" }',
    'SELECT (COUNT(*) AS ?n) %D { ?s co:search "%T" . ?s <http://p/1> ?o }',
    'SELECT ?s ?o ?l %D { ?s <http://p/1> ?o ; co:search "%T" ; rdfs:label ?l . ?o <http://p/2> ?s }',
    'SELECT ?g ?s %D { GRAPH ?g { ?s co:search "%T" } }',
    'SELECT ?g ?s ?o %D { GRAPH ?g { ?s <http://p/1> ?o . ?o co:search "%T" } }',
    'SELECT ?s %D { GRAPH <%G> { ?s co:search "%T" . } }',
    'SELECT ?s ?o %D { ?s co:search "%T" OPTIONAL { ?s <http://p/1> ?o . ?o co:search "gare" } }',
    'SELECT ?s ?o %D { ?s <http://p/1> ?o OPTIONAL { ?o <http://p/2> ?x } ?x co:search "%T" . }',
    'SELECT ?s %D { ?s <http://p/1> ?o FILTER EXISTS { ?o co:search "%T" } }',
    'SELECT ?s %D { ?s <http://p/1> ?o FILTER NOT EXISTS { GRAPH ?g { ?o co:search "%T" } } }',
    'SELECT ?s %D { ?s <http://p/1>|<http://p/2> ?o MINUS { ?s co:search "%T" } }',
    'SELECT ?s %D { { ?s co:search "%T" } UNION { GRAPH <%G> { ?s co:search "%T" } } }',
    'SELECT ?s ?o %D { { SELECT DISTINCT ?s { ?s co:search "%T" } } ?s <http://p/1> ?o }',
    'SELECT ?o %D { <%N> co:search "%T" ; <http://p/1> ?o }',
    'SELECT ?g %D { GRAPH ?g { <%N> co:search "%T" } }',
    'SELECT ?g ?s %D { VALUES (?g ?s) { (<%G> UNDEF) (UNDEF <%N>) } GRAPH ?g { ?s co:search "%T" } }',
    'SELECT ?a ?b %D { ?a co:search "%T" . ?b co:search "gare" ; (<http://p/1>|<http://p/2>)+ ?a }',
    'SELECT ?s %D { ?s <http://p/1> ?o FILTER(?s != ?o) ?s co:search "%T" . ?o <http://p/2> ?x . BIND(1 AS ?y) }',
    'SELECT ?s %D { ?s <http://p/1> _:b . _:b <http://p/2> ?x . ?s co:search "%T" . _:b <http://p/1> ?y }',
    'SELECT ?s ?y %D { ?s <http://p/1> _:b FILTER(?s != <http://n/0>) ?s co:search "%T" . _:b <http://p/2> ?y }',
    'ASK %D { ?s co:search "%T" }',
    'CONSTRUCT { ?s co:search "%T" } %D { ?s co:search "%T" }',
    'DESCRIBE <%N> %D { <%N> co:search "%T" . FILTER(false) }',
]
named_quads = st.lists(
    st.builds(
        lambda s, p, o, g: ox.Quad(ox.NamedNode(s), ox.NamedNode(p), ox.Literal(o), ox.NamedNode(g)),
        st.sampled_from(NODES),
        st.sampled_from(LABELS),
        st.sampled_from(NAMES),
        st.sampled_from(GRAPHS),
    ),
    max_size=12,
)


@given(**CASES, named=named_quads, searched=st.sampled_from(sorted(SEARCHED)))
@settings(max_examples=25, deadline=None)
def test_a_search_finds_what_the_graphs_of_the_view_name_and_nothing_else(**case) -> None:
    check_searches(**case)


@pytest.mark.slow
@given(**CASES, named=named_quads, searched=st.sampled_from(sorted(SEARCHED)))
@settings(max_examples=1000, deadline=None)
def test_a_thousand_searches_find_nothing_else(**case) -> None:
    check_searches(**case)


def check_searches(
    content: list[ox.Quad],
    graphs: tuple[GraphInfo, ...],
    principal: Principal,
    protocol: tuple[list[str], list[str]],
    clauses: tuple[list[str], list[str]],
    graph: str,
    node: str,
    named: list[ox.Quad],
    searched: str,
) -> None:
    """Hold a search against a store in which its triples are written down."""
    store = ox.Store()
    store.extend([*content, *named])
    predicate = ox.NamedNode(f"{CO}search")
    unescaped = searched.replace('\\"', '"')
    written = [
        ox.Quad(quad.subject, predicate, ox.Literal(text), quad.graph_name)
        for quad in named
        for text, said in ((unescaped, SEARCHED[searched]), ("gare", SEARCHED["gare"]))
        if quad.object.value in said
    ]
    dataset = " ".join([f"FROM <{name}>" for name in clauses[0]] + [f"FROM NAMED <{name}>" for name in clauses[1]])
    prologue = f"PREFIX co: <{CO}> PREFIX rdfs: <{LABELS[0].removesuffix('label')}> "
    with tempfile.TemporaryDirectory() as folder:
        names.make(((name, names.names_in(store, name)) for name in GRAPHS), Path(folder) / names.FILE)
        for template in SEARCHES:
            text = prologue + template.replace("%G", graph).replace("%N", node).replace("%T", searched)
            hostile = text.replace("%D", dataset)
            inspected = inspect(hostile)
            wanted = protocol if protocol[0] or protocol[1] else (inspected.from_default, inspected.from_named)
            seen = view(graphs, principal=principal, asked_default=wanted[0], asked_named=wanted[1])
            found = through_the_worker(store, hostile, seen, folder)
            assert found == alone([*content, *named, *written], text.replace("%D", ""), seen), hostile
