"""A slice says of a change what a full validation says: on a thousand random changes, deletions and blank nodes included."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import Limits
from cityorchestra_ld.namespaces import RDF
from cityorchestra_ld.validation import ShapesGraph, load_shapes, worker
from cityorchestra_ld.validation.published import slice_of
from cityorchestra_ld.validation.rewrite import engine_shapes
from cityorchestra_ld.validation.run import Run
from cityorchestra_ld.validation.slice import SUBCLASS, Change, lines
from cityorchestra_ld.validation.state import StoreReader, TooMuchError, Triples
from cityorchestra_ld.validation.tally import Tally, path_of
from cityorchestra_ld.validation.worker import Row

X, TYPE, XSD = "https://x.example/", f"{RDF}type", "http://www.w3.org/2001/XMLSchema#"
CHANGES = 1_000

RULES = f"""@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <{X}> . @prefix xsd: <{XSD}> .
ex:Count sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:maxCount 2 ; sh:class ex:D ] .
ex:Chain sh:targetSubjectsOf ex:q ; sh:property [ sh:path ( ex:p ex:q ) ; sh:minCount 1 ] .
ex:Back sh:targetObjectsOf ex:p ; sh:property [ sh:path [ sh:inversePath ex:q ] ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] .
ex:Star sh:targetNode ex:n0 , ex:n1 ; sh:property [ sh:path [ sh:zeroOrMorePath ex:q ] ; sh:maxCount 3 ] .
ex:Closed sh:targetClass ex:E ; sh:closed true ; sh:property [ sh:path ex:p ] , [ sh:path ex:q ] .
ex:Nested sh:targetClass ex:D ; sh:property [ sh:path ex:r ; sh:node [ sh:property [ sh:path ex:p ; sh:minCount 1 ] ] ] .
ex:Either sh:targetClass ex:C ; sh:property [ sh:path ex:q ; sh:or ( [ sh:class ex:C ] [ sh:datatype xsd:integer ] ) ] .
ex:Some sh:targetClass ex:C ; sh:property [ sh:path ex:r ; sh:qualifiedValueShape [ sh:class ex:D ] ; sh:qualifiedMinCount 1 ] .
ex:Less sh:targetSubjectsOf ex:r ; sh:property [ sh:path ex:q ; sh:lessThan ex:r ] , [ sh:path ex:p ; sh:disjoint ex:r ] .
ex:Flat sh:targetClass ex:C ; sh:sparql [ sh:select '''SELECT $this ?value WHERE {{
    $this <{X}p> ?value . FILTER NOT EXISTS {{ ?value <{X}q> ?x . FILTER EXISTS {{ ?x a <{X}C> }} }} }}''' ] .
ex:Shared sh:targetSubjectsOf ex:p ; sh:sparql [ sh:select '''SELECT $this ?value WHERE {{
    $this <{X}p> ?a . ?value <{X}p> ?a ; <{X}r> ?b . OPTIONAL {{ ?b <{X}q> ?c }} FILTER(?value != $this && BOUND(?c)) }}''' ] .
ex:Group sh:targetClass ex:D ; sh:sparql [ sh:select '''SELECT $this (COUNT(?a) AS ?value) WHERE {{
    $this <{X}q>/<{X}q> ?a }} GROUP BY $this HAVING (COUNT(?a) > 1)''' ] .
"""


class Here:
    """The fast engine in this process."""

    name, fast = "here", True

    def run(self, data: Path, shapes: bytes, budget: object, *, cap: int | None = None, blank: bool = True) -> Iterator[Row]:
        return worker.run_fast(str(data), shapes, cap, blank=blank)


@pytest.fixture
def shapes(tmp_path: Path) -> ShapesGraph:
    (tmp_path / "shapes.ttl").write_text(RULES)
    return load_shapes([tmp_path / "shapes.ttl"], base_iri="https://base.example/")


def iri(name: str) -> ox.NamedNode:
    return ox.NamedNode(X + name)


NODES = [*(iri(f"n{i}") for i in range(9)), *(ox.BlankNode(f"b{i}") for i in range(3))]
VALUES = [
    *NODES,
    ox.Literal(1),
    ox.Literal(2),
    ox.Literal("05", datatype=ox.NamedNode(f"{XSD}integer")),
    ox.Literal("a", language="fr"),
]


def some_triple(chance: random.Random):
    if chance.random() < 0.25:
        return chance.choice(NODES), TYPE, chance.choice([iri("C"), iri("D"), iri("E"), iri("Sub")])
    return chance.choice(NODES), X + chance.choice("pqrs"), chance.choice(VALUES)


def everything(graph, shapes: ShapesGraph, folder: Path) -> Counter:
    path = folder / "whole.nq"
    path.write_text("".join(lines(graph)))
    rows = worker.run_fast(str(path), engine_shapes(shapes, shapes.targeted), None, blank=True)
    return Counter(reduced(row, shapes) for row in rows)


def reduced(row: Row, shapes: ShapesGraph) -> tuple:
    return shapes.shapes[row.shape].root, row.focus, path_of(row, shapes), row.value, row.component, row.shape


def sliced(change: Change, shapes: ShapesGraph, folder: Path):
    affected = change.affected()
    seen = change.visible(affected.judged, shapes.targeted)
    run = Run(
        shapes,
        slice_of(seen, affected, shapes.targeted, folder),
        [Here()],
        Limits(report_samples=10_000),
        folder,
        Tally(10_000),
    )
    run.all()
    return Counter(reduced(row, shapes) for row in run.tally.kept()), affected, run.survey.triples


@pytest.mark.slow
def test_a_slice_says_what_a_full_validation_says_on_a_thousand_random_changes(shapes: ShapesGraph, tmp_path: Path) -> None:
    chance = random.Random(11)
    graph = {some_triple(chance) for _ in range(90)} | {(iri("Sub"), SUBCLASS, iri("C"))}
    results = everything(graph, shapes, tmp_path)
    changed = smaller = 0
    for number in range(CHANGES):
        steady = sorted((t for t in graph if t[1] != SUBCLASS), key=str)  # the same changes on every machine
        removed = set(chance.sample(steady, min(len(steady), chance.choice([0, 1, 1, 2, 5]))))
        added = {some_triple(chance) for _ in range(chance.choice([0, 1, 1, 2, 5]))} - graph
        change = Change(Triples(graph), added, removed, shapes)
        assert not change.changes_classes and not change.opaque
        found, affected, size = sliced(change, shapes, tmp_path)
        touched = {(shape, str(node)) for shape, nodes in affected.touched.items() for node in nodes}
        after = (graph - removed) | added
        expected = everything(after, shapes, tmp_path)
        composed = Counter({row: count for row, count in results.items() if row[:2] not in touched}) + found
        assert composed == expected, f"change {number}: missing {expected - composed}, too many {composed - expected}"
        changed += results != expected
        smaller += size < len(after)
        graph, results = after, expected
    assert changed > CHANGES / 3
    assert smaller > CHANGES / 3


def test_a_change_on_a_store_keeps_the_literals_of_the_raw_data_and_sees_nothing_twice(
    shapes: ShapesGraph, tmp_path: Path
) -> None:
    integer = ox.NamedNode(f"{XSD}integer")
    old, new = (ox.Literal(text, datatype=integer) for text in ("007", "008"))
    store = ox.Store()
    store.extend([ox.Quad(iri("n3"), iri("q"), old), ox.Quad(iri("n3"), ox.NamedNode(TYPE), iri("C"))])
    change = Change(StoreReader(store), [(iri("n3"), f"{X}q", new)], [(iri("n3"), f"{X}q", old)], shapes)
    seen = change.visible(change.affected().judged, shapes.targeted)
    assert {value for _, predicate, value in seen if predicate == f"{X}q"} == {new}
    again = Change(StoreReader(store), [(iri("n3"), f"{X}q", old)], [], shapes)
    assert {
        value for _, predicate, value in again.visible(again.affected().judged, shapes.targeted) if predicate == f"{X}q"
    } == {old}


def test_a_change_of_the_class_hierarchy_or_of_too_many_nodes_needs_a_full_validation(shapes: ShapesGraph) -> None:
    assert Change(Triples(), [(iri("E"), SUBCLASS, iri("C"))], [], shapes).changes_classes
    many = Change(Triples(), [(iri(f"m{i}"), TYPE, iri("C")) for i in range(30)], [], shapes, most=20)
    with pytest.raises(TooMuchError):
        many.affected()
    hub = Triples([(iri(f"m{i}"), f"{X}p", iri("hub")) for i in range(30)])
    with pytest.raises(TooMuchError):
        Change(hub, [(iri("hub"), f"{X}q", iri("n1"))], [], shapes, most=20).affected()
