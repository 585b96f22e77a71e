"""What single commands do: one stage alone, or one question to what is published."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from cityorchestra_ld import pipeline
from cityorchestra_ld.errors import CityOrchestraError, MappingError, Place, StoreError, Text, UsageError
from cityorchestra_ld.formats import by_suffix
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.mapping import MapReport, materialize, read_mapping
from cityorchestra_ld.model import Generation, Limits, SourceSpec, Table
from cityorchestra_ld.prepare import check_sources
from cityorchestra_ld.queries import bind, term
from cityorchestra_ld.runs import Run, RunFolder
from cityorchestra_ld.sources import open_loose, stage
from cityorchestra_ld.store import Reader, current_generation, query_once
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.validation import load_shapes
from cityorchestra_ld.validation import validate as validate_graph


def map_dataset(territory: Territory, key: str, out: Path) -> MapReport:
    """Read and map one dataset into an N-Quads file."""
    dataset = territory.dataset(key)
    plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
    check_sources(plan, dataset)
    with tempfile.TemporaryDirectory() as folder:
        tables = {spec.name: stage(spec, Path(folder), territory.limits) for spec in dataset.sources}
        return materialize(plan, tables, out, default_graph=territory.graph_of(dataset))


def map_file(mapping: Path, base_dir: Path, base_iri: str, out: Path) -> MapReport:
    """Map with any RML or YARRRML document; its sources are files under `base_dir`."""
    plan = read_mapping(mapping, base_iri=base_iri)
    root = base_dir.resolve()
    with tempfile.TemporaryDirectory() as folder:
        tables = {}
        for source in plan.sources:
            tables[source.spec.name] = open_loose(_inside(source.spec, root, mapping), Path(folder), Limits())
        return materialize(plan, tables, out)


def _inside(spec: SourceSpec, root: Path, mapping: Path) -> SourceSpec:
    path = (root / (spec.path or spec.name)).resolve()
    if not path.is_relative_to(root):
        raise MappingError(
            Text("La correspondance lit un fichier hors de son dossier.", "The mapping reads a file outside its folder."),
            place=Place(file=str(mapping), value=spec.name),
            hint=Text("Donnez le bon dossier avec --base-dir.", "Give the right folder with --base-dir."),
        )
    return replace(spec, path=path)


def check(territory: Territory, key: str) -> list[CityOrchestraError]:
    """Look at the mapping, its sources and its shapes before any row is mapped."""
    dataset = territory.dataset(key)
    findings: list[CityOrchestraError] = []
    try:
        plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
        check_sources(plan, dataset)
        with tempfile.TemporaryDirectory() as folder:
            tables = {spec.name: stage(spec, Path(folder), territory.limits) for spec in dataset.sources}
            for source in plan.sources:
                findings += unknown_columns(tables[source.spec.name], source.references, dataset.mapping)
    except CityOrchestraError as error:
        findings.append(error)
    try:
        load_shapes(territory.shapes_of(dataset), base_iri=territory.base_iri)
    except CityOrchestraError as error:
        findings.append(error)
    return findings


def try_files(territory: Territory, key: str, files: Sequence[str]) -> tuple[Run, Path]:
    """Take one dataset up to validation, with other files in place of its sources; return the run and its folder."""
    dataset = territory.dataset(key)
    replacements: dict[str, Path] = {}
    for given in files:
        name, _, path = given.rpartition("=")
        names = [spec.name for spec in dataset.sources]
        if not name and len(names) == 1:
            name = names[0]
        if name not in names:
            raise UsageError(
                Text(
                    f"Dites quelle source remplacer : --file SOURCE={path} ; les sources sont {', '.join(names)}.",
                    f"Say which source to replace: --file SOURCE={path}; sources are {', '.join(names)}.",
                )
            )
        replacements[name] = Path(path).resolve()
    outcome = pipeline.run(territory, [key], publish=False, force=True, files=replacements)
    return outcome.runs[0], RunFolder(territory.state).root / outcome.runs[0].id


def validate_file(data: Path, shapes: Sequence[Path], base_iri: str, engine: Literal["auto", "fast", "pyshacl"]) -> ValidationReport:
    """Validate any RDF file with any shapes."""
    loaded = load_shapes(shapes, base_iri=base_iri)
    return validate_graph(data, loaded, engine=engine)


def read_text(path: Path) -> str:
    """Read a query file; raise UsageError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(Text(f"Fichier illisible : {error}", f"The file cannot be read: {error}"), place=Place(file=str(path))) from None


def published(territory: Territory) -> Generation:
    """Return the generation that is published; raise StoreError when there is none."""
    generation = current_generation(territory.state / "store")
    if generation is None:
        raise StoreError(
            Text("Rien n'est encore publié.", "Nothing is published yet."),
            place=Place(file=str(territory.state / "store")),
            hint=Text("Lancez `cityorchestra run --all`.", "Run `cityorchestra run --all`."),
        )
    return generation


def published_runs(territory: Territory) -> tuple[Run, ...]:
    """Return the run behind the current version of each dataset."""
    folder, meta = RunFolder(territory.state), published(territory).meta
    return tuple(folder.load(value) for name, value in sorted(meta.items()) if name.startswith("run:"))
