"""Two regular expressions have a text in common, or certainly not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.check.automata import may_match, may_meet
from cityorchestra_ld.check.strings import ENCODED, Hole, Strings, either, joined

PIECES = ["[0-9]{4}", "[a-z]+", "S-", "x?", "(ab|cd)", "[^/]*", ".", r"\d{2,3}", "[A-Z]{1,2}"]
ANCHORED = ["^{}$", "{}$", "^{}", "{}"]


@pytest.mark.parametrize(
    ("language", "pattern", "yes"),
    [
        ("[0-9]{5}", "^[0-9]{4}$", False), ("[0-9]{4,5}", "^[0-9]{4}$", True), ("stop/[0-9]+", "/stop/", False),
        ("a[^z]b", "azb", False), ("[a-z]", "[^az]", True), ("[a-z]", "[^a-z]", False), ("x*", "^$", True), ("x+", "^$", False),
        ("POINT\\(-?[0-9.]+ -?[0-9.]+\\)", "^POINT *[(]-(1\\.[3-9][0-9]*|2) 48[.][0-9]*[)]$", True),
        ("true|false", "^(oui|non)$", False), ("é+", "^\\w+$", True), ("ab", "(?=a)", True),
    ],
)  # fmt: skip
def test_a_language_may_match_a_pattern_or_certainly_not(language: str, pattern: str, yes: bool) -> None:
    assert may_match(language, pattern) is yes


def test_flags_are_heeded() -> None:
    assert not may_match("ABC", "^abc$") and may_match("ABC", "^abc$", "i")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), st.lists(st.sampled_from(PIECES), min_size=1, max_size=3),
       st.sampled_from(ANCHORED), st.data())  # fmt: skip
def test_no_text_that_exists_is_ever_denied(language: list[str], inner: list[str], form: str, data: st.DataObject) -> None:
    """If a text of the language has a match, the answer is yes: the check never invents a fault."""
    whole, pattern = "".join(language), form.format("".join(inner))
    text = data.draw(st.from_regex(re.compile(whole, re.DOTALL), fullmatch=True))
    if re.search(pattern, text) and "\n" not in text:
        assert may_match(whole, pattern)
    if re.fullmatch("".join(inner), text, re.DOTALL):
        assert may_meet(whole, "".join(inner))


def test_templates_that_differ_only_by_the_cell_are_told_apart_by_the_contract() -> None:
    loose = Strings.of("obs/", Hole(ENCODED, "iris"), "-dwellings")
    strict = Strings.of("obs/", Hole("[0-9]{9}", "iris"), "-dwellings")
    other = Strings.of("obs/", Hole(ENCODED, "iris"), "-vacant-dwellings")
    assert loose.meets(other) and not strict.meets(other)
    assert strict.holds("obs/123456789-dwellings") and not strict.holds("obs/1-dwellings")


def test_a_contract_with_characters_that_an_iri_encodes_does_not_describe_the_iri() -> None:
    assert Hole("[0-9]{4}").encoded.pattern == "[0-9]{4}"
    assert Hole("[A-Z ]{4}").encoded.pattern == ENCODED


def test_pieces_are_joined_and_choices_kept() -> None:
    both = joined([Strings.of("a"), either([Strings.of("b"), Strings.of("c")])])
    assert both.constants == ("ab", "ac")
    assert both.prefix == "a" and both.shown == "ab | ac"
