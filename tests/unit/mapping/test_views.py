"""Logical views: fields, records inside records, joins of views."""

from __future__ import annotations

import json

import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import Wanted, materialize, trace

SOURCE = """
<#source> rml:source [ a rml:RelativePathSource ; rml:path "epci.json" ] ; rml:referenceFormulation rml:JSONPath ;
  rml:iterator "$[*]" .
"""
VIEW = (
    SOURCE
    + """
<#view> a rml:LogicalView ; rml:viewOn <#source> ;
  rml:field [ rml:fieldName "epci" ; rml:reference "$.code" ] ;
  rml:field [ a rml:IterableField ; rml:fieldName "m" ; rml:iterator "$.membres[*]" ;
    rml:field [ rml:fieldName "code" ; rml:reference "$.code" ] ; rml:field [ rml:fieldName "nom" ; rml:reference "$.nom" ] ] .
<#Member> rml:logicalSource <#view> ; rml:subjectMap [ rml:template "http://ex.org/{m.code}" ] ;
  rml:predicateObjectMap [ rml:predicate rdfs:label ; rml:objectMap [ rml:reference "m.nom" ] ],
    [ rml:predicate ex:of ; rml:objectMap [ rml:template "http://ex.org/epci/{epci}" ] ],
    [ rml:predicate ex:rank ; rml:objectMap [ rml:template "{#}.{m.#}" ; rml:termType rml:Literal ] ] .
"""
)
EPCI = """[{"code":"e1","membres":[{"code":"a","nom":"A"},{"code":"b","nom":"B"}]},{"code":"e2","membres":[]},
{"code":"e3","membres":[{"code":"c","nom":null}]}]"""


def test_records_inside_records_keep_what_is_around_them(bench):
    assert bench.run(VIEW, {"epci.json": EPCI}) == {
        '<http://ex.org/a> <http://www.w3.org/2000/01/rdf-schema#label> "A"',
        '<http://ex.org/b> <http://www.w3.org/2000/01/rdf-schema#label> "B"',
        "<http://ex.org/a> <http://ex.org/of> <http://ex.org/epci/e1>",
        "<http://ex.org/b> <http://ex.org/of> <http://ex.org/epci/e1>",
        "<http://ex.org/c> <http://ex.org/of> <http://ex.org/epci/e3>",
        '<http://ex.org/a> <http://ex.org/rank> "0.0"', '<http://ex.org/b> <http://ex.org/rank> "0.1"',
        '<http://ex.org/c> <http://ex.org/rank> "2.0"',
    }  # fmt: skip


def test_the_records_of_the_file_are_counted_not_those_of_the_view(bench):
    assert bench.report(VIEW, {"epci.json": EPCI}).records == {"epci.json": 3}


def test_a_triple_of_a_view_is_traced_to_its_record(bench):
    plan, tables = bench.plan(VIEW), bench.tables({"epci.json": EPCI})
    materialize(plan, tables, bench.folder / "out.nq")
    wanted = Wanted("<http://ex.org/b>", "<http://www.w3.org/2000/01/rdf-schema#label>", '"B"')
    (origin,) = trace(plan, tables, [wanted])[wanted]
    assert (origin.row, origin.column, origin.cell, origin.triples_map) == (1, "$.membres[*].nom", "B", "Member")


def test_what_views_ask_of_the_file_is_known_to_the_plan(bench):
    (source,) = bench.plan(VIEW).sources
    assert set(source.references) == {"$.code", "$.membres[*]", "$.membres[*].code", "$.membres[*].nom"}


def test_an_error_in_a_view_names_the_record(bench):
    view = VIEW.replace('rml:reference "m.nom"', 'rml:reference "m.nom" ; rml:datatype xsd:integer')
    with pytest.raises(MappingError, match="xsd:integer") as caught:
        bench.run(view, {"epci.json": EPCI})
    place = caught.value.place
    assert place is not None
    assert (place.file, place.row, place.value) == ("epci.json", 1, "A")


def test_an_unknown_field_is_named_with_the_nearest(bench):
    with pytest.raises(MappingError, match=r"m\.name") as caught:
        bench.run(VIEW.replace('"m.nom"', '"m.name"'), {"epci.json": EPCI})
    assert caught.value.hint is not None
    assert "m.nom" in caught.value.hint.en


def test_a_cell_that_holds_json_is_opened(bench):
    mapping = """
    <#source> rml:source [ a rml:RelativePathSource ; rml:path "a.csv" ] ; rml:referenceFormulation rml:CSV .
    <#view> rml:viewOn <#source> ; rml:field [ rml:fieldName "id" ; rml:reference "id" ] ;
      rml:field [ rml:fieldName "j" ; rml:reference "j" ; rml:field [ rml:iterator "$.x[*]" ;
        rml:referenceFormulation rml:JSONPath ; rml:fieldName "x" ; rml:field [ rml:fieldName "v" ; rml:reference "$.v" ] ] ] .
    <#R> rml:logicalSource <#view> ; rml:subjectMap [ rml:template "http://ex.org/{id}" ] ;
      rml:predicateObjectMap [ rml:predicate ex:v ; rml:objectMap [ rml:reference "j.x.v" ] ] .
    """
    files = {"a.csv": 'id,j\n1,"{""x"":[{""v"":5},{""v"":""t""}]}"\n2,no json\n3,\n'}
    assert bench.values(mapping, files) == {'"5"^^<http://www.w3.org/2001/XMLSchema#integer>', '"t"'}


def test_csv_inside_a_value_of_json_is_opened_as_rfc_4180_says(bench):
    mapping = """
    <#source> rml:source [ a rml:RelativePathSource ; rml:path "a.json" ] ; rml:referenceFormulation rml:JSONPath ;
      rml:iterator "$[*]" .
    <#view> rml:viewOn <#source> ; rml:field [ rml:fieldName "id" ; rml:reference "$.id" ] ;
      rml:field [ rml:fieldName "t" ; rml:reference "$.t" ; rml:field [ rml:referenceFormulation rml:CSV ;
        rml:fieldName "row" ; rml:field [ rml:fieldName "v" ; rml:reference "a column" ] ] ] .
    <#R> rml:logicalSource <#view> ; rml:subjectMap [ rml:template "http://ex.org/{id}/{t.row.#}" ] ;
      rml:predicateObjectMap [ rml:predicate ex:v ; rml:objectMap [ rml:reference "t.row.v" ] ] .
    """
    text = 'n,a column\r\n1,"x, ""y""\nz"\r\n2,\n3\n'
    files = {"a.json": json.dumps([{"id": "a", "t": text}, {"id": "b", "t": None}, {"id": "c", "t": "n,a column"}])}
    got = bench.run(mapping, files)
    assert got == {
        '<http://ex.org/a/0> <http://ex.org/v> "x, \\"y\\"\\nz"',
        '<http://ex.org/a/1> <http://ex.org/v> ""',
    }


def test_views_that_define_each_other_are_refused_with_a_line(bench):
    mapping = (
        '<#a> rml:viewOn <#b> ; rml:field [ rml:fieldName "x" ; rml:reference "y" ] .\n'
        '<#b> rml:viewOn <#a> ; rml:field [ rml:fieldName "y" ; rml:reference "x" ] .\n'
        '<#R> rml:logicalSource <#a> ; rml:subjectMap [ rml:template "http://ex.org/{x}" ] .'
    )
    with pytest.raises(MappingError, match="defined by each other") as caught:
        bench.plan(mapping)
    assert caught.value.place is not None
    assert caught.value.place.line is not None


def test_two_fields_of_one_name_are_refused(bench):
    twice = VIEW.replace('rml:fieldName "nom"', 'rml:fieldName "code"')
    with pytest.raises(MappingError, match="Two fields are named 'code'"):
        bench.plan(twice)


@pytest.mark.parametrize(("kind", "expected"), [("leftJoin", {"1", "2"}), ("innerJoin", {"1"})])
def test_views_are_joined(bench, kind, expected):
    mapping = (
        SOURCE
        + f"""
    <#members> rml:viewOn <#source> ; rml:field [ rml:fieldName "e" ; rml:reference "code" ] ;
      rml:field [ rml:fieldName "c" ; rml:reference "membres[*].code" ] .
    <#csv> rml:source [ a rml:RelativePathSource ; rml:path "a.csv" ] ; rml:referenceFormulation rml:CSV .
    <#view> rml:viewOn <#csv> ; rml:field [ rml:fieldName "id" ; rml:reference "id" ] ; rml:field
        [ rml:fieldName "k" ; rml:reference "k" ] ;
      rml:{kind} [ rml:parentLogicalView <#members> ; rml:joinCondition [ rml:child "k" ; rml:parent "e" ] ;
        rml:field [ rml:fieldName "member" ; rml:reference "c" ] ] .
    <#R> rml:logicalSource <#view> ; rml:subjectMap [ rml:template "http://ex.org/{{id}}" ; rml:class ex:T ] ;
      rml:predicateObjectMap [ rml:predicate ex:m ; rml:objectMap [ rml:reference "member" ] ] .
    """
    )
    bench.report(mapping, {"epci.json": EPCI, "a.csv": "id,k\n1,e1\n2,zz\n"})
    quads = bench.quads()
    assert {q.subject.value[-1] for q in quads if q.predicate.value.endswith("type")} == expected
    assert {q.object.value for q in quads if q.predicate.value.endswith("/m")} == {"a", "b"}
