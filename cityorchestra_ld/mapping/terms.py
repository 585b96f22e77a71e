"""RDF terms in SQL: IRI syntax, N-Quads escaping, language tags, and lexical spaces of XSD datatypes as DuckDB expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from cityorchestra_ld.mapping.plan import Reference, Template
from cityorchestra_ld.namespaces import XSD

RDF_TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"

# --- IRI syntax (RFC 3987, section 2.2) -------------------------------------------------------------------------------------

_UCS = (
    r"\x{A0}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFEF}\x{10000}-\x{1FFFD}\x{20000}-\x{2FFFD}\x{30000}-\x{3FFFD}"
    r"\x{40000}-\x{4FFFD}\x{50000}-\x{5FFFD}\x{60000}-\x{6FFFD}\x{70000}-\x{7FFFD}\x{80000}-\x{8FFFD}\x{90000}-\x{9FFFD}"
    r"\x{A0000}-\x{AFFFD}\x{B0000}-\x{BFFFD}\x{C0000}-\x{CFFFD}\x{D0000}-\x{DFFFD}\x{E1000}-\x{EFFFD}"
)
_PRIVATE = r"\x{E000}-\x{F8FF}\x{F0000}-\x{FFFFD}\x{100000}-\x{10FFFD}"
_PCT = "%[0-9A-Fa-f]{2}"
_SUB = "!$&'()*+,;="
_BASIC = f"-A-Za-z0-9._~{_UCS}{_SUB}"
_PCHAR = f"(?:[{_BASIC}:@]|{_PCT})"
_AUTHORITY = rf"(?:(?:[{_BASIC}:]|{_PCT})*@)?(?:[{_BASIC}]|{_PCT})*(?::[0-9]*)?"
_AFTER_SCHEME = (
    rf"(?://{_AUTHORITY}(?:/{_PCHAR}*)*|/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?|{_PCHAR}+(?:/{_PCHAR}*)*|)"
    rf"(?:\?(?:{_PCHAR}|[/?{_PRIVATE}])*)?(?:#(?:{_PCHAR}|[/?])*)?"
)
SCHEME: Final = "[A-Za-z][-A-Za-z0-9+.]*:"
IRI_PATTERN: Final = SCHEME + _AFTER_SCHEME
PLAIN_IRI: Final = (
    "https?://[A-Za-z0-9.-]+(/[-A-Za-z0-9._~!$&()*+,;=:@/]*)?"  # most of what is met, quickly
    "([?][-A-Za-z0-9._~!$&()*+,;=:@/?]*)?(#[-A-Za-z0-9._~]*)?"
)
_LATIN_AND_MORE = r"\x{A0}-\x{D7FB}"  # the first range of ucschar, up to the last letter assigned in it
UCS_PATTERN: Final = f"[{_UCS}]"


def _python(pattern: str) -> str:
    return re.sub(r"\\x\{([0-9A-F]+)\}", lambda m: f"\\U{int(m[1], 16):08X}", pattern)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_python(pattern))


def is_absolute_iri(text: str) -> bool:
    """Tell whether the text is an absolute IRI (RFC 3987)."""
    return _compiled(IRI_PATTERN).fullmatch(text) is not None


def has_scheme(text: str) -> bool:
    """Tell whether the text starts as an absolute IRI does."""
    return _compiled(SCHEME).match(text) is not None


LANGUAGE: Final = "[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*"  # RFC 5646 without the reserved four and five letter languages


def is_language(tag: str) -> bool:
    """Tell whether the tag can name a language (BCP 47)."""
    return re.fullmatch(LANGUAGE, tag) is not None


# --- templates (RML-Core, template-valued expression maps) ------------------------------------------------------------------


def parse_template(text: str) -> Template:
    """
    Split a template into text and references; a backslash escapes braces and itself.

    >>> parse_template("a/{b}/{c d}").references
    (Reference(text='b'), Reference(text='c d'))
    """
    parts: list[str | Reference] = []
    current: list[str] = []
    inside = False
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\" and position < len(text) and text[position] in "{}\\":
            current.append(text[position])
            position += 1
        elif character == "{" and not inside:
            parts += ["".join(current)] if current else []
            current, inside = [], True
        elif character == "}" and inside:
            if not current:
                raise ValueError("{}")
            parts.append(Reference("".join(current)))
            current, inside = [], False
        elif character in "{}":
            raise ValueError(text[max(0, position - 10) : position + 10])
        else:
            current.append(character)
    if inside:
        raise ValueError(text[-20:])
    parts += ["".join(current)] if current else []
    return Template(tuple(parts))


# --- lexical spaces (XSD 1.1, part 2) ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lexical:
    """How values of a datatype are written: a pattern, a further SQL condition, the canonical form, an example."""

    pattern: str
    example: str
    condition: str | None = None  # on {x}
    canonical: str | None = None  # macro of one argument
    quick: str | None = None  # SQL on {x}: most values satisfy it, and are valid then
    short: str = "{x}"  # SQL on {x}: the canonical form of values that satisfy it


_ZONE = "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
_MONTH = "(0[1-9]|1[0-2])"
_DAY = "(0[1-9]|[12][0-9]|3[01])"
_YEAR = "-?([1-9][0-9]{3,}|0[0-9]{3})"
_TIME = r"(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?|24:00:00(\.0+)?)"
_REAL_DAY = "(length(split_part({x},'-',1)) <> 4 OR try_cast(left({x},10) AS DATE) IS NOT NULL)"
_INTEGER = "[+-]?[0-9]+"


def _integer(pattern: str, example: str, low: int | None = None, high: int | None = None) -> Lexical:
    limits = []
    if low is not None:
        limits.append(f"try_cast({{x}} AS HUGEINT) >= {low}")
    if high is not None:
        limits.append(f"try_cast({{x}} AS HUGEINT) <= {high}")
    quick = None if limits else "try_cast({x} AS BIGINT)::VARCHAR = {x}"
    return Lexical(pattern, example, " AND ".join(limits) or None, "co_integer", quick)


LEXICAL: Final[dict[str, Lexical]] = {
    "integer": _integer(_INTEGER, "42"),
    "decimal": Lexical(
        r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", "3.14", None, "co_decimal",
        r"regexp_full_match({x}, '0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]*[1-9]0*')",
        "CASE WHEN ends_with({x}, '0') AND contains({x}, '.') THEN rtrim({x}, '0') ELSE {x} END",
    ),
    "double": Lexical(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?INF|NaN", "3.14E0"),
    "float": Lexical(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?INF|NaN", "3.14E0"),
    "boolean": Lexical("true|false|1|0", "true", None, "co_boolean"),
    "date": Lexical(
        f"{_YEAR}-{_MONTH}-{_DAY}{_ZONE}", "2024-12-31", _REAL_DAY, None,
        "strlen({x}) = 10 AND try_cast({x} AS DATE)::VARCHAR = {x}",
    ),
    "dateTime": Lexical(f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}", "2024-12-31T08:30:00+01:00", _REAL_DAY),
    "dateTimeStamp": Lexical(f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE[:-1]}", "2024-12-31T08:30:00+01:00", _REAL_DAY),
    "time": Lexical(f"{_TIME}{_ZONE}", "08:30:00"),
    "gYear": Lexical(f"{_YEAR}{_ZONE}", "2024"),
    "gYearMonth": Lexical(f"{_YEAR}-{_MONTH}{_ZONE}", "2024-12"),
    "gMonthDay": Lexical(f"--{_MONTH}-{_DAY}{_ZONE}", "--12-31"),
    "gMonth": Lexical(f"--{_MONTH}{_ZONE}", "--12"),
    "gDay": Lexical(f"---{_DAY}{_ZONE}", "---31"),
    "hexBinary": Lexical("([0-9A-Fa-f]{2})*", "0FB7"),
    "nonNegativeInteger": _integer(_INTEGER, "42", 0),
    "positiveInteger": _integer(_INTEGER, "42", 1),
    "nonPositiveInteger": _integer(_INTEGER, "-42", None, 0),
    "negativeInteger": _integer(_INTEGER, "-42", None, -1),
    "long": _integer(_INTEGER, "42", -(2**63), 2**63 - 1),
    "int": _integer(_INTEGER, "42", -(2**31), 2**31 - 1),
    "short": _integer(_INTEGER, "42", -(2**15), 2**15 - 1),
    "byte": _integer(_INTEGER, "42", -128, 127),
    "unsignedLong": _integer(_INTEGER, "42", 0, 2**64 - 1),
    "unsignedInt": _integer(_INTEGER, "42", 0, 2**32 - 1),
    "unsignedShort": _integer(_INTEGER, "42", 0, 2**16 - 1),
    "unsignedByte": _integer(_INTEGER, "42", 0, 255),
}  # fmt: skip


def lexical(datatype: str) -> Lexical | None:
    """Return the lexical space of an XSD datatype, when we know how to check it."""
    return LEXICAL.get(datatype.removeprefix(XSD)) if datatype.startswith(XSD) else None


# --- macros -----------------------------------------------------------------------------------------------------------------

MACROS: Final = (
    # the text of a JSON value that is no object and no array
    r"""CREATE MACRO co_json_string(x) AS
        CASE WHEN contains(x::VARCHAR, '\') THEN json_extract_string(x, '$') ELSE (x::VARCHAR)[2:-2] END""",
    r"""CREATE MACRO co_json_text(x) AS CASE WHEN starts_with(x::VARCHAR, '"') THEN co_json_string(x) ELSE x::VARCHAR END""",
    # N-Quads, STRING_LITERAL_QUOTE
    r"""CREATE MACRO co_escape(x) AS
        CASE WHEN contains(x, '"') OR contains(x, '\') OR contains(x, chr(10)) OR contains(x, chr(13))
        THEN replace(replace(replace(replace(x, '\', '\\'), '"', '\"'), chr(10), '\n'), chr(13), '\r') ELSE x END""",
    # percent-encoding of what is not iunreserved (RFC 3987); strlen counts bytes, length characters. With letters beyond ASCII,
    # all is encoded, the percent signs of ASCII are encoded once more, and all is decoded: two passes instead of one a letter
    rf"""CREATE MACRO co_iri_safe(x) AS CASE WHEN strlen(x) = length(x) THEN url_encode(x)
        WHEN regexp_full_match(x, '[\x00-\x7F{_LATIN_AND_MORE}]*')
        THEN url_decode(regexp_replace(url_encode(x), '%([0-7])', '%25\1', 'g'))
        ELSE array_to_string(list_transform(string_split(x, ''), lambda c:
          CASE WHEN c < '\u00a0' THEN url_encode(c) WHEN c <= '\ud7fb' OR regexp_full_match(c, '{UCS_PATTERN}') THEN c
          ELSE url_encode(c) END), '') END""",
    # canonical forms
    r"""CREATE MACRO co_integer(x) AS CASE WHEN x IS NULL THEN NULL WHEN regexp_full_match(x, '0|-?[1-9][0-9]*') THEN x
        ELSE CASE WHEN starts_with(x, '-') AND regexp_matches(x, '[1-9]') THEN '-' ELSE '' END
          || coalesce(nullif(ltrim(ltrim(x, '+-'), '0'), ''), '0') END""",
    r"""CREATE MACRO co_decimal(x) AS CASE WHEN x IS NULL THEN NULL WHEN regexp_full_match(x, '-?(0|[1-9][0-9]*)(\.[0-9]*)?')
        THEN CASE WHEN starts_with(x, '-0') AND NOT regexp_matches(x, '[1-9]') THEN '0'
          WHEN contains(x, '.') THEN rtrim(rtrim(x, '0'), '.') ELSE x END
        ELSE CASE WHEN starts_with(x, '-') AND regexp_matches(x, '[1-9]') THEN '-' ELSE '' END
          || coalesce(nullif(ltrim(split_part(ltrim(x, '+-'), '.', 1), '0'), ''), '0')
          || coalesce('.' || nullif(rtrim(split_part(x, '.', 2), '0'), ''), '') END""",
    r"""CREATE MACRO co_point(digits) AS digits[1] || '.' || coalesce(nullif(rtrim(digits[2:], '0'), ''), '0')""",
    r"""CREATE MACRO co_mantissa(x) AS CASE
        WHEN contains(x, 'e')
        THEN co_point(replace(split_part(x, 'e', 1), '.', '')) || 'E' || try_cast(split_part(x, 'e', 2) AS INTEGER)
        WHEN starts_with(x, '0.') THEN co_point(ltrim(x[3:], '0')) || 'E-' || (length(x[3:]) - length(ltrim(x[3:], '0')) + 1)
        ELSE co_point(replace(x, '.', '')) || 'E' || (length(split_part(x, '.', 1)) - 1) END""",
    r"""CREATE MACRO co_double(x) AS CASE
        WHEN x IS NULL THEN NULL WHEN x IN ('NaN', 'INF', '-INF') THEN x WHEN x = '+INF' THEN 'INF'
        WHEN try_cast(x AS DOUBLE) = 0 THEN CASE WHEN starts_with(x, '-') THEN '-0.0E0' ELSE '0.0E0' END
        WHEN isinf(try_cast(x AS DOUBLE)) THEN CASE WHEN starts_with(x, '-') THEN '-INF' ELSE 'INF' END
        ELSE CASE WHEN starts_with(x, '-') THEN '-' ELSE '' END || co_mantissa(abs(try_cast(x AS DOUBLE))::VARCHAR) END""",
    r"""CREATE MACRO co_boolean(x) AS CASE x WHEN '1' THEN 'true' WHEN '0' THEN 'false' ELSE x END""",
    # the natural mapping of JSON values (RML-IO, JSONPath): a whole literal
    r"""CREATE MACRO co_natural_string(x) AS CASE WHEN contains(x::VARCHAR, '\')
        THEN concat('"', co_escape(json_extract_string(x, '$')), '"') ELSE x::VARCHAR END""",
    rf"""CREATE MACRO co_natural_other(x) AS CASE
        WHEN x::VARCHAR IN ('true', 'false') THEN concat('"', x::VARCHAR, '"^^<{XSD}boolean>')
        WHEN regexp_full_match(x::VARCHAR, '-?[0-9]+') THEN concat('"', co_integer(x::VARCHAR), '"^^<{XSD}integer>')
        ELSE concat('"', co_double(x::VARCHAR), '"^^<{XSD}double>') END""",
)
