"""Updates of drafts are judged before the engine parses them, and get the dataset of their request."""

from __future__ import annotations

import pytest

from cityorchestra_ld.errors import QueryError, UsageError
from cityorchestra_ld.store.patterns import find_patterns
from cityorchestra_ld.store.update_guard import inspect_update

CHANGE = "INSERT { ?s ?p 1 } WHERE { ?s ?p ?o }"


@pytest.mark.parametrize(
    "text",
    [
        CHANGE,
        "PREFIX x: <http://x/> INSERT DATA { x:a x:b 'LOAD' } ; DELETE WHERE { ?s x:b ?o }",
        "CLEAR SILENT GRAPH <http://g> ; COPY DEFAULT TO <http://h>",
        "WITH <http://g> DELETE { ?s ?p ?o } INSERT { ?s ?p 2 } WHERE { ?s ?p ?o }",
    ],
)
def test_an_update_that_harms_nobody_passes_as_it_is(text):
    assert inspect_update(text) == text


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("LOAD <http://x/>", 1),
        ("CLEAR ALL ; load <file:///etc/passwd>", 13),
        ("INSERT { ?s ?p ?o } WHERE { SERVICE <http://x/> { ?s ?p ?o } }", 29),
        ("SELECT * {}", 1),
        ("", 1),
        ("PREFIX x: <http://x/>", 1),
        ("DELETE DATE { }", 8),
        ("INSERT DATA { x:a x:b 1 }", 15),
    ],
)
def test_what_is_refused_has_its_place(text, column):
    with pytest.raises(QueryError) as caught:
        inspect_update(text)
    assert caught.value.place.column_number == column


def test_a_nest_is_refused():
    with pytest.raises(QueryError):
        inspect_update("INSERT {} WHERE " + "{" * 5000 + "}" * 5000)


def test_the_dataset_of_the_request_goes_before_each_where():
    text = f"{CHANGE} ; {CHANGE}"
    made = inspect_update(text, using=["http://g"], using_named=["http://h"])
    assert made.count("USING <http://g> USING NAMED <http://h> WHERE") == 2


@pytest.mark.parametrize(
    ("text", "graph"),
    [
        ("INSERT {} USING <http://g> WHERE {}", "http://g"),
        ("WITH <http://g> INSERT {} WHERE {}", "http://g"),
        ("DELETE WHERE { ?s ?p ?o }", "http://g"),
        (CHANGE, "http://g> WHERE {} ; CLEAR ALL ; INSERT {} USING <http://h"),
    ],
)
def test_a_dataset_said_twice_or_that_is_not_one_is_refused(text, graph):
    with pytest.raises((UsageError, QueryError)):
        inspect_update(text, using=[graph])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT * { ?s <http://p>/^<http://q>* ?o . FILTER(?o IN (1, 2)) ?o <http://r> 1.5 }",
         ["?s <http://p>/^<http://q>* ?o", "?o <http://r> 1.5"]),
        ('CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p "a"^^<http://t>, "b"@fr }', ['?s ?p "a"^^<http://t>', '?s ?p "b"@fr']),
        ("SELECT * { VALUES ?x { 1 2 } ?s ?p ?x BIND(?x + 1 AS ?y) OPTIONAL { ?s ?q [ ?a ?b ] } }",
         ["?s ?p ?x", "?s ?q [ ?a ?b ]"]),
        ("ASK {}", []),
    ],
)  # fmt: skip
def test_patterns_are_found_as_they_are_written(query, found):
    assert [pattern.text for pattern in find_patterns(query)] == found


def test_patterns_know_their_graph_and_group():
    found = find_patterns("SELECT * { ?a ?b ?c GRAPH ?g { ?d ?e ?f } { ?h ?i ?j } }")
    assert [pattern.graph for pattern in found] == [None, "?g", None]
    assert len({pattern.group for pattern in found}) == 3
