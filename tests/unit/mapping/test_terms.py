"""Terms: what a cell becomes, and what is refused."""

from __future__ import annotations

import itertools
import re
from decimal import Decimal

import duckdb
import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import terms
from cityorchestra_ld.mapping.sql import text
from cityorchestra_ld.mapping.terms import is_absolute_iri, is_language, parse_template


def test_a_template_encodes_each_value_once_and_keeps_accents(bench, csv_rule):
    rule = csv_rule('rml:template "http://ex.org/{id}/{n}"', subject='rml:template "http://ex.org/{id}"')
    assert bench.values(rule, {"data.csv": "id,n\n1,Plœuc-L'Hermitage n°3/a %41\n"}) == {
        "<http://ex.org/1/Plœuc-L%27Hermitage%20n°3%2Fa%20%2541>"
    }


def test_uri_templates_encode_accents_too(bench, csv_rule):
    rule = csv_rule('rml:template "http://ex.org/{n}" ; rml:termType rml:URI')
    assert bench.values(rule, {"data.csv": "id,n\n1,é\n"}) == {"<http://ex.org/%C3%A9>"}


def test_an_empty_cell_gives_no_triple_when_empty_means_null(bench, csv_rule):
    rule = csv_rule('rml:reference "n"')
    assert bench.run(rule, {"data.csv": "id,n\n1,\n2,x\n"}) == {'<http://ex.org/2> <http://ex.org/p0> "x"'}


def test_an_empty_cell_is_an_empty_text_when_nothing_means_null(bench, csv_rule):
    rule = csv_rule('rml:reference "n"')
    assert bench.values(rule, {"data.csv": "id,n\n1,\n"}, nulls=()) == {'""'}


def test_other_words_can_mean_null(bench, csv_rule):
    rule = csv_rule('rml:reference "n"')
    assert bench.values(rule, {"data.csv": "id,n\n1,NA\n2,\n3,x\n"}, nulls=("NA",)) == {'""', '"x"'}


@pytest.mark.parametrize(
    ("datatype", "cell", "written"),
    [
        ("integer", "007", "7"), ("integer", "-0", "0"), ("integer", "+5", "5"),
        ("integer", "12345678901234567890123", "12345678901234567890123"),
        ("decimal", "50.940680", "50.94068"), ("decimal", "-0.0", "0"), ("decimal", "+.5", "0.5"), ("decimal", "3.", "3"),
        ("decimal", "00.10", "0.1"), ("decimal", "100", "100"), ("decimal", "-007.50", "-7.5"),
        ("boolean", "1", "true"), ("boolean", "false", "false"), ("date", "2024-02-29", "2024-02-29"),
        ("gYear", "2024", "2024"),
        ("double", "1500.0", "1500.0"), ("dateTime", "2024-12-31T23:59:59.5Z", "2024-12-31T23:59:59.5Z"),
        ("nonNegativeInteger", "0012", "12"),
    ],
)  # fmt: skip
def test_typed_literals_are_written_in_canonical_form(bench, csv_rule, datatype, cell, written):
    rule = csv_rule(f'rml:reference "n" ; rml:datatype xsd:{datatype}')
    bench.report(rule, {"data.csv": f"id,n\n1,{cell}\n"})
    assert (bench.folder / "out.nq").read_text() == (
        f'<http://ex.org/1> <http://ex.org/p0> "{written}"^^<http://www.w3.org/2001/XMLSchema#{datatype}> .\n'
    )


@pytest.mark.parametrize("datatype", [name for name, kind in terms.LEXICAL.items() if kind.quick])
def test_the_quick_way_to_a_canonical_form_agrees_with_the_long_way(datatype):
    kind = terms.LEXICAL[datatype]
    letters = "2024-01-29" if datatype == "date" else "-+0159. e_"
    cells = {"".join(cell) for length in range(1, 6) for cell in itertools.product(sorted(set(letters)), repeat=length)}
    if datatype == "date":
        cells = {f"20{cell[:2]}-{cell[2:4]}-2{cell[4:]}" for cell in cells if len(cell) > 3}
    cells |= {cell + "0" * zeros for cell in ("-0.5", "12.25", "1.", "1" * 18, "1" * 40, "0." + "1" * 40) for zeros in range(3)}
    with duckdb.connect(config={"threads": 1}) as database:
        for macro in terms.MACROS:
            database.execute(macro)
        long = f"{kind.canonical}(x)" if kind.canonical else "x"
        right = f"regexp_full_match(x, {text(kind.pattern)}) AND {kind.condition.format(x='x') if kind.condition else 'true'}"
        database.execute("CREATE TABLE cells AS SELECT unnest($1::VARCHAR[]) AS x", [sorted(cells)])
        quick = database.sql(f"FROM cells WHERE {kind.quick.format(x='x')}")
        assert len(quick) > 100
        assert quick.filter(f"NOT ({right}) OR {kind.short.format(x='x')} IS DISTINCT FROM {long}").fetchall() == []


def test_canonical_decimals_are_the_numbers_that_were_written():
    cells = ["".join(cell) for length in range(1, 7) for cell in itertools.product("-+0159.", repeat=length)]
    with duckdb.connect(config={"threads": 1}) as database:
        for macro in terms.MACROS:
            database.execute(macro)
        database.execute("CREATE TABLE cells AS SELECT unnest($1::VARCHAR[]) AS x", [cells])
        pattern = text(terms.LEXICAL["decimal"].pattern)
        found = database.sql(f"SELECT x, co_decimal(x) FROM cells WHERE regexp_full_match(x, {pattern})").fetchall()
    assert len(found) > 10_000
    for cell, written in found:
        assert Decimal(written) == Decimal(cell)
        assert re.fullmatch(r"0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]*[1-9]", written)


@pytest.mark.parametrize(
    ("datatype", "cell"),
    [
        ("integer", "1.0"), ("integer", "1e3"), ("integer", " 4"), ("decimal", "1e3"), ("decimal", "secret"), ("decimal", "."),
        ("date", "2023-02-29"), ("date", "2024-1-5"), ("date", "31/12/2024"), ("boolean", "oui"), ("gYear", "24"),
        ("dateTime", "2024-12-31 10:00:00"), ("dateTime", "2024-13-01T00:00:00"), ("nonNegativeInteger", "-1"), ("byte", "200"),
        ("double", "1,5"), ("time", "25:00:00"),
    ],
)  # fmt: skip
def test_a_cell_outside_the_lexical_space_is_an_error_that_names_the_cell(bench, csv_rule, datatype, cell):
    rule = csv_rule(f'rml:reference "n" ; rml:datatype xsd:{datatype}')
    good = {"integer": "1", "decimal": "1", "date": "2024-01-01", "boolean": "1", "gYear": "2024", "time": "10:00:00"}.get(
        datatype
    )
    good = good or {"dateTime": "2024-01-01T00:00:00Z"}.get(datatype, "1")
    with pytest.raises(MappingError) as caught:
        bench.run(rule, {"data.csv": f'id,n\n1,{good}\n2,{good}\n3,"{cell}"\n'})
    place = caught.value.place
    assert place is not None
    assert (place.file, place.row, place.column, place.value) == ("data.csv", 4, "n", cell)
    assert place.rule == "Rule → <http://ex.org/p0>"
    assert f"xsd:{datatype}" in caught.value.message.fr
    assert not (bench.folder / "out.nq").exists()
    assert not list(bench.folder.glob("*.part"))


def test_the_first_bad_row_of_the_file_is_named(bench, csv_rule):
    rule = csv_rule('rml:reference "n" ; rml:datatype xsd:integer', 'rml:reference "m" ; rml:datatype xsd:date')
    rows = "".join(f"{i},{i},2024-01-01\n" for i in range(3000))
    with pytest.raises(MappingError) as caught:
        bench.run(rule, {"data.csv": "id,n,m\n" + rows + "x,3,no date\ny,no number,2024-01-01\n"})
    assert caught.value.place is not None
    assert (caught.value.place.row, caught.value.place.column) == (3002, "m")


def test_an_iri_from_a_cell_is_taken_as_it_is_or_after_the_base(bench, csv_rule):
    rule = csv_rule('rml:reference "n" ; rml:termType rml:IRI')
    assert bench.values(rule, {"data.csv": "id,n\n1,https://x.org/a?b=é#c\n2,rel/path\n3,urn:x:1\n"}) == {
        "<https://x.org/a?b=é#c>", "<http://example.com/rel/path>", "<urn:x:1>",
    }  # fmt: skip


@pytest.mark.parametrize(
    "cell", ["http://a b", "http://x.org/<y>", 'http://x.org/"', "http://x.org/%zz", "http://x.org/{a}", "a b"]
)
def test_a_cell_that_makes_no_valid_iri_is_an_error(bench, csv_rule, cell):
    rule = csv_rule('rml:reference "n" ; rml:termType rml:IRI')
    quoted = cell.replace('"', '""')
    with pytest.raises(MappingError, match="valid IRI") as caught:
        bench.run(rule, {"data.csv": f'id,n\n1,http://x.org/\n2,"{quoted}"\n'})
    assert caught.value.place is not None
    assert (caught.value.place.row, caught.value.place.value) == (3, cell)


def test_a_language_from_a_cell_is_checked(bench, csv_rule):
    rule = csv_rule('rml:reference "n" ; rml:languageMap [ rml:reference "l" ]')
    assert bench.values(rule, {"data.csv": "id,n,l\n1,Demat,br\n2,Hello,en-GB\n3,x,\n"}) == {'"Demat"@br', '"Hello"@en-gb'}
    with pytest.raises(MappingError, match="language tag") as caught:
        bench.run(rule, {"data.csv": "id,n,l\n1,x,français\n"})
    assert caught.value.place is not None
    assert caught.value.place.value == "français"


def test_literals_survive_quotes_backslashes_and_line_breaks(bench, csv_rule):
    rule = csv_rule('rml:reference "n"')
    bench.report(rule, {"data.csv": 'id,n\n1,"a ""b"" \\ \r\n c\td"\n'})
    assert [quad.object.value for quad in bench.quads()] == ['a "b" \\ \r\n c\td']


def test_blank_nodes_are_the_same_for_the_same_value_and_other_runs(bench, csv_rule):
    rule = csv_rule('rml:template "{n}" ; rml:termType rml:BlankNode')
    files = {"data.csv": "id,n\n1,a\n2,a\n3,b\n"}
    bench.report(rule, files)
    first = sorted((bench.folder / "out.nq").read_text().splitlines())
    bench.report(rule, files)
    assert sorted((bench.folder / "out.nq").read_text().splitlines()) == first
    labels = [line.split()[2] for line in first]
    assert labels[0] == labels[1] != labels[2]


def test_a_blank_node_without_expression_is_fresh_for_each_record_and_shared_by_its_triples(bench, csv_rule):
    rule = csv_rule('rml:reference "n"', 'rml:reference "m"', subject="rml:termType rml:BlankNode")
    bench.report(rule, {"data.csv": "id,n,m\n1,a,b\n1,a,b\n"})
    subjects = {quad.subject for quad in bench.quads()}
    assert len(subjects) == 2
    assert len(bench.quads()) == 4


def test_a_datatype_from_a_cell_is_an_iri_or_an_error(bench, csv_rule):
    rule = csv_rule('rml:reference "n" ; rml:datatypeMap [ rml:template "http://www.w3.org/2001/XMLSchema#{t}" ]')
    assert bench.values(rule, {"data.csv": "id,n,t\n1,5,integer\n2,x,string\n"}) == {
        '"5"^^<http://www.w3.org/2001/XMLSchema#integer>', '"x"',
    }  # fmt: skip


def test_templates_split_into_text_and_references():
    assert [str(part) if isinstance(part, str) else part.text for part in parse_template(r"a\{{b}\}{c d}").parts] == [
        "a{", "b", "}", "c d",
    ]  # fmt: skip


@pytest.mark.parametrize("template", ["{", "}", "a{}", "{a", "a}b", "{a{b}}"])
def test_a_template_whose_braces_do_not_match_is_refused(template):
    with pytest.raises(ValueError, match=r".*"):
        parse_template(template)


def test_iris_are_judged_as_rfc_3987_says():
    assert is_absolute_iri("http://example.org/é?a=b#c")
    assert is_absolute_iri("urn:isbn:1")
    assert not is_absolute_iri("/relative")
    assert not is_absolute_iri("http://a b/")
    assert not is_absolute_iri("http://x/%4")


def test_language_tags_have_a_real_primary_language():
    assert is_language("fr")
    assert is_language("zh-Hant-TW")
    assert not is_language("english")
    assert not is_language("f")
