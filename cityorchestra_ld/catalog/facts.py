"""Count what a dataset holds, once for each content: classes, properties, links to others, and tables to show it as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from cityorchestra_ld.catalog.lines import TYPE, blocks, iri, literal, space_of
from cityorchestra_ld.catalog.tables import Nested, Shape, Table
from cityorchestra_ld.namespaces import REUSED

_OBJECTS_COUNTED: Final = 5_000_000  # distinct objects are counted up to here: more would not fit in memory
_LINKS: Final = 200
_TOLD: Final = 60
_QB, _SA = REUSED["qb"], REUSED["sa"]
_LISTED: Final = {
    f"<{_QB}dimension>": "dimension",
    f"<{_QB}attribute>": "attribute",
    f"<{_SA}unitMeasure>": "unit",
    f"<{REUSED['qudt']}hasUnit>": "unit",
}


class Link(msgspec.Struct, frozen=True):
    """How many triples of one property lead to IRIs of one namespace that this dataset does not describe."""

    property: str
    space: str
    triples: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Exact counts over one content (VoID, section 4)."""

    triples: int
    subjects: int
    entities: int  # subjects with an address of their own
    objects: int | None
    classes: dict[str, int]
    properties: dict[str, int]
    spaces: dict[str, int]  # namespace, subjects
    examples: dict[str, str]  # class, one of its things
    links: tuple[Link, ...]
    told: dict[str, tuple[str, ...]]  # dimensions, attributes and units in use
    tables: tuple[Table, ...]


class _Counting:
    def __init__(self) -> None:
        self.triples = self.subjects = self.entities = 0
        self.objects: set[int] | None = set()
        self.classes: Counter[str] = Counter()
        self.properties: Counter[str] = Counter()
        self.spaces: Counter[str] = Counter()
        self.links: Counter[tuple[str, str]] = Counter()
        self.examples: dict[str, str] = {}
        self.told: dict[str, set[str]] = {}
        self._spaces: dict[str, str] = {}

    def add(self, subject: str, pairs: list[tuple[str, str]]) -> None:
        self.triples += len(pairs)
        self.subjects += 1
        address = iri(subject)
        if "/.well-known/genid/" not in address:
            self.entities += 1
            self.spaces[space_of(address)] += 1
        for predicate, object_ in pairs:
            self.properties[predicate] += 1
            if self.objects is not None:
                self.objects.add(hash(object_))
            if predicate == TYPE:
                self.classes[object_] += 1
                self.examples.setdefault(object_, subject)
            elif object_[0] == "<":
                self.links[predicate, self._space(object_)] += 1
            if predicate in _LISTED:
                self.told.setdefault(_LISTED[predicate], set()).add(object_)
        if self.objects is not None and len(self.objects) > _OBJECTS_COUNTED:
            self.objects = None

    def _space(self, term: str) -> str:
        cut = max(term.rfind("/"), term.rfind("#")) + 1
        space = term[1:cut]
        return self._spaces.setdefault(space, space)

    def found_links(self) -> tuple[Link, ...]:
        outward = [(pair, number) for pair, number in self.links.items() if pair[1] and pair[1] not in self.spaces]
        outward.sort(key=lambda item: (-item[1], item[0]))
        return tuple(Link(iri(pair[0]), pair[1], number) for pair, number in outward[:_LINKS] if "/genid/" not in pair[1])


def count(lines: Iterable[str]) -> tuple[Facts, Nested]:
    """Read the sorted lines of a snapshot once; memory grows with distinct objects and nested nodes only."""
    counting, shape, nested = _Counting(), Shape(), Nested()
    for subject, pairs in blocks(lines):
        counting.add(subject, pairs)
        if not nested.take(subject, pairs):
            shape.look(subject, pairs)
    facts = Facts(
        triples=counting.triples,
        subjects=counting.subjects,
        entities=counting.entities,
        objects=len(counting.objects) if counting.objects is not None else None,
        classes=_plain(counting.classes),
        properties=_plain(counting.properties),
        spaces=dict(counting.spaces.most_common()),
        examples={iri(kind): iri(thing) for kind, thing in sorted(counting.examples.items())},
        links=counting.found_links(),
        told={name: tuple(sorted(_text(term) for term in terms)[:_TOLD]) for name, terms in sorted(counting.told.items())},
        tables=shape.tables(nested),
    )
    return facts, nested


def _plain(counted: Counter[str]) -> dict[str, int]:
    return {iri(term): number for term, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))}


def _text(term: str) -> str:
    return iri(term) if term[0] == "<" else literal(term)[0]
