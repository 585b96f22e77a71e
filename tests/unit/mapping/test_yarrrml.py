"""YARRRML: what each form of the notation means in RML, and what a bad document gets."""

from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping.yarrrml import CONDITION, translate
from cityorchestra_ld.namespaces import FN, RML

FILE = Path("mappings/sde/conso/mapping.yml")
BASE = "https://t.example/"
HEAD = "prefixes:\n  ex: http://ex.example/\n"
GREL = "http://users.ugent.be/~bjdmeest/function/grel.ttl#"


class Rml:
    """The quads of a translation, to be walked by local names of RML."""

    def __init__(self, text):
        self.quads, self.lines = translate(text, base_iri=BASE, path=FILE)

    def all(self, node, *names):
        nodes = [ox.NamedNode(f"{BASE}mapping#{node}") if isinstance(node, str) else node]
        for name in names:
            iri = ox.NamedNode(name if ":" in name else RML + name)
            nodes = [q.object for n in nodes for q in self.quads if q.subject == n and q.predicate == iri]
        return nodes

    def value(self, node, *names):
        (found,) = self.all(node, *names)
        return found.value


def mapping(body, head=HEAD):
    """A document with one mapping `m` over a CSV file; `body` is indented under it."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    return f"{head}mappings:\n  m:\n    sources:\n      - ['f.csv~csv']\n{lines}\n"


def objects(pair):
    rml = Rml(mapping(f"s: ex:$(id)\npo:\n  - {pair}"))
    return rml, rml.all("m", "predicateObjectMap", "objectMap")


def refused(text):
    with pytest.raises(MappingError) as caught:
        translate(text, base_iri=BASE, path=FILE)
    error = caught.value
    assert error.place.file == str(FILE)
    assert error.place.line and error.place.column_number
    assert error.message.fr and error.message.en
    return error


# --- what it means ------------------------------------------------------------------------------------------------------------


def test_a_triples_map_is_named_after_its_file_and_key_and_knows_its_line():
    rml = Rml(mapping("s: ex:$(id)"))
    assert rml.value("m", "http://www.w3.org/2000/01/rdf-schema#label") == "mapping.yml#m"
    assert rml.lines[f"{BASE}mapping#m"] == 4
    assert rml.lines[f"{BASE}mapping#m/subject"] == 7


def test_every_node_that_is_written_has_a_line():
    rml = Rml(
        mapping(
            "s: ex:$(id)\ng: ex:g\npo:\n  - [ex:p, $(a), fr~lang]\n"
            "  - p: ex:q\n    o: {function: fn:slug, ps: [[fn:value, $(a)]]}"
        )
    )
    assert {quad.subject.value for quad in rml.quads} == set(rml.lines)


def test_base_names_the_nodes():
    rml = Rml("base: http://rules.example/x#\n" + mapping("s: ex:$(id)"))
    assert ox.NamedNode("http://rules.example/x#m") in {quad.subject for quad in rml.quads}


def test_a_csv_source_is_a_path_beside_the_mapping():
    rml = Rml(mapping("s: ex:$(id)"))
    (source,) = rml.all("m", "logicalSource")
    assert rml.value(source, "source", "path") == "f.csv"
    assert rml.value(source, "source", "root") == RML + "MappingDirectory"
    assert rml.value(source, "referenceFormulation") == RML + "CSV"


def test_a_named_json_source_is_one_logical_source_for_all_who_use_it():
    text = (
        HEAD + "sources:\n  j: ['f.json~jsonpath', '$.a[*]']\n"
        "mappings:\n  one: {source: j, s: 'ex:$(a)'}\n  two: {source: j, s: 'ex:$(b)'}\n"
    )
    rml = Rml(text)
    assert rml.all("one", "logicalSource") == rml.all("two", "logicalSource")
    assert rml.value("one", "logicalSource", "iterator") == "$.a[*]"
    assert rml.value("one", "logicalSource", "referenceFormulation") == RML + "JSONPath"


def test_a_delimiter_becomes_a_csvw_dialect():
    source = "[{access: f.txt, referenceFormulation: csv, delimiter: '\\t', encoding: cp1252}]"
    rml = Rml(HEAD + f"mappings:\n  m:\n    sources: {source}\n    s: ex:$(id)\n")
    csvw = "http://www.w3.org/ns/csvw#"
    assert rml.value("m", "logicalSource", "source", csvw + "url") == "f.txt"
    assert rml.value("m", "logicalSource", "source", csvw + "dialect", csvw + "delimiter") == "\t"
    assert rml.value("m", "logicalSource", "source", csvw + "dialect", csvw + "encoding") == "cp1252"


def test_a_remote_compressed_source_is_a_distribution():
    source = "[{access: 'https://x.example/f.json', referenceFormulation: jsonpath, iterator: $, compression: gzip}]"
    rml = Rml(HEAD + f"mappings:\n  m:\n    sources: {source}\n    s: ex:$(id)\n")
    assert rml.value("m", "logicalSource", "source", "http://www.w3.org/ns/dcat#downloadURL") == "https://x.example/f.json"
    assert rml.value("m", "logicalSource", "source", "compression") == RML + "gzip"


def test_two_sources_and_two_subjects_make_four_triples_maps_with_the_same_pairs():
    rml = Rml(
        HEAD
        + "mappings:\n  m:\n    sources: [['a.csv~csv'], ['b.csv~csv']]\n    s: ['ex:$(x)', 'ex:$(y)']\n    po: [[a, ex:C]]\n"
    )
    names = ["m", "m.2", "m.3", "m.4"]
    assert [rml.value(n, "logicalSource", "source", "path") for n in names] == ["a.csv", "a.csv", "b.csv", "b.csv"]
    assert [rml.value(n, "subjectMap", "template") for n in names] == ["http://ex.example/{x}", "http://ex.example/{y}"] * 2
    assert len({rml.value(n, "predicateObjectMap") for n in names}) == 1


def test_no_subject_is_a_blank_node_for_each_record():
    rml = Rml(mapping("po: [[a, ex:C]]"))
    assert rml.value("m", "subjectMap", "termType") == RML + "BlankNode"
    assert not rml.all("m", "subjectMap", "template")


@pytest.mark.parametrize(
    ("written", "template"),
    [
        ("ex:$(id)/x", "http://ex.example/{id}/x"),
        (r"ex:a\$(b)-$(c)", "http://ex.example/a$(b)-{c}"),
        (r"ex:$(a\)b)-", "http://ex.example/{a)b}-"),
        ("ex:$(a{b})-", r"http://ex.example/{a\{b\}}-"),
        ("ex:$(Code IRIS)-$(é)", "http://ex.example/{Code IRIS}-{é}"),
    ],
)
def test_templates_keep_references_and_escapes(written, template):
    assert Rml(mapping(f"s: '{written}'")).value("m", "subjectMap", "template") == template


def test_a_single_reference_is_a_reference_and_an_iri_when_it_is_a_subject():
    rml = Rml(mapping("s: $(uri)"))
    assert rml.value("m", "subjectMap", "reference") == "uri"
    assert rml.value("m", "subjectMap", "termType") == RML + "IRI"


def test_an_object_is_a_literal_unless_marked():
    rml, (plain,) = objects("[ex:p, $(x)]")
    assert rml.value(plain, "termType") == RML + "Literal"
    rml, (marked,) = objects("[ex:p, $(x)~iri]")
    assert rml.value(marked, "termType") == RML + "IRI"
    rml, (constant,) = objects("[ex:p, ex:o~iri]")
    assert rml.all(constant, "constant") == [ox.NamedNode("http://ex.example/o")]


def test_a_class_is_an_iri_without_being_marked():
    rml, found = objects("[a, [ex:A, 'ex:$(k)']]")
    assert rml.all(found[0], "constant") == [ox.NamedNode("http://ex.example/A")]
    assert rml.value(found[1], "termType") == RML + "IRI"


@pytest.mark.parametrize(
    ("pair", "name", "value"),
    [
        ("[ex:p, $(x), fr~lang]", "language", "fr"),
        ("[ex:p, $(x), xsd:decimal]", "datatype", "http://www.w3.org/2001/XMLSchema#decimal"),
        ("{p: ex:p, o: {value: $(x), language: fr}}", "language", "fr"),
        ("{p: ex:p, o: {v: $(x), datatype: xsd:date}}", "datatype", "http://www.w3.org/2001/XMLSchema#date"),
        ("{p: ex:p, o: [[$(x), br~lang]]}", "language", "br"),
    ],
)
def test_languages_and_datatypes_in_long_and_short_form(pair, name, value):
    rml, (found,) = objects(pair)
    assert rml.value(found, name) == value
    assert rml.value(found, "reference") == "x"


def test_a_constant_with_a_datatype_or_language_is_one_literal():
    rml, found = objects("{p: ex:p, o: [['12', xsd:integer], [oui, fr~lang]]}")
    assert rml.all(found[0], "constant") == [
        ox.Literal("12", datatype=ox.NamedNode("http://www.w3.org/2001/XMLSchema#integer"))
    ]
    assert rml.all(found[1], "constant") == [ox.Literal("oui", language="fr")]


def test_languages_and_datatypes_can_come_from_the_data():
    rml, found = objects("{p: ex:p, o: [{value: $(x), language: $(l)}, {value: $(x), datatype: 'ex:$(d)'}]}")
    assert rml.value(found[0], "languageMap", "reference") == "l"
    assert rml.value(found[1], "datatypeMap", "template") == "http://ex.example/{d}"


def test_values_are_text_as_written_never_numbers_dates_or_booleans():
    rml, found = objects("[ex:p, [01020, 2.10, yes, 2020-01-01, 0x1F]]")
    assert [rml.value(node, "constant") for node in found] == ["01020", "2.10", "yes", "2020-01-01", "0x1F"]


def test_a_text_with_a_colon_stays_a_text():
    rml, (found,) = objects("[ex:p, 'Note: $(x)']")
    assert rml.value(found, "template") == "Note: {x}"


def test_graphs_are_written_on_the_subject_or_on_the_pair():
    rml = Rml(mapping("s: ex:$(id)\ngraphs: ex:g\npo:\n  - {p: ex:p, o: $(x), g: 'ex:g/$(y)'}"))
    assert rml.all("m", "subjectMap", "graphMap", "constant") == [ox.NamedNode("http://ex.example/g")]
    assert rml.value("m", "predicateObjectMap", "graphMap", "template") == "http://ex.example/g/{y}"


def test_a_link_with_an_equality_is_a_join():
    condition = "{function: equal, parameters: [[str1, $(a), s], [str2, $(b), o]]}"
    body = f"s: ex:$(id)\npo:\n  - p: ex:p\n    o: {{mapping: n, condition: {condition}}}"
    rml = Rml(mapping(body) + "  n: {sources: [['g.csv~csv'], ['h.csv~csv']], s: 'ex:$(b)'}\n")
    links = rml.all("m", "predicateObjectMap", "objectMap")
    assert [rml.value(link, "parentTriplesMap") for link in links] == [f"{BASE}mapping#n", f"{BASE}mapping#n.2"]
    assert {(rml.value(link, "joinCondition", "child"), rml.value(link, "joinCondition", "parent")) for link in links} == {
        ("a", "b")
    }


@pytest.mark.parametrize(
    "parameters", ["[[str1, $(b), o], [str2, $(a), s]]", "[[str2, $(b)], [str1, $(a)]]", "[[str1, $(a)], [str2, $(b), o]]"]
)
def test_sides_of_a_join_are_told_apart(parameters):
    body = f"s: ex:$(id)\npo:\n  - p: ex:p\n    o: {{mapping: m, condition: {{function: equal, parameters: {parameters}}}}}"
    rml = Rml(mapping(body))
    (join,) = rml.all("m", "predicateObjectMap", "objectMap", "joinCondition")
    assert (rml.value(join, "child"), rml.value(join, "parent")) == ("a", "b")


def test_a_join_can_compare_templates_and_functions():
    condition = (
        "{function: equal, parameters: [[str1, $(a)_$(b), s], {p: str2, v: {function: fn:slug, ps: [[fn:value, $(c), o]]}}]}"
    )
    rml = Rml(mapping(f"s: ex:$(id)\npo:\n  - p: ex:p\n    o: {{mapping: m, condition: {condition}}}"))
    (join,) = rml.all("m", "predicateObjectMap", "objectMap", "joinCondition")
    assert rml.value(join, "childMap", "template") == "{a}_{b}"
    assert rml.value(join, "parentMap", "functionExecution", "function") == FN + "slug"


@pytest.mark.parametrize(
    "call",
    [
        "{function: fn:decimal, parameters: [{parameter: fn:value, value: $(x)}, {parameter: fn:mark, value: ','}]}",
        "{fn: fn:decimal, ps: [[fn:value, $(x)], [fn:mark, ',']]}",
        "{f: fn:decimal, pms: [[value, $(x)], [mark, ',']]}",
        "{function: 'fn:decimal(fn:value = $(x), mark = \",\")'}",
    ],
)
def test_function_calls_mean_the_same_in_every_form(call):
    rml, (found,) = objects(f"{{p: ex:p, o: {call}}}")
    (execution,) = rml.all(found, "functionExecution")
    assert rml.value(execution, "function") == FN + "decimal"
    inputs = rml.all(execution, "input")
    assert [rml.value(i, "parameter") for i in inputs] == [FN + "value", FN + "mark"]
    assert rml.value(inputs[0], "inputValueMap", "reference") == "x"
    assert rml.value(inputs[1], "inputValueMap", "constant") == ","
    assert rml.value(found, "termType") == RML + "Literal"


def test_a_comma_inside_a_reference_does_not_separate_parameters():
    rml, (found,) = objects("{p: ex:p, o: {function: 'fn:slug(value = $(a,b))'}}")
    assert rml.value(found, "functionExecution", "input", "inputValueMap", "reference") == "a,b"


def test_functions_nest_and_take_a_datatype_or_a_type():
    nested = "{function: fn:slug, ps: [[fn:value, {function: fn:trim, ps: [[fn:value, $(x)]]}]], type: iri}"
    rml, (found,) = objects(f"{{p: ex:p, o: {nested}}}")
    assert rml.value(found, "termType") == RML + "IRI"
    assert rml.value(found, "functionExecution", "input", "inputValueMap", "functionExecution", "function") == FN + "trim"
    rml, (typed,) = objects("{p: ex:p, o: {function: fn:decimal, ps: [[fn:value, $(x)]], datatype: xsd:decimal}}")
    assert rml.value(typed, "datatype").endswith("#decimal")


def test_backslashes_of_a_pattern_are_kept():
    rml, (found,) = objects(r"{p: ex:p, o: {function: fn:matches, ps: [[fn:value, $(x)], [fn:pattern, '^\d{5}$']]}}")
    assert rml.all(found, "functionExecution", "input", "inputValueMap", "constant") == [ox.Literal(r"^\d{5}$")]


def test_conditions_stand_on_the_triples_map_the_pair_or_a_pair_of_their_own():
    condition = "{function: fn:isNotNull, ps: [[fn:value, $(x)]]}"
    rml = Rml(
        mapping(
            f"s: ex:$(id)\ncondition: {condition}\npo:\n  - {{p: ex:p, o: $(x), condition: {condition}}}\n"
            f"  - {{p: ex:q, o: [$(y), {{value: $(z), condition: {condition}}}]}}"
        )
    )
    assert rml.value("m", CONDITION, "functionExecution", "function") == FN + "isNotNull"
    pairs = rml.all("m", "predicateObjectMap")
    conditions = [bool(rml.all(pair, CONDITION)) for pair in pairs]
    values = [rml.value(pair, "objectMap", "reference") for pair in pairs]
    assert sorted(zip(values, conditions, strict=True)) == [("x", True), ("y", False), ("z", True)]


def test_several_conditions_must_all_hold():
    one = "{function: fn:isNotNull, ps: [[fn:value, $(x)]]}"
    rml = Rml(mapping(f"s: ex:$(id)\ncondition: [{one}, {one}]"))
    (execution,) = rml.all("m", CONDITION, "functionExecution")
    assert rml.value(execution, "function") == GREL + "boolean_and"
    assert len(rml.all(execution, "input", "inputValueMap", "functionExecution")) == 2


def test_external_references_are_filled_in():
    rml = Rml("external: {ville: Rennes}\n" + mapping(r"s: 'ex:$(_ville)/$(\_ville)/$(_autre)'"))
    assert rml.value("m", "subjectMap", "template") == "http://ex.example/Rennes/{_ville}/{_autre}"


def test_a_value_can_be_shared_by_an_alias():
    rml = Rml(HEAD + "mappings:\n  m: {sources: &s [['f.csv~csv']], s: 'ex:$(a)'}\n  n: {sources: *s, s: 'ex:$(a)'}\n")
    assert rml.value("n", "logicalSource", "source", "path") == "f.csv"


# --- what a bad document gets -------------------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_line_and_column():
    error = refused("mappings:\n  m:\n    s: [a, b\n    po: x\n")
    assert (error.place.line, error.place.column_number) == (4, 7)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        (mapping("subjekt: ex:$(id)"), 7, "subject"),
        (mapping("s: ex:$(id)\npo:\n  - {predicate: ex:p, objet: $(x)}"), 9, "object"),
        ("mapings: {}\n", 1, "mappings"),
        (mapping("s: exx:$(id)"), 7, "ex"),
        (mapping("s: ex:$(id)\npo:\n  - [skoss:prefLabel, $(x)]"), 9, "skos"),
        (mapping("s: ex:$(id)\npo:\n  - [ex:p, $(x), xds:date]"), 9, "xsd"),
        (mapping("s: ex:$(id)\npo:\n  - [a, exx:C]"), 9, "ex"),
        (HEAD + "sources:\n  pop: ['f.csv~csv']\nmappings:\n  m: {sources: popp, s: 'ex:$(a)'}\n", 6, "pop"),
        (mapping("s: ex:$(id)\npo:\n  - p: ex:p\n    o: {mapping: mm}"), 10, "m"),
        (HEAD + "mappings:\n  m: {sources: [['f.csv~cvs']], s: 'ex:$(a)'}\n", 4, "csv"),
        (mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {value: $(x), type: irri}}"), 9, "iri"),
    ],
)
def test_a_wrong_name_is_told_with_its_line_and_the_nearest_right_one(text, line, hint):
    error = refused(text)
    assert error.place.line == line
    assert f"'{hint}'" in error.hint.en


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mappings: {}\n",
        "mappings: [a]\n",
        "mappings:\n  m: {s: 'http://x/$(a)'}\n",
        mapping("s: ex:$(id\n"),
        mapping("s: ex:$()"),
        mapping("s: ex:$(id)\npo:\n  - [ex:p]"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p}"),
        mapping("s: ex:$(id)\npo:\n  - [ex:p, $(x)~iri, fr~lang]"),
        mapping("s: ex:$(id)\npo:\n  - [ex:p, $(x), français~lang]"),
        mapping("s: ex:$(id)\npo:\n  - [ex:p, $(x), fr]"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, i: ex:q, o: $(x)}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {function: fn:slug, ps: [fn:value]}}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {function: fn:slug, ps: [[fn:value, $(x), z]]}}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {function: fn:slug, ps: [[fn:value, ]]}}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {function: slug}}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {function: 'fn:slug($(x))'}}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {}}"),
        mapping("s: ex:$(id)\npo:\n  - {p: ex:p, o: {mapping: m, condition: {function: fn:slug, ps: []}}}"),
        mapping(
            "s: ex:$(id)\npo:\n  - {p: ex:p, o: {mapping: m, "
            "condition: {function: equal, ps: [[str1, $(a), s], [str2, $(b), s]]}}}"
        ),
        mapping("s: 'http://x y/'"),
        mapping("s: ex:$(id)\ncondition: yes"),
        mapping("s: ex:$(id)\nsubject: ex:$(id)"),
        mapping("s: ex:$(id)\ns: ex:$(id)"),
        HEAD + "mappings:\n  m: {sources: [['f.json~jsonpath']], s: 'ex:$(a)'}\n",
        HEAD + "mappings:\n  m: {sources: [f.csv], s: 'ex:$(a)'}\n",
        HEAD + "mappings:\n  m: {sources: [{access: db, type: mysql, referenceFormulation: csv}], s: 'ex:$(a)'}\n",
        "base: not an iri\n" + mapping("s: ex:$(id)"),
        "a: 1\n---\nb: 2\n",
        "mappings: !!python/object/apply:os.system ['true']\n",
        "mappings: !ruby/object {}\n",
        "mappings: &a\n  m: *a\n",
    ],
)
def test_what_is_not_well_formed_is_refused_with_its_place(text):
    with pytest.raises(MappingError) as caught:
        translate(text, base_iri=BASE, path=FILE)
    assert caught.value.place.file == str(FILE)
    assert caught.value.place.line
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "text",
    [
        mapping("s: ex:$(id)\ntargets: x"),
        "targets: {}\n" + mapping("s: ex:$(id)"),
        mapping("s: {value: 'ex:$(id)', targets: x}"),
    ],
)
def test_targets_are_refused_clearly(text):
    assert "Targets are not supported" in refused(text).message.en


@pytest.mark.slow
def test_an_alias_bomb_is_refused_before_it_grows():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    assert "aliases" in refused(bomb).message.en
    doubling = "a0: &a0 [x, x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    assert "aliases expanded" in refused(doubling).message.en


def test_deep_nesting_and_merge_keys_are_refused():
    assert "levels" in refused("[" * 5000).message.en
    assert "merge" in refused("x: &x {a: b}\nmappings:\n  <<: *x\n").message.en
