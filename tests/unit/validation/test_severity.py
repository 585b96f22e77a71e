"""A dataset decides which results block, warn or inform; it cannot soften a common rule that blocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld.errors import ShapesError
from cityorchestra_ld.model import Severity, Strictness
from cityorchestra_ld.namespaces import DEFAULT_BASE
from cityorchestra_ld.validation import load_shapes, validate, with_strictness

RULES = """ex:Stop sh:targetClass ex:Stop ; sh:property ex:code , [ sh:path ex:name ; sh:minCount 1 ; sh:severity sh:Warning ] .
ex:code sh:path ex:code ; sh:minCount 1 ; sh:severity sh:Warning .
ex:Line sh:targetClass ex:Stop ; sh:property [ sh:path ex:line ; sh:minCount 1 ] ."""
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("strictness", "wanted"),
    [
        (Strictness(), {"code": "Warning", "name": "Warning", "line": "Violation"}),
        (Strictness(warnings="block"), {"code": "Violation", "name": "Violation", "line": "Violation"}),
        (Strictness(warnings="inform"), {"code": "Info", "name": "Info", "line": "Violation"}),
        (Strictness(shapes={"code": "inform"}), {"code": "Info", "name": "Warning", "line": "Violation"}),
        (Strictness(warnings="block", shapes={"Line": "warn"}), {"code": "Violation", "name": "Violation", "line": "Warning"}),
    ],
)
def test_results_have_the_severity_that_the_dataset_wants(file, shapes, strictness: Strictness, wanted: dict[str, str]) -> None:
    report = validate(file("ex:a a ex:Stop ."), with_strictness(shapes(RULES), strictness))
    assert {(r.path or "").strip("<>").rpartition("/")[2]: r.severity.value for r in report.results} == wanted
    assert report.conforms is ("Violation" not in wanted.values())
    assert report.counts[Severity.WARNING] == list(wanted.values()).count("Warning")


def test_a_shape_that_does_not_exist_is_refused_with_the_nearest(shapes) -> None:
    with pytest.raises(ShapesError, match="cod") as refused:
        with_strictness(shapes(RULES), Strictness(shapes={"cod": "warn"}))
    assert refused.value.hint is not None and "code" in refused.value.hint.en


def test_a_common_rule_that_blocks_cannot_be_softened() -> None:
    core = load_shapes([ROOT / "shapes" / "core"], base_iri=DEFAULT_BASE)
    with pytest.raises(ShapesError, match="common rule"):
        with_strictness(core, Strictness(shapes={"PersonalData": "inform"}))
    softer = with_strictness(core, Strictness(shapes={"Named-name": "inform"}))
    assert next(s.severity for s in softer.shapes.values() if s.id.endswith("#Named-name>")).endswith("#Info")
