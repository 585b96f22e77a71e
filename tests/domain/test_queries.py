"""Each competency question answers on the loaded territory what its own comments expect."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from cityorchestra_ld import stages
from cityorchestra_ld.expectations import Table, check, gate
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.queries import NamedQuery, read_queries
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.api_catalog import read_apis

ROOT = Path(__file__).resolve().parents[2]
QUERIES = list(read_queries(ROOT / "queries" / "competency"))


def test_there_are_ten_competency_questions() -> None:
    assert len([query for query in QUERIES if re.fullmatch(r"cq\d\d", query.name)]) == 10


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_question_is_answered_as_it_expects(query: NamedQuery, loaded: Territory) -> None:
    assert query.expectations, "a question states what it expects"
    out = io.BytesIO()
    assert stages.query(loaded, query.text, [], "json", out) == 0
    answer = Table.of_results(out.getvalue())
    for expectation in query.expectations:
        assert check(expectation, answer) is None, expectation


def test_each_query_api_is_answered_as_it_expects(loaded: Territory) -> None:
    apis = read_apis(ROOT / "queries" / "api", prefixes(loaded.base_iri))
    assert len(apis) >= 8 and all(api.query.expectations for api in apis.values())
    generation = current_generation(loaded.state / "store")
    assert generation is not None
    gate(loaded)(generation)
