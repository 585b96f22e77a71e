"""A first draft runs and validates as it is written, marks what it guessed, and never opens what looks personal."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import openpyxl
import pytest

from cityorchestra_ld import draft, pipeline, stages
from cityorchestra_ld.errors import RefusedError, SourceError, UsageError
from cityorchestra_ld.territory import Territory, load_territory

Outcomes = dict[str, stages.DraftOutcome]
PARKINGS = (
    "Identifiant;Nom du parking;Code INSEE;Capacité;Tarif horaire;Coordonnées;E-mail du gérant;Ouvert le;Gratuit;Vidéo\n"
    "0012;Vilaine;35238;400;2,5;48.1086,-1.6796;gerant@example.org;31/12/2019;Oui;a\n"
    "0013;Gare Sud;35238;1200;3,0;48.1030,-1.6720;autre@example.org;01/02/2020;Non;b\n"
    "0014;Élysée;35051;80;;48.1203,-1.6042;encore@example.org;15/03/2021;Non;c\n"
).encode("cp1252")
FIGURES = (
    "opérateur,année,code iris,consommation\ntexte,AAAA,9 caractères,MWh\nOPERATEUR,ANNEE,CODE_IRIS,CONSO_MWH\n"
    + "".join(f"Enedis,2023,3523801{number:02},{number}.5\n" for number in range(1, 40))
    + "Enedis,2023,352380140,secret\n"
).encode()
FEATURES = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {
                    "id": number,
                    "nom": f"Arbre {number}",
                    "plante_le": "2001-05-04",
                    "hauteur": 4.5,
                    "tags": ["a", "b"],
                },
                "geometry": {"type": "Point", "coordinates": [-1.68, 48.1 + number / 1000]},
            }
            for number in range(1, 6)
        ],
    }
).encode()


def workbook() -> bytes:
    """Write the car parks as a workbook with a title above the header."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in ["Parcs relais", *PARKINGS.decode("cp1252").splitlines()]:
        sheet.append(row.split(";"))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Territory:
    """Make an empty territory with the reference ontology and common rules."""
    folder = tmp_path_factory.mktemp("draft")
    (folder / "ontology").symlink_to(root / "ontology")
    (folder / "shapes").mkdir()
    (folder / "shapes/core").symlink_to(root / "shapes/core")
    shutil.copy(root / "territory.toml", folder)
    return load_territory(folder)


FILES = {"parkings.csv": PARKINGS, "conso.csv": FIGURES, "arbres.geojson": FEATURES, "parcs.xlsx": workbook()}


@pytest.fixture(scope="module")
def outcomes(place: Territory) -> dict[str, stages.DraftOutcome]:
    """Draft each file once."""
    return {name: drafted(place, name, data) for name, data in FILES.items()}


def drafted(place: Territory, name: str, data: bytes) -> stages.DraftOutcome:
    file = place.root / "incoming" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return stages.try_draft(place, f"rennes-metropole/{file.stem}", file, title=None, replace=False)


@pytest.mark.parametrize(
    ("name", "triples"), [("parkings.csv", 30), ("conso.csv", 359), ("arbres.geojson", 45), ("parcs.xlsx", 30)]
)
def test_a_draft_checks_maps_and_validates_as_it_is_written(outcomes: Outcomes, name: str, triples: int) -> None:
    outcome = outcomes[name]
    assert outcome.failure is None, outcome.failure and outcome.failure.message.en
    assert [f for f in outcome.findings if f.level == "error"] == []
    assert outcome.violations == 0
    assert outcome.triples == triples


def test_things_get_their_class_place_commune_and_typed_values(place: Territory, outcomes: Outcomes) -> None:
    outcome = outcomes["parkings.csv"]
    mapping = (place.root / "mappings/rennes-metropole/parkings/mapping.yml").read_text(encoding="utf-8")
    for line in (
        "- [a, [co:ParkingFacility~iri, geo:Feature~iri]]      # PROPOSITION",
        "- [rdfs:label, $(nom_du_parking), fr~lang]",
        "- [dct:spatial, com:$(code_insee)~iri]",
        "- p: co:capacity",
        "function: fn:pointFromPair, parameters: [[fn:value, $(coordonnees)], [fn:order, latlon]]",
        "# - [co:…, $(tarif_horaire)]",
    ):
        assert line in mapping
    assert outcome.outline.identity[0].name == "identifiant"


@pytest.mark.usefixtures("outcomes")
def test_what_looks_personal_is_forbidden_and_nothing_is_opened(place: Territory) -> None:
    folder = place.root / "mappings/rennes-metropole/parkings"
    dataset = load_territory(place.root).datasets["rennes-metropole/parkings"]
    assert dataset.sources[0].forbidden == ("e_mail_du_gerant",)
    assert dataset.access == "NON_PUBLIC"
    assert "e_mail" not in (folder / "mapping.yml").read_text(encoding="utf-8")
    contract = {column.name: column for column in dataset.sources[0].columns}
    assert contract["identifiant"].pattern == "[0-9]{4}" and contract["identifiant"].kind == "code"
    assert dataset.sources[0].decimal == "," and dataset.sources[0].encoding == "cp1252"


def test_figures_by_area_become_observations_and_hidden_cells_stay_hidden(place: Territory, outcomes: Outcomes) -> None:
    outcome = outcomes["conso.csv"]
    assert outcome.outline.style == "figures"
    folder = place.root / "mappings/rennes-metropole/conso"
    mapping = (folder / "mapping.yml").read_text(encoding="utf-8")
    assert "s: id:obs/rennes-metropole/conso/$(annee)/$(code_iris)-conso-mwh" in mapping
    assert "- [sa:unitMeasure, unit:MegaW-HR~iri]      # PROPOSITION" in mapping
    assert "function: fn:confStatus" in mapping
    assert 'skip_until = "OPERATEUR"' in (folder / "dataset.toml").read_text(encoding="utf-8")
    assert "rennes-metropole-conso-mwh" in (folder / "static.ttl").read_text(encoding="utf-8")


def test_records_and_geometries_of_json_are_found(place: Territory, outcomes: Outcomes) -> None:
    outcome = outcomes["arbres.geojson"]
    mapping = (place.root / "mappings/rennes-metropole/arbres/mapping.yml").read_text(encoding="utf-8")
    assert outcome.outline.profile.iterator == "$.features[*]"
    assert "fn:geometry, parameters: [[fn:value, $(geometry)]]" in mapping
    assert "- [dct:identifier, $(properties.id), xsd:string]" in mapping
    assert "[co:Tree~iri, geo:Feature~iri]" in mapping


@pytest.mark.parametrize("name", ["parkings.csv", "arbres.geojson", "parcs.xlsx"])
def test_the_broken_example_of_a_draft_is_refused_as_its_report_says(place: Territory, outcomes: Outcomes, name: str) -> None:
    key = outcomes[name].outline.key
    case = next((place.root / "examples" / key / "broken").iterdir())
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    run = pipeline.run(load_territory(place.root), [key], files={name: case / name}, publish=False, force=True).runs[0]
    assert run.failure is not None and run.exit_code == expected["exit"]
    said = f"{run.failure.message.fr} {run.failure.place.describe() if run.failure.place else ''}"
    assert all(word in said for word in expected["contains"])


def test_findings_say_encoding_separator_types_keys_and_coordinates(outcomes: Outcomes) -> None:
    said = "\n".join(text.en for text in draft.findings(outcomes["parkings.csv"].outline))
    for words in (
        "3 records, 10 columns", "Encoding recognised: cp1252", "semicolon", "Identifiant: code, [0-9]{4}",
        "Code INSEE: code, commune code", "coordinates (latlon)", "looks personal (e-mail address), forbidden",
        "Tarif horaire: number, 1 empty",
        "Possible keys: identifiant", "Capacité → co:capacity",
    ):  # fmt: skip
        assert words in said


def test_an_unknown_partner_is_added_to_the_territory_as_a_proposal(place: Territory) -> None:
    file = place.root / "a.csv"
    file.write_bytes(b"code,nom\n01,a\n02,b\n")
    assert stages.try_draft(place, "nouveau/liste", file, title="Liste", replace=False).failure is None
    assert "[partners.nouveau]      # PROPOSITION" in (place.root / "territory.toml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("outcomes")
def test_a_dataset_that_exists_is_not_overwritten(place: Territory) -> None:
    with pytest.raises(RefusedError, match="exists already"):
        drafted(place, "parkings.csv", PARKINGS)


def test_a_file_that_cannot_be_read_or_a_bad_name_is_explained(place: Territory) -> None:
    with pytest.raises(SourceError):
        drafted(place, "vide.csv", b"")
    with pytest.raises(UsageError, match="partner/dataset"):
        draft.draft(place, "Pas bon", place.root / "territory.toml")
    with pytest.raises(UsageError, match="no such file"):
        draft.draft(place, "a/b", place.root / "absent.csv")
