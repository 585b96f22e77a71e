"""The order of the stages: read, map, validate, publish; one run folder for each dataset, one generation for all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cityorchestra_ld.catalog import bounds, dcat, prov, publications, quality, system, void, within
from cityorchestra_ld.catalog.triples import Graph
from cityorchestra_ld.errors import RefusedError, StoreError, Text
from cityorchestra_ld.expectations import gate
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Role
from cityorchestra_ld.prepare import Prepared, Preparer, discard
from cityorchestra_ld.runs import Failure, Run, RunFolder, Status, exclusive
from cityorchestra_ld.store import EmbeddedStore, store_of
from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.together import watch

_KEPT_RUNS = 500


class Progress(Protocol):
    """Who wants to see a run advance."""

    def stage(self, dataset: str, name: str) -> None:
        """Hear that a dataset enters a stage."""

    def finished(self, run: Run) -> None:
        """Hear that a dataset is done, for better or worse."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, dataset: str, name: str) -> None:
        """Do nothing."""

    def finished(self, run: Run) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call of `run` did."""

    runs: tuple[Run, ...]
    generation: Generation | None
    published: bool

    @property
    def exit_code(self) -> int:
        """Return the exit code of the first run that failed, 0 when all is well."""
        return next((run.exit_code for run in self.runs if run.exit_code), 0)


def order(territory: Territory, keys: Sequence[str]) -> list[str]:
    """Sort datasets so that each comes after those whose triples its shapes look at."""
    wanted, done, result = set(keys), set[str](), list[str]()

    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in done or key in path:
            return
        for other in territory.dataset(key).context:
            visit(other, (*path, key))
        done.add(key)
        if key in wanted:
            result.append(key)

    for key in sorted(keys):
        visit(key, ())
    return result


def run(
    territory: Territory,
    keys: Sequence[str],
    *,
    progress: Progress | None = None,
    force: bool = False,
    publish: bool = True,
    all_or_nothing: bool = False,
    files: Mapping[str, Path] | None = None,
) -> Outcome:
    """
    Take datasets through all stages; those that conform are published together, as one generation.

    A dataset that fails keeps its published version. `files` replaces sources by name (a file that a partner wants to try).
    Raises BusyError when another run is under way, UsageError for an unknown key; failures of a dataset are in its run.
    """
    for key in keys:
        territory.dataset(key)
    work = territory.state / "work"
    with exclusive(territory.state), store_of(territory) as store:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        RunFolder(territory.state).sweep(_KEPT_RUNS)
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            call = _Call(territory, store, progress or Silent(), Path(temporary))
            call.prepare(order(territory, keys), force=force, files=files or {})
            return call.finish(publish=publish, all_or_nothing=all_or_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What stewards change beside the pipeline: versions of datasets, datasets that go, and graphs of nobody's."""

    prepared: Sequence[Prepared] = ()
    removed: frozenset[str] = frozenset()  # keys of datasets
    changes: Sequence[GraphChange] = ()


def publish_edits(territory: Territory, make: Callable[[EmbeddedStore, Sequence[Path], Path], Edits]) -> Outcome:
    """
    Publish what `make` gives as one generation, in the way of `run`.

    `make` gets the store, the ontology and code lists that shapes may look at, and a folder for its files. Raises BusyError
    when another run is under way; what `make` raises leaves everything as it was.
    """
    work = territory.state / "work"
    with exclusive(territory.state), store_of(territory) as store:
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            call = _Call(territory, store, Silent(), Path(temporary))
            call.edits = make(store, call.common, Path(temporary))
            call.ready = {prepared.run.dataset: prepared for prepared in call.edits.prepared}
            call.runs = {key: prepared.run for key, prepared in call.ready.items()}
            return call.finish(publish=True, all_or_nothing=True)


class _Call:
    """One call of `run`: what it prepared, and what it makes of it."""

    def __init__(self, territory: Territory, store: EmbeddedStore, watcher: Progress, work: Path) -> None:
        self.territory, self.store, self.watcher, self.work = territory, store, watcher, work
        self.folder = RunFolder(territory.state)
        self.system_files = list(system.system_graphs(territory, work))
        self.ready: dict[str, Prepared] = {}
        self.refused: dict[str, Failure] = {}  # of those that are ready: what the others do not allow
        self.runs: dict[str, Run] = {}
        self.edits = Edits()

    @property
    def common(self) -> list[Path]:
        return [path for info, path in self.system_files if info.role in ("ontology", "codelist")]

    def prepare(self, keys: Sequence[str], *, force: bool, files: Mapping[str, Path]) -> None:
        preparer = Preparer(self.territory, self.store, self.system_files)
        for key in keys:
            prepared = preparer.prepare(key, self.folder, self.watcher.stage, self.ready, force=force, files=files)
            self.runs[key] = prepared.run
            if prepared.content is not None:
                self.ready[key] = prepared
            else:
                self.watcher.finished(prepared.run)

    def finish(self, *, publish: bool, all_or_nothing: bool) -> Outcome:
        failed = any(run.status is Status.FAILED for run in self.runs.values())
        before = generation = self.store.current()
        wanted = publish and not (failed and (all_or_nothing or not self.ready))
        if wanted:
            self.watcher.stage("", "publish")
            generation = self._publish_most(all_or_nothing=all_or_nothing) or before
        for key, prepared in self.ready.items():
            failure = self.refused.get(key)
            status = Status.FAILED if failure else Status.PUBLISHED if wanted else Status.CHECKED
            number = generation.number if generation and status is Status.PUBLISHED else None
            self.runs[key] = replace(prepared.run, status=status, generation=number, failure=failure)
            self.watcher.finished(self.runs[key])
        for run in self.runs.values():
            self.folder.save(run)
            discard(self.folder.root / run.id)
        published = generation is not None and (before is None or generation.number != before.number)
        return Outcome(runs=tuple(self.runs.values()), generation=generation, published=published)

    def _publish_most(self, *, all_or_nothing: bool) -> Generation | None:
        """Publish what is ready; where a rule across datasets is broken, without the last version that breaks it."""
        while True:
            try:
                return self.publish()
            except RefusedError as error:
                if not self.ready or self.edits != Edits():
                    raise
                accepted = [key for key in self.ready if key not in self.refused]
                out = set() if all_or_nothing else self._culprits(accepted, error)
                # With nobody to leave out, an expectation does not hold, or what is published already is at fault.
                self.refused |= dict.fromkeys(out or accepted, Failure.of(error))
                if len(self.refused) == len(self.ready):
                    return None

    def _culprits(self, accepted: Sequence[str], error: RefusedError) -> set[str]:
        """Name the last of the new versions that break a rule, and those that were judged with it as context."""
        last = next((key for key in reversed(accepted) if key in error.datasets), None)
        out = {last} if last else set[str]()
        for key in accepted:  # each comes after its context
            if out.intersection(self.territory.dataset(key).context):
                out.add(key)
        return out

    def publish(self) -> Generation:
        current = self.store.current()
        graphs = {info.graph: info for info in current.graphs} if current else {}
        meta = dict(current.meta) if current else {}
        changes = [GraphChange(info=info, content=path) for info, path in self.system_files]
        kept = {info.graph for info, _ in self.system_files}
        dropped = [info for info in graphs.values() if info.graph not in kept and self._gone(info)]
        changes += [GraphChange(info=info, content=None) for info in dropped]
        now = datetime.now(UTC)
        new = [key for key in self.ready if key not in self.refused]
        for number, key in enumerate(new):
            info, more = self._dataset(key, number)
            meta |= publications.history(meta, graphs, info, now)
            graphs[info.graph] = info
            meta |= {f"run:{key}": self.ready[key].run.id, f"fingerprint:{key}": self.ready[key].run.fingerprint}
            changes += more
        for change in self.edits.changes:
            changes.append(change)
            graphs.pop(change.info.graph, None)
            if change.content is not None:
                graphs[change.info.graph] = change.info
        for info in dropped:
            del graphs[info.graph]
            meta = {name: value for name, value in meta.items() if name.partition(":")[2] != info.dataset}
        changes += self._within(graphs)
        known = publications.publications(self.territory, tuple(graphs.values()), meta)
        for name, make in (("catalog", dcat.catalog), ("void", void.void)):
            about = GraphInfo(graph=self.territory.iris.graph(name), role="catalog")
            records = make(self.territory, tuple(graphs.values()), known)
            changes.append(GraphChange(info=about, content=records.write(self.work / f"{name}.nt")))
        newest = max((self.ready[key].run.id for key in new), default=None)
        published = {info.dataset for info in graphs.values() if info.dataset is not None}
        bounds.require(
            self.territory, self.work, [path for info, path in self.system_files if info.role != "shapes"], published
        )
        generation = self.store.publish(changes, run=newest, meta=meta, gate=self._gate)
        publications.follow(self.territory, generation)
        return generation

    def _within(self, graphs: Mapping[str, GraphInfo]) -> list[GraphChange]:
        """Make the graph that says what lies where, of what is going to be published."""
        info, target = within.info_of(self.territory), self.work / "within.nt"
        known = self.store.current()
        if within.within(self.territory, graphs.values(), self._content, target):
            return [GraphChange(info=info, content=target)]
        there = known is not None and any(other.graph == info.graph for other in known.graphs)
        return [GraphChange(info=info, content=None)] if there else []

    def _content(self, info: GraphInfo) -> Path:
        """Return the content of a graph as the store keeps it."""
        kept = Layout(self.territory.state / "store").snapshot(info.sha256)
        found = kept if kept.exists() else self.store.export(info.graph, self.work)
        if found is None:
            raise StoreError(Text(f"Le contenu de <{info.graph}> est perdu.", f"The content of <{info.graph}> is lost."))
        return found

    def _gate(self, staged: Generation) -> None:
        """Look at a generation before it is published: what people see together, and what queries expect."""
        for look in (watch(self.territory), gate(self.territory)):
            look(staged)

    def _dataset(self, key: str, number: int) -> tuple[GraphInfo, list[GraphChange]]:
        prepared, dataset = self.ready[key], self.territory.dataset(key)
        if prepared.content is None:
            raise ValueError(f"{key} has nothing to publish")
        info = self.store.snapshot(prepared.info, prepared.content, scope=key)
        run = replace(prepared.run, triples=info.triples, version=f"{dataset.version}-{info.sha256[:8]}")
        info = replace(info, version=run.version)
        self.ready[key] = replace(prepared, run=run, info=info)
        changes = [GraphChange(info=info, content=prepared.content)]
        records: tuple[tuple[Role, Graph], ...] = (
            ("prov", prov.provenance(self.territory, dataset, run)),
            ("quality", quality.quality(self.territory, dataset, run, prepared.report)),
        )
        for role, graph in records:
            name = self.territory.iris.graph(role, *key.split("/"))
            about = GraphInfo(graph=name, role=role, access=dataset.access, dataset=key, version=run.version)
            changes.append(GraphChange(info=about, content=graph.write(self.work / f"{role}-{number}.nt")))
        return info, changes

    def _gone(self, info: GraphInfo) -> bool:
        """Tell whether the territory folder no longer holds what a graph was made from."""
        if info.dataset is not None:
            return info.dataset not in self.territory.datasets or info.dataset in self.edits.removed
        return info.role in ("ontology", "shapes", "codelist", "policy")


def rollback(territory: Territory, to: int | None = None) -> Generation:
    """Point the store at an earlier generation; raise StoreError when there is none."""
    with exclusive(territory.state), store_of(territory) as store:
        generation = store.rollback(to)
        publications.follow(territory, generation)
        return generation
