"""A small in-memory index over the triples of a shapes graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pyoxigraph as ox

from cityorchestra_ld.namespaces import RDF

Term: TypeAlias = ox.NamedNode | ox.BlankNode | ox.Literal
Node: TypeAlias = ox.NamedNode | ox.BlankNode

FIRST, REST, NIL, TYPE = f"{RDF}first", f"{RDF}rest", ox.NamedNode(f"{RDF}nil"), f"{RDF}type"


class BrokenListError(ValueError):
    """An RDF list is not well-formed: a member is missing or doubled, or the list never ends."""


class Graph:
    """Triples by subject and by object, in reading order, without duplicates."""

    def __init__(self, triples: Iterable[tuple[Node, str, Term]]) -> None:
        self._triples: dict[tuple[Node, str, Term], None] = dict.fromkeys(triples)
        self._out: dict[Term, dict[str, list[Term]]] = {}
        self._in: dict[Term, dict[str, list[Node]]] = {}
        for subject, predicate, value in self._triples:
            self._out.setdefault(subject, {}).setdefault(predicate, []).append(value)
            self._in.setdefault(value, {}).setdefault(predicate, []).append(subject)

    def __iter__(self) -> Iterator[tuple[Node, str, Term]]:
        return iter(self._triples)

    def __len__(self) -> int:
        return len(self._triples)

    def subjects(self) -> Iterator[Node]:
        """Return every subject once."""
        return (node for node in self._out if not isinstance(node, ox.Literal))

    def predicates(self, subject: Term) -> Iterable[str]:
        """Return the predicates of a subject."""
        return self._out.get(subject, {})

    def objects(self, subject: Term, predicate: str) -> list[Term]:
        """Return the values of one predicate of a subject."""
        return self._out.get(subject, {}).get(predicate, [])

    def one(self, subject: Term, predicate: str) -> Term | None:
        """Return the first value of one predicate of a subject."""
        values = self.objects(subject, predicate)
        return values[0] if values else None

    def referrers(self, value: Term, predicate: str) -> list[Node]:
        """Return the subjects that point at a value with one predicate."""
        return self._in.get(value, {}).get(predicate, [])

    def links(self, value: Term) -> Iterator[tuple[Node, str]]:
        """Return every (subject, predicate) that points at a value."""
        return ((subject, predicate) for predicate, subjects in self._in.get(value, {}).items() for subject in subjects)

    def pairs(self, predicate: str) -> Iterator[tuple[Node, Term]]:
        """Return every (subject, value) of one predicate."""
        return ((s, o) for s, p, o in self._triples if p == predicate)

    def items(self, head: Term) -> list[Term]:
        """Return the members of an RDF list; raise BrokenListError when it is not well-formed."""
        members: list[Term] = []
        seen: set[Term] = set()
        while head != NIL:
            first, rest = self.objects(head, FIRST), self.objects(head, REST)
            if head in seen or isinstance(head, ox.Literal) or len(first) != 1 or len(rest) != 1:
                raise BrokenListError
            seen.add(head)
            members.append(first[0])
            head = rest[0]
        return members

    def is_list(self, node: Term) -> bool:
        """Tell whether a node starts an RDF list."""
        return node == NIL or bool(self.objects(node, FIRST)) or bool(self.objects(node, REST))


def local_name(iri: str) -> str:
    """
    Return what follows the last `#`, `/` or `:` of an IRI.

    >>> local_name("<http://www.w3.org/ns/shacl#minCount>")
    'minCount'
    """
    text = iri.strip("<>").rstrip("/#")
    return text[max(text.rfind("#"), text.rfind("/"), text.rfind(":")) + 1 :]
