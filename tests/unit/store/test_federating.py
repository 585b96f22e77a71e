"""SERVICE blocks are found wherever they may stand, become questions of their own, or are refused with their place."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import QueryError
from cityorchestra_ld.store.federating import MOST, find_blocks, joined, nothing, probe, put_in, without
from cityorchestra_ld.store.guard import inspect

BASE = "https://here.example/sparql"
AT = "SERVICE <https://far.example/sparql>"


def one(text):
    (block,) = find_blocks(text, BASE)
    return block


PLACES = [
    "SELECT * { %s }",
    "SELECT * { ?s ?p ?o . %s }",
    "SELECT * { ?s ?p ?o %s ?o ?q ?z }",
    "SELECT * { OPTIONAL { ?s ?p ?o %s } }",
    "SELECT * { { ?s ?p ?o } UNION { %s } }",
    "SELECT * { ?s ?p ?o MINUS { %s } }",
    "SELECT * { { SELECT ?a { %s } ORDER BY ?a LIMIT 3 } }",
    "ASK { %s FILTER(?a > 1) }",
    "CONSTRUCT { ?a ?b ?c } WHERE { VALUES ?a { <http://x/> } %s }",
    "DESCRIBE ?a { %s }",
    "SELECT * { %s BIND(?a AS ?z) } LIMIT 5",
    "SELECT * { FILTER EXISTS { ?s ?p ?o } %s }",
    "SELECT * { GRAPH ?g { ?s ?p ?o } %s }",
]


@pytest.mark.parametrize("text", PLACES)
@pytest.mark.parametrize("silent", ["", "SILENT "])
def test_a_block_is_found_and_replaced_in_every_place_where_it_may_stand(text, silent):
    written = "{ ?a <http://x/p> ?b # here\n }"
    query = text % f"SERVICE {silent}<https://far.example/sparql> {written}"
    assert inspect(query, may_leave=True).leaves
    block = one(query)
    assert (block.address, block.silent) == ("https://far.example/sparql", bool(silent))
    assert block.asked == "SELECT * WHERE { ?a <http://x/p> ?b }"
    assert block.variables == ("a", "b")
    assert query[block.group : block.end] == written
    for rewritten in (
        probe(query, [block]),
        without(query, [block]),
        put_in(query, [joined(block, "VALUES (?a ?b) { (1 UNDEF) }")]),
        put_in(query, [nothing(block)]),
    ):
        assert "SERVICE" not in rewritten
        ox.Store().query(rewritten, base_iri=BASE)
    assert len(probe(query, [block])) == len(without(query, [block])) == len(query)


@pytest.mark.parametrize(
    ("text", "told", "there"),
    [
        ("SELECT * { SERVICE ?u { ?s ?p ?o } }", "has to name the service", "?u {"),
        ("SELECT * { VALUES ?u { <https://a/> } SERVICE SILENT ?u { ?s ?p ?o } }", "has to name the service", "?u { ?s"),
        ("SELECT * { %s { ?s ?p ?o SERVICE <https://b/> { ?o ?q ?r } } }", "inside another", "SERVICE <https://b/>"),
        ("SELECT * { %s { { SELECT * { SERVICE <https://b/> { ?o ?q ?r } } } } }", "inside another", "SERVICE <https://b/>"),
        ("SELECT * { ?s ?p ?o FILTER EXISTS { %s { ?s ?q ?r } } }", "EXISTS", AT),
        ("SELECT * { ?s ?p ?o FILTER NOT EXISTS { ?s ?x ?y { %s { ?s ?q ?r } } } }", "EXISTS", AT),
        ("SELECT * { ?s ?p ?o FILTER(?o > 1 && EXISTS { %s { ?s ?q ?r } }) }", "EXISTS", AT),
        ("SELECT (EXISTS { %s { ?s ?q ?r } } AS ?e) { ?s ?p ?o }", "EXISTS", AT),
        ("SELECT * { ?s ?p ?o LATERAL { %s { ?s ?q ?r } } }", "LATERAL", AT),
        ("SELECT * { GRAPH ?g { ?s ?p ?o %s { ?s ?q ?r } } }", "GRAPH", AT),
        ("SELECT * { GRAPH <http://g/> { OPTIONAL { %s { ?s ?q ?r } } } }", "GRAPH", AT),
        ("SELECT * { %s { ?s ?q ?r } UNION { ?a ?b ?c } }", "UNION directly follows", "UNION"),
        ("SELECT * { SERVICE { ?s ?q ?r } }", "followed by an address", "SERVICE"),
        ("SELECT * { SERVICE <https://far.example/> ?s ?q ?r }", "followed by an address", "SERVICE"),
        ("SELECT * { SERVICE }", "followed by an address", "SERVICE"),
        ('SELECT * { %s { ?s ?q "\\u0022" } }', "written by its code", '"\\u0022"'),
        ("SELECT * { %s { ?s <http://x/\\u007D> ?r } }", "written by its code", "<http://x/\\u007D>"),
        ("PREFIX a: <http://x/\\u003E> SELECT * { %s { ?s a:b ?r } }", "not an absolute IRI", "a:b"),
    ],
)
def test_what_rows_alone_cannot_mean_is_refused_with_its_place(text, told, there):
    query = text % AT if "%s" in text else text
    with pytest.raises(QueryError, match=told) as caught:
        find_blocks(query, BASE)
    assert query[caught.value.place.column_number - 1 :].startswith(there)
    assert caught.value.hint or "absolute" in told


def test_too_many_blocks_are_refused():
    with pytest.raises(QueryError, match="More than"):
        find_blocks("SELECT * { " + f"{AT} {{ ?s ?p ?o }} " * (MOST + 1) + "}", BASE)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT * { ?s ?p "SERVICE <https://far.example/> { ?a ?b ?c }" }',
        "SELECT * { ?s ?p '''a ' SERVICE <https://far.example/> { } ''' } # SERVICE <https://far.example/> { }",
        "SELECT ?SERVICE { ?SERVICE <http://x/SERVICE> _:SERVICE, 'a'@SERVICE }",
        "PREFIX service: <http://x/> SELECT * { service:SERVICE service:a service:b }",
    ],
)
def test_the_word_elsewhere_asks_nobody(text):
    assert not inspect(text, may_leave=True).leaves
    assert find_blocks(text, BASE) == ()


@pytest.mark.parametrize(
    "text",
    [
        "ASK{SERVICESILENT<https://far.example/>{}}",
        "ASK{?s ?p trueSERVICE<https://far.example/>{}}",
        "PREFIX SERVICEe: <http://y/> ASK{SERVICEe:foo{}}",
        "SERVICE <https://far.example/> { ?s ?p ?o }",
    ],
)
def test_a_word_that_could_be_read_as_service_is_still_refused(text):
    with pytest.raises(QueryError, match="SERVICE"):
        inspect(text, may_leave=True)


def test_the_service_may_be_a_prefixed_name_or_relative():
    assert one("PREFIX far: <https://far.example/> SELECT * { SERVICE far:sparql { ?s ?p ?o } }").address == (
        "https://far.example/sparql"
    )
    assert one("BASE <https://far.example/> SELECT * { SERVICE <sparql> { ?s ?p ?o } }").address == "https://far.example/sparql"
    assert one("SELECT * { service</other>{ ?s ?p ?o } }").address == "https://here.example/other"


def test_only_the_block_goes_out_with_the_prefixes_that_it_uses():
    query = f"""# written by somebody
PREFIX mine: <http://mine/>  PREFIX theirs: <http://theirs/#> PREFIX two: <two#>
SELECT ?secret {{
  ?secret mine:number "1 23 45" .
  {AT} {{ ?s a theirs:T ; two:q <here>, "caf\\u00E9"@fr, "1"^^mine:int .  # for me
    FILTER(?v >= 2 && ! bound(?w) || ?v<3) }}
}}"""
    asked = one(query).asked
    assert asked.splitlines()[:4] == [
        "BASE <https://here.example/sparql>",
        "PREFIX mine: <http://mine/>",
        "PREFIX theirs: <http://theirs/#>",
        "PREFIX two: <https://here.example/two#>",
    ]
    assert asked.splitlines()[4] == (
        'SELECT * WHERE { ?s a theirs:T ; two:q <here>, "caf\\u00E9"@fr, "1"^^mine:int . '
        "FILTER(?v >= 2 && ! bound(?w) || ?v<3) }"
    )
    assert not {"secret", "23", "somebody", "for me"} & set(asked.split())
    ox.Store().query(asked + " LIMIT 2")


@pytest.mark.parametrize(
    "text",
    ["SELECT * { OPTIONAL %s }", "SELECT * { { ?a ?b ?c } UNION %s }", "SELECT * WHERE %s", "SELECT * { GRAPH ?g %s }",
     "SELECT * { MINUS %s }", "SELECT * { %s BIND(1 AS ?s) }"],
)  # fmt: skip
def test_a_query_that_is_not_sparql_around_a_block_does_not_become_so(text):
    query = text % (AT + " { ?s ?p ?o }")
    try:
        blocks = find_blocks(query, BASE)
    except QueryError:
        return
    with pytest.raises(SyntaxError):
        ox.Store().query(probe(query, blocks), base_iri=BASE)
