"""The official shapes of DCAT-AP 3.0.1 on the catalogue of the loaded territory, through our own validation."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.model import Severity, ValidationReport
from cityorchestra_ld.namespaces import RDFS, SH
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.turtle import read_turtle
from cityorchestra_ld.validation import load_shapes, validate
from cityorchestra_ld.web.app import create_app

FOLDER = Path(os.environ.get("CITYORCHESTRA_SUITES", Path(__file__).parents[3] / "shared" / "suites")) / "dcat-ap"
SUITE = FOLDER / "dcat-ap-3.0.1"
LOCK = tomllib.loads(Path(__file__).with_name("dcat_ap.toml").read_text(encoding="utf-8"))
FILES = {  # files of the release that belong together → property shapes in them that can be run
    "shacl/dcat-ap-SHACL.ttl shacl/ranges.ttl": 292,
    "html/shacl/shapes.ttl": 130,
    "html/shacl/range.ttl": 82,
    "html/shacl/shapes_recommended.ttl": 36,
    "html/shacl/deprecateduris.ttl": 8,
}
no_suite = pytest.mark.skipif(not SUITE.exists() and not os.environ.get("CI"), reason=f"NO CONFORMANCE SUITE at {SUITE}")
PATH, PROPERTY = ox.NamedNode(f"{SH}path"), ox.NamedNode(f"{SH}property")
SUBCLASS = ox.NamedNode(f"{RDFS}subClassOf")
RUN: dict[str, int] = {}


def runnable(files: str, folder: Path) -> tuple[Path, int]:
    """Write files of shapes without the property shapes that have no path; return it and the number of those that have."""
    triples = [triple for file in files.split() for triple in read_turtle(SUITE / file, "https://suite.example/")]
    shapes = {triple.object for triple in triples if triple.predicate == PROPERTY}
    whole = {triple.subject for triple in triples if triple.predicate == PATH}
    pathless = {shape.value.rpartition("#")[2] for shape in shapes - whole}
    assert pathless <= set(LOCK["dcat-ap"]["left_out"])
    kept = [triple for triple in triples if triple.object not in shapes - whole and triple.subject not in shapes - whole]
    target = folder / "shapes.nt"
    target.write_bytes(ox.serialize(kept, format=ox.RdfFormat.N_TRIPLES))
    return target, len(shapes & whole)


@pytest.fixture(scope="module")
def catalogue(loaded: Territory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the catalogue as it is served."""
    target = tmp_path_factory.mktemp("catalogue") / "catalogue.nt"
    with TestClient(create_app(loaded)) as client:
        target.write_bytes(client.get("/catalog.nt").content)
    return target


def judged(catalogue: Path, file: str, folder: Path) -> tuple[ValidationReport, int]:
    shapes, number = runnable(file, folder)
    vocabulary = folder / "dcat.nt"  # what imports.ttl of the release asks for: subclasses of dcat:Resource
    triples = read_turtle(SUITE.parents[1] / "vocab" / "dcat3.ttl", "https://suite.example/")
    kept = (triple for triple in triples if triple.predicate == SUBCLASS and isinstance(triple.object, ox.NamedNode))
    vocabulary.write_bytes(ox.serialize(kept, format=ox.RdfFormat.N_TRIPLES))
    rules = load_shapes([shapes], base_iri="https://suite.example/", strict=False)
    return validate(catalogue, rules, context=[vocabulary] if "ranges.ttl" in file else []), number


@no_suite
@pytest.mark.parametrize("file", FILES)
def test_the_catalogue_breaks_no_rule(catalogue: Path, file: str, tmp_path: Path) -> None:
    report, number = judged(catalogue, file, tmp_path)
    assert number == FILES[file]
    assert [f"{r.focus} {r.path} {r.message.en}" for r in report.results if r.severity is Severity.VIOLATION] == []
    assert report.focus_nodes > 100 or file.endswith("deprecateduris.ttl")
    RUN[file] = number


@no_suite
def test_what_is_only_recommended_is_there_or_explained(catalogue: Path, tmp_path: Path) -> None:
    report, _ = judged(catalogue, "html/shacl/shapes_recommended.ttl", tmp_path)
    found = {(result.path or "").strip("<>") for result in report.results if result.severity is Severity.WARNING}
    assert found == set(LOCK["warnings"])


@no_suite
def test_the_shapes_are_not_asleep(catalogue: Path, tmp_path: Path) -> None:
    title = b"<http://purl.org/dc/terms/title>"
    spoilt = tmp_path / "spoilt.nt"
    spoilt.write_bytes(b"".join(line for line in catalogue.read_bytes().splitlines(keepends=True) if title not in line))
    report, _ = judged(spoilt, "shacl/dcat-ap-SHACL.ttl shacl/ranges.ttl", tmp_path)
    assert report.counts[Severity.VIOLATION] > 50


@no_suite
def test_counts_are_recorded() -> None:
    if set(RUN) == set(FILES):
        spec = importlib.util.spec_from_file_location("conformance_reporting", Path(__file__).with_name("reporting.py"))
        reporting = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(reporting)
        total = sum(RUN.values())
        known = LOCK["dcat-ap"]["left_out"] | {f"warning: {path}": why for path, why in LOCK["warnings"].items()}
        reporting.record("dcat-ap", total + len(LOCK["dcat-ap"]["left_out"]), total, known)
