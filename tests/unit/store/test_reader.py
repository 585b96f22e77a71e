"""Lookups see the graphs of a view and nothing else, in a fixed order, a page at a time."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import StoreError, UsageError
from cityorchestra_ld.model import GraphChange, View
from cityorchestra_ld.store import EmbeddedStore, Reader
from cityorchestra_ld.store.serialization import write_statements

Sees = Callable[..., View]
SKOS = "http://www.w3.org/2004/02/skos/core#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@pytest.fixture
def reader(store: EmbeddedStore, change: Callable[..., GraphChange]) -> Iterator[Reader]:
    store.publish(
        [
            change(
                "a/open",
                f"<x:s> <{RDF}type> <x:Stop> .",
                f'<x:s> <{RDFS}label> "Gares" .',
                f'<x:s> <{SKOS}prefLabel> "Stations"@en .',
                "<x:s> <x:geometry> _:g .",
                '_:g <x:wkt> "POINT(1 2)" .',
                "_:g <x:of> <x:s> .",
                *(f"<x:line{number:02}> <x:serves> <x:s> ." for number in range(25)),
            ),
            change(
                "b/closed",
                f"<x:s> <{RDF}type> <x:Secret> .",
                f'<x:s> <{RDFS}label> "Cache"@fr .',
                "<x:spy> <x:serves> <x:s> .",
                "<x:line01> <x:serves> <x:s> .",
                "<x:hidden> <x:p> <x:o> .",
            ),
        ]
    )
    with store.reader() as opened:
        yield opened


def test_a_description_holds_nested_nodes_and_no_hidden_triple(reader: Reader, sees: Sees) -> None:
    found = reader.describe("x:s", sees("a/open"))
    objects = {str(triple.object) for triple in found.triples}
    assert '"POINT(1 2)"' in objects
    assert "<x:Secret>" not in objects
    assert not found.more
    assert len(found.triples) == 6
    assert "<x:Secret>" in {str(triple.object) for triple in reader.describe("x:s", sees("a/open", "b/closed")).triples}


def test_a_description_says_when_it_is_cut(reader: Reader, sees: Sees) -> None:
    found = reader.describe("x:s", sees("a/open"), limit=2)
    assert (len(found.triples), found.more) == (2, True)


def test_what_only_hidden_graphs_know_does_not_exist(reader: Reader, sees: Sees) -> None:
    assert not reader.exists("x:hidden", sees("a/open"))
    assert reader.exists("x:hidden", sees("b/closed"))
    assert not reader.exists("x:nowhere", sees("a/open", "b/closed"))


def test_links_come_in_pages_without_repetition(reader: Reader, sees: Sees) -> None:
    both = sees("a/open", "b/closed")
    pages, offset, more = [], 0, True
    while more:
        page = reader.links_to("x:s", both, offset=offset, limit=10)
        pages.append([str(triple.subject) for triple in page.triples])
        offset, more = offset + 10, page.more
    flat = [subject for page in pages for subject in page]
    assert [len(page) for page in pages] == [10, 10, 7]
    assert len(set(flat)) == 27
    assert "<x:spy>" in flat
    assert "<x:spy>" not in [str(t.subject) for t in reader.links_to("x:s", sees("a/open")).triples]


def test_labels_follow_the_order_of_languages_and_not_of_chance(reader: Reader, sees: Sees) -> None:
    both, open_only = sees("a/open", "b/closed"), sees("a/open")
    assert reader.labels(["x:s", "x:none"], both) == {"x:s": ox.Literal("Cache", language="fr")}
    assert reader.labels(["x:s"], open_only) == {"x:s": ox.Literal("Stations", language="en")}
    assert reader.labels(["x:s"], open_only, languages=("de",)) == {"x:s": ox.Literal("Gares")}


def test_types_and_graphs_are_those_of_the_view(reader: Reader, sees: Sees) -> None:
    assert reader.types(["x:s", "x:line01"], sees("a/open")) == {"x:s": ("x:Stop",)}
    assert reader.types(["x:s"], sees("a/open", "b/closed")) == {"x:s": ("x:Secret", "x:Stop")}
    assert [info.dataset for info in reader.graphs(sees("a/open"))] == ["a/open"]


def test_a_graph_is_written_whole_or_not_at_all(reader: Reader, sees: Sees) -> None:
    name = reader.generation.graphs[1].graph
    shown, hidden = io.BytesIO(), io.BytesIO()
    reader.write_graph(name, sees("b/closed"), shown, "application/n-quads")
    reader.write_graph(name, sees("a/open"), hidden, "application/n-quads")
    assert len(shown.getvalue().splitlines()) == 5
    assert hidden.getvalue() == b""


@pytest.mark.parametrize("media_type", ["text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml",
                                        "application/trig", "application/n-quads"])  # fmt: skip
def test_every_format_reads_back_as_what_was_written(reader: Reader, sees: Sees, media_type: str) -> None:
    triples = reader.describe("x:s", sees("a/open")).triples
    out = io.BytesIO()
    write_statements(triples, out, media_type, {"skos": SKOS, "rdfs": RDFS, "unused": "http://unused/"})
    back = {quad.triple for quad in ox.parse(out.getvalue(), format=ox.RdfFormat.from_media_type(media_type))}
    assert back == set(triples)
    assert b"unused" not in out.getvalue()


def test_turtle_declares_the_prefixes_that_it_uses(reader: Reader, sees: Sees) -> None:
    out = io.BytesIO()
    write_statements(reader.describe("x:s", sees("a/open")).triples, out, "text/turtle", {"rdfs": RDFS, "skos": SKOS})
    assert b"@prefix rdfs:" in out.getvalue()
    assert b"rdfs:label" in out.getvalue()
    with pytest.raises(UsageError, match="text/csv"):
        write_statements((), out, "text/csv")


def test_a_reader_may_be_used_from_any_thread(reader: Reader, sees: Sees) -> None:
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(reader.labels(["x:s"], sees("a/open"))))
    thread.start()
    thread.join()
    assert seen == [{"x:s": ox.Literal("Stations", language="en")}]


def test_a_closed_reader_says_so(reader: Reader, sees: Sees) -> None:
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        reader.exists("x:s", sees("a/open"))
