"""Validation as a whole: what is judged, what is counted, what is said when it cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld.errors import ShapesError
from cityorchestra_ld.model import Limits, Severity
from cityorchestra_ld.validation import check, load_shapes, run, sandbox, validate
from cityorchestra_ld.validation.sandbox import EngineRefusedError

STOP = """ex:S a sh:NodeShape ; sh:targetClass ex:Stop ; sh:property ex:code .
ex:code sh:path ex:c ; sh:minCount 1 ; sh:datatype xsd:string ."""


def test_results_counts_coverage_and_engine_are_told(judged) -> None:
    report = judged(
        STOP + " ex:Idle sh:targetClass ex:Nothing ; sh:nodeKind sh:IRI .", 'ex:a a ex:Stop . ex:b a ex:Stop ; ex:c "1" , 2 .'
    )
    assert not report.conforms
    assert report.counts == {Severity.VIOLATION: 2, Severity.WARNING: 0, Severity.INFO: 0}
    assert {(r.focus, r.path, r.value, r.component) for r in report.results} == {
        ("<https://x.example/a>", "<https://x.example/c>", None, "MinCountConstraintComponent"),
        (
            "<https://x.example/b>",
            "<https://x.example/c>",
            '"2"^^<http://www.w3.org/2001/XMLSchema#integer>',
            "DatatypeConstraintComponent",
        ),
    }
    assert report.focus_nodes == 2
    assert report.shapes == ("<https://x.example/S>",)
    assert report.idle_shapes == ("<https://x.example/Idle>",)
    assert report.engine.startswith("shacl ")
    assert report.triples == 4


def test_warnings_do_not_block_and_a_severity_of_ones_own_does(judged) -> None:
    warned = judged("ex:S sh:targetClass ex:C ; sh:severity sh:Warning ; sh:nodeKind sh:Literal .", "ex:a a ex:C .")
    assert warned.conforms
    assert warned.counts[Severity.WARNING] == 1
    assert not judged("ex:S sh:targetClass ex:C ; sh:severity ex:Grave ; sh:nodeKind sh:Literal .", "ex:a a ex:C .").conforms


def test_values_are_those_of_the_raw_data(judged) -> None:
    for engine in ("fast", "pyshacl"):
        report = judged(
            "ex:S sh:targetSubjectsOf ex:p ; sh:property [ sh:path ex:p ; sh:maxInclusive 5 ] .",
            'ex:a ex:p "0012"^^xsd:integer , "7.500"^^xsd:decimal .',
            engine=engine,
        )
        assert {r.value.split("^")[0] for r in report.results} == {'"0012"', '"7.500"'}
        assert report.engine.startswith("pyshacl" if engine == "pyshacl" else "shacl")


def test_blank_nodes_keep_the_labels_of_the_file(file, shapes) -> None:
    lines = "".join(f"_:n{i} <https://x.example/p> _:m{i % 7} .\n" for i in range(50))
    rules = shapes(
        "ex:S sh:targetSubjectsOf ex:p ; sh:property [ sh:path ex:p ; sh:nodeKind sh:IRI ] , [ sh:path ex:q ; sh:in ( [] ) ] ."
    )
    report = validate(file(lines, "data.nt", plain=True), rules, limits=Limits(report_samples=100))
    assert {(r.focus, r.value) for r in report.results} == {(f"_:n{i}", f"_:m{i % 7}") for i in range(50)}


# --- context ------------------------------------------------------------------------------------------------------------------


def test_shapes_see_the_context_but_judge_the_data_only(judged) -> None:
    rules = "ex:S sh:targetClass ex:Stop ; sh:property [ sh:path ex:in ; sh:class ex:Town ] ."
    report = judged(
        rules,
        "ex:a a ex:Stop ; ex:in ex:rennes . ex:b a ex:Stop ; ex:in ex:mars .",
        "ex:rennes a ex:Town . ex:other a ex:Stop ; ex:in ex:venus .",
    )
    assert [(r.focus, r.value) for r in report.results] == [("<https://x.example/b>", "<https://x.example/mars>")]
    assert report.focus_nodes == 2


def test_a_class_of_the_context_makes_focus_nodes_of_the_data(judged) -> None:
    rules = "ex:S sh:targetClass ex:Stop ; sh:property [ sh:path ex:c ; sh:minCount 1 ] ."
    assert (
        len(
            judged(
                rules, "ex:a a ex:BusStop .", "ex:BusStop rdfs:subClassOf ex:RoadStop . ex:RoadStop rdfs:subClassOf ex:Stop ."
            ).results
        )
        == 1
    )
    assert len(judged(rules, "ex:a ex:d 1 .", "ex:a a ex:Stop . ex:z a ex:Stop .").results) == 1


def test_a_node_that_the_data_point_at_is_judged_and_one_that_only_the_context_points_at_is_not(judged) -> None:
    rules = "ex:S sh:targetObjectsOf ex:in ; sh:property [ sh:path ex:c ; sh:minCount 1 ] ."
    assert [r.focus for r in judged(rules, "ex:a ex:in ex:t .", "ex:b ex:in ex:u .").results] == ["<https://x.example/t>"]


def test_a_nested_result_about_a_node_of_the_context_is_kept_when_the_data_lead_to_it(judged) -> None:
    rules = "ex:S sh:targetClass ex:Stop ; sh:property [ sh:path ex:in ; sh:property [ sh:path ex:name ; sh:minCount 1 ] ] ."
    report = judged(rules, "ex:a a ex:Stop ; ex:in ex:t .", "ex:z a ex:Stop ; ex:in ex:u . ex:t ex:d 1 .")
    assert [r.focus for r in report.results] == ["<https://x.example/t>"]


def test_a_shape_marked_data_only_does_not_see_the_context(judged) -> None:
    rules = """ex:P sh:targetNode ex:graph ; csh:scope csh:DataOnly ; sh:sparql [ sh:message "mail {?value}"@fr ;
        sh:select "SELECT $this ?value WHERE { ?s ?p ?value . FILTER(isLiteral(?value) && CONTAINS(STR(?value), '@')) }" ] ."""
    report = judged(rules, 'ex:a ex:p "a@b.fr" .', 'ex:c ex:p "c@d.fr" .')
    assert [(r.value, r.message.fr) for r in report.results] == [('"a@b.fr"', "mail a@b.fr")]
    assert (
        len(judged(rules.replace("csh:scope csh:DataOnly ;", ""), 'ex:a ex:p "a@b.fr" .', 'ex:c ex:p "c@d.fr" .').results) == 2
    )


def test_blank_nodes_of_data_and_context_do_not_meet(file, shapes) -> None:
    rules = shapes("ex:S sh:targetSubjectsOf ex:p ; sh:property [ sh:path ex:q ; sh:minCount 1 ] .")
    data, context = (
        file("_:x <https://x.example/p> 1 .\n".replace("1", '"1"'), "d.nt", plain=True),
        file('_:x <https://x.example/q> "1" .\n', "c.nt", plain=True),
    )
    assert len(validate(data, rules, context=[context]).results) == 1


# --- a great many results -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [900, 1])
def test_counts_are_exact_and_samples_bounded_when_results_are_many(
    nodes: int, file, shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CAP", 200)
    lines = "".join(
        f"<urn:n{i % nodes}> <https://x.example/p> <urn:m{i}> .\n<urn:m{i}> <https://x.example/q> <urn:t> .\n"
        for i in range(900)
    )
    rules = shapes(
        "ex:S sh:targetSubjectsOf ex:p ; sh:property [ sh:path ex:p ; sh:nodeKind sh:Literal ] ,"
        " [ sh:path ( ex:p ex:q ) ; sh:nodeKind sh:Literal ] ."
    )
    data = file(lines, "many.nt", plain=True)
    report = validate(data, rules, limits=Limits(report_samples=5))
    assert report.counts[Severity.VIOLATION] == (1800 if nodes > 1 else 901)
    assert len(report.results) <= 10
    assert [group.shown for group in report.groups] == [5, 5] if nodes > 1 else [5, 1]
    assert not report.truncated
    again = validate(data, rules, limits=Limits(report_samples=5))
    assert again.results == report.results


def test_a_lower_bound_is_told_when_one_node_has_too_many_results(file, shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CAP", 20)
    monkeypatch.setattr(run, "LAST_CAP", 50)
    data = file("".join(f"<urn:n> <https://x.example/p> <urn:m{i}> .\n" for i in range(100)), "many.nt", plain=True)
    report = validate(data, shapes("ex:S sh:targetSubjectsOf ex:p ; sh:property [ sh:path ex:p ; sh:nodeKind sh:Literal ] ."))
    assert report.truncated == ("<https://x.example/S>",)
    assert report.counts[Severity.VIOLATION] == 50


# --- ways of writing ----------------------------------------------------------------------------------------------------------


RDF_XML = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="urn:a"><p xmlns="urn:" rdf:resource="urn:x"/></rdf:Description></rdf:RDF>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.nq", "<urn:a> <urn:p> <urn:x> <urn:g1> .\n<urn:a> <urn:p> <urn:x> <urn:g2> .\n"),
        ("d.nq", "<urn:a>\t<urn:p>   <urn:x> .  # comment\n\n"),
        ("d.nt", "<urn:\\u0061> <urn:p> <urn:x>.\r\n"),
        ("d.nq", "<urn:a> <urn:p> <urn:x> _:g .\n_:b <urn:r> _:c _:g .\n"),
        ("d.trig", "GRAPH <urn:g> { <urn:a> <urn:p> <urn:x> }"),
        ("d.jsonld", '{"@id": "urn:a", "urn:p": {"@id": "urn:x"}}'),
        ("d.rdf", RDF_XML),
    ],
)  # fmt: skip
def test_any_syntax_and_any_graph_is_judged_as_triples(name: str, text: str, file, shapes) -> None:
    report = validate(
        file(text, name, plain=True),
        shapes("ex:S sh:targetSubjectsOf <urn:p> ; sh:property [ sh:path <urn:p> ; sh:nodeKind sh:Literal ] ."),
    )
    assert [(r.focus, r.value) for r in report.results] == [("<urn:a>", "<urn:x>")]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("d.nt", '<urn:a> <urn:p> "x" .\nnot RDF at all\n', 2),
        ("d.nq", '<urn:a> <urn:p> "x" .\n<urn:a> <urn:p> <not an iri> .\n', 2),
        ("d.nq", '<urn:a> <urn:p> "x" .\n<urn:a> <urn:p> "unclosed .\n', 2),
        ("d.ttl", "@prefix ex: <urn:> .\n\nex:a ex:p", 3),
        ("d.json", '{"@context": "http://127.0.0.1:9/c", "@id": "urn:a"}', None),
    ],
)
def test_data_that_are_not_rdf_are_refused_with_the_line(name: str, text: str, line: int | None, file, shapes) -> None:
    with pytest.raises(ShapesError) as caught:
        validate(file(text, name, plain=True), shapes(STOP))
    assert caught.value.place.file.endswith(name)
    assert caught.value.place.line == line or line is None


def test_data_that_are_empty_missing_or_of_an_unknown_kind_are_refused(file, shapes, tmp_path: Path) -> None:
    for path in (file("", "empty.nt", plain=True), tmp_path / "none.nt", file("a;b", "table.csv", plain=True)):
        with pytest.raises(ShapesError):
            validate(path, shapes(STOP))


def test_a_shapes_graph_without_shapes_is_refused(file) -> None:
    with pytest.raises(ShapesError):
        validate(file("ex:a ex:b ex:c ."), load_shapes([file("ex:a ex:b ex:c .")], base_iri="https://base.example/"))


def test_nothing_to_check_is_said_aloud(judged) -> None:
    report = judged(STOP, "ex:a a ex:Other .")
    assert report.focus_nodes == 0
    assert "nothing was checked" in report.notes[-1].en


# --- two engines --------------------------------------------------------------------------------------------------------------


def test_the_reference_answers_when_the_fast_engine_refuses_and_the_report_says_so(
    judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = check.choose

    def choose(name: str):
        first, *rest = original(name)
        monkeypatch.setattr(first, "run", lambda *_, **__: (_ for _ in ()).throw(EngineRefusedError("not today")))
        return [first, *rest]

    monkeypatch.setattr(check, "choose", choose)
    report = judged(STOP, "ex:a a ex:Stop .")
    assert report.engine.startswith("pyshacl ")
    assert len(report.results) == 1
    with pytest.raises(ShapesError, match="not today"):
        judged(STOP, "ex:a a ex:Stop .", engine="fast")


@pytest.mark.parametrize(
    ("line", "instead"),
    [("    import shacl\n", "    import no_such_engine\n"), ("{first + number}", "{first + number + 1}")],
    ids=["is not installed here", "counts blank nodes another way"],
)
def test_the_reference_answers_when_the_fast_engine(
    line: str, instead: str, judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = sandbox.WORKER.read_text(encoding="utf-8")
    assert line in text
    (tmp_path / "worker.py").write_text(text.replace(line, instead), encoding="utf-8")
    monkeypatch.setattr(sandbox, "WORKER", tmp_path / "worker.py")
    report = judged(STOP, "_:b a ex:Stop .")
    assert report.engine.startswith("pyshacl ")
    assert len(report.results) == 1
