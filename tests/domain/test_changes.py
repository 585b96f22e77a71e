"""A change to a published dataset is judged by what it touches, and the report is that of a validation of everything."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cityorchestra_ld import judgement, pipeline
from cityorchestra_ld.judgement import Judge
from cityorchestra_ld.model import SourceSpec, ValidationReport
from cityorchestra_ld.runs import Run, RunFolder
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.validation import from_json

pytestmark = pytest.mark.slow

Rows = list[dict[str, object]]


@pytest.fixture(autouse=True)
def _nothing_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "SMALL", 0)


def tried(territory: Territory, key: str, file: Path) -> tuple[Run, ValidationReport]:
    """Take a file up to validation in place of the source of that name, and return the run with its report."""
    run = pipeline.run(territory, [key], files={file.name: file}, force=True, publish=False).runs[0]
    report = RunFolder(territory.state).root / run.id / "report.json"
    return run, from_json(report.read_bytes())


def said(report: ValidationReport) -> tuple[object, ...]:
    """Return what a report says of the data, without how it was found."""
    groups = tuple((g.shape, g.path, g.component, g.severity, g.count, g.shown, g.title) for g in report.groups)
    results = tuple((r.focus, r.path, r.value, r.component, r.severity, r.shape, r.message, r.origins) for r in report.results)
    return groups, results, dict(report.counts), dict(report.focus_counts), report.focus_nodes, report.shapes


def source_of(territory: Territory, key: str, name: str) -> SourceSpec:
    return next(spec for spec in territory.dataset(key).sources if spec.name == name)


def json_file(territory: Territory, key: str, name: str, out: Path, edit: Callable[[Rows], Iterator[object]]) -> Path:
    """Write the example of a dataset with changed records."""
    spec = source_of(territory, key, name)
    assert spec.path is not None
    path = out / name
    path.write_text(json.dumps(list(edit(json.loads(spec.path.read_text(encoding="utf-8"))))), encoding="utf-8")
    return path


def csv_file(
    territory: Territory, key: str, name: str, out: Path, edit: Callable[[list[list[str]]], Iterator[list[str]]]
) -> Path:
    """Write the example of a dataset with changed rows."""
    spec = source_of(territory, key, name)
    assert spec.path is not None
    path = out / name
    with spec.path.open(encoding=spec.encoding or "utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter=spec.delimiter or ","))
    with path.open("w", encoding=spec.encoding or "utf-8", newline="") as file:
        csv.writer(file, delimiter=spec.delimiter or ",").writerows(edit(rows))
    return path


def stops(rows: Rows) -> Iterator[object]:
    """Take a stop away, move one to no commune, rename one, and add one in a commune that does not exist."""
    changes: dict[int, dict[str, object]] = {7: {"codeinseecommune": None}, 9: {"nom": "Arrêt renommé"}}
    for number, row in enumerate(rows):
        if number != 5:
            yield row | changes.get(number, {})
    yield rows[0] | {"id": "9998", "code": "9998", "codeinseecommune": "35999"}


def observations(rows: list[list[str]]) -> Iterator[list[str]]:
    """Take rows away, and give one a state that is not in the list."""
    state = rows[0].index("code_ecoulement")
    rows[3][state] = "9"
    yield from (row for number, row in enumerate(rows) if number not in (10, 11, 500))


def both_ways(
    territory: Territory, key: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[Run, ValidationReport], tuple[Run, ValidationReport]]:
    change = tried(territory, key, file)
    with monkeypatch.context() as patch:
        patch.setattr(Judge, "_change", lambda self, case: None)
        return change, tried(territory, key, file)


def test_changed_stops_are_judged_alone_and_the_report_is_that_of_everything(
    loaded: Territory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = json_file(loaded, "star/arrets", "star_arrets.json", tmp_path, stops)
    (run, change), (whole, everything) = both_ways(loaded, "star/arrets", file, monkeypatch)
    assert run.judged is not None and 0 < run.judged < 50 and whole.judged is None
    assert change.counts == everything.counts and run.violations == 2
    assert said(change) == said(everything)


def test_a_change_keeps_the_warnings_of_what_it_does_not_touch(
    loaded: Territory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = csv_file(loaded, "ofb/onde", "observations.csv", tmp_path, observations)
    (run, change), (_, everything) = both_ways(loaded, "ofb/onde", file, monkeypatch)
    assert run.judged is not None and 0 < run.judged < 100
    assert run.warnings + run.infos > 0 and run.violations > 0
    assert said(change) == said(everything)
