"""Where no shape looks at the data, that is an error and not a clean report."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityorchestra_ld import stages
from cityorchestra_ld.cli.app import app
from cityorchestra_ld.errors import ShapesError

SHAPES = """@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <https://x.example/> .
ex:Stop a sh:NodeShape ; sh:targetClass ex:Stop ; sh:property [ sh:path ex:name ; sh:minCount 1 ] .
"""
OTHER = "<https://x.example/a> a <https://x.example/Line> .\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    data, shapes = tmp_path / "data.ttl", tmp_path / "shapes.ttl"
    data.write_text(OTHER, encoding="utf-8")
    shapes.write_text(SHAPES, encoding="utf-8")
    return data, shapes


def test_shapes_that_look_at_nothing_are_an_error_that_says_what_they_look_for(files: tuple[Path, Path]) -> None:
    data, shapes = files
    with pytest.raises(ShapesError) as caught:
        stages.validate_file(data, [shapes], "https://base.example/")
    error = caught.value
    assert error.exit_code == 5 and "rien n'a été vérifié" in error.message.fr and "nothing was checked" in error.message.en
    assert error.place is not None and error.place.file == str(data)
    assert error.hint is not None and "https://x.example/Stop" in error.hint.en


def test_shapes_without_a_target_are_an_error_that_asks_for_one(files: tuple[Path, Path]) -> None:
    data, shapes = files
    shapes.write_text(SHAPES.replace("sh:targetClass ex:Stop ;", ""), encoding="utf-8")
    with pytest.raises(ShapesError) as caught:
        stages.validate_file(data, [shapes], "https://base.example/")
    assert caught.value.hint is not None and "sh:targetClass" in caught.value.hint.en


@pytest.mark.parametrize("text", [OTHER, ""])
def test_nothing_to_check_is_accepted_when_asked_for(text: str, files: tuple[Path, Path]) -> None:
    data, shapes = files
    data.write_text(text, encoding="utf-8")
    command = ["validate", "--data", str(data), "--shapes", str(shapes)]
    assert CliRunner().invoke(app, command).exit_code != 0
    assert CliRunner().invoke(app, [*command, "--allow-empty"]).exit_code == 0
