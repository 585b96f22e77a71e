"""The syntax rules of SHACL for one shape, as data and a few functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import RDF, RDFS, SH, XSD
from cityorchestra_ld.validation.graph import TYPE, BrokenListError, Graph, Node, Term
from cityorchestra_ld.validation.paths import BrokenPathError, read_path
from cityorchestra_ld.validation.vocabulary import NODE_KINDS, PARAMETERS, Parameter

Fault = tuple[Text, str]


def _is_literal_of(*datatypes: str) -> Callable[[Term], bool]:
    return lambda term: isinstance(term, ox.Literal) and term.datatype.value in datatypes


_is_string = _is_literal_of(f"{XSD}string")
_is_text = _is_literal_of(f"{XSD}string", f"{RDF}langString")


def _is_iri(term: Term) -> bool:
    return isinstance(term, ox.NamedNode)


def _is_node(term: Term) -> bool:
    return not isinstance(term, ox.Literal)


def _is_integer(term: Term) -> bool:
    return _is_literal_of(f"{XSD}integer")(term) and re.fullmatch(r"[+-]?[0-9]+", term.value) is not None


def _is_boolean(term: Term) -> bool:
    return _is_literal_of(f"{XSD}boolean")(term) and term.value in ("true", "false", "1", "0")


def _is_node_kind(term: Term) -> bool:
    return isinstance(term, ox.NamedNode) and term.value.removeprefix(SH) in NODE_KINDS


_Check = tuple[Callable[[Term], bool], Text]
_EXPECT: Final[dict[str, _Check]] = {
    "iri": (_is_iri, Text("un IRI", "an IRI")),
    "term": (lambda term: True, Text("un terme", "a term")),
    "literal": (lambda term: isinstance(term, ox.Literal), Text("un littéral", "a literal")),
    "integer": (_is_integer, Text("un entier (xsd:integer)", "an integer (xsd:integer)")),
    "boolean": (_is_boolean, Text("true ou false", "true or false")),
    "string": (_is_string, Text("un texte sans langue", "a plain string")),
    "text": (_is_text, Text("un texte", "a text")),
    "shape": (_is_node, Text("une forme", "a shape")),
    "property-shape": (_is_node, Text("une forme de propriété", "a property shape")),
    "constraint": (_is_node, Text("une contrainte SPARQL", "a SPARQL constraint")),
    "node-kind": (_is_node_kind, Text("une des six sortes de nœuds", "one of the six node kinds")),
    "iri-or-literal": (lambda term: not isinstance(term, ox.BlankNode), Text("un IRI ou un littéral", "an IRI or a literal")),
}
_LISTS: Final[dict[str, str]] = {"shapes": "shape", "iris": "iri", "strings": "string", "terms": "term"}


def faults(graph: Graph, node: Node) -> Iterator[Fault]:
    """Return what breaks the syntax rules on one shape (SHACL, appendix A), each with the property at fault."""
    is_property = _is_property_shape(graph, node)
    yield from _path_faults(graph, node, is_property=is_property)
    yield from _type_faults(graph, node, is_property=is_property)
    for name, rule in PARAMETERS.items():
        values = graph.objects(node, SH + name)
        if not values:
            continue
        if rule.single and len(values) > 1:
            yield Text(f"sh:{name} est donné {len(values)} fois.", f"sh:{name} is given {len(values)} times."), f"sh:{name}"
        if rule.property_only and not is_property:
            yield (
                Text(
                    f"sh:{name} n'a de sens que sur une forme de propriété (avec sh:path).",
                    f"sh:{name} only makes sense on a property shape (with sh:path).",
                ),
                f"sh:{name}",
            )
        for value in values:
            yield from _value_faults(graph, name, rule, value)
    yield from _company_faults(graph, node)


def _is_property_shape(graph: Graph, node: Node) -> bool:
    return (
        bool(graph.objects(node, f"{SH}path"))
        or ox.NamedNode(f"{SH}PropertyShape") in graph.objects(node, TYPE)
        or bool(graph.referrers(node, f"{SH}property"))
    )


def _path_faults(graph: Graph, node: Node, *, is_property: bool) -> Iterator[Fault]:
    found = graph.objects(node, f"{SH}path")
    if is_property and len(found) != 1:
        yield (
            Text(
                f"Une forme de propriété a un sh:path et un seul ; ici {len(found)}.",
                f"A property shape has exactly one sh:path; here {len(found)}.",
            ),
            "sh:path",
        )
    for path in found:
        try:
            read_path(graph, path)
        except BrokenPathError:
            yield Text("Le chemin (sh:path) n'est pas bien formé.", "The path (sh:path) is not well-formed."), "sh:path"


def _type_faults(graph: Graph, node: Node, *, is_property: bool) -> Iterator[Fault]:
    types = {term.value for term in graph.objects(node, TYPE)}
    if is_property and f"{SH}NodeShape" in types:
        yield (
            Text(
                "Une forme est de nœud ou de propriété, pas les deux.", "A shape is a node shape or a property shape, not both."
            ),
            "rdf:type",
        )
    if f"{RDFS}Class" in types and isinstance(node, ox.BlankNode):
        yield Text("Une forme qui est aussi une classe a un IRI.", "A shape that is also a class has an IRI."), "rdf:type"
    if graph.referrers(node, f"{SH}node") and graph.objects(node, f"{SH}path"):
        yield (
            Text("sh:node attend une forme de nœud, sans sh:path.", "sh:node expects a node shape, without sh:path."),
            "sh:node",
        )


def _value_faults(graph: Graph, name: str, rule: Parameter, value: Term) -> Iterator[Fault]:
    values, expect = [value], rule.expect
    if rule.expect in _LISTS:
        expect = _LISTS[rule.expect]  # type: ignore[assignment]
        try:
            values = graph.items(value)
        except BrokenListError:
            yield (
                Text(f"sh:{name} attend une liste bien formée ( … ).", f"sh:{name} expects a well-formed list ( … )."),
                f"sh:{name}",
            )
            return
    accepts, expected = _EXPECT[expect]
    for item in values:
        if not accepts(item):
            yield (
                Text(f"sh:{name} attend {expected.fr}, pas {item}.", f"sh:{name} expects {expected.en}, not {item}."),
                f"sh:{name}",
            )


def _company_faults(graph: Graph, node: Node) -> Iterator[Fault]:
    """Rules about properties that need one another."""
    counts = [name for name in ("qualifiedMinCount", "qualifiedMaxCount") if graph.objects(node, SH + name)]
    if graph.objects(node, f"{SH}qualifiedValueShape") and not counts:
        yield (
            Text(
                "sh:qualifiedValueShape demande sh:qualifiedMinCount ou sh:qualifiedMaxCount.",
                "sh:qualifiedValueShape needs sh:qualifiedMinCount or sh:qualifiedMaxCount.",
            ),
            "sh:qualifiedValueShape",
        )
    if graph.objects(node, f"{SH}flags") and not graph.objects(node, f"{SH}pattern"):
        yield Text("sh:flags demande sh:pattern.", "sh:flags needs sh:pattern."), "sh:flags"
    for constraint in graph.objects(node, f"{SH}sparql"):
        queries = graph.objects(constraint, f"{SH}select")
        if len(queries) != 1 or not _is_string(queries[0]):
            yield (
                Text("Une contrainte SPARQL a un sh:select et un seul.", "A SPARQL constraint has exactly one sh:select."),
                "sh:sparql",
            )
    languages = graph.objects(node, f"{SH}message")
    tags = [m.language for m in languages if isinstance(m, ox.Literal)]
    if len(tags) != len(set(tags)):
        yield Text("Deux sh:message dans la même langue.", "Two sh:message in the same language."), "sh:message"
