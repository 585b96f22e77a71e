"""Each common rule (R1 to R11) fires on its bad case, with a message in both languages, and is quiet on the good ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import Result, Severity, ValidationReport
from cityorchestra_ld.namespaces import DEFAULT_BASE, RDF, RDFS, SH
from cityorchestra_ld.validation import ShapesGraph, load_shapes, validate

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "shapes" / "core").glob("*.ttl"))
DATA = Path(__file__).parent / "data"
CSH = f"{DEFAULT_BASE}def/shapes#"
X = f"{DEFAULT_BASE}id/test/"
GEO = "http://id.insee.fr/geo/"
FR, EN = "fr", "en"

# focus node -> shapes that must fire on it, and nothing else
EXPECTED: dict[str, set[str]] = {
    f"{GEO}commune/1004": {"Commune-code"},
    f"{GEO}commune/35002": {"Commune-iri"},
    f"{GEO}commune/35004": {"Commune-code"},
    f"{GEO}commune/35005": {"Commune-code"},
    f"{DEFAULT_BASE}id/iris/10040101": {"Iris-code"},
    f"{DEFAULT_BASE}id/iris/350510101": {"Iris-commune"},
    f"{GEO}departement/1": {"Departement-code"},
    f"{GEO}region/4": {"Region-code"},
    f"{DEFAULT_BASE}id/epci/rennes": {"Epci-code"},
    "r9-unknown-area": {"KnownArea-code"},
    "r9-swapped": {"Place-swapped"},
    "r9-lambert": {"Place-outside"},
    "r9-not-wkt": {"Place-wkt"},
    "r9-string": {"Place-wkt"},
    "r1-secret-value": {"ValueNotSecret"},
    "r1-neither": {"ValueOrReason"},
    "r1-missing-value": {"ValueNotMissing"},
    "r1-no-indicator": {"Observation-indicator"},
    "r1-period-text": {"Observation-period"},
    "r1-period-short": {"Observation-period"},
    "r1-about-nothing": {"Observation-about"},
    "r1-no-status": {"Observation-confStatus"},
    "r1-no-dataset": {"Observation-dataSet"},
    "r2-text": {"Value-number"},
    "r2-comma": {"Value-number"},
    "r2-two-values": {"Value-single"},
    "r2-no-unit": {"Value-unit"},
    "r2-points-text": {"Counts-deliveryPoints"},
    "r2-negative-count": {"Counts-unitCount"},
    "r1-reading-of-nothing": {"Reading-feature"},
    "r1-reading-no-property": {"Reading-property"},
    "r1-reading-no-time": {"Reading-time"},
    "r1-reading-no-result": {"Reading-result"},
    "r1-reading-no-zone": {"ReadingTime-zone"},
    "r2-reading-no-unit": {"ReadingUnit"},
    "r3-nine": {"EnergySecret"},
    "r3-unknown-points": {"EnergySecret"},
    "r3-gas-large": {"EnergySecret"},
    "r4-ten": {"MinimumUnits"},
    "r4-two-enterprises": {"MinimumUnits"},
    "r4-unknown-units": {"MinimumUnits"},
    "r4-unknown-rule": {"MinimumUnits-rule"},
    "r10-total": {"RevealingEnergyTotal"},
    "r10-hidden": {"HiddenEnergyCell"},
    "r10-people-total": {"RevealingTotal"},
    "r10-people-hidden": {"HiddenCell"},
    "r5-mail": {"PersonalData"},
    "r5-phone": {"PersonalData"},
    "r5-phone-in-text": {"PersonalData"},
    "r5-phone-abroad": {"PersonalData"},
    "r5-national-number": {"PersonalData"},
    "r5-meter": {"PersonalData"},
    "r5-meter-number": {"PersonalData"},
    "r5-link": {"PersonalData"},
    "r6-no-policy": {"Dataset-policy"},
    "r6-own-access": {"Dataset-access"},
    "r6-no-words": {"Dataset-title", "Dataset-description"},
    "r6-unbounded": {"RestrictedDataset"},
    "r6-no-purpose": {"RestrictedDataset"},
    "r6-bare-file": {"Distribution-access", "Distribution-license"},
    "r7-public": {"PersonalDataset-basis", "PersonalDataset-purpose", "PersonalDataset-storage", "PersonalDataset-access"},
    "r11-laundered": {"NoLaundering"},
    "r8-as-observed": {"ScenarioObservation-status"},
    "r8-forecast-of-nothing": {"ForecastObservation"},
    "r8-orphan": {"Scenario-source", "Scenario-assumption", "Scenario-horizon"},
    "r8-vague": {"Assumption-parameter"},
    "nameless": {"Named-name"},
    "code-nameless": {"Concept-prefLabel", "Concept-french"},
    "code-two-names": {"Concept-prefLabel"},
    "code-english-only": {"Concept-french", "Concept-notation", "Concept-scheme"},
}
WARNINGS = {
    "KnownArea-code", "Place-outside", "Observation-dataSet", "ReadingUnit", "Distribution-license", "Named-name",
    "Concept-french", "Concept-notation", "Concept-scheme",
}  # fmt: skip
SLOW_WITH_PYSHACL = "personal-data.ttl"  # one query for each subject: judged there on the cases of R5 only


def as_triples(files: Sequence[Path], out: Path, only: str = "") -> Path:
    """Write Turtle files as N-Triples, all of it or the lines about subjects whose IRI contains `only`."""
    lines: list[str] = []
    for file in files:
        for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE, rename_blank_nodes=True):
            if not isinstance(quad.subject, ox.NamedNode) or only in quad.subject.value:
                lines.append(f"{quad.subject} {quad.predicate} {quad.object} .\n")
    out.write_text("".join(lines), encoding="utf-8")
    return out


def name_of(shape: str) -> str:
    """Return the local name of a shape, from its IRI as a report gives it."""
    return shape.strip("<>").removeprefix(CSH)


def focus_of(result: Result) -> str:
    """Return the focus node as the table above writes it."""
    return result.focus.strip("<>").removeprefix(X)


def found(report: ValidationReport) -> dict[str, set[str]]:
    """Return the shapes that fired, by focus node."""
    fired: dict[str, set[str]] = {}
    for result in report.results:
        fired.setdefault(focus_of(result), set()).add(name_of(result.shape))
    return fired


@pytest.fixture(scope="module")
def shapes() -> ShapesGraph:
    return load_shapes(CORE, base_iri=DEFAULT_BASE)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    files = [*sorted((ROOT / "ontology" / "codelists").glob("*.ttl")), *sorted((ROOT / "ontology").glob("*.ttl")),
             *sorted((ROOT / "ontology" / "imports").glob("*.ttl")), *sorted((ROOT / "policies").glob("*.ttl"))]  # fmt: skip
    return [as_triples(files, tmp_path_factory.mktemp("context") / "context.nt")]


@pytest.fixture(scope="module")
def bad(shapes: ShapesGraph, context: list[Path], tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    data = as_triples([DATA / "rules-bad.ttl"], tmp_path_factory.mktemp("bad") / "bad.nt")
    return validate(data, shapes, context=context)


@pytest.fixture(scope="module")
def good(shapes: ShapesGraph, context: list[Path], tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    data = as_triples([DATA / "rules-good.ttl"], tmp_path_factory.mktemp("good") / "good.nt")
    return validate(data, shapes, context=context)


@pytest.mark.parametrize("case", EXPECTED)
def test_a_bad_case_fires_its_own_rules_and_no_other(case: str, bad: ValidationReport) -> None:
    assert found(bad).get(case, set()) == EXPECTED[case]


def test_nothing_else_fires_on_the_bad_cases(bad: ValidationReport) -> None:
    assert set(found(bad)) == set(EXPECTED)


def test_good_cases_are_quiet(good: ValidationReport) -> None:
    assert [(focus_of(result), name_of(result.shape)) for result in good.results] == []


def test_every_rule_looks_at_a_good_case_and_at_a_bad_one(good: ValidationReport, bad: ValidationReport) -> None:
    assert [name_of(shape) for shape in good.idle_shapes] == []
    assert [name_of(shape) for shape in bad.idle_shapes] == []


def test_every_rule_that_can_fire_is_tried(bad: ValidationReport) -> None:
    fired = {name for names in found(bad).values() for name in names}
    reported = {shape for shape, texts in messages().items() if texts}
    not_tried = {
        name for name in reported - fired if not name.endswith("-iri")
    }  # one constraint, shared by five kinds of territory
    assert not_tried == set()


def test_warnings_are_what_a_steward_may_leave_for_later(bad: ValidationReport) -> None:
    by_severity: dict[Severity, set[str]] = {}
    for result in bad.results:
        by_severity.setdefault(result.severity, set()).add(name_of(result.shape))
    assert by_severity[Severity.WARNING] == WARNINGS
    assert not by_severity[Severity.VIOLATION] & WARNINGS


def test_messages_speak_two_languages_and_show_the_value(bad: ValidationReport) -> None:
    for result in bad.results:
        assert result.message.fr != result.message.en, result.shape
        assert "{" not in result.message.fr + result.message.en, result.message.fr
    nine = next(result for result in bad.results if focus_of(result) == "r3-nine")
    assert "pour 9 point(s)" in nine.message.fr
    assert "for 9 delivery point(s)" in nine.message.en


def test_secrecy_results_point_at_the_cell_to_correct(bad: ValidationReport) -> None:
    places = {focus_of(result): (result.path or "").strip("<>").rpartition("#")[2] for result in bad.results}
    assert places["r3-nine"] == "deliveryPoints"
    assert places["r3-unknown-points"] == "obsValue"
    assert places["r4-ten"] == "unitCount"
    assert places["r10-hidden"] == "confStatus"
    assert places["r5-meter"].endswith("identifier")


@pytest.mark.slow
def test_the_reference_engine_agrees(shapes: ShapesGraph, tmp_path: Path) -> None:
    rules = as_triples([ROOT / "ontology" / "codelists" / "confidentiality-rule.ttl"], tmp_path / "rules.nt")
    policies = as_triples([ROOT / "policies" / "open-etalab.ttl"], tmp_path / "policies.nt")
    quick = load_shapes([file for file in CORE if file.name != SLOW_WITH_PYSHACL], base_iri=DEFAULT_BASE)
    everything = as_triples([DATA / "rules-bad.ttl"], tmp_path / "bad.nt")
    report = validate(everything, quick, context=[rules, policies], engine="pyshacl")
    wanted = {case: names - {"PersonalData"} for case, names in EXPECTED.items()}
    assert found(report) == {case: names for case, names in wanted.items() if names}
    personal = load_shapes([file for file in CORE if file.name == SLOW_WITH_PYSHACL], base_iri=DEFAULT_BASE)
    report = validate(as_triples([DATA / "rules-bad.ttl"], tmp_path / "r5.nt", "/r5-"), personal, engine="pyshacl")
    assert found(report) == {case: names for case, names in EXPECTED.items() if names == {"PersonalData"}}


def test_without_the_code_list_residential_energy_still_needs_ten_points(shapes: ShapesGraph, tmp_path: Path) -> None:
    data = as_triples([DATA / "rules-bad.ttl"], tmp_path / "r3.nt", "/r3-")
    fired = found(validate(data, shapes))
    assert all("EnergySecret" in fired[case] for case in ("r3-nine", "r3-unknown-points", "r3-gas-large"))


def test_a_total_loaded_after_its_hidden_cell_is_caught_too(shapes: ShapesGraph, tmp_path: Path) -> None:
    total = as_triples([DATA / "rules-bad.ttl"], tmp_path / "total.nt", "/r10-total")
    rest = tmp_path / "rest.nt"
    whole = as_triples([DATA / "rules-bad.ttl"], tmp_path / "bad.nt").read_text(encoding="utf-8")
    rest.write_text("".join(line for line in whole.splitlines(keepends=True) if "/r10-total>" not in line), encoding="utf-8")
    assert found(validate(total, shapes, context=[rest])) == {"r10-total": {"RevealingEnergyTotal"}}


def test_personal_data_of_the_context_is_not_the_fault_of_the_data(shapes: ShapesGraph, tmp_path: Path) -> None:
    data = as_triples([DATA / "rules-good.ttl"], tmp_path / "good.nt", "/r1-free")
    other = as_triples([DATA / "rules-bad.ttl"], tmp_path / "bad.nt", "/r5-")
    assert not [r for r in validate(data, shapes, context=[other]).results if name_of(r.shape) == "PersonalData"]


# --- what the files say of themselves ------------------------------------------------------------------------------------


@cache
def quads() -> tuple[ox.Quad, ...]:
    return tuple(
        quad for file in CORE for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE, rename_blank_nodes=True)
    )


def named(predicate: str) -> Iterator[tuple[str, ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple]]:
    """Go through what named shapes and constraints say with a predicate."""
    for quad in quads():
        if quad.predicate.value == predicate and isinstance(quad.subject, ox.NamedNode):
            yield name_of(quad.subject.value), quad.object


def texts_of(predicate: str) -> dict[str, set[str]]:
    """Return the languages in which each named shape or constraint says something."""
    said: dict[str, set[str]] = {}
    for name, text in named(predicate):
        assert isinstance(text, ox.Literal)
        said.setdefault(name, set()).add(text.language or "")
    return said


def messages() -> dict[str, set[str]]:
    """Return the shapes that say something when they fire, with the languages: their own message or that of a query."""
    said = texts_of(f"{SH}message")
    by_query = {name: said[name_of(query.value)] for name, query in named(f"{SH}sparql") if isinstance(query, ox.NamedNode)}
    queries = {name_of(query.value) for _, query in named(f"{SH}sparql") if isinstance(query, ox.NamedNode)}
    return {name: languages for name, languages in said.items() if name not in queries} | by_query


def test_every_shape_has_a_name_and_a_message_in_french_and_english() -> None:
    kinds = (ox.NamedNode(f"{SH}NodeShape"), ox.NamedNode(f"{SH}PropertyShape"))
    shapes = {name for name, kind in named(f"{RDF}type") if kind in kinds}
    names, said = texts_of(f"{SH}name"), messages()
    assert {shape: names.get(shape) for shape in shapes if names.get(shape) != {FR, EN}} == {}
    assert {shape: languages for shape, languages in said.items() if languages != {FR, EN}} == {}
    groups = {name for name, _ in named(f"{SH}property")}
    assert shapes - groups - said.keys() == set(), "these judge without saying anything"


def test_every_file_says_what_it_is_and_rules_point_at_a_text() -> None:
    for file in CORE:
        text = file.read_text(encoding="utf-8")
        assert text.startswith("# "), file.name
        assert f"<{DEFAULT_BASE}def/shapes/core/{file.stem}> a owl:Ontology" in text
    pointing = {name for name, _ in named(f"{RDFS}seeAlso")}
    assert {"EnergySecret", "MinimumUnits", "PersonalData", "PersonalDataset", "RestrictedDataset", "NoLaundering"} <= pointing


def test_messages_begin_with_the_number_of_their_rule_so_that_people_can_look_it_up() -> None:
    labels = {name for name in messages() if name.startswith(("Named", "Concept"))}
    for name, text in named(f"{SH}message"):
        assert isinstance(text, ox.Literal)
        assert name in labels or re.match(r"R\d{1,2} ?: " if text.language == FR else r"R\d{1,2}: ", text.value), text.value
