"""A triple that several public graphs hold counts once in the default graph, and is whole in each named graph."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Access, Generation, GraphChange, GraphInfo
from cityorchestra_ld.store import EmbeddedStore, Pool, open_store
from cityorchestra_ld.store.generations import Layout, read_manifest
from cityorchestra_ld.store.hidden import HIDDEN, graph_of
from cityorchestra_ld.store.merge import default_graphs, merge
from cityorchestra_ld.store.snapshots import keep_snapshot

Change = Callable[..., GraphChange]
COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"


def lines(*numbers: int) -> list[str]:
    return [f"<x:{number}> <x:p> <x:o> ." for number in numbers]


def plain_count(generation: Generation) -> int:
    """Count what a plain query of the public sees, with the lists that the workers get."""
    store = ox.Store.read_only(str(generation.path / "db"))
    names = default_graphs(view(generation.graphs), read_manifest(generation.path).merged)
    result = store.query(COUNT, default_graph=[graph_of(name) for name in names], named_graphs=[])
    return int(next(result)[0].value)  # type: ignore[arg-type, union-attr]


def test_shared_triples_count_once_through_all_changes(store: EmbeddedStore, change: Change) -> None:
    large = change("a/large", *lines(*range(100)))
    first = store.publish([large, change("b/small", *lines(200, 201, 0))])
    assert plain_count(first) == 102
    merged = read_manifest(first.path).merged
    assert merged is not None
    assert (len(merged.members), merged.triples) == (2, 102)
    second = store.publish([change("b/small", *lines(200, 201, 1, 2)), change("c/other", *lines(201, 300))])
    assert plain_count(second) == 103
    third = store.publish([change("a/large", *lines(*range(5, 100)))])  # what was covered is seen again
    assert plain_count(third) == 100
    assert all(store.verify(number, deep=True) == () for number in (1, 2, 3))
    fourth = store.publish([change("b/small"), change("c/other")])
    assert (plain_count(fourth), read_manifest(fourth.path).merged) == (95, None)
    assert store.verify(deep=True) == ()


def test_what_an_earlier_version_published_is_answered_and_followed(store: EmbeddedStore, change: Change) -> None:
    """It kept the merge in a named graph, and left the triples of the largest graph out."""
    first = store.publish([change("a/large", *lines(*range(100))), change("b/small", *lines(0, 200, 201))])
    manifest = read_manifest(first.path)
    assert manifest.merged is not None
    named = ox.NamedNode("urn:cityorchestra:merged")
    layout = Layout(store.root)
    content = layout.root.with_name("merged.nt")
    content.write_text("".join(f"{line}\n" for line in lines(200, 201)))
    kept = keep_snapshot(layout, content, str)
    database = ox.Store(str(first.path / "db"))
    database.clear_graph(ox.DefaultGraph())
    database.load(path=str(content), format=ox.RdfFormat.N_TRIPLES, to_graph=named)
    database.flush()
    del database
    merged = {"members": manifest.merged.members, "sha256": kept.sha256, "triples": 2, "beside": first.graphs[0].graph}
    written = msgspec.json.decode(msgspec.json.encode(manifest)) | {"merged": merged}
    (first.path / "manifest.json").write_bytes(msgspec.json.encode(written))
    assert plain_count(first) == 102
    assert store.verify(1, deep=True) == ()
    second = store.publish([change("c/other", *lines(201, 300))])
    assert plain_count(second) == 103
    assert read_manifest(second.path).method == "difference"
    assert store.verify(2, deep=True) == ()


@pytest.mark.parametrize("number", [50, 30_000])
def test_sharing_that_begins_with_a_small_or_large_change_is_noticed(store: EmbeddedStore, change: Change, number: int) -> None:
    store.publish([change("a/x", *lines(*range(40_000))), change("b/y", *lines(50_000))])
    second = store.publish([change("b/y", *lines(*range(39_990, 39_990 + number)))])
    assert plain_count(second) == 39_990 + number


def test_two_graphs_that_begin_to_share_in_one_publication_are_noticed(store: EmbeddedStore, change: Change) -> None:
    store.publish([change("a/x", *lines(*range(100)))])
    made = store.publish([change("b/y", *lines(200)), change("c/z", *lines(200))])
    assert plain_count(made) == 101


def test_a_graph_that_becomes_public_is_looked_at(store: EmbeddedStore, change: Change) -> None:
    first = store.publish([change("a/x", *lines(*range(100))), change("b/y", *lines(1, 200), access=Access.RESTRICTED)])
    assert (plain_count(first), read_manifest(first.path).merged) == (100, None)  # one public graph is its own merge
    second = store.publish([change("b/y", *lines(1, 200))])
    assert plain_count(second) == 101
    third = store.publish([change("b/y", *lines(1, 200), access=Access.RESTRICTED)])
    assert plain_count(third) == 100


def test_workers_answer_with_a_set_and_nobody_can_name_the_hidden_graph(store: EmbeddedStore, change: Change) -> None:
    made = store.publish([change("a/x", *lines(1, 2, 3)), change("b/y", *lines(3, 4))])

    async def ask() -> list[object]:
        async with Pool(made, 1) as pool:
            found = []
            for text in (
                COUNT,
                "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }",
                f"SELECT (COUNT(*) AS ?n) {{ GRAPH <{HIDDEN}> {{ ?s ?p ?o }} }}",
                "SELECT ?n { GRAPH ?n {} }",
            ):
                answer = await pool.query(text, view(made.graphs), "application/sparql-results+json")
                rows = msgspec.json.decode(await answer.read())["results"]["bindings"]
                found.append([row["n"]["value"].removeprefix("https://ld.cityorchestra.example/graph/data/") for row in rows])
            named = view(made.graphs, asked_default=[HIDDEN], asked_named=[HIDDEN])
            assert (named.default_graphs, named.named_graphs) == ((), ())
            return found

    assert asyncio.run(ask()) == [["4"], ["5"], ["0"], ["a/x", "b/y"]]


@given(contents=st.lists(st.sets(st.integers(0, 12), max_size=8), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_the_hidden_graph_is_everything_once(tmp_path_factory: pytest.TempPathFactory, contents: list[set[int]]) -> None:
    layout = Layout(tmp_path_factory.mktemp("merge") / "store")
    graphs, held = {}, {}
    for index, numbers in enumerate(contents):
        path = layout.root.with_name(f"{index}.nt")
        path.write_text("".join(f"{line}\n" for line in lines(*numbers)))
        kept = keep_snapshot(layout, path, str)
        graphs[f"g:{index}"] = GraphInfo(graph=f"g:{index}", role="data", triples=kept.triples, sha256=kept.sha256)
        held[f"g:{index}"] = numbers
    merged = merge(layout, graphs)
    everything = set().union(*contents)
    names = default_graphs(view(list(graphs.values())), merged)
    total = sum(len(held[name]) for name in names if name != HIDDEN) + (merged.triples if merged else 0)
    assert total == len(everything)
    assert (merged is None) == (sum(1 for numbers in contents if numbers) < 2)


def test_a_view_of_some_public_graphs_gets_these_graphs(tmp_path: Path, change: Change) -> None:
    store = open_store(tmp_path / "other")
    made = store.publish([change("a/x", *lines(1, 2, 3)), change("b/y", *lines(3, 4))])
    merged = read_manifest(made.path).merged
    one = view(made.graphs, asked_default=[made.graphs[1].graph])
    assert default_graphs(one, merged) == [made.graphs[1].graph]
