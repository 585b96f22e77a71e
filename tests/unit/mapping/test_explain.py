"""Lineage: every triple leads back to its file, row, column, cell and rule."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.mapping import Wanted, materialize, trace
from cityorchestra_ld.model import Origin


def as_wanted(line: str) -> Wanted:
    subject, predicate, value = line.removesuffix(" .").split(" ", 2)
    return Wanted(subject, predicate, value)


def origins(bench, mapping, files, **options) -> dict[Wanted, tuple[Origin, ...]]:
    """Map, then trace every triple that was made; each must have an origin."""
    plan, tables = bench.plan(mapping), bench.tables(files, **options)
    materialize(plan, tables, bench.folder / "out.nq")
    wanted = [as_wanted(line) for line in (bench.folder / "out.nq").read_text().splitlines()]
    found = dict(trace(plan, tables, wanted))
    assert all(found[item] for item in wanted)
    return found


def test_a_triple_leads_to_its_cell(bench, csv_rule):
    rule = csv_rule('rml:reference "n" ; rml:datatype xsd:decimal', 'rml:template "http://x.org/{t}"', 'rml:constant "always"')
    found = origins(bench, rule, {"data.csv": "id,n,t\n1,1.50,a b\n2,,é\n"})
    by_object = {item.object: origin for item, (origin,) in found.items() if item.object != '"always"'}
    assert by_object['"1.5"^^<http://www.w3.org/2001/XMLSchema#decimal>'] == Origin(
        file="data.csv", row=2, column="n", cell="1.50", triples_map="Rule", term_map="<http://ex.org/p0>"
    )
    assert (by_object["<http://x.org/é>"].row, by_object["<http://x.org/é>"].cell) == (3, "é")
    assert [(o[0].row, o[0].column, o[0].cell) for item, o in found.items() if item.object == '"always"'] == [
        (2, "id", "1"), (3, "id", "2"),
    ]  # fmt: skip


def test_rows_are_those_of_a_spreadsheet_even_after_description_rows(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": 'id,n\n1,"a\nb"\n2,c\n'}, header_row=5)
    wanted = Wanted("<http://ex.org/2>", "<http://ex.org/p0>", '"c"')
    assert [origin.row for origin in trace(plan, tables, [wanted])[wanted]] == [7]


def test_every_row_that_makes_a_triple_is_named(bench, csv_rule):
    found = origins(bench, csv_rule('rml:reference "n"'), {"data.csv": "id,n\n1,a\n1,a\n2,a\n1,b\n"})
    assert [origin.row for origin in found[Wanted("<http://ex.org/1>", "<http://ex.org/p0>", '"a"')]] == [2, 3]


def test_of_very_many_rows_the_first_are_named(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": "id,n\n" + "1,a\n" * 500})
    wanted = Wanted("<http://ex.org/1>", "<http://ex.org/p0>", '"a"')
    assert [origin.row for origin in trace(plan, tables, [wanted], most=3)[wanted]] == [2, 3, 4]
    assert len(trace(plan, tables, [wanted])[wanted]) == 50


def test_rows_left_out_by_the_staging_are_counted(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": "id,n\n1,a\n2,b\n"})
    tables["data.csv"] = replace(tables["data.csv"], gaps=((2, 1),))
    wanted = [Wanted("<http://ex.org/1>"), Wanted("<http://ex.org/2>")]
    found = trace(plan, tables, wanted)
    assert [found[item][0].row for item in wanted] == [2, 4]


def test_a_subject_alone_leads_to_the_records_that_name_it(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": "id,n\n1,a\n2,b\n1,c\n"})
    wanted = [Wanted("<http://ex.org/1>"), Wanted("<http://ex.org/1>", "<http://ex.org/p0>"), Wanted("<http://ex.org/9>")]
    found = trace(plan, tables, wanted)
    assert [(o.row, o.column, o.cell, o.term_map) for o in found[wanted[0]]] == [
        (2, "id", "1", "subject"),
        (4, "id", "1", "subject"),
    ]
    assert [(o.row, o.column, o.cell) for o in found[wanted[1]]] == [(2, "n", "a"), (4, "n", "c")]
    assert found[wanted[2]] == ()


def test_a_triple_that_no_rule_makes_has_no_origin(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": "id,n\n1,a\n"})
    wanted = [
        Wanted("<http://ex.org/1>", "<http://ex.org/p0>", '"b"'), Wanted("<http://ex.org/1>", "<http://ex.org/other>", '"a"'),
        Wanted("<http://elsewhere.org/1>", "<http://ex.org/p0>", '"a"'), Wanted("_:b0"),
    ]  # fmt: skip
    assert set(trace(plan, tables, wanted).values()) == {()}


def test_terms_may_be_written_with_other_escapes(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": 'id,n\n1,"é\t""x"""\n'})
    wanted = Wanted("<http://ex.org/1>", "<http://ex.org/p0>", '"\\u00E9\\t\\"x\\""^^<http://www.w3.org/2001/XMLSchema#string>')
    assert len(trace(plan, tables, [wanted])[wanted]) == 1


def test_what_is_no_term_is_refused(bench, csv_rule):
    plan, tables = bench.plan(csv_rule('rml:reference "n"')), bench.tables({"data.csv": "id,n\n1,a\n"})
    with pytest.raises(UsageError, match="no RDF term"):
        trace(plan, tables, [Wanted("http://ex.org/1")])


def test_json_values_have_a_record_number_and_a_pointer(bench, json_rule):
    rule = json_rule('rml:reference "$.a.b"', 'rml:reference "tags[*]"', iterator="$.data[*]")
    found = origins(bench, rule, {"data.json": '{"data":[{"id":1},{"id":2,"a":{"b":"x"},"tags":["t","u"]}]}'})
    by_object = {item.object: origin for item, (origin,) in found.items()}
    assert (by_object['"x"'].row, by_object['"x"'].pointer, by_object['"x"'].cell) == (2, "/data/1/a/b", "x")
    assert (by_object['"u"'].row, by_object['"u"'].pointer, by_object['"u"'].cell) == (2, "/data/1", "u")


def test_a_link_leads_to_the_cell_of_the_child(bench, join):
    files = {"child.csv": "id,k\n1,b\n2,a\n", "parent.csv": "key,name\na,x\nb,y\n"}
    found = origins(bench, join('rml:child "k" ; rml:parent "key"'), files)
    (origin,) = found[Wanted("<http://ex.org/c/2>", "<http://ex.org/of>", "<http://ex.org/p/x>")]
    assert (origin.file, origin.row, origin.column, origin.cell) == ("child.csv", 3, "k", "a")


def test_a_function_leads_to_the_cell_of_its_argument(bench, csv_rule):
    call = (
        "rml:functionExecution [ rml:function fn:decimal ; rml:input [ rml:parameter fn:value ; "
        'rml:inputValueMap [ rml:reference "n" ] ],'
        ' [ rml:parameter fn:mark ; rml:inputValue "," ] ]'
    )
    found = origins(bench, csv_rule(call), {"data.csv": 'id,n\n1,secret\n2,"1 000,50"\n'})
    ((origin,),) = found.values()
    assert (origin.row, origin.column, origin.cell) == (3, "n", "1 000,50")


def test_a_thousand_triples_are_traced_in_one_pass(bench, csv_rule):
    rng = random.Random(1)
    rows = [(n, rng.randrange(10**6), f"x{n % 100}") for n in range(20_000)]
    rule = csv_rule('rml:reference "n" ; rml:datatype xsd:integer', 'rml:template "http://x.org/{t}"')
    plan = bench.plan(rule)
    tables = bench.tables({"data.csv": "id,n,t\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)})
    chosen = rng.sample(rows, 1000)
    wanted = [
        Wanted(f"<http://ex.org/{n}>", "<http://ex.org/p0>", f'"{v}"^^<http://www.w3.org/2001/XMLSchema#integer>')
        for n, v, _ in chosen
    ]
    started = time.perf_counter()
    found = trace(plan, tables, wanted)
    assert time.perf_counter() - started < 10
    assert [[(o.row, o.cell) for o in found[item]] for item in wanted] == [[(n + 2, str(v))] for n, v, _ in chosen]
