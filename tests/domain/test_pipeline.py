"""A run does nothing twice, publishes what conforms, and leaves alone what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cityorchestra_ld import pipeline
from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.runs import RunFolder, Status
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[2]
BROKEN = {"departements.json": ROOT / "examples/insee/departements/broken/lost-zero/departements.json"}
KEYS = ["insee/departements", "insee/regions"]


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    return load_territory(ROOT, state=tmp_path)


def statuses(outcome: pipeline.Outcome) -> dict[str, Status]:
    return {run.dataset: run.status for run in outcome.runs}


def test_the_second_run_does_nothing(territory: Territory) -> None:
    first = pipeline.run(territory, KEYS)
    assert first.published and set(statuses(first).values()) == {Status.PUBLISHED}
    second = pipeline.run(territory, KEYS)
    assert not second.published and set(statuses(second).values()) == {Status.UNCHANGED}
    assert second.generation is not None and first.generation is not None
    assert second.generation.number == first.generation.number


def test_what_conforms_is_published_and_what_fails_keeps_its_version(territory: Territory) -> None:
    pipeline.run(territory, ["insee/departements", "insee/regions"])
    graph = territory.graph_of(territory.dataset("insee/departements"))
    before = current_generation(territory.state / "store")
    outcome = pipeline.run(territory, ["insee/departements", "insee/regions"], files=BROKEN, force=True)
    after = current_generation(territory.state / "store")
    assert statuses(outcome) == {"insee/departements": Status.FAILED, "insee/regions": Status.PUBLISHED}
    assert outcome.exit_code != 0 and before is not None and after is not None
    versions = [next(info.version for info in found.graphs if info.graph == graph) for found in (before, after)]
    assert versions[0] == versions[1]


def test_all_or_nothing_publishes_nothing_after_one_refusal(territory: Territory) -> None:
    outcome = pipeline.run(territory, KEYS, files=BROKEN, all_or_nothing=True)
    assert not outcome.published and current_generation(territory.state / "store") is None
    assert statuses(outcome)["insee/regions"] is Status.CHECKED


def test_a_broken_expectation_publishes_nothing_and_each_run_says_why(tmp_path: Path) -> None:
    root = tmp_path / "territory"
    (root / "queries" / "api").mkdir(parents=True)
    for name in ("territory.toml", "mappings/insee/regions", "shapes/insee", "examples/insee/regions"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, root / name)
    query = root / "queries" / "api" / "regions.rq"
    query.write_text(
        "#+ title.fr: R\n#+ needs: insee/regions\n#+ expect: rows = 17\n"
        "SELECT ?region WHERE { ?region a <http://rdf.insee.fr/def/geo#Region> } ORDER BY ?region\n",
        encoding="utf-8",
    )
    territory = load_territory(root, state=tmp_path / "state")
    refused = pipeline.run(territory, ["insee/regions"])
    assert not refused.published and current_generation(territory.state / "store") is None
    failure = refused.runs[0].failure
    assert statuses(refused) == {"insee/regions": Status.FAILED} and refused.exit_code == 1 and failure is not None
    assert all(part in failure.message.en for part in ("'regions'", "'rows = 17'", "rows = 18"))
    assert RunFolder(territory.state).load(refused.runs[0].id).failure == failure
    query.write_text(query.read_text(encoding="utf-8").replace("17", "18"), encoding="utf-8")
    assert pipeline.run(territory, ["insee/regions"]).published


def test_rollback_points_back_and_a_run_is_kept_for_every_dataset(territory: Territory) -> None:
    pipeline.run(territory, ["insee/regions"])
    pipeline.run(territory, ["insee/departements"])
    assert pipeline.rollback(territory).number == 1
    current = current_generation(territory.state / "store")
    assert current is not None and current.number == 1
    assert {run.dataset for run in RunFolder(territory.state).list()} == set(KEYS)


def test_a_run_folder_keeps_what_was_found_and_no_working_file(territory: Territory) -> None:
    run = pipeline.run(territory, ["insee/departements"], files=BROKEN).runs[0]
    kept = {path.name for path in (RunFolder(territory.state).root / run.id).iterdir()}
    assert kept <= {"run.json", "failure.txt", *(f"report.{suffix}" for suffix in ("html", "json", "csv", "ttl", "txt"))}
    assert {"run.json", "failure.txt"} <= kept


def test_datasets_come_after_what_their_shapes_look_at(territory: Territory) -> None:
    ordered = pipeline.order(territory, list(territory.datasets))
    for key in ordered:
        for other in territory.dataset(key).context:
            assert ordered.index(other) < ordered.index(key), f"{key} before {other}"


def test_an_unknown_dataset_stops_everything_before_anything_is_read(territory: Territory) -> None:
    with pytest.raises(UsageError, match="insee/regions"):
        pipeline.run(territory, ["insee/region"])
    assert not (territory.state / "runs").exists()


def test_a_dataset_whose_own_shapes_look_at_nothing_is_refused_with_what_they_look_for(tmp_path: Path) -> None:
    root = tmp_path / "place"
    for name in ("territory.toml", "mappings/insee/regions", "shapes/insee", "examples/insee/regions"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, root / name)
    shapes = root / "shapes" / "insee" / "regions.ttl"
    shapes.write_text(
        "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <https://x.example/> .\n"
        "ex:Other a sh:NodeShape ; sh:targetClass ex:Nothing ; sh:property [ sh:path ex:p ; sh:minCount 1 ] .\n",
        encoding="utf-8",
    )
    outcome = pipeline.run(load_territory(root, state=tmp_path / "state"), ["insee/regions"])
    failure = outcome.runs[0].failure
    assert not outcome.published and outcome.exit_code == 5 and failure is not None
    assert "nothing was checked" in failure.message.en and failure.hint is not None
    assert "https://x.example/Nothing" in failure.hint.en and failure.place is not None
    assert failure.place.file == "insee/regions.ttl"
