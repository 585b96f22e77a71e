"""Parents of a join: one value is written without walking a list."""

from __future__ import annotations

from cityorchestra_ld.mapping.sql import Loop, counted, lines


def test_only_the_variable_itself_is_replaced_by_the_only_value() -> None:
    loop = Loop("v1", "many", '"co$2"')
    assert loop.alone("concat('http://x/v1/''v1', \"v1\", v11, v1)") == "concat('http://x/v1/''v1', \"v1\", v11, \"co$2\")"


def test_a_list_is_walked_only_where_there_is_no_only_value() -> None:
    loop = Loop("v1", "many", "one")
    assert lines("v1", [loop]).startswith("CASE WHEN one IS NOT NULL THEN one ELSE list_aggregate(")
    assert counted(["v1 IS NOT NULL"], [loop]).startswith("CASE WHEN one IS NOT NULL THEN CASE WHEN one IS NOT NULL THEN 1")


def test_without_an_only_value_every_list_is_walked() -> None:
    assert lines("v1", [Loop("v1", "many")]).startswith("list_aggregate(")
