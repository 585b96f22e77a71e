"""SHACL property paths as values: read them, write them as SPARQL, and take them apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import pyoxigraph as ox

from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.validation.graph import BrokenListError, Graph, Term, local_name
from cityorchestra_ld.validation.vocabulary import PATH_STEPS

Operator = Literal["predicate", "inverse", "sequence", "alternative", "star", "plus", "optional"]
_MARKS: Final[dict[Operator, str]] = {"star": "*", "plus": "+", "optional": "?"}
_UNARY: Final[dict[str, Operator]] = {
    "inversePath": "inverse",
    "zeroOrMorePath": "star",
    "oneOrMorePath": "plus",
    "zeroOrOnePath": "optional",
}


class BrokenPathError(ValueError):
    """A node is not a well-formed SHACL property path (SHACL, section 2.3.1)."""


@dataclass(frozen=True, slots=True)
class Path:
    """A property path: a predicate, or an operator over other paths."""

    operator: Operator
    iri: str = ""
    parts: tuple[Path, ...] = ()

    def sparql(self) -> str:
        """
        Write the path in SPARQL syntax.

        >>> Path("inverse", parts=(Path("predicate", "urn:p"),)).sparql()
        '^<urn:p>'
        """
        match self.operator:
            case "predicate":
                return f"<{self.iri}>"
            case "inverse":
                return f"^{self.parts[0]._wrapped()}"
            case "sequence" | "alternative":
                sign = "/" if self.operator == "sequence" else "|"
                return sign.join(
                    part._wrapped() if part.operator in ("sequence", "alternative") else part.sparql() for part in self.parts
                )
            case _:
                return f"{self.parts[0]._wrapped()}{_MARKS[self.operator]}"

    def _wrapped(self) -> str:
        return self.sparql() if self.operator == "predicate" else f"({self.sparql()})"

    @property
    def predicate(self) -> str | None:
        """Return the IRI when the path is one predicate."""
        return self.iri if self.operator == "predicate" else None

    def predicates(self) -> Iterator[str]:
        """Return every predicate of the path, in reading order."""
        if self.operator == "predicate":
            yield self.iri
        for part in self.parts:
            yield from part.predicates()

    def first_step(self) -> tuple[str, bool] | None:
        """Return the first predicate from the focus node and whether it is walked backwards; nothing when several may."""
        match self.operator:
            case "predicate":
                return self.iri, False
            case "inverse":
                inner = self.parts[0].predicate
                return (inner, True) if inner else None
            case "alternative":
                return None
            case _:
                return self.parts[0].first_step()

    def label(self) -> str:
        """Write the path with local names, for people."""
        match self.operator:
            case "predicate":
                return local_name(self.iri)
            case "inverse":
                return f"^{self.parts[0].label()}"
            case "sequence":
                return "/".join(part.label() for part in self.parts)
            case "alternative":
                return "|".join(part.label() for part in self.parts)
            case _:
                return f"{self.parts[0].label()}{_MARKS[self.operator]}"


def read_path(graph: Graph, node: Term, _seen: frozenset[Term] = frozenset()) -> Path:
    """Read a path (SHACL, section 2.3.1); raise BrokenPathError when it is not well-formed or never ends."""
    if isinstance(node, ox.NamedNode):
        return Path("predicate", node.value)
    if isinstance(node, ox.Literal) or node in _seen:
        raise BrokenPathError
    seen = _seen | {node}
    if graph.is_list(node):
        return Path("sequence", parts=_members(graph, node, seen))
    steps = [(name, value) for name in PATH_STEPS for value in graph.objects(node, SH + name)]
    if len(steps) != 1 or len(list(graph.predicates(node))) != 1:
        raise BrokenPathError
    name, value = steps[0]
    if name == "alternativePath":
        return Path("alternative", parts=_members(graph, value, seen))
    return Path(_UNARY[name], parts=(read_path(graph, value, seen),))


def _members(graph: Graph, head: Term, seen: frozenset[Term]) -> tuple[Path, ...]:
    try:
        members = graph.items(head)
    except BrokenListError:
        raise BrokenPathError from None
    if len(members) < 2:
        raise BrokenPathError
    return tuple(read_path(graph, member, seen) for member in members)
