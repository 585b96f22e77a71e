"""Three engines say the same of the territory's own data, with faults put in, under the territory's own shapes."""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from pathlib import Path

import pytest

from cityorchestra_ld import stages
from cityorchestra_ld.model import Limits
from cityorchestra_ld.territory import Territory, load_territory
from cityorchestra_ld.validation import ShapesGraph, load_shapes, validate
from cityorchestra_ld.validation.messages import short_component
from cityorchestra_ld.validation.rewrite import engine_shapes

ROOT = Path(__file__).resolve().parents[2]
KEYS = sorted(load_territory(ROOT).datasets)
SUBJECTS = 40
LIMITS = Limits(report_samples=10**5)

spec = importlib.util.spec_from_file_location("third_voice", ROOT / "tests" / "third_voice.py")
THIRD = importlib.util.module_from_spec(spec)
spec.loader.exec_module(THIRD)


def damaged(content: Path, folder: Path, chance: random.Random) -> Path:
    """Keep some subjects of each class, without some of their triples and with other values in some places."""
    about: dict[str, list[str]] = {}
    for line in content.read_text(encoding="utf-8").splitlines():
        about.setdefault(line.split(" ", 1)[0], []).append(line.rsplit(" <", 1)[0])
    values = ['"x"', '"-1"^^<http://www.w3.org/2001/XMLSchema#integer>', '"a@b.fr"', "<https://x.example/nowhere>", '"é"@de']
    kept = []
    for subject in chance.sample(sorted(about), min(len(about), SUBJECTS)):
        for line in about[subject]:
            dice = chance.random()
            if (dice < 0.1 and "#type>" in line) or dice < 0.05:
                continue
            head = " ".join(line.split(" ")[:2])
            kept.append(f"{head} {chance.choice(values)} ." if 0.1 < dice < 0.2 and "#type>" not in line else f"{line} .")
    path = folder / "damaged.nq"
    path.write_text("\n".join(dict.fromkeys(kept)) + "\n", encoding="utf-8")
    return path


def found(engine: str, data: Path, shapes: ShapesGraph) -> Counter:
    if engine == "third":
        rows = THIRD.third_voice(data, engine_shapes(shapes, shapes.targeted))
    else:
        report = validate(data, shapes, engine=engine, limits=LIMITS)
        rows = Counter((r.focus, r.value, r.component, str(r.severity), r.shape) for r in report.results)
    plain: Counter = Counter()
    for (focus, value, component, severity, shape), count in THIRD.masked(rows).items():
        plain[focus, value, short_component(component), severity.rpartition("#")[2], shape] += count
    return plain


@pytest.fixture(scope="module")
def territory(tmp_path_factory: pytest.TempPathFactory) -> Territory:
    return load_territory(ROOT, state=tmp_path_factory.mktemp("state"))


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_engines_agree_on_damaged_data_of_the_territory(key: str, territory: Territory, tmp_path: Path) -> None:
    dataset = territory.dataset(key)
    stages.map_dataset(territory, key, tmp_path / "quads.nq")
    data = damaged(tmp_path / "quads.nq", tmp_path, random.Random(key))
    shapes = load_shapes(territory.shapes_of(dataset), base_iri=territory.base_iri)
    fast = found("fast", data, shapes)
    assert fast, "nothing is wrong with damaged data?"
    assert fast == found("pyshacl", data, shapes)
    assert fast == found("third", data, shapes)
