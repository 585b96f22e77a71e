"""Walk the sorted N-Triples lines of a kept snapshot subject by subject, without building terms that nobody looks at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_PLAIN: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}
TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"


def blocks(lines: Iterable[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each subject with its predicates and objects, as they are written; sorted lines keep a subject together."""
    current, pairs = "", list[tuple[str, str]]()
    for line in lines:
        subject, predicate, rest = line.split(" ", 2)
        if subject != current:
            if pairs:
                yield current, pairs
            current, pairs = subject, []
        pairs.append((predicate, rest[:-3]))  # without " .\n"
    if pairs:
        yield current, pairs


def iri(term: str) -> str:
    """
    Return what stands between the angle brackets of an IRI.

    >>> iri("<https://x.example/a>")
    'https://x.example/a'
    """
    return unescape(term[1:-1])


def literal(term: str) -> tuple[str, str, str]:
    """
    Take a literal apart: its text, its datatype (empty when it has none), its language.

    >>> literal('"Le \\\\"Quai\\\\""@fr'), literal('"1"^^<http://x.example/t>')
    (('Le "Quai"', '', 'fr'), ('1', 'http://x.example/t', ''))
    """
    end = term.rfind('"')
    text, tail = unescape(term[1:end]), term[end + 1 :]
    if tail.startswith("@"):
        return text, "", tail[1:]
    return text, tail[3:-1], ""


def unescape(text: str) -> str:
    """Read the escapes of N-Triples (RDF 1.1 N-Triples, section 7)."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    short, long, char = match.groups()
    return chr(int(short or long, 16)) if short or long else _PLAIN.get(char, char)


def space_of(address: str) -> str:
    """
    Return the part of an IRI that things of one kind share: up to the last slash or hash.

    >>> space_of("http://id.insee.fr/geo/commune/35238")
    'http://id.insee.fr/geo/commune/'
    """
    return address[: max(address.rfind("/"), address.rfind("#")) + 1]
