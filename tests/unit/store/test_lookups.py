"""What a look-up answers is what the engine answers, to the byte, but for the order of rows."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import Limits
from cityorchestra_ld.store.cheap import MOST
from cityorchestra_ld.store.guard import inspect
from cityorchestra_ld.store.reader import Reader
from cityorchestra_ld.store.shapes import Shapes

BASE, XSD = "https://id.example/sparql", "http://www.w3.org/2001/XMLSchema#"
NODE = ox.NamedNode
ODD = "".join(map(chr, (*range(0x20), 0x22, 0x5C, 0x7F, 0x80, 0x2028, 0xFEFF, 0xFFFF, 0x1F600)))
OBJECTS = (
    NODE("urn:o"), NODE("urn:é?x=1&y='2'#z"), ox.Literal(""), ox.Literal(ODD), ox.Literal("</script>\r\n\t"),
    ox.Literal("Île", language="fr"), ox.Literal("x", language="en-GB"), ox.Literal("1.50", datatype=NODE(f"{XSD}decimal")),
    ox.Literal("007", datatype=NODE(f"{XSD}integer")), ox.Literal("no number", datatype=NODE(f"{XSD}integer")),
    ox.Literal("2026-11-22T10:00:00Z", datatype=NODE(f"{XSD}dateTime")), ox.Literal("v", datatype=NODE("urn:é")),
    ox.Literal("true", datatype=NODE(f"{XSD}boolean")),
)  # fmt: skip
QUERIES = (
    "SELECT ?p ?o WHERE {{ <{0}> ?p ?o }}", "SELECT * {{ <{0}> ?p ?o }}", "select ?o{{<{0}> <urn:p1> ?o.}}",
    "SELECT ?o ?p {{ <{0}> ?p ?o }} # (", "SELECT ?p ?o {{ <{0}> ?p ?o }} # NOW()",
    "PREFIX e: <urn:> SELECT ?o {{ <{0}> e:p1 ?o }}", "SELECT ?c {{ <{0}> a ?c }}",
    "PREFIX e: <urn:> SELECT ?p {{ <{0}> ?p e:o }}", "SELECT ?p {{ <{0}> ?p <urn:o> }}", "SELECT ?z ?o {{ <{0}> ?p ?o }}",
    "SELECT ?p ?p {{ <{0}> ?p ?o }}", "SELECT ?z {{ <{0}> <urn:p1> <urn:o> }}", "PREFIX : <urn:> SELECT ?p {{ :a ?p <{0}> }}",
    "PREFIX e: <urn:> SELECT ?o {{ <{0}> e:p\\-1 ?o }}", "PREFIX e: <rel/> SELECT ?o {{ <{0}> e:p ?o }}",
    "SELECT ?o {{ <{0}> <rel> ?o }}", "SELECT ?o {{ <{0}> <urn:p\\u0031> ?o }}",
)  # fmt: skip
SUBJECTS = ("urn:a", "urn:b", "urn:none", "urn:x/../a", "a", "URN:a", "urn:%zz", "http://h:p/", "urn:many", "urn:unnamed")


class Held(Reader):
    """A reader of a store in memory."""

    def __init__(self, store):
        self._store, self._copy = store, None


@pytest.fixture(scope="module")
def store():
    found = ox.Store()
    for number, term in enumerate(OBJECTS):
        found.add(ox.Quad(NODE("urn:a"), NODE(f"urn:p{number % 3}"), term, NODE("urn:g")))
        found.add(ox.Quad(NODE("urn:a"), NODE(f"urn:p{number % 3}"), term, NODE("urn:h" if number % 2 else "urn:secret")))
    found.add(ox.Quad(NODE("urn:b"), NODE("urn:p1"), NODE("urn:o"), NODE("urn:h")))
    found.add(
        ox.Quad(NODE("urn:b"), NODE("http://www.w3.org/1999/02/22-rdf-syntax-ns#type"), NODE("urn:o"), NODE("urn:secret"))
    )
    found.add(ox.Quad(NODE("urn:unnamed"), NODE("urn:p1"), ox.BlankNode("b"), NODE("urn:g")))
    for number in range(MOST + 1):
        found.add(ox.Quad(NODE("urn:many"), NODE("urn:p1"), ox.Literal(str(number)), NODE("urn:g")))
    for graph in ("urn:g", "urn:h"):  # as a generation holds their merge
        found.extend(ox.Quad(q.subject, q.predicate, q.object) for q in found.quads_for_pattern(None, None, None, NODE(graph)))
    return found


def rows(written):
    head, mark, rest = written.partition(b'"bindings":[')
    return head + mark, sorted(rest.removesuffix(b"]}}").replace(b"}},{", b"}}\n{").split(b"\n")), rest[-3:]


@pytest.mark.parametrize("template", QUERIES)
def test_a_look_up_answers_as_the_engine_does_or_not_at_all(store, template):
    shapes, answered = Shapes(Limits(), BASE), 0
    shapes.learn(inspect(template.format("urn:first")))
    for subject in SUBJECTS:
        text = template.format(subject)
        seen = shapes.find(text)
        if seen is None or seen.shape.lookup is None:
            continue
        found = seen.shape.lookup.answer(Held(store), seen.filled, {"urn:g", "urn:h"})
        if found is None:
            continue
        answered += 1
        result = store.query(text, base_iri=BASE, default_graph=[ox.DefaultGraph()], named_graphs=[])
        assert rows(found) == rows(result.serialize(format=ox.QueryResultsFormat.JSON)), text
    refused = any(part in template for part in ("?p ?p", "rel", "\\-", "NOW"))
    assert answered == 0 if refused else answered >= 2, template


@pytest.mark.parametrize("subject", ["urn:x/../a", "a", "urn:%zz", "http://h:p/", "urn:many", "urn:unnamed"])
def test_what_the_engine_may_read_in_another_way_is_left_to_it(store, subject):
    shapes = Shapes(Limits(), BASE)
    shapes.learn(inspect("SELECT * { <urn:a> ?p ?o }"))
    seen = shapes.find(f"SELECT * {{ <{subject}> ?p ?o }}")
    assert seen.shape.lookup.answer(Held(store), seen.filled, {"urn:g"}) is None


@pytest.mark.parametrize("text", ["SELECT * { <urn:a> ?p ?o } OFFSET 5", "SELECT * { ?s ?p <urn:a> }", "ASK { <urn:a> ?p ?o }"])
def test_other_queries_have_no_look_up(text):
    shapes = Shapes(Limits(), BASE)
    shapes.learn(inspect(text))
    assert shapes.find(text).shape.lookup is None
