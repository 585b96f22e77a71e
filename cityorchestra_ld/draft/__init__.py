"""Write the first draft of a dataset from one file of a partner: contract, mapping, shapes and example, ready to run."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cityorchestra_ld.draft.dataset_text import broken, dataset_text, source_note
from cityorchestra_ld.draft.findings import findings
from cityorchestra_ld.draft.mapping_text import mapping_text
from cityorchestra_ld.draft.outline import Outline, outline
from cityorchestra_ld.draft.profile import Profile, profile
from cityorchestra_ld.draft.proposals import Vocabulary
from cityorchestra_ld.draft.shapes_text import shapes_text, static_text
from cityorchestra_ld.errors import Place, RefusedError, Text, UsageError
from cityorchestra_ld.territory import Territory

__all__ = ["Draft", "Profile", "draft", "findings", "write"]

_KEY = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything that a draft writes, by path in the territory."""

    outline: Outline
    files: Mapping[str, bytes]
    partner: str | None = None  # to be added to territory.toml


def draft(territory: Territory, key: str, file: Path, *, title: str | None = None, cautious: bool = False) -> Draft:
    """Read a file and make the draft of its dataset; raise SourceError when it cannot be read, UsageError for a bad key."""
    if not _KEY.fullmatch(key):
        raise UsageError(
            Text(
                f"« {key} » : partenaire/jeu, en minuscules, chiffres et tirets.",
                f"'{key}': partner/dataset, in lower case, digits and hyphens.",
            ),
            hint=Text("Par exemple star/arrets.", "For example star/arrets."),
        )
    if not file.is_file():
        raise UsageError(Text("Ce fichier n'existe pas.", "There is no such file."), place=Place(file=str(file)))
    with tempfile.TemporaryDirectory(prefix="draft-") as folder:
        found = profile(file, Path(folder), territory.limits)
    made = outline(found, key, Vocabulary(territory), territory, cautious=cautious)
    partner, _, name = key.partition("/")
    data, base = file.read_bytes(), territory.base_iri
    texts = {
        f"mappings/{key}/dataset.toml": dataset_text(made, partner, title or name.replace("-", " ").capitalize()),
        f"mappings/{key}/mapping.yml": mapping_text(made, base),
        f"mappings/{key}/static.ttl": static_text(made, base),
        f"shapes/{key}.ttl": shapes_text(made, base),
        f"examples/{key}/SOURCE.md": source_note(made, hashlib.sha256(data).hexdigest()),
    }
    files = {path: text.encode() for path, text in texts.items() if text is not None}
    files[f"examples/{key}/{file.name}"] = data
    case = broken(made, data)
    if case is not None:
        folder_name, spoiled, expected = case
        files[f"examples/{key}/broken/{folder_name}/{file.name}"] = spoiled
        files[f"examples/{key}/broken/{folder_name}/expected.json"] = json.dumps(expected, indent=2).encode() + b"\n"
    return Draft(outline=made, files=files, partner=None if partner in territory.partners else partner)


def write(territory: Territory, made: Draft, *, replace: bool = False) -> tuple[Path, ...]:
    """Write a draft into a territory; raise RefusedError rather than write over a dataset that exists."""
    folder = territory.root / "mappings" / made.outline.key
    if folder.exists() and not replace:
        raise RefusedError(
            Text("Ce jeu de données existe déjà.", "This dataset exists already."),
            place=Place(file=str(folder)),
            hint=Text(
                "Choisissez un autre nom, ou --force pour l'écraser.", "Choose another name, or --force to overwrite it."
            ),
        )
    if made.partner is not None:
        settings = territory.root / "territory.toml"
        text = settings.read_text(encoding="utf-8").rstrip("\n")
        added = f'\n\n[partners.{made.partner}]      # PROPOSITION\nname = "{made.partner}"\n'
        if f"[partners.{made.partner}]" not in text:
            settings.write_text(text + added, encoding="utf-8")
    written = []
    for path, data in made.files.items():
        target = territory.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        written.append(target)
    return tuple(written)
