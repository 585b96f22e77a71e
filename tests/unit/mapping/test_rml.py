"""Reading mappings: vocabularies, lines, and what is refused before any row is read."""

from __future__ import annotations

import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import read_mapping
from cityorchestra_ld.mapping.plan import FunctionCall, TermType


def refused(bench, mapping: str) -> MappingError:
    with pytest.raises(MappingError) as caught:
        bench.plan(mapping)
    assert caught.value.place is not None
    return caught.value


def test_malformed_turtle_has_a_line_and_a_column(bench):
    error = refused(bench, "<#a> rml:template [ .\n")
    assert error.place is not None
    assert (error.place.line, error.place.column_number is not None) == (8, True)


@pytest.mark.parametrize("text", ["", "<#a> rml:reference 'x' ."])
def test_a_mapping_without_rules_is_refused(bench, text):
    assert "no rule" in refused(bench, text).message.en


def test_a_mapping_that_is_absent_or_not_utf8_is_refused(tmp_path):
    path = tmp_path / "m.ttl"
    for content in (None, b"\xff\xfe\x00"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(MappingError, match="cannot be read"):
            read_mapping(path, base_iri="http://x.org/")


def test_old_and_new_vocabularies_give_the_same_plan(bench, csv_rule):
    new = csv_rule('rml:reference "n" ; rml:datatype xsd:integer', 'rml:template "http://x/{n}" ; rml:termType rml:IRI')
    old = (
        new.replace("rml:reference ", "old:reference ").replace("rml:logicalSource", "old:logicalSource")
        .replace("rml:source", "old:source").replace("rml:referenceFormulation rml:CSV", "old:referenceFormulation ql:CSV")
        .replace('[ a rml:RelativePathSource ; rml:root rml:MappingDirectory ; rml:path "data.csv" ]', '"data.csv"')
    )  # fmt: skip
    for word in (
        "TriplesMap",
        "predicateObjectMap",
        "predicate ",
        "objectMap",
        "subjectMap",
        "template",
        "datatype",
        "termType",
        "IRI",
    ):
        old = old.replace(f"rml:{word}", f"rr:{word}")
    prefixes = (
        "@prefix rr: <http://www.w3.org/ns/r2rml#> . @prefix old: <http://semweb.mmlab.be/ns/rml#> . "
        "@prefix ql: <http://semweb.mmlab.be/ns/ql#> .\n"
    )
    files = {"data.csv": "id,n\n1,5\n2,\n"}
    assert bench.run(prefixes + old, files) == bench.run(new, files)


def test_rules_are_known_by_short_names_and_lines(bench, csv_rule):
    plan = bench.plan("\n\n" + csv_rule('rml:reference "n"'))
    assert [(item.name, item.line) for item in plan.maps] == [("Rule", 10)]
    assert plan.names == ("data.csv",)
    assert plan.sources[0].references == ("id", "n")
    assert plan.sources[0].spec.format == "csv"


def test_yarrrml_is_read_by_its_suffix_with_conditions_and_functions(bench):
    plan = bench.plan("""
prefixes: {ex: "http://ex.org/", fn: "https://ld.cityorchestra.example/def/fn#"}
mappings:
  stop:
    sources: [['data.csv~csv']]
    s: ex:$(id)
    condition: {function: fn:isNotNull, parameters: [[fn:value, $(n)]]}
    po:
      - [a, ex:Stop]
      - p: ex:name
        o: {function: fn:upper, parameters: [[fn:value, $(n)]]}
""")
    (rule,) = plan.maps
    assert rule.name == "stop"
    assert rule.line == 4
    assert rule.condition is not None
    assert bench.run((bench.folder / "mapping.yml").read_text(), {"data.csv": "id,n\n1,a\n2,\n"}) == {
        "<http://ex.org/1> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://ex.org/Stop>",
        '<http://ex.org/1> <http://ex.org/name> "A"',
    }


BAD = {
    "two subjects": ('rml:reference "n"', {"more": 'rml:subjectMap [ rml:template "http://x/{id}" ] ;'}, "one subject"),
    "literal subject": (
        'rml:reference "n"',
        {"subject": 'rml:reference "id" ; rml:termType rml:Literal'},
        "may not stand here",
    ),
    "no expression": ("rml:termType rml:IRI", {}, "Exactly one expression"),
    "two expressions": ('rml:reference "n" ; rml:template "{n}"', {}, "Exactly one expression"),
    "unknown term type": ('rml:reference "n" ; rml:termType rml:Iri', {}, "Unknown rml:termType"),
    "language and datatype": ('rml:reference "n" ; rml:language "fr" ; rml:datatype xsd:string', {}, "not both"),
    "bad language": ('rml:reference "n" ; rml:language "français"', {}, "not a language tag"),
    "language of an IRI": ('rml:template "http://x/{n}" ; rml:termType rml:IRI ; rml:language "fr"', {}, "Only a literal"),
    "bad template": ('rml:template "http://x/{n"', {}, "Malformed template"),
    "template that is no IRI": ('rml:template "http://x y/{n}"', {}, "valid IRI"),
    "constant of another type": ('rml:constant "a" ; rml:termType rml:BlankNode', {}, "not an rml:BlankNode"),
    "unknown function": ("rml:functionExecution [ rml:function fn:nope ]", {}, "not allowed"),
    "pair without object": ('rml:reference "n"', {"more": "rml:predicateObjectMap [ rml:predicate ex:p ] ;"}, "one object"),
    "targets": ('rml:reference "n" ; rml:logicalTarget [ a rml:LogicalTarget ]', {}, "A target is a file"),
    "unknown parent": ("rml:parentTriplesMap ex:nowhere", {}, "names no rule"),
}


@pytest.mark.parametrize("what", BAD)
def test_rules_that_contradict_the_standard_are_refused_with_rule_and_line(bench, csv_rule, what):
    text, options, message = BAD[what]
    error = refused(bench, csv_rule(text, **options))
    assert message in error.message.en
    assert error.place is not None
    assert error.place.line is not None
    assert error.place.rule == "Rule"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            'rml:source [ a rml:RelativePathSource ; rml:path "a.xml" ] ; rml:referenceFormulation rml:XPath',
            "'XPath' is not supported",
        ),
        ("rml:referenceFormulation rml:CSV", "which file to read"),
        ("rml:source [ a ex:Database ] ; rml:referenceFormulation rml:CSV", "Only CSV and JSON files"),
        ('rml:source "a.json" ; rml:referenceFormulation rml:JSONPath ; rml:iterator "$.a["', "Malformed JSONPath iterator"),
        ('rml:source "a.csv" ; rml:referenceFormulation rml:CSV ; rml:iterator "$"', "no iterator"),
        (
            'rml:source [ rml:path "a.csv.7z" ; rml:compression rml:sevenzip ] ; rml:referenceFormulation rml:CSV',
            "Unknown compression",
        ),
    ],
)
def test_sources_that_cannot_be_read_are_refused(bench, source, message):
    error = refused(bench, f'<#R> rml:logicalSource [ {source} ] ; rml:subjectMap [ rml:template "http://x/{{id}}" ] .')
    assert message in error.message.en


def test_what_a_source_says_of_its_file_is_kept(bench):
    plan = bench.plan(
        '@prefix csvw: <http://www.w3.org/ns/csvw#> . <#R> rml:subjectMap [ rml:template "http://x/{id}" ] ; rml:logicalSource '
        '[ rml:source [ a csvw:Table ; csvw:url "a.csv" ; csvw:dialect [ csvw:delimiter ";" ; csvw:encoding "windows-1252" ] ; '
        "rml:compression rml:gzip ] ; rml:referenceFormulation rml:CSV ] ."
    )
    spec = plan.sources[0].spec
    assert (spec.name, spec.delimiter, spec.encoding, spec.compression) == ("a.csv", ";", "windows-1252", "gzip")
    null = '<#R> rml:subjectMap [ rml:template "http://x/{id}" ] ; rml:logicalSource [ rml:source '
    declared = bench.plan(null + '[ a rml:RelativePathSource ; rml:path "a.csv" ; rml:null "NA", "" ] ] .')
    assert set(declared.sources[0].spec.nulls) == {"NA", ""}
    assert bench.plan(null + '[ a rml:RelativePathSource ; rml:path "a.csv" ] ] .').sources[0].spec.nulls == ()
    assert bench.plan(null + '"a.csv" ] .').sources[0].spec.nulls == ("",)


def test_term_types_have_the_defaults_of_the_standard(bench, csv_rule):
    (rule,) = bench.plan(
        csv_rule('rml:reference "n"', 'rml:template "http://x/{n}"', 'rml:template "{n}" ; rml:language "fr"',
                 "rml:constant ex:a",
                 'rml:functionExecution [ rml:function fn:trim ; rml:input [ rml:parameter fn:value ; rml:inputValue "x" ] ]')
    ).maps  # fmt: skip
    objects = [pair.objects[0] for pair in rule.predicate_objects]
    assert [term.type for term in objects] == [
        TermType.LITERAL, TermType.IRI, TermType.LITERAL, TermType.IRI, TermType.LITERAL,
    ]  # fmt: skip
    assert isinstance(objects[4].expression, FunctionCall)
    assert rule.subject.type is TermType.IRI
