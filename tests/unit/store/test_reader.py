"""Lookups see the graphs of a view and nothing else, in a fixed order, a page at a time."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import StoreError, UsageError
from cityorchestra_ld.model import GraphChange
from cityorchestra_ld.store import EmbeddedStore, Reader
from cityorchestra_ld.store.serialization import write_statements

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


def test_quads_are_found_by_pattern_in_every_graph_or_in_one(reader: Reader) -> None:
    node = ox.NamedNode("x:s")
    graphs = [ox.NamedNode(info.graph) for info in reader.generation.graphs]
    assert {quad.graph_name for quad in reader.quads(node)} >= set(graphs)
    assert {str(quad.object) for quad in reader.quads(node, ox.NamedNode(f"{RDF}type"), None, graphs[0])} == {"<x:Stop>"}
    assert len(list(reader.quads(None, ox.NamedNode("x:serves"), node, graphs[0]))) == 25


@pytest.mark.parametrize("media_type", ["text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml",
                                        "application/trig", "application/n-quads"])  # fmt: skip
def test_every_format_reads_back_as_what_was_written(reader: Reader, media_type: str) -> None:
    triples = [quad.triple for quad in reader.quads(ox.NamedNode("x:s"), None, None, None)]
    out = io.BytesIO()
    write_statements(triples, out, media_type, {"skos": SKOS, "rdfs": RDFS, "unused": "http://unused/"})
    back = {quad.triple for quad in ox.parse(out.getvalue(), format=ox.RdfFormat.from_media_type(media_type))}
    assert back == set(triples)
    assert b"unused" not in out.getvalue()


def test_turtle_declares_the_prefixes_that_it_uses(reader: Reader) -> None:
    out = io.BytesIO()
    write_statements(
        [quad.triple for quad in reader.quads(ox.NamedNode("x:s"))], out, "text/turtle", {"rdfs": RDFS, "skos": SKOS}
    )
    assert b"@prefix rdfs:" in out.getvalue()
    assert b"rdfs:label" in out.getvalue()
    with pytest.raises(UsageError, match="text/csv"):
        write_statements((), out, "text/csv")


def test_a_reader_may_be_used_from_any_thread(reader: Reader) -> None:
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(len(list(reader.quads(ox.NamedNode("x:s"))))))
    thread.start()
    thread.join()
    assert seen == [len(list(reader.quads(ox.NamedNode("x:s"))))]


def test_a_closed_reader_says_so(reader: Reader) -> None:
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        reader.quads()
