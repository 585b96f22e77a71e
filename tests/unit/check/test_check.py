"""Each code of the catalogue: the mistake that brings it, the line that it names, and the advice that it gives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cityorchestra_ld.check import Finding, Level, catalogue
from cityorchestra_ld.check.dataset import check_dataset, check_files
from cityorchestra_ld.territory import load_territory

from .conftest import FILES, Spoil

MAP, SHAPES, TOML, STOPS = "mapping.yml", "d.ttl", "dataset.toml", "stops.csv"
LABEL = "- [rdfs:label, $(stop_name), fr~lang]"

# code, changes (file, old, new), words of the line that is named (of the mapping after the changes), words of the advice
CASES: list[tuple[str, list[tuple[str, str, str]], str | None, str]] = [
    ("MAP-001", [(MAP, "    subject: org:$(agency_id)\n", "    subjet: org:$(agency_id)\n")], "subjet", "subject"),
    ("MAP-002", [(SHAPES, "sh:targetClass gtfs:Stop", "sh:targetClas gtfs:Stop")], None, "sh:targetClass"),
    ("MAP-003", [(MAP, 'stops: ["stops.csv~csv"]', 'stops: ["stop.csv~csv"]')], 'stops: ["stop.csv', "stops.csv"),
    ("MAP-004", [(TOML, 'path = "agencies.csv"', 'url = "https://example.org/agencies.csv"')], None, "--source"),
    ("MAP-005", [(STOPS, "stop_id,stop_name", "stop_id,stop_nom")], None, "stop_nom"),
    ("MAP-006", [(TOML, 'path = "agencies.csv"', 'path = "agencies.csv"\n[[source]]\nname = "x.csv"\npath = "stops.csv"')],
     None, "declaration"),
    ("MAP-101", [(MAP, "$(places)", "$(place)")], "$(place)", "places"),
    ("MAP-103", [(MAP, LABEL, "- [rdfs:comment, $(num_pdl)]")], "num_pdl", "dataset.toml"),
    ("MAP-104", [(MAP, LABEL, LABEL + "\n      - [rdfs:comment, $(email)]")], "$(email)", "forbid"),
    ("MAP-105", [(MAP, "$(agency_id), o]", "$(agency_code), o]")], "mapping: agency", "agency_id"),
    ("MAP-201", [(MAP, "[a, [gtfs:Stop,", "[a, [gtfs:Stopp,")], "gtfs:Stopp", "gtfs:Stop"),
    ("MAP-202", [(MAP, "gtfs:code,", "gtfs:codee,")], "gtfs:codee", "gtfs:code"),
    ("MAP-203", [(MAP, "[a, gtfs:Agency]", "[a, [gtfs:Agency, sosa:ObservableProperty]]")], "sosa:Obs", "sosa:Property"),
    ("MAP-204", [(MAP, "[rdfs:label,", "[rdfs:Class,")], "rdfs:Class", "capital"),
    ("MAP-205", [(MAP, "qudt:hasUnit", "qudt:hasThing")], "qudt:hasThing", "ontology/imports"),
    ("MAP-206", [(MAP, LABEL, LABEL + "\n      - [gtfs:stopSequence, $(places), xsd:integer]")], "gtfs:stopSequence", "class"),
    ("MAP-207", [(MAP, "stop:$(stop_id)/geometry~iri]", "$(stop_id)]")], "geo:hasGeometry", "~iri"),
    ("MAP-208", [(MAP, LABEL, LABEL + "\n      - [gtfs:parentStation, stop:$(stop_id)~iri]")], "parentStation", "property"),
    ("MAP-209", [(MAP, "energy-carrier/electricity", "energy-carrier/electricite")], "electricite", "electricity"),
    ("MAP-301", [(MAP, "$(places), xsd:integer", "$(places)")], "co:capacity", "xsd:integer"),
    ("MAP-302", [(MAP, "[foaf:name, $(agency_name)]", "[foaf:name, $(agency_name)~iri]")], "foaf:name", "~iri"),
    ("MAP-303", [(MAP, "[dct:relation, org:$(agency)", "[dct:relation, stop:x$(agency)")], "dct:relation", "Nothing describes"),
    ("MAP-304", [(MAP, "unit:NUM~iri", "unit:EUR~iri")], "unit:EUR", "Correct"),
    ("MAP-305", [(MAP, LABEL, "- [rdfs:label, $(stop_name)]")], "rdfs:label", "fr~lang"),
    ("MAP-306", [(MAP, "subject: stop:$(stop_id)\n", "subject: stop:S-$(stop_id)\n")], "stop:S-", "pattern"),
    ("MAP-307", [(MAP, "$(places), xsd:integer", '"-1", xsd:integer')], '"-1"', "constant"),
    ("MAP-308", [(MAP, LABEL + "\n", "\n")], "[a, [gtfs:Stop", "- [rdfs:label, $(…), fr~lang]"),
    ("MAP-309", [(MAP, "- [qudt:hasUnit, unit:NUM~iri]", "- [qudt:hasUnit, [unit:NUM~iri, unit:PERCENT~iri]]")],
     "unit:PERCENT", "maxCount"),
    ("MAP-310", [(MAP, "- [foaf:name, $(agency_name)]", "- [foaf:name, $(agency_name)]\n      - [dct:title, $(agency_name)]")],
     "dct:title", "shape"),
    ("MAP-311", [(MAP, "- [co:capacity, $(places), xsd:integer]", "")], "[a, [gtfs:Stop", "conditions"),
    ("MAP-312", [(SHAPES, "sh:targetClass gtfs:Agency", "sh:targetClass gtfs:Route")], None, "target"),
    ("MAP-401", [(MAP, "subject: org:$(agency_id)", "subject: orga:$(agency_id)")], "orga:", "prefixes"),
    ("MAP-402", [(MAP, "subject: org:$(agency_id)", "subject: org:a b/$(agency_id)")], "a b/", "space"),
    ("MAP-403", [(MAP, "[dct:relation, org:$(agency)~iri]", "[dct:relation, o/$(agency)~iri]")], "o/$(agency)", "prefix"),
    ("MAP-404", [(MAP, "subject: stop:$(stop_id)/geometry", "subject: org:$(agency)"),
                 (MAP, "[a, gtfs:Agency]", "[a, [gtfs:Agency, geo:Feature]]")], "geo:Geometry", "template"),
    ("MAP-405", [(MAP, "\n  agency:\n", "\n  nobody:\n    sources: stops\n    subject: org:$(agency)\n  agency:\n")],
     "  nobody:", "join"),
]  # fmt: skip


def mapping_after(changes: list[tuple[str, str, str]]) -> list[str]:
    text = FILES["mappings/p/d/mapping.yml"]
    for name, old, new in changes:
        if name == MAP:
            text = text.replace(old, new)
    return text.splitlines()


def test_a_good_mapping_has_no_finding(spoiled: Spoil) -> None:
    assert spoiled() == ()


@pytest.mark.parametrize(("code", "changes", "words", "advice"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_brings_its_code_its_line_and_its_advice(
    spoiled: Spoil, code: str, changes: list[tuple[str, str, str]], words: str | None, advice: str
) -> None:
    found = [finding for finding in spoiled(*changes) if finding.code == code]
    assert found, "the mistake was not seen"
    said = f"{found[0].message.en} {found[0].hint.en}"
    assert advice in said
    assert found[0].message.fr != "" and found[0].page == f"docs/check/{code}.md"
    if words is not None:
        lines = mapping_after(changes)
        named = [lines[finding.place.line - 1] for finding in found if finding.place.line]
        assert any(words in line for line in named), f"{named} do not say {words!r}"


def test_every_code_of_the_catalogue_has_a_case() -> None:
    assert {case[0] for case in CASES} | {"MAP-102"} == set(catalogue())


def test_a_path_that_no_json_record_has_is_a_warning_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(
        'sources:\n  x: ["x.json~jsonpath", "$.items[*]"]\n'
        "mappings:\n  x:\n    sources: x\n    subject: http://e.org/$(id)\n"
        "    po:\n      - [rdfs:label, $(libelle.fr), fr~lang]\n      - [rdfs:comment, $(libele.fr), fr~lang]\n",
        encoding="utf-8",
    )
    (tmp_path / "x.json").write_text('{"items": [{"id": 1, "libelle": {"fr": "a"}}]}', encoding="utf-8")
    found = check_files(tmp_path / "m.yml")
    assert [(f.code, f.place.line, f.level) for f in found] == [("MAP-102", 9, Level.WARNING)]
    assert "libelle.fr" in found[0].hint.fr


def test_an_undeclared_prefix_in_turtle_is_found_although_the_iri_is_valid(tmp_path: Path) -> None:
    (tmp_path / "m.ttl").write_text(
        "@prefix rml: <http://w3id.org/rml/> .\n<#M> a rml:TriplesMap ;\n"
        '  rml:logicalSource [ rml:source [ a rml:FilePath ; rml:path "x.csv" ] ; rml:referenceFormulation rml:CSV ] ;\n'
        '  rml:subjectMap [ rml:template "stp:{id}" ; rml:class <http://www.w3.org/ns/prov#Entity> ] .',
        encoding="utf-8",
    )
    found = check_files(tmp_path / "m.ttl", base_iri="http://e.org/")
    assert [(f.code, f.place.line) for f in found] == [("MAP-401", 2)]
    assert "'stp:'" in found[0].message.en


def test_a_warning_of_a_shape_stays_a_warning(spoiled: Spoil) -> None:
    found = spoiled((MAP, LABEL, ""), (SHAPES, "sh:path rdfs:label ;", "sh:path rdfs:label ; sh:severity sh:Warning ;"))
    assert [(f.code, f.level) for f in found] == [("MAP-308", Level.WARNING)]


def test_what_the_context_or_static_triples_bring_is_not_missing(spoiled: Spoil, tmp_path: Path) -> None:
    static = tmp_path / "mappings/p/d/static.ttl"
    static.parent.mkdir(parents=True)
    static.write_text(
        "<https://ld.cityorchestra.example/id/org/1> a <http://vocab.gtfs.org/terms#Agency> ."
        '<https://ld.cityorchestra.example/id/stop/p/1002> <http://www.w3.org/2000/01/rdf-schema#label> "B"@fr .',
        encoding="utf-8",
    )
    assert spoiled((MAP, LABEL, "")) == ()


def test_two_rules_about_one_thing_are_taken_together(spoiled: Spoil) -> None:
    moved = f"  more:\n    sources: stops\n    subject: stop:$(stop_id)\n    po:\n      {LABEL}\n  geometry:\n"
    assert spoiled((MAP, LABEL, ""), (MAP, "  geometry:\n", moved)) == ()


def test_a_literal_of_the_second_rule_is_held_against_the_shape_of_the_first(spoiled: Spoil) -> None:
    moved = (
        "  more:\n    sources: stops\n    subject: stop:$(stop_id)\n    po:\n      - [rdfs:label, $(stop_name)]\n  geometry:\n"
    )
    found = spoiled((MAP, LABEL, ""), (MAP, "  geometry:\n", moved))
    assert [(f.code, f.place.rule) for f in found] == [("MAP-305", "more")]


def test_a_table_of_values_is_looked_at_value_by_value(spoiled: Spoil) -> None:
    table = "NUM=http://qudt.org/vocab/unit/NUM;EUR=http://qudt.org/vocab/unit/EUR"
    call = f'function: fn:lookup, parameters: [[fn:value, $(places)], [fn:table, "{table}"]], type: iri'
    lookup = f"- p: qudt:hasUnit\n        o: {{ {call} }}"
    found = spoiled((MAP, "- [qudt:hasUnit, unit:NUM~iri]", lookup))
    assert [(f.code, f.level) for f in found] == [("MAP-304", Level.WARNING)]
    assert "unit/EUR" in found[0].message.en


def test_a_contract_pattern_that_no_shape_can_accept_is_found(spoiled: Spoil) -> None:
    found = spoiled((TOML, '"[0-9]{4}"', '"[0-9]{5}"'), (SHAPES, 'sh:pattern "/stop/p/[0-9]{4}$" ;', ""))
    assert [f.code for f in found] == ["MAP-306"] and "gtfs:code" in found[0].message.en


def test_a_dataset_of_the_context_that_does_not_describe_the_link_is_named_in_the_advice(spoiled: Spoil) -> None:
    found: tuple[Finding, ...] = spoiled((SHAPES, "sh:class gtfs:Agency", "sh:class gtfs:Route"))
    assert [f.code for f in found] == ["MAP-303"]
    assert "gtfs:Agency" in found[0].hint.en


def test_fifty_rules_are_checked_in_less_than_a_second(spoiled: Spoil, tmp_path: Path) -> None:
    rule = (
        "  r{0}:\n    sources: stops\n    subject: stop:$(stop_id)/part/{0}\n    po:\n      - [a, gtfs:Stop]\n      "
        + LABEL
        + "\n"
    )
    spoiled((MAP, "  geometry:\n", "".join(rule.format(number) for number in range(50)) + "  geometry:\n"))
    territory = load_territory(tmp_path)
    start = time.process_time()
    found = check_dataset(territory, "p/d")
    assert time.process_time() - start < 1
    assert sum(f.code == "MAP-308" for f in found) == 50 * 3  # code, agency and point of each
