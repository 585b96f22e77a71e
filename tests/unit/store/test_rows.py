"""Rows are counted exactly while the bytes of a result go by in pieces of any size."""

from __future__ import annotations

import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.store.rows import row_counter

TYPES = (
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
)
HOSTILE = st.sampled_from(
    ['a\nb', 'a\r\nb', '"', '""', ',{"x":{"type":"', "<result>", "}},{", '[{"x":{"type":"uri"', "\t", "\\", "plain", ""]
)  # fmt: skip


@given(rows=st.lists(st.tuples(HOSTILE, HOSTILE), max_size=12), size=st.integers(1, 40), media_type=st.sampled_from(TYPES))
def test_hostile_values_never_change_the_count(rows: list[tuple[str, str]], size: int, media_type: str) -> None:
    store = ox.Store()
    for number, (left, right) in enumerate(rows):
        store.add(ox.Quad(ox.NamedNode(f"x:{number}"), ox.NamedNode("x:p"), ox.Literal(left)))
        store.add(ox.Quad(ox.NamedNode(f"x:{number}"), ox.NamedNode("x:q"), ox.Literal(right)))
    result = store.query("SELECT ?x ?type { ?s <x:p> ?x ; <x:q> ?type }")
    data = result.serialize(format=ox.QueryResultsFormat.from_media_type(media_type)) or b""  # type: ignore[union-attr]
    counter = row_counter(media_type)
    assert counter is not None
    for start in range(0, len(data), size):
        counter.see(data[start : start + size])
    assert counter.rows == len(rows)


def test_formats_that_we_cannot_count_have_no_counter() -> None:
    assert row_counter("text/turtle") is None


@pytest.mark.parametrize("media_type", TYPES)
def test_an_empty_table_has_no_rows(media_type: str) -> None:
    result = ox.Store().query("SELECT ?x { ?x ?y ?z }")
    counter = row_counter(media_type)
    assert counter is not None
    counter.see(result.serialize(format=ox.QueryResultsFormat.from_media_type(media_type)) or b"")  # type: ignore[union-attr]
    assert counter.rows == 0
