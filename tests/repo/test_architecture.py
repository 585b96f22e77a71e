"""The tree tells the truth: modules import alone, tests are collected, imports are declared, no machine path is kept."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    str(p.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for p in (ROOT / "cityorchestra_ld").rglob("*.py")
    if p.name != "worker_main.py"
)


def test_every_module_imports_without_environment_or_network() -> None:
    code = "import socket, importlib, sys\nsocket.socket.connect = None\n" + "\n".join(
        f"importlib.import_module({name!r})" for name in MODULES
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={}, capture_output=True, text=True, timeout=120, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_test_file_has_tests_and_a_name_that_pytest_collects() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^def test_|^async def test_|^    def test_", text, re.MULTILINE):
            assert path.name.startswith("test_"), f"{path} holds tests that nobody collects"


def test_no_machine_path_or_registry_host_is_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    registry = re.compile(r"files\.pythonhosted|registry\.npmjs|index-url|/root/|/home/\w+/")
    for name in filter(None, tracked):
        path = ROOT / name
        if (
            path.suffix in {".py", ".toml", ".md", ".txt", ".yml", ".json", ".html"}
            and path.is_file()
            and path.stat().st_size < 200_000
        ):
            if path == Path(__file__):
                continue
            match = registry.search(path.read_text(encoding="utf-8", errors="replace"))
            assert match is None, f"{name}: {match.group() if match else ''}"


def test_the_repository_stays_small() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    total = sum((ROOT / name.decode()).stat().st_size for name in tracked if name and (ROOT / name.decode()).is_file())
    assert total < 15_000_000, f"{total / 1e6:.1f} MB"


def test_entry_points_lead_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for target in project["scripts"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


@pytest.mark.parametrize("needed", ["duckdb", "pyoxigraph", "shacl", "pyshacl", "fastapi", "typer"])
def test_what_the_package_imports_it_declares(needed: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(re.match(rf"{needed}\b", line) for line in project["dependencies"])
