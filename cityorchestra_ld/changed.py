"""Find the datasets whose files changed since a commit, and validate only those."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cityorchestra_ld import pipeline
from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.runs import Run
from cityorchestra_ld.territory import Dataset, Territory


def validate_changed(territory: Territory, ref: str) -> tuple[Run, ...]:
    """Take the datasets that changed since a commit up to validation; nothing is published."""
    keys = changed_datasets(territory, ref)
    return pipeline.run(territory, keys, publish=False, force=True).runs if keys else ()


def changed_datasets(territory: Territory, ref: str) -> list[str]:
    """
    List the datasets of which mapping, shapes, settings or example files changed since a commit, new files included.

    What all datasets share (common shapes, ontology, territory.toml) changes them all. Raises UsageError when the territory is
    not in a git repository, or the commit does not exist.
    """
    files = set(changed_files(territory.root, ref))
    shared = ("shapes/core/", "ontology/", "territory.toml")
    if any(file.startswith(shared) for file in files):
        return list(territory.datasets)
    return [key for key, dataset in territory.datasets.items() if any(_belongs(file, territory, dataset) for file in files)]


def _belongs(file: str, territory: Territory, dataset: Dataset) -> bool:
    sources = {str(spec.path.relative_to(territory.root.resolve())) for spec in dataset.sources if spec.path is not None}
    return file in sources or file == f"shapes/{dataset.key}.ttl" or file.startswith(f"mappings/{dataset.key}/")


def changed_files(root: Path, ref: str) -> Iterator[str]:
    """Yield the files under a folder that differ from a commit, relative to that folder."""
    if ref.startswith("-"):
        raise UsageError(Text(f"« {ref} » n'est pas un commit.", f"'{ref}' is not a commit."))
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    yield from filter(None, _git(root, "diff", "--name-only", "-z", "--relative", commit, "--", ".").split("\0"))
    yield from filter(None, _git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0"))


def _git(root: Path, *words: str) -> str:
    program = shutil.which("git")
    if program is None:
        raise UsageError(
            Text("La commande git manque sur cette machine.", "The command git is missing on this machine."),
            hint=Text("Installez git, ou validez les jeux un par un.", "Install git, or validate datasets one by one."),
        )
    done = subprocess.run([program, "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    if done.returncode == 0:
        return done.stdout
    if words[0] == "rev-parse" and "not a git repository" not in done.stderr:
        raise UsageError(
            Text(f"Aucun commit ne s'appelle « {words[-1][:-9]} ».", f"No commit is called '{words[-1][:-9]}'."),
            place=Place(file=str(root)),
            hint=Text(
                "Dans une intégration continue, récupérez l'historique (fetch-depth: 0).",
                "In continuous integration, fetch the history (fetch-depth: 0).",
            ),
        )
    raise UsageError(
        Text("Le territoire n'est pas dans un dépôt git.", "The territory is not in a git repository."),
        place=Place(file=str(root)),
        hint=Text("Validez les jeux par leur nom.", "Validate datasets by name."),
    )
