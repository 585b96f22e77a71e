"""A graph is the same in every form that we write, and equal graphs give equal bytes."""

from __future__ import annotations

import json

import pyoxigraph as ox
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.formats import GRAPH_FORMATS, JSON_LD
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.web.writing import write_graph

PREFIXES = prefixes("https://id.example/")
words = st.text(alphabet="abcXYZ019-._~é%/#'()*", max_size=8).map(lambda text: text.replace("%", "%25"))
spaces = st.sampled_from([*sorted(PREFIXES.values()), "https://other.example/", "urn:x:", "geo:", "id:", "dct:"])
nodes = st.builds(lambda space, word: ox.NamedNode(space + word.replace("#", "")), spaces, words)
predicates = st.builds(
    lambda space, word: ox.NamedNode(space + "p" + word.replace("#", "")), st.sampled_from(sorted(PREFIXES.values())), words
)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=20)
literals = st.one_of(
    texts.map(ox.Literal),
    st.builds(lambda text, lang: ox.Literal(text, language=lang), texts, st.sampled_from(["fr", "en-gb", "br"])),
    st.integers(-(10**18), 10**18).map(ox.Literal),
    st.booleans().map(ox.Literal),
    st.builds(
        lambda text, kind: ox.Literal(text, datatype=ox.NamedNode(f"http://www.w3.org/2001/XMLSchema#{kind}")),
        st.sampled_from(["0", "01", "-0", "true", "1", "x", "1.50", "2024-01-01"]),
        st.sampled_from(["integer", "boolean", "decimal", "date", "gYear", "string"]),
    ),
)
graphs = st.lists(st.builds(ox.Triple, nodes, predicates, st.one_of(nodes, literals)), max_size=8)


@given(graphs)
def test_every_form_reads_back_as_the_same_graph(graph):
    for form in GRAPH_FORMATS:
        written = write_graph(graph, form, PREFIXES)
        assert {quad.triple for quad in ox.parse(written, format=form.rdf)} == set(graph), form.name


@given(graphs.flatmap(lambda graph: st.tuples(st.just(graph), st.permutations(graph))))
def test_equal_graphs_give_equal_bytes(both):
    for form in GRAPH_FORMATS:
        assert write_graph(both[0], form, PREFIXES) == write_graph(both[1], form, PREFIXES)


@given(graphs)
def test_compact_json_ld_declares_the_prefixes_that_it_uses_and_no_other_host(graph):
    document = json.loads(write_graph(graph, JSON_LD, PREFIXES))
    assert set(document["@context"].items()) <= set(PREFIXES.items())
