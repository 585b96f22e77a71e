"""What a query file expects is held against the answer, and a generation that breaks it is not published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cityorchestra_ld.errors import RefusedError, UsageError
from cityorchestra_ld.expectations import Table, check, gate
from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.store import EmbeddedStore, current_generation, open_store
from cityorchestra_ld.territory import Territory, load_territory

TABLE = Table(("name", "n"), ({"name": "a", "n": "3"}, {"name": "b", "n": "10"}, {"name": "c"}))
TOML = """
base_iri = "https://id.example/"
name = { fr = "Ville", en = "City" }
publisher = "ville"
[partners.ville]
name = "Ville"
"""
QUERY = """#+ title.fr: Arbres
#+ param: least integer(0..100) required | Au moins | At least
#+ example: least=2
#+ needs: ville/arbres
#+ expect: rows >= 2
#+ expect: all ?height >= 2
SELECT ?tree ?height WHERE { VALUES ?least { UNDEF } ?tree <x:height> ?height FILTER(?height >= ?least) } ORDER BY ?tree
"""


@pytest.mark.parametrize(
    "expectation",
    [
        "rows = 3", "rows >= 1", "columns name n", "columns ?name, ?n", "value ?n = 3", "some ?n > 9", "all ?n >= 3",
        'some ?name = "b"', 'all ?name >= "a"',
    ],
)  # fmt: skip
def test_an_expectation_that_holds_says_nothing(expectation: str) -> None:
    assert check(expectation, TABLE) is None


@pytest.mark.parametrize(
    ("expectation", "found"),
    [
        ("rows = 2", "rows = 3"),
        ("columns n name", "columns name n"),
        ("value ?n = 4", "?n = 3"),
        ("all ?n >= 5", "?n = 3"),
        ("some ?n > 10", "?n = 3, 10"),
        ("all ?name > 1", "?name = a, b, c"),
        ("all ?height > 1", "no value of ?height"),
    ],
)
def test_an_expectation_that_is_broken_says_what_was_found(expectation: str, found: str) -> None:
    told = check(expectation, TABLE)
    assert told is not None and told.en == found


def test_an_expectation_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(UsageError):
        check("rows are many", TABLE)


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    (tmp_path / "territory.toml").write_text(TOML, encoding="utf-8")
    folder = tmp_path / "queries" / "api"
    folder.mkdir(parents=True)
    (folder / "trees.rq").write_text(QUERY, encoding="utf-8")
    return load_territory(tmp_path)


def trees(territory: Territory, heights: Mapping[str, int], dataset: str = "ville/arbres") -> list[GraphChange]:
    file = territory.root / "trees.nt"
    number = "http://www.w3.org/2001/XMLSchema#integer"
    file.write_text("".join(f'<x:{name}> <x:height> "{height}"^^<{number}> .\n' for name, height in heights.items()))
    return [GraphChange(info=GraphInfo(graph=f"x:{dataset}", role="data", dataset=dataset, version="1"), content=file)]


def published(store: EmbeddedStore) -> int:
    generation = current_generation(store.root)
    return generation.number if generation else 0


def test_a_broken_expectation_refuses_the_publication_and_names_query_expectation_and_finding(territory: Territory) -> None:
    with open_store(territory.state / "store", base_iri=territory.base_iri) as store:
        store.publish(trees(territory, {"a": 2, "b": 3}), gate=gate(territory))
        assert published(store) == 1
        with pytest.raises(RefusedError) as refused:
            store.publish(trees(territory, {"a": 2, "b": 1}), gate=gate(territory))
        for part in ("'trees'", "'rows >= 2'", "rows = 1", "Nothing is published"):
            assert part in refused.value.message.en
        assert refused.value.place is not None and refused.value.place.file == "queries/api/trees.rq"
        assert published(store) == 1 and store.verify() == ()
        store.publish(trees(territory, {"a": 9, "c": 9}), gate=gate(territory))
        assert published(store) == 2


def test_a_query_waits_for_the_datasets_that_it_needs(territory: Territory) -> None:
    with open_store(territory.state / "store", base_iri=territory.base_iri) as store:
        store.publish(trees(territory, {"a": 1}, "ville/bancs"), gate=gate(territory))
        assert published(store) == 1


def test_a_query_that_fails_refuses_the_publication_too(territory: Territory) -> None:
    broken = QUERY.replace("SELECT ?tree ?height WHERE", "SELECT ?tree (?least AS ?tree) WHERE")
    (territory.root / "queries" / "api" / "trees.rq").write_text(broken, encoding="utf-8")
    with open_store(territory.state / "store", base_iri=territory.base_iri) as store, pytest.raises(RefusedError) as refused:
        store.publish(trees(territory, {"a": 2, "b": 3}), gate=gate(territory))
    assert "'trees'" in refused.value.message.en
