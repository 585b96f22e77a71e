"""A mapping document as a small graph in the RML vocabulary: older vocabularies rewritten, every node with its line."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pyoxigraph as ox

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.namespaces import FN, RML

R2RML: Final = "http://www.w3.org/ns/r2rml#"
OLD_RML: Final = "http://semweb.mmlab.be/ns/rml#"
OLD_QL: Final = "http://semweb.mmlab.be/ns/ql#"
OLD_FNML: Final = "http://semweb.mmlab.be/ns/fnml#"
CSVW: Final = "http://www.w3.org/ns/csvw#"
CONDITION: Final = FN + "condition"

Term = ox.NamedNode | ox.BlankNode | ox.Literal
Node = ox.NamedNode | ox.BlankNode

_RENAMED: Final = {
    R2RML + "column": RML + "reference",
    R2RML + "logicalTable": RML + "logicalSource",
    OLD_FNML + "functionValue": OLD_FNML + "functionValue",
}


def _modern(term: Term) -> Term:
    if not isinstance(term, ox.NamedNode):
        return term
    value = term.value
    if value in _RENAMED:
        return ox.NamedNode(_RENAMED[value])
    for old in (R2RML, OLD_RML, OLD_QL):
        if value.startswith(old):
            return ox.NamedNode(RML + value.removeprefix(old))
    return term


class Document:
    """The statements of a mapping, indexed by subject and predicate; the order of writing is kept."""

    def __init__(
        self, path: Path, quads: Iterable[ox.Quad], lines: Mapping[str, int], *, empty_is_null: bool = False
    ) -> None:  # fmt: skip
        self.path = path
        self.empty_is_null = empty_is_null  # what an empty cell means when the mapping does not say
        self.lines = dict(lines)
        self.order: list[Node] = []
        self.legacy = False
        self._index: dict[Node, dict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))
        self._parents: dict[Node, Node] = {}
        for quad in quads:
            self._add(quad)

    def _add(self, quad: ox.Quad) -> None:
        subject, predicate, value = quad.subject, _modern(quad.predicate), quad.object
        if not isinstance(subject, ox.NamedNode | ox.BlankNode) or not isinstance(
            value, ox.NamedNode | ox.BlankNode | ox.Literal
        ):
            return  # triple terms say nothing in RML
        if quad.predicate.value.startswith(OLD_RML):
            self.legacy = True
        if subject not in self._index:
            self.order.append(subject)
        value = value if predicate.value == RML + "constant" else _modern(value)
        known = self._index[subject][predicate.value]
        if value not in known:
            known.append(value)
        if not isinstance(value, ox.Literal):
            self._parents.setdefault(value, subject)

    # --- look up ------------------------------------------------------------------------------------------------------------

    def all(self, node: Term, *predicates: str) -> list[Term]:
        """Return every object of the predicates; a predicate without colon is a term of RML."""
        if isinstance(node, ox.Literal) or node not in self._index:
            return []
        entries = self._index[node]
        return [value for predicate in predicates for value in entries.get(_iri(predicate), ())]

    def one(self, node: Term, *predicates: str) -> Term | None:
        """Return the only object of the predicates, if there is one; raise MappingError when there are several."""
        found = self.all(node, *predicates)
        if len(found) > 1:
            names = " / ".join(_short(predicate) for predicate in predicates)
            raise self.error(
                f"{names} est donné {len(found)} fois, une seule est permise.",
                f"{names} is given {len(found)} times, only one is allowed.",
                node,
            )
        return found[0] if found else None

    def text(self, node: Term, *predicates: str) -> str | None:
        """Return the text of the only object of the predicates."""
        found = self.one(node, *predicates)
        return None if found is None else found.value

    def has(self, node: Term, *predicates: str) -> bool:
        """Tell whether the node has one of the predicates."""
        return bool(self.all(node, *predicates))

    def subjects(self, predicate: str, value: Term | None = None) -> list[Node]:
        """Return the nodes that have the predicate, in the order of the document."""
        iri = _iri(predicate)
        return [
            node
            for node in self.order
            if iri in self._index[node] and (value is None or value in self._index[node][iri])
        ]  # fmt: skip

    def predicates(self, node: Node) -> list[str]:
        """Return the predicates of a node."""
        return list(self._index[node]) if node in self._index else []

    # --- where it is --------------------------------------------------------------------------------------------------------

    def line(self, node: Term | None) -> int | None:
        """Return the line of a node, or of the nearest node around it."""
        seen = set()
        while node is not None and not isinstance(node, ox.Literal) and node not in seen:
            if isinstance(node, ox.NamedNode) and node.value in self.lines:
                return self.lines[node.value]
            seen.add(node)
            node = self._parents.get(node)
        return None

    def rule(self, node: Term | None) -> str | None:
        """Return the short name of the triples map that the node belongs to."""
        seen = set()
        while node is not None and not isinstance(node, ox.Literal) and node not in seen:
            if self.has(node, "logicalSource", "subjectMap", "subject"):
                return short_name(node)
            seen.add(node)
            node = self._parents.get(node)
        return None

    def error(
        self, fr: str, en: str, node: Term | None = None, *, hint: Text | None = None, value: str | None = None
    ) -> MappingError:
        """Make an error that names the file, the line and the rule."""
        place = Place(file=str(self.path), line=self.line(node), rule=self.rule(node), value=value)
        return MappingError(Text(fr, en), place=place, hint=hint)


def _iri(predicate: str) -> str:
    return predicate if ":" in predicate else RML + predicate


def _short(predicate: str) -> str:
    return f"rml:{predicate}" if ":" not in predicate else predicate


def short_name(node: Term) -> str:
    """
    Return what people call a node: the fragment or the last segment of its IRI.

    >>> short_name(ox.NamedNode("https://x.example/m.ttl#StopMap"))
    'StopMap'
    """
    if isinstance(node, ox.BlankNode):
        return "_:" + node.value[:8]
    value = node.value.rstrip("/#")
    fragment = value.partition("#")[2]
    return unquote(fragment or value.rpartition("/")[2]) or node.value


def nearest(word: str, known: Iterable[str]) -> Text | None:
    """Suggest the known word that looks most like the one written."""
    choices = list(dict.fromkeys(known))
    folded = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)
    if close:
        found = folded[close[0]]
        return Text(f"Le plus proche est « {found} ».", f"The nearest is '{found}'.")
    if not choices:
        return None
    some = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
    return Text(f"Il y a : {some}", f"There are: {some}")


# --- Turtle -----------------------------------------------------------------------------------------------------------------

_PREFIX: Final = re.compile(r"@?prefix\s+([^\s:]*):\s*<([^>]*)>", re.IGNORECASE)
_BASE: Final = re.compile(r"@?base\s+<([^>]*)>", re.IGNORECASE)


def turtle_lines(text: str, nodes: Iterable[str], base_iri: str) -> dict[str, int]:
    """Find the line where each named node of a Turtle text starts, at the beginning of a line."""
    prefixes = dict(_PREFIX.findall(text))
    base = (_BASE.findall(text) or [base_iri])[-1]
    written: dict[str, str] = {}
    for node in nodes:
        written[f"<{node}>"] = node
        if node.startswith(base):
            written[f"<{node.removeprefix(base)}>"] = node
        if "#" in node:
            written[f"<#{node.partition('#')[2]}>"] = node
        for prefix, namespace in prefixes.items():
            if namespace and node.startswith(namespace):
                written[f"{prefix}:{node.removeprefix(namespace)}"] = node
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        token = line.lstrip().split(None, 1)
        if token and token[0] in written:
            found.setdefault(written[token[0]], number)
    return found


def read_turtle(text: str, *, path: Path, base_iri: str) -> Document:
    """Parse a mapping in Turtle; raise MappingError with line and column when it is not well-formed."""
    try:
        quads = list(ox.parse(text, ox.RdfFormat.TURTLE, base_iri=base_iri))
    except SyntaxError as error:
        raise MappingError(
            Text(f"Turtle mal formé : {error.msg}", f"Malformed Turtle: {error.msg}"),
            place=Place(file=str(path), line=error.lineno, column_number=error.offset),
        ) from error
    named = {quad.subject.value for quad in quads if isinstance(quad.subject, ox.NamedNode)}
    return Document(path, quads, turtle_lines(text, named, base_iri))
