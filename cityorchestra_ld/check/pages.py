"""Write the pages that explain the codes of the static check, from the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cityorchestra_ld.check.findings import Code, Level, catalogue

_LEVELS: Final = {
    Level.ERROR: ("erreur", "error"),
    Level.WARNING: ("avertissement", "warning"),
    Level.INFO: ("remarque", "remark"),
}
_FAMILIES: Final = {
    "MAP-0": ("Lecture", "Reading"),
    "MAP-1": ("Colonnes et données personnelles", "Columns and personal data"),
    "MAP-2": ("Vocabulaire", "Vocabulary"),
    "MAP-3": ("Règles de validation", "Shapes"),
    "MAP-4": ("Identifiants et structure", "Identifiers and structure"),
}
_MADE: Final = "Made from `cityorchestra_ld/check/codes.toml` by `tools/check_docs.py --write`."
_WORD: Final = re.compile(r"\{(\w+)\}")


def page(code: Code) -> str:
    """Write the page of one code, in French and in English."""
    french, english = _LEVELS[code.level]
    return "\n".join(
        [
            f"# {code.id}: {code.title.fr} / {code.title.en}", "", f"*{french} / {english}*", "",
            f"> {_blank(code.says.fr)}", "", code.why.fr, "", *_advice("À faire", code.fix.fr),
            f"> {_blank(code.says.en)}", "", code.why.en, "", *_advice("To do", code.fix.en),
            "Au lieu de / instead of:", "", *_block(code.wrong), "", "écrivez / write:", "", *_block(code.right), "",
            "[Tous les codes / all codes](README.md)", "", f"{_MADE}", "",
        ]
    )  # fmt: skip


def index() -> str:
    """Write the list of all codes."""
    lines = [
        "# Codes of `cityorchestra check`", "",
        "Ce que la vérification statique peut dire d'une correspondance, avant de lire une ligne.", "",
        "What the static check can say of a mapping, before any row is read.", "",
    ]  # fmt: skip
    for family, (french, english) in _FAMILIES.items():
        lines += [f"## {french} / {english}", "", "| code | | français | English |", "| --- | --- | --- | --- |"]
        for code in catalogue().values():
            if code.id.startswith(family):
                lines.append(f"| [{code.id}]({code.id}.md) | {code.level} | {code.title.fr} | {code.title.en} |")
        lines.append("")
    return "\n".join([*lines, _MADE, ""])


def pages() -> Mapping[str, str]:
    """Return every page of docs/check/ by its file name."""
    return {"README.md": index()} | {f"{code.id}.md": page(code) for code in catalogue().values()}


def _blank(sentence: str) -> str:
    return _WORD.sub("…", sentence)


def _advice(word: str, fix: str) -> list[str]:
    shown = _blank(fix)
    return [f"**{word}.** {shown}", ""] if shown.strip(" …") else []


def _block(text: str) -> Iterator[str]:
    return ("    " + line if line else "" for line in text.splitlines())
