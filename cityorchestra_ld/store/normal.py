"""Write statements exactly as the store keeps them: blank nodes named, literals in the store's own lexical form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import XSD

_REMEMBERED: Final = 50_000
_TYPED: Final = f'"^^<{XSD}'
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:Z|[+-](?:0[1-9]|1[0-3]):[0-5][0-9])?"
STABLE: Final = {
    "integer": r"-?[1-9][0-9]{0,17}|0",
    "decimal": r"-?(?:[1-9][0-9]{0,17}|0)\.[0-9]{0,16}[1-9]|-?[1-9][0-9]{0,17}|0",
    "boolean": r"true|false",
    "date": r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}Z?",
    "dateTime": rf"[1-9][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}T{_TIME}",
    "gYear": r"[1-9][0-9]{3}",
    "anyURI": r".*",
}
_UNTOUCHED: Final = re.compile(
    "|".join(f'"(?:{lexical})"\\^\\^<{re.escape(XSD + name)}>' for name, lexical in STABLE.items()), re.DOTALL
)
_SUBJECT: Final = ox.NamedNode("urn:s")
_PREDICATE: Final = ox.NamedNode("urn:p")


class Normaliser:
    """
    The form in which the store keeps a triple, as an N-Triples line.

    The store rewrites typed literals on entry ("01"^^xsd:integer becomes "1"). Snapshots hold the rewritten form, so that two
    ways to write one value are one line, and a difference of lines is a difference of what the store holds.
    """

    def __init__(self, name_blank_node: Callable[[str], str]) -> None:
        self.rewritten = 0  # a sum over the triples whose literal the store writes another way; order does not matter
        self._name = name_blank_node
        self._nodes: dict[str, ox.NamedNode] = {}
        self._literals: dict[str, str] = {}
        self._scratch = ox.Store()

    def lines(self, quads: Iterable[ox.Quad]) -> Iterator[str]:
        """Yield each triple as the store will give it back, as a line with its end."""
        for quad in quads:
            text = str(quad.triple)
            if "_:" in text or "<<(" in text:
                text = str(self._triple(quad.triple))
            if _TYPED in text:
                at = text.find('"')  # IRIs hold no quote: the object starts here
                literal = text[at:]
                if _UNTOUCHED.fullmatch(literal) is None:
                    kept = self._literals.get(literal) or self._literal(literal, quad.object)
                    if kept != literal:
                        self.rewritten += int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
                    text = text[:at] + kept
            yield text + " .\n"

    def _triple(self, triple: ox.Triple) -> ox.Triple:
        subject, obj = triple.subject, triple.object
        if isinstance(subject, ox.BlankNode):
            subject = self._node(subject)
        if isinstance(obj, ox.BlankNode):
            obj = self._node(obj)
        elif isinstance(obj, ox.Triple):
            obj = self._triple(obj)
            if isinstance(obj.object, ox.Literal):
                obj = ox.Triple(obj.subject, obj.predicate, self._stored(obj.object))
        return ox.Triple(subject, triple.predicate, obj)

    def _node(self, node: ox.BlankNode) -> ox.NamedNode:
        known = self._nodes.get(node.value)
        if known is None:
            if len(self._nodes) >= _REMEMBERED:
                self._nodes.clear()
            known = self._nodes[node.value] = ox.NamedNode(self._name(node.value))
        return known

    def _literal(self, text: str, term: object) -> str:
        if not isinstance(term, ox.Literal):  # a triple term: its literal is done already
            return text
        if len(self._literals) >= _REMEMBERED:
            self._literals.clear()
            self._scratch = ox.Store()  # an in-memory store never gives memory back
        kept = self._literals[text] = str(self._stored(term))
        return kept

    def _stored(self, literal: ox.Literal) -> ox.Literal:
        """Ask the store itself."""
        quad = ox.Quad(_SUBJECT, _PREDICATE, literal)
        self._scratch.add(quad)
        kept = next(self._scratch.quads_for_pattern(_SUBJECT, _PREDICATE, None, None)).object
        self._scratch.remove(quad)
        return kept if isinstance(kept, ox.Literal) else literal
