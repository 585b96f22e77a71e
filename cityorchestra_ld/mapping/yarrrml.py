"""Translate YARRRML (https://w3id.org/yarrrml/spec/) to RML quads that remember their line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.mapping.yaml_ import Value, nearest, read_yaml
from cityorchestra_ld.mapping.yarrrml_sources import Sources
from cityorchestra_ld.mapping.yarrrml_terms import GREL, IDLAB, PREDEFINED, TermType, Vocabulary
from cityorchestra_ld.mapping.yarrrml_writer import FUNCTION_KEYS, TERM_KEYS, Parameter, Side, Writer, refuse_targets
from cityorchestra_ld.namespaces import FN, RDF, RDFS, RML

CONDITION: Final = FN + "condition"

_ROOT: Final = {name: name for name in ("prefixes", "base", "sources", "mappings", "authors", "external", "targets")} | {
    "prefix": "prefixes", "mapping": "mappings", "source": "sources", "author": "authors", "target": "targets",
}  # fmt: skip
_GRAPHS: Final = {"graphs": "graphs", "graph": "graphs", "g": "graphs"}
_CONDITION: Final = {"condition": "condition", "conditions": "condition"}
_MAPPING: Final = _GRAPHS | _CONDITION | {
    "sources": "sources", "source": "sources", "subjects": "subjects", "subject": "subjects", "s": "subjects",
    "predicateobjects": "predicateobjects", "predicateobject": "predicateobjects", "po": "predicateobjects",
    "targets": "targets", "target": "targets", "t": "targets",
}  # fmt: skip
_PO: Final = _GRAPHS | _CONDITION | {
    "predicates": "predicates", "predicate": "predicates", "p": "predicates",
    "objects": "objects", "object": "objects", "o": "objects",
    "inversepredicates": "inversepredicates", "inversepredicate": "inversepredicates", "i": "inversepredicates",
}  # fmt: skip
_LINK: Final = _CONDITION | {"mapping": "mapping", "mappings": "mapping", "m": "mapping"} | TERM_KEYS
_EQUAL: Final = frozenset({IDLAB + "equal", FN + "equal", FN + "equals", GREL + "string_equals"})
_AND: Final = frozenset({GREL + "boolean_and", FN + "and"})


def translate(text: str, *, base_iri: str, path: Path) -> tuple[list[ox.Quad], dict[str, int]]:
    """
    Translate a YARRRML document to quads of RML (http://w3id.org/rml/), with the line of every node by its IRI.

    A condition on a mapping or on a predicate-object is `fn:condition`, from the triples map or predicate-object map to an
    expression map with a function execution. MappingError names line and column.
    """
    document = read_yaml(text, path)
    root = document.known("document", _ROOT)
    refuse_targets(root)
    prefixes = PREDEFINED | _texts(root.get("prefixes"), "prefixes")
    base = root["base"].as_text("base") if "base" in root else base_iri
    writer = Writer(
        base if base.endswith("#") else f"{base}mapping#", Vocabulary(prefixes, _texts(root.get("external"), "external"))
    )
    try:
        ox.NamedNode(writer.base)
    except ValueError as error:
        raise root.get("base", document).error(
            f"« base » n’est pas une adresse : {base}.", f"'base' is not an IRI: {base}."
        ) from error
    if "mappings" not in root or not root["mappings"].as_mapping("mappings"):
        raise MappingError(
            Text("Ce document n’a aucune correspondance (« mappings »).", "This document has no mappings."),
            place=Place(file=str(path), line=1),
        )
    sources = Sources(writer, root["sources"].as_mapping("sources") if "sources" in root else {})
    sources.check()
    _Translator(writer, sources, path, root["mappings"]).run()
    return writer.quads, writer.lines


def _texts(value: Value | None, what: str) -> dict[str, str]:
    return {key: member.as_text(what) for key, member in value.as_mapping(what).items()} if value is not None else {}


@dataclass(slots=True)
class _Translator:
    writer: Writer
    sources: Sources
    path: Path
    document: Value  # the value of `mappings`
    entries: dict[str, dict[str, Value]] = field(default_factory=dict)
    maps: dict[str, list[ox.NamedNode]] = field(default_factory=dict)

    def run(self) -> None:
        for key, written in self.document.as_mapping("mappings").items():
            value = replace(written, line=self.document.keys[key][0], column=self.document.keys[key][1])
            self.entries[key] = value.known(key, _MAPPING)
            refuse_targets(self.entries[key])
            self._triples_maps(key, value)
        for key, entries in self.entries.items():
            if "predicateobjects" in entries:
                self._predicate_objects(key, entries["predicateobjects"])

    def _triples_maps(self, key: str, value: Value) -> None:
        """Write one triples map for each source and subject."""
        entries = self.entries[key]
        sources = self.sources.of(value, key, entries.get("sources"))
        subjects: list[Value | None] = list(entries["subjects"].as_list()) if "subjects" in entries else []
        self.maps[key] = []
        for source in sources:
            for subject in subjects or [None]:
                number = len(self.maps[key]) + 1
                node = self.writer.node(value, key if number == 1 else f"{key}.{number}", kind="TriplesMap")
                self.maps[key].append(node)
                self.writer.add(node, RDFS + "label", f"{self.path.name}#{key}")
                self.writer.add(node, "logicalSource", source)
                self._subject(node, subject, value)
                self._condition(node, entries["condition"].as_list() if "condition" in entries else ())

    def _subject(self, triples_map: ox.NamedNode, subject: Value | None, mapping: Value) -> None:
        node = self.writer.below(triples_map, subject or mapping, "subject", kind="SubjectMap")
        self.writer.add(triples_map, "subjectMap", node)
        if subject is None:  # YARRRML section 'Subjects': no subject means a blank node for each record
            self.writer.add(node, "termType", ox.NamedNode(RML + "BlankNode"))
        else:
            self.writer.term_map(node, subject, "subjects")
        self._graphs(node, mapping.known("mapping", _MAPPING).get("graphs"))

    def _graphs(self, node: ox.NamedNode, graphs: Value | None) -> None:
        for number, graph in enumerate(graphs.as_list() if graphs else (), 1):
            name = self.writer.below(node, graph, "graph", number, kind="GraphMap")
            self.writer.add(node, "graphMap", name)
            self.writer.term_map(name, graph, "graphs")

    def _condition(self, node: ox.NamedNode, members: tuple[Value, ...]) -> None:
        """Write a condition; several must all hold, as one `and`."""
        if not members:
            return
        name = self.writer.below(node, members[0], "condition", kind="ExpressionMap")
        self.writer.add(node, CONDITION, name)
        if len(members) == 1:
            self.writer.function(name, _call(members[0]))
            return
        execution = self.writer.below(name, members[0], "function", kind="FunctionExecution")
        self.writer.add(name, "functionExecution", execution)
        self.writer.add(execution, "function", ox.NamedNode(GREL + "boolean_and"))
        for number, member in enumerate(members, 1):
            given = self.writer.below(execution, member, "input", number, kind="Input")
            self.writer.add(execution, "input", given)
            self.writer.add(given, "parameter", ox.NamedNode(GREL + "param_rep_b"))
            value = self.writer.below(given, member, "value", kind="InputValueMap")
            self.writer.add(given, "inputValueMap", value)
            self.writer.function(value, _call(member))

    # --- predicates and objects -----------------------------------------------------------------------------------------------

    def _predicate_objects(self, key: str, value: Value) -> None:
        members = value.as_list()
        if value.items is not None and members and members[0].text is not None:  # one [p, o] without the outer list
            members = (value,)
        for number, member in enumerate(members, 1):
            if member.items is not None:
                if len(member.items) not in (2, 3):
                    raise member.error(
                        "Une paire s’écrit [prédicat, objet] ou [prédicat, objet, type ou langue].",
                        "A pair is written [predicate, object] or [predicate, object, datatype or language].",
                    )
                third = member.items[2] if len(member.items) == 3 else None
                self._pair(key, number, member, {"predicates": member.items[0], "objects": member.items[1]}, third)
            else:
                self._pair(key, number, member, member.known("predicateobjects", _PO), None)

    def _pair(self, key: str, number: int, value: Value, entries: dict[str, Value], third: Value | None) -> None:
        if "inversepredicates" in entries:
            raise entries["inversepredicates"].error(
                "Les prédicats inverses ne sont pas pris en charge.", "Inverse predicates are not supported.",
                hint=Text("Écrivez une seconde correspondance.", "Write a second mapping."),
            )  # fmt: skip
        for name in ("predicates", "objects"):
            if name not in entries or not entries[name].as_list():
                raise value.error(f"Il manque « {name} ».", f"'{name}' is missing.")
        predicates = entries["predicates"].as_list()
        is_type = any(self._is_type(predicate) for predicate in predicates)
        shared: ox.NamedNode | None = None
        for place, member in enumerate(entries["objects"].as_list(), 1):
            own = _own_condition(member)
            if own:
                node = self._pair_node(key, (number, "when", place), member, entries, own)
            else:
                node = shared = shared or self._pair_node(key, (number,), value, entries, ())
            self._object(node, place, member, third, "IRI" if is_type else "Literal")

    def _pair_node(
        self, key: str, path: tuple[str | int, ...], value: Value, entries: dict[str, Value], own: tuple[Value, ...]
    ) -> ox.NamedNode:
        node = self.writer.node(value, key, "po", *path, kind="PredicateObjectMap")
        for triples_map in self.maps[key]:
            self.writer.add(triples_map, "predicateObjectMap", node)
        for number, predicate in enumerate(entries["predicates"].as_list(), 1):
            name = self.writer.below(node, predicate, "predicate", number, kind="PredicateMap")
            self.writer.add(node, "predicateMap", name)
            if predicate.text == "a":
                self.writer.add(name, "constant", ox.NamedNode(RDF + "type"))
            else:
                self.writer.term_map(name, predicate, "predicates")
        self._graphs(node, entries.get("graphs"))
        self._condition(node, (entries["condition"].as_list() if "condition" in entries else ()) + own)
        return node

    def _is_type(self, predicate: Value) -> bool:
        if predicate.text is None:
            return False
        return (
            predicate.text == "a" or self.writer.vocabulary.term(predicate, "predicates", iri=True)[0].constant == RDF + "type"
        )

    def _object(self, pair: ox.NamedNode, number: int, value: Value, third: Value | None, default: TermType) -> None:
        if value.items is not None:
            if len(value.items) != 2 or third is not None:
                raise value.error(
                    "Un objet s’écrit [valeur, type ou langue].", "An object is written [value, datatype or language]."
                )
            value, third = value.items
        if value.entries is not None and value.entries.keys() & {"mapping", "mappings", "m"} and not _calls(value):
            self._link(pair, number, value)
            return
        node = self.writer.below(pair, value, "object", number, kind="ObjectMap")
        self.writer.add(pair, "objectMap", node)
        self.writer.object_map(node, value, third, default)

    # --- links to other mappings ----------------------------------------------------------------------------------------------

    def _link(self, pair: ox.NamedNode, number: int, value: Value) -> None:
        """Write an object that is the subject of another mapping (RML-Core, section 'Referencing object maps')."""
        entries = value.known("objects", _LINK)
        name = entries["mapping"].as_text("mapping")
        if name not in self.maps:
            raise entries["mapping"].error(
                f"La correspondance « {name} » n’existe pas.",
                f"The mapping '{name}' does not exist.",
                hint=nearest(name, self.maps),
            )
        pairs = [pair for condition in (entries["condition"].as_list() if "condition" in entries else ())
                 for pair in self._equalities(condition)]  # fmt: skip
        for target_number, parent in enumerate(self.maps[name], 1):
            path = ("object", number) if target_number == 1 else ("object", number, target_number)
            node = self.writer.below(pair, value, *path, kind="RefObjectMap")
            self.writer.add(pair, "objectMap", node)
            self.writer.add(node, "parentTriplesMap", parent)
            for join_number, (child, of_parent) in enumerate(pairs, 1):
                join = self.writer.below(node, child, "join", join_number, kind="Join")
                self.writer.add(node, "joinCondition", join)
                self._join_side(join, "child", "ChildMap", child)
                self._join_side(join, "parent", "ParentMap", of_parent)

    def _join_side(self, join: ox.NamedNode, side: str, kind: str, value: Value) -> None:
        if value.text is not None:
            template, _ = self.writer.vocabulary.term(value, "value", iri=False)
            if template.reference is not None:
                self.writer.add(join, side, template.reference)
                return
        node = self.writer.below(join, value, side, kind=kind)
        self.writer.add(join, f"{side}Map", node)
        self.writer.input_value(node, value)

    def _equalities(self, condition: Value) -> list[tuple[Value, Value]]:
        """Return the pairs (child, parent) that must be equal; a conjunction is all of its parts."""
        entries = condition.known("condition", FUNCTION_KEYS | {"mapping": "mapping"})
        if "function" not in entries:
            raise condition.error("Une condition est une fonction.", "A condition is a function.")
        function, parameters = self.writer.call(entries)
        if function in _AND:
            return [pair for parameter in parameters for pair in self._equalities(parameter.value)]
        if function not in _EQUAL or len(parameters) != 2:
            raise entries["function"].error(
                "Deux correspondances se joignent par l’égalité de deux valeurs.",
                "Two mappings are joined on two equal values.",
                hint=Text(
                    "Écrivez function: equal, [str1, $(ici), s], [str2, $(là-bas), o] ; une valeur peut être une fonction.",
                    "Write function: equal, [str1, $(here), s], [str2, $(there), o]; a value can be a function.",
                ),
            )
        return [self._sides(condition, parameters)]

    def _sides(self, condition: Value, parameters: list[Parameter]) -> tuple[Value, Value]:
        first, second = parameters
        if first.iri == GREL + "valueParameter2":
            first, second = second, first
        one, two = self._side(first), self._side(second)
        if one is not None and one == two:
            raise condition.error(
                "Les deux valeurs viennent du même côté.",
                "Both values come from the same side.",
                hint=Text(
                    "Marquez l’une par s (ici) et l’autre par o (là-bas).",
                    "Mark one with s (here) and the other with o (there).",
                ),
            )
        return (second.value, first.value) if one == "o" or two == "s" else (first.value, second.value)

    def _side(self, parameter: Parameter) -> Side | None:
        """Return the side that a value comes from; a function comes from where its own parameters come from."""
        if parameter.side is not None or parameter.value.entries is None:
            return parameter.side
        entries = parameter.value.known("value", TERM_KEYS | {"mapping": "mapping"})
        if "function" not in entries:
            return None
        sides = {self._side(inner) for inner in self.writer.call(entries)[1]} - {None}
        if len(sides) > 1:
            raise parameter.value.error(
                "Une fonction de jointure prend ses valeurs d’un seul côté.",
                "A function in a join takes its values from one side.",
            )
        return next(iter(sides), None)


def _calls(value: Value) -> bool:
    return bool((value.entries or {}).keys() & {"function", "fn", "f"})


def _own_condition(value: Value) -> tuple[Value, ...]:
    """Return the condition of a single object; that of a link is its join, not a condition."""
    entries = value.entries or {}
    if entries.keys() & {"mapping", "mappings", "m"}:
        return ()
    return entries["condition"].as_list() if "condition" in entries else ()


def _call(value: Value) -> dict[str, Value]:
    entries = value.known("condition", FUNCTION_KEYS)
    if "function" not in entries:
        raise value.error(
            "Une condition est une fonction.", "A condition is a function.",
            hint=Text("Par exemple function: fn:isNotNull, parameters: [[fn:value, $(code)]].",
                      "For example function: fn:isNotNull, parameters: [[fn:value, $(code)]]."),
        )  # fmt: skip
    return entries
