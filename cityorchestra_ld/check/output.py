"""Write findings for a terminal, as JSON, or as SARIF 2.1.0 for code review tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from cityorchestra_ld import __version__
from cityorchestra_ld.check.findings import Finding, Level, catalogue
from cityorchestra_ld.errors import Text

Form = Literal["text", "json", "sarif"]
_SARIF_LEVELS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}
_WORDS: Final = {
    Level.ERROR: Text("erreur", "error"),
    Level.WARNING: Text("attention", "warning"),
    Level.INFO: Text("à savoir", "info"),
}
_PLURALS: Final = {
    Level.ERROR: Text("erreur(s)", "error(s)"),
    Level.WARNING: Text("avertissement(s)", "warning(s)"),
    Level.INFO: Text("remarque(s)", "remark(s)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The findings about one mapping, as JSON gives them."""

    subject: str
    errors: int
    warnings: int
    infos: int
    findings: tuple[Finding, ...]


def outcome(subject: str, findings: Sequence[Finding]) -> Outcome:
    """Count findings by level."""
    counts = Counter(found.level for found in findings)
    return Outcome(
        subject=subject, errors=counts[Level.ERROR], warnings=counts[Level.WARNING], infos=counts[Level.INFO],
        findings=tuple(findings),
    )  # fmt: skip


def shortened(findings: Sequence[Finding], root: Path) -> tuple[Finding, ...]:
    """Write files relative to a folder, as people and tools expect."""
    return tuple(replace(found, place=replace(found.place, file=_relative(found.place.file, root))) for found in findings)


def _relative(file: str | None, root: Path) -> str | None:
    if file is None or "://" in file:
        return file
    path = Path(file)
    return str(path.relative_to(root)) if path.is_absolute() and path.is_relative_to(root) else file


# --- for people ---------------------------------------------------------------------------------------------------------------


def as_text(subject: str, findings: Sequence[Finding], lang: str) -> str:
    """Write findings for a terminal: what, where, what to try, and the page to read."""
    return "\n".join(_lines(subject, findings, lang))


def _lines(subject: str, findings: Sequence[Finding], lang: str) -> Iterator[str]:
    try_ = "to do" if lang == "en" else "à faire"
    read = "read" if lang == "en" else "lire"
    for found in findings:
        yield f"{_WORDS[found.level].get(lang)} {found.code}: {found.message.get(lang)}"
        seen = found.place.value is not None and found.place.value in found.message.get(lang)
        place = (replace(found.place, value=None) if seen else found.place).describe(lang)
        if place:
            yield f"  {'where' if lang == 'en' else 'où'}: {place}"
        if found.hint.get(lang):
            yield f"  {try_}: {found.hint.get(lang)}"
        yield f"  {read}: {found.page}"
        yield ""
    counts = Counter(found.level for found in findings)
    parts = [f"{counts[level]} {_PLURALS[level].get(lang)}" for level in Level if counts[level]]
    nothing = "nothing to report" if lang == "en" else "rien à signaler"
    yield f"{subject}: {', '.join(parts) or nothing}."


# --- for tools ----------------------------------------------------------------------------------------------------------------


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Write the outcome of a check, or a list of them."""
    value: object = outcomes[0] if len(outcomes) == 1 else list(outcomes)
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def as_sarif(findings: Sequence[Finding], lang: str) -> str:
    """Write a log in the Static Analysis Results Interchange Format (SARIF 2.1.0, section 3)."""
    used = sorted({found.code for found in findings})
    log = {
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "cityorchestra check",
                        "version": __version__,
                        "rules": [_rule(code, lang) for code in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"ROOT": {"description": {"text": "The folder of the territory"}}},
                "results": [_result(found, used.index(found.code), lang) for found in findings],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode()


def _rule(code: str, lang: str) -> dict[str, Any]:
    known = catalogue()[code]
    return {
        "id": code,
        "shortDescription": {"text": known.title.get(lang)},
        "fullDescription": {"text": known.why.get(lang)},
        "help": {"text": f"{known.why.get(lang)}\n\n{known.page}"},
        "defaultConfiguration": {"level": _SARIF_LEVELS[known.level]},
    }


def _result(found: Finding, index: int, lang: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": index,
        "level": _SARIF_LEVELS[found.level],
        "message": {"text": f"{found.message.get(lang)} {found.hint.get(lang)}".strip()},
    }
    if found.place.file:
        uri = found.place.file
        artifact: dict[str, Any] = {"uri": Path(uri).as_posix()}
        if "://" not in uri and not uri.startswith("/"):
            artifact["uriBaseId"] = "ROOT"
        physical: dict[str, Any] = {"artifactLocation": artifact}
        if found.place.line:
            physical["region"] = {"startLine": found.place.line}
        location: dict[str, Any] = {"physicalLocation": physical}
        if found.place.rule:
            location["logicalLocations"] = [{"name": found.place.rule, "kind": "member"}]
        result["locations"] = [location]
    return result
