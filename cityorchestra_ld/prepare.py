"""Take one dataset from partner bytes to triples that conform, inside its run folder; nothing is published here."""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld import __version__, quarantine
from cityorchestra_ld.catalog.snapshots import keep_source
from cityorchestra_ld.catalog.system import Labels
from cityorchestra_ld.errors import CityOrchestraError, MappingError, Place, RefusedError, ShapesError, StoreError
from cityorchestra_ld.judgement import Case, Content, Judge
from cityorchestra_ld.mapping import MapReport, Plan, read_mapping
from cityorchestra_ld.mapping.targets import refuse_targets
from cityorchestra_ld.model import GraphInfo, Severity, SourceSpec, Table, Text, ValidationReport
from cityorchestra_ld.origins import find_origins
from cityorchestra_ld.runs import Failure, Run, RunFolder, SourceRecord, Status
from cityorchestra_ld.sources import stage
from cityorchestra_ld.store import EmbeddedStore
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.turtle import read_turtle
from cityorchestra_ld.validation import ShapesGraph, load_shapes, with_origins, with_strictness, write_reports

Say = Callable[[str, str], None]
_SHOWN_ASIDE = 1000  # rows named in run.json


class DoesNotConformError(RefusedError):
    """The data break at least one rule that blocks publication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One dataset, ready to be published or not."""

    run: Run
    info: GraphInfo
    content: Path | None  # N-Quads, or nothing when the run failed or nothing changed
    report: ValidationReport | None = None


@dataclass(slots=True)
class _Work:
    """A run being made."""

    id: str
    dataset: Dataset
    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    mapped: MapReport | None = None
    report: ValidationReport | None = None
    fingerprint: str = ""
    rules: str = ""

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)


class Preparer:
    """The stages before publication, with what they share: territory, store and the graphs every shape may look at."""

    def __init__(self, territory: Territory, store: EmbeddedStore, system: Sequence[tuple[GraphInfo, Path]]) -> None:
        self.territory = territory
        self.store = store
        self.common = tuple(Content(info=info, path=path) for info, path in system if info.role in ("ontology", "codelist"))
        self.judge = Judge(territory, store)

    def prepare(
        self,
        key: str,
        folder: RunFolder,
        say: Say,
        ready: Mapping[str, Prepared],
        *,
        force: bool,
        files: Mapping[str, Path],
    ) -> Prepared:
        """Take one dataset through reading, mapping and validation; what fails is told in the run, not raised."""
        dataset, started = self.territory.dataset(key), datetime.now(UTC)
        identity, path = folder.start(key, started)
        work = _Work(id=identity, dataset=dataset, folder=path)
        info = GraphInfo(graph=self.territory.graph_of(dataset), role=dataset.graph, access=dataset.access, dataset=key)
        failure: CityOrchestraError | None = None
        content: Path | None = None
        try:
            content = self._stages(work, say, ready, force=force, files=files)
        except CityOrchestraError as error:
            failure = error
        except OSError as error:
            failure = _system_error(error, path)
        run = self._record(identity, work, started, failure, changed=content is not None)
        if failure is not None:
            (path / "failure.txt").write_text(failure.render("fr") + "\n\n" + failure.render("en") + "\n", encoding="utf-8")
        quarantine.write([row for table in work.tables.values() for row in table.set_aside], path)
        folder.save(run)
        return Prepared(run=run, info=info, content=content, report=work.report)

    def _stages(
        self, work: _Work, say: Say, ready: Mapping[str, Prepared], *, force: bool, files: Mapping[str, Path]
    ) -> Path | None:
        dataset = work.dataset
        with work.timed("read"):
            say(dataset.key, "read")
            self._read(work, files)
            shapes = self._shapes(dataset)
            work.rules = self._rules(dataset, ready)
            work.fingerprint = self._fingerprint(work)
        if not force and not files and self._published(dataset) == work.fingerprint:
            return None
        with work.timed("map"):
            say(dataset.key, "map")
            plan = read_mapping(dataset.mapping, base_iri=self.territory.base_iri)
            content = self._map(work, plan)
        with work.timed("validate"):
            say(dataset.key, "validate")
            report = self.judge.judge(self._case(work, content, shapes, ready))
        with work.timed("explain"):
            work.report = with_origins(report, lambda results: find_origins(plan, work.tables, results))
            write_reports(work.report, shapes, work.folder, title=dataset.title)
        if not work.report.conforms:
            raise _does_not_conform(work.report, work.folder)
        for table in work.tables.values():
            keep_source(self.territory.state, table.sha256, table.original)
        work.files = self._keep_rules(dataset)
        return content

    def _keep_rules(self, dataset: Dataset) -> dict[str, str]:
        """Keep the files that say how the sources were read, for lineage when they have changed since."""
        kept: dict[str, str] = {}
        for path in (dataset.mapping, dataset.folder / "dataset.toml"):
            kept[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            keep_source(self.territory.state, kept[path.name], path)
        return kept

    def _shapes(self, dataset: Dataset) -> ShapesGraph:
        own = self.territory.root / "shapes" / f"{dataset.key}.ttl"
        if not own.exists():
            raise ShapesError(
                Text("Ce jeu de données n'a pas de règles de validation.", "This dataset has no shapes."),
                place=Place(file=str(own)),
                hint=Text(
                    "Écrivez ce fichier : un jeu sans règles n'est pas publié.",
                    "Write that file: a dataset without shapes is not published.",
                ),
            )
        shapes = load_shapes(self.territory.shapes_of(dataset), base_iri=self.territory.base_iri)
        return with_strictness(shapes, dataset.validation)

    def _read(self, work: _Work, files: Mapping[str, Path]) -> None:
        target = work.folder / "sources"
        target.mkdir()
        for spec in work.dataset.sources:
            actual = _instead(spec, files.get(spec.name))
            table = stage(actual, target, self.territory.limits, cache=self.territory.state / "cache")
            work.tables[spec.name] = table
            quarantine.check_share(table, work.dataset.quarantine_max)

    def _published(self, dataset: Dataset) -> str | None:
        current = self.store.current()
        return current.meta.get(f"fingerprint:{dataset.key}") if current else None

    def _rules(self, dataset: Dataset, ready: Mapping[str, Prepared]) -> str:
        """Hash what decides the validation, the data apart: shapes and their strictness, context, software."""
        digest = hashlib.sha256(f"{__version__} {dataset.validation}".encode())
        common = [content.path for content in self.common if content.path is not None]
        for path in (*self.territory.shapes_of(dataset), *common):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        current = self.store.current()
        for key in dataset.context:
            if key in ready:
                digest.update(ready[key].run.fingerprint.encode())
            elif current:
                digest.update(current.meta.get(f"fingerprint:{key}", "").encode())
        return digest.hexdigest()

    def _fingerprint(self, work: _Work) -> str:
        """Hash everything that decides the result: bytes, mapping, settings, and the rules of the validation."""
        digest = hashlib.sha256(work.rules.encode())
        for table in sorted(work.tables.values(), key=lambda t: t.name):
            digest.update(f"{table.name} {table.sha256}\n".encode())
        dataset = work.dataset
        for path in (dataset.folder / "dataset.toml", dataset.mapping, dataset.folder / "static.ttl"):
            if path.exists():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _map(self, work: _Work, plan: Plan) -> Path:
        dataset = work.dataset
        check_sources(plan, dataset)
        content = work.folder / "quads.nq"
        graph = self.territory.graph_of(dataset)
        share = dataset.quarantine_max if dataset.on_error == "quarantine" else None
        executor = self.territory.executor
        work.mapped = quarantine.map_or_set_aside(
            plan, work.tables, content, default_graph=graph, share=share, executor=executor
        )
        talking = {m.name for m in plan.maps if m.classes or m.predicate_objects}  # others only lend their subjects to joins
        empty = [
            name
            for name, count in work.mapped.per_map.items()
            if not count and name in talking and name.rpartition("#")[2] not in dataset.allow_empty
        ]
        if empty:
            raise MappingError(
                Text(f"Aucun triplet ne sort de : {', '.join(empty)}.", f"No triple comes out of: {', '.join(empty)}."),
                place=Place(file=str(dataset.mapping), rule=empty[0]),
                hint=Text(
                    "Vérifiez l'itérateur et les noms de colonnes, ou déclarez allow_empty dans dataset.toml.",
                    "Check the iterator and the column names, or declare allow_empty in dataset.toml.",
                ),
            )
        static = dataset.folder / "static.ttl"
        if static.exists():
            name = ox.NamedNode(graph)
            label = Labels("static")
            triples = (label.apart(triple) for triple in read_turtle(static, self.territory.base_iri))
            with content.open("ab") as out:
                quads = (ox.Quad(t.subject, t.predicate, t.object, name) for t in triples)
                ox.serialize(quads, out, format=ox.RdfFormat.N_QUADS)
        return content

    def _case(self, work: _Work, content: Path, shapes: ShapesGraph, ready: Mapping[str, Prepared]) -> Case:
        dataset = work.dataset
        return Case(
            dataset=dataset,
            run=work.id,
            content=content,
            shapes=shapes,
            rules=work.rules,
            context=(*self.common, *self._contents(dataset.context, ready)),
            folder=work.folder,
        )

    def _contents(self, keys: Iterable[str], ready: Mapping[str, Prepared]) -> Iterator[Content]:
        """Name the triples of other datasets as they stand in this call."""
        for key in keys:
            if key in ready:
                yield Content(info=ready[key].info, path=ready[key].content)
                continue
            other = self.territory.dataset(key)
            graph = self.territory.graph_of(other)
            yield Content(info=GraphInfo(graph=graph, role=other.graph, access=other.access, dataset=key), path=None)

    def _record(
        self, identity: str, work: _Work, started: datetime, failure: CityOrchestraError | None, *, changed: bool
    ) -> Run:
        counts = work.report.counts if work.report else {}
        comparison = work.report.comparison if work.report else None
        status = Status.FAILED if failure else Status.CHECKED if changed else Status.UNCHANGED
        return Run(
            id=identity,
            dataset=work.dataset.key,
            status=status,
            started=started,
            finished=datetime.now(UTC),
            fingerprint=work.fingerprint,
            rules=work.rules,
            records=dict(work.mapped.records) if work.mapped else {},
            per_map=dict(work.mapped.per_map) if work.mapped else {},
            triples=work.mapped.quads if work.mapped else 0,
            violations=counts.get(Severity.VIOLATION, 0),
            warnings=counts.get(Severity.WARNING, 0),
            infos=counts.get(Severity.INFO, 0),
            judged=work.report.judged if work.report else None,
            new=comparison.new if comparison else 0,
            fixed=comparison.fixed if comparison else 0,
            engine=work.report.engine if work.report else "",
            seconds=dict(work.seconds),
            sources=tuple(
                SourceRecord(name=t.name, label=t.label, sha256=t.sha256, size=t.size, records=t.records, notes=t.notes)
                for t in work.tables.values()
            ),
            files=dict(work.files),
            set_aside=sum(len(table.set_aside) for table in work.tables.values()),
            quarantine=tuple(row for table in work.tables.values() for row in table.set_aside)[:_SHOWN_ASIDE],
            failure=Failure.of(failure) if failure else None,
        )


def _system_error(error: OSError, folder: Path) -> StoreError:
    reason = error.strerror or str(error)
    return StoreError(
        Text(f"Le système refuse une lecture ou une écriture : {reason}.", f"The system refuses a read or a write: {reason}."),
        place=Place(file=str(error.filename or folder)),
        hint=Text("Vérifiez la place libre et les droits du dossier.", "Check free space and the permissions of the folder."),
    )


def _instead(spec: SourceSpec, file: Path | None) -> SourceSpec:
    """Read another file with the same contract; an archive is recognised, a plain file is taken as it is."""
    return spec if file is None else replace(spec, path=file, url=None, member=None, compression=None)


def check_sources(plan: Plan, dataset: Dataset) -> None:
    """Refuse a mapping that reads an undeclared file or a forbidden column, before any row is read."""
    refuse_targets(plan)
    declared = {spec.name: spec for spec in dataset.sources}
    for source in plan.sources:
        spec = declared.get(source.spec.name)
        if spec is None:
            near = difflib.get_close_matches(source.spec.name, declared, n=1, cutoff=0.3)
            raise MappingError(
                Text(
                    f"Le fichier « {source.spec.name} » n'est pas déclaré dans dataset.toml.",
                    f"The file '{source.spec.name}' is not declared in dataset.toml.",
                ),
                place=Place(file=str(dataset.mapping)),
                hint=Text(f"Le plus proche est « {near[0]} ».", f"The nearest is '{near[0]}'.") if near else None,
            )
        for reference in sorted(name.removeprefix("$.") for name in source.references):
            if any(fnmatch.fnmatchcase(reference, pattern) for pattern in spec.forbidden):
                raise MappingError(
                    Text(
                        f"La colonne « {reference} » est interdite : elle ne doit jamais sortir du fichier.",
                        f"The column '{reference}' is forbidden: it must never leave the file.",
                    ),
                    place=Place(file=str(dataset.mapping), column=reference),
                    hint=Text("Retirez-la de la correspondance.", "Remove it from the mapping."),
                )


def _does_not_conform(report: ValidationReport, folder: Path) -> DoesNotConformError:
    count = report.counts.get(Severity.VIOLATION, 0) or report.counts.get(Severity.WARNING, 0)
    first = next((r for r in report.results if r.severity is Severity.VIOLATION), report.results[0])
    origin = first.origins[0] if first.origins else None
    place = (
        Place(
            file=origin.file,
            row=origin.row,
            column=origin.column,
            value=origin.cell,
            rule=origin.triples_map,
            pointer=origin.pointer,
        )
        if origin
        else Place(value=first.focus)
    )
    return DoesNotConformError(
        Text(
            f"Les données ne respectent pas les règles : {count} violation(s). La première : {first.message.fr}",
            f"The data do not conform: {count} violation(s). The first: {first.message.en}",
        ),
        place=place,
        hint=Text(
            f"Le rapport complet est dans {folder.name}/report.html.", f"The full report is in {folder.name}/report.html."
        ),
    )


def discard(folder: Path) -> None:
    """Remove the working files of a run; what was found stays."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.stem not in ("run", "report", "failure", "quarantine"):
            path.unlink(missing_ok=True)
