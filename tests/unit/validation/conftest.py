"""Fixtures of the validation tests: shapes and data written as Turtle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cityorchestra_ld.model import ValidationReport
from cityorchestra_ld.validation import ShapesGraph, load_shapes, validate

PREFIXES = """@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix ex: <https://x.example/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix csh: <https://base.example/def/shapes#> .
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write a Turtle document with the usual prefixes."""
    numbers = iter(range(1000))

    def write(text: str, name: str = "", *, plain: bool = False) -> Path:
        path = tmp_path / (name or f"f{next(numbers)}.ttl")
        path.write_text(text if plain else PREFIXES + text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def shapes(file: Callable[..., Path]) -> Callable[[str], ShapesGraph]:
    """Load shapes from text."""
    return lambda text: load_shapes([file(text)], base_iri="https://base.example/")


@pytest.fixture
def judged(file: Callable[..., Path], shapes: Callable[[str], ShapesGraph]) -> Callable[..., ValidationReport]:
    """Validate text against text."""

    def judge(rules: str, data: str, *context: str, **options) -> ValidationReport:
        return validate(file(data), shapes(rules), context=[file(text) for text in context], **options)

    return judge
