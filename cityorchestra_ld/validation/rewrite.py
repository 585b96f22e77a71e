"""Write a shapes graph for an engine: N-Triples where every shape has a name and only chosen shapes have targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import OWL, RDFS, SH
from cityorchestra_ld.validation.forms import form_of
from cityorchestra_ld.validation.graph import FIRST, NIL, REST, TYPE, Node, Term
from cityorchestra_ld.validation.setwise import MARK, Setwise, focus_message, mention_focus
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.vocabulary import TARGETS

SET: Final = "urn:x-cityorchestra:set:"  # shapes that stand for constraints judged set by set
_SEPARATOR: Final = "\x1f"  # between the language and the text of a message, so that it survives every engine
_TARGETS: Final = frozenset(SH + name for name in TARGETS)
_SILENT: Final = frozenset({f"{SH}name", f"{SH}description", f"{SH}order", f"{SH}group", f"{OWL}imports"})


def engine_shapes(
    loaded: ShapesGraph,
    active: Collection[Shape],
    marks: Mapping[str, int] | None = None,
    *,
    ease: bool = False,
    sets: Mapping[str, Setwise] | None = None,
    forms: bool = False,
) -> bytes:
    """
    Write the shapes as N-Triples; only the active ones keep a target.

    With `marks` (shape → number), a marked shape targets the objects of `MARK` + number instead of its own targets. Messages go
    out only where an engine has something to fill in (SPARQL constraints). With `ease`, `sh:class` is written another way where
    nobody sees the difference: the fast engine takes quadratic time when it fails often, as in the members of `sh:or`. `sets`
    (name of a stand-in → constraint) are judged for all marked nodes at once. With `forms`, datatypes whose form engines do not
    look at get a pattern; `forms.settle` turns its results into those of the datatype.
    """
    silent = _silent(loaded) if ease else frozenset()
    apart = {(item.shape, item.constraint) for item in (sets or {}).values()}
    lines = [
        f"{s} {ox.NamedNode(p)} {o} .\n"
        for s, p, o in _triples(loaded, {shape.id for shape in active}, marks, silent)
        if p != f"{SH}sparql" or (str(s), str(o)) not in apart
    ]
    patterns = {shape.id: form_of(shape) for shape in loaded.shapes.values()} if forms else {}
    lines += [f"{name} <{SH}pattern> {ox.Literal(form)} .\n" for name, form in patterns.items() if form is not None]
    for name, item in (sets or {}).items():
        lines += [f"{s} {ox.NamedNode(p)} {o} .\n" for s, p, o in _stand_in(loaded, name, item, (marks or {})[item.shape])]
    return "".join(lines).encode()


def _stand_in(loaded: ShapesGraph, name: str, item: Setwise, mark: int) -> Iterator[tuple[Node, str, Term]]:
    shape, constraint = ox.NamedNode(name.strip("<>")), ox.NamedNode(f"{name.strip('<>')}:query")
    yield shape, f"{SH}targetNode", ox.NamedNode(MARK)
    yield shape, f"{SH}severity", ox.NamedNode(loaded.shapes[item.shape].severity)
    yield shape, f"{SH}sparql", constraint
    yield constraint, f"{SH}select", ox.Literal(item.select(mark))
    yield constraint, f"{SH}message", ox.Literal(focus_message())
    for subject, value in loaded.graph.pairs(f"{SH}message"):
        if str(subject) == item.constraint and isinstance(value, ox.Literal):
            yield constraint, f"{SH}message", ox.Literal(mention_focus(_tagged(value).value))


def name_sets(found: Collection[Setwise]) -> dict[str, Setwise]:
    """Name the stand-ins of constraints that are judged set by set."""
    return {f"<{SET}{number}>": item for number, item in enumerate(found)}


def _triples(
    loaded: ShapesGraph, active: Collection[str], marks: Mapping[str, int] | None, silent: Collection[str]
) -> Iterator[tuple[Node, str, Term]]:
    for number, (subject, predicate, value) in enumerate(loaded.graph):
        identity = str(subject)
        shape = loaded.shape(identity)
        if predicate in _SILENT:
            continue
        if shape is None:
            yield subject, predicate, _tagged(value) if predicate == f"{SH}message" else value
        elif predicate == f"{SH}class" and identity in silent:
            yield from _class_as_path(subject, value, number)
        elif not _is_left_out(predicate, value, own_targets=identity in active and identity not in (marks or {})):
            yield subject, predicate, value
    for identity, mark in (marks or {}).items():
        if identity in active:
            yield ox.NamedNode(identity[1:-1]), f"{SH}targetObjectsOf", ox.NamedNode(f"{MARK}{mark}")


def _silent(loaded: ShapesGraph) -> frozenset[str]:
    """Return the shapes whose own results never are reported: they only decide for a shape that refers to them."""
    loud = {shape.id for shape in loaded.shapes.values() if shape.targets}
    todo = list(loud)
    while todo:
        shape = loaded.shapes[todo.pop()]
        for term in shape.parameters.get("property", ()):
            if str(term) not in loud and str(term) in loaded.shapes:
                loud.add(str(term))
                todo.append(str(term))
    return frozenset(loaded.shapes) - loud


def _class_as_path(subject: Node, value: Term, number: int) -> Iterator[tuple[Node, str, Term]]:
    """Write `sh:class C` as: a walk along rdf:type and rdfs:subClassOf meets C."""
    shape = ox.NamedNode(f"urn:x-cityorchestra:class:{number}")
    first, second, star = (ox.BlankNode(f"class{number}{part}") for part in "abc")
    yield subject, f"{SH}property", shape
    yield shape, f"{SH}path", first
    yield shape, f"{SH}hasValue", value
    yield from ((first, FIRST, ox.NamedNode(TYPE)), (first, REST, second), (second, FIRST, star), (second, REST, NIL))
    yield star, f"{SH}zeroOrMorePath", ox.NamedNode(f"{RDFS}subClassOf")


def _is_left_out(predicate: str, value: Term, *, own_targets: bool) -> bool:
    if predicate == f"{SH}message":
        return True
    return not own_targets and (predicate in _TARGETS or (predicate == TYPE and value == ox.NamedNode(f"{RDFS}Class")))


def _tagged(value: Term) -> Term:
    return ox.Literal(f"{value.language or ''}{_SEPARATOR}{value.value}") if isinstance(value, ox.Literal) else value


def untag(messages: Collection[str]) -> dict[str, str]:
    """Return messages that an engine filled in, by language."""
    found: dict[str, str] = {}
    for message in messages:
        language, separator, text = message.partition(_SEPARATOR)
        found.setdefault(language.lower().split("-")[0] if separator else "", text if separator else message)
    return found
