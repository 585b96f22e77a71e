"""What look-ups answer to a query of several patterns is what the engine answers, for any data and any query of that form."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import cast

import orjson
import pyoxigraph as ox
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cityorchestra_ld.model import Limits
from cityorchestra_ld.store import inspect, joins
from cityorchestra_ld.store.cheap import MOST
from cityorchestra_ld.store.joins import Join
from cityorchestra_ld.store.shapes import Shapes

BASE = "http://x/sparql"
XSD = "http://www.w3.org/2001/XMLSchema#"
OPEN, OTHER, SECRET = (ox.NamedNode(f"http://g/{name}") for name in ("open", "other", "secret"))
NODES = [ox.NamedNode(f"http://n/{number}") for number in range(4)]
PREDICATES = [ox.NamedNode(f"http://p/{number}") for number in range(2)]
TEXTS = [
    ox.Literal("a"), ox.Literal("a", language="fr"), ox.Literal("a", language="FR-be"), ox.Literal("fr", language="En"),
    ox.Literal(""), ox.Literal('é"\\\n\u2028'), ox.Literal("http://n/1"),
]  # fmt: skip
VALUES = [
    ox.Literal("5", datatype=ox.NamedNode(f"{XSD}integer")), ox.Literal("a", datatype=ox.NamedNode(f"{XSD}integer")),
    ox.Literal("05", datatype=ox.NamedNode(f"{XSD}integer")), ox.Literal("5.0", datatype=ox.NamedNode(f"{XSD}decimal")),
    ox.Literal("a", datatype=ox.NamedNode("http://d/own")), ox.Literal("NaN", datatype=ox.NamedNode(f"{XSD}double")),
]  # fmt: skip


def some_quads(
    subjects: Sequence[ox.NamedNode | ox.BlankNode], objects: Sequence[ox.NamedNode | ox.Literal | ox.BlankNode]
) -> st.SearchStrategy[list[ox.Quad]]:
    return st.lists(
        st.builds(
            ox.Quad, st.sampled_from(subjects), st.sampled_from(PREDICATES), st.sampled_from(objects),
            st.sampled_from([OPEN, OPEN, OPEN, OTHER, OTHER, SECRET]),
        ),
        min_size=10, max_size=45,
    )  # fmt: skip


quads = st.one_of(
    some_quads(NODES, [*NODES, *TEXTS]), some_quads(NODES, [*NODES, *NODES, *TEXTS, *VALUES]),
    some_quads([*NODES, *NODES, ox.BlankNode("b")], [*NODES, *NODES, *TEXTS, *VALUES, ox.BlankNode("b")]),
)  # fmt: skip
variables = st.sampled_from(["?a", "?b", "?c", "$d"])
links = st.sampled_from(["?p", "?q"])
node = st.sampled_from([f"<{node.value}>" for node in NODES] + ["n:1", "n:2", "<http://n/none>"])
texts = st.sampled_from(
    ['"a"', "'a'", '""', '"http://n/1"', '"a"@fr', '"5"^^<http://www.w3.org/2001/XMLSchema#integer>', "5", '"\\u0061"']
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


class Filtered:
    """Makes queries that go from one thing to what is said of it and on from there, with filters wherever they may be."""

    def __init__(self, chance: random.Random) -> None:
        self.pick, self.often = chance.choice, chance.random
        self.names = iter(["?b", "?c", "?p", "$d", "?q", "?e", "?f", "?g", "?h"])
        self.certain, self.every = ["?a"], ["?a"]

    def query(self) -> str:
        parts = [f"{self.pick(['n:1', '<http://n/1>', 'n:2'])} {self.pick(['?l', 'p:1', '<http://p/0>'])} ?a . "]
        for _ in range(self.pick((0, 1, 2))):
            parts += [self.perhaps(), self.triple(), ". "]
            self.certain = list(self.every)
        for _ in range(self.pick((0, 1, 2))):
            parts += ["OPTIONAL { ", self.perhaps(), self.triple(), self.perhaps(), "} ", self.perhaps()]
        parts.append(self.constraint() if self.often() < 0.6 or "FILTER" not in "".join(parts) else "")
        what, end = self.pick(["*", "*", "DISTINCT *", "?a ?b", "DISTINCT ?b"]), self.pick(["", "", "", "", " LIMIT 9"])
        return f"PREFIX n: <http://n/> PREFIX p: <http://p/> SELECT {what} {{ {''.join(parts)}}}{end}"

    def triple(self) -> str:
        subject = self.pick([*self.certain, "n:1", "<http://n/0>"])
        link = next(self.names) if self.often() < 0.3 else self.pick(["<http://p/0>", "p:1"])
        value = self.pick([*self.certain, '"a"', "n:1"]) if self.often() < 0.1 else next(self.names)
        self.every += [each for each in (link, value) if each[0] in "?$" and each not in self.every]
        return f"{subject} {link} {value} "

    def perhaps(self) -> str:
        return self.constraint() if self.often() < 0.3 else ""

    def constraint(self) -> str:
        test = self.test()
        bare = test[-1] == ")" and test[0] in "BiL" and " " not in test
        return f"FILTER {test} " if bare else f"FILTER({test}) {self.pick(['', '. '])}"

    def test(self, depth: int = 0) -> str:
        if self.often() < 0.5 - 0.25 * depth:
            one = self.test(depth + 1)
            return self.pick([f"!({one})", f"({one})", *(f"{one} {by} {self.test(depth + 1)}" for by in ("||", "||", "&&"))])
        name = self.pick([*self.every, *self.every, "?never"])
        language, is_one, among = f"lang({name})", self.pick(["=", "!="]), self.pick(["IN", "NOT IN"])
        several = ", ".join(self.value() for _ in range(self.pick((1, 2, 3))))
        return self.pick([
            f"{self.pick(['BOUND', 'isIRI', 'isURI', 'isLiteral'])}({name})", f"!BOUND({name})",
            f"{language} {is_one} {self.tag()}", f"LANGMATCHES(LANG({name}), {self.tag()})",
            f"{language} {among} ({self.tag()}, {self.tag()})", f"{name} {is_one} {self.value()}",
            f"{self.value()} {among} ({several})",
        ])  # fmt: skip

    def tag(self) -> str:
        return self.pick(['"fr"', '"fr"', '"FR"', "'fr'", '"*"', '"fr-be"', '"f"', '"fr-"', '""'])

    def value(self) -> str:
        constants = ("<http://n/1>", "n:2", '"a"', "'a'", self.tag(), "p:1", "<http://p/0>")
        return self.pick([*constants, *self.every, f"LANG({self.pick(self.every)})"])


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


def engine(data: Iterable[ox.Quad], text: str) -> bytes:
    merged = filled(ox.Quad(*quad.triple) for quad in data if quad.graph_name != SECRET)
    return cast("ox.QuerySolutions", merged.query(text, base_iri=BASE)).serialize(format=ox.QueryResultsFormat.JSON) or b""


@settings(max_examples=1_000, deadline=None)
@given(quads, queries, st.sampled_from(NODES))
def test_look_ups_answer_as_the_engine_does(data: list[ox.Quad], text: str, other: ox.NamedNode) -> None:
    found = asked(data, text, {text, text.replace("<http://n/1>", str(other))})
    if found is None:
        event("left to the engine")
    for body in found or ():
        event("left to the engine when it was looked up" if body is None else f"answered, {min(3, body)} rows")
        has_blank = any(isinstance(term, ox.BlankNode) for quad in data for term in quad.triple)
        assert body is not None or "LIMIT" in text or has_blank


def asked(data: list[ox.Quad], text: str, texts: Set[str]) -> list[int | None] | None:
    """Have queries of one shape answered, as the engine does, and count the rows; nothing for one, or all, that it has to."""
    with pytest.MonkeyPatch.context() as patch:  # nothing is too much
        patch.setattr(joins, "MOST", 10_000)
        patch.setattr(joins, "_READS", 100_000)
        shapes, lookup = learnt(text)
        if lookup is None:
            return None
        store, counts = filled(data), []
        for each in texts:
            seen = shapes.find(each)
            assert seen is not None and seen.shape.lookup is lookup
            lookup._skipped = 0
            body = lookup.answer(Reader(store), seen.filled, {OPEN.value, OTHER.value})  # type: ignore[arg-type]
            if body is not None:
                head, expected = rows(engine(data, each))
                assert rows(body) == (head, expected), each
            counts.append(None if body is None else expected.total())
        return counts


def test_filters_are_decided_as_the_engine_does() -> None:
    chance, counted = random.Random(15), Counter[str]()
    for _ in range(1_000):
        text, odd = Filtered(chance).query(), chance.choice([[], [], VALUES, [*VALUES, ox.BlankNode("b")]])
        terms, graphs = [*NODES, *NODES, *TEXTS, *odd], [OPEN, OPEN, OTHER, SECRET]
        data = [
            ox.Quad(chance.choice(NODES), chance.choice(PREDICATES), chance.choice(terms), chance.choice(graphs))
            for _ in range(chance.choice((30, 50, 70)))
        ]  # fmt: skip
        others = {text.replace('"fr"', chance.choice(['"FR"', '"en"', '"*"', '""'])), text.replace("n/1>", "n/3>")}
        for count in asked(data, text, {text, *others}) or ["left"]:
            counted["left" if count is None else "some" if count else "none"] += 1
            assert count is not None or odd or "LIMIT" in text, text
    assert counted["some"] > 400 > counted["left"], counted


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
