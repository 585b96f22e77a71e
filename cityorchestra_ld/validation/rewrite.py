"""Write a shapes graph for an engine: N-Triples where every shape has a name and only chosen shapes have targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import OWL, RDFS, SH
from cityorchestra_ld.validation.graph import FIRST, NIL, REST, TYPE, Node, Term
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.vocabulary import TARGETS

MARK: Final = "urn:x-cityorchestra:focus:"  # predicate of the triples that point at chosen focus nodes
_SEPARATOR: Final = "\x1f"  # between the language and the text of a message, so that it survives every engine
_TARGETS: Final = frozenset(SH + name for name in TARGETS)
_SILENT: Final = frozenset({f"{SH}name", f"{SH}description", f"{SH}order", f"{SH}group", f"{OWL}imports"})


def engine_shapes(
    loaded: ShapesGraph, active: Collection[Shape], marks: Mapping[str, int] | None = None, *, ease: bool = False
) -> bytes:
    """
    Write the shapes as N-Triples; only the active ones keep a target.

    With `marks` (shape → number), a marked shape targets the objects of `MARK` + number instead of its own targets. Messages go
    out only where an engine has something to fill in (SPARQL constraints). With `ease`, `sh:class` is written another way where
    nobody sees the difference: the fast engine takes quadratic time when it fails often, as in the members of `sh:or`.
    """
    silent = _silent(loaded) if ease else frozenset()
    triples = _triples(loaded, {shape.id for shape in active}, marks, silent)
    return "".join(f"{s} {ox.NamedNode(p)} {o} .\n" for s, p, o in triples).encode()


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
        elif not _is_left_out(predicate, value, own_targets=identity in active and marks is None):
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
