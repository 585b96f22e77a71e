"""JSON sources: iterators, natural types, arrays, nested records, odd shapes."""

from __future__ import annotations

import json
import random

import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import jsonpath, workspace

XSD = "http://www.w3.org/2001/XMLSchema#"


def test_natural_types_of_json_are_kept(bench, json_rule):
    data = [{"id": 1, "v": v} for v in (1, 1.5, True, None, 'a"b\\ é\n', -0.0, 1e3, 10**25)] + [{"id": 1}]
    assert bench.values(json_rule('rml:reference "$.v"'), {"data.json": json.dumps(data)}) == {
        f'"1"^^<{XSD}integer>', f'"1.5E0"^^<{XSD}double>', f'"true"^^<{XSD}boolean>',
        '"a\\"b\\\\ é\\n"', f'"-0.0E0"^^<{XSD}double>',
        f'"1.0E3"^^<{XSD}double>', f'"{10**25}"^^<{XSD}integer>',
    }  # fmt: skip


def test_a_declared_datatype_takes_the_number_as_it_is_written(bench, json_rule):
    rule = json_rule('rml:reference "v" ; rml:datatype xsd:decimal')
    assert bench.values(rule, {"data.json": '[{"id":1,"v":48.117},{"id":2,"v":3},{"id":3,"v":"2.50"}]'}) == {
        f'"48.117"^^<{XSD}decimal>', f'"3"^^<{XSD}decimal>', f'"2.5"^^<{XSD}decimal>',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("iterator", "document"),
    [
        ("$[*]", '[{"id":1},{"id":2}]'), ("$.data.stations[*]", '{"data":{"stations":[{"id":1},{"id":2}],"n":3}}'),
        ("$.features[*].properties", '{"features":[{"properties":{"id":1}},{"properties":{"id":2}}]}'),
        ("$..x[*]", '{"a":{"x":[{"id":1}]},"b":[{"x":[{"id":2}]}]}'), ("$.*", '{"a":{"id":1},"b":{"id":2}}'),
        ("$[?(@.keep == true)]", '[{"id":1,"keep":true},{"id":3,"keep":false},{"id":2,"keep":true}]'),
        ("$[0:2]", '[{"id":1},{"id":2},{"id":3}]'), ("$['a','b c']", '{"a":{"id":1},"b c":{"id":2}}'),
        ("$[*].m[*]", '[{"m":[{"id":1}]},{"m":[]},{"m":[{"id":2}]},{}]'),
    ],
)  # fmt: skip
def test_iterators_select_records(bench, json_rule, iterator, document):
    report = bench.report(json_rule('rml:reference "$.id"', iterator=iterator), {"data.json": document})
    assert report.records == {"data.json": 2}
    assert {quad.object.value for quad in bench.quads()} == {"1", "2"}


def test_elements_of_arrays_and_members_inside_them_are_reached(bench, json_rule):
    rule = json_rule(
        'rml:reference "tags[*]"', 'rml:reference "$.h[*].day"', 'rml:reference "$.h[0].day"', 'rml:reference "$.h[-1].day"'
    )
    document = '[{"id":1,"tags":["a",null,"b"],"h":[{"day":"mo"},{"day":"tu"}]},{"id":2,"tags":[],"h":null}]'
    assert bench.run(rule, {"data.json": document}) == {
        f'<http://ex.org/1> <http://ex.org/p{p}> "{v}"'
        for p, v in ((0, "a"), (0, "b"), (1, "mo"), (1, "tu"), (2, "mo"), (3, "tu"))
    }


def test_a_subject_can_come_from_the_elements_of_an_array(bench, json_rule):
    rule = json_rule('rml:template "http://ex.org/epci/{code}"', subject='rml:template "http://ex.org/{membres[*].code}"')
    assert bench.run(
        rule, {"data.json": '[{"code":"e1","membres":[{"code":"a"},{"code":"b"}]},{"code":"e2","membres":[]}]'}
    ) == {
        "<http://ex.org/a> <http://ex.org/p0> <http://ex.org/epci/e1>",
        "<http://ex.org/b> <http://ex.org/p0> <http://ex.org/epci/e1>",
    }


def test_a_template_over_two_arrays_gives_every_combination(bench, json_rule):
    rule = json_rule('rml:template "{a[*]}-{b[*]}" ; rml:termType rml:Literal')
    assert bench.values(rule, {"data.json": '[{"id":1,"a":["x","y"],"b":["1","2"]}]'}) == {'"x-1"', '"x-2"', '"y-1"', '"y-2"'}


@pytest.mark.parametrize("value", ['{"a":1}', "[1,2]"])
def test_a_reference_to_an_object_or_array_is_an_error_that_names_the_record(bench, json_rule, value):
    with pytest.raises(MappingError, match="object or array") as caught:
        bench.run(json_rule('rml:reference "$.v"'), {"data.json": f'[{{"id":1,"v":2}},{{"id":2,"v":{value}}}]'})
    place = caught.value.place
    assert place is not None
    assert (place.file, place.row, place.column, place.value) == ("data.json", 2, "$.v", value)


def test_records_of_different_shapes_are_read_all_the_same(bench, json_rule):
    rule = json_rule('rml:reference "$.a.b"', 'rml:reference "$.l[*].x"')
    document = '[{"id":1,"a":{"b":"1"},"l":[{"x":"y"}]},{"id":2,"a":"text","l":{"x":"z"}},{"id":3,"a":[],"l":"w"}]'
    assert bench.values(rule, {"data.json": document}) == {'"1"', '"y"'}


def test_plain_and_typed_reading_give_the_same_graph(bench, json_rule, monkeypatch):
    rng = random.Random(5)
    pool = [1, -2.5, True, None, "x", 'é"\\\n', "", "[", "{}", "null"]
    records = [
        {"id": n, "a": {"b": rng.choice(pool)}, "t": [rng.choice(pool) for _ in range(rng.randrange(4))],
         "h": [{"x": rng.choice(pool), "y": {"z": [rng.choice(pool)]}} for _ in range(rng.randrange(3))]}
        for n in range(60)
    ]  # fmt: skip
    rule = json_rule(
        'rml:reference "a.b"',
        'rml:reference "t[*]"',
        'rml:reference "h[*].y.z[*]"',
        'rml:template "http://x.org/{a.b}/{h[*].x}"',
    )
    typed = bench.run(rule, {"data.json": json.dumps(records)})
    monkeypatch.setattr(workspace.Workspace, "__init__", plain_workspace(workspace.Workspace.__init__))
    assert bench.run(rule, {"data.json": json.dumps(records)}) == typed
    assert len(typed) > 100


def plain_workspace(original):
    def start(self, *arguments, **options):
        original(self, *arguments, **options)
        self.typed = False

    return start


def test_names_are_told_apart_by_case_and_may_be_odd(bench, json_rule):
    rule = json_rule('''rml:reference "$.Name"''', '''rml:reference "$.name"''', """rml:reference "$['a \\\\'b\\" c.d']" """)
    document = json.dumps([{"id": 1, "Name": "N", "name": "n", "a 'b\" c.d": "odd"}, {"id": 2, "NAME": "no"}])
    assert bench.values(rule, {"data.json": document}) == {'"N"', '"n"', '"odd"'}


def test_a_value_and_its_members_can_both_be_used(bench, json_rule):
    geometry = (
        "rml:functionExecution [ rml:function fn:geometry ; rml:input "
        '[ rml:parameter fn:value ; rml:inputValueMap [ rml:reference "$.geometry" ] ] ]'
    )
    rule = json_rule(geometry, 'rml:reference "$.geometry.type"')
    document = '[{"id":1,"geometry":{"type":"Point","coordinates":[-1.5,48.0]}},{"id":2,"geometry":null}]'
    assert bench.values(rule, {"data.json": document}) == {
        '"POINT(-1.5 48.0)"^^<http://www.opengis.net/ont/geosparql#wktLiteral>', '"Point"',
    }  # fmt: skip


def test_a_truncated_document_is_an_error_and_leaves_nothing(bench, json_rule):
    with pytest.raises(MappingError, match="not well-formed JSON") as caught:
        bench.run(json_rule('rml:reference "$.v"'), {"data.json": '[{"id":1,"v":2},\n{"id":'})
    assert caught.value.place is not None
    assert (caught.value.place.file, caught.value.place.line) == ("data.json", 2)
    assert not list(bench.folder.glob("out.nq*"))


def test_a_document_nested_too_deep_is_an_error(bench, json_rule):
    with pytest.raises(MappingError, match="not well-formed JSON"):
        bench.run(json_rule('rml:reference "$.v"'), {"data.json": "[" * 100_000 + "]" * 100_000})


def test_pretty_printed_documents_and_escapes_are_read(bench, json_rule):
    document = json.dumps([{"id": "é/1", "v": "line\nbreak \u2028 \ud83d\ude80"}], indent=4)
    bench.report(json_rule('rml:reference "$.v"'), {"data.json": document})
    assert [(quad.subject.value, quad.object.value) for quad in bench.quads()] == [
        ("http://ex.org/é%2F1", "line\nbreak \u2028 \U0001f680")
    ]


@pytest.mark.parametrize("reference", ["$.a[", "$.a[?(@.b)]", "$..a"])
def test_a_reference_that_cannot_be_followed_is_an_error_of_the_mapping(bench, json_rule, reference):
    with pytest.raises(MappingError, match="JSONPath") as caught:
        bench.run(json_rule(f'rml:reference "{reference}"'), {"data.json": "[]"})
    assert caught.value.place is not None
    assert caught.value.place.rule == "Rule"


# --- JSONPath by itself -------------------------------------------------------------------------------------------------------

DOCUMENT = b'[{"a":"x","b":1,"m":[{"c":1},{"c":2}]},{"a":"y","b":2,"m":[]},{"a":"x","b":null}]'


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$[*].m[*]", ["/0/m/0", "/0/m/1"]), ("$[?(@.a=='x')].b", ["/0/b", "/2/b"]), ("$..c", ["/0/m/0/c", "/0/m/1/c"]),
        ("$[-1]", ["/2"]), ("$[-4]", []), ("$[7]", []), ("$[0,2].a", ["/0/a", "/2/a"]), ("$[1:].b", ["/1/b", "/2/b"]),
        ("$[::-1].a", ["/2/a", "/1/a", "/0/a"]), ("$[?@.b >= 2]", ["/1"]), ("$[?(@.m)]", ["/0", "/1"]), ("$", [""]),
    ],
)  # fmt: skip
def test_paths_select_places_in_order(path, found):
    assert [jsonpath.pointer(place) for place, _ in jsonpath.find(DOCUMENT, jsonpath.parse(path))] == found


@pytest.mark.parametrize("path", ["", "$.", "$..", "$.a[", "$.a]", "a[x]", "$.a b(c)", "$[?(@.a ~ 1)]"])
def test_paths_that_are_none_are_refused(path):
    with pytest.raises(ValueError, match=r".*"):
        jsonpath.parse(path)
