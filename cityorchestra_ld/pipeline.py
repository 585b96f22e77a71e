"""The order of the stages: read, map, validate, publish; one run folder for each dataset, one generation for all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cityorchestra_ld.catalog import dcat, prov, system
from cityorchestra_ld.catalog.triples import Graph
from cityorchestra_ld.errors import CityOrchestraError, RefusedError
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Text
from cityorchestra_ld.prepare import Prepared, Preparer, discard
from cityorchestra_ld.runs import Failure, Run, RunFolder, Status, exclusive
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


@dataclass(slots=True)
class _Batch:
    """What this call has prepared so far."""

    ready: dict[str, Prepared] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)


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
    watcher = progress or Silent()
    for key in keys:
        territory.dataset(key)
    with exclusive(territory.state), tempfile.TemporaryDirectory(dir=_work(territory)) as work:
        with open_store(territory.state / "store", territory.limits, keep=territory.keep_generations) as store:
            folder, batch = RunFolder(territory.state), _Batch()
            system_files = list(system.system_graphs(territory, Path(work)))
            preparer = Preparer(
                territory, store, [path for info, path in system_files if info.role in ("ontology", "codelist")]
            )
            for key in order(territory, keys):
                prepared = preparer.prepare(key, folder, watcher.stage, batch.ready, force=force, files=files or {})
                batch.runs[key] = prepared.run
                if prepared.content is not None:
                    batch.ready[key] = prepared
                if prepared.run.status in (Status.UNCHANGED, Status.FAILED):
                    watcher.finished(prepared.run)
            generation, published = store.current(), False
            failed = any(r.status is Status.FAILED for r in batch.runs.values())
            if publish and not (failed and (all_or_nothing or not batch.ready)):
                if batch.ready:
                    watcher.stage("", "publish")
                before = generation
                generation = _publish(territory, store, batch, system_files, Path(work))
                published = before is None or generation.number != before.number
            for key, prepared in batch.ready.items():
                status = Status.PUBLISHED if publish and not (failed and all_or_nothing) else Status.CHECKED
                batch.runs[key] = replace(
                    prepared.run, status=status, generation=generation.number if generation and publish else None
                )
                watcher.finished(batch.runs[key])
            for finished in batch.runs.values():
                folder.save(finished)
                discard(folder.root / finished.id)
            folder.prune(_KEPT_RUNS)
    return Outcome(runs=tuple(batch.runs[key] for key in order(territory, keys)), generation=generation, published=published)


def _work(territory: Territory) -> Path:
    path = territory.state / "work"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _publish(
    territory: Territory,
    store: EmbeddedStore,
    batch: _Batch,
    system_files: Sequence[tuple[GraphInfo, Path]],
    work: Path,
) -> Generation:
    current = store.current()
    graphs = {info.graph: info for info in current.graphs} if current else {}
    meta = dict(current.meta) if current else {}
    changes = [GraphChange(info=info, content=path) for info, path in system_files]
    wanted = {info.graph for info, _ in system_files}
    changes += [
        GraphChange(info=info, content=None)
        for info in graphs.values()
        if info.graph not in wanted and (info.role in ("ontology", "shapes", "codelist", "policy") or _gone(territory, info))
    ]
    for number, (key, prepared) in enumerate(batch.ready.items()):
        dataset = territory.dataset(key)
        info = store.snapshot(prepared.info, prepared.content, scope=key) if prepared.content else prepared.info
        made = replace(prepared.run, triples=info.triples, version=f"{dataset.version}-{info.sha256[:8]}")
        batch.ready[key] = replace(prepared, run=made)
        info = replace(info, version=made.version)
        graphs[info.graph] = info
        meta |= {f"run:{key}": made.id, f"fingerprint:{key}": made.fingerprint}
        changes.append(GraphChange(info=info, content=None if prepared.content is None else prepared.content))
        for role, graph in (("prov", prov.provenance), ("quality", prov.quality)):
            record = graph(territory, dataset, made).write(work / f"{role}-{number}.nt")
            name = territory.iris.graph(role, *key.split("/"))
            changes.append(
                GraphChange(
                    info=GraphInfo(graph=name, role=role, access=dataset.access, dataset=key, version=made.version),  # type: ignore[arg-type]
                    content=record,
                )
            )
    dropped = {change.info.graph for change in changes if change.content is None}
    visible = [info for info in graphs.values() if info.graph not in dropped]
    runs = {key.removeprefix("run:"): value for key, value in meta.items() if key.startswith("run:")}
    catalog: Graph = dcat.catalog(territory, visible, runs)
    changes.append(
        GraphChange(
            info=GraphInfo(graph=territory.iris.graph("catalog"), role="catalog"), content=catalog.write(work / "catalog.nt")
        )
    )
    newest = max((made.run.id for made in batch.ready.values()), default=None)
    return store.publish(changes, run=newest, meta=meta)


def _gone(territory: Territory, info: GraphInfo) -> bool:
    return info.dataset is not None and info.dataset not in territory.datasets


def failure_of(error: CityOrchestraError) -> Failure:
    """Keep an error of ours in a run."""
    return Failure.of(error)


def rollback(territory: Territory, to: int | None = None) -> Generation:
    """Point the store at an earlier generation; raise RefusedError when there is none."""
    with exclusive(territory.state), open_store(territory.state / "store", territory.limits) as store:
        current = store.current()
        if current is None:
            raise RefusedError(Text("Rien n'est publié.", "Nothing is published."))
        return store.rollback(to)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
