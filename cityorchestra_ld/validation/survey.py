"""Look at the files before any engine does: as engines will read them, with the focus nodes of each shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.validation import data as data_graph
from cityorchestra_ld.validation import targets
from cityorchestra_ld.validation.shapes import ShapesGraph


@dataclass(slots=True)
class Survey:
    """The files as engines will read them, and the focus nodes of each shape."""

    data: data_graph.Staged
    context: list[data_graph.Staged]
    triples: int
    focus: dict[str, set[bytes]]  # shape → focus nodes that belong to the data
    foreign: bool  # whether the shapes also target nodes that only the context knows


def survey(data: Path, context: Sequence[Path], shapes: ShapesGraph, folder: Path) -> Survey:
    """Stage data and context, and find the focus nodes; raise ShapesError when the data are not RDF."""
    staged = data_graph.stage(data, folder, "data")
    others = [data_graph.stage(path, folder, f"context-{number}") for number, path in enumerate(context)]
    for _ in range(2):
        try:
            return _look(staged, others, shapes)
        except data_graph.NotPlainError:  # correct N-Quads, perhaps, but written another way: write them our way
            staged = data_graph.normalise(staged.path, folder, "data")
            others = [data_graph.normalise(other.path, folder, f"context-{n}") for n, other in enumerate(others)]
    raise ShapesError(Text("Ces données ne se lisent pas.", "These data cannot be read."), place=Place(file=str(data)))


def _look(staged: data_graph.Staged, others: list[data_graph.Staged], shapes: ShapesGraph) -> Survey:
    above = targets.subclasses([staged.path, *(other.path for other in others)])
    wanted = targets.searches(shapes.targeted, above)
    foreign: dict[targets.Key, set[bytes]] = {}
    for other in others:
        for key, nodes in targets.scan(other.path, wanted).found.items():
            foreign.setdefault(key, set()).update(nodes)
    candidates = frozenset().union(*foreign.values())
    own = targets.scan(staged.path, wanted, candidates)
    alone = _alone(staged, shapes, own) if others else {}
    for key, nodes in foreign.items():
        own.found[key] |= nodes & own.known
    focus = {shape.id: targets.focus_nodes(shape, own.found) for shape in shapes.targeted}
    is_foreign = any(nodes - own.found[key] for key, nodes in foreign.items())
    return Survey(staged, others, own.triples, focus | alone, is_foreign)


def _alone(staged: data_graph.Staged, shapes: ShapesGraph, own: targets.Scan) -> dict[str, set[bytes]]:
    """Find the focus nodes of the shapes that do not see the context: its classes are none of theirs either."""
    chosen = [shape for shape in shapes.targeted if shape.scope == "data"]
    if any(target.kind == "class" for shape in chosen for target in shape.targets):
        own = targets.scan(staged.path, targets.searches(chosen, targets.subclasses([staged.path])))
    return {shape.id: targets.focus_nodes(shape, own.found) for shape in chosen}
