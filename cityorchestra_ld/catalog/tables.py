"""Flat tables out of triples: one for each kind of thing, one row for each thing, nested nodes as columns of their holder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from cityorchestra_ld.catalog.lines import TYPE, blocks, iri, literal
from cityorchestra_ld.namespaces import GEO, OWL, RDF, RDFS, REUSED, XSD

_GENID: Final = "/.well-known/genid/"
_GEOMETRY: Final = f"<{GEO}Geometry>"
_NESTED_CHARS: Final = 200_000_000  # of nested nodes that are held in memory
_TABLES: Final = 6
_SEPARATOR: Final = " | "
_WKT: Final = f"{GEO}wktLiteral"
_LATER: Final = frozenset(  # classes that say little of a thing that has another one
    f"<{name}>"
    for name in (
        f"{GEO}Feature", f"{OWL}Thing", f"{RDFS}Resource", f"{REUSED['prov']}Entity", f"{REUSED['prov']}Activity",
        f"{REUSED['foaf']}Agent", f"{REUSED['skos']}Concept",
    )
)  # fmt: skip
_ASIDE: Final = frozenset(  # what describes the data, not data themselves
    f"<{REUSED['qb']}{name}>"
    for name in ("DataStructureDefinition", "ComponentSpecification", "DataSet", "DimensionProperty", "MeasureProperty",
                 "AttributeProperty", "Slice", "SliceKey")
) | {f"<{OWL}Ontology>", f"<{RDF}Property>", f"<{REUSED['skos']}ConceptScheme>"}  # fmt: skip
_SQL: Final = {
    f"{XSD}integer": "BIGINT", f"{XSD}int": "BIGINT", f"{XSD}long": "BIGINT", f"{XSD}nonNegativeInteger": "BIGINT",
    f"{XSD}decimal": "DOUBLE", f"{XSD}double": "DOUBLE", f"{XSD}float": "DOUBLE", f"{XSD}boolean": "BOOLEAN",
    f"{XSD}date": "DATE", f"{XSD}gYear": "BIGINT",
}  # fmt: skip
TEXT: Final = "VARCHAR"
Path = tuple[str, str, str]  # predicate, predicate inside a nested node or "", language or ""


class Column(msgspec.Struct, frozen=True):
    """One column: the property (or two) it shows, in one language, and what its cells hold."""

    name: str
    path: Path
    kind: str = TEXT  # a type of DuckDB
    several: bool = False  # cells may hold several values
    geometry: bool = False  # cells are WKT


class Table(msgspec.Struct, frozen=True):
    """The things of one kind."""

    kind: str  # the IRI of a class
    name: str  # for file names: lower-case, ASCII
    rows: int
    columns: tuple[Column, ...]
    types: tuple[tuple[str, ...], ...]  # the sets of classes that its things have, as written

    @property
    def geometry(self) -> int | None:
        """Return the place of the first column that holds geometries."""
        return next((place for place, column in enumerate(self.columns) if column.geometry), None)


class Nested:
    """Nodes that only live inside others: what had no name, and geometries."""

    def __init__(self) -> None:
        self.nodes: dict[str, list[tuple[str, str]]] = {}
        self.whole = True
        self._chars = 0

    def take(self, subject: str, pairs: list[tuple[str, str]]) -> bool:
        """Keep a node when it is a nested one, and say whether it was."""
        if _GENID not in subject and (TYPE, _GEOMETRY) not in pairs:
            return False
        if self.whole:
            self._chars += sum(len(object_) for _, object_ in pairs)
            if self._chars > _NESTED_CHARS:
                self.whole, self.nodes = False, {}
            else:
                self.nodes[subject] = pairs
        return True


class _Kind:
    def __init__(self) -> None:
        self.rows = 0
        self.direct: dict[tuple[str, str], int] = {}  # predicate and "" for IRIs, "@fr", or the datatype
        self.several: set[tuple[str, str]] = set()
        self.holders: dict[str, list[str]] = {}


class Shape:
    """What kinds of things there are, and which columns would show them."""

    def __init__(self) -> None:
        self._kinds: dict[frozenset[str], _Kind] = {}
        self._frequency: Counter[str] = Counter()

    def look(self, subject: str, pairs: list[tuple[str, str]]) -> None:
        """Take note of one thing."""
        types = frozenset(object_ for predicate, object_ in pairs if predicate == TYPE)
        if not types or types & _ASIDE:
            return
        self._frequency.update(types)
        kind = self._kinds.get(types) or self._kinds.setdefault(types, _Kind())
        kind.rows += 1
        seen: set[tuple[str, str]] = set()
        for predicate, object_ in pairs:
            if predicate == TYPE:
                continue
            mark = _mark(object_)
            kind.direct[predicate, mark] = kind.direct.get((predicate, mark), 0) + 1
            key = (predicate, mark if mark[:1] == "@" else "")
            if key in seen:
                kind.several.add(key)
            seen.add(key)
            if not mark and (_GENID in object_ or "eometry" in predicate):
                kind.holders.setdefault(predicate, []).append(object_)

    def tables(self, nested: Nested) -> tuple[Table, ...]:
        """Decide the tables, the largest first."""
        named: dict[str, list[frozenset[str]]] = {}
        for types in self._kinds:
            named.setdefault(representative(types, self._frequency), []).append(types)
        rows = {name: sum(self._kinds[types].rows for types in group) for name, group in named.items()}
        chosen = sorted(named, key=lambda name: (name in _LATER, -rows[name], name))[:_TABLES]
        taken: set[str] = set()
        found = [
            Table(
                iri(name),
                _unique(_local(name).lower(), taken),
                rows[name],
                self._columns(named[name], nested),
                _written(named[name]),
            )
            for name in chosen
        ]
        return tuple(table for table in found if len(table.columns) > 1)

    def _columns(self, group: list[frozenset[str]], nested: Nested) -> tuple[Column, ...]:
        marks: dict[tuple[str, str], Counter[str]] = {}
        several: set[tuple[str, str]] = set()
        seen: set[tuple[tuple[str, tuple[str, ...]], ...]] = set()
        for types in group:
            kind = self._kinds[types]
            several |= kind.several
            direct: dict[str, Counter[str]] = {}
            for (predicate, mark), number in kind.direct.items():
                direct.setdefault(predicate, Counter())[mark] += number
            for predicate, counter in direct.items():
                inner = [nested.nodes[node] for node in kind.holders.get(predicate, ()) if node in nested.nodes]
                if inner and len(inner) == counter[""]:
                    same = (predicate, tuple(sorted(set(kind.holders[predicate]))))
                    if any(same[1] == other[1] for shown in seen for other in shown if other[0] != predicate):
                        continue  # a second property that leads to the very same nodes
                    seen.add((same,))
                    _look_inside(predicate, inner, marks, several)
                    continue
                marks.setdefault((predicate, ""), Counter()).update(counter)
        return tuple(_named(marks, several))


def _written(group: list[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(tuple(sorted(types)) for types in group))


def _look_inside(
    predicate: str,
    inner: list[list[tuple[str, str]]],
    marks: dict[tuple[str, str], Counter[str]],
    several: set[tuple[str, str]],
) -> None:
    for pairs in inner:
        for second, object_ in pairs:
            if second != TYPE:
                marks.setdefault((predicate, second), Counter())[_mark(object_)] += 1
    if (predicate, "") in several:
        several |= {key for key in marks if key[0] == predicate}


def _named(marks: Mapping[tuple[str, str], Counter[str]], several: set[tuple[str, str]]) -> Iterator[Column]:
    taken: set[str] = set()
    yield Column(_unique("iri", taken), ("", "", ""))
    for (first, second), counter in sorted(marks.items(), key=lambda item: _order(item[0])):
        base = _local(second or first) if not second or _local(second) == "asWKT" else f"{_local(first)}_{_local(second)}"
        languages = sorted(mark[1:] for mark in counter if mark[:1] == "@")
        rest = {mark for mark in counter if mark[:1] != "@"}
        for language in languages:
            yield Column(
                _unique(f"{base}_{language}", taken), (first, second, language), several=(first, f"@{language}") in several
            )
        if rest:
            many = (first, "") in several or (first, second) in several
            geometry = rest == {_WKT}
            kind = next(iter({_SQL.get(mark, TEXT) for mark in rest}), TEXT) if not many and len(rest) == 1 else TEXT
            yield Column(_unique(base, taken), (first, second, ""), kind, several=many, geometry=geometry)


def _order(path: tuple[str, str]) -> tuple[int, str, str]:
    """Sort labels first, geometries last, all else by name."""
    name = _local(path[1] or path[0])
    return (2 if name == "asWKT" else 0 if name in ("label", "prefLabel", "title", "nom", "name") else 1), path[0], path[1]


def _mark(object_: str) -> str:
    """Say in one word what an object is: nothing for an IRI, `@fr`, or the datatype."""
    if object_[0] == "<":
        return ""
    tail = object_[object_.rfind('"') + 1 :]
    return tail.lower() if tail[:1] == "@" else tail[3:-1] or f"{XSD}string"


def representative(types: Iterable[str], frequency: Mapping[str, int]) -> str:
    """Choose the class that tells most about a thing: not a general one, then the most frequent one."""
    return min(types, key=lambda name: (name in _LATER, -frequency[name], name))


def _local(term: str) -> str:
    bare = term[1:-1].rstrip("/#")
    return bare[max(bare.rfind("/"), bare.rfind("#")) + 1 :] or "x"


def _unique(name: str, taken: set[str]) -> str:
    """Make a column or file name that is free, whatever the case of letters."""
    plain = "".join(char if char.isalnum() and char.isascii() else "_" for char in name)
    candidate, number = plain, 2
    while candidate.lower() in taken:
        candidate, number = f"{plain}_{number}", number + 1
    taken.add(candidate.lower())
    return candidate


# --- rows ---------------------------------------------------------------------------------------------------------------------


def rows(
    lines: Iterable[str], tables: tuple[Table, ...], nested: Mapping[str, list[tuple[str, str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of all tables in one pass: the number of the table, and its cells."""
    known = {frozenset(types): number for number, table in enumerate(tables) for types in table.types}
    for subject, pairs in blocks(lines):
        number = known.get(frozenset(object_ for predicate, object_ in pairs if predicate == TYPE))
        if number is not None and _GENID not in subject:
            yield number, _cells(subject, pairs, tables[number], nested)


def _cells(subject: str, pairs: list[tuple[str, str]], table: Table, nested: Mapping[str, list[tuple[str, str]]]) -> list[str]:
    values: dict[Path, list[str]] = {("", "", ""): [iri(subject)]}
    for predicate, object_ in pairs:
        text, language = _text(object_)
        values.setdefault((predicate, "", language), []).append(text)
        for second, inner in nested.get(object_, ()) if object_[0] == "<" else ():
            text, language = _text(inner)
            values.setdefault((predicate, second, language), []).append(text)
    return [_SEPARATOR.join(values.get(column.path, ())) for column in table.columns]


def _text(term: str) -> tuple[str, str]:
    if term[0] == "<":
        return iri(term), ""
    text, _, language = literal(term)
    return text, language.lower()
