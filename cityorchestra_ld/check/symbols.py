"""The symbolic node of each triples map: the classes, and for each property the terms that its rules can make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import pyoxigraph as ox

from cityorchestra_ld.check.expressions import Texts, template_texts, texts_of
from cityorchestra_ld.check.strings import UNKNOWN, Hole, Strings
from cityorchestra_ld.mapping.plan import Fixed, Join, Plan, PredicateObject, Reference, Template, TermMap, TermType, TriplesMap
from cityorchestra_ld.mapping.terms import has_scheme
from cityorchestra_ld.model import SourceSpec
from cityorchestra_ld.namespaces import RDF, REUSED, XSD

TermKind = Literal["iri", "blank", "literal"]
_NATURAL: Final = frozenset({XSD + "string", XSD + "integer", XSD + "double", XSD + "boolean"})
_NAMESPACES: Final = {namespace: prefix for prefix, namespace in REUSED.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """
    A term that a rule can make.

    `datatypes` and `languages` are `None` when only the data decide; `sure` means that every record gives the term.
    """

    kind: TermKind
    strings: Strings
    datatypes: frozenset[str] | None = frozenset()
    languages: frozenset[str] | None = frozenset()
    many: bool = False
    sure: bool = False
    references: tuple[str, ...] = ()
    triples_map: str = ""
    part: str = ""
    line: int | None = None

    @property
    def constant(self) -> str | None:
        """Return the text when there is only one."""
        found = self.strings.constants
        return found[0] if found and len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class ClassSaid:
    """A class that a rule gives to its subjects."""

    iri: str
    triples_map: str
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """What is said of the subjects of one triples map, or of one resource of a file."""

    kind: TermKind
    strings: Strings
    name: str
    line: int | None = None
    source: object = None  # two nodes of one source and the same columns are the same only when their templates are
    classes: list[ClassSaid] = field(default_factory=list)
    statements: dict[str, list[Made]] = field(default_factory=dict)
    open: bool = False  # a property that is only known with the data
    own: bool = True  # of the mapping that is checked, not of what stands around it

    def add(self, predicate: str, made: Made) -> None:
        """Add what a rule says."""
        self.statements.setdefault(predicate, []).append(made)

    def may_be(self, other: Node) -> bool:
        """Tell whether the two may describe the same resource."""
        if self.kind != other.kind:
            return False
        if self.strings.key == other.strings.key and self.strings.key:
            return self.kind == "iri" or self.strings == other.strings
        same_cells = self.source is not None and self.source == other.source
        if same_cells and self.strings.references and self.strings.references == other.strings.references:
            return False
        return self.kind == "iri" and self.strings.meets(other.strings)


class Deriver:
    """Derives the symbolic nodes of one plan; contracts of columns come from the dataset."""

    def __init__(self, plan: Plan, contracts: Mapping[str, SourceSpec], *, own: bool) -> None:
        self.plan = plan
        self.contracts = contracts
        self.own = own

    def nodes(self) -> Iterator[Node]:
        """Yield the node of each triples map, in the order of the mapping."""
        for item in self.plan.maps:
            yield self.node(item)

    def node(self, item: TriplesMap) -> Node:
        """Derive the node of one triples map."""
        subject = self.term(item.subject, item, "subject")
        node = Node(
            kind=subject.kind,
            strings=subject.strings if item.subject.expression is not None else Strings.of(f"_:{item.name}"),
            name=item.name,
            line=subject.line,
            source=self.plan.source_key(item.source),
            own=self.own,
        )
        node.classes += [ClassSaid(iri, item.name, item.subject.line or item.line) for iri in item.classes]
        for pair in item.predicate_objects:
            self._pair(pair, item, node)
        return node

    def _pair(self, pair: PredicateObject, item: TriplesMap, node: Node) -> None:
        for predicate in pair.predicates:
            if not isinstance(predicate.expression, Fixed):
                node.open = True
                continue
            iri = predicate.expression.term.value
            for target in pair.objects:
                sure = pair.condition is None and item.condition is None
                line = target.line or pair.line or item.line
                made = self._made(target, item, short(iri), line, sure=sure)
                if iri == RDF + "type" and made.kind == "iri":
                    constants = made.strings.constants
                    node.open = node.open or constants is None
                    node.classes += [ClassSaid(name, item.name, line) for name in constants or ()]
                node.add(iri, made)

    def _made(self, target: TermMap | Join, item: TriplesMap, part: str, line: int | None, *, sure: bool) -> Made:
        if isinstance(target, TermMap):
            return self.term(target, item, part, line=line, sure=sure)
        parent = self.plan.triples_map(target.parent)
        subject = self.term(parent.subject, parent, "subject")
        strings = subject.strings if parent.subject.expression is not None else Strings.of(f"_:{parent.name}")
        return Made(kind=subject.kind, strings=strings, triples_map=item.name, part=part, line=line)

    # --- terms --------------------------------------------------------------------------------------------------------------

    def term(self, term: TermMap, item: TriplesMap, part: str, *, line: int | None = None, sure: bool = False) -> Made:
        """Derive what one term map can make."""
        found = self._texts(term, item)
        kind = _kind(term)
        made = Made(
            kind=kind,
            strings=self._absolute(found.strings, item) if kind == "iri" else found.strings,
            many=found.many,
            sure=sure and not found.references and term.expression is not None,
            references=found.references,
            triples_map=item.name,
            part=part,
            line=line or term.line or item.line,
        )
        if kind != "literal":
            return made
        return replace(made, datatypes=self._datatypes(term, found, item), languages=_languages(term))

    def _texts(self, term: TermMap, item: TriplesMap) -> Texts:
        expression = term.expression
        if expression is None:
            return Texts(UNKNOWN)
        cell = self.cells(item.source)
        if isinstance(expression, Template):
            return template_texts(expression, cell, encoded=term.type in (TermType.IRI, TermType.URI))
        return texts_of(expression, cell)

    def cells(self, source: str) -> _Cells:
        """Return what is known of the cells of a source."""
        return _Cells(self.contracts.get(self.plan.base_source(source).spec.name) if source in self.plan.logical else None)

    def _absolute(self, strings: Strings, item: TriplesMap) -> Strings:
        """Put the base IRI before what is relative; a text that begins with a cell may be either."""
        if strings.unknown or has_scheme(strings.prefix):
            return strings
        return strings.after(item.base_iri)

    def _datatypes(self, term: TermMap, found: Texts, item: TriplesMap) -> frozenset[str] | None:
        if term.language is not None:
            return frozenset({RDF + "langString"})
        if term.datatype is not None:
            said = term.datatype.expression
            return frozenset({said.term.value}) if isinstance(said, Fixed) else None
        if isinstance(term.expression, Fixed) and isinstance(term.expression.term, ox.Literal):
            return frozenset({term.expression.term.datatype.value})
        if found.datatype is not None:
            return frozenset({found.datatype})
        if isinstance(term.expression, Reference):
            if item.source not in self.plan.logical:
                return None
            source = self.plan.logical[item.source]
            if source.formulation == "json" and source.natural:
                return _NATURAL
        return frozenset({XSD + "string"})


@dataclass(frozen=True, slots=True)
class _Cells:
    contract: SourceSpec | None

    def __call__(self, reference: str) -> Hole:
        columns = self.contract.columns if self.contract else ()
        pattern = next((column.pattern for column in columns if column.name == reference and column.pattern), None)
        return Hole(pattern, reference) if pattern else Hole(reference=reference)


def _kind(term: TermMap) -> TermKind:
    if term.type is TermType.LITERAL:
        return "literal"
    return "blank" if term.type is TermType.BLANK_NODE else "iri"


def _languages(term: TermMap) -> frozenset[str] | None:
    constant = term.expression.term if isinstance(term.expression, Fixed) else None
    if term.language is None:
        tag = constant.language if isinstance(constant, ox.Literal) else None
        return frozenset({tag.lower()}) if tag else frozenset()
    expression = term.language.expression
    return frozenset({expression.term.value.lower()}) if isinstance(expression, Fixed) else None


def short(iri: str) -> str:
    """Write a term with the prefix that everybody uses, when there is one."""
    cut = max(iri.rfind("#"), iri.rfind("/")) + 1
    return f"{_NAMESPACES[iri[:cut]]}:{iri[cut:]}" if iri[:cut] in _NAMESPACES else f"<{iri}>"


def derive(plan: Plan, specs: Sequence[SourceSpec] = (), *, own: bool = True) -> list[Node]:
    """Return the symbolic nodes of a plan."""
    return list(Deriver(plan, {spec.name: spec for spec in specs}, own=own).nodes())
