"""Functions on text, booleans and numbers: conditions, case, split, replace, look-up, and the GREL names that mean the same."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import chain
from typing import Final

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.functions import GREL, IDLAB, Parameter, function
from cityorchestra_ld.mapping.sql import text
from cityorchestra_ld.namespaces import XSD

_VALUE: Final = Parameter("value", aliases=("valueParam", "valueParameter", "str", "s", "p_string", "valueParam1"))
_OTHER: Final = Parameter(
    "other", aliases=("value2", "valueParam2", "valueParameter2", "str2", "otherStr", "than", "p_string_sub", "sub")
)
_VALUES: Final = (
    "value1", "value2", "value3", "value4", "p_array_a", "valueParam", "valueParam1", "valueParam2",
    "valueParameter", "valueParameter2",
)  # fmt: skip
_CONDITIONS: Final = Parameter("condition", "boolean", repeated=True, aliases=("value", "param_rep_b", "a", "b"))

# --- text -------------------------------------------------------------------------------------------------------------------


@function("upper", "toUpperCase", GREL + "toUpperCase", GREL + "string_toUppercase", parameters=(_VALUE,))
def _upper(value: str) -> str:
    """The text in capitals."""
    return f"upper({value})"


@function("lower", "toLowerCase", GREL + "toLowerCase", GREL + "string_toLowercase", parameters=(_VALUE,))
def _lower(value: str) -> str:
    """The text in small letters."""
    return f"lower({value})"


@function("title", "toTitleCase", GREL + "toTitleCase", GREL + "string_toTitlecase", parameters=(_VALUE,))
def _title(value: str) -> str:
    """The text with a capital at the start of each word."""
    words = f"list_transform(string_split(lower({value}), ' '), lambda w: concat(upper(w[1]), w[2:]))"
    return f"array_to_string({words}, ' ')"


@function("trim", GREL + "trim", GREL + "string_trim", GREL + "string_strip", parameters=(_VALUE,))
def _trim(value: str) -> str:
    """The text without white space at its ends."""
    return f"co_trim({value})"


@function(
    "replace", GREL + "string_replace",
    parameters=(
        _VALUE,
        Parameter("find", aliases=("param_find", "p_string_find", "param_find_string", "string_find", "search")),
        Parameter("with", default="", aliases=("param_replace", "p_string_replace", "param_replace_string", "replacement")),
    ),
)  # fmt: skip
def _replace(value: str, find: str, by: str) -> str:
    """The text with every occurrence of another text replaced."""
    return f"replace({value}, {find}, {by})"


@function(
    "regexReplace", GREL + "string_replaceRegex",
    parameters=(
        _VALUE,
        Parameter("pattern", "constant", aliases=("find", "param_find")),
        Parameter("with", "constant", default="", aliases=("param_replace",)),
    ),
)  # fmt: skip
def _regex_replace(value: str, pattern: str, by: str) -> str:
    r"""The text with every match of a regular expression (RE2) replaced; `\1` is the first group."""
    return f"regexp_replace({value}, {text(pattern)}, {text(by)}, 'g')"


@function(
    "substring", GREL + "string_substring",
    parameters=(
        _VALUE,
        Parameter("from", "constant", default="0", aliases=("p_int_i_from", "param_int_i_from", "start")),
        Parameter("to", "constant", default="", aliases=("p_int_i_opt_to", "param_int_i_opt_to", "end")),
    ),
)  # fmt: skip
def _substring(value: str, start: str, stop: str) -> str:
    """The characters from one position (0 is the first) up to, and without, another; NULL when none are left."""
    first = int(start)
    if not stop:
        return f"nullif(substring({value}, {first + 1}), '')"
    return f"nullif(substring({value}, {first + 1}, {max(0, int(stop) - first)}), '')"


@function("padLeft", parameters=(_VALUE, Parameter("length", "constant"), Parameter("with", "constant", default="0")))
def _pad_left(value: str, length: str, filler: str) -> str:
    """The text filled on the left, with zeros unless said otherwise; never cut."""
    return f"CASE WHEN length({value}) >= {int(length)} THEN {value} ELSE lpad({value}, {int(length)}, {text(filler)}) END"


@function(
    "split", GREL + "string_split", parameters=(_VALUE, Parameter("separator", aliases=("p_string_sep", "sep"))), returns="list"
)
def _split(value: str, separator: str) -> str:
    """The parts of the text between separators, trimmed, without empty ones."""
    return f"list_filter(list_transform(string_split({value}, {separator}), lambda p: co_trim(p)), lambda p: p <> '')"


@function("concat", GREL + "array_join", GREL + "string_concat",
          parameters=(Parameter("value", repeated=True, aliases=_VALUES),
                      Parameter("separator", "constant", default="", aliases=("p_string_sep",))))  # fmt: skip
def _concat(*arguments: str) -> str:
    """The texts one after the other, with an optional separator."""
    *values, separator = arguments
    return f"concat_ws({text(separator)}, {', '.join(values)})" if separator else f"concat({', '.join(values)})"


@function("length", GREL + "string_length", parameters=(_VALUE,), datatype=XSD + "integer")
def _length(value: str) -> str:
    """The number of characters."""
    return f"length({value})::VARCHAR"


@function("urlEncode", IDLAB + "urlEncode", GREL + "string_escape", GREL + "escape",
          parameters=(_VALUE, Parameter("mode", "constant", "url", aliases=("modeParam", "p_string_mode"))))  # fmt: skip
def _url_encode(value: str, _mode: str) -> str:
    """The text percent-encoded (RFC 3986)."""
    return f"url_encode({value})"


@cache
def _folding() -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return what NFKD and dropping what is not ASCII make of letters and signs, ligatures and wide forms."""
    single: dict[str, str] = {}
    several: list[tuple[str, str]] = [("œ", "oe"), ("Œ", "oe"), ("æ", "ae"), ("Æ", "ae")]
    for code in chain(range(0xA0, 0x2200), range(0xFB00, 0xFB07), range(0xFF01, 0xFF5F)):
        character = chr(code)
        folded = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        if len(folded) == 1:
            single[character] = folded
        elif folded:
            several.append((character, folded))
    return "".join(single), "".join(single.values()), tuple(several)


@function("slug", "slugify", parameters=(_VALUE,))
def _slug(value: str) -> str:
    """The text reduced to small ASCII letters, digits and hyphens, as in our IRIs."""
    before, after, several = _folding()
    rare = "".join(character for character, _ in several)
    folded = value
    for character, replacement in several:
        folded = f"replace({folded}, {text(character)}, {text(replacement)})"
    folded = f"CASE WHEN regexp_matches({value}, {text('[' + rare + ']')}) THEN {folded} ELSE {value} END"
    plain = f"regexp_replace(translate({folded}, {text(before)}, {text(after)}), '[^\\x00-\\x7F]', '', 'g')"
    ascii_only = f"CASE WHEN strlen({value}) = length({value}) THEN {value} ELSE {plain} END"
    return f"nullif(trim(regexp_replace(lower({ascii_only}), '[^a-z0-9]+', '-', 'g'), '-'), '')"


@function("lookup", parameters=(_VALUE, Parameter("table", "constant"), Parameter("else", default="", aliases=("default",))))
def _lookup(value: str, table: str, otherwise: str) -> str:
    """What a table `a=b;c=d` says of the value; nothing when it says nothing."""
    cases = []
    for entry in table.split(";"):
        key, equals, result = entry.partition("=")
        if equals:
            cases.append(f"WHEN {text(key.strip())} THEN {text(result.strip())}")
    if not cases:
        raise LookupError(
            "La table de fn:lookup est vide.", "The table of fn:lookup is empty.",
            Text("Écrivez « a=b;c=d ».", "Write 'a=b;c=d'."),
        )  # fmt: skip
    return f"CASE co_trim({value}) {' '.join(cases)} ELSE nullif({otherwise}, '') END"


# --- conditions -------------------------------------------------------------------------------------------------------------


@function(
    "equals", "equal", IDLAB + "equal", GREL + "string_equals", parameters=(_VALUE, _OTHER), returns="boolean", strict=False
)
def _equals(value: str, other: str) -> str:
    """Whether two texts are the same; a missing one is the same as nothing."""
    return f"coalesce({value} = {other}, false)"


@function("notEquals", "notEqual", IDLAB + "notEqual", parameters=(_VALUE, _OTHER), returns="boolean", strict=False)
def _not_equals(value: str, other: str) -> str:
    """Whether two texts differ; a missing one differs from any text."""
    return f"coalesce({value} <> {other}, {value} IS NOT NULL OR {other} IS NOT NULL)"


@function("isNull", IDLAB + "isNull", GREL + "isNull", GREL + "isBlank", parameters=(_VALUE,), returns="boolean", strict=False)
def _is_null(value: str) -> str:
    """Whether there is no value, or only white space."""
    return f"coalesce(co_trim({value}), '') = ''"


@function(
    "isNotNull",
    IDLAB + "isNotNull",
    IDLAB + "notNull",
    GREL + "isNonBlank",
    parameters=(_VALUE,),
    returns="boolean",
    strict=False,
)
def _is_not_null(value: str) -> str:
    """Whether there is a value that is more than white space."""
    return f"coalesce(co_trim({value}), '') <> ''"


@function("and", GREL + "boolean_and", parameters=(_CONDITIONS,), returns="boolean", strict=False)
def _and(*conditions: str) -> str:
    """Whether all conditions hold."""
    return " AND ".join(f"({condition})" for condition in conditions)


@function("or", GREL + "boolean_or", parameters=(_CONDITIONS,), returns="boolean", strict=False)
def _or(*conditions: str) -> str:
    """Whether one of the conditions holds."""
    return " OR ".join(f"({condition})" for condition in conditions)


@function("not", GREL + "boolean_not",
          parameters=(Parameter("condition", "boolean", aliases=("value", "bool_b", "b")),),
          returns="boolean", strict=False)  # fmt: skip
def _not(condition: str) -> str:
    """Whether the condition does not hold."""
    return f"NOT ({condition})"


@function(
    "if", GREL + "controls_if",
    parameters=(
        Parameter("condition", "boolean", aliases=("bool_b",)), Parameter("value", aliases=("any_true", "then")),
        Parameter("else", default="", aliases=("any_false",)),
    ),
    strict=False, lazy=True,
)  # fmt: skip
def _if(condition: str, value: str, otherwise: str) -> str:
    """One value when a condition holds, else another, or nothing."""
    return f"CASE WHEN {condition} THEN {value} ELSE nullif({otherwise}, '') END"


@function(IDLAB + "trueCondition", parameters=(Parameter("strBoolean", "boolean"), Parameter("str")), strict=False)
def _true_condition(condition: str, value: str) -> str:
    """The value when a condition holds."""
    return f"CASE WHEN {condition} THEN {value} END"


@function(
    "coalesce",
    GREL + "coalesce",
    parameters=(Parameter("value", repeated=True, aliases=("value1", "value2", "value3")),),
    strict=False,
)
def _coalesce(*values: str) -> str:
    """The first value that is there."""
    return "coalesce(" + ", ".join(f"nullif({value}, '')" for value in values) + ")"


@function("matches", parameters=(_VALUE, Parameter("pattern", "constant")), returns="boolean", strict=False)
def _matches(value: str, pattern: str) -> str:
    """Whether a regular expression (RE2) is found in the text."""
    return f"coalesce(regexp_matches({value}, {text(pattern)}), false)"


@function(
    "contains",
    GREL + "string_contains",
    IDLAB + "stringContainsOtherString",
    parameters=(_VALUE, _OTHER),
    returns="boolean",
    strict=False,
)
def _contains(value: str, other: str) -> str:
    """Whether a text is inside another."""
    return f"coalesce(contains({value}, {other}), false)"


@function("startsWith", GREL + "string_startsWith", parameters=(_VALUE, _OTHER), returns="boolean", strict=False)
def _starts_with(value: str, other: str) -> str:
    """Whether a text starts with another."""
    return f"coalesce(starts_with({value}, {other}), false)"


@function("endsWith", GREL + "string_endsWith", parameters=(_VALUE, _OTHER), returns="boolean", strict=False)
def _ends_with(value: str, other: str) -> str:
    """Whether a text ends with another."""
    return f"coalesce(ends_with({value}, {other}), false)"


def _number(value: str) -> str:
    return f"try_cast(replace({value}, ',', '.') AS DOUBLE)"


@function("greaterThan", parameters=(_VALUE, _OTHER), returns="boolean", strict=False)
def _greater_than(value: str, other: str) -> str:
    """Whether a number is greater than another; no when one is missing or no number."""
    return f"coalesce({_number(value)} > {_number(other)}, false)"


@function("greaterOrEqual", parameters=(_VALUE, _OTHER), returns="boolean", strict=False)
def _greater_or_equal(value: str, other: str) -> str:
    """Whether a number is at least another; no when one is missing or no number."""
    return f"coalesce({_number(value)} >= {_number(other)}, false)"


@function("lessThan", parameters=(_VALUE, _OTHER), returns="boolean", strict=False)
def _less_than(value: str, other: str) -> str:
    """Whether a number is less than another; no when one is missing or no number."""
    return f"coalesce({_number(value)} < {_number(other)}, false)"
