"""Each dataset is whole, and each broken file is refused with the report that its folder expects, nothing being published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cityorchestra_ld import pipeline
from cityorchestra_ld.model import Severity
from cityorchestra_ld.runs import RunFolder
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory, load_territory
from cityorchestra_ld.validation import from_json

ROOT = Path(__file__).resolve().parents[2]
KEYS = sorted(load_territory(ROOT).datasets)
BROKEN = sorted(path.parent for path in ROOT.glob("examples/*/*/broken/*/expected.json"))


@pytest.mark.parametrize("key", KEYS)
def test_a_dataset_has_mapping_shapes_example_source_and_a_broken_file(key: str) -> None:
    example = ROOT / "examples" / key
    assert load_territory(ROOT).datasets[key].mapping.exists()
    assert (ROOT / "shapes" / f"{key}.ttl").exists()
    assert (example / "SOURCE.md").exists(), "where the file comes from, and under which licence"
    assert any(path.parent.parent == example for path in BROKEN), "no broken example"


@pytest.mark.parametrize("folder", ["mappings", "examples", "shapes"])
def test_nothing_is_an_orphan(folder: str) -> None:
    pattern = "*/*.ttl" if folder == "shapes" else "*/*"
    found = {str(path.relative_to(ROOT / folder).with_suffix("")) for path in (ROOT / folder).glob(pattern)}
    assert {name for name in found if not name.startswith("core/")} <= set(KEYS)


@pytest.mark.parametrize("case", BROKEN, ids=lambda path: "/".join(path.parts[-4:]))
def test_a_broken_file_is_refused_and_nothing_is_published(case: Path, loaded: Territory) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    key = "/".join(case.parts[-4:-2])
    given = next(path for path in case.iterdir() if path.name != "expected.json")
    before = current_generation(loaded.state / "store")
    outcome = pipeline.run(loaded, [key], files={expected["source"]: given}, force=True)
    after = current_generation(loaded.state / "store")
    run = outcome.runs[0]
    assert run.failure is not None, "the file was accepted"
    said = "\n".join(
        [run.failure.message.fr, run.failure.message.en]
        + [run.failure.place.describe(lang) for lang in ("fr", "en") if run.failure.place]
        + [text for text in ((run.failure.hint.fr, run.failure.hint.en) if run.failure.hint else ())]
    )
    assert run.exit_code == expected["exit"], said
    for words in expected["contains"]:
        assert words in said
    place = run.failure.place
    if "row" in expected:
        assert place is not None and place.row == expected["row"], said
    if "column" in expected:
        assert place is not None and place.column == expected["column"], said
    assert before is not None and after is not None and before.number == after.number
    if run.exit_code == 1:
        check_every_violation(RunFolder(loaded.state).root / run.id, expected["violations"])


def check_every_violation(folder: Path, expected: list[dict[str, object]]) -> None:
    """Each violation names file, row, column, cell and rule, and says so in both languages."""
    report = from_json((folder / "report.json").read_bytes())
    found = []
    for result in (result for result in report.results if result.severity is Severity.VIOLATION):
        origin = result.origins[0]
        cell = origin.cell if origin.cell is None or len(origin.cell) < 80 else f"{origin.cell[:79]}…"
        rule = origin.triples_map.rpartition("#")[2].rpartition("/")[2]
        shape = result.shape.rpartition("#")[2].strip(">")
        item = {"shape": shape, "row": origin.row, "column": origin.column, "cell": cell, "rule": rule}
        found.append(item | ({"pointer": origin.pointer} if origin.pointer else {}))
        assert origin.file and result.message.fr and result.message.fr != result.message.en
    assert sorted(found, key=json.dumps) == sorted(expected, key=json.dumps)
    french, english = (folder / "report.txt").read_text(encoding="utf-8").split("\nDoes not conform", 1)
    for item in expected[:3]:
        assert f"colonne « {item['column']} »" in french and f"column '{item['column']}'" in english
