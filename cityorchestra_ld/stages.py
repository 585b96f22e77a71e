"""What single commands do: one stage alone, or one question to what is published."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import pyoxigraph as ox

from cityorchestra_ld import draft, pipeline
from cityorchestra_ld.check import Finding
from cityorchestra_ld.check.dataset import check_dataset
from cityorchestra_ld.draft.outline import Outline
from cityorchestra_ld.errors import MappingError, Place, RefusedError, StoreError, Text, UsageError
from cityorchestra_ld.formats import DOCUMENT_FORMATS, GRAPH_FORMATS, RESULT_FORMATS, Format, named
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.judgement import require_focus
from cityorchestra_ld.mapping import EXECUTORS, Executor, MapReport, Plan, read_mapping
from cityorchestra_ld.mapping.preview import Previewed, preview
from cityorchestra_ld.mapping.targets import refuse_targets, write_targets
from cityorchestra_ld.model import Generation, Limits, SourceSpec, Table, ValidationReport
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.prepare import check_sources
from cityorchestra_ld.queries import bind, term
from cityorchestra_ld.runs import Failure, Run, RunFolder
from cityorchestra_ld.sources import Checks, open_loose, stage
from cityorchestra_ld.store import Reader, inspect, query_once, store_of
from cityorchestra_ld.territory import Territory, load_territory
from cityorchestra_ld.validation import ShapesGraph, from_json, load_shapes, write_report
from cityorchestra_ld.validation import validate as validate_graph


def map_dataset(territory: Territory, key: str, out: Path, executor: Executor = "duckdb") -> MapReport:
    """Read and map one dataset into an N-Quads file."""
    dataset = territory.dataset(key)
    plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
    check_sources(plan, dataset)
    with tempfile.TemporaryDirectory() as folder, Checks() as checks:
        tables = {spec.name: stage(spec, Path(folder), territory.limits, checks=checks) for spec in dataset.sources}
        return EXECUTORS[executor](plan, tables, out, default_graph=territory.graph_of(dataset), settle=checks.settle)


def map_file(
    mapping: Path, base_dir: Path, base_iri: str, out: Path, executor: Executor = "duckdb", targets: Path | None = None
) -> MapReport:
    """Map with any RML or YARRRML document; its sources are files under `base_dir`, its targets files under `targets`."""
    plan = read_mapping(mapping, base_iri=base_iri)
    if targets is None:
        refuse_targets(plan)
    with tempfile.TemporaryDirectory() as folder:
        if targets is not None:
            return write_targets(plan, _loose(plan, mapping, base_dir, Path(folder)), out, targets)
        with Checks() as checks:
            tables = _loose(plan, mapping, base_dir, Path(folder), checks)
            return EXECUTORS[executor](plan, tables, out, settle=checks.settle)


def preview_dataset(territory: Territory, key: str, count: int) -> tuple[Previewed, ...]:
    """Show the first records of each source of a dataset beside their triples."""
    dataset = territory.dataset(key)
    plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
    check_sources(plan, dataset)
    with tempfile.TemporaryDirectory() as folder:
        tables = {spec.name: stage(spec, Path(folder), territory.limits) for spec in dataset.sources}
        return preview(plan, tables, count)


def preview_file(mapping: Path, base_dir: Path, base_iri: str, count: int) -> tuple[Previewed, ...]:
    """Show the first records that any RML or YARRRML document reads, beside their triples."""
    plan = read_mapping(mapping, base_iri=base_iri)
    with tempfile.TemporaryDirectory() as folder:
        return preview(plan, _loose(plan, mapping, base_dir, Path(folder)), count)


def _loose(plan: Plan, mapping: Path, base_dir: Path, folder: Path, checks: Checks | None = None) -> dict[str, Table]:
    """Bring home the files that a mapping reads under one folder, without a contract."""
    specs = {source.spec.name: _inside(source.spec, base_dir.resolve(), mapping) for source in plan.sources}
    return {name: open_loose(spec, folder, Limits(), checks=checks) for name, spec in specs.items()}


def _inside(spec: SourceSpec, root: Path, mapping: Path) -> SourceSpec:
    path = (root / (spec.path or spec.name)).resolve()
    if not path.is_relative_to(root):
        raise MappingError(
            Text("La correspondance lit un fichier hors de son dossier.", "The mapping reads a file outside its folder."),
            place=Place(file=str(mapping), value=spec.name),
            hint=Text("Donnez le bon dossier avec --base-dir.", "Give the right folder with --base-dir."),
        )
    return replace(spec, path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftOutcome:
    """A draft that was written, and how it fared when it was tried."""

    outline: Outline
    written: tuple[Path, ...]
    findings: tuple[Finding, ...]
    triples: int
    violations: int
    warnings: int
    failure: Failure | None

    @property
    def exit_code(self) -> int:
        """Return the exit code of the trial."""
        return self.failure.exit_code if self.failure else 0


def try_draft(territory: Territory, key: str, file: Path, *, title: str | None, replace: bool) -> DraftOutcome:
    """Write the draft of a dataset, check and run it without publishing; claim less about the records when shapes object."""
    outcome: DraftOutcome | None = None
    for cautious in (False, True):
        made = draft.draft(territory, key, file, title=title, cautious=cautious)
        written = draft.write(territory, made, replace=replace or outcome is not None)
        fresh = load_territory(territory.root, state=territory.state)
        run = pipeline.run(fresh, [key], publish=False, force=True).runs[0]
        outcome = DraftOutcome(
            outline=made.outline,
            written=tuple(path.relative_to(territory.root) for path in written),
            findings=check_dataset(fresh, key),
            triples=run.triples,
            violations=run.violations,
            warnings=run.warnings,
            failure=run.failure,
        )
        if run.failure is None:
            break
    return outcome  # type: ignore[return-value]


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


def write_kept(territory: Territory, key: str, folder: Path, path: Path) -> None:
    """Write the report of a run in the form of a suffix; a run that ended before validation has none."""
    kept = folder / "report.json"
    if not kept.exists():
        return
    dataset = territory.dataset(key)
    shapes = load_shapes(territory.shapes_of(dataset), base_iri=territory.base_iri)
    write_report(from_json(kept.read_bytes()), shapes, path, title=dataset.title)


def validate_file(
    data: Path,
    shapes: Sequence[Path],
    base_iri: str,
    engine: Literal["auto", "fast", "pyshacl"] = "auto",
    *,
    allow_empty: bool = False,
) -> tuple[ValidationReport, ShapesGraph]:
    """Validate any RDF file with any shapes; raise ShapesError when nothing is checked, unless that is allowed."""
    if not shapes:
        raise UsageError(Text("Donnez des règles avec --shapes.", "Give shapes with --shapes."))
    loaded = load_shapes(shapes, base_iri=base_iri)
    report = validate_graph(data, loaded, engine=engine, allow_empty=allow_empty)
    if not allow_empty:
        require_focus(report, loaded.targeted, str(data))
    return report, loaded


def read_text(path: Path) -> str:
    """Read a query file; raise UsageError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            Text(f"Fichier illisible : {error}", f"The file cannot be read: {error}"), place=Place(file=str(path))
        ) from None


def published(territory: Territory) -> Generation:
    """Return the generation that is published; raise StoreError when there is none."""
    with store_of(territory) as store:
        generation = store.current()
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


def query(territory: Territory, text: str, bindings: Sequence[str], format_: str, out: BinaryIO) -> int:
    """Answer one query on the published generation, as the public sees it, and write the answer to `out`."""
    terms = {}
    for given in bindings:
        name, equals, value = given.partition("=")
        if not equals:
            raise UsageError(Text(f"Écrivez nom=terme au lieu de « {given} ».", f"Write name=term instead of '{given}'."))
        terms[name] = term(value)
    inspected = inspect(bind(text, **terms), territory.limits)
    offered = GRAPH_FORMATS if inspected.kind == "graph" else RESULT_FORMATS
    generation = published(territory)
    query_once(
        generation,
        inspected,
        view(generation.graphs, asked_default=inspected.from_default, asked_named=inspected.from_named),
        _format(format_, offered).media_type,
        territory.limits,
        out,
        prefixes=prefixes(territory.base_iri),
    )
    out.flush()
    return 0


def _format(name: str, offered: Sequence[Format]) -> Format:
    found = named(name, offered)
    if found is None:
        names = ", ".join(sorted(format_.suffix for format_ in offered))
        raise UsageError(
            Text(f"« {name} » ne convient pas ici.", f"'{name}' does not fit here."),
            hint=Text(f"Formats possibles : {names}.", f"Formats that fit: {names}."),
        )
    return found.format


def describe(territory: Territory, iri: str, format_: str, out: BinaryIO) -> int:
    """Write what the public may see about one resource; raise RefusedError when nothing is known of it."""
    from cityorchestra_ld.web.snapshot import Snapshot
    from cityorchestra_ld.web.writing import write_graph

    generation = published(territory)
    try:
        node = ox.NamedNode(iri)
    except ValueError as error:
        raise UsageError(Text(f"Adresse illisible : {error}", f"Not an IRI: {error}"), place=Place(value=iri)) from None
    chosen = _format(format_, [f for f in DOCUMENT_FORMATS if f in GRAPH_FORMATS])
    with Reader(generation) as reader:
        snapshot = Snapshot(generation, reader, view(generation.graphs), territory.base_iri)
        if not snapshot.exists(node.value):
            raise RefusedError(
                Text(f"Rien n'est publié sur {iri}.", f"Nothing is published about {iri}."),
                hint=Text("Vérifiez l'adresse.", "Check the IRI."),
            )
        out.write(write_graph(snapshot.describe(node.value).triples, chosen, prefixes(territory.base_iri), node.value))
    out.flush()
    return 0
