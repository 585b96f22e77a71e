"""What each dataset may publish alone may not be publishable together: hidden cells, sources less open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cityorchestra_ld import pipeline
from cityorchestra_ld.catalog import bounds
from cityorchestra_ld.pipeline import Outcome
from cityorchestra_ld.runs import RunFolder, Status
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory, load_territory
from cityorchestra_ld.together import watch

ROOT = Path(__file__).resolve().parents[2]

TOML = """base_iri = "https://ld.cityorchestra.example/"
name = { fr = "Essai", en = "Trial" }
publisher = "grid"
[partners.grid]
name = "Réseau"
"""
DATASET = """title = {{ fr = "{name}", en = "{name}" }}
description = {{ fr = "{name}", en = "{name}" }}
publisher = "grid"
licence = "etalab-2.0"
policy = "{policy}"
attribution = "Essai"
{more}
[[source]]
name = "{name}.csv"
path = "{name}.csv"
"""
MAPPING = """prefixes:
  co: https://ld.cityorchestra.example/def/co#
  igeo: http://rdf.insee.fr/def/geo#
  sd: http://purl.org/linked-data/sdmx/2009/dimension#
  sm: http://purl.org/linked-data/sdmx/2009/measure#
  sa: http://purl.org/linked-data/sdmx/2009/attribute#
  sc: http://purl.org/linked-data/sdmx/2009/code#
  ind: https://ld.cityorchestra.example/id/code/indicator/
  qb: http://purl.org/linked-data/cube#
  xsd: http://www.w3.org/2001/XMLSchema#
sources:
  rows: ["{name}.csv~csv"]
mappings:
  figure:
    sources: rows
    subject: https://ld.cityorchestra.example/id/obs/grid/{name}/$(area)
    predicateobjects:
      - [a, qb:Observation]
      - [sd:refArea, http://id.insee.fr/geo/commune/$(area)~iri]
      - [sd:refPeriod, "2023", xsd:gYear]
      - [co:indicator, ind:energy-consumption~iri]
      - [co:energyCarrier, https://ld.cityorchestra.example/id/code/energy-carrier/electricity~iri]
      - [co:sector, https://ld.cityorchestra.example/id/code/sector/industry~iri]
      - [sm:obsValue, $(mwh), xsd:decimal]
      - [sa:confStatus, sc:confStatus-$(status)~iri]
  place:
    sources: rows
    subject: http://id.insee.fr/geo/commune/$(area)
    predicateobjects:
      - [a, igeo:Commune]
      - [igeo:subdivisionDe, http://id.insee.fr/geo/commune/$(parent)~iri]
"""
SHAPES = """@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix qb: <http://purl.org/linked-data/cube#> .
@prefix csh: <https://ld.cityorchestra.example/def/shapes#> . @prefix sd: <http://purl.org/linked-data/sdmx/2009/dimension#> .
csh:Figure-{name} a sh:NodeShape ; sh:targetClass qb:Observation ; sh:property [ sh:path sd:refArea ; sh:minCount 1 ] .
"""
CELLS = "area,parent,mwh,status\n35001,1,,C\n35002,1,4,F\n"
TOTAL = "area,parent,mwh,status\n1,0,10,F\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "territory"
    root.mkdir()
    (root / "territory.toml").write_text(TOML, encoding="utf-8")
    shutil.copytree(ROOT / "queries" / "rules", root / "queries" / "rules")
    shutil.copytree(ROOT / "policies", root / "policies")
    return root


def add(folder: Path, name: str, rows: str, more: str = "", policy: str = "open-etalab") -> None:
    """Add a dataset of figures to a territory."""
    mapping = folder / "mappings" / "grid" / name
    mapping.mkdir(parents=True, exist_ok=True)
    (folder / "shapes" / "grid").mkdir(parents=True, exist_ok=True)
    (mapping / "dataset.toml").write_text(DATASET.format(name=name, more=more, policy=policy), encoding="utf-8")
    (mapping / "mapping.yml").write_text(MAPPING.replace("{name}", name), encoding="utf-8")
    (folder / "shapes" / "grid" / f"{name}.ttl").write_text(SHAPES.format(name=name), encoding="utf-8")
    (folder / f"{name}.csv").write_text(rows, encoding="utf-8")


def run(folder: Path, *names: str) -> Outcome:
    return pipeline.run(load_territory(folder), [f"grid/{name}" for name in names])


def test_a_total_that_gives_away_the_hidden_cell_of_another_dataset_is_refused_and_nothing_changes(folder: Path) -> None:
    add(folder, "cells", CELLS)
    assert run(folder, "cells").published
    add(folder, "totals", TOTAL)
    outcome = run(folder, "totals")
    (refused,) = outcome.runs
    assert not outcome.published and refused.status is Status.FAILED and refused.failure is not None
    assert "R10" in refused.failure.message.fr and "grid/cells, grid/totals" in refused.failure.message.en
    assert refused.failure.place is not None and "cells/35001" in (refused.failure.place.value or "")
    current = current_generation(load_territory(folder).state / "store")
    assert current is not None and "run:grid/totals" not in current.meta


def test_a_hidden_cell_that_comes_after_the_total_is_refused_too(folder: Path) -> None:
    add(folder, "totals", TOTAL)
    add(folder, "cells", CELLS)
    assert run(folder, "totals").published and not run(folder, "cells").published


def test_only_the_last_dataset_that_breaks_a_rule_is_left_out(folder: Path) -> None:
    add(folder, "cells", CELLS)
    add(folder, "other", "area,parent,mwh,status\n99001,99,5,F\n")
    add(folder, "totals", TOTAL)
    outcome = run(folder, "cells", "other", "totals")
    statuses = {one.dataset: one.status for one in outcome.runs}
    assert statuses == {
        "grid/cells": Status.PUBLISHED,
        "grid/other": Status.PUBLISHED,
        "grid/totals": Status.FAILED,
    }
    assert outcome.published and outcome.exit_code == 1 and outcome.generation is not None
    assert {info.dataset for info in outcome.generation.graphs if info.dataset} == {"grid/cells", "grid/other"}
    kept = RunFolder(load_territory(folder).state).load(outcome.runs[-1].id)
    assert kept.failure is not None and kept.generation is None and "R10" in kept.failure.message.en


def test_all_or_nothing_publishes_none_of_them(folder: Path) -> None:
    add(folder, "cells", CELLS)
    add(folder, "totals", TOTAL)
    outcome = pipeline.run(load_territory(folder), ["grid/cells", "grid/totals"], all_or_nothing=True)
    assert not outcome.published and {one.status for one in outcome.runs} == {Status.FAILED}


def test_what_was_judged_with_a_refused_version_is_left_out_too(folder: Path) -> None:
    add(folder, "cells", CELLS)
    add(folder, "totals", TOTAL)
    add(folder, "user", "area,parent,mwh,status\n99001,99,5,F\n", 'context = ["grid/totals"]')
    outcome = run(folder, "cells", "totals", "user")
    assert [one.dataset for one in outcome.runs if one.status is Status.PUBLISHED] == ["grid/cells"]


def test_two_hidden_cells_under_a_total_are_published(folder: Path) -> None:
    add(folder, "totals", TOTAL)
    add(folder, "cells", CELLS + "35003,1,,C\n")
    assert run(folder, "totals", "cells").published


def test_a_public_dataset_derived_from_one_that_is_not_is_refused_unless_its_release_is_signed(folder: Path) -> None:
    (folder / "shapes" / "core").mkdir(parents=True)
    for name in ("catalog.ttl", "secrecy-sets.ttl"):
        shutil.copy(ROOT / "shapes" / "core" / name, folder / "shapes" / "core" / name)
    add(folder, "closed", TOTAL, 'access = "CONFIDENTIAL"', policy="illustration-agreement")
    add(folder, "between", TOTAL, 'access = "RESTRICTED"\nderived_from = ["grid/closed"]', policy="illustration-agreement")
    add(folder, "made", CELLS, 'derived_from = ["grid/between"]')
    add(folder, "other", CELLS)
    refused, other = run(folder, "made", "other").runs
    assert other.status is Status.PUBLISHED and refused.status is Status.FAILED
    assert refused.failure is not None and refused.failure.message.fr.startswith("Publication refusée. R11")
    assert refused.failure.place is not None and "dataset/grid/made" in (refused.failure.place.value or "")
    signed = 'derived_from = ["grid/between"]\nrelease_approved_by = "https://ld.cityorchestra.example/id/org/dpo"'
    add(folder, "made", CELLS, signed)
    assert run(folder, "made").published


def test_a_restricted_dataset_without_bounds_is_refused(folder: Path) -> None:
    (folder / "shapes" / "core").mkdir(parents=True)
    for name in ("catalog.ttl", "secrecy-sets.ttl"):
        shutil.copy(ROOT / "shapes" / "core" / name, folder / "shapes" / "core" / name)
    add(folder, "closed", TOTAL, 'access = "RESTRICTED"')
    (refused,) = run(folder, "closed").runs
    assert refused.failure is not None and "R6" in refused.failure.message.en


@pytest.mark.slow
def test_the_loaded_territory_breaks_no_rule_across_datasets(loaded: Territory, tmp_path: Path) -> None:
    generation = current_generation(loaded.state / "store")
    assert generation is not None
    watch(loaded)(generation)
    report = bounds.judge(loaded, tmp_path, [])
    assert [result.shape for result in report.results] == [] and report.focus_nodes == len(loaded.datasets)
