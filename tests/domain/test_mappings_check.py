"""Every mapping of the reference territory passes its own static check."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld.check import Level, Vocabulary, load_vocabulary
from cityorchestra_ld.check.dataset import check_dataset
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def territory() -> Territory:
    return load_territory(ROOT)


@pytest.fixture(scope="module")
def vocabulary(territory: Territory) -> Vocabulary:
    return load_vocabulary([ROOT / "ontology"], territory.base_iri)


@pytest.mark.parametrize("key", sorted(load_territory(ROOT).datasets))
def test_a_mapping_of_the_territory_has_no_error(key: str, territory: Territory, vocabulary: Vocabulary) -> None:
    found = check_dataset(territory, key, ontology=vocabulary)
    assert [(f.code, f.place.line, f.message.en) for f in found if f.level is Level.ERROR] == []
