"""The datasets whose files changed since a commit are found; what is not a repository or a commit is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cityorchestra_ld.changed import changed_datasets, validate_changed
from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.territory import Territory, load_territory

TOML = """base_iri = "https://id.example/"
name = { fr = "Essai", en = "Trial" }
[partners.p]
name = "P"
"""
DATASET = """title = { fr = "T", en = "T" }
description = { fr = "D", en = "D" }
publisher = "p"
licence = "etalab-2.0"
policy = "open"
attribution = "P"
[[source]]
name = "a.csv"
path = "examples/p/KEY/a.csv"
"""


def git(root: Path, *words: str) -> None:
    author = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(root), *author, *words], check=True, capture_output=True)


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    (tmp_path / "territory.toml").write_text(TOML, encoding="utf-8")
    for key in ("one", "two"):
        for folder in (f"mappings/p/{key}", f"examples/p/{key}", "shapes/p"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / f"mappings/p/{key}/dataset.toml").write_text(DATASET.replace("KEY", key), encoding="utf-8")
        (tmp_path / f"examples/p/{key}/a.csv").write_text("a\n1\n", encoding="utf-8")
    return load_territory(tmp_path)


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("examples/p/one/a.csv", ["p/one"]),
        ("shapes/p/two.ttl", ["p/two"]),
        ("mappings/p/two/mapping.yml", ["p/two"]),
        ("shapes/core/new.ttl", ["p/one", "p/two"]),
        ("README.md", []),
    ],
)
def test_a_changed_or_new_file_leads_to_its_datasets(territory: Territory, file: str, wanted: list[str]) -> None:
    git(territory.root, "init", "-q")
    git(territory.root, "add", ".")
    git(territory.root, "commit", "-q", "-m", "first")
    assert changed_datasets(territory, "HEAD") == []
    (territory.root / file).parent.mkdir(parents=True, exist_ok=True)
    (territory.root / file).write_text("changed", encoding="utf-8")
    assert changed_datasets(territory, "HEAD") == wanted


def test_nothing_changed_is_nothing_to_validate(territory: Territory) -> None:
    git(territory.root, "init", "-q")
    git(territory.root, "add", ".")
    git(territory.root, "commit", "-q", "-m", "first")
    assert validate_changed(territory, "HEAD") == ()


def test_a_folder_that_is_no_repository_and_a_commit_that_does_not_exist_are_said(territory: Territory) -> None:
    with pytest.raises(UsageError, match="not in a git repository"):
        changed_datasets(territory, "HEAD")
    git(territory.root, "init", "-q")
    with pytest.raises(UsageError, match="No commit is called 'nowhere'"):
        changed_datasets(territory, "nowhere")
    with pytest.raises(UsageError, match="not a commit"):
        changed_datasets(territory, "--output=x")
