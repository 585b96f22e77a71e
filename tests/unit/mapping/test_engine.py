"""The engine: counts, errors of files and mappings, nothing left behind, nothing let in."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import engine, materialize
from cityorchestra_ld.mapping.workspace import workspace


def test_the_report_counts_records_and_quads_of_each_rule(bench, csv_rule):
    empty = csv_rule('rml:reference "m"').replace("<#Rule>", "<#Empty>")
    report = bench.report(csv_rule('rml:reference "n"') + empty, {"data.csv": "id,n,m\n1,a,\n2,,\n3,c,\n"})
    assert report.records == {"data.csv": 3}
    assert report.per_map == {"Rule": 2, "Empty": 0}
    assert report.quads == 2 == len(bench.quads())
    assert "" not in (bench.folder / "out.nq").read_text().splitlines()


def test_counts_are_right_for_lists_and_joins(bench, json_rule):
    rule = json_rule('rml:reference "t[*]"', 'rml:template "{t[*]}{u[*]}" ; rml:termType rml:Literal')
    report = bench.report(rule, {"data.json": '[{"id":1,"t":["a","b",null],"u":["c","d"]},{"id":2,"t":[]}]'})
    assert report.quads == 2 + 4 == len(bench.quads())


def test_what_the_staging_counted_is_not_read_again_but_checked(bench, csv_rule):
    plan = bench.plan(csv_rule('rml:reference "n"', 'rml:reference "id"'))
    tables = bench.tables({"data.csv": "id,n\n1,a\n2,\n3,b\n"})
    table = replace(tables["data.csv"], records=3, filled=(3, 2))
    report = materialize(plan, {"data.csv": table}, bench.folder / "out.nq")
    assert (report.quads, report.per_map) == (5, {"Rule": 5})
    assert len(bench.quads()) == 5
    with pytest.raises(MappingError, match="3 of 4 records"):
        materialize(plan, {"data.csv": replace(table, records=4, filled=(4, 2))}, bench.folder / "out.nq")


def test_an_empty_table_gives_an_empty_graph(bench, csv_rule):
    report = bench.report(csv_rule('rml:reference "n"'), {"data.csv": "id,n\n"})
    assert (report.quads, report.records) == (0, {"data.csv": 0})
    assert (bench.folder / "out.nq").read_bytes() == b""


def test_an_unknown_column_is_named_with_the_nearest_and_the_line_of_the_rule(bench, csv_rule):
    with pytest.raises(MappingError, match="No column 'commun'") as caught:
        bench.run(csv_rule('rml:reference "commun"'), {"data.csv": "id,commune,code\n1,a,b\n"})
    place, hint = caught.value.place, caught.value.hint
    assert place is not None
    assert hint is not None
    assert place.file is not None
    assert place.file.endswith("mapping.ttl")
    assert (place.line, place.column, place.rule) == (8, "commun", "Rule")
    assert "'commune'" in hint.en


def test_columns_may_be_called_anything(bench, csv_rule):
    header = '"a ""b""",A,a,"x;y\nz",select,"c\'; DROP TABLE t"'
    names = ['a \\"b\\"', "A", "a", "x;y\\nz", "select", "c'; DROP TABLE t"]
    rule = csv_rule(*(f'rml:reference "{name}"' for name in names), subject='rml:template "http://ex.org/{A}"')
    assert bench.values(rule, {"data.csv": header + "\n1,2,3,4,5,6\n"}) == {f'"{n}"' for n in range(1, 7)}


def test_a_row_with_too_few_cells_is_an_error_that_names_the_line(bench, csv_rule):
    tables = bench.tables({"data.csv": "id,n\n1,a\n2\n3,c\n"})
    with pytest.raises(MappingError, match="malformed") as caught:
        materialize(bench.plan(csv_rule('rml:reference "n"')), tables, bench.folder / "out.nq")
    assert caught.value.place is not None
    assert (caught.value.place.file, caught.value.place.line) == ("data.csv", 3)


def test_records_that_the_reader_did_not_see_are_an_error(bench, csv_rule):
    tables = bench.tables({"data.csv": "id,n\n1,a\n2,b\n"})
    tables["data.csv"] = replace(tables["data.csv"], records=3)
    with pytest.raises(MappingError, match="2 of 3 records"):
        materialize(bench.plan(csv_rule('rml:reference "n"')), tables, bench.folder / "out.nq")
    assert not list(bench.folder.glob("out.nq*"))


def test_a_file_that_was_not_supplied_is_named_with_the_nearest(bench, csv_rule):
    tables = bench.tables({"dat.csv": "id,n\n1,a\n"})
    with pytest.raises(MappingError, match=r"'data\.csv' was not supplied") as caught:
        materialize(bench.plan(csv_rule('rml:reference "n"')), tables, bench.folder / "out.nq")
    assert caught.value.hint is not None
    assert "dat.csv" in caught.value.hint.fr


def test_a_json_file_read_as_csv_is_refused(bench, csv_rule):
    tables = bench.tables({"data.json": "[]"})
    with pytest.raises(MappingError, match=r"data\.json is JSON, read as CSV"):
        materialize(bench.plan(csv_rule('rml:reference "n"')), {"data.csv": tables["data.json"]}, bench.folder / "out.nq")


def test_a_failed_run_keeps_the_file_of_the_run_before(bench, csv_rule):
    rule = csv_rule('rml:reference "n" ; rml:datatype xsd:integer')
    bench.report(rule, {"data.csv": "id,n\n1,1\n"})
    before = (bench.folder / "out.nq").read_bytes()
    with pytest.raises(MappingError):
        bench.report(rule, {"data.csv": "id,n\n1,x\n"})
    assert (bench.folder / "out.nq").read_bytes() == before
    assert not list(bench.folder.glob(".mapping-*"))


@pytest.mark.parametrize(("delimiter", "quote"), [(";", '"'), ("\t", '"'), ("|", "'"), (",", "'")])
def test_dialects_are_taken_from_the_table(bench, csv_rule, delimiter, quote):
    text = f"id{delimiter}n\n1{delimiter}{quote}a{delimiter}b{quote}{quote}c{quote}\n"
    path = bench.folder / "data.csv"
    path.write_text(text)
    table = replace(
        bench.tables({"data.csv": "id,n\n"})["data.csv"], delimiter=delimiter, quote=quote, escape=quote, records=1
    )  # fmt: skip
    path.write_text(text)
    materialize(bench.plan(csv_rule('rml:reference "n"')), {"data.csv": table}, bench.folder / "out.nq")
    assert [quad.object.value for quad in bench.quads()] == [f"a{delimiter}b{quote}c"]


def test_line_ends_of_windows_are_read(bench, csv_rule):
    assert bench.values(csv_rule('rml:reference "n"'), {"data.csv": b"id,n\r\n1,a\r\n2,b\r\n"}) == {'"a"', '"b"'}


def test_the_database_reads_nothing_but_the_sources(bench, csv_rule, tmp_path):
    secret = tmp_path.parent / "secret.csv"
    secret.write_text("a\n1\n")
    plan = bench.plan(csv_rule('rml:reference "n"'))
    with workspace(plan, bench.tables({"data.csv": "id,n\n1,a\n"}), bench.folder) as opened:
        with pytest.raises(duckdb.PermissionException):
            opened.execute(f"SELECT * FROM read_csv('{secret}')")
        with pytest.raises(duckdb.PermissionException):
            opened.execute(f"COPY (SELECT 1) TO '{tmp_path.parent / 'out.csv'}'")
        with pytest.raises(duckdb.Error):
            opened.execute("INSTALL httpfs")
        with pytest.raises(duckdb.Error):
            opened.execute("SET enable_external_access = true")


HOSTILE = [
    "'; DROP TABLE x; --", '"', "\\", "\\u0000", "]]>", "$(rm -rf /)",
    "__import__('os')", "{id}", "%00", "\x00", "\x01\x7f\x85",
    "\u202e\u2028", "<script>", '"^^<http://x>', '" <http://evil> <http://evil> .', "\ud7ff\U0010ffff\ufffe", "a" * 1_000_000,
    "co$failed", "_:b1", "NULL", "null", "=HYPERLINK(1)",
]  # fmt: skip


def test_hostile_cells_stay_what_they_are(bench, csv_rule):
    rule = csv_rule(
        'rml:reference "n"', 'rml:template "http://ex.org/x/{n}"', 'rml:template "{n}" ; rml:termType rml:BlankNode'
    )
    rows = "".join(f'{number},"{cell.replace(chr(34), chr(34) * 2)}"\n' for number, cell in enumerate(HOSTILE))
    report = bench.report(rule, {"data.csv": "id,n\n" + rows})
    quads = bench.quads()
    assert len(quads) == report.quads == 3 * len(HOSTILE)
    texts = {int(quad.subject.value[14:]): quad.object.value for quad in quads if quad.predicate.value.endswith("p0")}
    assert [texts[number] for number in range(len(HOSTILE))] == HOSTILE
    assert len({quad.object for quad in quads if quad.predicate.value.endswith("p1")}) == len(HOSTILE)


def test_hostile_constants_of_a_mapping_stay_what_they_are(bench, csv_rule):
    value = "'; DROP \" \\\\ \\n %"
    rule = csv_rule(
        'rml:constant "\'; DROP \\" \\\\\\\\ \\\\n %"', 'rml:template "it\'s {n}\\\\\\\\" ; rml:termType rml:Literal'
    )
    bench.report(rule, {"data.csv": "id,n\n1,a\n"})
    assert {quad.object.value for quad in bench.quads()} == {value, "it's a\\"}


def test_a_place_that_cannot_be_written_is_an_error_of_ours(bench, csv_rule):
    tables = bench.tables({"data.csv": "id,n\n1,a\n"})
    with pytest.raises(MappingError, match="cannot be written"):
        materialize(bench.plan(csv_rule('rml:reference "n"')), tables, bench.folder / "nowhere" / "out.nq")


def test_several_sources_end_in_one_file(bench, csv_rule):
    other = csv_rule('rml:reference "n"').replace("<#Rule>", "<#Other>").replace("data.csv", "other.csv")
    report = bench.report(csv_rule('rml:reference "n"') + other, {"data.csv": "id,n\n1,a\n", "other.csv": "id,n\n2,b\n3,c\n"})
    assert report.per_map == {"Rule": 1, "Other": 2}
    assert len(bench.quads()) == 3


def test_one_scan_serves_every_rule_of_a_file(bench, csv_rule):
    mapping = csv_rule('rml:reference "n"') + csv_rule('rml:reference "id"').replace("<#Rule>", "<#Other>")
    with workspace(bench.plan(mapping), bench.tables({"data.csv": "id,n\n1,a\n"}), bench.folder) as opened:
        (unit,) = engine.compile_units(opened, strict=True)
    assert unit.statement.count("read_csv") == 1
    assert "||" not in unit.statement
