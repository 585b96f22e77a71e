"""Find what a change can touch: the focus nodes, and the triples that shapes can see from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import RDFS
from cityorchestra_ld.validation.graph import TYPE, Term
from cityorchestra_ld.validation.navigation import Navigation, aims_by, navigate
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph, Target
from cityorchestra_ld.validation.state import Changed, Reader, Remembering, TooMuchError, Triple, Triples

SUBCLASS: Final = f"{RDFS}subClassOf"


@dataclass(frozen=True, slots=True)
class Affected:
    """The focus nodes that a change can touch, for each shape; and those of them that are focus nodes before and after it."""

    touched: Mapping[str, frozenset[Term]]  # results about these are out of date
    known: Mapping[str, frozenset[Term]]
    judged: Mapping[str, frozenset[Term]]

    @property
    def total(self) -> int:
        """Count pairs of a shape and a focus node."""
        return sum(len(nodes) for nodes in self.touched.values())


class _State:
    """A graph with what stands beside it, and the graph alone."""

    def __init__(self, own: Changed, whole: Changed) -> None:
        self.own, self.whole = own, whole

    def seen_by(self, shape: Shape) -> Changed:
        return self.own if shape.scope == "data" else self.whole


class Change:
    """
    A change of a graph: triples removed, triples added; literals of added triples may be those of the raw data.

    Shapes may look at the graphs beside it, which do not change; results are about nodes of the graph itself. Looking raises
    TooMuchError after so many triples (`most`).
    """

    def __init__(
        self,
        before: Reader,
        added: Iterable[Triple],
        removed: Iterable[Triple],
        shapes: ShapesGraph,
        *,
        beside: Reader | None = None,
        most: int | None = None,
    ) -> None:
        self._shapes = shapes
        self._most = most
        self._added = Triples(added)
        gone = before.canonical(removed)
        # A triple that is there already, in the store's own writing, must not be seen twice.
        self._delta = Triples([*self._added.all, *gone])
        hidden = gone | before.canonical(self._added.all)
        base, other = Remembering(before, most), Remembering(beside, most) if beside is not None else None
        nothing = Triples()

        def state(added: Triples, hidden: frozenset[Triple] = frozenset()) -> _State:
            alone = Changed(base, added, hidden)
            return _State(alone, alone if other is None else Changed(base, added, hidden, other))

        self.before, self.either, self.after = state(nothing), state(self._added), state(self._added, hidden)
        self._apart = other is not None
        self._navigations: dict[str, Navigation] = {}
        self._live: dict[str, bool] = {}
        self._classes: _Classes | None = None

    @property
    def opaque(self) -> tuple[str, ...]:
        """Name the shapes of which nobody can tell what they read: they need a validation of everything."""
        return tuple(shape.id for shape in self._shapes.targeted if self._is_live(shape) and self._navigation(shape).opaque)

    @property
    def far(self) -> frozenset[str]:
        """Name the shapes that are better judged on everything, with those that report together with them."""
        live = [shape for shape in self._shapes.targeted if self._is_live(shape)]
        found = {shape.id for shape in live if self._navigation(shape).opaque or self._navigation(shape).turns_back}
        family = families(self._shapes) if found else {}
        together = {family[identity] for identity in found}
        return frozenset(shape.id for shape in self._shapes.targeted if family.get(shape.id) in together)

    @property
    def changes_classes(self) -> bool:
        """Tell whether the class hierarchy changes, which no slice follows."""
        return any(True for _ in self._delta.having(SUBCLASS))

    def _navigation(self, shape: Shape) -> Navigation:
        if shape.id not in self._navigations:
            self._navigations[shape.id] = navigate(self._shapes, shape)
        return self._navigations[shape.id]

    def _is_live(self, shape: Shape) -> bool:
        """Tell whether a shape can have any focus node, before the change or after it."""
        if shape.id not in self._live:
            state = self.either.seen_by(shape)
            self._live[shape.id] = any(
                True
                if target.kind == "node"
                else any(state.holds(TYPE, name) for name in self.classes.below(target.term))
                if target.kind == "class"
                else state.holds(target.term.value)
                for target in shape.targets
            )
        return self._live[shape.id]

    @property
    def classes(self) -> _Classes:
        """Return the class hierarchy, which the change leaves as it is."""
        if self._classes is None:
            self._classes = _Classes(self.after, apart=self._apart)
        return self._classes

    def affected(self, apart: Collection[str] = ()) -> Affected:
        """
        Find the focus nodes that the change can touch: walk backwards from each changed triple that a shape reads.

        For shapes judged apart these are only the nodes that may begin or cease to be focus nodes.
        """
        touched: dict[str, frozenset[Term]] = {}
        left = self._most
        for shape in self._shapes.targeted:
            if not self._is_live(shape):
                touched[shape.id] = frozenset()
                continue
            navigation = aims_by(shape) if shape.id in apart else self._navigation(shape)
            nodes = self._origins(navigation, self.either.seen_by(shape))
            touched[shape.id] = frozenset(n for n in nodes if self.classes.aims(shape, n, self.either))
            left = None if left is None else left - len(touched[shape.id])
            if left is not None and left < 0:
                raise TooMuchError
        touched = _closed(self._shapes, touched, lambda shape, node: self.classes.aims(shape, node, self.either))
        return Affected(touched, self._focus(touched, self.before), self._focus(touched, self.after))

    def _focus(self, touched: Mapping[str, frozenset[Term]], state: _State) -> dict[str, frozenset[Term]]:
        return {
            shape.id: frozenset(node for node in touched[shape.id] if self.classes.aims(shape, node, state))
            for shape in self._shapes.targeted
        }

    def _origins(self, navigation: Navigation, state: Changed) -> set[Term]:
        # With graphs beside it, a node is judged when it has any triple in the graph itself.
        found: set[Term] = {triple[0] for triple in self._delta.all} if self._apart else set()
        for read in navigation.reads:
            triples = self._delta.all if read.predicate is None else self._delta.having(read.predicate)
            nodes: set[Term] = {value if read.inverse else subject for subject, _, value in triples}
            for path in reversed(read.walk):
                nodes = state.walk(nodes, path, back=True) if nodes else nodes
            found |= nodes
        return found

    def visible(self, judged: Mapping[str, frozenset[Term]], shapes: Sequence[Shape]) -> set[Triple]:
        """Return the triples of the new state that some shapes, of one scope, can see from focus nodes."""
        found: set[Triple] = set()
        for shape in shapes:
            state = self.after.seen_by(shape)
            found = found or state.having(SUBCLASS)
            for read in self._navigation(shape).reads if judged[shape.id] else ():
                nodes: set[Term] = set(judged[shape.id])
                for path in read.walk:
                    nodes = state.walk(nodes, path)
                for node in nodes:
                    found.update(state.edges(node, read.predicate, inverse=read.inverse))
        return found

    def balance(self, affected: Affected) -> int:
        """Count how many more focus nodes there are after the change than before, whatever shape aims at them."""
        known, judged = (frozenset().union(*nodes.values()) for nodes in (affected.known, affected.judged))
        gone = sum(1 for node in known - judged if not self._is_focus(node, self.after))
        new = sum(1 for node in judged - known if not self._is_focus(node, self.before))
        return new - gone

    def _is_focus(self, node: Term, state: _State) -> bool:
        return any(self.classes.aims(shape, node, state) for shape in self._shapes.targeted)


class _Classes:
    """Tells whether a shape aims at a node, with the class hierarchy of the new state."""

    def __init__(self, state: _State, *, apart: bool) -> None:
        self._apart = apart
        self._own, self._whole = _above(state.own), _above(state.whole)

    def below(self, name: Term) -> set[Term]:
        """Return a class and its subclasses."""
        return {name, *(lower for lower in self._whole if name in _closure(self._whole, {lower}))}

    def aims(self, shape: Shape, node: Term, state: _State) -> bool:
        """Tell whether a node is a focus node of a shape, and belongs to the graph itself."""
        mine = shape.scope == "data"
        for target in shape.targets:
            if target.kind == "node":
                if target.term == node:
                    return True
                continue
            if self._hits(target, node, state.own, self._own if mine else self._whole):
                return True
            if self._apart and not mine and self._hits(target, node, state.whole, self._whole):
                return bool(state.own.edges(node, None, inverse=False))
        return False

    def _hits(self, target: Target, node: Term, state: Changed, above: Mapping[Term, set[Term]]) -> bool:
        if target.kind != "class":
            return bool(state.edges(node, target.term.value, inverse=target.kind == "objects"))
        return target.term in _closure(above, {triple[2] for triple in state.edges(node, TYPE, inverse=False)})


def _closure(above: Mapping[Term, set[Term]], names: set[Term]) -> set[Term]:
    """Return classes with all that they are subclasses of."""
    todo = list(names)
    while todo:
        new = above.get(todo.pop(), set()) - names
        names |= new
        todo += new
    return names


def _above(state: Changed) -> dict[Term, set[Term]]:
    found: dict[Term, set[Term]] = {}
    for subject, _, value in state.having(SUBCLASS):
        found.setdefault(subject, set()).add(value)
    return found


# --- shapes that report together ----------------------------------------------------------------------------------------------


def families(shapes: ShapesGraph) -> dict[str, str]:
    """Name for each shape that reports the family of targeted shapes whose results nobody can tell apart by their root."""
    family: dict[str, str] = {}
    for shape in shapes.targeted:
        members = _reporting(shapes, shape)
        merged = {family[member] for member in members if member in family}
        family |= dict.fromkeys(members, shape.id)
        family |= {member: shape.id for member, name in family.items() if name in merged}
    return family


def _reporting(shapes: ShapesGraph, shape: Shape) -> set[str]:
    """Return the shapes that can be the source of a result of a targeted shape."""
    found, todo = {shape.id}, [shape]
    while todo:
        for term in todo.pop().parameters.get("property", ()):
            inner = shapes.shape(str(term))
            if inner is not None and inner.id not in found:
                found.add(inner.id)
                todo.append(inner)
    return found


def wandering(shapes: ShapesGraph) -> frozenset[str]:
    """Return the families with results about nodes that are no focus nodes of their own: property shapes in property shapes."""
    family = families(shapes)
    return frozenset(
        family[identity]
        for identity in family
        if (shape := shapes.shape(identity)) is not None and shape.path is not None and shape.parameters.get("property")
    )


def _closed(
    shapes: ShapesGraph, touched: Mapping[str, frozenset[Term]], aims: Callable[[Shape, Term], bool]
) -> dict[str, frozenset[Term]]:
    """Touch a node for a whole family when it is touched for one of it."""
    family = families(shapes)
    together: dict[str, set[Term]] = {}
    for identity, nodes in touched.items():
        together.setdefault(family[identity], set()).update(nodes)
    return {
        shape.id: touched[shape.id]
        | frozenset(node for node in together[family[shape.id]] - touched[shape.id] if aims(shape, node))
        for shape in shapes.targeted
    }


def lines(triples: Iterable[Triple]) -> Iterator[str]:
    """Write triples as plain N-Quads lines."""
    return (f"{subject} {ox.NamedNode(predicate)} {value} .\n" for subject, predicate, value in triples)
