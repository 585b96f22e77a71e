"""SPARQL in shapes: what is refused before any engine sees it."""

from __future__ import annotations

import pytest

from cityorchestra_ld.validation.queries import judge, tokens

GOOD = "SELECT $this ?value WHERE { $this <urn:p> ?value . FILTER(?value < 10) }"


def test_an_ordinary_query_is_accepted() -> None:
    assert judge(GOOD, {}) is None
    assert (
        judge(
            'SELECT $this ?value { $this $PATH ?value FILTER NOT EXISTS { ?value ex:q "SERVICE" } } # FROM here', {"ex": "urn:"}
        )
        is None
    )
    assert judge("ASK { FILTER (isIRI($value)) }", {}, kind="ask") is None


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT $this { $this ?p ?o . SERVICE <http://localhost/> { ?a ?b ?c } }", "another server"),
        ("SELECT $this { $this ?p ?o FILTER EXISTS { service SILENT <http://localhost/> { ?a ?b ?c } } }", "another server"),
        ("SELECT $this FROM <http://localhost/> { $this ?p ?o }", "another graph"),
        ("SELECT $this FROM NAMED <http://localhost/> { GRAPH ?g { $this ?p ?o } }", "another graph"),
        ("SELECT $this { $this ?p ?o . SER\\u0056ICE <http://localhost/> { ?a ?b ?c } }", "escape"),
        ("LOAD <http://localhost/>", "fetches"),
        ("SELECT $this { $this ?p ?o MINUS { $this ?p 1 } }", "MINUS"),
        ("SELECT $this { VALUES ?x { 1 } $this ?p ?x }", "VALUES"),
        ("SELECT ?o { $this ?p ?o }", "$this"),
        ("SELECT $this { $this ?p ?o { SELECT ?o { ?o ?q ?r } } }", "$this"),
        ("SELECT $this { $this ?p ?o { SELECT * { FILTER($this = <urn:x>) } } }", "names its variables"),
        ("SELECT $this { BIND(1 AS $this) }", "given"),
        ("CONSTRUCT { $this ?p 1 } WHERE { $this ?p ?o }", "SELECT or an ASK"),
        ("ASK { $this ?p ?o }", "expects a SELECT"),
        ("SELECT $this { $this ?p }", "parse"),
        ("SELECT $this { $this nobody:knows ?o }", "parse"),
        ("SELECT $this " + "{" * 60 + "$this ?p ?o" + "}" * 60, "nested"),
        ("SELECT $this { $this ?p ?o } #" + "x" * 30_000, "long"),
    ],
)  # fmt: skip
def test_an_unsafe_or_broken_query_is_refused_with_the_reason(query: str, why: str) -> None:
    assert why in judge(query, {}).en


def test_a_keyword_inside_a_name_a_text_or_a_comment_is_none() -> None:
    words = [token.word for token in tokens('ex:from co:values ?service <urn:minus> "LOAD" # DROP\n :insert')]
    assert not {"FROM", "VALUES", "SERVICE", "MINUS", "LOAD", "DROP", "INSERT"} & set(words)
