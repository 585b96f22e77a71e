"""One generation as the public sees it: lookups in its visible graphs, labels, remembered answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from typing import Final, TypeVar, cast

import pyoxigraph as ox

from cityorchestra_ld.model import Generation, GraphInfo, View
from cityorchestra_ld.store import Reader
from cityorchestra_ld.web.again import Whole
from cityorchestra_ld.web.cache import AnswerCache
from cityorchestra_ld.web.describe import (
    Description,
    Node,
    Object,
    closure,
    describe,
    exists,
    is_mentioned,
    is_unnamed,
    uses,
    with_links,
)
from cityorchestra_ld.web.http_ import Answer
from cityorchestra_ld.web.labels import Labels
from cityorchestra_ld.web.statistics_ import Statistics
from cityorchestra_ld.web.tables import Table

_Made = TypeVar("_Made")
_SUBJECTS: Final = 200  # that are remembered
_FEW: Final = 200  # quads of one of them
_AGAIN: Final = 32_000_000  # bytes of answers that are known by their requests


@dataclass(frozen=True, slots=True)
class _Said:
    """All that is said of one subject, in any graph."""

    quads: tuple[ox.Quad, ...]
    predicates: frozenset[ox.NamedNode]


class _Subjects:
    """What is said of the subjects that were looked at last: one answer asks for the same ones again and again."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.of = lru_cache(_SUBJECTS)(self._read)

    def _read(self, subject: Node) -> _Said | None:
        """Read all quads of a subject; `None` when they are many."""
        quads = tuple(islice(self._reader.quads(subject), _FEW + 1))
        return _Said(quads, frozenset(quad.predicate for quad in quads)) if len(quads) <= _FEW else None


@dataclass(frozen=True, slots=True)
class _Within:
    """Lookups in a set of graphs."""

    reader: Reader
    subjects: _Subjects
    graphs: frozenset[str]

    def __call__(self, subject: Node | None, predicate: ox.NamedNode | None, object_: Object | None, /) -> Iterator[ox.Quad]:
        """Yield the quads that match and lie in these graphs."""
        said = self.subjects.of(subject) if subject is not None else None
        if said is None:
            found: Iterable[ox.Quad] = self.reader.quads(subject, predicate, object_)
        elif predicate is None:
            found = said.quads
        else:
            found = [quad for quad in said.quads if quad.predicate == predicate] if predicate in said.predicates else ()
        if said is not None and object_ is not None:
            found = [quad for quad in found if quad.object == object_]
        return (quad for quad in found if isinstance(graph := quad.graph_name, ox.NamedNode) and graph.value in self.graphs)


class Snapshot:
    """A generation, open for reading, under one view; everything that a page needs comes from here."""

    def __init__(self, generation: Generation, reader: Reader, view: View, base: str) -> None:
        self.generation = generation
        self.view = view
        self.base = base
        self.reader = reader
        self.answers: AnswerCache[Answer] = AnswerCache()
        self.again: AnswerCache[Whole] = AnswerCache(_AGAIN)  # by everything that a request says
        self.infos: dict[str, GraphInfo] = {info.graph: info for info in generation.graphs}
        subjects = _Subjects(reader)
        self.plain = _Within(reader, subjects, frozenset(view.default_graphs))
        self.beside = _Within(reader, subjects, frozenset(view.named_graphs) - frozenset(view.default_graphs))
        self.all = _Within(reader, subjects, frozenset(view.default_graphs) | frozenset(view.named_graphs))
        self.labels = Labels(self.all, base)
        self.tables: dict[str, Table] = {}  # answers of queries that pages ask, by their text
        self.statistics: Statistics | None = None  # measured soon after the generation is opened
        self._remembered: dict[str, object] = {}

    def sees(self, graph: str) -> bool:
        """Tell whether a graph is visible."""
        return graph in self.all.graphs

    def graph_of(self, dataset: str) -> GraphInfo | None:
        """Return the visible graph that holds the current triples of a dataset."""
        for info in self.generation.graphs:
            if info.dataset == dataset and info.role in ("data", "ref", "live") and self.sees(info.graph):
                return info
        return None

    def exists(self, iri: str) -> bool:
        """Tell whether a visible graph says anything about an IRI."""
        return exists(self.all, iri)

    def is_mentioned(self, iri: str) -> bool:
        """Tell whether a visible triple uses an IRI as object or predicate."""
        return is_mentioned(self.all, iri)

    def uses(self, iri: str) -> tuple[ox.Triple, ...]:
        """Collect a few visible triples that mention an IRI."""
        return uses(self.all, iri)

    def describe(self, iri: str) -> Description:
        """
        Describe a resource from the default graphs; what only lies beside them (policies, runs, scenarios) from these.

        A scenario never mixes with what is really observed.
        """
        return describe(self._side(iri), iri)

    def bounded(self, iri: str) -> Sequence[ox.Triple]:
        """Collect the concise bounded description of a resource: its own triples and those of its unnamed nodes."""
        quads = closure(self._side(iri), ox.NamedNode(iri), is_unnamed)
        return list(dict.fromkeys(quad.triple for quad in quads))

    def links_to(self, iri: str, predicate: str | None = None) -> Iterator[ox.Triple]:
        """Yield the links to a resource, each once, in an order that stays."""
        wanted = ox.NamedNode(predicate) if predicate else None
        found = (quad.triple for quad in self._side(iri)(None, wanted, ox.NamedNode(iri)))
        return (triple for triple, _ in groupby(found))  # what two graphs say alike stands together in the index

    def with_links(self, description: Description) -> Description:
        """Add the links to a resource, from the same side."""
        properties = self.statistics.properties if self.statistics else None
        return with_links(self._side(description.iri), description, properties)

    def _side(self, iri: str) -> _Within:
        return self.plain if exists(self.plain, iri) or not exists(self.beside, iri) else self.beside

    def in_graph(
        self, graph: str, predicate: ox.NamedNode | None = None, object_: ox.NamedNode | None = None
    ) -> Iterator[ox.Quad]:
        """Yield the quads of one visible graph, none of a graph that is not visible."""
        return self.reader.quads(None, predicate, object_, ox.NamedNode(graph)) if self.sees(graph) else iter(())

    def in_graph_of(self, graph: str, subject: Node, predicate: ox.NamedNode | None = None) -> Iterator[ox.Quad]:
        """Yield what one visible graph says of a subject."""
        return self.reader.quads(subject, predicate, None, ox.NamedNode(graph)) if self.sees(graph) else iter(())

    def is_ontology(self, iri: str) -> bool:
        """Tell whether a graph of definitions speaks of an IRI (shapes have graphs of their own)."""
        return any(
            next(self.in_graph_of(graph, ox.NamedNode(iri)), None) is not None
            for graph, info in self.infos.items()
            if info.role == "ontology"
        )

    def remember(self, key: str, make: Callable[[], _Made]) -> _Made:
        """Make something once for as long as the generation answers; the key names the type too."""
        if key not in self._remembered:
            self._remembered[key] = make()
        return cast(_Made, self._remembered[key])
