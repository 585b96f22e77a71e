"""Write the dataset.toml of a draft, the note on where the file comes from, and a broken file that must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cityorchestra_ld.draft.kinds import Column
from cityorchestra_ld.draft.outline import Outline

UNDECIDED = "a-decider"  # a policy that nobody wrote: access is refused until somebody does


def dataset_text(draft: Outline, partner: str, title: str) -> str:
    """Write dataset.toml; nothing in it opens the data: access, licence and policy are for a person to decide."""
    profile = draft.profile
    lines = [
        f"# {draft.key} : premier jet, fait par `cityorchestra new`. / First draft, made by `cityorchestra new`.",
        f"title = {{ fr = {_text(title)}, en = {_text(title)} }}      # PROPOSITION",
        f"description = {{ fr = {_text(title)}, en = {_text(title)} }}      # PROPOSITION",
        f"publisher = {_text(partner)}",
        'licence = "LicenseRef-a-decider"      # À DÉCIDER : etalab-2.0, ODbL-1.0… / to be decided',
        f'policy = "{UNDECIDED}"      # À DÉCIDER : open-etalab, open-odbl… / to be decided',
        'access = "NON_PUBLIC"      # À DÉCIDER : PUBLIC quand la licence et les données le permettent / to be decided',
        'attribution = "À compléter / to be completed"',
    ]
    if draft.context:
        lines.append(f"context = {json.dumps(list(draft.context))}")
    lines += [
        "",
        "[[source]]",
        f"name = {_text(profile.path.name)}",
        f"path = {_text(f'examples/{draft.key}/{profile.path.name}')}",
    ]
    lines += _csv(draft) if profile.format == "csv" else ['format = "json"']
    if draft.forbidden:
        names = ", ".join(_text(column.name) for column in draft.forbidden)
        reasons = ", ".join(sorted({column.personal.fr for column in draft.forbidden if column.personal}))
        lines.append(f"forbidden = [{names}]      # semblent personnelles / look personal: {reasons}")
    if profile.format == "csv":
        lines += ["column = [", *_columns(draft), "]"]
    return "\n".join([*lines, ""])


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_workbook(name: str) -> bool:
    return name.lower().endswith((".xlsx", ".parquet"))


def _csv(draft: Outline) -> Iterator[str]:
    profile = draft.profile
    if not _is_workbook(profile.path.name):
        yield f"encoding = {_text(profile.encoding or 'utf-8')}"
        yield f"delimiter = {_text(profile.delimiter or ',')}"
    marks = {column.mark for column in profile.columns if column.kind == "decimal"}
    if len(marks) == 1:
        yield f"decimal = {_text(marks.pop())}"
    if profile.skip_until:
        yield f"skip_until = {_text(profile.skip_until)}"
    if draft.unique and profile.complete:
        yield f"key = {json.dumps([column.name for column in draft.identity])}      # PROPOSITION"


def _columns(draft: Outline) -> Iterator[str]:
    used = {column.name for column in _used(draft)}
    for column in draft.profile.columns:
        kind = {"epoch": "integer"}.get(column.kind, column.kind)
        parts = [f"name = {_text(column.name)}"]
        if column.label != column.name:
            parts.append(f"aliases = [{_text(column.label)}]")
        if kind != "text" and not column.hidden:
            parts.append(f"kind = {_text(kind)}")
        if column.pattern and column.kind == "code" and column.filled == draft.profile.records:
            parts.append(f"pattern = {_text(column.pattern)}")
        if column.name not in used:
            parts.append("required = false")
        yield f"  {{ {', '.join(parts)} }},"


def _used(draft: Outline) -> Iterator[Column]:
    yield from draft.identity
    yield from (field.column for field in draft.fields)
    yield from (figure.column for figure in draft.figures)
    for column in (draft.label, draft.area, draft.period, draft.role("lon"), draft.role("lat"), draft.role("point")):
        if isinstance(column, Column):
            yield column


def source_note(draft: Outline, sha256: str) -> str:
    """Write SOURCE.md: what is known of the file, and what a person must still say."""
    profile = draft.profile
    facts = [f"{profile.records} records", f"{len(profile.columns)} columns", profile.encoding or "", profile.format.upper()]
    return "\n".join(
        [
            f"# {draft.key}", "",
            "| file | what | sha256 |", "| --- | --- | --- |",
            f"| `{profile.path.name}` | {', '.join(fact for fact in facts if fact)} | `{sha256[:16]}…` |", "",
            "- Où ce fichier a été obtenu, et quand : à compléter. / Where and when it was obtained: to be completed.",
            "- Licence : à compléter. / Licence: to be completed.", "",
        ]
    )  # fmt: skip


def broken(draft: Outline, data: bytes) -> tuple[str, bytes, dict[str, Any]] | None:
    """Return a broken file, the name of its case, and the report that it must bring; nothing when none is obvious."""
    name = draft.profile.path.name
    if draft.profile.format == "json" or _is_workbook(name):
        return "truncated", data[: len(data) * 2 // 3], {"exit": 3, "source": name, "contains": [name]}
    lines = data.splitlines(keepends=True)
    if not (draft.unique and draft.profile.complete) or len(lines) < 3 or b'"' in lines[-1]:
        return None
    last = lines[-1] if lines[-1].endswith(b"\n") else lines[-1] + b"\n"
    kept = [*lines[: min(len(lines) - 1, 20)], last, last]
    return "duplicate-key", b"".join(kept), {"exit": 3, "source": name, "contains": [name, draft.identity[0].name]}
