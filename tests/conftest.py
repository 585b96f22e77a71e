"""Fixtures that many tests share: the reference territory, and its store loaded once for the whole session."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from cityorchestra_ld import pipeline
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[1]


SHARING = frozenset(
    str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if "loaded" in path.read_text(encoding="utf-8")
)


class Scheduler(LoadScopeScheduling):
    """Give tests that share the loaded territory to one process, and all others to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return "loaded" if nodeid.partition("::")[0] in SHARING else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Choose the scheduler; `pytest -n 0` works without it."""
    return Scheduler(config, log)


@pytest.fixture(autouse=True, scope="session")
def _no_courtesy() -> Iterator[None]:
    """Keep a command that a test runs in this process from making the rest of the tests wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cityorchestra_ld.cli.stand_back", lambda: None)
        yield


@pytest.fixture(autouse=True)
def _plain_loggers() -> None:
    """Undo what a server that another test ran in this process did to our loggers."""
    logging.disable(logging.NOTSET)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "cityorchestra_ld":
            logger = logging.getLogger(name)
            logger.disabled, logger.propagate = False, True
            logger.handlers.clear()
            logger.setLevel(logging.NOTSET)


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
