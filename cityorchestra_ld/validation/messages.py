"""One sentence for each result, in French and English: the author's own, or one for the component with values filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import RDFS, SH, SKOS, XSD
from cityorchestra_ld.validation.data import object_of, triples
from cityorchestra_ld.validation.engines import Row
from cityorchestra_ld.validation.graph import Term, local_name
from cityorchestra_ld.validation.rewrite import untag
from cityorchestra_ld.validation.sentences import SENTENCES
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph, texts
from cityorchestra_ld.validation.state import Reader
from cityorchestra_ld.validation.vocabulary import COMPONENTS
from cityorchestra_ld.validation.words import NODE_KINDS, Words

_SUFFIX: Final = "ConstraintComponent"
_PLACEHOLDER: Final = re.compile(r"\{[?$](\w+)\}")


def short_component(component: str) -> str:
    """
    Return the local name of a component of SHACL; the IRI of any other.

    >>> short_component("http://www.w3.org/ns/shacl#MinCountConstraintComponent")
    'MinCountConstraintComponent'
    """
    return component.removeprefix(SH) if component.startswith(SH) else component


class Messenger:
    """Writes the message of each result."""

    def __init__(self, shapes: ShapesGraph, labels: Mapping[str, Mapping[str, str]]) -> None:
        self.words = Words(shapes, labels)
        self._shapes = shapes

    def message(self, row: Row) -> Text:
        """Say what is wrong: the sentence of the shape's author when there is one, else ours."""
        shape = self._shapes.shape(row.shape)
        if shape is None:
            return Text(*[next(iter(row.messages), local_name(row.component))] * 2)
        own = dict(shape.messages)
        if not own and row.messages and short_component(row.component) not in _CORE:
            own = untag(row.messages)
        ours = self._sentence(row, shape)
        if not own:
            return ours
        plain = own.get("")
        fr, en = own.get("fr") or plain or ours.fr, own.get("en") or plain or ours.en
        value = self._value(row)
        return Text(_fill(fr, value.fr), _fill(en, value.en))

    def title(self, shape: str) -> Text:
        """Say what a shape is about."""
        known = self._shapes.shape(shape)
        return self.words.title(known) if known else Text(local_name(shape), local_name(shape))

    def _value(self, row: Row) -> Text:
        return self.words.term(parse_term(row.value)) if row.value is not None else Text("", "")

    def _sentence(self, row: Row, shape: Shape) -> Text:
        key = short_component(row.component).removesuffix(_SUFFIX)
        parameter = COMPONENTS.get(key + _SUFFIX, row.component)
        values = shape.parameters.get(parameter, ())
        if key in ("MinCount", "MaxCount") and values and f"{key}{values[0].value}" in SENTENCES:
            key += values[0].value
        sentence = SENTENCES.get(key, SENTENCES["SPARQL"])
        what, value = self.words.title(shape), self._value(row)
        wanted, kind = self._wanted(key, values, shape), self._kind(key, row)
        named = self.words.iri(row.path.strip("<>")) if row.path else Text("", "")
        return Text(
            sentence.fr.format(what=what.fr, value=value.fr, wanted=wanted.fr, kind=kind.fr, property=named.fr),
            sentence.en.format(what=what.en, value=value.en, wanted=wanted.en, kind=kind.en, property=named.en),
        )

    def _wanted(self, key: str, values: tuple[Term, ...], shape: Shape) -> Text:
        words = self.words
        match key:
            case "Datatype":
                return words.datatype(values[0].value) if values else Text("", "")
            case "NodeKind":
                return NODE_KINDS.get(local_name(values[0].value), Text("", "")) if values else Text("", "")
            case "Class" | "Equals" | "Disjoint" | "LessThan" | "LessThanOrEquals":
                named = [words.iri(value.value) for value in values]
                return Text(" ou ".join(t.fr for t in named), " or ".join(t.en for t in named))
            case "And" | "Or" | "Xone" | "Not" | "Node":
                return words.choices(values)
            case "QualifiedMinCount" | "QualifiedMaxCount":
                inner = words.choices(shape.parameters.get("qualifiedValueShape", ()))
                return Text(f"{values[0].value} ({inner.fr})", f"{values[0].value} ({inner.en})")
            case _:
                return words.several(values)

    def _kind(self, key: str, row: Row) -> Text:
        if row.value is None or key not in ("Datatype", "NodeKind"):
            return Text("", "")
        term = parse_term(row.value)
        if isinstance(term, ox.NamedNode):
            return NODE_KINDS["IRI"]
        if isinstance(term, ox.BlankNode):
            return NODE_KINDS["BlankNode"]
        shape = self._shapes.shape(row.shape)
        wanted = shape.parameters.get("datatype", ()) if shape else ()
        if key == "Datatype" and any(term.datatype == value for value in wanted):
            return Text("mal écrit", "badly written")
        return self.words.datatype(term.datatype.value)


_CORE: Final = frozenset(COMPONENTS) - {"SPARQLConstraintComponent"}


def _fill(sentence: str, value: str) -> str:
    return _PLACEHOLDER.sub(lambda match: value if match[1] == "value" else match[0], sentence)


@lru_cache(maxsize=4096)
def parse_term(text: str) -> Term:
    """Read one N-Triples term."""
    quad = next(iter(ox.parse(f"<urn:s> <urn:p> {text} .", format=ox.RdfFormat.N_TRIPLES)))
    if isinstance(quad.object, ox.Triple):
        return ox.Literal(str(quad.object), datatype=ox.NamedNode(f"{XSD}string"))
    value: Term = quad.object
    return value


def read_labels(shapes: ShapesGraph, context: Iterable[Path]) -> dict[str, Mapping[str, str]]:
    """Return labels for what shapes name (properties, classes, listed values), from the shapes and from the context."""
    wanted = {f"<{iri}>".encode() for iri in _named(shapes)}
    label_properties = {f"<{RDFS}label>".encode(), f"<{SKOS}prefLabel>".encode()}
    found: dict[str, list[Term]] = {}
    for path in context:
        for subject, predicate, rest in triples(path):
            if predicate in label_properties and subject in wanted:
                found.setdefault(subject[1:-1].decode(), []).append(parse_term(object_of(rest).decode()))
    return {iri: texts(values) for iri, values in found.items()} | dict(shapes.labels)


def labels_in(shapes: ShapesGraph, context: Reader) -> dict[str, Mapping[str, str]]:
    """Return labels for what shapes name, from the shapes and from a context that can be asked."""
    found: dict[str, Mapping[str, str]] = {}
    for iri in set(_named(shapes)):
        node = ox.NamedNode(iri)
        values = [t[2] for name in (f"{RDFS}label", f"{SKOS}prefLabel") for t in context.outgoing(node, name)]
        if values:
            found[iri] = texts(values)
    return found | dict(shapes.labels)


def _named(shapes: ShapesGraph) -> Iterable[str]:
    for shape in shapes.shapes.values():
        if shape.path is not None:
            yield from shape.path.predicates()
        for name in ("class", "in", "hasValue", "equals", "disjoint", "lessThan", "lessThanOrEquals"):
            yield from (value.value for value in shape.parameters.get(name, ()) if isinstance(value, ox.NamedNode))
