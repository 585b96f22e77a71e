"""A harvested catalogue is published as records only, by the rules of the territory, until the next harvest replaces it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import RefusedError, SourceError
from cityorchestra_ld.harvest import harvest
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[2]
STATUS = "https://ld.cityorchestra.example/id/code/catalog-status/described"
RECORD = {
    "global_id": "0b6a9a4e-0000-4000-8000-000000000001",
    "resource_title": "Arbres",
    "summary": [{"lang": "fr", "text": "Les arbres. Écrire à jean.dupont@ville.fr ou au 02 99 00 00 00."}],
    "theme": "Environnement",
    "keywords": ["arbre", None],
    "producer": {"organization_id": "p1", "organization_name": "Ville"},
    "dataset_dates": {"created": "2026-01-02T03:04:05+00:00"},
    "available_formats": [
        {"connector": {"url": "https://v.example/arbres.csv"}, "file_type": "text/csv", "file_size": "12"},
        None,
    ],
    "access_condition": {"licence": {"licence_label": "odbl-1.0"}},
}


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    for part in ("territory.toml", "shapes/core", "policies", "ontology"):
        target = tmp_path / "city" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / part, target) if (ROOT / part).is_dir() else shutil.copy(ROOT / part, target)
    return load_territory(tmp_path / "city", state=tmp_path / "state")


def write(path: Path, *changes: dict[str, object]) -> str:
    path.write_text(json.dumps([RECORD | change for change in changes]), encoding="utf-8")
    return str(path)


def described(territory: Territory, graph: str) -> dict[str, set[str]]:
    """Read what the store says of the harvested catalogue: subject → objects as text."""
    generation = current_generation(territory.state / "store")
    store = ox.Store.read_only(str(generation.path / "db"))
    found: dict[str, set[str]] = {}
    for quad in store.quads_for_pattern(None, None, None, ox.NamedNode(graph)):
        found.setdefault(quad.subject.value, set()).add(quad.object.value)
    return found


def test_records_are_published_as_described_and_without_personal_data(territory: Territory, tmp_path: Path) -> None:
    done = harvest(territory, write(tmp_path / "node.json", {}), "rudi")
    assert done.graph == f"{territory.base_iri}graph/catalog/node" and done.generation is not None
    found = described(territory, done.graph)
    iri = f"{territory.base_iri}id/dataset/rudi/{RECORD['global_id']}"
    assert {STATUS, "Arbres", f"{territory.base_iri}id/policy/open-odbl"} <= found[iri]
    assert "Les arbres. Écrire à […] ou au […]." in found[iri]
    assert not any("ville.fr" in text or "99 00" in text for texts in found.values() for text in texts)
    place = next(subject for subject in found if "/distribution/" in subject and not subject.endswith("/checksum"))
    assert {"https://v.example/arbres.csv", "12", "http://spdx.org/licenses/ODbL-1.0"} <= found[place]


def test_the_next_harvest_replaces_the_last_and_the_same_one_changes_nothing(territory: Territory, tmp_path: Path) -> None:
    file = tmp_path / "node.json"
    first = harvest(territory, write(file, {}), "rudi").generation
    assert harvest(territory, str(file), "rudi").generation.number == first.number
    other = harvest(
        territory, write(file, {"global_id": "0b6a9a4e-0000-4000-8000-000000000002", "resource_title": "Bancs"}), "rudi"
    )
    text = str(described(territory, other.graph))
    assert "Bancs" in text and "Arbres" not in text


def test_sensitive_records_are_not_even_named(territory: Territory, tmp_path: Path) -> None:
    secret = {"global_id": "s", "access_condition": {"confidentiality": {"gdpr_sensitive": True}}}
    done = harvest(territory, write(tmp_path / "n.json", {}, secret), "rudi", publish=False)
    assert [dataset.identifier for dataset in done.datasets] == [RECORD["global_id"]] and done.generation is None
    with pytest.raises(SourceError):
        harvest(territory, write(tmp_path / "n.json", secret), "rudi")


def test_a_restricted_record_without_bounds_is_refused_by_the_rules(territory: Territory, tmp_path: Path) -> None:
    restricted = {"access_condition": {"confidentiality": {"restricted_access": True}}}
    with pytest.raises(RefusedError):
        harvest(territory, write(tmp_path / "n.json", restricted), "rudi")
    assert current_generation(territory.state / "store") is None


@pytest.mark.parametrize("content", ["", "<html>", '{"a": 1}', "[1]", "@prefix x"])
@pytest.mark.parametrize("kind", ["rudi", "ods", "dcat"])
def test_what_is_not_a_catalogue_is_a_source_error(territory: Territory, tmp_path: Path, content: str, kind: str) -> None:
    (tmp_path / "x.txt").write_text(content, encoding="utf-8")
    with pytest.raises(SourceError):
        harvest(territory, str(tmp_path / "x.txt"), kind)
    with pytest.raises(SourceError):
        harvest(territory, str(tmp_path / "none.txt"), kind)
    with pytest.raises(SourceError):
        harvest(territory, "http://127.0.0.1:9/catalog", kind)


def test_a_dcat_page_never_leads_to_another_site(territory: Territory) -> None:
    from cityorchestra_ld.catalog.portals_dcat import dcat

    page = b"""@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix hydra: <http://www.w3.org/ns/hydra/core#> .
        @prefix dct: <http://purl.org/dc/terms/> .
        <https://a.example/c> a dcat:Catalog ; dcat:dataset <https://a.example/d> ; hydra:next <https://b.example/2> .
        <https://a.example/d> a dcat:Dataset ; dct:title "D" ; dcat:landingPage <javascript:alert(1)> ;
          dcat:distribution [ dcat:accessURL <file:///etc/passwd> ] , [ dcat:downloadURL <https://a.example/d.csv> ] ."""
    with pytest.raises(SourceError):
        dcat("https://a.example/c", None, lambda address: page, territory.base_iri, "a")
    [found] = dcat(None, page, lambda address: page, territory.base_iri, "a")
    assert found.landing_page is None and [place.url for place in found.places] == ["https://a.example/d.csv"]
