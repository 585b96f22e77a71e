"""Gather what the static check looks at: from a territory, or from files that are named one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cityorchestra_ld.check import check
from cityorchestra_ld.check.findings import Finding, finding, in_order
from cityorchestra_ld.check.symbols import Node, derive
from cityorchestra_ld.check.vocabulary import Vocabulary, load_vocabulary
from cityorchestra_ld.check.world import resources
from cityorchestra_ld.errors import CityOrchestraError, MappingError, Place, ShapesError, SourceError, Text
from cityorchestra_ld.mapping import Plan, read_mapping
from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.sources.fetch import kept_at
from cityorchestra_ld.sources.peek import Peek, peek
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.validation import ShapesGraph, load_shapes
from cityorchestra_ld.validation.shapes import read_triples

_SPECIFIC: Final = {"The template cannot give a valid IRI": "MAP-402", "The prefix ": "MAP-401"}  # how a sentence begins → code


class _Gathering:
    """What could be read so far, and what is to be said of the rest."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.headers: dict[str, Peek] = {}

    def explain(self, code: str, error: CityOrchestraError, file: Path) -> None:
        """Turn an error into a finding."""
        self.findings.append(finding(code, error.place or Place(file=str(file)), hint=error.hint, message=error.message))

    def plan(self, path: Path, base_iri: str) -> Plan | None:
        """Read a mapping."""
        try:
            return read_mapping(path, base_iri=base_iri)
        except MappingError as error:
            code = next((code for start, code in _SPECIFIC.items() if error.message.en.startswith(start)), "MAP-001")
            self.explain(code, error, path)
            return None

    def shapes(self, files: Sequence[Path], base_iri: str) -> ShapesGraph | None:
        """Read shapes."""
        try:
            return load_shapes(files, base_iri=base_iri)
        except ShapesError as error:
            self.explain("MAP-002", error, files[0])
            return None

    def header(self, spec: SourceSpec, path: Path | None, limits: Limits) -> None:
        """Look at the start of a source."""
        if path is None:
            reason = Text("elle n'a jamais été téléchargée", "it was never fetched")
            self.findings.append(finding("MAP-004", Place(file=spec.url), source=spec.name, reason=reason))
            return
        try:
            self.headers[spec.name] = peek(spec, path, limits)
        except SourceError as error:
            self.explain("MAP-005", error, path)
        except OSError as error:
            self.explain(
                "MAP-005", SourceError(Text(f"Fichier illisible : {error}", f"The file cannot be read: {error}")), path
            )


def check_dataset(
    territory: Territory, key: str, *, files: Mapping[str, Path] | None = None, ontology: Vocabulary | None = None
) -> tuple[Finding, ...]:
    """Check one dataset of a territory; `files` stand in for sources by name; raise UsageError for an unknown key."""
    dataset = territory.dataset(key)
    gathering = _Gathering()
    vocabulary = ontology or load_vocabulary([territory.root / "ontology"], territory.base_iri)
    for spec in dataset.sources:
        gathering.header(spec, (files or {}).get(spec.name) or _kept(spec, territory), territory.limits)
    shapes = gathering.shapes(territory.shapes_of(dataset), territory.base_iri) if _has_shapes(territory, dataset) else None
    if shapes is None and not any(found.code == "MAP-002" for found in gathering.findings):
        gathering.explain("MAP-002", _no_shapes(), territory.root / "shapes" / f"{key}.ttl")
    plan = gathering.plan(dataset.mapping, territory.base_iri)
    if plan is None:
        return in_order(gathering.findings)
    around, complete = _around(territory, dataset)
    found = check(
        plan, shapes=shapes, ontology=vocabulary, headers=gathering.headers, dataset=dataset, around=around, complete=complete
    )  # fmt: skip
    return in_order([*gathering.findings, *found])


def _has_shapes(territory: Territory, dataset: Dataset) -> bool:
    return (territory.root / "shapes" / f"{dataset.key}.ttl").exists()


def _no_shapes() -> ShapesError:
    return ShapesError(Text("Ce jeu de données n'a pas de règles de validation.", "This dataset has no shapes."))


def _kept(spec: SourceSpec, territory: Territory) -> Path | None:
    """Return the file of a source: its path, or the last copy of what its url leads to."""
    if spec.url is None:
        return spec.path
    kept = kept_at(territory.state / "cache", spec.url)
    return kept if kept.is_file() else None


def _around(territory: Territory, dataset: Dataset) -> tuple[list[Node], bool]:
    """Return the nodes that validation will see beside the mapping's own, and whether all could be read."""
    nodes = [node for path in sorted(territory.root.glob("ontology/codelists/*.ttl")) for node in _turtle(path, territory)]
    nodes += _turtle(dataset.folder / "static.ttl", territory)
    complete = True
    for key in dataset.context:
        other = territory.datasets.get(key)
        if other is None:
            complete = False
            continue
        try:
            nodes += derive(read_mapping(other.mapping, base_iri=territory.base_iri), other.sources, own=False)
            nodes += _turtle(other.folder / "static.ttl", territory)
        except CityOrchestraError:
            complete = False  # its own check says why
    return nodes, complete


def _turtle(path: Path, territory: Territory) -> list[Node]:
    if not path.exists():
        return []
    try:
        return resources(read_triples(path, territory.base_iri), name=path.name)
    except ShapesError:
        return []  # loading the territory says where it is malformed


# --- without a territory ------------------------------------------------------------------------------------------------------


def check_files(
    mapping: Path,
    *,
    shapes: Sequence[Path] = (),
    ontology: Sequence[Path] = (),
    sources: Mapping[str, Path] | None = None,
    base_iri: str = "http://example.com/",
) -> tuple[Finding, ...]:
    """Check any RML or YARRRML file against any shapes and ontology; raise UsageError when the ontology cannot be read."""
    gathering = _Gathering()
    vocabulary = load_vocabulary(ontology, base_iri)
    loaded = gathering.shapes(list(shapes), base_iri) if shapes else None
    plan = gathering.plan(mapping, base_iri)
    if plan is None:
        return in_order(gathering.findings)
    for spec, path in _given(plan, sources or {}, mapping.parent):
        gathering.header(spec, path, Limits())
    around = [node for path in _files(ontology) for node in _quiet(path, base_iri)]
    found = check(plan, shapes=loaded, ontology=vocabulary, headers=gathering.headers, around=around)
    return in_order([*gathering.findings, *found])


def _given(plan: Plan, sources: Mapping[str, Path], folder: Path) -> Iterator[tuple[SourceSpec, Path]]:
    """Yield the sources whose file is known: named by the caller, or lying beside the mapping."""
    for name in plan.names:
        spec = next(source.spec for source in plan.sources if source.spec.name == name)
        path = sources.get(name) or (sources.get("") if len(plan.names) == 1 else None)
        beside = folder / name
        if path is not None:
            yield spec, path
        elif spec.url is None and beside.is_file() and beside.resolve().is_relative_to(folder.resolve()):
            yield spec, beside


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.ttl")) if path.is_dir() else [path]


def _quiet(path: Path, base_iri: str) -> list[Node]:
    return [replace(node, own=False) for node in resources(read_triples(path, base_iri), name=path.name)]
