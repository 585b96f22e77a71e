"""Regular expressions in shapes: what is refused, and why."""

from __future__ import annotations

import pytest

from cityorchestra_ld.validation.patterns import judge


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[0-9AB]{5}$", r"^([0-9]+\.)*[0-9]+$", r"^[a-z]+(-[a-z]+)*$", r"^\d{4}(-Q[1-4])?$", r"^[^@ ]+@[^@ ]+$", r"\p{L}+",
        r"^(https?://)([\w.-]+)(/[\w./-]*)?$", r"^(0[1-9]|[12]\d|3[01])/(0[1-9]|1[0-2])/\d{4}$",
        r"(^|[^0-9])[0-9]{14}([^0-9]|$)",
        r"^(a|ab)(c|bcd)$", r"^(ab|cd)*$", r"", r"^.{1,200}$",
    ],
)  # fmt: skip
def test_ordinary_patterns_are_accepted(pattern: str) -> None:
    assert judge(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [r"^(a+)+$", r"(a*)*b", r"(\d+\s?)*$", r"(x+x+)+y", r"(.*)*", r"^(\w+\s*)+:$", r"(a|b|ab)*c", r"([a-z]x?|[0-9a-f])+-"],
)
def test_patterns_that_take_exponential_time_are_refused(pattern: str) -> None:
    assert "exponential" in judge(pattern).en


@pytest.mark.parametrize("pattern", [r"^(?=.*[0-9])x$", r"(?<!a)b", r"^(.)\1$", r"a(?!b)", r"(x)(?(1)y|z)"])
def test_looking_around_and_referring_back_are_refused(pattern: str) -> None:
    assert "looks around" in judge(pattern).en


@pytest.mark.parametrize(
    ("pattern", "flags"), [("(unclosed", ""), ("[z-a]", ""), (r"^\i\c*$", ""), ("a", "q"), (".{1,100000}", "")]
)
def test_what_an_engine_cannot_read_is_refused(pattern: str, flags: str) -> None:
    assert judge(pattern, flags) is not None
