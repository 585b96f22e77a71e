"""What is known of terms: existence, kinds, hierarchy, exclusions, and the territory's own words over the published ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cityorchestra_ld.check import Vocabulary, load_vocabulary, reused
from cityorchestra_ld.check.personal import by_cells, by_name
from cityorchestra_ld.errors import UsageError

GTFS, PROV, IGEO = "http://vocab.gtfs.org/terms#", "http://www.w3.org/ns/prov#", "http://rdf.insee.fr/def/geo#"


def test_published_terms_are_known_by_kind_parents_domain_and_range() -> None:
    known = reused()
    agency = known.get(GTFS + "Agency")
    stop = known.get(GTFS + "stopSequence")
    assert agency is not None and agency.is_class and not agency.is_property
    assert stop is not None and stop.is_property and stop.domain == (frozenset({GTFS + "StopTime"}),)
    assert known.is_a(GTFS + "Agency", "http://xmlns.com/foaf/0.1/Agent")
    assert known.is_complete(GTFS + "x") and not known.is_complete("http://qudt.org/schema/qudt/x")


def test_deprecated_terms_name_what_replaces_them() -> None:
    old = reused().get("http://www.w3.org/ns/sosa/ObservableProperty")
    assert old is not None and old.deprecated and old.replacement == "http://www.w3.org/ns/sosa/Property"


def test_exclusions_hold_both_ways_and_through_the_hierarchy(vocabulary: Vocabulary) -> None:
    geo = "http://www.opengis.net/ont/geosparql#"
    assert vocabulary.disjoint(geo + "Feature", geo + "Geometry") and vocabulary.disjoint(geo + "Geometry", geo + "Feature")
    assert vocabulary.disjoint(PROV + "Activity", PROV + "Entity")
    assert vocabulary.disjoint(GTFS + "Stop", GTFS + "Route") is None


def test_the_ontology_of_a_territory_comes_first(vocabulary: Vocabulary) -> None:
    code = vocabulary.get(IGEO + "codeINSEE")
    assert code is not None and not code.range, "the territory says that the code is a text, whatever the published range"
    assert vocabulary.is_a(IGEO + "Iris", IGEO + "IRIS")
    assert vocabulary.is_complete("https://ld.cityorchestra.example/def/co#x")
    assert "https://ld.cityorchestra.example/id/code/indicator/population" in vocabulary.concepts


def test_the_nearest_term_is_of_the_same_kind(vocabulary: Vocabulary) -> None:
    assert vocabulary.nearest(GTFS + "Stopp", classes=True) == GTFS + "Stop"
    assert vocabulary.nearest(GTFS + "stopSequense", classes=False) == GTFS + "stopSequence"
    assert (
        vocabulary.nearest("http://purl.org/dc/terms/prefLabel", classes=False)
        == "http://www.w3.org/2004/02/skos/core#prefLabel"
    )


def test_classes_that_exclude_each_other_are_read_from_a_list(tmp_path: Path) -> None:
    (tmp_path / "o.ttl").write_text(
        "@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix e: <http://e.org/#> .\n"
        "e:A a owl:Class . e:B a owl:Class .\n"
        "e:C a owl:Class ; owl:deprecated true ; <http://purl.org/dc/terms/isReplacedBy> e:A .\n"
        "[] a owl:AllDisjointClasses ; owl:members ( e:A e:B ) .",
        encoding="utf-8",
    )
    found = load_vocabulary([tmp_path], "http://e.org/")
    assert found.disjoint("http://e.org/#A", "http://e.org/#B") == ("http://e.org/#A", "http://e.org/#B")
    assert found.shorten("http://e.org/#A") == "e:A"
    entry = found.get("http://e.org/#C")
    assert entry is not None and entry.deprecated and entry.replacement == "http://e.org/#A"


def test_an_ontology_that_does_not_parse_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "o.ttl").write_text("\n<a> <b> .", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_vocabulary([tmp_path / "o.ttl"], "http://e.org/")
    assert caught.value.place is not None and caught.value.place.line == 2


def test_the_list_in_the_package_is_what_the_published_files_say(root: Path) -> None:
    suites = Path(os.environ.get("CITYORCHESTRA_SUITES", root.parent / "shared" / "suites"))
    if not (suites / "vocab").is_dir():
        if os.environ.get("CI"):
            pytest.fail("the published vocabularies are missing: set CITYORCHESTRA_SUITES")
        pytest.skip("NO PUBLISHED VOCABULARIES: the list of terms was not compared (set CITYORCHESTRA_SUITES)")
    sys.path.insert(0, str(root / "tools"))
    try:
        import vocabulary_terms
    finally:
        sys.path.pop(0)
    assert vocabulary_terms.TARGET.read_text(encoding="utf-8").splitlines() == list(vocabulary_terms.rows(suites))


@pytest.mark.parametrize(
    ("name", "others", "yes"),
    [
        ("email", (), True), ("contact_operateur_mail", (), True), ("Téléphone", (), True), ("Prénom", (), True),
        ("num_pdl", (), True), ("dateNaissance", (), True), ("nom", ("prenom",), True), ("nom", ("code",), False),
        ("nom_station", ("code",), False), ("nombre_abonnes", (), False), ("telecommunications", (), False),
        ("capitale", (), False),
    ],
)  # fmt: skip
def test_names_of_columns_that_look_personal(name: str, others: tuple[str, ...], yes: bool) -> None:
    assert (by_name(name, others) is not None) is yes


def test_cells_that_look_personal() -> None:
    assert by_cells("x", ["a@b.fr", "c@d.org"]) is not None
    assert by_cells("x", ["06 12 34 56 78", "0612345678"]) is not None
    assert by_cells("point", ["12345678901234"]) is not None
    assert by_cells("id", ["82815371800014"]) is None, "a SIRET has its check digit"
    assert by_cells("x", ["Rennes", ""]) is None
