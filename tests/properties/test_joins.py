"""What look-ups answer to a query of several patterns is what the engine answers, for any data and any query of that form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import cast

import orjson
import pyoxigraph as ox
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cityorchestra_ld.model import Limits
from cityorchestra_ld.store import inspect
from cityorchestra_ld.store.cheap import MOST
from cityorchestra_ld.store.joins import Join
from cityorchestra_ld.store.shapes import Shapes

BASE = "http://x/sparql"
XSD = "http://www.w3.org/2001/XMLSchema#"
OPEN, OTHER, SECRET = (ox.NamedNode(f"http://g/{name}") for name in ("open", "other", "secret"))
NODES = [ox.NamedNode(f"http://n/{number}") for number in range(4)]
PREDICATES = [ox.NamedNode(f"http://p/{number}") for number in range(2)]
LITERALS = [
    ox.Literal("a"), ox.Literal("a", language="fr"), ox.Literal("5", datatype=ox.NamedNode(f"{XSD}integer")),
    ox.Literal("05", datatype=ox.NamedNode(f"{XSD}integer")), ox.Literal("5.0", datatype=ox.NamedNode(f"{XSD}decimal")),
    ox.Literal('é"\\\n\u2028'), ox.Literal("", datatype=ox.NamedNode("http://d/own")), ox.Literal("http://n/1"),
    ox.Literal("NaN", datatype=ox.NamedNode(f"{XSD}double")), ox.BlankNode("b"),
]  # fmt: skip
quads = st.lists(
    st.builds(
        ox.Quad, st.sampled_from([*NODES, *NODES, ox.BlankNode("b")]), st.sampled_from(PREDICATES),
        st.sampled_from([*NODES, *NODES, *LITERALS]), st.sampled_from([OPEN, OPEN, OPEN, OTHER, OTHER, SECRET]),
    ),
    min_size=10, max_size=45,
)  # fmt: skip
variables = st.sampled_from(["?a", "?b", "?c", "$d"])
links = st.sampled_from(["?p", "?q"])
node = st.sampled_from([f"<{node.value}>" for node in NODES] + ["n:1", "n:2", "<http://n/none>"])
texts = st.sampled_from(
    ['"a"', "'a'", '"http://n/1"', '"a"@fr', '"5"^^<http://www.w3.org/2001/XMLSchema#integer>', "5", '"\\u0061"']
)
predicate = st.one_of(st.sampled_from(["<http://p/0>", "p:1"]), links)
triples = st.one_of(
    st.tuples(st.one_of(node, variables), predicate, st.one_of(variables, node, texts)).map(" ".join),
    st.tuples(st.one_of(node, variables), predicate, variables, predicate, st.one_of(variables, texts)).map(
        lambda parts: "{} {} {} ; {} {}".format(*parts)
    ),
    st.tuples(st.one_of(node, variables), predicate, variables, variables).map(lambda parts: "{} {} {} , {}".format(*parts)),
)
starts = st.tuples(node, predicate, st.sampled_from(["?a", "?b"])).map(" ".join)
block = st.lists(triples, min_size=1, max_size=2).map(" . ".join)
firsts = st.tuples(starts, st.one_of(block, st.just(""))).map(" . ".join)
queries = st.builds(
    lambda what, first, further, end: (
        f"PREFIX n: <http://n/> PREFIX p: <http://p/> SELECT {what} {{ {first} "
        + " ".join(f"OPTIONAL {{ {group} }}" for group in further)
        + f" }}{end}"
    ),
    st.sampled_from(["*", "DISTINCT *", "?a ?b", "DISTINCT ?b", "?a ?zzz", "distinct ?a ?c"]),
    st.one_of(firsts, block), st.lists(block, max_size=2),
    st.sampled_from(["", "", " LIMIT 3", " LIMIT 200", " LIMIT 0", " OFFSET 1"]),
)  # fmt: skip


class Reader:
    """Looks up as a generation does."""

    def __init__(self, store: ox.Store) -> None:
        self.quads = store.quads_for_pattern


def filled(quads: Iterable[ox.Quad]) -> ox.Store:
    store = ox.Store()
    store.extend(quads)
    return store


def learnt(text: str) -> tuple[Shapes, Join | None]:
    shapes = Shapes(Limits(), BASE)
    shapes.learn(inspect(text))
    seen = shapes.find(text)
    lookup = seen.shape.lookup if seen else None
    return shapes, lookup if isinstance(lookup, Join) else None


def rows(body: bytes) -> tuple[object, Counter[bytes]]:
    said = orjson.loads(body)
    return said["head"], Counter(orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in said["results"]["bindings"])


@settings(max_examples=1_000, deadline=None)
@given(quads, queries, st.sampled_from(NODES))
def test_look_ups_answer_as_the_engine_does(data: list[ox.Quad], text: str, other: ox.NamedNode) -> None:
    store = filled(data)
    shapes, lookup = learnt(text)
    if lookup is None:
        event("left to the engine")
        return
    for asked in {text, text.replace("<http://n/1>", str(other))}:
        seen = shapes.find(asked)
        assert seen is not None and seen.shape.lookup is lookup
        lookup._skipped = 0
        body = lookup.answer(Reader(store), seen.filled, {OPEN.value, OTHER.value})  # type: ignore[arg-type]
        merged = filled(ox.Quad(*quad.triple) for quad in data if quad.graph_name != SECRET)
        engine = (
            cast("ox.QuerySolutions", merged.query(asked, base_iri=BASE)).serialize(format=ox.QueryResultsFormat.JSON) or b""
        )
        head, expected = rows(engine)
        if body is None:
            event("left to the engine when it was looked up")
            assert "LIMIT" in asked or any(isinstance(term, ox.BlankNode) for quad in data for term in quad.triple)
            continue
        event(f"answered, {min(3, expected.total())} rows")
        assert rows(body) == (head, expected)


@pytest.mark.parametrize(
    "pattern",
    [
        "?s ?p ?o . ?o ?q ?r", "?a <http://p/0> ?b . ?c <http://p/0> ?d", "<http://n/1> ?p ?p . ?p ?q ?r",
        "<http://n/1> <http://p/0>/<http://p/1> ?o . ?o ?p ?q",
        "<http://n/1> ?p ?o FILTER(?o > 3)", "[] ?p <http://n/1> ; ?q ?r",
        "<http://n/1> ?p ?o . OPTIONAL { ?o ?q ?r } ?r ?p ?s",
        "<http://n/1> ?p ?o OPTIONAL { ?o ?q ?r } OPTIONAL { ?r ?s ?t }",
        "<http://n/1> ?p ?o OPTIONAL { ?o ?q ?r FILTER(?r > 1) }", "<http://n/1> ?p ?o { ?o ?q ?r }",
        "<http://n/1> ?p ?o ; ?q (1)",
        "<http://n/1> ?p ?o . MINUS { ?o ?q ?r }", "<http://n/1> ?p ?o . ?s ?q 5 ; ?r ?o", "OPTIONAL { <http://n/1> ?p ?o }",
        "<http://n/1> ?p ?o OPTIONAL { ?o ?q ?r OPTIONAL { ?r ?s ?t } }", "<http://n/1> ?p _:b . _:b ?q ?r",
    ],
)  # fmt: skip
def test_what_is_not_written_plainly_is_left_to_the_engine(pattern: str) -> None:
    assert learnt(f"SELECT * {{ {pattern} }}")[1] is None


def test_much_goes_to_a_worker_and_so_do_the_next_ones() -> None:
    many = [ox.Quad(NODES[0], PREDICATES[0], ox.Literal(str(n)), OPEN) for n in range(2_000)]
    store = filled([*many, ox.Quad(NODES[1], PREDICATES[0], NODES[2], OPEN), ox.Quad(NODES[2], PREDICATES[1], NODES[3], OPEN)])
    text = "SELECT * {{ <{}> <http://p/0> ?a OPTIONAL {{ ?a ?p ?b }} }}"
    shapes, lookup = learnt(text.format(NODES[1].value))
    assert lookup is not None

    def ask(node: ox.NamedNode) -> bytes | None:
        seen = shapes.find(text.format(node.value))
        assert seen is not None
        return lookup.answer(Reader(store), seen.filled, {OPEN.value})  # type: ignore[arg-type]

    few = ask(NODES[1])
    assert few is not None and rows(few)[1].total() == 1
    assert ask(NODES[0]) is None
    tries = 0
    while ask(NODES[1]) is None:
        tries += 1
    assert 10 < tries < 100
    assert rows(ask(NODES[1]) or b"")[1] == rows(few)[1]


def test_more_rows_than_are_answered_on_the_spot_go_to_a_worker() -> None:
    some = [ox.Quad(NODES[0], PREDICATES[0], ox.Literal(str(n)), OPEN) for n in range(15)]
    store = filled(some)
    for extra, expected in (("", 225), (" LIMIT 224", None), (" LIMIT 300", 225)):
        _, lookup = learnt(f"SELECT * {{ <{NODES[0].value}> ?p ?a ; ?q ?b }}{extra}")
        assert lookup is not None
        body = lookup.answer(Reader(store), (f"<{NODES[0].value}>",), {OPEN.value})  # type: ignore[arg-type]
        assert (body is None) == (expected is None or expected > MOST)
