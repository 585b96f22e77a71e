"""Findings of the static check: a code of the catalogue, a place, a sentence, and what to do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

from cityorchestra_ld.errors import Place, Text

PAGES: Final = "docs/check"


class Level(StrEnum):
    """How serious a finding is; an error will make the run fail, or publish what nobody wants."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_ORDER: Final = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One kind of finding: what its sentences are, and what its page says."""

    id: str
    level: Level
    title: Text
    says: Text  # with {words}
    fix: Text  # with {words}
    why: Text
    wrong: str
    right: str

    @property
    def page(self) -> str:
        """Return the page that explains the code, in the project's folder."""
        return f"{PAGES}/{self.id}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the check found."""

    code: str
    level: Level
    place: Place
    message: Text
    hint: Text
    page: str


@cache
def catalogue() -> Mapping[str, Code]:
    """Read the catalogue of codes."""
    text = (resources.files("cityorchestra_ld.check") / "codes.toml").read_text(encoding="utf-8")
    return {name: _code(name, said) for name, said in tomllib.loads(text).items()}


def _code(name: str, said: Mapping[str, Any]) -> Code:
    texts = {key: Text(said[key]["fr"], said[key]["en"]) for key in ("title", "says", "fix", "why")}
    return Code(id=name, level=Level(said["level"]), wrong=said["wrong"].strip(), right=said["right"].strip(), **texts)


def finding(
    code: str, place: Place, *, level: Level | None = None, hint: Text | None = None, **words: str | Text | None
) -> Finding:
    """Make a finding; `words` fill the sentences of the code, `hint` says more than its own advice."""
    known = catalogue()[code]
    fix = _filled(known.fix, words)
    if hint is not None:
        fix = Text(f"{hint.fr} {fix.fr}".strip(), f"{hint.en} {fix.en}".strip())
    return Finding(
        code=code, level=level or known.level, place=place, message=_filled(known.says, words), hint=fix, page=known.page
    )


def _filled(template: Text, words: Mapping[str, str | Text | None]) -> Text:
    french = {name: word.fr if isinstance(word, Text) else word or "" for name, word in words.items()}
    english = {name: word.en if isinstance(word, Text) else word or "" for name, word in words.items()}
    return Text(template.fr.format_map(french), template.en.format_map(english))


def near(names: str | None) -> Text | None:
    """Say which name was probably meant."""
    return Text(f"Le plus proche est « {names} ».", f"The nearest is '{names}'.") if names else None


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings without repetition, errors first, then as the mapping is read."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda f: (_ORDER[f.level], f.place.file or "", f.place.line or 0, f.code)))


def worst(findings: Iterable[Finding]) -> Level | None:
    """Return the most serious level."""
    return min((found.level for found in findings), key=lambda level: _ORDER[level], default=None)
