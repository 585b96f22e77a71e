"""IRIs are minted from raw segments, injectively."""

from __future__ import annotations

import pyoxigraph as ox
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.iris import Iris, mint, slug

segments = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3)


@given(segments, segments)
def test_distinct_segments_give_distinct_valid_iris(one: list[str], other: list[str]) -> None:
    first, second = mint("https://x.example/", *one), mint("https://x.example/", *other)
    assert ox.NamedNode(first).value == first
    assert (first == second) == (one == other)


def test_names_of_brittany_become_slugs() -> None:
    assert slug("Plœuc-L'Hermitage") == "ploeuc-l-hermitage"
    assert slug("Île-de-Bréhat") == "ile-de-brehat"


def test_dataset_versions_and_graphs_have_their_places() -> None:
    iris = Iris("https://x.example/")
    assert iris.dataset("star/arrets", "2025-1") == "https://x.example/id/dataset/star/arrets/2025-1"
    assert iris.graph("ref", "insee", "communes") == "https://x.example/graph/ref/insee/communes"
