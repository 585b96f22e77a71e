"""Find the focus nodes of shapes in plain files, without an engine: how many, and which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cityorchestra_ld.namespaces import RDFS
from cityorchestra_ld.validation.data import object_of, triples
from cityorchestra_ld.validation.graph import TYPE
from cityorchestra_ld.validation.shapes import Shape

_TYPE: Final = f"<{TYPE}>".encode()
_SUBCLASS: Final = f"<{RDFS}subClassOf>".encode()
Key = tuple[str, bytes]  # ("class" | "subjects" | "objects", term): one search that several shapes may share


@dataclass(slots=True)
class Scan:
    """What one reading of a file found."""

    found: dict[Key, set[bytes]] = field(default_factory=dict)
    known: set[bytes] = field(default_factory=set)  # which of the nodes asked for are the subject of a triple
    triples: int = 0


@dataclass(frozen=True, slots=True)
class Searches:
    """What to look for, from the targets of shapes and from the class hierarchy."""

    classes: Mapping[bytes, tuple[bytes, ...]]  # class → the target classes that it is a subclass of
    subjects: frozenset[bytes]
    objects: frozenset[bytes]


def subclasses(paths: Iterable[Path]) -> dict[bytes, set[bytes]]:
    """Read the direct superclasses of each class."""
    above: dict[bytes, set[bytes]] = {}
    for path in paths:
        if _SUBCLASS[1:-1] not in _bytes_of(path):
            continue
        for subject, predicate, rest in triples(path):
            if predicate == _SUBCLASS:
                above.setdefault(subject, set()).add(object_of(rest))
    return above


class _bytes_of:
    """Tell whether bytes occur in a file, by reading it in blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __contains__(self, what: bytes) -> bool:
        tail = b""
        with self._path.open("rb") as file:
            while block := file.read(1 << 22):
                if what in tail + block:
                    return True
                tail = block[-len(what) :]
        return False


def searches(shapes: Sequence[Shape], above: Mapping[bytes, set[bytes]]) -> Searches:
    """Gather what the shapes look for (SHACL, section 2.1.3)."""
    wanted = {str(t.term).encode() for shape in shapes for t in shape.targets if t.kind == "class"}
    classes: dict[bytes, tuple[bytes, ...]] = {}
    for name in wanted | set(above):
        seen, todo = {name}, [name]
        while todo:
            for parent in above.get(todo.pop(), ()):
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        if seen & wanted:
            classes[name] = tuple(seen & wanted)
    by_kind = {
        kind: frozenset(str(t.term).encode() for shape in shapes for t in shape.targets if t.kind == kind)
        for kind in ("subjects", "objects")
    }
    return Searches(classes, by_kind["subjects"], by_kind["objects"])


def scan(path: Path, wanted: Searches, candidates: Set[bytes] = frozenset()) -> Scan:
    """Read a plain file once and gather every node that some target names, and the candidates that are a subject."""
    result = Scan({("class", c): set() for targets in wanted.classes.values() for c in targets})
    result.found |= {("subjects", p): set() for p in wanted.subjects} | {("objects", p): set() for p in wanted.objects}
    by_class = {c: [result.found["class", t] for t in targets] for c, targets in wanted.classes.items()}
    watched = wanted.subjects | wanted.objects | {_TYPE}
    count = 0
    for subject, predicate, rest in triples(path):
        count += 1
        if subject in candidates:
            result.known.add(subject)
        if predicate not in watched:
            continue
        if predicate == _TYPE:
            for nodes in by_class.get(rest.split(b" ", 1)[0], ()):
                nodes.add(subject)
        if predicate in wanted.subjects:
            result.found["subjects", predicate].add(subject)
        if predicate in wanted.objects:
            result.found["objects", predicate].add(object_of(rest))
    result.triples = count
    return result


def focus_nodes(shape: Shape, found: Mapping[Key, set[bytes]]) -> set[bytes]:
    """Return the focus nodes of a shape among what was found; `sh:targetNode` needs no search."""
    nodes: set[bytes] = set()
    for target in shape.targets:
        term = str(target.term).encode()
        nodes |= {term} if target.kind == "node" else found.get((target.kind, term), set())
    return nodes
