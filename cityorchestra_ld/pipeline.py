"""The order of the stages: read, map, validate, publish; one run folder for each dataset, one generation for all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from cityorchestra_ld.catalog import dcat, prov, system
from cityorchestra_ld.catalog.triples import Graph
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Role
from cityorchestra_ld.prepare import Prepared, Preparer, discard
from cityorchestra_ld.runs import Run, RunFolder, Status, exclusive
from cityorchestra_ld.store import EmbeddedStore, open_store
from cityorchestra_ld.territory import Territory

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
    with exclusive(territory.state), _opened(territory) as store:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        RunFolder(territory.state).sweep(_KEPT_RUNS)
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            call = _Call(territory, store, progress or Silent(), Path(temporary))
            call.prepare(order(territory, keys), force=force, files=files or {})
            return call.finish(publish=publish, all_or_nothing=all_or_nothing)


def _opened(territory: Territory) -> EmbeddedStore:
    return open_store(territory.state / "store", territory.limits, territory.keep_generations, base_iri=territory.base_iri)


class _Call:
    """One call of `run`: what it prepared, and what it makes of it."""

    def __init__(self, territory: Territory, store: EmbeddedStore, watcher: Progress, work: Path) -> None:
        self.territory, self.store, self.watcher, self.work = territory, store, watcher, work
        self.folder = RunFolder(territory.state)
        self.system_files = list(system.system_graphs(territory, work))
        self.ready: dict[str, Prepared] = {}
        self.runs: dict[str, Run] = {}

    def prepare(self, keys: Sequence[str], *, force: bool, files: Mapping[str, Path]) -> None:
        common = [path for info, path in self.system_files if info.role in ("ontology", "codelist")]
        preparer = Preparer(self.territory, self.store, common)
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
            generation = self.publish()
        for key, prepared in self.ready.items():
            status = Status.PUBLISHED if wanted else Status.CHECKED
            number = generation.number if generation and wanted else None
            self.runs[key] = replace(prepared.run, status=status, generation=number)
            self.watcher.finished(self.runs[key])
        for run in self.runs.values():
            self.folder.save(run)
            discard(self.folder.root / run.id)
        published = generation is not None and (before is None or generation.number != before.number)
        return Outcome(runs=tuple(self.runs.values()), generation=generation, published=published)

    def publish(self) -> Generation:
        current = self.store.current()
        graphs = {info.graph: info for info in current.graphs} if current else {}
        meta = dict(current.meta) if current else {}
        changes = [GraphChange(info=info, content=path) for info, path in self.system_files]
        kept = {info.graph for info, _ in self.system_files}
        dropped = [info for info in graphs.values() if info.graph not in kept and self._gone(info)]
        changes += [GraphChange(info=info, content=None) for info in dropped]
        for number, key in enumerate(self.ready):
            info, more = self._dataset(key, number)
            graphs[info.graph] = info
            meta |= {f"run:{key}": self.ready[key].run.id, f"fingerprint:{key}": self.ready[key].run.fingerprint}
            changes += more
        for info in dropped:
            del graphs[info.graph]
            meta = {name: value for name, value in meta.items() if name.partition(":")[2] != info.dataset}
        runs = {key.removeprefix("run:"): value for key, value in meta.items() if key.startswith("run:")}
        records = dcat.catalog(self.territory, graphs.values(), runs).write(self.work / "catalog.nt")
        name = self.territory.iris.graph("catalog")
        changes.append(GraphChange(info=GraphInfo(graph=name, role="catalog"), content=records))
        newest = max((prepared.run.id for prepared in self.ready.values()), default=None)
        return self.store.publish(changes, run=newest, meta=meta)

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
            ("quality", prov.quality(self.territory, dataset, run)),
        )
        for role, graph in records:
            name = self.territory.iris.graph(role, *key.split("/"))
            about = GraphInfo(graph=name, role=role, access=dataset.access, dataset=key, version=run.version)
            changes.append(GraphChange(info=about, content=graph.write(self.work / f"{role}-{number}.nt")))
        return info, changes

    def _gone(self, info: GraphInfo) -> bool:
        """Tell whether the territory folder no longer holds what a graph was made from."""
        if info.dataset is not None:
            return info.dataset not in self.territory.datasets
        return info.role in ("ontology", "shapes", "codelist", "policy")


def rollback(territory: Territory, to: int | None = None) -> Generation:
    """Point the store at an earlier generation; raise StoreError when there is none."""
    with exclusive(territory.state), _opened(territory) as store:
        return store.rollback(to)
