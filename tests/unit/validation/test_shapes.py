"""Reading shapes: the index, names that stay, and every refusal with its file, line and shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld.errors import ShapesError
from cityorchestra_ld.validation import ShapesGraph, load_shapes

PREFIXES = """@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix ex: <https://x.example/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
"""
BASE = "https://base.example/"
STOP = 'ex:Stop a sh:NodeShape ; sh:targetClass ex:S ; sh:property [ sh:path ex:code ; sh:minCount 1 ; sh:name "code"@fr ] .'


@pytest.fixture
def load(tmp_path: Path):
    def loader(*documents: str, **options) -> ShapesGraph:
        files = []
        for number, document in enumerate(documents):
            files.append(tmp_path / f"s{number}.ttl")
            files[-1].write_text(PREFIXES + document, encoding="utf-8")
        return load_shapes(files, base_iri=BASE, **options)

    return loader


def test_a_shape_is_indexed_with_targets_path_messages_and_parameters(load) -> None:
    shapes = load(STOP + ' ex:Stop sh:message "Non"@fr , "No"@en ; sh:severity sh:Warning .')
    node, prop = shapes.shapes.values()
    assert (node.id, node.named, node.targets[0].kind, dict(node.messages)) == (
        "<https://x.example/Stop>",
        True,
        "class",
        {"fr": "Non", "en": "No"},
    )
    assert node.severity.endswith("#Warning")
    assert (prop.named, prop.root, prop.path.sparql()) == (False, node.id, "<https://x.example/code>")
    assert prop.parameters["minCount"][0].value == "1"
    assert shapes.targeted == (node,)
    assert prop.describe() == "Stop / code"


def test_a_shape_without_a_name_gets_the_same_name_every_time_and_another_when_it_says_something_else(load) -> None:
    first, again = (list(load(STOP).shapes)[1] for _ in range(2))
    other = list(load(STOP.replace("minCount 1", "minCount 2")).shapes)[1]
    assert first == again != other
    assert first.startswith(f"<{BASE}.well-known/genid/shape/Stop-code-")


def test_two_equal_shapes_without_a_name_stay_two(load) -> None:
    shapes = load("ex:S sh:targetClass ex:C ; sh:xone ( [ sh:class ex:D ] [ sh:class ex:D ] ) .")
    assert len(shapes.shapes) == 3


def test_blank_nodes_of_two_files_do_not_meet(load) -> None:
    shapes = load(
        "ex:A sh:targetClass ex:C ; sh:property _:p . _:p sh:path ex:p .",
        "ex:B sh:targetClass ex:C ; sh:property _:p . _:p sh:path ex:q .",
    )
    assert len(shapes.shapes) == 4


def test_the_digest_follows_the_triples(load) -> None:
    assert load(STOP).sha256 == load(STOP).sha256 != load(STOP.replace("1", "2")).sha256


def test_no_shape_at_all_is_told(load) -> None:
    assert load("ex:a ex:b ex:c .").empty
    assert not load(STOP).empty


def test_a_folder_stands_for_its_files(load, tmp_path: Path) -> None:
    load(STOP)
    assert len(load_shapes([tmp_path], base_iri=BASE).shapes) == 2


def test_broken_turtle_names_the_file_and_the_line(load) -> None:
    with pytest.raises(ShapesError) as caught:
        load("ex:Stop a sh:NodeShape ;\n  sh:targetClass \n .")
    assert caught.value.place.file.endswith("s0.ttl")
    assert caught.value.place.line == 5


def test_a_missing_file_and_a_strange_suffix_are_refused(tmp_path: Path) -> None:
    for name in ("none.ttl", "shapes.docx"):
        with pytest.raises(ShapesError):
            load_shapes([tmp_path / name], base_iri=BASE)


def test_a_remote_context_is_not_fetched(tmp_path: Path) -> None:
    file = tmp_path / "s.jsonld"
    file.write_text('{"@context": "http://127.0.0.1:9/context", "@id": "urn:a"}')
    with pytest.raises(ShapesError):
        load_shapes([file], base_iri=BASE)


REFUSED = [
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:minCout 1 ] .", "sh:minCount"),
    ("<> owl:imports <http://127.0.0.1/> . " + STOP, "owl:imports"),
    ("ex:S sh:targetClass ex:C ; sh:js [ sh:jsFunctionName 'f' ] .", "sh:js"),
    ("ex:S sh:targetClass ex:C ; sh:rule [] .", "sh:rule"),
    ("ex:S sh:target [ a sh:SPARQLTarget ; sh:select 'SELECT ?this {}' ] .", "sh:SPARQLTarget"),
    ("ex:data sh:shapesGraph ex:g . " + STOP, "sh:shapesGraph"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:minCount 1 ] .", "sh:path"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p , ex:q ] .", "sh:path"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ( ex:p ) ] .", "sh:path"),
    ("ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:minCount 1 .", "sh:minCount"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:minCount 1.5 ] .", "sh:minCount"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:maxCount 1 , 2 ] .", "sh:maxCount"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:in ex:list ] .", "sh:in"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:datatype 'integer' ] .", "sh:datatype"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:nodeKind sh:Iri ] .", "sh:nodeKind"),
    ("ex:S sh:targetClass 'C' ; sh:nodeKind sh:IRI .", "sh:targetClass"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:uniqueLang 'yes' ] .", "sh:uniqueLang"),
    ("ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:qualifiedValueShape [] ] .", "sh:qualifiedValueShape"),
    ("ex:S sh:targetClass ex:C ; sh:flags 'i' .", "sh:flags"),
    ("ex:S sh:targetClass ex:C ; sh:severity 'high' .", "sh:severity"),
    ("ex:S sh:targetClass ex:C ; sh:message 'a'@fr , 'b'@fr .", "sh:message"),
    ("ex:S sh:targetClass ex:C ; sh:node ex:T . ex:T sh:node ex:S .", "recursion"),
    ("ex:S sh:targetClass ex:C ; sh:or ( [ sh:property [ sh:path ex:p ; sh:node ex:S ] ] ) .", "recursion"),
    ("ex:S sh:targetClass ex:C ; sh:pattern '(a+)+$' .", "sh:pattern"),
    ("ex:S sh:targetClass ex:C ; sh:sparql [ sh:select 'SELECT $this { SERVICE <http://127.0.0.1/> {} }' ] .", "sh:select"),
    ("ex:S sh:targetClass ex:C ; sh:sparql [ sh:message 'no query' ] .", "sh:sparql"),
    ("ex:S a sh:NodeShape ; sh:nodeKind sh:IRI .", "targets"),
]


@pytest.mark.parametrize(("document", "named"), REFUSED)
def test_bad_shapes_are_refused_by_name_with_file_and_line(load, document: str, named: str) -> None:
    with pytest.raises(ShapesError) as caught:
        load(document)
    said = caught.value.render("en")
    assert named in said
    assert "s0.ttl" in said
    assert caught.value.render("fr") != said


def test_a_shape_that_nobody_uses_and_a_bound_that_never_holds_are_noted(load) -> None:
    shapes = load(
        STOP + " ex:Unused a sh:NodeShape . ex:Y sh:targetClass ex:Y ; sh:property ex:year ."
        ' ex:year sh:path ex:y ; sh:datatype xsd:gYear ; sh:minInclusive "2000"^^xsd:gYear .'
    )
    said = " ".join(note.en for note in shapes.notes)
    assert "Unused" in said
    assert "bound on gYear" in said


def test_what_the_specification_ignores_is_accepted_on_request_and_noted(load) -> None:
    shapes = load("<> owl:imports <http://127.0.0.1/> . ex:x sh:unknown 1 . " + STOP, strict=False)
    assert "owl:imports" in shapes.notes[0].en


def test_a_marked_shape_is_judged_on_the_data_only(load) -> None:
    marked = load(f"ex:S sh:targetClass ex:C ; sh:nodeKind sh:IRI ; <{BASE}def/shapes#scope> <{BASE}def/shapes#DataOnly> .")
    assert [shape.scope for shape in marked.shapes.values()] == ["data"]
