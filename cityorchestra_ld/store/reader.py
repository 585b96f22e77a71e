"""Look things up in one generation, in this process: for answers that are known to be cheap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final, Self

import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation, GraphInfo, View
from cityorchestra_ld.namespaces import DCT, FOAF, RDF, RDFS, SKOS
from cityorchestra_ld.store.generations import Hold
from cityorchestra_ld.store.serialization import write_statements

Node = ox.NamedNode | ox.BlankNode
Object = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple

_TYPE: Final = ox.NamedNode(f"{RDF}type")
_LABELS: Final = tuple(
    ox.NamedNode(iri) for iri in (f"{SKOS}prefLabel", f"{RDFS}label", f"{DCT}title", f"{FOAF}name", "https://schema.org/name")
)
_GENID: Final = "/.well-known/genid/"
_SCANNED: Final = 20_000  # quads that one lookup of links may pass over


@dataclass(frozen=True, slots=True)
class Found:
    """Triples that a lookup found, and whether there are more."""

    triples: tuple[ox.Triple, ...]
    more: bool = False


class Reader:
    """
    One generation, held and open for reading.

    Each method runs and ends in the thread that calls it; only `quads` hands out an iterator, which must stay in that thread,
    because the engine aborts the process when another touches it.
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._hold = Hold(generation.path)
        try:
            self._store: ox.Store | None = ox.Store.read_only(str(generation.path / "db"))
        except (OSError, RuntimeError) as error:
            self._hold.close()
            raise StoreError(
                Text(f"La génération ne s'ouvre pas : {error}", f"The generation cannot be opened: {error}")
            ) from None

    def close(self) -> None:
        """Let the generation go."""
        self._store = None
        self._hold.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _open(self) -> ox.Store:
        if self._store is None:
            raise StoreError(Text("Ce lecteur est fermé.", "This reader is closed."))
        return self._store

    def quads(
        self,
        subject: Node | None = None,
        predicate: ox.NamedNode | None = None,
        object_: Object | None = None,
        graph: ox.NamedNode | None = None,
    ) -> Iterator[ox.Quad]:
        """Yield the quads that match, in any graph when none is given: the caller restricts them to a view."""
        return iter(self._open.quads_for_pattern(subject, predicate, object_, graph))

    # --- within a view ----------------------------------------------------------------------------------------------------

    def _within(
        self, view: View, subject: Node | None, predicate: ox.NamedNode | None, object_: Object | None
    ) -> Iterator[ox.Triple]:
        """Yield triples of the view's default graphs; one that lies in two graphs may come twice."""
        allowed = frozenset(view.default_graphs)
        for quad in self.quads(subject, predicate, object_):
            if isinstance(quad.graph_name, ox.NamedNode) and quad.graph_name.value in allowed:
                yield quad.triple

    def graphs(self, view: View) -> tuple[GraphInfo, ...]:
        """List the graphs that the view shows."""
        seen = {*view.default_graphs, *view.named_graphs}
        return tuple(info for info in self.generation.graphs if info.graph in seen)

    def exists(self, iri: str, view: View) -> bool:
        """Tell whether a visible triple has this subject."""
        return next(self._within(view, ox.NamedNode(iri), None, None), None) is not None

    def describe(self, iri: str, view: View, *, limit: int = 10_000) -> Found:
        """Collect the visible triples about a resource, and about the unnamed nodes nested in it."""
        triples: dict[ox.Triple, None] = {}
        todo: list[ox.NamedNode] = [ox.NamedNode(iri)]
        seen = {iri}
        while todo:
            for triple in self._within(view, todo.pop(), None, None):
                if len(triples) >= limit and triple not in triples:
                    return Found(tuple(triples), more=True)
                triples[triple] = None
                nested = triple.object
                if isinstance(nested, ox.NamedNode) and _GENID in nested.value and nested.value not in seen:
                    seen.add(nested.value)
                    todo.append(nested)
        return Found(tuple(triples))

    def links_to(self, iri: str, view: View, *, offset: int = 0, limit: int = 100) -> Found:
        """Return a page of the visible triples that have this resource as object, in the engine's fixed order."""
        scanned = islice(self.quads(None, None, ox.NamedNode(iri)), _SCANNED + 1)
        allowed = frozenset(view.default_graphs)
        found: dict[ox.Triple, None] = {}
        passed = 0
        for quad in scanned:
            passed += 1
            if isinstance(quad.graph_name, ox.NamedNode) and quad.graph_name.value in allowed:
                found[quad.triple] = None
            if len(found) > offset + limit:
                break
        more = len(found) > offset + limit or passed > _SCANNED
        return Found(tuple(found)[offset : offset + limit], more=more)

    def types(self, iris: Iterable[str], view: View) -> dict[str, tuple[str, ...]]:
        """Return the classes of resources, sorted; resources without a class are left out."""
        result = {}
        for iri in dict.fromkeys(iris):
            objects = (triple.object for triple in self._within(view, ox.NamedNode(iri), _TYPE, None))
            classes = sorted({term.value for term in objects if isinstance(term, ox.NamedNode)})
            if classes:
                result[iri] = tuple(classes)
        return result

    def labels(self, iris: Iterable[str], view: View, languages: Sequence[str] = ("fr", "en")) -> dict[str, ox.Literal]:
        """
        Return one label for each resource that has one.

        The language decides first (those asked for in their order, then none, then any in alphabetical order), then the
        property.
        """
        found = {iri: self._label(ox.NamedNode(iri), view, languages) for iri in dict.fromkeys(iris)}
        return {iri: label for iri, label in found.items() if label is not None}

    def _label(self, node: ox.NamedNode, view: View, languages: Sequence[str]) -> ox.Literal | None:
        order = {language: index for index, language in enumerate(languages)}
        best: tuple[tuple[int, str, int, str], ox.Literal] | None = None
        for index, predicate in enumerate(_LABELS):
            for triple in self._within(view, node, predicate, None):
                literal = triple.object
                if not isinstance(literal, ox.Literal):
                    continue
                language = literal.language or ""
                rank = order.get(language.partition("-")[0], len(order) if not language else len(order) + 1)
                key = (rank, language, index, literal.value)
                if best is None or key < best[0]:
                    best = (key, literal)
            if best is not None and best[0][0] == 0:
                break
        return best[1] if best else None

    def write_graph(
        self, graph: str, view: View, out: BinaryIO, media_type: str, prefixes: Mapping[str, str] | None = None
    ) -> None:
        """Serialise one visible graph as a stream; a graph that the view does not show is written as an empty one."""
        if graph in view.default_graphs or graph in view.named_graphs:
            quads = self.quads(None, None, None, ox.NamedNode(graph))
            named = media_type in ("application/n-quads", "application/trig")
            write_statements(quads if named else (quad.triple for quad in quads), out, media_type, prefixes)
        else:
            write_statements((), out, media_type)
