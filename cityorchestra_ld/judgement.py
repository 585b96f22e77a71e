"""Judge the triples of one dataset before publication: what a change can touch where that is enough, else everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityorchestra_ld.errors import Place, ShapesError, Text, UsageError
from cityorchestra_ld.model import Generation, GraphInfo, ValidationReport
from cityorchestra_ld.runs import Run, RunFolder
from cityorchestra_ld.store import EmbeddedStore, Hold
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.validation import (
    Published,
    Shape,
    ShapesGraph,
    compare,
    from_json,
    validate,
    validate_change,
)

SMALL = 100_000  # triples: everything is judged in the time that it takes to find out what a change touches


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The triples of one graph as they stand in this call: in a file that was just made, or as they are published."""

    info: GraphInfo
    path: Path | None  # nothing: as published


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be judged, and by which rules."""

    dataset: Dataset
    run: str
    content: Path
    shapes: ShapesGraph
    rules: str  # digest of everything but the data that decides the result
    context: tuple[Content, ...]  # what shapes may look at
    folder: Path


class Judge:
    """Judges datasets against their shapes, with what is published at hand."""

    def __init__(self, territory: Territory, store: EmbeddedStore) -> None:
        self.territory, self.store = territory, store
        self._runs = RunFolder(territory.state)

    def judge(self, case: Case) -> ValidationReport:
        """
        Report what shapes find in the new version of a dataset, compared with the run before.

        Raises ShapesError when no shape of the dataset looks at any of its triples.
        """
        report = self._change(case) or self._everything(case)
        _require_focus(report, case)
        before = self._before(case)
        return replace(report, comparison=compare(before[1], report, before[0])) if before else report

    def _everything(self, case: Case) -> ValidationReport:
        files = self._files(case.context, case.folder)
        return validate(case.content, case.shapes, context=list(files), limits=self.territory.limits)

    def _change(self, case: Case) -> ValidationReport | None:
        """Judge only what changed since the published version; nothing when that would not be as exact."""
        generation = self.store.current()
        base = self._base(case, generation)
        if generation is None or base is None:
            return None
        info = GraphInfo(graph=self.territory.graph_of(case.dataset), role=case.dataset.graph, dataset=case.dataset.key)
        new = self.store.snapshot(info, case.content, scope=case.dataset.key)
        old = {known.graph: known for known in generation.graphs}
        if info.graph not in old or old[info.graph].rewritten != new.rewritten or not self._same(case.context, old):
            return None
        difference = self.store.difference(new, case.folder)
        with Hold(generation.path):
            published = Published(
                database=generation.path / "db",
                graph=info.graph,
                context=tuple(content.info.graph for content in case.context),
                report=base,
            )
            return validate_change(
                published,
                difference.insertions,
                difference.removals,
                case.shapes,
                content=case.content,
                context=lambda: list(self._files(case.context, case.folder)),
                limits=self.territory.limits,
            )

    def _base(self, case: Case, generation: Generation | None) -> ValidationReport | None:
        """Return what was found in the published version, if the same rules looked at it."""
        run = self.published_run(case.dataset.key, generation)
        if run is None or run.rules != case.rules:
            return None
        report = self._report(run.id)
        return report if report is not None and report.triples >= SMALL else None

    def published_run(self, key: str, generation: Generation | None) -> Run | None:
        """Return the run that made the published version, if its folder is still kept."""
        identity = generation.meta.get(f"run:{key}") if generation else None
        try:
            return self._runs.load(identity) if identity else None
        except UsageError:
            return None

    def _report(self, run: str) -> ValidationReport | None:
        file = self._runs.root / run / "report.json"
        try:
            return from_json(file.read_bytes()) if file.exists() else None
        except ShapesError:  # written by another version
            return None

    def _before(self, case: Case) -> tuple[str, ValidationReport] | None:
        """Return the report of the last run of this dataset that has one, published or not."""
        slug = case.run.split("-", 1)[1].rpartition("-")[0]
        for folder in sorted(self._runs.root.glob(f"*Z-{slug}-????"), reverse=True):
            if folder.name < case.run and (folder / "run.json").exists() and (report := self._report(folder.name)):
                return folder.name, report
        return None

    def _same(self, contents: Iterable[Content], published: Mapping[str, GraphInfo]) -> bool:
        """Tell whether what shapes may look at is what is published."""
        for content in contents:
            old = published.get(content.info.graph)
            if content.path is not None:
                new = self.store.snapshot(content.info, content.path)
                if old is None or (old.sha256, old.rewritten) != (new.sha256, new.rewritten):
                    return False
        return True

    def _files(self, contents: Iterable[Content], folder: Path) -> Iterator[Path]:
        for content in contents:
            path = content.path or self.store.export(content.info.graph, folder)
            if path is not None:
                yield path


def _require_focus(report: ValidationReport, case: Case) -> None:
    own = f"{case.dataset.key}.ttl"
    require_focus(report, [shape for shape in case.shapes.targeted if shape.file.endswith(own)], own)


def require_focus(report: ValidationReport, shapes: Sequence[Shape], file: str) -> None:
    """Raise ShapesError when none of some shapes looked at anything."""
    if not {shape.id for shape in shapes}.isdisjoint(report.shapes):
        return
    wanted = ", ".join(sorted({str(target.term) for shape in shapes for target in shape.targets})[:5])
    raise ShapesError(
        Text(
            "Aucune forme ne vise ces données : rien n'a été vérifié.",
            "No shape looks at any of these data: nothing was checked.",
        ),
        place=Place(file=file),
        hint=Text(
            f"Les formes visent {wanted} ; vérifiez sh:targetClass, ou les classes des données.",
            f"The shapes look for {wanted}; check sh:targetClass, or the classes in the data.",
        )
        if wanted
        else Text("Donnez une cible à une forme : sh:targetClass.", "Give a shape a target: sh:targetClass."),
    )
