"""Property paths: read, written, taken apart."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from cityorchestra_ld.validation.graph import Graph
from cityorchestra_ld.validation.paths import BrokenPathError, Path, read_path
from cityorchestra_ld.validation.rdf import path_triples
from cityorchestra_ld.validation.reads import Read, steps

PREFIX = "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <urn:> . "


def path_of(text: str) -> Path:
    quads = ox.parse(f"{PREFIX} <urn:s> sh:path {text} .", format=ox.RdfFormat.TURTLE)
    graph = Graph((q.subject, q.predicate.value, q.object) for q in quads)
    return read_path(graph, graph.one(ox.NamedNode("urn:s"), "http://www.w3.org/ns/shacl#path"))


EXAMPLES = [
    ("ex:p", "<urn:p>"),
    ("[ sh:inversePath ex:p ]", "^<urn:p>"),
    ("( ex:p [ sh:inversePath ex:q ] )", "<urn:p>/^<urn:q>"),
    ("[ sh:alternativePath ( ex:p ( ex:q ex:r ) ) ]", "<urn:p>|(<urn:q>/<urn:r>)"),
    ("[ sh:zeroOrMorePath [ sh:oneOrMorePath ex:p ] ]", "(<urn:p>+)*"),
    ("[ sh:zeroOrOnePath [ sh:inversePath ex:p ] ]", "(^<urn:p>)?"),
]


@pytest.mark.parametrize(("text", "sparql"), EXAMPLES)
def test_a_path_is_read_and_written_as_sparql(text: str, sparql: str) -> None:
    assert path_of(text).sparql() == sparql
    ox.Store().query(f"SELECT * {{ ?s {sparql} ?o }}")


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES])
def test_a_path_written_as_triples_reads_back_as_itself(text: str) -> None:
    path = path_of(text)
    node, triples = path_triples(path, "b")
    assert read_path(Graph((t.subject, t.predicate.value, t.object) for t in triples), node) == path


@pytest.mark.parametrize(
    "text", ['"p"', "[]", "( ex:p )", "[ sh:inversePath ex:p ; sh:zeroOrMorePath ex:q ]", "[ sh:alternativePath ex:p ]"]
)
def test_a_broken_path_is_refused(text: str) -> None:
    with pytest.raises(BrokenPathError):
        path_of(text)


def test_a_path_that_never_ends_is_refused() -> None:
    quads = ox.parse(f"{PREFIX} _:a sh:inversePath _:b . _:b sh:inversePath _:a .", format=ox.RdfFormat.TURTLE)
    graph = Graph((q.subject, q.predicate.value, q.object) for q in quads)
    with pytest.raises(BrokenPathError):
        read_path(graph, next(graph.subjects()))


def test_a_path_is_taken_apart_into_single_reads() -> None:
    p, q = Path("predicate", "urn:p"), Path("predicate", "urn:q")
    assert set(steps(Path("sequence", parts=(p, q)), ())) == {Read((), "urn:p"), Read((p,), "urn:q")}
    assert set(steps(Path("inverse", parts=(p,)), (q,))) == {Read((q,), "urn:p", inverse=True)}
    back = Path("inverse", parts=(Path("sequence", parts=(p, q)),))
    assert set(steps(back, ())) == {
        Read((), "urn:q", inverse=True),
        Read((Path("inverse", parts=(q,)),), "urn:p", inverse=True),
    }
    assert set(steps(Path("plus", parts=(p,)), ())) == {Read((Path("star", parts=(p,)),), "urn:p")}
