"""Validate a data graph against a shapes graph: find focus nodes, run engines, count exactly, keep bounded samples."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.model import Limits, ValidationReport
from cityorchestra_ld.validation import data as data_graph
from cityorchestra_ld.validation import targets
from cityorchestra_ld.validation.cut import Bucket, cut
from cityorchestra_ld.validation.engines import Budget, EngineName, EngineRefusedError, Row, Validator, choose, refusal
from cityorchestra_ld.validation.messages import Messenger, read_labels
from cityorchestra_ld.validation.navigation import navigate
from cityorchestra_ld.validation.rewrite import MARK, engine_shapes
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.tally import Tally

_CAP: Final = 20_000  # an engine spends some 10 kB on a result; beyond this many, focus nodes are judged in parts
_LAST_CAP: Final = 200_000  # for one focus node alone
_LIMITS: Final = Limits()


def validate(
    data: Path,
    shapes: ShapesGraph,
    *,
    context: Sequence[Path] = (),
    engine: EngineName = "auto",
    limits: Limits = _LIMITS,
    allow_empty: bool = False,
) -> ValidationReport:
    """
    Judge a data graph (SHACL, section 3.4); raise ShapesError when it is not RDF, is empty, or no engine can judge it.

    Shapes may look at the context (ontology, code lists, other datasets), but results are about nodes of the data only. Shapes
    marked `csh:scope csh:DataOnly` do not see the context at all.
    """
    start = time.perf_counter()
    if shapes.empty:
        raise ShapesError(
            Text("Il n'y a aucune forme : rien ne serait vérifié.", "There is no shape: nothing would be checked."),
            place=Place(file=", ".join(shapes.files) or None),
        )
    with tempfile.TemporaryDirectory(prefix="validation-") as name:
        folder = Path(name)
        survey = _survey(data, context, shapes, folder)
        if not survey.triples and not allow_empty:
            raise ShapesError(
                Text("Ces données ne contiennent aucun triplet.", "These data hold no triple."), place=Place(file=str(data))
            )
        tally = Tally(limits.report_samples)
        run = _Run(shapes, survey, choose(engine), limits, folder, tally)
        run.all()
        labels = read_labels(shapes, [file.path for file in survey.context])
    return tally.report(
        shapes,
        Messenger(shapes, labels),
        focus={identity: len(nodes) for identity, nodes in survey.focus.items()},
        focus_nodes=len(set().union(*survey.focus.values())) if survey.focus else 0,
        engine=" + ".join(dict.fromkeys(run.answered)),
        truncated=tuple(run.truncated),
        triples=survey.triples,
        seconds=round(time.perf_counter() - start, 3),
    )


# --- what there is to judge ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Survey:
    """The files as engines will read them, and the focus nodes of each shape."""

    data: data_graph.Staged
    context: list[data_graph.Staged]
    triples: int
    focus: dict[str, set[bytes]]  # shape → focus nodes that belong to the data
    foreign: bool  # whether the shapes also target nodes that only the context knows


def _survey(data: Path, context: Sequence[Path], shapes: ShapesGraph, folder: Path) -> _Survey:
    staged = data_graph.stage(data, folder, "data")
    others = [data_graph.stage(path, folder, f"context-{number}") for number, path in enumerate(context)]
    for _ in range(2):
        try:
            return _look(staged, others, shapes)
        except data_graph.NotPlainError:  # correct N-Quads, perhaps, but written another way: write them our way
            staged = data_graph.normalise(staged.path, folder, "data")
            others = [data_graph.normalise(other.path, folder, f"context-{n}") for n, other in enumerate(others)]
    raise ShapesError(Text("Ces données ne se lisent pas.", "These data cannot be read."), place=Place(file=str(data)))


def _look(staged: data_graph.Staged, others: list[data_graph.Staged], shapes: ShapesGraph) -> _Survey:
    above = targets.subclasses([staged.path, *(other.path for other in others)])
    wanted = targets.searches(shapes.targeted, above)
    own = targets.scan(staged.path, wanted)
    foreign_nodes: dict[targets.Key, set[bytes]] = {key: set() for key in own.found}
    for other in others:
        for key, nodes in targets.scan(other.path, wanted).found.items():
            foreign_nodes[key] |= nodes - own.found[key]
    candidates = set().union(*foreign_nodes.values()) if foreign_nodes else set()
    ours = targets.subjects_among(staged.path, candidates)
    for key, nodes in foreign_nodes.items():
        own.found[key] |= nodes & ours
    focus = {shape.id: targets.focus_nodes(shape, own.found) for shape in shapes.targeted}
    return _Survey(staged, others, own.triples, focus, bool(candidates - ours))


# --- running engines ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    """One validation under way."""

    shapes: ShapesGraph
    survey: _Survey
    validators: list[Validator]
    limits: Limits
    folder: Path
    tally: Tally
    answered: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)

    @property
    def budget(self) -> Budget:
        return Budget(seconds=self.limits.validation_seconds, memory_mb=self.limits.validation_memory_mb)

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
            data_graph.normalise(self.survey.data.path, self.folder, "again")

    def _merged(self) -> data_graph.Staged:
        """Put data and context in one file; blank nodes of the context get labels of their own."""
        target = self.folder / "merged.nq"
        with target.open("wb") as out:
            for number, part in enumerate([self.survey.data, *self.survey.context]):
                if number and part.blank:
                    out.writelines(_relabelled(part.path, f"c{number}x"))
                else:
                    with part.path.open("rb") as file:
                        shutil.copyfileobj(file, out, 1 << 20)
        return data_graph.Staged(target, self.survey.data.blank or any(part.blank for part in self.survey.context))

    def _pass(self, graph: data_graph.Staged, active: list[Shape], *, marked: bool) -> None:
        reasons = []
        for validator in self.validators:
            try:
                self._judge(validator, graph, active, marked=marked)
            except EngineRefusedError as error:
                data_graph.normalise(self.survey.data.path, self.folder, "again")  # are the data to blame? then say where
                reasons.append(f"{validator.name}: {error}")
            else:
                self.answered.append(validator.name)
                return
        raise refusal(reasons)

    def _judge(self, validator: Validator, graph: data_graph.Staged, active: list[Shape], *, marked: bool) -> None:
        if marked:
            rules = engine_shapes(self.shapes, active, _marks(active), ease=validator.fast)
            with _Marked(graph, self.folder) as file:
                found = self._try(validator, file.with_nodes(self._pairs(active)), rules, _CAP)
        else:
            found = self._try(validator, graph, engine_shapes(self.shapes, active, ease=validator.fast), _CAP)
        if found.complete:
            self.tally.merge(found)
        else:
            self._judge_in_parts(validator, graph, active)

    def _try(self, validator: Validator, graph: data_graph.Staged, rules: bytes, cap: int) -> Tally:
        """Return what an engine finds; not complete when it finds as many results as it may."""
        tally = Tally(self.limits.report_samples)
        for row in validator.run(graph.path, rules, self.budget, cap=cap, blank=graph.blank):
            tally.add(row, self.shapes)
        tally.complete = tally.total < cap or not validator.fast
        return tally

    def _judge_in_parts(self, validator: Validator, graph: data_graph.Staged, active: list[Shape]) -> None:
        """Judge some focus nodes at a time, so that a million results never are in memory together."""
        rules = engine_shapes(self.shapes, active, _marks(active), ease=validator.fast)
        size = _CAP // 4
        for bucket in cut(graph, self._pairs(active), [navigate(self.shapes, shape) for shape in active], self.folder):
            size = self._judge_bucket(validator, bucket, active, rules, size)

    def _judge_bucket(self, validator: Validator, bucket: Bucket, active: list[Shape], rules: bytes, size: int) -> int:
        position = 0
        with _Marked(bucket.graph, self.folder) as file:
            while position < len(bucket.pairs):
                part = bucket.pairs[position : position + size]
                alone = len(part) == 1
                found = self._try(validator, file.with_nodes(part), rules, _LAST_CAP if alone else _CAP)
                if not found.complete and not alone:
                    size = len(part) // 2
                    continue
                if not found.complete:
                    self.truncated.append(active[part[0][0]].id)
                self.tally.merge(found)
                position += len(part)
                size = size * 2 if found.total < _CAP // 4 else size
        return size

    def _pairs(self, active: Sequence[Shape]) -> list[tuple[int, bytes]]:
        return [(number, node) for number, shape in enumerate(active) for node in sorted(self.survey.focus[shape.id])]


def _marks(active: Sequence[Shape]) -> Mapping[str, int]:
    return {shape.id: number for number, shape in enumerate(active)}


class _Marked:
    """A copy of a graph to which triples that point at chosen focus nodes can be added, again and again."""

    def __init__(self, graph: data_graph.Staged, folder: Path) -> None:
        self._graph = graph
        self._path = folder / "marked.nq"
        self._size = 0

    def __enter__(self) -> _Marked:
        shutil.copyfile(self._graph.path, self._path)
        self._size = self._path.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink()

    def with_nodes(self, pairs: Collection[tuple[int, bytes]]) -> data_graph.Staged:
        """Return the graph with triples for these (number of the shape, focus node) pairs and no others."""
        with self._path.open("r+b") as file:
            file.truncate(self._size)
            file.seek(self._size)
            file.writelines(f"<{MARK}> <{MARK}{number}> ".encode() + node + b" .\n" for number, node in pairs)
        return data_graph.Staged(self._path, self._graph.blank)


def _relabelled(path: Path, prefix: str) -> Iterator[bytes]:
    def rename(term: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple) -> object:
        return ox.BlankNode(prefix + term.value) if isinstance(term, ox.BlankNode) else term

    for quad in ox.parse(path=path, format=ox.RdfFormat.N_QUADS):
        yield f"{rename(quad.subject)} {quad.predicate} {rename(quad.object)} .\n".encode()


def raw_results(data: Path, shapes: ShapesGraph, validator: Validator, limits: Limits = _LIMITS) -> list[Row]:
    """Return what one engine says, word for word: for tests that compare engines."""
    with tempfile.TemporaryDirectory(prefix="validation-") as name:
        staged = data_graph.normalise(data, Path(name), "data")
        budget = Budget(seconds=limits.validation_seconds, memory_mb=limits.validation_memory_mb)
        rules = engine_shapes(shapes, shapes.targeted, ease=validator.fast)
        return list(validator.run(staged.path, rules, budget, blank=staged.blank))
