"""Filters of a few kinds are decided by look-ups, in the group that they belong to; what is not sure is left to the engine."""

from __future__ import annotations

import orjson
import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import Limits
from cityorchestra_ld.store.guard import inspect
from cityorchestra_ld.store.joins import Join
from cityorchestra_ld.store.shapes import Shapes

BASE = "https://id.example/sparql"
NODE = ox.NamedNode
XSD = "http://www.w3.org/2001/XMLSchema#"
TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
PREFIXES = "PREFIX e: <urn:> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> "
SAID = {
    "fr": ox.Literal("un", language="fr"), "be": ox.Literal("un", language="FR-be"), "en": ox.Literal("one", language="en"),
    "text": ox.Literal("one"), "empty": ox.Literal(""), "iri": NODE("urn:b"),
}  # fmt: skip
TYPED = {"number": ox.Literal("1", datatype=NODE(f"{XSD}integer")), "own": ox.Literal("one", datatype=NODE("urn:own"))}
LANGUAGES = {"fr", "be", "en"}
LITERALS = {*SAID, *TYPED} - {"iri"}


@pytest.fixture(scope="module")
def store():
    found, graph = ox.Store(), NODE("urn:g")
    for name, term in (SAID | TYPED).items():
        found.add(ox.Quad(NODE("urn:a"), NODE(f"urn:{name}"), term, graph))
    for name, term in SAID.items():
        found.add(ox.Quad(NODE("urn:b"), NODE(f"urn:{name}"), term, graph))
    found.add(ox.Quad(NODE("urn:b"), NODE(TYPE[1:-1]), NODE("urn:Thing"), graph))
    found.add(ox.Quad(NODE("urn:c"), NODE("urn:link"), NODE("urn:b"), graph))
    found.add(ox.Quad(NODE("urn:c"), NODE("urn:link"), NODE("urn:nothing"), graph))
    for number in range(150):
        found.add(ox.Quad(NODE("urn:many"), NODE("urn:link"), NODE(f"urn:m{number}"), graph))
        for name in ("fr", "en"):
            found.add(ox.Quad(NODE(f"urn:m{number}"), NODE("urn:name"), ox.Literal(str(number), language=name), graph))
    return found


class Asked:
    """A shape, learnt from one query."""

    def __init__(self, store, first):
        self.store, self.shapes = store, Shapes(Limits(), BASE)
        self.shapes.learn(inspect(first))
        seen = self.shapes.find(first)
        self.join = seen.shape.lookup if seen and isinstance(seen.shape.lookup, Join) else None
        self.quads = store.quads_for_pattern  # as a reader

    def rows(self, text):
        """Return what look-ups answer, once it is what the engine does; nothing when they do not."""
        seen = self.shapes.find(text)
        assert seen.shape.lookup is self.join
        self.join._skipped = 0
        body = self.join.answer(self, seen.filled, {"urn:g"})
        result = self.store.query(text, base_iri=BASE, use_default_graph_as_union=True)
        if body is None:
            return None
        expected = orjson.loads(result.serialize(format=ox.QueryResultsFormat.JSON))
        found = orjson.loads(body)
        assert found["head"] == expected["head"]
        rows = [sorted(each["results"]["bindings"], key=orjson.dumps) for each in (found, expected)]
        assert rows[0] == rows[1]
        return rows[0]


def names(rows, variable="p"):
    return {row[variable]["value"].removeprefix("urn:") for row in rows if variable in row}


@pytest.mark.parametrize(
    ("subject", "constraint", "expected"),
    [
        ("a", '(LANG(?o) = "fr")', {"fr"}), ("a", "(lang(?o)='fr')", {"fr"}), ("a", '(LANG(?o) = "FR")', set()),
        ("a", '("en" = LANG(?o))', {"en"}), ("a", '(LANG(?o) = "FR-be")', set()), ("a", '(LANG(?o) = "fr-be")', {"be"}),
        ("a", "(LANG(?o) = '')", LITERALS - LANGUAGES), ("a", '(LANG(?o) = "")', LITERALS - LANGUAGES),
        ("a", '(LANG(?o) != "")', LANGUAGES), ("a", '(LANG(?o) != "fr")', LITERALS - {"fr"}),
        ("a", 'LANGMATCHES(LANG(?o), "fr")', {"fr", "be"}), ("a", '(langMatches(lang(?o), "FR"))', {"fr", "be"}),
        ("a", '(LANGMATCHES(LANG(?o), "*"))', LANGUAGES), ("a", '(!LANGMATCHES(LANG(?o), "fr"))', LITERALS - {"fr", "be"}),
        ("a", 'LANGMATCHES(LANG(?o), "f")', set()), ("a", 'LANGMATCHES(LANG(?o), "")', LITERALS - LANGUAGES),
        ("a", '(LANG(?o) IN ("fr", ""))', LITERALS - {"be", "en"}),
        ("a", '(LANG(?o) IN ("", "fr"))', LITERALS - {"be", "en"}),
        ("a", '(LANG(?o) NOT IN ("fr", "en"))', LITERALS - {"fr", "en"}),
        ("a", '(LANG(?o) = "fr" || LANG(?o) = "en")', {"fr", "en"}),
        ("a", '(!(LANG(?o) = "fr") && LANG(?o) != "")', {"be", "en"}),
        ("a", '(isIRI(?o) || LANG(?o) = "fr")', {"iri", "fr"}), ("a", '(LANG(?o) = "fr" || isURI(?o))', {"iri", "fr"}),
        ("a", "isIRI(?o)", {"iri"}), ("a", "(!isIRI(?o))", LITERALS), ("a", "isLiteral(?o)", LITERALS),
        ("a", "(?o = <urn:b>)", {"iri"}), ("a", "(?o != <urn:b>)", LITERALS), ("a", "(e:b = ?o)", {"iri"}),
        ("a", "(?o IN (<urn:none>, e:b))", {"iri"}), ("a", "(?o NOT IN (<urn:b>, <urn:none>))", LITERALS),
        ("a", "(?p != <urn:fr> && ?p != e:en && ?p NOT IN (e:be))", {"text", "empty", "iri", *TYPED}),
        ("b", "(?p != rdf:type)", set(SAID)), ("b", f"(?p != {TYPE})", set(SAID)), ("b", '(?o = "one")', {"text"}),
        ("b", '(?o = "")', {"empty"}), ("b", "(?o != 'one')", {*SAID, "type"} - {"text"}),
        ("b", '(?o IN ("", <urn:b>))', {"empty", "iri"}),
        ("b", "BOUND(?o)", {*SAID, "type"}), ("b", "(BOUND(?x))", set()), ("b", "(!BOUND(?x))", {*SAID, "type"}),
        ("b", "(?x = <urn:b>)", set()), ("b", "(!(?x = <urn:b>))", set()), ("b", "(!isIRI(?x))", set()),
        ("b", "(?x = <urn:b> || isLiteral(?o))", LITERALS - set(TYPED)),
        ("b", "(!(isIRI(?x) && isIRI(?o)))", LITERALS - set(TYPED)),
        ("b", "(?o = ?o)", {*SAID, "type"}), ("b", "(?p = ?o)", set()), ("b", "(LANG(?o) = LANG(?o))", set(SAID) - {"iri"}),
    ],
)  # fmt: skip
def test_these_filters_are_decided_by_look_ups(store, subject, constraint, expected):
    for text in (
        f"SELECT * {{ e:{subject} ?p ?o FILTER {constraint} }}",
        f"SELECT * {{ FILTER {constraint} . e:{subject} ?p ?o }}",
    ):
        found = Asked(store, PREFIXES + text).rows(PREFIXES + text)
        assert {name.rpartition("#")[2] for name in names(found)} == expected


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        ('FILTER(LANG(?o) = "{}")', {"fr": {"fr"}, "en": {"en"}, "FR": set(), "": LITERALS - LANGUAGES, "un": set()}),
        ('FILTER(LANGMATCHES(LANG(?o), "{}"))', {"fr": {"fr", "be"}, "FR": {"fr", "be"}, "*": LANGUAGES, "fr-BE": {"be"}}),
        ("FILTER(?p = <{}>)", {"urn:fr": {"fr"}, "urn:en": {"en"}, "urn:none": set()}),
        ('FILTER(?p IN (<urn:iri>, <{}>) && LANG(?o) = "fr")', {"urn:fr": {"fr"}, "urn:en": set()}),
    ],
)
def test_each_query_of_a_shape_has_its_own_constants(store, template, answers):
    def query(constant):
        return f"SELECT ?p {{ <urn:a> ?p ?o {template.format(constant)} }}"

    asked = Asked(store, query("urn:first"))
    for _ in range(2):
        for constant, expected in answers.items():
            assert names(asked.rows(query(constant))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # of the whole group, wherever it stands
        ('SELECT * { e:c e:link ?s FILTER(LANG(?n) = "fr") OPTIONAL { ?s e:fr ?n } }', ["b"]),
        ('SELECT * { FILTER(LANG(?n) = "fr") e:c e:link ?s OPTIONAL { ?s e:fr ?n } OPTIONAL { ?s e:en ?m } }', ["b"]),
        ("SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n } FILTER(!BOUND(?n)) OPTIONAL { ?s e:en ?m } }", ["nothing"]),
        ("SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n } FILTER(!BOUND(?m)) OPTIONAL { ?s e:en ?m } }", ["nothing"]),
        # of an OPTIONAL group: a row that it refuses stays as it is
        ('SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(LANG(?n) = "fr") } FILTER(BOUND(?n)) }', ["b"]),
        ('SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(LANG(?n) = "en") } FILTER(BOUND(?n)) }', []),
        ('SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(LANG(?n) = "en") } }', ["b", "nothing"]),
        # which sees what is outside of it and before it, nothing of what comes after
        ("SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(?s = e:b) } FILTER(BOUND(?n)) }", ["b"]),
        ("SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(?s = e:c) } FILTER(!BOUND(?n)) }", ["b", "nothing"]),
        (
            "SELECT * { e:c e:link ?s OPTIONAL { ?s e:en ?m } OPTIONAL { ?s e:fr ?n FILTER(BOUND(?m)) } FILTER(BOUND(?n)) }",
            ["b"],
        ),
        ("SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(BOUND(?m)) } OPTIONAL { ?s e:en ?m } FILTER(BOUND(?n)) }", []),
        (
            "SELECT * { e:c e:link ?s OPTIONAL { ?s e:fr ?n FILTER(!BOUND(?m)) } OPTIONAL { ?s e:en ?m } FILTER(BOUND(?n)) }",
            ["b"],
        ),
        # all of them
        ("SELECT * { e:c e:link ?s FILTER(?s != e:b) FILTER(?s != e:nothing) }", []),
        ("SELECT * { e:c e:link ?s FILTER(?s != e:b) OPTIONAL { ?s e:fr ?n } FILTER(isIRI(?s)) }", ["nothing"]),
    ],
)
def test_a_filter_is_of_its_group(store, text, expected):
    assert sorted(names(Asked(store, PREFIXES + text).rows(PREFIXES + text), "s")) == expected


@pytest.mark.parametrize(
    "constraint",
    [
        "(STRLEN(?o) > 3)", "(?o > 3)", "(?o = 3)", "(?o = true)", '(?o = "a"@fr)', f'(?o = "1"^^<{XSD}integer>)',
        '(?o = "\\u0061")', "(BOUND(?o) = true)", "(STR(?o) = 'one')", "(true)", "(?o)", "(!?o)",
        "(?o IN ())", "isBlank(?o)", "(sameTerm(?o, <urn:b>))",
        "(DATATYPE(?o) = e:own)", "EXISTS { ?o ?q ?r }", "NOT EXISTS { ?o ?q ?r }", "(LANG(<urn:b>) = '')",
        "(LANGMATCHES('fr', 'fr'))", "(isIRI(<urn:b>))", "(?o + 1 = 2)", "((?o) = <urn:b>)", "(?o = <<( ?o ?p ?o )>>)",
        f"({' || '.join(['BOUND(?o)'] * 30)})", f"({'!' * 30}BOUND(?o))", "FILTER ".join(["BOUND(?o)"] * 30),
        "REGEX(?o, 'a')", "(?o < <urn:b>)", "(?o <= <urn:b>)",
    ],
)  # fmt: skip
def test_other_filters_are_left_to_the_engine(store, constraint):
    assert Asked(store, f"{PREFIXES} SELECT * {{ e:a ?p ?o FILTER {constraint} }}").join is None


@pytest.mark.parametrize(
    "constraint",
    ['(?o = "one")', "(?o != ?o)", '(?o IN ("one", <urn:b>))', "(!(?o = 'one'))", '(LANGMATCHES(LANG(?o), "İ"))',
     "(LANGMATCHES(LANG(?o), <urn:b>))", "(LANGMATCHES(LANG(?o), ?x))", "(?o = <rel>)"],
)  # fmt: skip
def test_a_query_that_compares_values_is_left_to_the_engine(store, constraint):
    text = f"{PREFIXES} SELECT * {{ e:a ?p ?o FILTER {constraint} }}"
    assert Asked(store, text).rows(text) is None


def test_what_the_engine_would_refuse_is_left_to_it_even_if_no_row_is_asked(store):
    template = "SELECT * {{ <urn:nothing> ?p ?o FILTER(?o = <{}>) }}"
    asked = Asked(store, template.format("urn:a"))
    assert asked.rows(template.format("urn:b")) == []
    text = template.format("http://h:p/")
    assert asked.join.answer(asked, asked.shapes.find(text).filled, {"urn:g"}) is None
    with pytest.raises(SyntaxError):
        store.query(text, base_iri=BASE)
    patterns = "SELECT * {{ <urn:nothing> ?p ?o . ?o <{}> ?q }}"
    asked = Asked(store, patterns.format("urn:a"))
    assert asked.rows(patterns.format("urn:b")) == []
    assert asked.join.answer(asked, asked.shapes.find(patterns.format("http://h:p/")).filled, {"urn:g"}) is None


def test_rows_that_a_filter_would_drop_are_too_many_nevertheless(store, monkeypatch):
    monkeypatch.setattr("cityorchestra_ld.store.joins._READS", 10_000)
    template = "SELECT * {{ e:many e:link ?m OPTIONAL {{ ?m e:name ?n {} }} {} }}"
    for inner, outer, expected in (
        ("", 'FILTER(LANG(?n) = "fr")', 150), ('FILTER(LANG(?n) = "fr")', "", 150), ("", "", None),
        ("", 'OPTIONAL { ?m e:none ?x } FILTER(LANG(?n) = "fr" && !BOUND(?x))', None),
    ):  # fmt: skip
        text = PREFIXES + template.format(inner, outer)
        found = Asked(store, text).rows(text)
        assert (found if found is None else len(found)) == expected


def test_a_filter_is_decided_before_what_it_drops_is_looked_up_further(store):
    template = "SELECT * {{ e:many e:link ?m OPTIONAL {{ ?m e:name ?n }} FILTER(?m {} e:m7) }}"
    for sign, expected in (("=", 2), ("!=", None)):
        text = PREFIXES + template.format(sign)
        found = Asked(store, text).rows(text)
        assert (found if found is None else len(found)) == expected
