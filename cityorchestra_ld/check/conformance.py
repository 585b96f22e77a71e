"""Hold the symbolic nodes of a mapping against shapes: what SHACL will refuse whatever the rows hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.check.findings import Finding, Level, finding
from cityorchestra_ld.check.symbols import Made, Node
from cityorchestra_ld.check.values import Problem, ValueJudge, may_be
from cityorchestra_ld.check.world import Group, World
from cityorchestra_ld.errors import Place, Text
from cityorchestra_ld.namespaces import RDF, SH
from cityorchestra_ld.validation.paths import Path as PropertyPath
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph

_LEVELS: Final = {SH + "Violation": Level.ERROR, SH + "Warning": Level.WARNING, SH + "Info": Level.INFO}
_TRUE: Final = ("true", "1")
_DEEP: Final = 6  # shapes inside shapes that are followed


@dataclass(frozen=True, slots=True)
class Focus:
    """What a shape looks at: a term, the nodes that certainly describe it, and all nodes that may."""

    term: Made
    sure: Sequence[Node]
    all: Sequence[Node] | None  # nothing is known when `None`


@dataclass(slots=True)
class Values:
    """What a path leads to: values that are certainly there, all that may be, and whether there may be others."""

    sure: list[Made] = field(default_factory=list)
    all: list[Made] = field(default_factory=list)
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A problem with the shape that will say it."""

    problem: Problem
    shape: Shape
    path: PropertyPath | None


class Conformance:
    """Judges a whole mapping by a shapes graph."""

    def __init__(self, world: World, shapes: ShapesGraph, path: str, own_file: str | None = None) -> None:
        self.world = world
        self.shapes = shapes
        self.path = path
        self.own_file = own_file
        self.values = ValueJudge(world)

    def findings(self) -> Iterator[Finding]:
        """Yield every finding, each once however many rules and rows it would strike."""
        said: set[tuple[object, ...]] = set()
        for shape in self.shapes.targeted:
            groups = list(self._targets(shape))
            if not groups and shape.file == self.own_file and not self._reaches_context(shape):
                yield self._idle(shape)
            for group in groups:
                focus = Focus(group.term, group.nodes, self.world.alike(group))
                for refusal in self._judge(shape, focus, 0):
                    line = refusal.problem.made.line if refusal.problem.made else group.line
                    key = (refusal.problem.code, refusal.shape.id, line, str(refusal.problem.given))
                    if key not in said:
                        said.add(key)
                        yield self._finding(refusal, group, line)

    # --- targets ------------------------------------------------------------------------------------------------------------

    def _targets(self, shape: Shape) -> Iterator[Group]:
        """Yield the groups that a shape looks at (SHACL, section 2.1.3)."""
        for group in self.world.groups:
            if any(self._is_target(target.kind, target.term, group) for target in shape.targets):
                yield group

    def _is_target(self, kind: str, term: ox.NamedNode | ox.BlankNode | ox.Literal, group: Group) -> bool:
        match kind:
            case "class":
                return self.world.is_instance(group.nodes, term.value)
            case "subjects":
                return bool(group.statements(term.value))
            case "node":
                return group.term.constant == term.value
        return any(
            made.kind == group.term.kind and made.strings.key == group.term.strings.key
            for other in self.world.groups
            for made in other.statements(term.value)
        )

    def _reaches_context(self, shape: Shape) -> bool:
        """Tell whether the target is among what stands around the mapping, such as static.ttl."""
        for target in shape.targets:
            name = target.term.value
            if target.kind == "class" and self.world.is_instance(self.world.around, name):
                return True
            if target.kind in ("subjects", "objects") and any(name in node.statements for node in self.world.around):
                return True
        return any(node.open for node in self.world.own)

    def _idle(self, shape: Shape) -> Finding:
        names = " | ".join(self.world.vocabulary.shorten(target.term.value) for target in shape.targets)
        place = Place(file=shape.file, rule=shape.describe())
        return finding("MAP-312", place, shape=shape.describe(), wanted=names)

    # --- one shape ----------------------------------------------------------------------------------------------------------

    def _judge(self, shape: Shape, focus: Focus, depth: int) -> Iterator[_Refusal]:
        if shape.deactivated or depth > _DEEP:
            return
        if shape.path is not None:
            yield from self._property(shape, focus, depth)
            return
        yield from (_Refusal(problem, shape, None) for problem in self.values.judge(shape, focus.term))
        yield from self._inside(shape, focus, depth)
        if any(value.value in _TRUE for value in shape.parameters.get("closed", ())):
            yield from self._closed(shape, focus)

    def _inside(self, shape: Shape, focus: Focus, depth: int) -> Iterator[_Refusal]:
        """Follow the shapes that a shape refers to; those of a choice count when none of them can hold."""
        for name in ("property", "node", "and"):
            for inner in self._shapes(shape, name):
                yield from self._judge(inner, focus, depth + 1)
        for name in ("or", "xone"):
            choices = list(self._shapes(shape, name))
            refused = [[r for r in self._judge(inner, focus, depth + 1) if r.problem.sure] for inner in choices]
            if choices and all(refused):
                yield _no_choice(shape, [found[0] for found in refused])

    def _shapes(self, shape: Shape, parameter: str) -> Iterator[Shape]:
        for term in shape.parameters.get(parameter, ()):
            inner = self.shapes.shape(str(term))
            if inner is not None:
                yield inner

    def _closed(self, shape: Shape, focus: Focus) -> Iterator[_Refusal]:
        allowed = {value.value for value in shape.parameters.get("ignoredProperties", ())}
        allowed |= {inner.path.iri for inner in self._shapes(shape, "property") if inner.path}
        for node in focus.sure:
            for predicate, values in node.statements.items():
                if predicate not in allowed:
                    problem = Problem("MAP-310", values[0], given=predicate)
                    yield _Refusal(problem, shape, PropertyPath("predicate", predicate))

    # --- one property -------------------------------------------------------------------------------------------------------

    def _property(self, shape: Shape, focus: Focus, depth: int) -> Iterator[_Refusal]:
        path = shape.path
        if path is None or focus.all is None:
            return
        values = self._follow(path, focus)
        yield from (_Refusal(problem, shape, path) for problem in self._counts(shape, values, focus))
        on_values = replace(shape, path=None, parameters={k: v for k, v in shape.parameters.items() if k != "hasValue"})
        for made in values.sure:
            for refusal in self._value(on_values, made, depth):
                yield replace(refusal, path=refusal.path or path, shape=shape if refusal.shape is on_values else refusal.shape)

    def _value(self, shape: Shape, made: Made, depth: int) -> Iterator[_Refusal]:
        """Judge a value; shapes inside look at the one node it can stand for, when there is only one."""
        yield from (_Refusal(problem, shape, None) for problem in self.values.judge(shape, made))
        nodes = self.world.reached(made)
        sure = nodes if nodes is not None and len(nodes) == 1 else ()
        yield from self._inside(shape, Focus(made, sure, nodes or None), depth)

    def _counts(self, shape: Shape, values: Values, focus: Focus) -> Iterator[Problem]:
        parameters = shape.parameters
        least, most = _integer(parameters.get("minCount")), _integer(parameters.get("maxCount"))
        wanted = parameters.get("hasValue", ())
        if not values.unknown:
            if not values.all and (least or wanted):
                yield Problem("MAP-308", None, advice=self._how(shape))
                return
            for value in wanted:
                if not any(may_be(made, value) for made in values.all):
                    shown = self.world.vocabulary.shorten(value.value) if isinstance(value, ox.NamedNode) else value.value
                    yield Problem("MAP-304", values.all[0], shown, " | ".join(made.strings.shown for made in values.all[:3]))
            yield from self._qualified(shape, values)
        if most is not None:
            yield from self._too_many(most, values)

    def _too_many(self, most: int, values: Values) -> Iterator[Problem]:
        if most == 0:
            yield from (Problem("MAP-310", made) for made in values.sure)
            return
        constants = {
            (made.kind, made.constant, made.languages, made.datatypes): made
            for made in values.sure
            if made.sure and made.constant is not None
        }
        if len(constants) > most:
            listed = ", ".join(made.strings.shown for made in constants.values())
            yield Problem("MAP-309", list(constants.values())[most], str(most), listed)
        for made in values.sure:
            if made.many:
                names = ", ".join(made.references)
                given = Text(f"plusieurs valeurs possibles ({names})", f"possibly several values ({names})")
                yield Problem("MAP-309", made, str(most), given, sure=False)

    def _qualified(self, shape: Shape, values: Values) -> Iterator[Problem]:
        least = _integer(shape.parameters.get("qualifiedMinCount"))
        inner = next(self._shapes(shape, "qualifiedValueShape"), None)
        if not least or inner is None:
            return
        if all(any(r.problem.sure for r in self._value_by(inner, made)) for made in values.all):
            given = ", ".join(sorted({made.strings.shown for made in values.all})) or "∅"
            yield Problem("MAP-303", values.all[0] if values.all else None, self._asks(inner), given, self._how(shape))

    def _value_by(self, shape: Shape, made: Made) -> Iterator[_Refusal]:
        if shape.path is None:
            yield from self._value(shape, made, 1)

    def _asks(self, shape: Shape) -> str:
        names = [value for name in ("class", "datatype", "nodeKind", "languageIn") for value in shape.parameters.get(name, ())]
        return ", ".join(
            self.world.vocabulary.shorten(value.value) if isinstance(value, ox.NamedNode) else value.value for value in names
        )

    def _how(self, shape: Shape) -> Text:
        """Say how the missing property is written."""
        path, parameters = shape.path, shape.parameters
        if path is None or path.operator != "predicate":
            return Text("Ajoutez-la à la règle.", "Add it to the rule.")
        name = self.world.vocabulary.shorten(path.iri)
        datatype = next((value.value for value in parameters.get("datatype", ())), None)
        value = "$(…)"
        if datatype == RDF + "langString" or "languageIn" in parameters:
            value = "$(…), fr~lang"
        elif datatype is not None:
            value = f"$(…), {self.world.vocabulary.shorten(datatype)}"
        elif {"class", "nodeKind", "in"} & parameters.keys():
            value = "…$(…)~iri"
        return Text(f"Ajoutez « - [{name}, {value}] ».", f"Add '- [{name}, {value}]'.")

    # --- paths --------------------------------------------------------------------------------------------------------------

    def _follow(self, path: PropertyPath, focus: Focus) -> Values:
        """Walk a path from a focus (SHACL, section 2.3.1); what repeats is not followed."""
        match path.operator:
            case "predicate":
                return self._step(path.iri, focus)
            case "alternative":
                return _together(self._follow(part, focus) for part in path.parts)
            case "inverse":
                return self._backwards(path, focus)
            case "sequence":
                return self._sequence(path.parts, focus)
        return Values(unknown=True)

    def _step(self, predicate: str, focus: Focus) -> Values:
        found = Values(unknown=focus.all is None or not self.world.complete)
        for node in focus.all or ():
            values = node.statements.get(predicate, ())
            found.all += values
            if node in focus.sure and node.own:
                found.sure += values
            found.unknown = found.unknown or node.open
        return found

    def _backwards(self, path: PropertyPath, focus: Focus) -> Values:
        predicate = path.parts[0].iri if path.parts[0].operator == "predicate" else None
        found = Values(unknown=predicate is None or not self.world.complete)
        for node in (*self.world.own, *self.world.around):
            for made in node.statements.get(predicate or "", ()):
                if made.strings.unknown or focus.term.strings.unknown:
                    found.unknown = True
                elif made.kind == focus.term.kind and made.strings.meets(focus.term.strings):
                    found.all.append(Made(kind=node.kind, strings=node.strings, triples_map=node.name, line=made.line))
        return found

    def _sequence(self, parts: Sequence[PropertyPath], focus: Focus) -> Values:
        values = self._follow(parts[0], focus)
        for part in parts[1:]:
            following = Values(unknown=values.unknown)
            for made in values.all:
                nodes = self.world.reached(made)
                own = nodes if nodes is not None and len(nodes) == 1 and made in values.sure else ()
                inner = self._follow(part, Focus(made, own, nodes))
                following.all += inner.all
                following.sure += inner.sure
                following.unknown = following.unknown or inner.unknown
            values = following
        return values

    # --- words --------------------------------------------------------------------------------------------------------------

    def _finding(self, refusal: _Refusal, group: Group, line: int | None) -> Finding:
        problem, shape = refusal.problem, refusal.shape
        level = _LEVELS.get(shape.severity, Level.ERROR)
        if not problem.sure and level is Level.ERROR:
            level = Level.WARNING
        rule = problem.made.triples_map if problem.made and problem.made.triples_map else group.name
        place = Place(file=self.path, line=line, rule=rule)
        return finding(
            problem.code, place, level=level, path=self._named(refusal.path), shape=shape.describe(), wanted=problem.wanted,
            given=problem.given, advice=problem.advice, rule=rule,
        )  # fmt: skip

    def _named(self, path: PropertyPath | None) -> str | Text:
        if path is None:
            return Text("Le sujet", "The subject")
        return self._written(path)

    def _written(self, path: PropertyPath) -> str:
        match path.operator:
            case "predicate":
                return self.world.vocabulary.shorten(path.iri)
            case "sequence":
                return "/".join(self._written(part) for part in path.parts)
            case "alternative":
                return "|".join(self._written(part) for part in path.parts)
            case "inverse":
                return f"^{self._written(path.parts[0])}"
        return path.label()


def _no_choice(shape: Shape, first: Sequence[_Refusal]) -> _Refusal:
    """Make one problem of a choice where nothing can hold: of the same kind when all choices fail alike."""
    problems = [refusal.problem for refusal in first]
    codes = {(problem.code, problem.made) for problem in problems}
    if len(codes) == 1 and problems[0].made is not None:
        wanted = Text(" ou ".join(_fr(p.wanted) for p in problems), " or ".join(_en(p.wanted) for p in problems))
        return replace(first[0], problem=replace(problems[0], wanted=wanted), shape=shape)
    listed = [refusal.path.label() if refusal.path else refusal.shape.describe() for refusal in first]
    made = next((problem.made for problem in problems if problem.made), None)
    return _Refusal(Problem("MAP-311", made, ", ".join(dict.fromkeys(listed))), shape, None)


def _fr(word: str | Text) -> str:
    return word.fr if isinstance(word, Text) else word


def _en(word: str | Text) -> str:
    return word.en if isinstance(word, Text) else word


def _integer(values: Sequence[ox.NamedNode | ox.BlankNode | ox.Literal] | None) -> int | None:
    return int(values[0].value) if values else None


def _together(several: Iterable[Values]) -> Values:
    found = Values()
    for values in several:
        found.sure += values.sure
        found.all += values.all
        found.unknown = found.unknown or values.unknown
    return found
