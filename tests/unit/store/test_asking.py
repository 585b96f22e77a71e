"""What goes to a worker with a query."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.model import Limits, View
from cityorchestra_ld.store.asking import Asking, Question
from cityorchestra_ld.store.frames import Joined, Request, Searches
from cityorchestra_ld.store.guard import inspect
from cityorchestra_ld.store.shapes import Shapes


class GENERATION:
    graphs = ()


def named(inspected, searches=None):
    view = View(default_graphs=("urn:g",), named_graphs=("urn:g", "urn:h"))
    asking = Asking(limits=Limits(), base=None)
    return asking.request(inspected, view, "text/csv", GENERATION, None, searches=searches).named_graphs


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT * { ?s ?p ?o }", 0), ("SELECT * { GRAPH ?g { ?s ?p ?o } }", 2), ("SELECT * { graph ?g { ?s ?p ?o } }", 2),
        ("ASK { FILTER NOT EXISTS { gRaPh <urn:h> { ?s ?p ?o } } }", 2), ("SELECT * FROM NAMED <urn:h> { ?s ?p ?o }", 0),
    ],
)  # fmt: skip
def test_named_graphs_go_with_queries_that_can_ask_for_one(text, count):
    assert len(named(inspect(text))) == count


def test_named_graphs_go_with_what_is_put_into_a_query_later():
    plain = inspect("SELECT * { ?s ?p ?o }")
    assert len(named(plain, Searches(found=(), cuts=()))) == 2
    object.__setattr__(plain, "joined", (Joined(at=0, end=0, text=""),))
    assert len(named(plain)) == 2


SHAPES = (
    'SELECT * { <urn:a> ?p "a" }', 'SELECT * { <urn:a> ?p "a" } LIMIT 5', 'SELECT * { <urn:a> ?p "a" } LIMIT 99999',
    'SELECT * { <urn:a> ?p "a" } VALUES ?p { 1 }', 'ASK { <urn:a> ?p "a" }', 'SELECT * { GRAPH ?g { <urn:a> ?p "a" } }',
    'PREFIX x: <urn:x> CONSTRUCT { ?s x:p ?o } { <urn:a> x:p "a" ; ?p ?o ; ?q ?s }',
    'PREFIX x: <urn:y> CONSTRUCT { ?s x:p ?o } { <urn:a> x:p "a" ; ?p ?o ; ?q ?s }',
)  # fmt: skip
VIEWS = tuple(View(default_graphs=names, named_graphs=("urn:h",)) for names in (("urn:g",), ("urn:g", "urn:h")))
LIMITS = Limits(result_rows=1000)


def learnt():
    shapes = Shapes(LIMITS, "http://x/")
    for text in SHAPES:
        shapes.learn(inspect(text))
    return shapes


KNOWN, ASKING = learnt(), Asking(limits=LIMITS, base="http://x/")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ("graph", "GRAPH", "ſ", "é\u2028")
)


@given(st.sampled_from(SHAPES), WORDS, st.sampled_from(VIEWS), st.sampled_from(("text/csv", "application/json")))
def test_a_request_of_a_known_shape_is_written_as_any_other(shape, word, view, media_type):
    text = shape.replace("urn:a", f"urn:{word}").replace('"a"', f'"{word}"')
    seen = KNOWN.find(text)
    if seen is None:  # a mark in the word made another shape of it
        return
    asked = inspect(text)
    request = ASKING.request(asked, view, media_type, GENERATION, None)
    for question in (seen, asked):
        written, rows = ASKING.written(Question(question, view, media_type, 1.0), view, GENERATION, None)
        assert msgspec.json.decode(written, type=Request) == request and written == msgspec.json.encode(request)
        assert rows == request.rows
