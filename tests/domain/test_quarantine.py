"""Wrong rows end the run, or are set aside, counted, reported, and never more than a share; never silently."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cityorchestra_ld import pipeline
from cityorchestra_ld.cli import main
from cityorchestra_ld.lineage import explain
from cityorchestra_ld.runs import Run, RunFolder, Status
from cityorchestra_ld.store import Reader, current_generation
from cityorchestra_ld.territory import Territory, load_territory

TREES = 40
TERRITORY = """
base_iri = "https://ld.example/"
name = { fr = "Essai", en = "Trial" }
publisher = "ville"
[partners.ville]
name = "Ville"
"""
DATASET = """
title = { fr = "Arbres", en = "Trees" }
description = { fr = "Arbres", en = "Trees" }
publisher = "ville"
licence = "etalab-2.0"
attribution = "Ville"
policy = "open-etalab"
on_error = "quarantine"
quarantine_max = 0.2

[[source]]
name = "arbres.csv"
path = "arbres.csv"
key = ["code"]
column = [
  { name = "code", kind = "code", pattern = "[0-9]{4}" },
  { name = "nom", aliases = ["Nom de l'arbre"] },
]
[[source]]
name = "bancs.json"
format = "json"
path = "bancs.json"
"""
MAPPING = """
prefixes:
  arbre: https://ld.example/id/arbre/
  banc: https://ld.example/id/banc/
  ex: https://ld.example/def/
sources:
  arbres: ["arbres.csv~csv"]
  bancs: ["bancs.json~jsonpath", "$.bancs[*]"]
mappings:
  arbre:
    sources: arbres
    s: arbre:$(code)
    po:
      - [ex:nom, $(nom)]
      - [ex:hauteur, $(hauteur), xsd:decimal]
      - [ex:plante, $(jour), xsd:date]
      - [ex:page, $(page)~iri]
      - p: ex:note
        o: {value: $(note), language: $(langue)}
  banc:
    sources: bancs
    s: banc:$(id)
    po:
      - [ex:places, $(places), xsd:integer]
"""
SHAPES = """
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix ex: <https://ld.example/def/> .
ex:Shape a sh:NodeShape ; sh:targetSubjectsOf ex:nom ; sh:property [ sh:path ex:nom ; sh:maxCount 1 ] .
"""
GOOD = {
    "nom": "Tilleul",
    "hauteur": "12.5",
    "jour": "2001-03-04",
    "page": "http://ville.example/a",
    "note": "beau",
    "langue": "fr",
}
WRONG = {
    7: ({"hauteur": "12,5"}, "hauteur", "12,5"),
    11: ({"jour": "2001-02-30"}, "jour", "2001-02-30"),
    19: ({"page": "http://ville.example/a b"}, "page", "http://ville.example/a b"),
    23: ({"langue": "français"}, "langue", "français"),
    29: ({"code": "29"}, "code", "29"),
    31: ({"code": "0001"}, "code", "0001"),
}


def write(place: Path, wrong: dict[int, dict[str, str]], benches: list[dict[str, object]]) -> None:
    rows = [{"code": f"{number:04}"} | GOOD | wrong.get(number, {}) for number in range(1, TREES + 1)]
    with (place / "arbres.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "Nom de l'arbre", *list(GOOD)[1:]])
        for number, row in enumerate(rows, 1):
            writer.writerow(row.values())
            if number == 3:
                file.write("\r\n")  # a blank line: rows must still be counted as a spreadsheet does
    (place / "bancs.json").write_text(json.dumps({"bancs": benches}), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    mappings, shapes = tmp_path / "mappings/ville/arbres", tmp_path / "shapes/ville"
    mappings.mkdir(parents=True)
    shapes.mkdir(parents=True)
    (tmp_path / "territory.toml").write_text(TERRITORY, encoding="utf-8")
    (mappings / "dataset.toml").write_text(DATASET, encoding="utf-8")
    (mappings / "mapping.yml").write_text(MAPPING, encoding="utf-8")
    (shapes / "arbres.ttl").write_text(SHAPES, encoding="utf-8")
    write(tmp_path, {n: cells for n, (cells, _, _) in WRONG.items()}, [{"id": n, "places": n} for n in range(20)])
    return tmp_path


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a function that types a command, in English, and gives its exit code and what it printed."""
    monkeypatch.setenv("CITYORCHESTRA_LANG", "en")

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cityorchestra", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out + printed.err

    return run


def territory(place: Path, **settings: object) -> Territory:
    loaded = load_territory(place)
    for key, dataset in loaded.datasets.items():
        changed = replace(dataset, **settings)  # type: ignore[arg-type]
        sources = tuple(replace(source, on_error=changed.on_error) for source in dataset.sources)
        loaded = replace(loaded, datasets={key: replace(changed, sources=sources)})
    return loaded


def run(place: Path, **settings: object) -> Run:
    return pipeline.run(territory(place, **settings), ["ville/arbres"]).runs[0]


def test_wrong_rows_are_set_aside_each_with_its_place_and_its_fault(place: Path) -> None:
    done = run(place)
    assert (done.status, done.set_aside, done.records["arbres.csv"]) == (Status.PUBLISHED, len(WRONG), TREES - len(WRONG))
    told = {(row.place.row, row.place.column, row.place.value) for row in done.quarantine}
    assert told == {(number + 1 + (number > 3), column, value) for number, (_, column, value) in WRONG.items()}
    assert all(row.place.file == "arbres.csv" and row.place.rule for row in done.quarantine if row.place.column != "code")
    assert all(row.reason.fr != row.reason.en for row in done.quarantine)


def test_the_partner_gets_a_file_with_one_line_for_each_wrong_row(place: Path) -> None:
    done = run(place)
    text = (RunFolder(place / "var").root / done.id / "quarantine.csv").read_text(encoding="utf-8-sig")
    lines = list(csv.DictReader(text.splitlines()))
    assert [line["value"] for line in lines] == [row.place.value for row in done.quarantine]
    assert {line["row"] for line in lines} >= {"9", "13"} and all(line["reason_fr"] and line["reason_en"] for line in lines)


def test_the_other_rows_are_published_and_none_of_the_wrong_ones(place: Path) -> None:
    run(place)
    loaded = territory(place)
    generation = current_generation(loaded.state / "store")
    assert generation is not None
    label = "<https://ld.example/def/nom>"
    assert explain(loaded, "<https://ld.example/id/arbre/0040>", label)[0].origins[0].row == 42
    first = explain(loaded, "<https://ld.example/id/arbre/0001>", label)[0].origins
    assert [origin.row for origin in first] == [2], "the row with the same key was set aside"
    with Reader(generation) as reader:
        quads = list(reader.quads(None, None, None))
        trees = {str(q.subject) for q in quads if "/id/arbre/" in str(q.subject)}
    assert len(trees) == TREES - len(WRONG) and not any(f"{number:04}>" in tree for tree in trees for number in WRONG)
    told = [q.object.value for q in quads if str(q.subject).endswith("/rows-set-aside>") and "value" in str(q.predicate)]
    assert told == [str(len(WRONG))], "the published quality record says it too"


def test_records_of_json_are_set_aside_by_their_place(place: Path) -> None:
    write(place, {}, [{"id": n, "places": "deux" if n == 12 else n} for n in range(20)])
    done = run(place)
    assert (done.status, done.set_aside) == (Status.PUBLISHED, 1)
    at = done.quarantine[0].place
    assert (at.file, at.pointer, at.column, at.value) == ("bancs.json", "/bancs/12", "places", "deux")


def test_more_wrong_rows_than_the_share_end_the_run_and_are_still_told(place: Path) -> None:
    done = run(place, quarantine_max=0.1)
    assert done.failure is not None and done.failure.exit_code == 1
    assert "6 of 40 rows of arbres.csv are wrong (15.0 %); 10 % may be set aside" in done.failure.message.en
    assert done.failure.place is not None and done.failure.place.row
    assert (RunFolder(place / "var").root / done.id / "quarantine.csv").read_text(encoding="utf-8-sig").count("\n") == 7
    assert current_generation(place / "var" / "store") is None


@pytest.mark.parametrize("number", sorted(WRONG))
def test_by_default_the_first_wrong_row_ends_the_run(place: Path, number: int) -> None:
    cells, column, value = WRONG[number]
    write(place, {number: cells}, [])
    done = run(place, on_error="fail", allow_empty=("banc",))
    assert done.failure is not None and done.set_aside == 0
    at = done.failure.place
    assert at is not None and (at.file, at.row, at.column, at.value) == ("arbres.csv", number + 2, column, value)


def test_a_mistake_of_the_mapping_is_no_matter_of_rows(place: Path) -> None:
    mapping = place / "mappings/ville/arbres/mapping.yml"
    mapping.write_text(MAPPING.replace("$(hauteur)", "$(hauteurs)"), encoding="utf-8")
    done = run(place)
    assert done.failure is not None and "hauteurs" in done.failure.message.en


def test_the_summary_and_runs_show_say_it_loudly(place: Path, typed: Callable[..., tuple[int, str]]) -> None:
    code, said = typed("run", "--all", "--territory", str(place))
    assert code == 0 and said.count("6 wrong row(s) set aside, to be corrected") == 2
    identity = RunFolder(place / "var").list()[0].id
    code, said = typed("runs", "show", identity, "--territory", str(place))
    assert code == 0 and f"{identity}/quarantine.csv" in said and "row 9, column 'hauteur', value '12,5'" in said
