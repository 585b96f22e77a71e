"""Joins between rules, and graphs."""

from __future__ import annotations

import pytest

from cityorchestra_ld.errors import MappingError


def links(bench, mapping, files) -> set[tuple[str, str]]:
    bench.report(mapping, files)
    return {
        (quad.subject.value[-2:], quad.object.value[-2:])
        for quad in bench.quads()
        if quad.predicate.value == "http://ex.org/of"
    }


def test_every_matching_pair_is_linked_and_dangling_keys_are_not(bench, join):
    files = {"child.csv": "id,k\n1,a\n2,b\n3,zz\n4,\n", "parent.csv": "key,name\na,x\na,y\nb,z\n,w\n"}
    assert links(bench, join('rml:child "k" ; rml:parent "key"'), files) == {("/1", "/x"), ("/1", "/y"), ("/2", "/z")}


def test_all_conditions_must_hold(bench, join):
    files = {"child.csv": "id,k,l\n1,a,1\n2,a,2\n", "parent.csv": "key,l,name\na,1,x\na,3,y\n"}
    both = join('rml:child "k" ; rml:parent "key"', 'rml:child "l" ; rml:parent "l"')
    assert links(bench, both, files) == {("/1", "/x")}


def test_keys_can_be_templates_and_constants(bench, join):
    files = {"child.csv": "id,k\n1,a\n2,b\n", "parent.csv": "key,name\nx-a,x\nx-b,y\n"}
    template = join('rml:childMap [ rml:template "x-{k}" ] ; rml:parent "key"')
    assert links(bench, template, files) == {("/1", "/x"), ("/2", "/y")}
    assert links(bench, join('rml:childMap [ rml:constant "x-b" ] ; rml:parent "key"'), files) == {("/1", "/y"), ("/2", "/y")}


def test_a_file_can_be_joined_with_itself(bench, join):
    files = {"same.csv": "id,k,name\n1,2,x\n2,3,y\n3,,z\n"}
    itself = join('rml:child "k" ; rml:parent "id"', child="same.csv", parent="same.csv")
    assert links(bench, itself, files) == {("/1", "/y"), ("/2", "/z")}


def test_a_condition_of_the_parent_rule_holds_for_links_too(bench, join):
    more = (
        "fn:condition [ rml:functionExecution [ rml:function fn:equals ; rml:input [ rml:parameter fn:value ; "
        'rml:inputValueMap [ rml:reference "key" ] ], [ rml:parameter fn:other ; rml:inputValue "a" ] ] ] ;'
    )
    files = {"child.csv": "id,k\n1,a\n2,b\n", "parent.csv": "key,name\na,x\nb,y\n"}
    assert links(bench, join('rml:child "k" ; rml:parent "key"', more=more), files) == {("/1", "/x")}


def test_a_join_without_condition_uses_the_same_record(bench, join):
    mapping = join(child="same.csv", parent="same.csv").replace(
        "rml:parentTriplesMap <#Parent> ;", "rml:parentTriplesMap <#Parent>"
    )
    assert links(bench, mapping, {"same.csv": "id,name\n1,x\n2,y\n"}) == {("/1", "/x"), ("/2", "/y")}


def test_a_join_without_condition_between_two_files_is_refused(bench, join):
    with pytest.raises(MappingError, match="same source"):
        links(bench, join(), {"child.csv": "id\n1\n", "parent.csv": "name\nx\n"})


def test_keys_that_are_several_match_when_one_does(bench):
    mapping = """
    <#Child> rml:logicalSource [ rml:source [ a rml:RelativePathSource ; rml:path "c.json" ] ;
       rml:referenceFormulation rml:JSONPath ; rml:iterator "$[*]" ] ;
     rml:subjectMap [ rml:template "http://ex.org/c/{id}" ] ;
     rml:predicateObjectMap [ rml:predicate ex:of ; rml:objectMap [ rml:parentTriplesMap <#Parent> ;
       rml:joinCondition [ rml:child "$.k[*]" ; rml:parent "$.keys[*]" ] ] ] .
    <#Parent> rml:logicalSource [ rml:source [ a rml:RelativePathSource ; rml:path "p.json" ] ;
       rml:referenceFormulation rml:JSONPath ; rml:iterator "$[*]" ] ;
     rml:subjectMap [ rml:template "http://ex.org/p/{name}" ] .
    """
    files = {
        "c.json": '[{"id":1,"k":["a","b"]},{"id":2,"k":["c"]},{"id":3,"k":[]}]',
        "p.json": '[{"name":"x","keys":["a","b"]},{"name":"y","keys":["b","z"]}]',
    }
    assert links(bench, mapping, files) == {("/1", "/x"), ("/1", "/y")}


def test_an_absent_join_column_is_named_with_the_nearest(bench, join):
    with pytest.raises(MappingError, match="No column 'kee'") as caught:
        links(bench, join('rml:child "k" ; rml:parent "kee"'), {"child.csv": "id,k\n1,a\n", "parent.csv": "key,name\na,x\n"})
    assert caught.value.hint is not None
    assert "key" in caught.value.hint.en


# --- graphs -------------------------------------------------------------------------------------------------------------------


def test_triples_without_graph_go_to_the_default_graph_that_was_asked(bench, csv_rule):
    from cityorchestra_ld.mapping import materialize

    more = 'rml:predicateObjectMap [ rml:predicate ex:q ; rml:object "z" ; rml:graph ex:own, rml:defaultGraph ] ;'
    plan = bench.plan(csv_rule('rml:reference "n"', subject='rml:template "http://ex.org/{id}" ; rml:class ex:C', more=more))
    tables = bench.tables({"data.csv": "id,n\n1,a\n"})
    materialize(plan, tables, bench.folder / "out.nq", default_graph="http://g.org/d")
    assert {(quad.predicate.value[-2:], str(quad.graph_name)) for quad in bench.quads()} == {
        ("pe", "<http://g.org/d>"), ("p0", "<http://g.org/d>"), ("/q", "<http://ex.org/own>"), ("/q", "<http://g.org/d>"),
    }  # fmt: skip


def test_a_graph_can_come_from_the_record(bench, csv_rule):
    rule = csv_rule(
        'rml:reference "n"', subject='rml:template "http://ex.org/{id}" ; rml:graphMap [ rml:template "http://g.org/{g}" ]'
    )
    assert bench.run(rule, {"data.csv": "id,n,g\n1,a,x\n2,b,\n"}) == {
        '<http://ex.org/1> <http://ex.org/p0> "a" <http://g.org/x>'
    }
