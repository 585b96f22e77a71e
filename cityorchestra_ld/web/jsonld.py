"""Write triples as compact JSON-LD: the prefixes become the context, each subject becomes one object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import pyoxigraph as ox

from cityorchestra_ld.namespaces import RDF, XSD

Json = dict[str, Any]  # the JSON document itself

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_KEYWORD = re.compile(r"@[A-Za-z]+")
_TYPE, _STRING, _BOOLEAN, _WHOLE = f"{RDF}type", f"{XSD}string", f"{XSD}boolean", f"{XSD}integer"


class _Names:
    """Abbreviate IRIs with the prefixes that cannot be mistaken for a scheme that occurs in the data."""

    def __init__(self, prefixes: Mapping[str, str], iris: Iterable[str]) -> None:
        alike = tuple(f"{name}:" for name in prefixes)
        schemes = {match.group(1) for iri in iris if iri.startswith(alike) and (match := _SCHEME.match(iri))}
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
    text = literal.value
    if language := literal.language:
        value = {"@language": language, "@value": text}
        return value | ({"@direction": str(literal.direction)} if literal.direction else {})
    datatype = literal.datatype.value
    if datatype == _STRING:
        return text
    if datatype == _BOOLEAN and text in ("true", "false"):
        return text == "true"
    if datatype == _WHOLE and _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    return {"@type": names.of(datatype), "@value": text}


def _value(term: Any, names: _Names) -> Any:
    if isinstance(term, ox.Literal):
        return _literal(term, names)
    return {"@id": names.of(term.value) if isinstance(term, ox.NamedNode) else str(term)}


def _listed(triples: Iterable[ox.Triple]) -> Iterator[tuple[str, bool, str, Any]]:
    """Take triples apart: subject, whether it is an IRI, predicate, object."""
    for triple in triples:
        subject, term = triple.subject, triple.object
        if not isinstance(term, ox.Triple):
            about = (subject.value, True) if isinstance(subject, ox.NamedNode) else (str(subject), False)
            yield *about, triple.predicate.value, term


def compact(triples: Iterable[ox.Triple], prefixes: Mapping[str, str]) -> bytes:
    """
    Write triples as one compacted JSON-LD document (JSON-LD 1.1, section 4.1), subjects in the order given.

    Triple terms have no place in JSON-LD 1.1 and are left out.
    """
    listed = list(_listed(triples))
    iris = {term.value for _, _, _, term in listed if isinstance(term, ox.NamedNode)}
    iris.update([subject for subject, named, _, _ in listed if named], [predicate for _, _, predicate, _ in listed])
    names = _Names(prefixes, iris)
    nodes: dict[str, Json] = {}
    for subject, named, predicate, term in listed:
        name = names.of(subject) if named else subject
        node = nodes.get(name)
        if node is None:
            node = nodes[name] = {"@id": name}
        if predicate == _TYPE and isinstance(term, ox.NamedNode):
            key, value = "@type", names.of(term.value)
        else:
            key, value = names.of(predicate), _value(term, names)
        node.setdefault(key, []).append(value)
    for node in nodes.values():
        for key, values in node.items():
            if isinstance(values, list) and len(values) == 1:
                node[key] = values[0]
    document: Json = {"@context": names.context}
    document |= next(iter(nodes.values())) if len(nodes) == 1 else {"@graph": list(nodes.values())}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)
