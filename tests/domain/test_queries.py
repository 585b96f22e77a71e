"""Each competency question answers on the loaded territory what its own comments expect."""

from __future__ import annotations

import io
import json
import operator
import re
from pathlib import Path

import pytest

from cityorchestra_ld import stages
from cityorchestra_ld.queries import NamedQuery, read_queries
from cityorchestra_ld.territory import Territory

ROOT = Path(__file__).resolve().parents[2]
QUERIES = list(read_queries(ROOT / "queries" / "competency"))
COMPARE = {">=": operator.ge, "<=": operator.le, "=": operator.eq, ">": operator.gt, "<": operator.lt}


def holds(expectation: str, names: list[str], rows: list[dict[str, str]]) -> bool:
    """Tell whether `rows >= 1`, `columns a b c`, `value ?n = 43` or `some ?n > 0` holds."""
    if match := re.fullmatch(r"rows (>=|<=|=|>|<) (\d+)", expectation):
        return COMPARE[match[1]](len(rows), int(match[2]))
    if match := re.fullmatch(r"columns (.+)", expectation):
        return names == match[1].replace("?", "").replace(",", " ").split()
    if match := re.fullmatch(r"(value|some|all) \?(\w+) (>=|<=|=|>|<) (.+)", expectation):
        values = [row[match[2]] for row in rows if match[2] in row]
        if re.fullmatch(r"-?[\d.]+(E-?\d+)?", match[4]):
            results = [COMPARE[match[3]](float(value), float(match[4])) for value in values]
        else:
            results = [COMPARE[match[3]](value, match[4].strip('"<>')) for value in values]
        return bool(results) and (any(results) if match[1] == "some" else results[0] if match[1] == "value" else all(results))
    raise AssertionError(f"unknown expectation: {expectation}")


def test_there_are_ten_competency_questions() -> None:
    assert len([query for query in QUERIES if re.fullmatch(r"cq\d\d", query.name)]) == 10


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_question_is_answered_as_it_expects(query: NamedQuery, loaded: Territory) -> None:
    assert query.expectations, "a question states what it expects"
    out = io.BytesIO()
    assert stages.query(loaded, query.text, [], "json", out) == 0
    answer = json.loads(out.getvalue())
    rows = [{name: value["value"] for name, value in row.items()} for row in answer["results"]["bindings"]]
    for expectation in query.expectations:
        assert holds(expectation, answer["head"]["vars"], rows), f"{expectation}: {rows[:3]}"
