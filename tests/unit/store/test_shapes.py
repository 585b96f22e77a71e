"""Queries of a known shape are judged as if each had been read alone, whatever somebody puts into them."""

from __future__ import annotations

import random

import pytest

from cityorchestra_ld.errors import QueryError
from cityorchestra_ld.model import Limits
from cityorchestra_ld.store.guard import inspect
from cityorchestra_ld.store.shapes import Shapes

BASE = "https://id.example/sparql"
PIECES = (
    "SELECT", "*", "?s", "?p", "$o", "{", "}", "(", ")", "[", "]", "WHERE", "FILTER", "LIMIT", "5", "OFFSET", "VALUES", "UNION",
    "GRAPH", "FROM", "FROM NAMED", "BASE", "PREFIX", "PREFIX e:", "e:a", ":b", "_:n", "a", ".", ";", ",", "=", "<", ">", "!",
    "^", "^^", "@fr", "/", "+", "-", "|", "&&", "\n", "# note", "#", "'", '"', "''", '""', "'''", '"""', "\\", "\\u0041",
    "\\\"",
    "'it'", '"x"', '"a b"', "'''x'''", '"""y"""', "<urn:a>", "<urn:b#c>", "<rel>", "<http://x/é>", "<urn:\\u0041>", "<>",
    "<urn:it's>", "<urn:(>", "1.5", "TRUE", "IN", "EXISTS", "ASK", "CONSTRUCT", "DESCRIBE", "SERVICE", "INSERT", "<<", ">>",
)  # fmt: skip
FILLING = (
    "urn:z",
    "x",
    "urn:'",
    '"',
    "a#b",
    "urn:(",
    "}",
    "{",
    "\\",
    "'''",
    ")",
    "urn:é",
    " ",
    "",
    "SERVICE",
    "urn:x?y=NOW",
    "-",
)
FRAMES = (
    "SELECT * {{ {0} }}", "SELECT ?s WHERE {{ ?s ?p {0} }} LIMIT 5", "SELECT * {{ {0} ?p ?o FILTER(?o = {1}) }}",
    "PREFIX e: <urn:e#> SELECT * {{ e:a {0} ?o . ?o ?q {1} }}", "SELECT * {{ ?s ?p {0} }} VALUES ?s {{ {1} }}",
    "SELECT * {{ VALUES ?s {{ {0} {1} }} ?s ?p ?o }} LIMIT 7", "SELECT * FROM <urn:g> {{ {0} ?p {1} }}",
    "CONSTRUCT {{ {0} ?p ?o }} FROM {1} WHERE {{ ?s ?p ?o }}", "ASK {{ GRAPH {0} {{ ?s ?p {1} }} }}",
    "SELECT * {{ ?s ?p ?o FILTER(?o <{0}) }}", "SELECT * {{ ?s ?p ?o FILTER(?o IN ({0}, {1})) }} LIMIT 3",
    "SELECT * # {{\n FROM {0} {{ ?s ?p {1} }}", "SELECT * {{ ?s ?p '''{0}' , {1} }}", "SELECT * {{ ?s ?p {0}{1} }}",
    "SELECT * {{ ?s ?p {0} }} PREFIX x: {1}", "SELECT * {{ {{ SELECT * {{ {0} ?p {1} }} LIMIT 1 }} }} LIMIT 2",
)  # fmt: skip


def judged(text):
    try:
        return inspect(text)
    except QueryError:
        return None


def filled(chance, frame):
    def hole():
        inner = "".join(chance.choice(FILLING) for _ in range(chance.randrange(1, 3)))
        return chance.choice((f"<{inner}>", f'"{inner}"', f"'{inner}'", "<urn:plain>", '"plain"', chance.choice(PIECES)))

    return frame.format(hole(), hole())


def test_no_query_is_judged_by_its_shape_as_something_that_it_is_not():
    chance, found = random.Random(7), 0
    for _ in range(150):
        shapes = Shapes(Limits(), BASE)
        loose = " ".join(chance.choice(PIECES) for _ in range(chance.randrange(3, 9)))
        frame = chance.choice((*FRAMES, "SELECT * {{ " + loose.replace("{", "{{").replace("}", "}}") + " {0} {1} }}"))
        for _ in range(12):
            text = filled(chance, frame)
            seen, alone = shapes.find(text), judged(text)
            if seen is not None:
                found += 1
                assert seen.inspected == alone, text
            elif alone is not None:
                shapes.learn(alone)
    assert found > 100


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s ?p ?o FILTER(?o <urn:a>?p) }", "CONSTRUCT { ?s ?p ?o } FROM <urn:a> { ?s ?p ?o }",
        "SELECT * { ?s ?p '''x' , <urn:a> }", "SELECT * # {\nFROM <urn:a> { ?s ?p ?o }",
        "SELECT * { <urn:a> ?p ?o } VALUES ?o { <urn:a> }",
    ],
)  # fmt: skip
def test_a_shape_in_which_an_iri_could_decide_more_is_not_learnt(text):
    shapes, alone = Shapes(Limits(), BASE), judged(text)
    if alone is not None:
        shapes.learn(alone)
    other = text.replace("<urn:a>", "<urn:other>")
    seen = shapes.find(other)
    assert seen is None or seen.inspected == judged(other)


def test_an_empty_text_is_not_taken_for_the_start_of_a_long_one():
    shapes = Shapes(Limits(), BASE)
    for first, others in (('"a" , "b"', ('"" , "b"', '"a" , ""')), ('"a""b"', ('"""b"', '"a"""', '""""b""'))):
        shapes.learn(inspect(f"SELECT * {{ ?s ?p {first} }}"))
        for other in others:
            text = f"SELECT * {{ ?s ?p {other} }}"
            seen = shapes.find(text)
            assert (seen.inspected if seen else None) == (judged(text) if " , " in other else None), other


def test_long_queries_and_old_shapes_are_not_remembered():
    shapes = Shapes(Limits(query_bytes=400), BASE)
    shapes.learn(inspect("SELECT * { <urn:a> ?p ?o }"))
    assert shapes.find("SELECT * { <urn:b> ?p ?o }") is not None
    assert shapes.find("SELECT * { <urn:" + "b" * 100 + "> ?p ?o }") is None
    for number in range(600):
        shapes.learn(inspect(f"SELECT ?x{number} {{ <urn:a> ?p ?o }}"))
    assert shapes.find("SELECT * { <urn:b> ?p ?o }") is None
