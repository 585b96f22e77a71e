"""The README's commands do what they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cityorchestra_ld.territory import Territory

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip().removeprefix("$ ")
    for line in README.splitlines()
    if re.match(r"    (\$ )?cityorchestra [a-z]", line) and "<" not in line
]


def test_the_first_screen_shows_both_make_commands() -> None:
    first = "\n".join(README.splitlines()[:20])
    assert "make run" in first and "make test" in first
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(command: str, loaded: Territory) -> None:
    environment = os.environ | {"CITYORCHESTRA_STATE": str(loaded.state)}
    words = [sys.executable, "-c", "from cityorchestra_ld.cli import main; main()", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    refused = "/broken/" in command
    assert done.returncode == (1 if refused else 0), done.stderr
    assert done.stdout.strip()


def test_the_refusal_in_the_readme_is_what_the_command_prints(loaded: Territory) -> None:
    command = next(command for command in COMMANDS if "/broken/" in command)
    environment = os.environ | {"CITYORCHESTRA_STATE": str(loaded.state)}
    words = [sys.executable, "-c", "from cityorchestra_ld.cli import main; main()", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    for words_shown in ("Non conforme : 1 violation ; 1 avertissement.", "/2/codeinseecommune, colonne « codeinseecommune »"):
        assert words_shown in README and words_shown in done.stdout
