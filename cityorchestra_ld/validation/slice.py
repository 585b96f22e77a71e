"""Validate a change: only the focus nodes that it can touch, on only the triples that shapes can see from them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.model import Limits, ValidationReport
from cityorchestra_ld.namespaces import RDFS
from cityorchestra_ld.validation.data import Staged
from cityorchestra_ld.validation.engines import EngineName, choose
from cityorchestra_ld.validation.graph import TYPE, Term
from cityorchestra_ld.validation.messages import Messenger
from cityorchestra_ld.validation.navigation import Navigation, navigate
from cityorchestra_ld.validation.run import Run
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.state import Changed, Reader, Triple, Triples
from cityorchestra_ld.validation.survey import Survey
from cityorchestra_ld.validation.tally import Tally

SUBCLASS: Final = f"{RDFS}subClassOf"
_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Affected:
    """The focus nodes that a change can touch, for each shape; and those of them that are focus nodes after it."""

    touched: Mapping[str, frozenset[Term]]  # results about these are out of date
    judged: Mapping[str, frozenset[Term]]
    opaque: tuple[str, ...] = ()  # shapes of which nobody can tell what they read: they need a validation of everything

    @property
    def total(self) -> int:
        """Count pairs of a shape and a focus node."""
        return sum(len(nodes) for nodes in self.touched.values())


class Change:
    """A change of a graph: triples removed, triples added; literals of added triples are those of the raw data."""

    def __init__(self, before: Reader, added: Iterable[Triple], removed: Iterable[Triple], shapes: ShapesGraph) -> None:
        self._shapes = shapes
        self._added = Triples(added)
        gone = before.canonical(removed)
        # A triple that is there already, in the store's own writing, must not be seen twice.
        self._delta = Triples([*self._added.all, *gone])
        hidden = gone | before.canonical(self._added.all)
        self.either = Changed(before, self._added, frozenset())
        self.after = Changed(before, self._added, hidden)
        self._navigations = {shape.id: navigate(shapes, shape) for shape in shapes.targeted}

    @property
    def needs_everything(self) -> bool:
        """Tell whether only a full validation will do: the change touches the class hierarchy."""
        return any(True for _ in self._delta.having(SUBCLASS))

    def affected(self) -> Affected:
        """Find the focus nodes that the change can touch: walk backwards from each changed triple that a shape reads."""
        touched: dict[str, frozenset[Term]] = {}
        judged: dict[str, frozenset[Term]] = {}
        classes = _Classes(self.after)
        for shape in self._shapes.targeted:
            navigation = self._navigations[shape.id]
            nodes = set() if navigation.opaque else self._origins(navigation)
            touched[shape.id] = frozenset(n for n in nodes if classes.aims(shape, n, self.either))
            judged[shape.id] = frozenset(n for n in touched[shape.id] if classes.aims(shape, n, self.after))
        opaque = tuple(identity for identity, navigation in self._navigations.items() if navigation.opaque)
        return Affected(touched, judged, opaque)

    def _origins(self, navigation: Navigation) -> set[Term]:
        found: set[Term] = set()
        for read in navigation.reads:
            triples = self._delta.all if read.predicate is None else self._delta.having(read.predicate)
            nodes: set[Term] = {value if read.inverse else subject for subject, _, value in triples}
            for path in reversed(read.walk):
                nodes = self.either.walk(nodes, path, back=True) if nodes else nodes
            found |= nodes
        return found

    def visible(self, affected: Affected) -> set[Triple]:
        """Return the triples of the new state that shapes can see from the affected focus nodes."""
        found = self.after.having(SUBCLASS)
        for identity, focus in affected.judged.items():
            for read in self._navigations[identity].reads if focus else ():
                nodes: set[Term] = set(focus)
                for path in read.walk:
                    nodes = self.after.walk(nodes, path)
                for node in nodes:
                    found.update(self.after.edges(node, read.predicate, inverse=read.inverse))
        return found


class _Classes:
    """Tells whether a shape aims at a node, with the class hierarchy of the new state."""

    def __init__(self, after: Changed) -> None:
        self._above: dict[Term, set[Term]] = {}
        for subject, _, value in after.having(SUBCLASS):
            self._above.setdefault(subject, set()).add(value)

    def aims(self, shape: Shape, node: Term, state: Changed) -> bool:
        for target in shape.targets:
            if target.kind == "node" and target.term == node:
                return True
            if target.kind in ("subjects", "objects"):
                if state.edges(node, target.term.value, inverse=target.kind == "objects"):
                    return True
            elif target.kind == "class" and self._is_a(node, target.term, state):
                return True
        return False

    def _is_a(self, node: Term, wanted: Term, state: Changed) -> bool:
        todo = [triple[2] for triple in state.edges(node, TYPE, inverse=False)]
        seen = set(todo)
        while todo:
            name = todo.pop()
            if name == wanted:
                return True
            new = self._above.get(name, set()) - seen
            seen |= new
            todo += new
        return False


def validate_change(
    change: Change, shapes: ShapesGraph, *, engine: EngineName = "auto", limits: Limits = _LIMITS, most: int = 200_000
) -> tuple[ValidationReport, Affected] | None:
    """
    Judge what a change can touch; nothing when only a full validation will do (class hierarchy, too many nodes).

    The results of the new state are those of the old one about nodes that are not touched, those of this report, and those of a
    full validation of the opaque shapes.
    """
    start = time.perf_counter()
    if change.needs_everything:
        return None
    affected = change.affected()
    if affected.total > most:
        return None
    tally = Tally(limits.report_samples)
    with tempfile.TemporaryDirectory(prefix="validation-") as name:
        run = Run(shapes, slice_of(change, affected, Path(name)), choose(engine), limits, Path(name), tally)
        run.all()
    focus = {identity: len(nodes) for identity, nodes in affected.judged.items()}
    report = tally.report(
        shapes,
        Messenger(shapes, shapes.labels),
        focus=focus,
        focus_nodes=len(frozenset().union(*affected.judged.values())),
        engine=" + ".join(dict.fromkeys(run.answered)),
        truncated=tuple(run.truncated),
        triples=run.survey.triples,
        seconds=round(time.perf_counter() - start, 3),
    )
    return report, affected


def slice_of(change: Change, affected: Affected, folder: Path) -> Survey:
    """Write the visible triples to a file, and say which focus nodes to judge in it."""
    seen = change.visible(affected)
    path = folder / "slice.nq"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(lines(seen))
    blank = any(isinstance(term, ox.BlankNode) for subject, _, value in seen for term in (subject, value))
    focus = {identity: {str(node).encode() for node in nodes} for identity, nodes in affected.judged.items()}
    return Survey(Staged(path, blank), [], len(seen), focus, foreign=True)


def lines(triples: Iterable[Triple]) -> Iterator[str]:
    """Write triples as plain N-Quads lines."""
    return (f"{subject} {ox.NamedNode(predicate)} {value} .\n" for subject, predicate, value in triples)
