"""The plan: what a mapping says, whatever the vocabulary it was written in; frozen values that every back end compiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pyoxigraph as ox

from cityorchestra_ld.model import SourceSpec

Formulation = Literal["csv", "json"]
Constant = ox.NamedNode | ox.BlankNode | ox.Literal


class TermType(StrEnum):
    """Kinds of generated terms (RML-Core, term types)."""

    IRI = "IRI"
    URI = "URI"
    UNSAFE_IRI = "UnsafeIRI"
    UNSAFE_URI = "UnsafeURI"
    BLANK_NODE = "BlankNode"
    LITERAL = "Literal"

    @property
    def is_iri(self) -> bool:
        """Tell whether the term is an IRI, encoded in whatever way."""
        return self not in (TermType.BLANK_NODE, TermType.LITERAL)


# --- expressions ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant-valued expression."""

    term: Constant


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a column, a JSON value or a field of a view, as written in the mapping."""

    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """Text with references in it."""

    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """Return the references in the order they are written."""
        return tuple(part for part in self.parts if isinstance(part, Reference))


@dataclass(frozen=True, slots=True)
class Input:
    """One argument of a function: the parameter's IRI and the value."""

    parameter: str
    value: Expression


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function of the allow-list with its arguments (RML-FNML)."""

    function: str
    inputs: tuple[Input, ...]
    line: int | None = None


Expression = Fixed | Reference | Template | FunctionCall


def references(expression: Expression | None) -> Iterator[str]:
    """Yield the references of an expression, functions included, in the order they are written."""
    if isinstance(expression, Reference):
        yield expression.text
    elif isinstance(expression, Template):
        yield from (reference.text for reference in expression.references)
    elif isinstance(expression, FunctionCall):
        for item in expression.inputs:
            yield from references(item.value)


# --- sources ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalSource:
    """A file and the way to take records from it; `references` are all that the mapping asks of a record."""

    name: str
    spec: SourceSpec
    formulation: Formulation
    iterator: str | None = None
    references: tuple[str, ...] = ()
    natural: bool = True  # JSON numbers and booleans keep their type; before RML-Core every value was plain text
    line: int | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """Return what makes two logical sources the same: the file and the iterator."""
        return (self.spec.name, self.iterator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a logical view: an expression or, with `iterator`, records inside a record (RML-LV)."""

    name: str
    expression: Expression | None = None
    iterator: str | None = None
    formulation: Formulation | None = None
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCondition:
    """The child value and the parent value that must be equal."""

    child: Expression
    parent: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewJoin:
    """Fields taken from another view."""

    parent: str
    conditions: tuple[JoinCondition, ...]
    fields: tuple[Field, ...]
    inner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A logical view: named fields over a source or over another view (RML-LV)."""

    name: str
    on: str
    fields: tuple[Field, ...] = ()
    joins: tuple[ViewJoin, ...] = ()
    line: int | None = None


# --- rules ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TermMap:
    """How one term is made; `expression` is `None` for a fresh blank node of each record."""

    expression: Expression | None
    type: TermType
    datatype: TermMap | None = None
    language: TermMap | None = None
    line: int | None = None
    targets: tuple[str, ...] = ()  # where statements with this term go; nowhere said: the output of the command


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A file to write statements to (RML-IO): its path below the folder of targets, and how it is written."""

    name: str
    path: str
    serialization: str = "N-Quads"
    encoding: str = "utf-8"
    compression: str = "none"
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """The subjects of another triples map whose records match (RML-Core, referencing object map)."""

    parent: str
    conditions: tuple[JoinCondition, ...] = ()
    line: int | None = None
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PredicateObject:
    """Predicates and objects that go together, under an optional condition."""

    predicates: tuple[TermMap, ...]
    objects: tuple[TermMap | Join, ...]
    graphs: tuple[TermMap, ...] = ()
    condition: FunctionCall | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriplesMap:
    """One rule: a source, a subject, and what is said about it; `name` is short and unique in its plan."""

    name: str
    iri: str
    source: str
    subject: TermMap
    classes: tuple[str, ...] = ()
    graphs: tuple[TermMap, ...] = ()
    predicate_objects: tuple[PredicateObject, ...] = ()
    condition: FunctionCall | None = None
    base_iri: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole mapping document."""

    path: Path
    base_iri: str
    maps: tuple[TriplesMap, ...]
    logical: Mapping[str, LogicalSource] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[LogicalSource, ...]:
        """Return the files that must be read, each file and iterator once."""
        unique = {source.key: source for source in self.logical.values()}
        return tuple(unique.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the files that must be read, each once."""
        return tuple(dict.fromkeys(source.spec.name for source in self.logical.values()))

    def triples_map(self, name: str) -> TriplesMap:
        """Return one triples map by its name."""
        return next(item for item in self.maps if item.name == name)

    def source_key(self, name: str) -> object:
        """Return what makes two sources the same relation: file and iterator, or the view."""
        return self.logical[name].key if name in self.logical else name

    def base_source(self, name: str) -> LogicalSource:
        """Return the file under a source or a view."""
        while name in self.views:
            name = self.views[name].on
        return self.logical[name]
