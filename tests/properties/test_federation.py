"""For any data here and there, and SERVICE anywhere, the answer is that of one store which holds both."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyoxigraph as ox
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.store.errands import Errand
from cityorchestra_ld.store.federating import find_blocks, joined, probe, put_in
from cityorchestra_ld.store.guard import inspect
from cityorchestra_ld.store.service_main import rows_of

FAR, THERE = "https://far.example/sparql", ox.NamedNode("urn:there")
BLANK = "https://here.example/genid/"
NODES = tuple(ox.NamedNode(f"http://n/{number}") for number in range(3))
TEXTS = (
    ox.Literal('é "\n\\ } '), ox.Literal("a", language="fr"), ox.Literal(1), ox.Literal("1.50", datatype=ox.NamedNode("http://d/")),
)  # fmt: skip

triples = st.lists(
    st.builds(
        ox.Triple,
        st.sampled_from((*NODES, ox.BlankNode("b"))),
        st.sampled_from([ox.NamedNode("http://p/1"), ox.NamedNode("http://p/2")]),
        st.sampled_from((*NODES, *TEXTS, ox.BlankNode("b"))),
    ),
    max_size=12,
)
BLOCKS = (
    "?s <http://p/1> ?o", "?s <http://p/2> ?v", "?s ?p ?o .", "?o <http://p/1> ?v", "?s <http://p/1> ?s",
    "<http://n/0> ?p <http://n/1>", "<http://n/0> <http://p/1> <http://n/1>",
    "?s <http://p/1> ?o OPTIONAL { ?o <http://p/2> ?v }", "{ ?s <http://p/1> ?o } UNION { ?s <http://p/2> ?v }",
    "?s <http://p/1>+ ?o", "?s (<http://p/1>|^<http://p/2>)/<http://p/1> ?v",
    "?s <http://p/1> ?o FILTER(?o != <http://n/1>) # not that one\n", "SELECT ?s (COUNT(*) AS ?v) { ?s ?p ?o } GROUP BY ?s",
    "SELECT DISTINCT ?s { ?s ?p ?o }", "?s <http://p/1> ?o MINUS { ?s <http://p/2> ?o }", "?s ?p ?o . BIND(STR(?o) AS ?v)",
    "VALUES (?s ?v) { (<http://n/0> UNDEF) (UNDEF 1) } ?s ?p ?o", "?s ?p ?o FILTER NOT EXISTS { ?o ?p ?s }",
    "?s ?p 'a'@fr , ?o",
)  # fmt: skip
HERE = ("?s <http://p/1> ?o", "?s ?p ?o", "?o <http://p/2> ?v", "?s <http://p/2> ?v OPTIONAL { ?v ?p ?o }")
QUERIES = (
    "SELECT * { %H %A }", "SELECT * { %A %H }", "SELECT * { %A %B }", "SELECT * { OPTIONAL { %A } %H }",
    "SELECT * { %H OPTIONAL { %A FILTER(?s != ?o) } }", "SELECT * { { %H } UNION { %A } }", "SELECT * { %H MINUS { %A } }",
    "SELECT * { { %A } MINUS { %B } }", "SELECT * { { SELECT DISTINCT ?s { %A } } %H }", "SELECT (COUNT(*) AS ?n) { %H %A }",
    "SELECT ?s (COUNT(?o) AS ?n) { %A } GROUP BY ?s HAVING (COUNT(*) > 1)", "SELECT * { %H %A FILTER EXISTS { ?o ?p ?s } }",
    "SELECT * { VALUES ?s { <http://n/0> <http://n/1> } %A BIND(IF(isLiteral(?o), STR(?o), 0) AS ?t) }", "ASK { %H %A }",
    "CONSTRUCT { ?s <http://r/> ?v } { %H %A }", "SELECT * { OPTIONAL { %H } OPTIONAL { %A } }",
    "SELECT * { OPTIONAL { OPTIONAL { %A } %H } %B }", "SELECT DISTINCT ?o { { %A } UNION { %B } UNION { %H } }",
    "SELECT * { { { %A } UNION { %H } } FILTER(BOUND(?o)) }",
)  # fmt: skip
silence = st.sampled_from(["", "SILENT "])
queries = st.builds(
    lambda query, here, blocks, silent: (query.replace("%H", here), blocks, silent),
    st.sampled_from(QUERIES), st.sampled_from(HERE), st.tuples(st.sampled_from(BLOCKS), st.sampled_from(BLOCKS)), silence,
)  # fmt: skip


def filled(query: str, blocks: tuple[str, str], before: str) -> str:
    """Put the blocks into a query, behind the word that says where they are evaluated."""
    for name, block in zip(("%A", "%B"), blocks, strict=True):
        query = query.replace(name, f"{before} {{ {block} }}")
    return query


def in_order(result: object) -> list[str]:
    """Write down a result so that two can be compared: rows as often as they come, triples once."""
    if isinstance(result, ox.QueryBoolean):
        return [str(bool(result))]
    if isinstance(result, ox.QueryTriples):
        return sorted({str(triple) for triple in result})
    names = sorted(variable.value for variable in result.variables)
    return sorted(" ".join(f"{name}={row[name]!s}" for name in names) for row in result)


def ask_there(there: ox.Store) -> Callable[[Errand], bytes]:
    """Answer an errand from a store as a service does."""
    return lambda errand: there.query(f"{errand.asked} LIMIT {errand.rows + 1}").serialize(format=ox.QueryResultsFormat.JSON)


def federated(here: ox.Store, text: str, there: Callable[[Errand], bytes]) -> list[str]:
    """Ask as the service does: each block alone, then the rest of the query with its rows."""
    assert inspect(text, may_leave=True).leaves
    blocks = find_blocks(text, None)
    here.query(probe(text, blocks))
    found = []
    for block in blocks:
        errand = Errand(
            parent=0, check="", base=None, address=FAR, private=True, certificates=None, asked=block.asked,
            variables=block.variables, blank=BLANK, seconds=1, rows=10**6, max_bytes=10**9,
        )  # fmt: skip
        found.append(joined(block, rows_of(errand, io.BytesIO(there(errand))).text))
    return in_order(here.query(put_in(text, found)))


def elsewhere(term: ox.Term) -> ox.Term:
    """Tell a blank node from those that are here."""
    return ox.BlankNode(f"there{term.value}") if isinstance(term, ox.BlankNode) else term


def store_of(found: list[ox.Triple]) -> ox.Store:
    """Make a store of triples."""
    store = ox.Store()
    store.extend([ox.Quad(*triple) for triple in found])
    return store


def both(here: list[ox.Triple], there: list[ox.Triple]) -> ox.Store:
    """Make the store that holds both: what is elsewhere in a named graph."""
    store = store_of(here)
    store.extend([ox.Quad(*map(elsewhere, triple), THERE) for triple in there])
    return store


@settings(max_examples=80, deadline=None)
@given(here=triples, there=triples, asked=queries)
def test_a_federated_answer_is_that_of_one_store(here, there, asked):
    query, blocks, silent = asked
    answer = federated(store_of(here), filled(query, blocks, f"SERVICE {silent}<{FAR}>"), ask_there(store_of(there)))
    whole = in_order(both(here, there).query(filled(query, blocks, f"GRAPH {THERE}")))
    assert answer == sorted(line.replace(str(ox.BlankNode("thereb")), f"<{BLANK}b>") for line in whole)
