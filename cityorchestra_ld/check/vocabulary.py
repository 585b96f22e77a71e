"""What is known of terms: the list of reused vocabularies in the package, and the ontology files of a territory."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import pyoxigraph as ox

from cityorchestra_ld.namespaces import OWL, RDF, RDFS, SKOS
from cityorchestra_ld.turtle import TurtleFile

Kind = Literal["class", "object", "data", "property", "annotation", "value"]
_PROPERTIES: Final = frozenset({"object", "data", "property", "annotation"})
_CLASS_TYPES: Final = frozenset({RDFS + "Class", OWL + "Class", RDFS + "Datatype"})
_KIND_OF_TYPE: Final[dict[str, Kind]] = {
    OWL + "ObjectProperty": "object",
    OWL + "DatatypeProperty": "data",
    OWL + "AnnotationProperty": "annotation",
    RDF + "Property": "property",
}
_NO_NEWS: Final = frozenset({RDFS + "Resource", OWL + "Thing"})
REPLACED_BY: Final = ("http://purl.org/dc/terms/isReplacedBy", "https://schema.org/supersededBy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one term; each member of `domain` and `range` is a set of classes of which one is enough."""

    iri: str
    kinds: frozenset[str]
    parents: frozenset[str] = frozenset()
    domain: tuple[frozenset[str], ...] = ()
    range: tuple[frozenset[str], ...] = ()
    excludes: frozenset[str] = frozenset()
    deprecated: bool = False
    replacement: str | None = None

    @property
    def is_class(self) -> bool:
        """Tell whether the term is a class."""
        return "class" in self.kinds

    @property
    def is_property(self) -> bool:
        """Tell whether the term is a property, of whatever kind."""
        return bool(self.kinds & _PROPERTIES)


@dataclass(slots=True)
class Vocabulary:
    """All known terms, the prefixes that people write, and the namespaces whose terms are all known."""

    entries: dict[str, Entry] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    concepts: set[str] = field(default_factory=set)  # codes of the code lists
    stated: dict[str, set[str]] = field(default_factory=dict)  # rdfs:subClassOf in the ontology files, as validation sees it
    _above: dict[str, frozenset[str]] = field(default_factory=dict)

    def get(self, iri: str) -> Entry | None:
        """Return what is known of a term."""
        return self.entries.get(iri)

    def shorten(self, iri: str) -> str:
        """
        Write a term with its prefix, as people do.

        >>> reused().shorten("http://www.w3.org/2000/01/rdf-schema#label")
        'rdfs:label'
        """
        namespace = namespace_of(iri)
        for prefix, known in self.prefixes.items():
            if known == namespace:
                return f"{prefix}:{iri.removeprefix(namespace)}"
        return f"<{iri}>"

    def is_complete(self, iri: str) -> bool:
        """Tell whether every term of the namespace is known, so that another one is a mistake."""
        return namespace_of(iri) in self.complete

    def above(self, iri: str) -> frozenset[str]:
        """Return a term and everything that it is a kind of, directly or not."""
        if iri not in self._above:
            found, waiting = {iri}, [iri]
            while waiting:
                entry = self.entries.get(waiting.pop())
                for parent in entry.parents if entry else ():
                    if parent not in found:
                        found.add(parent)
                        waiting.append(parent)
            self._above[iri] = frozenset(found)
        return self._above[iri]

    def is_a(self, iri: str, wanted: str) -> bool:
        """Tell whether a class (or property) is a kind of another, itself included."""
        return wanted in _NO_NEWS or wanted in self.above(iri)

    def is_instance(self, iri: str, wanted: str) -> bool:
        """Tell whether instances of a class are instances of another for SHACL (section 1.1), which sees the files only."""
        waiting, seen = [iri], {iri}
        while waiting:
            current = waiting.pop()
            if current == wanted:
                return True
            following = self.stated.get(current, set()) - seen
            seen |= following
            waiting += following
        return False

    def disjoint(self, one: str, other: str) -> tuple[str, str] | None:
        """Return the two classes above (or equal to) these that exclude each other, if there are."""
        theirs = self.above(other)
        for mine in self.above(one):
            entry = self.entries.get(mine)
            for excluded in entry.excludes if entry else ():
                if excluded in theirs:
                    return mine, excluded
        return None

    def nearest(self, iri: str, *, classes: bool) -> str | None:
        """Return the term of the right kind that looks most like the one written: same namespace first, then the same name."""
        local, namespace = iri.removeprefix(namespace_of(iri)), namespace_of(iri)
        choices = {e.iri for e in self.entries.values() if (e.is_class if classes else e.is_property) and not e.deprecated}
        own = {known.removeprefix(namespace): known for known in sorted(choices) if namespace_of(known) == namespace}
        folded = {name.lower(): known for name, known in own.items()}
        close = difflib.get_close_matches(local.lower(), folded, n=1, cutoff=0.6)
        if close:
            return folded[close[0]]
        same = sorted(known for known in choices if known.removeprefix(namespace_of(known)).lower() == local.lower())
        return same[0] if same else None


def namespace_of(iri: str) -> str:
    """Return an IRI up to its last `#` or `/`."""
    return iri[: max(iri.rfind("#"), iri.rfind("/")) + 1]


# --- the list in the package --------------------------------------------------------------------------------------------------


@cache
def reused() -> Vocabulary:
    """Read the list of reused vocabularies; the same value each time, so do not change it."""
    found = Vocabulary()
    text = (resources.files("cityorchestra_ld.check") / "vocabularies.tsv").read_text(encoding="utf-8")
    namespaces: dict[str, str] = {}
    for line in text.splitlines():
        cells = line.split("\t")
        if line.startswith("@"):
            namespaces[cells[1]] = cells[2]
            if cells[0] == "@full":
                found.complete.add(cells[2])
        elif not line.startswith("#"):
            entry = _entry([*cells, *[""] * (7 - len(cells))], namespaces)
            found.entries[entry.iri] = entry
    found.prefixes = namespaces
    return found


def _entry(cells: Sequence[str], namespaces: dict[str, str]) -> Entry:
    def full(name: str) -> str:
        prefix, _, local = name.partition(":")
        return namespaces[prefix] + local

    def sets(cell: str) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(full(name) for name in group.split("|")) for group in cell.split())

    name, kind, parents, domain, range_, excludes, status = cells
    _, _, replacement = status.partition(" ")
    return Entry(
        iri=full(name),
        kinds=frozenset({kind}),
        parents=frozenset(full(parent) for parent in parents.split()),
        domain=sets(domain),
        range=sets(range_),
        excludes=frozenset(full(other) for other in excludes.split()),
        deprecated=bool(status),
        replacement=full(replacement) if replacement else None,
    )


# --- the ontology of a territory ----------------------------------------------------------------------------------------------

_Triples = dict[str, dict[str, list[ox.NamedNode | ox.BlankNode | ox.Literal]]]


def load_vocabulary(files: Iterable[Path], base_iri: str) -> Vocabulary:
    """Read ontology files (folders are taken whole) over the reused vocabularies; raise UsageError with line and character."""
    base = reused()
    found = Vocabulary(dict(base.entries), dict(base.prefixes), set(base.complete), set())
    triples: _Triples = defaultdict(lambda: defaultdict(list))
    for number, path in enumerate(_expanded(files)):
        _read(path, number, base_iri, triples, found.prefixes)
    declared: dict[str, set[str]] = defaultdict(set)
    for subject, said in triples.items():
        types = {node.value for node in said[RDF + "type"]}
        if SKOS + "Concept" in types:
            found.concepts.add(subject)
        if above := {node.value for node in said[RDFS + "subClassOf"] if isinstance(node, ox.NamedNode)}:
            found.stated[subject] = above
        if subject.startswith("_:") or not types & (_CLASS_TYPES | _KIND_OF_TYPE.keys()):
            continue
        found.entries[subject] = _merge(base.entries.get(subject), _declared(triples, subject, types))
        declared[namespace_of(subject)].add(subject)
    _exclusions(triples, found)
    ours = {namespace for namespace in declared if namespace not in base.prefixes.values()}
    found.complete |= ours
    return found


def _expanded(files: Iterable[Path]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(path.rglob("*.ttl"))
        else:
            yield path


def _read(path: Path, number: int, base_iri: str, triples: _Triples, prefixes: dict[str, str]) -> None:
    file = TurtleFile(path, base_iri)
    for triple in file:
        node, value = triple.subject, triple.object
        if isinstance(node, ox.Triple) or isinstance(value, ox.Triple):
            continue
        subject = node.value if isinstance(node, ox.NamedNode) else f"_:{number}-{node.value}"
        if isinstance(value, ox.BlankNode):
            value = ox.BlankNode(f"{number}-{value.value}")
        triples[subject][triple.predicate.value].append(value)
    taken = set(prefixes.values())
    prefixes.update({name: iri for name, iri in file.prefixes.items() if name and iri not in taken})


def _declared(triples: _Triples, iri: str, types: set[str]) -> Entry:
    said = triples[iri]
    kinds: set[str] = {"class"} if types & _CLASS_TYPES else set()
    kinds |= {_KIND_OF_TYPE[name] for name in types if name in _KIND_OF_TYPE}
    replacement = next((node.value for p in REPLACED_BY for node in said[p] if isinstance(node, ox.NamedNode)), None)
    parents = [*said[RDFS + "subClassOf"], *said[RDFS + "subPropertyOf"], *said[OWL + "equivalentClass"]]
    return Entry(
        iri=iri,
        kinds=frozenset(kinds),
        parents=frozenset(node.value for node in parents if isinstance(node, ox.NamedNode)),
        domain=_sets(triples, said[RDFS + "domain"]),
        range=_sets(triples, said[RDFS + "range"]),
        excludes=frozenset(node.value for node in said[OWL + "disjointWith"] if isinstance(node, ox.NamedNode)),
        deprecated=bool(replacement) or any(node.value == "true" for node in said[OWL + "deprecated"]),
        replacement=replacement,
    )


def _sets(triples: _Triples, nodes: Iterable[ox.NamedNode | ox.BlankNode | ox.Literal]) -> tuple[frozenset[str], ...]:
    found = []
    for node in nodes:
        names = {node.value} if isinstance(node, ox.NamedNode) else set(_members(triples, node, OWL + "unionOf"))
        if names:
            found.append(frozenset(names))
    return tuple(found)


def _members(triples: _Triples, node: ox.NamedNode | ox.BlankNode | ox.Literal, predicate: str) -> Iterator[str]:
    head = next(iter(triples[f"_:{node.value}"][predicate]), None)
    while isinstance(head, ox.BlankNode):
        inner = triples[f"_:{head.value}"]
        yield from (item.value for item in inner[RDF + "first"] if isinstance(item, ox.NamedNode))
        head = next(iter(inner[RDF + "rest"]), None)


def _merge(base: Entry | None, own: Entry) -> Entry:
    """What the territory says of a term comes first; what it does not say stays as the published vocabulary has it."""
    if base is None:
        return own
    return replace(
        own,
        parents=own.parents | base.parents,
        domain=own.domain or base.domain,
        range=own.range if own.range or own.domain else base.range,
        excludes=own.excludes | base.excludes,
        deprecated=own.deprecated or base.deprecated,
        replacement=own.replacement or base.replacement,
    )


def _exclusions(triples: _Triples, found: Vocabulary) -> None:
    """Read owl:AllDisjointClasses, and make every exclusion hold both ways."""
    for subject, said in list(triples.items()):
        if any(node.value == OWL + "AllDisjointClasses" for node in said[RDF + "type"]):
            members = set(_members(triples, ox.BlankNode(subject.removeprefix("_:")), OWL + "members"))
            for name in members & found.entries.keys():
                entry = found.entries[name]
                found.entries[name] = replace(entry, excludes=entry.excludes | (members - {name}))
    for entry in list(found.entries.values()):
        for other in entry.excludes & found.entries.keys():
            theirs = found.entries[other]
            if entry.iri not in theirs.excludes:
                found.entries[other] = replace(theirs, excludes=theirs.excludes | {entry.iri})
