"""Write what is known of a thing as one JSON-LD tree with the short names of our served context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.namespaces import RDF, XSD

Json = dict[str, Any]  # the JSON document itself


@dataclass(frozen=True, slots=True)
class _Term:
    """What a context says of one short name."""

    name: str
    iri: str
    type: str = ""
    languages: bool = False


@dataclass(frozen=True)
class Context:
    """A JSON-LD context: prefixes and terms; its own bytes are what is served."""

    document: bytes

    @cached_property
    def _declared(self) -> Mapping[str, Any]:
        found = orjson.loads(self.document).get("@context")
        if not isinstance(found, dict):
            raise UsageError(
                Text("Le contexte JSON-LD n'a pas d'objet @context.", "The JSON-LD context has no object @context.")
            )
        return found

    @cached_property
    def prefixes(self) -> dict[str, str]:
        """Return the prefixes: plain words for IRIs that end like a name space."""
        return {
            name: iri
            for name, iri in self._declared.items()
            if isinstance(iri, str) and iri.endswith(("/", "#")) and "://" in iri
        }

    def expand(self, name: str) -> str:
        """Return the IRI that a prefixed name means."""
        prefix, colon, rest = name.partition(":")
        return self.prefixes[prefix] + rest if colon and prefix in self.prefixes else name

    @cached_property
    def terms(self) -> dict[str, _Term]:
        """Return the terms by the IRI that they mean."""
        found: dict[str, _Term] = {}
        for name, said in self._declared.items():
            if name.startswith("@") or name in self.prefixes:
                continue
            about = {"@id": said} if isinstance(said, str) else said
            iri = self.expand(about.get("@id", ""))
            if "://" in iri:
                kind = about.get("@type", "")
                term = _Term(
                    name, iri, kind if kind.startswith("@") else self.expand(kind), about.get("@container") == "@language"
                )
                found.setdefault(iri, term)
        return found

    def compact(self, iri: str, *, vocabulary: bool = True) -> str:
        """Return the short name of an IRI: a term, a prefixed name, or the IRI itself."""
        if vocabulary and iri in self.terms:
            return self.terms[iri].name
        for prefix, space in self.prefixes.items():
            rest = iri.removeprefix(space)
            if rest != iri and not rest.startswith("//") and (rest or vocabulary):
                return f"{prefix}:{rest}"
        return iri


def read_context(file: str, document: bytes) -> Context:
    """Read a context file; raise UsageError when it is not one."""
    try:
        context = Context(document)
        _ = context.terms
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        raise UsageError(
            Text("Le contexte JSON-LD est illisible.", "The JSON-LD context cannot be read."), place=Place(file=file)
        ) from None
    return context


def frame(triples: Sequence[ox.Triple], iri: str, context: Context, address: str | None) -> bytes:
    """
    Write triples as a tree that begins at one resource (JSON-LD 1.1 Framing, section 2.2).

    A node that is described stands inside the first that points to it, once; what nothing points to stands beside the tree.
    Without an address of the context the context itself is put inside.
    """
    facts: dict[str, dict[str, list[Any]]] = {}
    for triple in triples:
        if not isinstance(triple.object, ox.Triple):
            facts.setdefault(_name(triple.subject), {}).setdefault(triple.predicate.value, []).append(triple.object)
    tree = _Tree(facts, context)
    root = tree.node(iri)
    rest = []
    for name in list(facts):
        if name not in tree.placed:
            rest.append(tree.node(name))
    head: Any = address or orjson.loads(context.document)["@context"]
    if rest:
        return orjson.dumps({"@context": head, "@graph": [root, *rest]}, option=orjson.OPT_INDENT_2)
    return orjson.dumps({"@context": head, **root}, option=orjson.OPT_INDENT_2)


def _name(term: Any) -> str:
    return str(term.value) if isinstance(term, ox.NamedNode) else str(term)


class _Tree:
    """Nodes, each placed once."""

    def __init__(self, facts: Mapping[str, Mapping[str, Sequence[Any]]], context: Context) -> None:
        self._facts = facts
        self._context = context
        self.placed: set[str] = set()

    def node(self, name: str) -> Json:
        """Build the node of a resource, with those nested in it."""
        self.placed.add(name)
        found: Json = {"@id": name}
        for predicate, values in self._facts.get(name, {}).items():
            if predicate == f"{RDF}type":
                kinds = [self._context.compact(_name(value)) for value in values]
                found["@type"] = kinds[0] if len(kinds) == 1 else kinds
            else:
                self._property(found, predicate, values)
        return found

    def _property(self, node: Json, predicate: str, values: Sequence[Any]) -> None:
        term = self._context.terms.get(predicate)
        tagged = [value for value in values if isinstance(value, ox.Literal) and value.language and not value.direction]
        rest = [value for value in values if value not in tagged]
        if term is not None and term.languages:
            if tagged:
                node[term.name] = self._by_language(tagged)
            if rest:
                node[self._prefixed(predicate)] = self._several([self._value(value, None) for value in rest])
            return
        fitting = [value for value in values if term is None or _fits(value, term)]
        others = [value for value in values if value not in fitting]
        if fitting:
            node[term.name if term else self._prefixed(predicate)] = self._several([self._value(v, term) for v in fitting])
        if others:
            node[self._prefixed(predicate)] = self._several([self._value(value, None) for value in others])

    def _prefixed(self, predicate: str) -> str:
        """Return a name that no coercion of the context touches."""
        return self._context.compact(predicate, vocabulary=False)

    @staticmethod
    def _several(values: list[Any]) -> Any:
        return values[0] if len(values) == 1 else values

    @staticmethod
    def _by_language(values: Sequence[Any]) -> Json:
        found: Json = {}
        for value in values:
            found.setdefault(value.language, []).append(value.value)
        return {language: texts[0] if len(texts) == 1 else texts for language, texts in found.items()}

    def _value(self, value: Any, term: _Term | None) -> Any:
        if not isinstance(value, ox.Literal):
            name = _name(value)
            if name in self._facts and name not in self.placed:
                return self.node(name)
            return name if term is not None and term.type == "@id" else {"@id": name}
        if value.language:
            tagged = {"@value": value.value, "@language": value.language}
            return tagged | ({"@direction": str(value.direction)} if value.direction else {})
        datatype = value.datatype.value
        if datatype == f"{XSD}string" or (term is not None and term.type == datatype):
            return value.value
        if datatype == f"{XSD}integer" and value.value.isdecimal() and str(int(value.value[:15])) == value.value:
            return int(value.value)
        if datatype == f"{XSD}boolean" and value.value in ("true", "false"):
            return value.value == "true"
        return {"@value": value.value, "@type": self._context.compact(datatype)}


def _fits(value: Any, term: _Term) -> bool:
    """Tell whether a value reads the same under the coercion of a term."""
    if term.type in ("@id", "@vocab"):
        return not isinstance(value, ox.Literal)
    if not term.type:
        return True
    return isinstance(value, ox.Literal) and not value.language and value.datatype.value == term.type
