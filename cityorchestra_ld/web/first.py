"""The first answer about a thing, on the spot: for plain requests, and byte for byte what the long way would give."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, Self, TypeVar

import pyoxigraph as ox

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.formats import GRAPH_FORMATS
from cityorchestra_ld.namespaces import RDF
from cityorchestra_ld.web.afterlife import REPLACED, replaced
from cityorchestra_ld.web.again import Key, Whole, head_of
from cityorchestra_ld.web.dereference import Seen, about, see_other
from cityorchestra_ld.web.describe import GENID, OWNING, by_weight, is_part
from cityorchestra_ld.web.http_ import Ask, Headers, etag_of, written
from cityorchestra_ld.web.located import LOCATING
from cityorchestra_ld.web.paging import PAGE
from cityorchestra_ld.web.profiles import PLAIN, Choice, choose
from cityorchestra_ld.web.representation import depends_on, whole_headers
from cityorchestra_ld.web.writing import Declared, declared, order, space_of, write_declared, write_ordered

if TYPE_CHECKING:
    from cityorchestra_ld.web.site_ import Site
    from cityorchestra_ld.web.snapshot import Snapshot

_THING: Final = re.compile(rb"/(doc|id)/([A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)")
_PLAIN: Final = frozenset((b"host", b"accept-language"))  # headers on which these answers do not depend
_MOST: Final = 200  # quads
_WAYS: Final = 256  # Accept headers that are remembered, and for each of them sets of graphs
_TYPE: Final = f"{RDF}type"
_SIMPLE: Final = frozenset((ox.NamedNode, ox.Literal))
_CLOSER: Final = frozenset((*LOCATING, *OWNING, REPLACED.value))  # properties of things that are not simple
_K = TypeVar("_K")
_V = TypeVar("_V")
_NAME, _TAG, _SIZE = "0-name-of-a-thing-0", "0-tag-of-a-thing-0", "0-size-of-a-thing-0"  # slots of a head


@dataclass(slots=True)
class _Thing:
    """What is said of a thing, in the order in which it is written."""

    triples: Sequence[ox.Triple]
    graphs: tuple[str, ...]  # the one that says most first
    located: bool
    used: Declared | None = None  # prefixes, where they are known


@dataclass(frozen=True, slots=True)
class _Shape:
    """What things of which the engine tells the same predicates, in the same order, have in common."""

    simple: bool
    spaces: frozenset[str]
    order: Sequence[int] | None  # in which their triples are written, unless their objects decide

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        """Look at their predicates."""
        order = sorted(range(len(names)), key=lambda number: (names[number] != _TYPE, names[number]))
        repeated = len(set(names)) < len(names)
        return cls(_CLOSER.isdisjoint(names), frozenset(map(space_of, names)), None if repeated else order)


class _Head:
    """Headers of many answers, with slots for what each has of its own: a name, a tag, the size of the body."""

    def __init__(self, headers: Headers) -> None:
        text = head_of(written((*headers, ("Content-Length", _SIZE))))
        before, _, self._end = text.partition(_SIZE.encode())
        named, _, self._after = before.partition(_TAG.encode())
        self._named = named.split(_NAME.encode())

    def fill(self, name: bytes, size: int, tag: str = "") -> bytes:
        """Return the headers of one answer."""
        return b"".join((name.join(self._named), tag.encode(), self._after, b"%d" % size, self._end))


@dataclass(frozen=True, slots=True)
class _Way:
    """How an Accept header is answered."""

    choice: Choice
    tag: Sequence[str]  # what the entity tag is made of, without the name of the thing
    heads: dict[tuple[str, ...], _Head] = field(default_factory=dict)  # by the graphs that speak


class First:
    """Answers plain requests about things; whatever is not plain, or not simply there, is `None` and goes the long way."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._made: _Made | None = None

    def __call__(self, snapshot: Snapshot, key: Key) -> Whole | None:
        """Answer a GET request for `/doc/…` or `/id/…`."""
        address, _, root, said = key
        found = _THING.fullmatch(address)
        if found is None or root:
            return None
        accept = None
        for name, value in said:
            if name == b"accept" and accept is None:
                accept = value
            elif name not in _PLAIN:
                return None
        kind, path = found.groups()
        try:
            made = self._made
            if made is None or made.snapshot is not snapshot:
                made = self._made = _Made(self._site, snapshot)
            return made.document(path, accept) if kind == b"doc" else made.identifier(path)
        except (CityOrchestraError, OSError, RuntimeError, ValueError):
            return None  # the long way tells what is wrong


class _Made:
    """First answers from one generation."""

    def __init__(self, site: Site, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._site = site
        self._things = f"{site.territory.base_iri}id/"
        self._replaced = replaced(snapshot)
        self._spaces = frozenset(site.prefixes.values())
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._used: dict[frozenset[str], Declared] = {}
        self._ways: dict[bytes | None, tuple[_Way | None, _Way | None]] = {}  # by Accept: without a geometry, with one
        elsewhere = see_other(Ask(), f"/doc/{_NAME}")
        self._elsewhere = _Head(elsewhere.headers), elsewhere.body.split(_NAME.encode())

    def identifier(self, name: bytes) -> Whole | None:
        """Send to the document about a thing that is there, and that nothing replaces."""
        iri = self._things + name.decode()
        find, node, seen = self.snapshot.reader.quads, ox.NamedNode(iri), self.snapshot.all.graphs
        graphs = (quad.graph_name for quad in islice(find(node), _MOST))
        there = any(isinstance(graph, ox.NamedNode) and graph.value in seen for graph in graphs)
        if not there or self._may_be_replaced(iri) or next(find(node, REPLACED), None) is not None:
            return None
        head, parts = self._elsewhere
        body = name.join(parts)
        return Whole(303, head.fill(name, len(body)), body, "identifier")

    def document(self, name: bytes, accept: bytes | None) -> Whole | None:
        """Describe a thing that is there, in one of the forms of a graph."""
        iri = self._things + (text := name.decode())
        ways = self._ways_for(accept)
        thing = self._look(iri) if any(ways) else None
        way = ways[thing.located] if thing else None
        if thing is None or way is None:
            return None
        head = way.heads.get(thing.graphs)
        if head is None:
            head = self._head(accept, way, thing)
        form = way.choice.offer.format
        if thing.used is None:
            body = write_ordered(thing.triples, form, self._site.prefixes)
        else:
            body = write_declared(thing.triples, form, thing.used)
        self.snapshot.answers.missed()
        return Whole(200, head.fill(name, len(body), etag_of(text.join(way.tag))), body, "document")

    def _may_be_replaced(self, iri: str) -> bool:
        return self._replaced is None or iri in self._replaced

    def _look(self, iri: str) -> _Thing | None:
        """Read what is said of a thing; `None` when that is nothing, or much, or needs a second thought."""
        quads = list(islice(self.snapshot.reader.quads(ox.NamedNode(iri)), _MOST + 1))
        if len(quads) > _MOST or self._site.dataset_at(iri) is not None or self._may_be_replaced(iri):
            return None
        visible, plain, located = self.snapshot.all.graphs, self.snapshot.plain.graphs, False
        said, graphs = quads, [_graph(quad) for quad in quads]
        if not plain.issuperset(graphs):
            quads = [quad for quad in quads if _graph(quad) in visible]
            said = [quad for quad in quads if _graph(quad) in plain] or quads
            graphs = [_graph(quad) for quad in said]
        if not said:
            return None
        triples = [quad.triple for quad in said]
        terms = [triple.object for triple in triples]
        names = tuple([triple.predicate.value for triple in triples])
        shape = self._shapes.get(names) or _remembered(self._shapes, names, _Shape.of(names))
        # what graphs beside these say counts here as well, though it is not told
        if said is not quads or not shape.simple or not _SIMPLE.issuperset(map(type, terms)):
            predicates = {quad.predicate.value for quad in quads}
            if REPLACED.value in predicates:
                return None
            located = not LOCATING.isdisjoint(predicates)
            if any(_is_nested(quad, iri) for quad in quads):
                return self._nested(iri, located=located)
        used = {term.datatype.value if isinstance(term, ox.Literal) else term.value for term in terms}  # type: ignore[union-attr]
        spaces = shape.spaces.union((iri[: iri.rfind("/") + 1],), map(space_of, used))
        if GENID in "".join(spaces):
            return self._nested(iri, located=located)
        if shape.order is None:
            ranks = ["" if name == _TYPE else name for name in names]
            ordered = [row[3] for row in sorted(zip(ranks, map(str, terms), graphs, triples, strict=True))]
        else:
            ordered = [triples[number] for number in shape.order]
        if graphs.count(graphs[0]) == len(graphs):  # which is so for nearly every thing
            return _Thing(ordered, (graphs[0],), located, self._declared(spaces))
        return _Thing(list(dict.fromkeys(ordered)), by_weight(graphs), located, self._declared(spaces))

    def _declared(self, spaces: Set[str]) -> Declared:
        """Return the prefixes that go with these spaces; there are few combinations of them."""
        known = self._spaces.intersection(spaces)
        return self._used.get(known) or _remembered(self._used, known, declared(known, self._site.prefixes))

    def _nested(self, iri: str, *, located: bool) -> _Thing | None:
        """Read what is said of a thing and of its parts."""
        told = self.snapshot.describe(iri)
        triples = order(told.triples, iri)
        return _Thing(triples, told.graphs, located) if len(triples) <= PAGE else None

    def _ways_for(self, accept: bytes | None) -> tuple[_Way | None, _Way | None]:
        """Return how an Accept header is answered, `None` when it is not with a graph."""
        known = self._ways.get(accept)
        if known is None:
            known = self._chosen(accept, Seen((), False)), self._chosen(accept, Seen((), True))
            _remembered(self._ways, accept, known)
        return known

    def _chosen(self, accept: bytes | None, seen: Seen) -> _Way | None:
        ask, site = _ask(accept), self._site
        document = about(ask, site, self.snapshot, self._things + _NAME, seen=seen)
        choice = choose(ask, document.profiles, site.territory.base_iri, None)
        if choice is None or choice.profile.token != PLAIN.token or choice.offer.format not in GRAPH_FORMATS:
            return None
        return _Way(choice, repr(depends_on(ask, site, self.snapshot, document, choice)).split(_NAME))

    def _head(self, accept: bytes | None, way: _Way, thing: _Thing) -> _Head:
        """Write the headers of all things of which the same graphs speak, as the long way does."""
        ask, seen = _ask(accept), Seen(thing.graphs, thing.located)
        document = about(ask, self._site, self.snapshot, self._things + _NAME, seen=seen)
        headers = whole_headers(ask, self._site, self.snapshot, document, way.choice, _TAG)
        return _remembered(way.heads, thing.graphs, _Head(headers))


def _ask(accept: bytes | None) -> Ask:
    return Ask(path=f"/doc/{_NAME}", headers={} if accept is None else {"accept": accept.decode("latin-1")})


def _remembered(known: dict[_K, _V], key: _K, value: _V) -> _V:
    """Remember a value beside others of which there are few, whatever is asked."""
    if len(known) >= _WAYS:
        known.clear()
    known[key] = value
    return value


def _graph(quad: ox.Quad) -> str:
    return getattr(quad.graph_name, "value", "")


def _is_nested(quad: ox.Quad, iri: str) -> bool:
    """Tell whether a node is described with the thing that it is said of."""
    term = quad.object
    return not isinstance(term, ox.NamedNode | ox.Literal) or is_part(term, quad.predicate.value, iri)
