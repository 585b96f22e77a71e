"""Read shapes graphs from files into frozen values: the triples for engines, and an index of shapes for people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeVar

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.namespaces import DEFAULT_BASE, RDFS, SH, SKOS
from cityorchestra_ld.validation.graph import FIRST, REST, TYPE, BrokenListError, Graph, Node, Term, local_name
from cityorchestra_ld.validation.paths import BrokenPathError, read_path
from cityorchestra_ld.validation.paths import Path as PropertyPath
from cityorchestra_ld.validation.vocabulary import PARAMETERS, SHAPE_LISTS, SHAPE_VALUES, TARGETS

TermT = TypeVar("TermT", Node, Term)
TargetKind = Literal["class", "node", "subjects", "objects"]
Scope = Literal["context", "data"]

_TARGET_KINDS: Final[dict[str, TargetKind]] = {
    "targetClass": "class",
    "targetNode": "node",
    "targetSubjectsOf": "subjects",
    "targetObjectsOf": "objects",
}
FORMATS: Final[dict[str, ox.RdfFormat]] = {
    ".ttl": ox.RdfFormat.TURTLE,
    ".nt": ox.RdfFormat.N_TRIPLES,
    ".nq": ox.RdfFormat.N_QUADS,
    ".trig": ox.RdfFormat.TRIG,
    ".rdf": ox.RdfFormat.RDF_XML,
    ".xml": ox.RdfFormat.RDF_XML,
    ".owl": ox.RdfFormat.RDF_XML,
    ".n3": ox.RdfFormat.N3,
    ".jsonld": ox.RdfFormat.JSON_LD,
    ".json": ox.RdfFormat.JSON_LD,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a shape looks at (SHACL, section 2.1.3)."""

    kind: TargetKind
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape, named by an IRI even where its author gave none."""

    id: str  # as in N-Triples
    root: str  # the nearest enclosing shape that its author named; itself when named
    named: bool
    path: PropertyPath | None
    targets: tuple[Target, ...]
    severity: str
    deactivated: bool
    scope: Scope  # "data": judged on the data alone, whatever the context says
    messages: Mapping[str, str]  # by language tag, "" for none
    names: Mapping[str, str]
    descriptions: Mapping[str, str]
    parameters: Mapping[str, tuple[Term, ...]]  # local name of the parameter -> values; lists are their members
    file: str

    def describe(self) -> str:
        """Write which shape this is, for a person who has the file open."""
        own = local_name(self.root)
        return own if self.named or self.path is None else f"{own} / {self.path.label()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesGraph:
    """Shapes that were read, linted and indexed; nothing in it is fetched or read again."""

    graph: Graph
    shapes: Mapping[str, Shape]
    labels: Mapping[str, Mapping[str, str]]  # IRI -> language -> label, as far as the files give them
    files: tuple[str, ...]
    base_iri: str
    renamed: Mapping[str, str] = field(default_factory=dict)  # minted name of a shape -> its blank node label in the file
    notes: tuple[Text, ...] = ()  # what the lint found worth saying, without refusing

    @property
    def empty(self) -> bool:
        """Tell whether there is no shape at all."""
        return not self.shapes

    @property
    def targeted(self) -> tuple[Shape, ...]:
        """Return the shapes that look for focus nodes by themselves."""
        return tuple(shape for shape in self.shapes.values() if shape.targets and not shape.deactivated)

    @property
    def sha256(self) -> str:
        """Return a digest that changes when any triple changes."""
        lines = sorted(f"{s} <{p}> {o}" for s, p, o in self.graph)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def shape(self, identity: str) -> Shape | None:
        """Return the shape of a result."""
        return self.shapes.get(identity)


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_triples(path: Path, base_iri: str, *, rename: bool = False) -> list[tuple[Node, str, Term]]:
    """Parse one RDF file by its suffix; raise ShapesError with line and column when it does not parse."""
    format_ = FORMATS.get(path.suffix.lower())
    if format_ is None:
        raise ShapesError(
            Text("Ce fichier n'a pas un suffixe RDF connu.", "This file has no known RDF suffix."),
            place=Place(file=str(path)),
            hint=Text(f"Suffixes lus : {' '.join(FORMATS)}", f"Suffixes read: {' '.join(FORMATS)}"),
        )
    try:
        quads = ox.parse(path.read_bytes(), format=format_, base_iri=base_iri, rename_blank_nodes=rename)
        found = []
        for quad in quads:
            if isinstance(quad.object, ox.Triple) or isinstance(quad.subject, ox.Triple):
                raise ShapesError(
                    Text(
                        "Les triplets cités (RDF 1.2) ne sont pas admis ici.", "Triple terms (RDF 1.2) are not accepted here."
                    ),
                    place=Place(file=str(path), value=str(quad.subject)),
                )
            found.append((quad.subject, quad.predicate.value, quad.object))
    except SyntaxError as error:
        raise ShapesError(
            Text(f"Ce fichier ne se lit pas comme RDF : {error.msg}", f"This file is not readable RDF: {error.msg}"),
            place=Place(file=str(path), line=error.lineno, column_number=error.offset),
        ) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ShapesError(
            Text(f"Ce fichier ne peut être lu : {error}", f"This file cannot be read: {error}"), place=Place(file=str(path))
        ) from None
    return found


def load_shapes(files: Sequence[Path], *, base_iri: str, strict: bool = True) -> ShapesGraph:
    """
    Read, lint and index shapes (SHACL, section 2); raise ShapesError naming file and shape, and never fetch anything.

    Strict refuses what the specification only ignores: terms that SHACL does not have, and `owl:imports`.
    """
    from cityorchestra_ld.validation.lint import check, check_terms

    paths = [found for path in files for found in (sorted(path.glob("*.ttl")) if path.is_dir() else [path])]
    triples: list[tuple[Node, str, Term]] = []
    origin: dict[Node, str] = {}
    for path in paths:
        own = read_triples(path, base_iri, rename=len(paths) > 1)
        check_terms(own, path, strict=strict)
        for subject, _, _ in own:
            origin.setdefault(subject, str(path))
        triples += own
    raw = Graph(triples)
    nodes = find_shapes(raw)
    names = _Names(raw, nodes, base_iri)
    graph = Graph((names.rename(s), p, names.rename(o)) for s, p, o in raw)
    shapes = {
        shape.id: shape
        for node in nodes
        for shape in [_shape(graph, names.rename(node), names, origin.get(node, str(paths[0])), base_iri)]
    }
    loaded = ShapesGraph(
        graph=graph,
        shapes=MappingProxyType(shapes),
        labels=MappingProxyType(_labels(graph)),
        files=tuple(str(path) for path in paths),
        base_iri=base_iri,
        renamed=MappingProxyType({str(new): str(old) for old, new in names.minted.items()}),
    )
    return check(loaded)


def find_shapes(graph: Graph) -> list[Node]:
    """Return every shape of a graph, in reading order (SHACL, section 2.1)."""
    found: dict[Node, None] = {}
    parameters = {SH + name for name, rule in PARAMETERS.items() if rule.component} | _custom_parameters(graph)
    said = parameters | {SH + name for name in TARGETS}
    for subject in graph.subjects():
        types = {t.value for t in graph.objects(subject, TYPE) if isinstance(t, ox.NamedNode)}
        if types & {f"{SH}NodeShape", f"{SH}PropertyShape"} or any(p in said for p in graph.predicates(subject)):
            found[subject] = None
    for name in SHAPE_VALUES:
        for _, value in graph.pairs(SH + name):
            if not isinstance(value, ox.Literal):
                found[value] = None
    for name in SHAPE_LISTS:
        for _, head in graph.pairs(SH + name):
            for member in _members(graph, head):
                if not isinstance(member, ox.Literal):
                    found[member] = None
    return [node for node in found if not graph.referrers(node, f"{SH}parameter")]


def _custom_parameters(graph: Graph) -> set[str]:
    return {
        path.value
        for _, parameter in graph.pairs(f"{SH}parameter")
        for path in graph.objects(parameter, f"{SH}path")
        if isinstance(path, ox.NamedNode)
    }


def _members(graph: Graph, head: Term) -> list[Term]:
    try:
        return graph.items(head)
    except BrokenListError:
        return []


def parents(graph: Graph, node: Term) -> Iterable[Node]:
    """Return the shapes that refer to a shape, directly or through a list."""
    for subject, predicate in graph.links(node):
        if predicate == FIRST:
            head: Node = subject
            seen = {head}
            while (before := next(iter(graph.referrers(head, REST)), None)) is not None and before not in seen:
                head = before
                seen.add(head)
            yield from (s for name in SHAPE_LISTS for s in graph.referrers(head, SH + name))
        elif predicate in {SH + name for name in SHAPE_VALUES}:
            yield subject


class _Names:
    """Names for shapes that their author left blank: the same file gives the same names, on any machine."""

    def __init__(self, graph: Graph, nodes: Sequence[Node], base_iri: str) -> None:
        self.minted: dict[Node, ox.NamedNode] = {}
        self._graph = graph
        taken: set[str] = set()
        for node in nodes:
            if isinstance(node, ox.NamedNode):
                continue
            root, digest = self.root(node), self._digest(node)
            path = graph.one(node, f"{SH}path")
            words = [local_name(root.value) if isinstance(root, ox.NamedNode) else "shape"]
            words += [local_name(path.value)] if isinstance(path, ox.NamedNode) else []
            stem = f"{base_iri}.well-known/genid/shape/{'-'.join([*words, digest])}"
            name, number = stem, 1
            while name in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name)
            self.minted[node] = ox.NamedNode(name)
        self.blank = {new: old for old, new in self.minted.items()}

    def rename(self, term: TermT) -> TermT | ox.NamedNode:
        """Return the minted name of a blank shape; any other term as it is."""
        return self.minted.get(term, term) if isinstance(term, ox.BlankNode) else term

    def root(self, node: Node) -> Node:
        """Return the nearest enclosing shape with an IRI; the outermost blank one when there is none."""
        seen: set[Node] = set()
        while isinstance(node, ox.BlankNode) and node not in seen:
            seen.add(node)
            above = next(iter(parents(self._graph, node)), None)
            if above is None:
                break
            node = above
        return node

    def _digest(self, node: Node) -> str:
        text = f"{self.root(node)}|{self._canonical(node, frozenset())}"
        return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()

    def _canonical(self, term: Term, seen: frozenset[Term]) -> str:
        if not isinstance(term, ox.BlankNode):
            return str(term)
        if term in seen:
            return "_"
        inner = seen | {term}
        pairs = [
            f"<{p}> {self._canonical(o, inner)}" for p in self._graph.predicates(term) for o in self._graph.objects(term, p)
        ]
        return f"[{' ; '.join(sorted(pairs))}]"


# --- indexing -----------------------------------------------------------------------------------------------------------------


def _shape(graph: Graph, node: Term, names: _Names, file: str, base_iri: str) -> Shape:
    blank = names.blank.get(node) if isinstance(node, ox.NamedNode) else None
    path_node = graph.one(node, f"{SH}path")
    try:
        path = read_path(graph, path_node) if path_node is not None else None
    except BrokenPathError:
        path = None  # the lint says so, with the file
    severity = graph.one(node, f"{SH}severity")
    return Shape(
        id=str(node),
        root=str(names.rename(names.root(blank))) if blank is not None else str(node),
        named=blank is None,
        path=path,
        targets=tuple(_targets(graph, node)),
        severity=severity.value if isinstance(severity, ox.NamedNode) else f"{SH}Violation",
        deactivated=any(o.value in ("true", "1") for o in graph.objects(node, f"{SH}deactivated")),
        scope="data" if any(_is_data_only(graph, node, base) for base in (base_iri, DEFAULT_BASE)) else "context",
        messages=texts(graph.objects(node, f"{SH}message")),
        names=texts(graph.objects(node, f"{SH}name")),
        descriptions=texts(graph.objects(node, f"{SH}description")),
        parameters=MappingProxyType(_parameters(graph, node)),
        file=file,
    )


def _is_data_only(graph: Graph, node: Term, base: str) -> bool:
    return ox.NamedNode(f"{base}def/shapes#DataOnly") in graph.objects(node, f"{base}def/shapes#scope")


def _targets(graph: Graph, node: Term) -> Iterable[Target]:
    for name, kind in _TARGET_KINDS.items():
        for value in graph.objects(node, SH + name):
            yield Target(kind, value)
    types = {t.value for t in graph.objects(node, TYPE)}
    if f"{RDFS}Class" in types and types & {f"{SH}NodeShape", f"{SH}PropertyShape"}:
        yield Target("class", node)


def _parameters(graph: Graph, node: Term) -> dict[str, tuple[Term, ...]]:
    found: dict[str, tuple[Term, ...]] = {}
    for predicate in graph.predicates(node):
        name = predicate.removeprefix(SH)
        rule = PARAMETERS.get(name) if predicate.startswith(SH) else None
        values = graph.objects(node, predicate)
        if rule and rule.expect in ("shapes", "iris", "strings", "terms"):
            values = [member for head in values for member in _members(graph, head)]
        found[name if rule else predicate] = tuple(values)
    return found


def texts(values: Iterable[Term]) -> Mapping[str, str]:
    """Return literals by language tag (its first part, lower case); the first of each language counts."""
    found: dict[str, str] = {}
    for value in values:
        if isinstance(value, ox.Literal):
            found.setdefault((value.language or "").lower().split("-")[0], value.value)
    return MappingProxyType(found)


def _labels(graph: Graph) -> dict[str, Mapping[str, str]]:
    found: dict[str, list[Term]] = {}
    for predicate in (f"{RDFS}label", f"{SKOS}prefLabel"):
        for subject, value in graph.pairs(predicate):
            if isinstance(subject, ox.NamedNode):
                found.setdefault(subject.value, []).append(value)
    return {iri: texts(values) for iri, values in found.items()}
