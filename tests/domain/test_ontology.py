"""Our terms and codes are complete and in two languages; every term of others that the territory uses is really published."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pyoxigraph as ox
import pytest
import yaml

from cityorchestra_ld.namespaces import DEFAULT_BASE, OWL, RDF, RDFS, SKOS, XSD, prefixes

ROOT = Path(__file__).parents[2]
CO = f"{DEFAULT_BASE}def/co#"
CODE = f"{DEFAULT_BASE}id/code/"
IGEO = "http://rdf.insee.fr/def/geo#"
CODELISTS = sorted((ROOT / "ontology" / "codelists").glob("*.ttl"))
TERM_KINDS = {f"{OWL}Class", f"{OWL}ObjectProperty", f"{OWL}DatatypeProperty"}

Node = ox.NamedNode | ox.BlankNode
Table = dict[str, dict[str, list[ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple]]]


@cache
def read(file: Path) -> Table:
    """Read a Turtle file as subject -> predicate -> objects."""
    table: Table = {}
    for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE):
        if isinstance(quad.subject, ox.NamedNode):
            table.setdefault(quad.subject.value, {}).setdefault(quad.predicate.value, []).append(quad.object)
    return table


def values(table: Table, subject: str, predicate: str) -> set[str]:
    """Return the IRIs or texts that a subject has for a predicate."""
    return {term.value for term in table[subject].get(predicate, []) if not isinstance(term, ox.Triple)}


def languages(table: Table, subject: str, predicate: str) -> list[str]:
    """Return the languages of the texts that a subject has for a predicate."""
    return sorted(term.language or "" for term in table[subject].get(predicate, []) if isinstance(term, ox.Literal))


def ours() -> Table:
    return read(ROOT / "ontology" / "co.ttl")


def our_terms() -> list[str]:
    return sorted(iri for iri in ours() if iri.startswith(CO))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return tools/term_list.py as a module."""
    spec = importlib.util.spec_from_file_location("term_list", ROOT / "tools" / "term_list.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["term_list"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def uses(tool: ModuleType) -> dict[str, Any]:
    """Return the terms that the territory's files use."""
    found: dict[str, Any] = tool.used_terms()
    return found


# --- our terms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", our_terms(), ids=lambda term: term.removeprefix(CO))
def test_a_term_of_ours_is_named_and_defined_in_french_and_english(term: str) -> None:
    assert languages(ours(), term, f"{RDFS}label") == ["en", "fr"]
    assert languages(ours(), term, f"{SKOS}definition") == ["en", "fr"]
    assert values(ours(), term, f"{RDFS}isDefinedBy") == {f"{DEFAULT_BASE}def/co"}
    kinds = values(ours(), term, f"{RDF}type") & TERM_KINDS
    assert len(kinds) == 1
    name = term.removeprefix(CO)
    if kinds == {f"{OWL}Class"}:
        assert name[0].isupper()
        assert values(ours(), term, f"{RDFS}subClassOf"), "a class of ours is a kind of something that others know"
    else:
        assert name[0].islower()
        for super_property in values(ours(), term, f"{RDFS}subPropertyOf"):
            assert super_property in ours() or not super_property.startswith(CO)


def test_the_ontology_says_what_it_is_and_which_version() -> None:
    header = f"{DEFAULT_BASE}def/co"
    assert values(ours(), header, f"{RDF}type") == {f"{OWL}Ontology"}
    assert languages(ours(), header, "http://purl.org/dc/terms/title") == ["en", "fr"]
    assert values(ours(), header, f"{OWL}versionIRI") == {f"{header}/{next(iter(values(ours(), header, OWL + 'versionInfo')))}"}
    assert values(ours(), header, "http://purl.org/dc/terms/license")
    assert values(ours(), header, "http://purl.org/dc/terms/creator")


def test_names_of_our_terms_differ_by_more_than_case_unless_one_is_a_class() -> None:
    seen: dict[str, str] = {}
    for term in our_terms():
        twin = seen.setdefault(term.lower(), term)
        if twin != term:
            kinds = [values(ours(), name, f"{RDF}type") for name in (twin, term)]
            assert sum(f"{OWL}Class" in kind for kind in kinds) == 1, (twin, term)


def test_coded_values_range_over_concepts_and_counts_over_numbers() -> None:
    for name in (
        "indicator",
        "energyCarrier",
        "sector",
        "actionStatus",
        "budgetSection",
        "plugType",
        "accessCondition",
        "mobilityType",
    ):
        assert values(ours(), CO + name, f"{RDFS}range") == {f"{SKOS}Concept"}
    for name in ("minimumUnits", "suppressedCells", "capacity"):
        assert values(ours(), CO + name, f"{RDFS}range") == {f"{XSD}integer"}


# --- INSEE's terms, corrected ------------------------------------------------------------------------------------------------


def insee() -> Table:
    return read(ROOT / "ontology" / "imports" / "insee-geo.ttl")


def test_the_insee_module_is_corrected_and_says_so() -> None:
    header = next(iri for iri, said in insee().items() if ox.NamedNode(f"{OWL}Ontology") in said[f"{RDF}type"])
    assert languages(insee(), header, f"{SKOS}changeNote") == ["en", "fr"]
    assert values(insee(), header, "http://purl.org/dc/terms/source") == {"http://rdf.insee.fr/def/geo"}
    assert values(insee(), header, "http://purl.org/dc/terms/license") == {"http://creativecommons.org/licenses/by/4.0/"}
    assert "http://http" not in "".join(f"{s} {p} {o}" for s, said in insee().items() for p, os_ in said.items() for o in os_)
    assert "http://www.opengis.net/ont/geosparql#Feature" in values(insee(), f"{IGEO}PaysOuTerritoire", f"{RDFS}subClassOf")
    direct = f"{IGEO}subdivisionDirecteDe"
    assert f"{OWL}TransitiveProperty" not in values(insee(), direct, f"{RDF}type")
    assert values(insee(), direct, f"{OWL}inverseOf") == {f"{IGEO}subdivisionDirecte"}
    assert f"{OWL}TransitiveProperty" in values(insee(), f"{IGEO}subdivisionDe", f"{RDF}type")


def test_every_territory_is_a_feature_by_the_corrected_module() -> None:
    def above(term: str) -> Iterator[str]:
        for parent in values(insee(), term, f"{RDFS}subClassOf") if term in insee() else ():
            yield parent
            yield from above(parent)

    for name in ("Commune", "Departement", "Region", "Intercommunalite", "IRIS", "Iris", "CommuneDeleguee"):
        assert "http://www.opengis.net/ont/geosparql#Feature" in set(above(IGEO + name)), name


def test_terms_of_insee_are_named_in_french_and_english() -> None:
    for term in insee():
        if term.startswith(IGEO):
            assert languages(insee(), term, f"{RDFS}label") == ["en", "fr"], term
            assert languages(insee(), term, f"{SKOS}definition") == ["en", "fr"], term


# --- code lists -----------------------------------------------------------------------------------------------------------

AGREED = {
    "indicator": "population population-0-19 population-20-64 population-65plus population-total population-municipal "
    "dwellings main-residences second-homes vacant-dwellings houses flats main-residences-in-flats energy-consumption "
    "energy-production delivery-points budget-realised bike-count",
    "energy-carrier": "electricity gas heat solar wind hydro thermal nuclear bioenergy",
    "sector": "residential professional agriculture industry tertiary unassigned",
    "property": "flow-state vehicles-available docks-available traveller-count charging-point-state charging-point-occupancy",
    "flow-state": "1 1a 1f 2 3 4",
    "action-status": "en-cours en-retard en-pause bloque abandonne termine",
    "irve-access": "libre reserve",
    "plug-type": "ef type-2 combo-ccs chademo autre",
    "budget-section": "fonctionnement investissement",
    "budget-flow": "depense recette",
    "budget-movement": "reel ordre",
    "perturbation-level": "mineure majeure bloquante",
    "confidentiality-rule": "electricity-residential gas-residential enterprises households-tax",
    "theme": "energie mobilite eau population air budget territoire action",
}
FILLED_BY_PARTNERS = {"budget-nature", "budget-function", "budget-entity", "document-type"}


@pytest.mark.parametrize("file", CODELISTS, ids=lambda file: file.stem)
def test_a_code_list_is_one_scheme_whose_codes_are_named_in_two_languages(file: Path) -> None:
    table, scheme = read(file), f"{CODE}{file.stem}"
    assert languages(table, scheme, f"{SKOS}prefLabel") == ["en", "fr"]
    assert languages(table, scheme, f"{SKOS}definition") == ["en", "fr"]
    codes = [iri for iri in table if iri != scheme]
    assert codes or file.stem in FILLED_BY_PARTNERS
    for iri in codes:
        assert f"{SKOS}Concept" in values(table, iri, f"{RDF}type")
        assert values(table, iri, f"{SKOS}notation") == {iri.removeprefix(f"{scheme}/")}
        assert values(table, iri, f"{SKOS}inScheme") == {scheme}
        assert languages(table, iri, f"{SKOS}prefLabel") == ["en", "fr"]
        assert languages(table, iri, f"{SKOS}definition") in (["en", "fr"], [])
        assert values(table, iri, f"{SKOS}broader") <= set(codes)
    tops = {iri for iri in codes if not values(table, iri, f"{SKOS}broader")}
    assert {iri for iri in codes if values(table, iri, f"{SKOS}topConceptOf") == {scheme}} == tops
    assert values(table, scheme, f"{SKOS}hasTopConcept") == tops


@pytest.mark.parametrize("scheme", AGREED)
def test_a_code_list_has_the_codes_that_mappings_rely_on(scheme: str) -> None:
    table = read(ROOT / "ontology" / "codelists" / f"{scheme}.ttl")
    assert {iri.removeprefix(f"{CODE}{scheme}/") for iri in table if iri != CODE + scheme} == set(AGREED[scheme].split())


def test_secrecy_rules_carry_their_number_and_the_law_behind_it() -> None:
    table = read(ROOT / "ontology" / "codelists" / "confidentiality-rule.ttl")
    minimum = {"electricity-residential": "10", "gas-residential": "10", "enterprises": "3", "households-tax": "11"}
    for name, number in minimum.items():
        rule = f"{CODE}confidentiality-rule/{name}"
        assert f"{CO}ConfidentialityRule" in values(table, rule, f"{RDF}type")
        assert values(table, rule, f"{CO}minimumUnits") == {number}
        assert values(table, rule, "http://purl.org/dc/terms/bibliographicCitation")
    gas = f"{CODE}confidentiality-rule/gas-residential"
    assert f"{CO}minimumVolume" not in table[gas], "the order was not read: no number may be invented"
    assert languages(table, gas, f"{SKOS}editorialNote") == ["en", "fr"]


def test_local_units_say_which_kind_of_quantity_they_measure() -> None:
    table = read(ROOT / "ontology" / "codelists" / "unit.ttl")
    for iri in table:
        if iri != f"{CODE}unit":
            assert values(table, iri, "http://qudt.org/schema/qudt/hasQuantityKind")
            assert "pcs" not in iri


@pytest.mark.parametrize("name", ["theme", "rudi-theme"])
def test_themes_are_linked_to_the_european_ones(name: str) -> None:
    table = read(ROOT / "ontology" / "codelists" / f"{name}.ttl")
    for iri in table:
        if iri != CODE + name:
            targets = values(table, iri, f"{SKOS}closeMatch")
            assert targets
            assert all(t.startswith("http://publications.europa.eu/resource/authority/data-theme/") for t in targets)


def used_codes() -> Iterator[tuple[str, str]]:
    """Go through the code IRIs written out in mappings, shapes, policies and queries, with the file."""
    pattern = re.compile(rf"{re.escape(CODE)}([a-z-]+)/([\w.-]+)(?=[>~\"'\s;,\]\)}}]|$)")
    for folder in ("mappings", "shapes", "policies", "queries"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".ttl", ".rq", ".yml"):
                text = re.sub(r"(^|\s)#.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
                known = yaml.safe_load(text)["prefixes"] if file.suffix == ".yml" else dict(
                    re.findall(r"@?prefix\s+([\w-]+):\s*<([^>]+)>", text, flags=re.IGNORECASE)
                )  # fmt: skip
                for prefix, space in known.items():
                    if space.startswith(CODE):
                        text = re.sub(rf"(?<![\w:/-]){re.escape(prefix)}:(?=[\w])", space.replace("\\", ""), text)
                for match in pattern.finditer(text):
                    yield match.group(), file.relative_to(ROOT).as_posix()


def test_every_code_that_is_used_exists() -> None:
    known = {iri for file in CODELISTS for iri in read(file)}
    minted = {iri for file in (ROOT / "mappings").rglob("static.ttl") for iri in read(file) if iri.startswith(CODE)}
    used = dict(used_codes())
    assert len(used) > 30
    filled = tuple(f"{CODE}{scheme}/" for scheme in FILLED_BY_PARTNERS)
    assert {code: file for code, file in used.items() if code not in known | minted and not code.startswith(filled)} == {}


# --- JSON-LD context and alignments ------------------------------------------------------------------------------------------


def context() -> dict[str, object]:
    found = orjson.loads((ROOT / "ontology" / "context.jsonld").read_bytes())["@context"]
    assert isinstance(found, dict)
    return found


def test_the_json_ld_context_knows_our_prefixes_and_every_term_of_ours() -> None:
    known = context()
    assert known["@version"] == 1.1
    for name, space in prefixes().items():
        if name != "id":  # `id` is the everyday word for @id
            assert known[name] == space
    for term in our_terms():
        name = term.removeprefix(CO)
        entry = known[name]
        entry = entry if isinstance(entry, dict) else {"@id": entry}
        assert entry["@id"] == f"co:{name}"
        if f"{OWL}ObjectProperty" in values(ours(), term, f"{RDF}type"):
            assert entry["@type"] == "@id"
        elif typed := values(ours(), term, f"{RDFS}range") & {
            f"{XSD}{kind}" for kind in ("integer", "decimal", "boolean", "gYear")
        }:
            assert f"{XSD}{str(entry['@type']).removeprefix('xsd:')}" in typed


def test_a_document_written_with_the_context_says_what_it_seems_to_say() -> None:
    document = {
        "@context": context(),
        "id": f"{DEFAULT_BASE}id/obs/test/1",
        "type": "Observation",
        "label": {"fr": "Un chiffre", "en": "A figure"},
        "indicator": f"{CODE}indicator/energy-consumption",
        "refPeriod": "2023",
        "deliveryPoints": 12,
        "suppressedCells": "3",
        "refArea": "https://ld.cityorchestra.example/id/iris/352380101",
    }
    said = {
        (quad.predicate.value, str(quad.object))
        for quad in ox.parse(orjson.dumps(document), format=ox.RdfFormat.JSON_LD, base_iri=DEFAULT_BASE)
    }
    assert said == {
        (f"{RDF}type", "<http://purl.org/linked-data/cube#Observation>"),
        (f"{RDFS}label", '"Un chiffre"@fr'),
        (f"{RDFS}label", '"A figure"@en'),
        (f"{CO}indicator", f"<{CODE}indicator/energy-consumption>"),
        ("http://purl.org/linked-data/sdmx/2009/dimension#refPeriod", f'"2023"^^<{XSD}gYear>'),
        (f"{CO}deliveryPoints", f'"12"^^<{XSD}integer>'),
        (f"{CO}suppressedCells", f'"3"^^<{XSD}integer>'),
        ("http://purl.org/linked-data/sdmx/2009/dimension#refArea", f"<{DEFAULT_BASE}id/iris/352380101>"),
    }


def test_alignments_start_from_terms_that_exist_and_make_no_loop() -> None:
    table = read(ROOT / "ontology" / "alignments.ttl")
    for subject, said in table.items():
        if subject.startswith(CO):
            assert subject in ours()
        assert subject not in {o.value for objects in said.values() for o in objects if isinstance(o, ox.NamedNode)}


# --- terms of others --------------------------------------------------------------------------------------------------------


def test_every_term_in_use_is_in_the_list_or_ours(tool: ModuleType, uses: dict[str, Any]) -> None:
    _, missing = tool.build(uses, tool.listed())
    assert missing == [], "run tools/term_list.py, or give the reason in terms-elsewhere.tsv"


def test_every_term_of_ours_that_is_used_is_defined(uses: dict[str, Any]) -> None:
    own = {iri: sorted(use.files) for iri, use in uses.items() if iri.startswith(CO)}
    assert own
    assert {iri: files for iri, files in own.items() if iri not in ours()} == {}


def test_the_list_holds_nothing_that_is_not_used(tool: ModuleType, uses: dict[str, Any]) -> None:
    assert set(tool.listed()) == set(tool.wanted(uses))


def test_properties_are_used_as_properties_and_classes_as_classes(tool: ModuleType, uses: dict[str, Any]) -> None:
    kinds = {iri: definition.kind for iri, definition in tool.listed().items()}
    as_predicate = {iri: kinds[iri] for iri in tool.wanted(uses) if uses[iri].as_predicate and kinds[iri] != "property"}
    as_class = {iri: kinds[iri] for iri in tool.wanted(uses) if uses[iri].as_class and kinds[iri] not in ("class", "datatype")}
    assert as_predicate == {}
    assert as_class == {}


def test_terms_seen_elsewhere_only_are_few_used_and_explained(tool: ModuleType) -> None:
    elsewhere, listed = tool.elsewhere(), tool.listed()
    assert {iri for iri, definition in listed.items() if definition.source == "elsewhere"} == set(elsewhere)
    assert len(elsewhere) < 60
    for iri, row in elsewhere.items():
        assert row["seen"].strip(), iri
        assert row["reason"].strip(), iri


@pytest.mark.parametrize(
    "term",
    [
        "http://rdf.insee.fr/def/geo#EPCI",
        "http://www.w3.org/ns/dcat#versionNotes",
        "http://qudt.org/schema/qudt/unit",
        "http://qudt.org/vocab/unit/EUR",
        "https://schema.org/ElectricVehicleChargingStation",
        "http://www.w3.org/ns/sosa/hasSimpleResults",
        "http://publications.europa.eu/resource/authority/access-right/OPEN",
        "http://vocab.gtfs.org/terms#pathway",
    ],
)
@pytest.mark.parametrize("suffix", [".ttl", ".rq", ".yml", ".jsonld", ".sh.ttl"])
def test_a_tempting_term_that_nobody_defines_is_refused(term: str, suffix: str, tool: ModuleType, tmp_path: Path) -> None:
    cut = max(term.rfind("#"), term.rfind("/")) + 1
    space, name = term[:cut], term[cut:]
    written = {
        ".ttl": f"@prefix p: <{space}> . <urn:a> <http://purl.org/dc/terms/relation> p:{name} .",
        ".rq": f"PREFIX p: <{space}> SELECT * WHERE {{ ?s ?p p:{name} }} # nothing else",
        ".yml": f"prefixes:\n  p: {space}\nsources: {{}}\nmappings:\n  m:\n    po:\n      - [a, p:{name}~iri]\n",
        ".jsonld": f'{{"@context": {{"p": "{space}", "word": {{"@id": "p:{name}"}}}}}}',
        ".sh.ttl": f'@prefix sh: <http://www.w3.org/ns/shacl#> . <urn:q> sh:select "SELECT $this {{ $this ?p <{term}> }}" .',
    }[suffix]
    file = tmp_path / f"file{suffix}"
    file.write_text(written, encoding="utf-8")
    written_here = tool.Uses()
    tool.read_file(file, written_here)
    _, missing = tool.build(written_here, tool.listed())
    assert [line for line in missing if term in line]


def test_a_predicate_of_an_unknown_vocabulary_is_refused(tool: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "file.ttl"
    file.write_text(
        "<urn:a> <http://vocabulary.invalid/terms#says> 1 ; a <http://vocabulary.invalid/Thing> .", encoding="utf-8"
    )
    written_here = tool.Uses()
    tool.read_file(file, written_here)
    _, missing = tool.build(written_here, tool.listed())
    assert len(missing) == 2


def test_the_list_agrees_with_the_published_vocabularies(tool: ModuleType, uses: dict[str, Any]) -> None:
    """Needs the vocabulary files: a machine without them skips this, the integration server may not."""
    if not tool.suites().is_dir():
        message = f"no vocabulary files at {tool.suites()} (CITYORCHESTRA_SUITES)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    text, missing = tool.build(uses, tool.published_terms(tool.suites()))
    assert missing == []
    assert tool.LIST.read_text(encoding="utf-8") == text, "run tools/term_list.py"
