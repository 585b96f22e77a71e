"""Cut a SPARQL query into tokens the way the engine reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, cast

from cityorchestra_ld.errors import Place

Kind = Literal["iri", "string", "variable", "bnode", "language", "pname", "number", "word", "mark", "bad"]

_FIRST = (
    r"A-Za-z\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C\u200D\u2070-\u218F\u2C00-\u2FEF"
    r"\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\U00010000-\U000EFFFF"
)  # PN_CHARS_BASE (SPARQL 1.1 Query, section 19.8)
_NAME = _FIRST + r"_0-9\u00B7\u0300-\u036F\u203F\u2040"
_ESCAPE = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
_LOCAL = r"%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%]"
_TOKENS: Final = re.compile(
    rf"""
    [\x20\t\r\n]++ | \#[^\r\n]*+
  | (?P<iri> <(?:[^<>"{{}}|^`\\\x00-\x20]++|{_ESCAPE})*+> )
  | (?P<string> \"\"\"(?:[^"\\]++|\\.|"(?!""))*+\"\"\" | '''(?:[^'\\]++|\\.|'(?!''))*+'''
              | "(?:[^"\\\r\n]++|\\.)*+" | '(?:[^'\\\r\n]++|\\.)*+' )
  | (?P<variable> [?$][{_FIRST}_0-9][{_NAME}]*+ )
  | (?P<bnode> _:[{_FIRST}_0-9](?:[{_NAME}\-.]*[{_NAME}\-])? )
  | (?P<language> @[A-Za-z]++(?:-[A-Za-z0-9]++)*+(?:--[A-Za-z]++)? )
  | (?P<pname> (?:[{_FIRST}](?:[{_NAME}\-.]*[{_NAME}\-])?)? :
      (?:(?:[{_FIRST}_0-9:]|{_LOCAL})(?:(?:[{_NAME}:\-.]|{_LOCAL})*(?:[{_NAME}:\-]|{_LOCAL}))?)? )
  | (?P<number> (?:\d++(?:\.\d*+)?|\.\d++)[eE][+\-]?\d++ | \d*+\.\d++ | \d++ )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]*+ )
  | (?P<mark> [{{}}()\[\]<>!^+\-*/|&=,;.~?@] )
  | (?P<bad> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_UNICODE: Final = re.compile(_ESCAPE)


class Token(NamedTuple):
    """One token and where it starts; `mark` is a bracket, an operator or punctuation."""

    kind: Kind
    text: str
    at: int

    @property
    def end(self) -> int:
        """Return the offset after the token."""
        return self.at + len(self.text)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a query; blanks and comments are left out, and what fits nothing is a token of kind `bad`."""
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup
        if kind is not None:
            yield Token(cast("Kind", kind), match.group(), match.start())


def place(text: str, at: int) -> Place:
    """Say where an offset is, as line and character from 1."""
    return Place(line=text.count("\n", 0, at) + 1, column_number=at - text.rfind("\n", 0, at))


def iri_value(token: str) -> str:
    """
    Read the IRI between angle brackets.

    >>> iri_value("<http://x/caf\\\\u00E9>")
    'http://x/café'
    """
    return _UNICODE.sub(lambda match: chr(int(match.group()[2:], 16)), token[1:-1])
