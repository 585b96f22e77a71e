"""Reports: cells, columns, comparison, and every form that is written."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import ShapesError, Text, UsageError
from cityorchestra_ld.model import Limits, Origin, Severity
from cityorchestra_ld.validation import (
    compare,
    from_json,
    identity,
    load_shapes,
    to_json,
    to_text,
    validate,
    with_origins,
    worst_columns,
    write_report,
    write_reports,
)

RULES = """ex:S a sh:NodeShape ; sh:targetClass ex:Stop ; sh:property ex:code , ex:size , ex:walk .
ex:code sh:path ex:c ; sh:name "code"@fr , "code"@en ; sh:minCount 1 ; sh:pattern "^[0-9]{4}$" .
ex:size sh:path ex:z ; sh:name "taille"@fr , "size"@en ; sh:maxInclusive 10 ; sh:severity sh:Warning .
ex:walk sh:path ( ex:p [ sh:inversePath ex:q ] ) ; sh:maxCount 0 ."""
DATA = """ex:a a ex:Stop ; ex:c "12" ; ex:z 40 . ex:b a ex:Stop ; ex:c "=cmd()" ; ex:z 50 .
ex:d a ex:Stop ; ex:p ex:y . ex:x ex:q ex:y .
ex:e a ex:Stop ; ex:c "<script>alert('x')</script>" ."""
TITLE = Text("Arrêts", "Stops")


@pytest.fixture
def made(file, shapes):
    """Return a report with cells, and its shapes."""
    rules = shapes(RULES)
    report = validate(file(DATA), rules)

    def cells(results):
        columns = {"<https://x.example/c>": "code", "<https://x.example/z>": "taille"}
        return {
            result: (Origin(file="stops.csv", row=row, column=columns[result.path], cell="12", triples_map="m.yml#stop"),)
            for row, result in enumerate(results, 2)
            if result.path in columns
        }

    return with_origins(report, cells), rules


def test_groups_come_by_gravity_then_by_number(made) -> None:
    report, _ = made
    assert [(g.title.fr, g.severity, g.count) for g in report.groups] == [
        ("code", Severity.VIOLATION, 3),
        ("code", Severity.VIOLATION, 1),
        ("p/^q", Severity.VIOLATION, 1),
        ("taille", Severity.WARNING, 2),
    ]
    assert [r.severity for r in report.results] == [Severity.VIOLATION] * 5 + [Severity.WARNING] * 2


def test_each_result_names_its_cell_and_the_worst_columns_are_found(made) -> None:
    report, _ = made
    assert report.results[0].origins[0].row == 2
    assert [(c.file, c.column, c.count) for c in worst_columns(report)] == [
        ("stops.csv", "code", 4),
        ("stops.csv", "taille", 2),
    ]


def test_a_result_has_the_same_name_in_every_run_and_no_other_has_it(made) -> None:
    report, _ = made
    names = [identity(result) for result in report.results]
    assert len(set(names)) == len(names)
    assert [identity(replace(result, origins=(), engine_message="other")) for result in report.results] == names


def test_json_reads_back_as_the_same_report(made) -> None:
    report, _ = made
    assert from_json(to_json(report)) == report
    for wrong in (b"not json", b"{}", b'{"results": 1}'):
        with pytest.raises(ShapesError):
            from_json(wrong)


def test_two_runs_compare_as_new_fixed_and_remaining(file, shapes) -> None:
    rules = shapes(RULES)
    before = validate(file('ex:a a ex:Stop . ex:b a ex:Stop ; ex:c "12" .'), rules)
    now = validate(file('ex:a a ex:Stop . ex:b a ex:Stop ; ex:c "1234" ; ex:z 99 .'), rules)
    comparison = compare(before, now)
    assert {(c.group.component.removesuffix("ConstraintComponent"), c.state) for c in comparison.groups} == {
        ("MinCount", "remaining"),
        ("Pattern", "fixed"),
        ("MaxInclusive", "new"),
    }
    assert (comparison.new, comparison.fixed, comparison.remaining) == (1, 1, 1)


def test_a_result_that_moved_to_another_node_is_one_fixed_and_one_new(file, shapes) -> None:
    rules = shapes(RULES)
    before, now = (validate(file(text), rules) for text in ("ex:a a ex:Stop .", "ex:b a ex:Stop ."))
    (change,) = compare(before, now).groups
    assert (change.new, change.fixed, change.remaining) == (1, 1, 0)


def test_groups_with_more_results_than_shown_are_compared_by_count(file, shapes) -> None:
    rules = shapes(RULES)
    few = Limits(report_samples=1)
    before = validate(file("ex:a a ex:Stop . ex:b a ex:Stop . ex:c a ex:Stop ."), rules, limits=few)
    now = validate(file("ex:c a ex:Stop ."), rules, limits=few)
    (change,) = compare(before, now).groups
    assert (change.new, change.fixed, change.remaining) == (0, 2, 1)


def test_text_says_verdict_cells_and_messages_in_both_languages(made) -> None:
    report, _ = made
    fr, en = to_text(report, "fr"), to_text(report, "en")
    assert fr.startswith("Non conforme : 5 violations ; 2 avertissements.")
    assert en.startswith("Does not conform: 5 violations; 2 warnings.")
    assert "stops.csv, ligne 2, colonne « code », contenu « 12 »" in fr
    assert "stops.csv, row 2, column 'code', content '12'" in en
    assert "« taille » : « 40 » doit être au plus 10." in fr


def test_turtle_is_a_shacl_validation_report_with_whole_paths(made, tmp_path: Path) -> None:
    report, rules = made
    write_report(report, rules, tmp_path / "r.ttl")
    store = ox.Store()
    store.load(path=str(tmp_path / "r.ttl"), format=ox.RdfFormat.TURTLE)
    prefix = "PREFIX sh: <http://www.w3.org/ns/shacl#> PREFIX ex: <https://x.example/> "
    asked = """ASK { ?r a sh:ValidationReport ; sh:conforms false ; sh:result ?x .
        ?x sh:focusNode ex:d ; sh:sourceShape ex:walk ;
        sh:resultPath (ex:p [ sh:inversePath ex:q ]) ; sh:resultSeverity sh:Violation ; sh:resultMessage ?m ;
        sh:sourceConstraintComponent sh:MaxCountConstraintComponent . FILTER(LANG(?m) = 'fr') }"""
    assert bool(store.query(prefix + asked))
    assert len(list(store.query(f"{prefix} SELECT ?x {{ ?r sh:result ?x }}"))) == len(report.results)
    exactly = "[ sh:path sh:%s ; sh:minCount 1 ; sh:maxCount 1 ]"
    shapes_of_reports = "ex:R sh:targetClass sh:ValidationResult ; sh:property "
    shapes_of_reports += (
        " , ".join(exactly % name for name in ("focusNode", "resultSeverity", "sourceConstraintComponent")) + " ."
    )
    (tmp_path / "s.ttl").write_text(
        f"@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <https://x.example/> . {shapes_of_reports}"
    )
    assert validate(tmp_path / "r.ttl", load_shapes([tmp_path / "s.ttl"], base_iri="https://base.example/")).conforms


def test_csv_has_one_row_for_each_result_and_no_cell_that_runs(made, tmp_path: Path) -> None:
    report, rules = made
    write_report(report, rules, tmp_path / "r.csv")
    content = (tmp_path / "r.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(report.results)
    assert (rows[0]["file"], rows[0]["row"], rows[0]["column"], rows[0]["rule"]) == ("stops.csv", "2", "code", "m.yml#stop")
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "@", "\t"))]


def test_xlsx_opens_and_holds_the_same_rows_as_text(made, tmp_path: Path) -> None:
    report, rules = made
    write_report(report, rules, tmp_path / "r.xlsx")
    with zipfile.ZipFile(tmp_path / "r.xlsx") as book:
        assert book.testzip() is None
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
        for name in book.namelist():
            ET.fromstring(book.read(name))
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    rows = [["".join(cell.itertext()) for cell in row] for row in sheet.iter(f"{space}row")]
    assert len(rows) == 1 + len(report.results)
    assert {cell.get("t") for cell in sheet.iter(f"{space}c")} == {"inlineStr"}


def test_sarif_points_at_rows_and_rules(made, tmp_path: Path) -> None:
    report, rules = made
    write_report(report, rules, tmp_path / "r.sarif")
    run = json.loads((tmp_path / "r.sarif").read_bytes())["runs"][0]
    first = run["results"][0]
    assert first["level"] == "error"
    assert first["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "stops.csv"}, "region": {"startLine": 2}}
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"]
    assert len(run["results"]) == len(report.results)


def test_junit_fails_the_shapes_with_violations_only(made, tmp_path: Path) -> None:
    report, rules = made
    write_report(report, rules, tmp_path / "r.xml")
    suite = ET.parse(tmp_path / "r.xml").getroot()
    failing = {case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert failing == {"code", "walk"}
    assert suite.get("failures") == "2"


class Page(HTMLParser):
    """Notes what a page contains."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text += data


def test_html_is_one_page_for_the_owner_first_with_nothing_from_outside(made, tmp_path: Path) -> None:
    report, rules = made
    write_reports(report, rules, tmp_path, title=TITLE)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(source)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe"}
    assert "http" not in "".join(str(v) for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "action"))
    assert "url(" not in source
    flat = page.text.replace("\u00a0", " ").partition("Rapport de validation")[2]
    order = [
        flat.index(words)
        for words in (
            "Arrêts",
            "Non conforme",
            "À corriger d’abord",
            "Les colonnes les plus touchées",
            "Toutes les règles enfreintes",
            "Ce qui a été vérifié",
        )
    ]
    assert order == sorted(order)
    assert "Does not conform" in flat
    assert "stops.csv, ligne 2, colonne « code »" in flat
    assert "<script>alert" not in source
    assert {path.name for path in tmp_path.glob("report.*")} == {
        "report.html",
        "report.json",
        "report.csv",
        "report.ttl",
        "report.txt",
    }


def test_a_page_about_a_hundred_thousand_results_stays_small(file, shapes, tmp_path: Path) -> None:
    lines = "".join(f'<urn:n{i}> <https://x.example/p{i % 300}> "x" .\n' for i in range(3_000))
    rules = shapes(
        "\n".join(
            f"ex:S{i} sh:targetSubjectsOf ex:p{i} ; sh:property [ sh:path ex:p{i} ; sh:datatype xsd:integer ] ."
            for i in range(300)
        )
    )
    report = validate(file(lines, "d.nt", plain=True), rules, limits=Limits(report_samples=10))
    heavy = replace(report, groups=tuple(replace(group, count=group.count * 1000) for group in report.groups))
    write_report(heavy, rules, tmp_path / "r.html", title=TITLE)
    assert (tmp_path / "r.html").stat().st_size < 1_500_000


def test_an_unknown_form_is_refused_with_those_that_exist(made, tmp_path: Path) -> None:
    report, rules = made
    with pytest.raises(UsageError) as caught:
        write_report(report, rules, tmp_path / "r.pdf")
    assert ".html" in caught.value.hint.en
