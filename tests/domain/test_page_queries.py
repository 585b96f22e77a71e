"""What pages ask of the loaded territory is answered as their queries expect, and their headers name columns that are there."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cityorchestra_ld import stages
from cityorchestra_ld.expectations import Table, check
from cityorchestra_ld.queries import NamedQuery, read_queries, term
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.panels import bound

ROOT = Path(__file__).resolve().parents[2]
PAGES = [query for folder in sorted((ROOT / "queries" / "pages").iterdir()) for query in read_queries(folder)]


@pytest.mark.parametrize("query", PAGES, ids=lambda query: f"{query.file.parent.name}-{query.name}")
def test_what_a_page_asks_is_answered_as_it_expects(query: NamedQuery, loaded: Territory) -> None:
    assert query.expectations, "a question of a page states what it expects"
    sample = query.about.get("sample.place")
    text = bound(query, place=term(sample)) if sample else query.body
    out = io.BytesIO()
    assert stages.query(loaded, text, [], "json", out) == 0
    answer = Table.of_results(out.getvalue())
    for expectation in query.expectations:
        assert check(expectation, answer) is None, expectation
    named = {key.split(".")[1] for key in query.about if key.startswith(("column.", "unit.", "link."))}
    assert named <= set(answer.columns), "a header names a column that is not there"
    assert {key.rpartition(".")[0] for key in query.about if key.endswith(".fr")} == {
        key.rpartition(".")[0] for key in query.about if key.endswith(".en")
    }, "what is said in French is said in English"
