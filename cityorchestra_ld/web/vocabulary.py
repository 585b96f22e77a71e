"""Plain words for terms of published vocabularies, units, licences and EU codes, for pages that people read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import msgspec

from cityorchestra_ld.catalog.authority import codes
from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import REUSED

_FILE = Path(__file__).with_name("vocabulary.json")
_EU = "http://publications.europa.eu/resource/authority/"
_SPDX = "http://spdx.org/licenses/"
_UNIT = REUSED["unit"]
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_-]+")


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terms: dict[str, tuple[str, str]]
    units: dict[str, str]


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence, its name and what it means."""

    name: Text
    meaning: Text | None
    iri: str


@cache
def _words() -> _Words:
    return msgspec.json.decode(_FILE.read_bytes(), type=_Words)


@cache
def _terms() -> dict[str, Text]:
    expanded = {}
    for curie, (fr, en) in _words().terms.items():
        prefix, _, name = curie.partition(":")
        expanded[REUSED[prefix] + name] = Text(fr, en)
    words = codes()
    for table, entries in (
        ("access-right", words.access),
        ("frequency", words.frequencies),
        ("data-theme", words.themes),
        ("language", words.languages),
    ):
        expanded |= {f"{_EU}{table}/{code}": Text(fr, en) for code, (fr, en) in entries.items()}
    spdx = {f"{_SPDX}{code}": Text(fr, en) for code, (fr, en, _, _) in words.licences.items()}
    return expanded | spdx


def known_label(iri: str) -> Text | None:
    """Return the plain words for a term of a published vocabulary."""
    return _terms().get(iri)


def local_name(iri: str) -> str:
    """
    Make words from the last part of an IRI, when nothing better is known.

    >>> local_name("http://xmlns.com/foaf/0.1/familyName")
    'family name'
    """
    tail = unquote(re.split(r"[/#:]", iri.rstrip("/#"))[-1])
    if any(char.isdigit() for char in tail):
        return tail  # a reference, not a word
    return " ".join(word.lower() if word[1:].islower() or len(word) == 1 else word for word in _CAMEL.sub(" ", tail).split())


def unit_symbol(iri: str) -> str | None:
    """Return the symbol of a QUDT unit, an empty one for plain counts."""
    return _words().units.get(iri.removeprefix(_UNIT)) if iri.startswith(_UNIT) else None


def licence(identifier: str) -> Licence:
    """Explain a licence known by its SPDX identifier."""
    folded = {key.lower(): value for key, value in codes().licences.items()}
    found = folded.get(identifier.rsplit("/", 1)[-1].lower())
    iri = identifier if identifier.startswith(("http://", "https://")) else _SPDX + identifier
    if found is None:
        return Licence(Text(identifier, identifier), None, iri)
    return Licence(Text(found[0], found[1]), Text(found[2], found[3]), iri)


def access_words(access: str) -> Text:
    """Say an EU access right in plain words."""
    return _pair(codes().access, access)


def frequency_words(frequency: str) -> Text:
    """Say an EU frequency code in plain words."""
    return _pair(codes().frequencies, frequency)


def theme_words(theme: str) -> Text:
    """Say an EU data theme in plain words."""
    return _pair(codes().themes, theme)


def _pair(words: dict[str, tuple[str, str]], code: str) -> Text:
    fr, en = words.get(code, (code, code))
    return Text(fr, en)
