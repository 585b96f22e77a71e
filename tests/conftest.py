"""Fixtures that many tests share: the reference territory, and its store loaded once for the whole session."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld import pipeline
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[1]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep the tests that share the loaded territory in one process."""
    if "loaded" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("loaded"))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout, which is the reference territory."""
    return ROOT


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Territory:
    """Load the whole reference territory once, into a folder of its own."""
    territory = load_territory(ROOT, state=tmp_path_factory.mktemp("loaded"))
    outcome = pipeline.run(territory, list(territory.datasets))
    failed = [f"{run.dataset}: {run.failure}" for run in outcome.runs if run.failure]
    if failed:
        pytest.fail("the reference territory does not load:\n" + "\n".join(failed))
    return territory
