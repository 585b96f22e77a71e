"""Write triples as compact JSON-LD: the prefixes become the context, each subject becomes one object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import pyoxigraph as ox

from cityorchestra_ld.namespaces import RDF, XSD

Json = dict[str, Any]  # the JSON document itself

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_KEYWORD = re.compile(r"@[A-Za-z]+")


class _Names:
    """Abbreviate IRIs with the prefixes that cannot be mistaken for a scheme that occurs in the data."""

    def __init__(self, prefixes: Mapping[str, str], iris: Iterable[str]) -> None:
        schemes = {match.group(1) for iri in iris if (match := _SCHEME.match(iri))}
        self.context = {name: space for name, space in prefixes.items() if name not in schemes}
        self._spaces = sorted(self.context.items(), key=lambda item: -len(item[1]))
        self._known: dict[str, str] = {}

    def of(self, iri: str) -> str:
        """Return `prefix:name`, or the IRI itself."""
        name = self._known.get(iri)
        if name is None:
            name = self._known[iri] = self._abbreviate(iri)
        return name

    def _abbreviate(self, iri: str) -> str:
        for prefix, space in self._spaces:
            if iri.startswith(space):
                rest = iri[len(space) :]
                return iri if rest.startswith("//") else f"{prefix}:{rest}"
        return iri


def _literal(literal: ox.Literal, names: _Names) -> Any:
    if literal.language:
        value = {"@language": literal.language, "@value": literal.value}
        return value | ({"@direction": str(literal.direction)} if literal.direction else {})
    datatype = literal.datatype.value
    if datatype == f"{XSD}string":
        return literal.value
    if datatype == f"{XSD}boolean" and literal.value in ("true", "false"):
        return literal.value == "true"
    if datatype == f"{XSD}integer" and _INTEGER.fullmatch(literal.value) and literal.value != "-0":
        return int(literal.value)
    return {"@type": names.of(datatype), "@value": literal.value}


def _value(term: Any, names: _Names) -> Any:
    if isinstance(term, ox.Literal):
        return _literal(term, names)
    return {"@id": names.of(term.value) if isinstance(term, ox.NamedNode) else str(term)}


def _add(node: Json, key: str, value: Any) -> None:
    node.setdefault(key, []).append(value)


def compact(triples: Iterable[ox.Triple], prefixes: Mapping[str, str]) -> bytes:
    """
    Write triples as one compacted JSON-LD document (JSON-LD 1.1, section 4.1), subjects in the order given.

    Triple terms have no place in JSON-LD 1.1 and are left out.
    """
    listed = [triple for triple in triples if not isinstance(triple.object, ox.Triple)]
    iris = {term.value for triple in listed for term in (triple.subject, triple.object) if isinstance(term, ox.NamedNode)}
    names = _Names(prefixes, iris | {triple.predicate.value for triple in listed})
    nodes: dict[str, Json] = {}
    for triple in listed:
        subject = names.of(triple.subject.value) if isinstance(triple.subject, ox.NamedNode) else str(triple.subject)
        node = nodes.setdefault(subject, {"@id": subject})
        if triple.predicate.value == f"{RDF}type" and isinstance(triple.object, ox.NamedNode):
            _add(node, "@type", names.of(triple.object.value))
        else:
            _add(node, names.of(triple.predicate.value), _value(triple.object, names))
    for node in nodes.values():
        for key, values in node.items():
            if isinstance(values, list) and len(values) == 1:
                node[key] = values[0]
    document: Json = {"@context": names.context}
    document |= next(iter(nodes.values())) if len(nodes) == 1 else {"@graph": list(nodes.values())}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)
