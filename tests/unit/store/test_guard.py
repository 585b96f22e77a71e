"""The guard refuses what would kill the engine or leave the house, with a place, and lets every honest query pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import QueryError
from cityorchestra_ld.model import Limits
from cityorchestra_ld.store import inspect

DEADLY = {
    "5,000 braces": "ASK " + "{" * 5_000 + "}" * 5_000,
    "5,000 braces never closed": "ASK " + "{" * 5_000,
    "5,000 parentheses": "ASK { FILTER(" + "(" * 5_000 + "1" + ")" * 5_000 + ") }",
    "10,000 negations": "ASK { FILTER(" + "!" * 10_000 + "?x) }",
    "20,000 path parentheses": "ASK { ?s " + "(" * 20_000 + "<x:p>" + ")" * 20_000 + " ?o }",
    "5,000 brackets": "ASK { " + "[ ?p " * 5_000 + "1" + "]" * 5_000 + " }",
    "5,000 lists": "ASK { " + "( " * 5_000 + "1" + ")" * 5_000 + " ?p ?o }",
    "1,500 calls": "ASK { FILTER(" + "abs(" * 1_500 + "1" + ")" * 1_500 + ") }",
    "1,500 NOT EXISTS": "ASK {" + "FILTER NOT EXISTS{" * 1_500 + "}" * 1_500 + "}",
    "5,000 annotations": "ASK { ?s ?p ?o " + "{| ?p ?o " * 5_000 + "|}" * 5_000 + "}",
    "brackets hidden where IRI and less-than look alike": "ASK { FILTER(" + "(1<(((((2>3)||" * 2_000 + "1 }",
}


@pytest.mark.parametrize("name", DEADLY)
def test_queries_that_kill_the_engine_are_refused_with_a_place(name: str) -> None:
    with pytest.raises(QueryError, match="nested deeper than 200") as caught:
        inspect(DEADLY[name], Limits(query_bytes=1_000_000))
    assert caught.value.place is not None
    assert caught.value.place.line == 1
    assert 1 < (caught.value.place.column_number or 0) < 5_000


UNGUARDED = """
import sys, pyoxigraph
try:
    pyoxigraph.Store().query(sys.stdin.read())
except SyntaxError:
    pass
"""
GUARDED = "from cityorchestra_ld.store import inspect\nfrom cityorchestra_ld.errors import QueryError" + UNGUARDED.replace(
    "    pyoxigraph", "    text = sys.stdin.read(); inspect(text); pyoxigraph"
).replace("sys.stdin.read())", "text)").replace("except SyntaxError:\n    pass", "except QueryError:\n    print('refused')")


@pytest.mark.parametrize("name", ["5,000 braces", "5,000 parentheses", "10,000 negations", "20,000 path parentheses"])
def test_the_process_survives_with_the_guard_and_only_with_it(name: str) -> None:
    text = DEADLY[name]
    alone = subprocess.run([sys.executable, "-c", UNGUARDED], input=text, text=True, capture_output=True, check=False)
    assert alone.returncode < 0, "the engine survives this by now: the guard could be relaxed"
    guarded = subprocess.run([sys.executable, "-c", GUARDED], input=text, text=True, capture_output=True, check=False)
    assert (guarded.returncode, guarded.stdout) == (0, "refused\n"), guarded.stderr


def test_nesting_up_to_the_limit_is_allowed_and_the_engine_lives_through_it() -> None:
    text = "ASK " + "{" * 200 + "}" * 200
    assert bool(ox.Store().query(inspect(text).text))
    with pytest.raises(QueryError):
        inspect("ASK " + "{" * 201 + "}" * 201)


@pytest.mark.parametrize(
    "text",
    [
        "ASK { SERVICE <http://127.0.0.1/> { ?s ?p ?o } }",
        "ASK { service silent ?u { ?s ?p ?o } }",
        "ASK{SERVICESILENT<http://127.0.0.1/>{}}",
        "ASK{?s ?p trueSERVICE<http://127.0.0.1/>{}}",
        "ASK{?s ?p 1SERVICE<http://127.0.0.1/>{}}",
        'ASK{?s ?p "a"SERVICE<http://127.0.0.1/>{}}',
        "PREFIX e: <http://x/> PREFIX SERVICEe: <http://y/> ASK{SERVICEe:foo{}}",
        "PREFIX : <http://x/> PREFIX SERVICE: <http://y/> ASK{SERVICE:foo{}}",
        "ASK { # comment\nSERVICE <http://127.0.0.1/> {} }",
        "SELECT * { { SELECT * { SERVICE <http://127.0.0.1/> {} } } }",
        "ASK { FILTER EXISTS { SERVICE <http://127.0.0.1/> {} } }",
    ],
)
def test_service_is_refused_wherever_the_engine_would_see_it(text: str) -> None:
    with pytest.raises(QueryError, match="SERVICE is refused") as caught:
        inspect(text)
    assert caught.value.place is not None
    assert caught.value.place.line == (2 if "comment" in text else 1)


@pytest.mark.parametrize(
    "text",
    [
        "ASK { FILTER(1<'>'&&EXISTS{SERVICE<http://127.0.0.1/>{}}) } # '",
        "ASK { FILTER(?x<a#>\n'SERVICE<http://127.0.0.1/>{}'\n) }",
    ],
)
def test_what_could_hide_code_from_us_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="two ways"):
        inspect(text)


@pytest.mark.parametrize(
    "text",
    [
        "PREFIX service: <http://x/> SELECT ?service { ?service a service:SERVICE ; <http://x/SERVICE> 'SERVICE' }",
        'SELECT * { ?s ?p "SERVICE <http://x/>" } # SERVICE',
        "SELECT * { ?s ?p '''a ' SERVICE ''' }",
        "PREFIX e: <http://x/> SELECT * { e:a.SERVICE ?p ?o }",
        "PREFIX e: <http://x/> SELECT * { e:a\\#b ?p e:l\\'H }",
        "SELECT * { ?s ?p 'a'@SERVICE }",
        "SELECT * { FILTER(?a < 3 && ?b > 2) FILTER(?a<3&&?b>2) FILTER(?a<=3) }",
        "SELECT * { ?s <http://fr.dbpedia.org/resource/Plœuc-L'Hermitage_(Bretagne)> ?o }",
        "SELECT * { VALUES (?a ?b) { (<http://x/l'a#1> <http://x/b#'2>) (UNDEF <http://x/#>) } }",
        "SELECT * { ?été ?p ?o ; ?p2 ?日本 . ?x ?p3 1e3, 1.5, -2 }",
        "ASK { << ?a ?b ?c >> ?d ?e }",
        "ASK { ?s ?p <<( ?a ?b ?c )>> }",
        "BASE <http://x/> PREFIX p: <y#> SELECT ?x FROM <g> FROM NAMED p:g { GRAPH ?g { ?x p:b+/^p:c?|!p:d ?o } }",
        'SELECT (GROUP_CONCAT(DISTINCT ?x; SEPARATOR=", ") AS ?y) { ?x a ?z } GROUP BY ?z HAVING (COUNT(*) > 1) ORDER BY ?y',
        "SELECT * { FILTER(?t IN (<http://x#a>, <http://y#'b>)) FILTER(sameTerm(?t, <http://x#c>)) }",
    ],
)
def test_honest_queries_pass_and_the_engine_reads_them(text: str) -> None:
    inspected = inspect(text)
    ox.Store().query(inspected.text)
    assert inspected.text == text


def test_every_query_of_the_territory_passes(root: Path) -> None:
    files = [*root.glob("queries/**/*.rq"), *root.glob("cityorchestra_ld/web/queries/*.rq")]
    assert files
    for file in files:
        inspect(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "word",
    [
        "INSERT DATA {}",
        "DELETE WHERE { ?s ?p ?o }",
        "LOAD <http://x/>",
        "CLEAR ALL",
        "DROP GRAPH <x:g>",
        "WITH <x:g> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
        "PREFIX a: <x:> INSERT { } WHERE { }",
    ],
)
def test_updates_are_refused_by_name(word: str) -> None:
    with pytest.raises(QueryError, match="updates are refused"):
        inspect(word)


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("SELECT *\n{ ?s dct:title ?o }", 2, 6, "Add PREFIX dct: <http://purl.org/dc/terms/>"),
        ("SELCT * { ?s ?p ?o }", 1, 1, "Did you mean SELECT?"),
        ("PREFIX dct: <http://x/>\nSELECT * { ?s dtc:title ?o }", 2, 15, "Did you mean 'dct:'?"),
        ("SELECT * { ?s ?p ?o\n", 1, 10, None),
        ("SELECT * { ?s ?p ) }", 1, 18, "'{' is still open."),
        ('SELECT * { ?s ?p "é }', 1, 18, None),
        ("SELECT * { ?s ?p \x00 }", 1, 18, None),
        ("SELECT * { \\u0053ERVICE <http://x/> {} }", 1, 12, None),
        ("", 1, 1, "A query starts with SELECT, ASK, CONSTRUCT or DESCRIBE, after its prefixes."),
        ("WHERE { }", 1, 1, "Start with SELECT, ASK, CONSTRUCT or DESCRIBE."),
    ],
)
def test_mistakes_get_line_character_and_hint(text: str, line: int, column: int, hint: str | None) -> None:
    with pytest.raises(QueryError) as caught:
        inspect(text)
    error = caught.value
    assert error.place is not None
    assert (error.place.line, error.place.column_number) == (line, column)
    assert (error.hint.en if error.hint else None) == hint


def test_a_query_longer_than_the_limit_in_bytes_is_refused() -> None:
    text = "ASK { ?s ?p '" + "é" * 100 + "' }"
    inspect(text, Limits(query_bytes=216))
    with pytest.raises(QueryError, match="longer than 215 bytes"):
        inspect(text, Limits(query_bytes=215))


def test_form_prefixes_and_datasets_are_read_from_the_text() -> None:
    found = inspect(
        "BASE <http://x/base/> PREFIX g: <../graph/> PREFIX h: <http://y/def#>\n"
        "DESCRIBE ?s FROM g:a FROM <b> FROM NAMED h:c FROM <b> FROM NAMED <http://z/caf\\u00E9> { GRAPH <no> { ?s ?p ?o } }"
    )
    assert (found.form, found.kind) == ("DESCRIBE", "graph")
    assert found.from_default == ("http://x/graph/a", "http://x/base/b")
    assert found.from_named == ("http://y/def#c", "http://z/café")
    assert found.prefixes == {"g": "http://x/graph/", "h": "http://y/def#"}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT * { VALUES ?x { 1 2 3 4 5 } }", 2),
        ("SELECT * { VALUES ?x { 1 2 3 4 5 } } # the end", 2),
        ("SELECT * { VALUES ?x { 1 2 3 4 5 } } LIMIT 4", 2),
        ("SELECT * { VALUES ?x { 1 2 3 4 5 } } LIMIT 1", 1),
        ("SELECT * { VALUES ?x { 1 2 3 4 5 } } OFFSET 4", 1),
        ("SELECT * { VALUES ?x { 1 2 3 4 5 } } ORDER BY ?x LIMIT 99999999999999999999", None),
        ("SELECT * { { SELECT * { VALUES ?x { 1 2 3 4 5 } } LIMIT 5 } } ORDER BY DESC(?x)", 2),
        ("SELECT * { } VALUES ?x { 1 2 3 4 5 }", 2),
        ("SELECT * { } LIMIT 3 OFFSET 1 VALUES ?x { 1 2 3 4 5 }", 2),
    ],
)
def test_a_cap_becomes_the_limit_of_the_outermost_select(text: str, rows: int | None) -> None:
    capped = inspect(text).capped(2)
    if rows is None:  # a number that no engine takes stays a syntax error
        with pytest.raises(SyntaxError):
            ox.Store().query(capped)
        return
    assert len(list(ox.Store().query(capped))) == rows  # type: ignore[arg-type]


def test_other_forms_are_not_given_a_limit() -> None:
    for text in ("ASK {}", "CONSTRUCT WHERE { ?s ?p ?o }", "DESCRIBE <x:y>"):
        assert inspect(text).capped(2) == text
