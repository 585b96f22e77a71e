"""Read a mapping document (RML-Core, RML-IO, RML-LV, RML-FNML, and older vocabularies; or YARRRML) into a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.mapping.plan import (
    Expression,
    Field,
    Join,
    JoinCondition,
    LogicalSource,
    Plan,
    PredicateObject,
    Reference,
    TermMap,
    TriplesMap,
    View,
    ViewJoin,
    references,
)
from cityorchestra_ld.mapping.rml_sources import read_source
from cityorchestra_ld.mapping.rml_targets import read_targets
from cityorchestra_ld.mapping.rml_terms import Role, TermReader
from cityorchestra_ld.mapping.vocabulary import CONDITION, Document, Node, Term, read_turtle, short_name
from cityorchestra_ld.namespaces import RDF, RML

_TYPE = RDF + "type"


def read_mapping(path: Path, *, base_iri: str) -> Plan:
    """Read a mapping, YARRRML when it ends with .yml or .yaml and else RML in Turtle; raise MappingError with line and rule."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(
            Text("La correspondance ne peut pas être lue.", "The mapping cannot be read."),
            place=Place(file=str(path)),
            hint=Text("Le fichier doit exister et être en UTF-8.", "The file must exist and be UTF-8."),
        ) from error
    if path.suffix in (".yml", ".yaml"):
        from cityorchestra_ld.mapping.yarrrml import translate

        quads, lines = translate(text, base_iri=base_iri, path=path)
        document = Document(path, quads, lines, empty_is_null=True)
    else:
        document = read_turtle(text, path=path, base_iri=base_iri)
    return Reader(document, base_iri).plan()


class Reader:
    """Turns the nodes of one document into the values of a plan."""

    def __init__(self, document: Document, base_iri: str) -> None:
        self.document = document
        self.base_iri = base_iri
        self.terms = TermReader(document, base_iri)
        self.names: dict[Node, str] = {}
        self.logical: dict[str, LogicalSource] = {}
        self.views: dict[str, View] = {}

    # --- the whole document -------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Read everything; raise MappingError for the first thing that is wrong."""
        nodes = self._triples_maps()
        if not nodes:
            raise self.document.error(
                "La correspondance ne contient aucune règle (rml:TriplesMap).", "The mapping has no rule (rml:TriplesMap)."
            )
        taken = Counter(short_name(node) for node in nodes)
        self.names = {node: short_name(node) if taken[short_name(node)] == 1 else node.value for node in nodes}
        maps = tuple(self._triples_map(node) for node in nodes)
        self._check_cycles()
        plan = Plan(
            path=self.document.path, base_iri=self.base_iri, maps=maps, logical=self.logical, views=self.views,
            targets=read_targets(self.document),
        )  # fmt: skip
        return replace(plan, logical=_with_references(plan))

    def _triples_maps(self) -> list[Node]:
        document = self.document
        typed = set(document.subjects(_TYPE, ox.NamedNode(RML + "TriplesMap")))
        used = set(document.subjects("logicalSource"))
        parents = {value for node in document.order for value in document.all(node, "parentTriplesMap")}
        found = [node for node in document.order if node in typed | used | parents]
        functions = {
            value for node in document.order for value in document.all(node, "http://semweb.mmlab.be/ns/fnml#functionValue")
        }
        return [node for node in found if node not in functions]

    def _triples_map(self, node: Node) -> TriplesMap:
        document = self.document
        document.one(node, "baseIRI")
        base = document.text(node, "baseIRI") or self.base_iri
        subjects = document.all(node, "subject", "subjectMap")
        if len(subjects) != 1:
            raise document.error(
                f"Une règle a un sujet et un seul ; ici {len(subjects)}.",
                f"A rule has one subject, no more and no less; here {len(subjects)}.",
                node,
                hint=Text(
                    "rml:subjectMap dit comment nommer la chose décrite.",
                    "rml:subjectMap says how to name the thing described.",
                ),
            )
        terms = replace_base(self.terms, base)
        shortcut = document.has(node, "subject")
        subject = subjects[0]
        return TriplesMap(
            name=self.names[node],
            iri=node.value,
            source=self._source(node),
            subject=terms.constant(subject, node, Role.SUBJECT) if shortcut else terms.term_map(subject, Role.SUBJECT),
            classes=() if shortcut else tuple(self._class(value, node) for value in document.all(subject, "class")),
            graphs=() if shortcut else terms.maps(subject, "graph", "graphMap", Role.GRAPH),
            predicate_objects=tuple(
                self._predicate_object(pom, node, terms) for pom in document.all(node, "predicateObjectMap")
            ),
            condition=terms.condition(node, CONDITION),
            base_iri=base,
            line=document.line(node),
        )

    def _class(self, value: Term, node: Node) -> str:
        if not isinstance(value, ox.NamedNode):
            raise self.document.error("rml:class attend une IRI.", "rml:class expects an IRI.", node, value=value.value)
        return value.value

    def _predicate_object(self, pom: Term, node: Node, terms: TermReader) -> PredicateObject:
        document = self.document
        predicates = terms.maps(pom, "predicate", "predicateMap", Role.PREDICATE)
        objects = document.all(pom, "objectMap")
        constants = tuple(terms.constant(value, pom, Role.OBJECT) for value in document.all(pom, "object"))
        if not predicates or not (objects or constants):
            raise document.error(
                "Un couple prédicat-objet a au moins un prédicat et un objet.",
                "A predicate-object map has at least one predicate and one object.",
                pom if document.line(pom) else node,
            )
        return PredicateObject(
            predicates=predicates,
            objects=constants + tuple(self._object(value, terms) for value in objects),
            graphs=terms.maps(pom, "graph", "graphMap", Role.GRAPH),
            condition=terms.condition(pom, CONDITION),
            line=document.line(pom),
        )

    def _object(self, node: Term, terms: TermReader) -> TermMap | Join:
        parent = self.document.one(node, "parentTriplesMap")
        if parent is None:
            return terms.term_map(node, Role.OBJECT)
        if parent not in self.names:
            raise self.document.error(
                "rml:parentTriplesMap ne désigne aucune règle.", "rml:parentTriplesMap names no rule.", node, value=parent.value
            )
        conditions = tuple(self._join_condition(value, terms) for value in self.document.all(node, "joinCondition"))
        return Join(
            parent=self.names[parent],  # type: ignore[index]
            conditions=conditions,
            line=self.document.line(node),
            targets=terms.targets(node),
        )

    def _join_condition(self, node: Term, terms: TermReader) -> JoinCondition:
        sides: list[Expression] = []
        for side in ("child", "parent"):
            text = self.document.text(node, side)
            full = self.document.one(node, f"{side}Map")
            expression = (
                terms.reference(text, node) if text is not None else terms.expression(full) if full is not None else None
            )
            if expression is None:
                raise self.document.error(
                    f"La condition de jointure n'a pas de côté rml:{side}.", f"The join condition has no rml:{side}.", node
                )
            sides.append(expression)
        return JoinCondition(child=sides[0], parent=sides[1])

    # --- sources and views --------------------------------------------------------------------------------------------------

    def _source(self, node: Node) -> str:
        source = self.document.one(node, "logicalSource")
        if source is None or isinstance(source, ox.Literal):
            raise self.document.error(
                "La règle ne dit pas d'où viennent ses données (rml:logicalSource).",
                "The rule does not say where its data come from (rml:logicalSource).",
                node,
            )
        return self._abstract_source(source)

    def _abstract_source(self, node: Node) -> str:
        key = node.value
        if key in self.logical or key in self.views:
            return key
        on = self.document.one(node, "viewOn")
        if on is None:
            self.logical[key] = read_source(self.document, node)
            return key
        if isinstance(on, ox.Literal):
            raise self.document.error(
                "rml:viewOn attend une source ou une vue.", "rml:viewOn expects a source or a view.", node
            )
        self.views[key] = View(name=key, on=on.value)  # a cycle finds itself here; `_check_cycles` refuses it
        joins = tuple(
            self._view_join(join, inner=kind == "innerJoin")
            for kind in ("leftJoin", "innerJoin")
            for join in self.document.all(node, kind)
        )
        fields = self._fields(node)
        self.views[key] = View(
            name=key, on=self._abstract_source(on), fields=fields, joins=joins, line=self.document.line(node)
        )
        return key

    def _fields(self, node: Term) -> tuple[Field, ...]:
        fields = tuple(self._field(value) for value in self.document.all(node, "field", "expressionField", "iterableField"))
        twice = [name for name, count in Counter(field.name for field in fields).items() if count > 1]
        if twice:
            raise self.document.error(
                f"Deux champs s'appellent « {twice[0]} ».", f"Two fields are named '{twice[0]}'.", node, value=twice[0]
            )
        return fields

    def _field(self, node: Term) -> Field:
        document = self.document
        name = document.text(node, "fieldName")
        if not name:
            raise document.error("Un champ a un nom (rml:fieldName).", "A field has a name (rml:fieldName).", node)
        iterator = document.text(node, "iterator")
        said = document.one(node, "referenceFormulation")
        formulation = {"JSONPath": "json", "CSV": "csv"}.get(short_name(said)) if said is not None else None
        if said is not None and formulation is None:
            raise document.error(
                "Format du champ non pris en charge.", "The field's format is not supported.", node, value=said.value
            )
        if iterator is not None or said is not None:
            fields = self._fields(node)
            return Field(name=name, iterator=iterator or "$", formulation=formulation, fields=fields)  # type: ignore[arg-type]
        return Field(name=name, expression=self.terms.expression(node), fields=self._fields(node))

    def _view_join(self, node: Term, *, inner: bool) -> ViewJoin:
        parent = self.document.one(node, "parentLogicalView")
        if parent is None or isinstance(parent, ox.Literal) or not self.document.has(parent, "viewOn"):
            raise self.document.error(
                "Une jointure de vues désigne une vue (rml:parentLogicalView).",
                "A join of views names a view (rml:parentLogicalView).",
                node,
            )
        conditions = tuple(self._join_condition(value, self.terms) for value in self.document.all(node, "joinCondition"))
        if not conditions:
            raise self.document.error(
                "Une jointure a au moins une condition (rml:joinCondition).", "A join has at least one rml:joinCondition.", node
            )
        return ViewJoin(parent=self._abstract_source(parent), conditions=conditions, fields=self._fields(node), inner=inner)

    def _check_cycles(self) -> None:
        for start in self.views:
            waiting, seen = [start], set()
            while waiting:
                view = self.views.get(waiting.pop())
                if view is None or view.name in seen:
                    continue
                seen.add(view.name)
                nexts = [view.on, *(join.parent for join in view.joins)]
                if start in nexts:
                    raise self.document.error(
                        "Des vues se définissent l'une par l'autre.", "Views are defined by each other.", ox.NamedNode(start)
                        if ":" in start else None,
                    )  # fmt: skip
                waiting.extend(nexts)


def replace_base(terms: TermReader, base: str) -> TermReader:
    """Return a reader of terms with the base IRI of one triples map."""
    return terms if terms.base_iri == base else TermReader(terms.document, base)


# --- references -------------------------------------------------------------------------------------------------------------


def _term_references(term: TermMap) -> Iterator[str]:
    yield from references(term.expression)
    for extra in (term.datatype, term.language):
        if extra is not None:
            yield from references(extra.expression)


def _map_references(item: TriplesMap) -> Iterator[str]:
    yield from references(item.condition)
    for term in (item.subject, *item.graphs):
        yield from _term_references(term)
    for pair in item.predicate_objects:
        yield from references(pair.condition)
        for term in (*pair.predicates, *pair.graphs):
            yield from _term_references(term)
        for target in pair.objects:
            if isinstance(target, Join):
                for condition in target.conditions:
                    yield from references(condition.child)
            else:
                yield from _term_references(target)


def _field_references(fields: tuple[Field, ...]) -> Iterator[str]:
    """Yield what fields ask of a record; the path of a field inside a field goes through the field around it."""
    for item in fields:
        around = item.iterator
        if around is not None:
            yield around
        elif isinstance(item.expression, Reference):
            around = item.expression.text
        yield from references(item.expression)
        if around is not None and item.iterator is not None:
            for inner in _field_references(item.fields):
                yield around if inner in ("$", "@") else f"{around}.{inner.removeprefix('$.').removeprefix('$')}"


def _asked(plan: Plan) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield each source or view with references that are asked of it."""
    for item in plan.maps:
        yield item.source, _map_references(item)
        for join in (target for pair in item.predicate_objects for target in pair.objects if isinstance(target, Join)):
            parent = plan.triples_map(join.parent)
            yield from ((parent.source, references(condition.parent)) for condition in join.conditions)
    for view in plan.views.values():
        yield view.on, _field_references(view.fields)
        for view_join in view.joins:
            yield from ((view.on, references(condition.child)) for condition in view_join.conditions)


def _with_references(plan: Plan) -> dict[str, LogicalSource]:
    found: dict[tuple[str, str | None], dict[str, None]] = {source.key: {} for source in plan.logical.values()}
    for source, names in _asked(plan):
        if source in plan.logical:
            found[plan.logical[source].key].update(dict.fromkeys(names))
    return {name: replace(source, references=tuple(found[source.key])) for name, source in plan.logical.items()}
