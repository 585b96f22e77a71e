"""Run engines on a survey: one pass where possible, in parts where results are too many, and count what they find."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.model import Limits
from cityorchestra_ld.validation.cut import Bucket, Pair, cut
from cityorchestra_ld.validation.data import Staged, normalise
from cityorchestra_ld.validation.engines import Budget, EngineRefusedError, Validator, refusal
from cityorchestra_ld.validation.forms import settle
from cityorchestra_ld.validation.navigation import navigate
from cityorchestra_ld.validation.rewrite import engine_shapes, name_sets
from cityorchestra_ld.validation.setwise import ALL, MARK, Setwise, bring_back, setwise
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.survey import Survey
from cityorchestra_ld.validation.tally import Tally

CAP: Final = 20_000  # an engine spends some 10 kB on a result; beyond this many, focus nodes are judged in parts
LAST_CAP: Final = 200_000  # for one focus node alone


@dataclass(frozen=True, slots=True)
class _Job:
    """What an engine is asked: shapes, and which of their constraints stand apart to be judged set by set."""

    validator: Validator
    active: Sequence[Shape]
    rules: bytes
    sets: Mapping[str, Setwise]


@dataclass(slots=True)
class Run:
    """One validation under way."""

    shapes: ShapesGraph
    survey: Survey
    validators: Sequence[Validator]
    limits: Limits
    folder: Path
    tally: Tally
    answered: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)

    def all(self) -> None:
        """Judge the shapes that see the context, then those that do not."""
        busy = [shape for shape in self.shapes.targeted if self.survey.focus[shape.id]]
        alone = [shape for shape in busy if shape.scope == "data" and self.survey.context]
        together = [shape for shape in busy if shape not in alone]
        if together:
            self._pass(self._merged() if self.survey.context else self.survey.data, together, marked=self.survey.foreign)
        if alone:
            self._pass(self.survey.data, alone, marked=False)
        if not busy:  # no engine has read the data: read them, so that what is not RDF is refused all the same
            normalise(self.survey.data.path, self.folder, "again")

    def _merged(self) -> Staged:
        """Put data and context in one file; blank nodes of the context get labels of their own."""
        target = self.folder / "merged.nq"
        with target.open("wb") as out:
            for number, part in enumerate([self.survey.data, *self.survey.context]):
                if number and part.blank:
                    out.writelines(_relabelled(part.path, f"c{number}x"))
                else:
                    with part.path.open("rb") as file:
                        shutil.copyfileobj(file, out, 1 << 20)
        return Staged(target, self.survey.data.blank or any(part.blank for part in self.survey.context))

    def _pass(self, graph: Staged, active: list[Shape], *, marked: bool) -> None:
        reasons = []
        for validator in self.validators:
            try:
                self._judge(validator, graph, active, marked=marked)
            except EngineRefusedError as error:
                normalise(self.survey.data.path, self.folder, "again")  # are the data to blame? then say where
                reasons.append(f"{validator.name}: {error}")
            else:
                self.answered.append(validator.name)
                return
        raise refusal(reasons)

    def _judge(self, validator: Validator, graph: Staged, active: list[Shape], *, marked: bool) -> None:
        sets = name_sets(self._sets(active))
        apart = {item.shape for item in sets.values()}
        marks = {shape.id: number for number, shape in enumerate(active) if marked or shape.id in apart}
        job = self._job(validator, active, marks, sets)
        if marks:
            with _Marked(graph, self.folder) as file:
                found = self._try(job, file.with_nodes(self._pairs(active, marks)), CAP)
        else:
            found = self._try(job, graph, CAP)
        if found.complete:
            self.tally.merge(found)
        else:
            self._judge_in_parts(validator, graph, active, sets)

    def _job(
        self, validator: Validator, active: Sequence[Shape], marks: Mapping[str, int], sets: Mapping[str, Setwise]
    ) -> _Job:
        rules = engine_shapes(self.shapes, active, marks, ease=validator.fast, sets=sets, forms=True)
        return _Job(validator, active, rules, sets)

    def _sets(self, active: Sequence[Shape]) -> list[Setwise]:
        """Return the constraints that one query may judge; it names focus nodes by their IRI."""
        chosen = {shape.id for shape in active if all(node[:1] == b"<" for node in self.survey.focus[shape.id])}
        return [item for item in setwise(self.shapes) if item.shape in chosen]

    def _try(self, job: _Job, graph: Staged, cap: int) -> Tally:
        """Return what an engine finds; not complete when it finds as many results as it may."""
        tally = Tally(self.limits.report_samples)
        budget = Budget(seconds=self.limits.validation_seconds, memory_mb=self.limits.validation_memory_mb)
        numbers = count()  # of what the engine says, before anything is put together
        rows = job.validator.run(graph.path, job.rules, budget, cap=cap, blank=graph.blank)
        rows = (row for row, _ in zip(rows, numbers, strict=False))
        for row in settle(rows, self.shapes):
            tally.add(bring_back(row, job.sets, self.shapes), self.shapes)
        tally.complete = next(numbers) < cap or not job.validator.fast
        return tally

    def _judge_in_parts(self, validator: Validator, graph: Staged, active: list[Shape], sets: Mapping[str, Setwise]) -> None:
        """Judge some focus nodes at a time, so that a million results never are in memory together."""
        marks = {shape.id: number for number, shape in enumerate(active)}
        job = self._job(validator, active, marks, sets)
        size = max(1, CAP // 4)
        navigations = [navigate(self.shapes, shape) for shape in active]
        for bucket in cut(graph, self._pairs(active, marks), navigations, self.folder):
            size = self._judge_bucket(job, bucket, size)

    def _judge_bucket(self, job: _Job, bucket: Bucket, size: int) -> int:
        position = 0
        with _Marked(bucket.graph, self.folder) as file:
            while position < len(bucket.pairs):
                part = bucket.pairs[position : position + size]
                alone = len(part) == 1
                found = self._try(job, file.with_nodes(part), LAST_CAP if alone else CAP)
                if not found.complete and not alone:
                    size = len(part) // 2
                    continue
                if not found.complete:
                    self.truncated.append(job.active[part[0][0]].id)
                self.tally.merge(found)
                position += len(part)
                size = size * 2 if found.total < CAP // 4 else size
        return size

    def _pairs(self, active: Sequence[Shape], marks: Mapping[str, int]) -> list[Pair]:
        return [
            (marks[shape.id], node) for shape in active if shape.id in marks for node in sorted(self.survey.focus[shape.id])
        ]


class _Marked:
    """A copy of a graph to which triples that point at chosen focus nodes can be added, again and again."""

    def __init__(self, graph: Staged, folder: Path) -> None:
        self._graph = graph
        self._path = folder / "marked.nq"
        self._size = 0

    def __enter__(self) -> _Marked:
        shutil.copyfile(self._graph.path, self._path)
        self._size = self._path.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink()

    def with_nodes(self, pairs: Collection[Pair]) -> Staged:
        """Return the graph with triples for these (mark, focus node) pairs and no others."""
        with self._path.open("r+b") as file:
            file.truncate(self._size)
            file.seek(self._size)
            file.writelines(f"{ALL} <{MARK}{number}> ".encode() + node + b" .\n" for number, node in pairs)
        return Staged(self._path, self._graph.blank)


def _relabelled(path: Path, prefix: str) -> Iterator[bytes]:
    def rename(term: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple) -> object:
        return ox.BlankNode(prefix + term.value) if isinstance(term, ox.BlankNode) else term

    for quad in ox.parse(path=path, format=ox.RdfFormat.N_QUADS):
        yield f"{rename(quad.subject)} {quad.predicate} {rename(quad.object)} .\n".encode()
