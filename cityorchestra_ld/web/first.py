"""The first answer about a thing, on the spot: for plain requests, and byte for byte what the long way would give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.formats import GRAPH_FORMATS
from cityorchestra_ld.namespaces import RDF
from cityorchestra_ld.web.afterlife import REPLACED, replaced
from cityorchestra_ld.web.again import Key, Whole, head_of
from cityorchestra_ld.web.dereference import Seen, about, see_other
from cityorchestra_ld.web.describe import by_weight, is_part
from cityorchestra_ld.web.http_ import Ask, Headers, etag_of, written
from cityorchestra_ld.web.located import LOCATING
from cityorchestra_ld.web.paging import PAGE
from cityorchestra_ld.web.profiles import PLAIN, Choice, choose
from cityorchestra_ld.web.representation import depends_on, whole_headers
from cityorchestra_ld.web.writing import order, write_ordered

if TYPE_CHECKING:
    from cityorchestra_ld.web.site_ import Site
    from cityorchestra_ld.web.snapshot import Snapshot

_Row = tuple[bool, str, str, str, str, ox.Quad]  # is not a type, predicate, object, graph, IRI or datatype of the object
_THING: Final = re.compile(rb"/(doc|id)/([A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)")
_PLAIN: Final = frozenset((b"host", b"accept-language"))  # headers on which these answers do not depend
_MOST: Final = 200  # quads
_WAYS: Final = 256  # Accept headers that are remembered, and for each of them sets of graphs
_TYPE, _REPLACED = f"{RDF}type", REPLACED.value
_NAME, _TAG, _SIZE = "0-name-of-a-thing-0", "0-tag-of-a-thing-0", "0-size-of-a-thing-0"  # slots of a head


@dataclass(slots=True)
class _Thing:
    """What is said of a thing, in the order in which it is written."""

    triples: Sequence[ox.Triple]
    graphs: tuple[str, ...]  # the one that says most first
    located: bool
    iris: Iterable[str] | None = None  # that occur in it, where they are known


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
        body = write_ordered(thing.triples, way.choice.offer.format, self._site.prefixes, thing.iris)
        self.snapshot.answers.missed()
        return Whole(200, head.fill(name, len(body), etag_of(text.join(way.tag))), body, "document")

    def _may_be_replaced(self, iri: str) -> bool:
        return self._replaced is None or iri in self._replaced

    def _look(self, iri: str) -> _Thing | None:
        """Read what is said of a thing; `None` when that is nothing, or much, or needs a second thought."""
        snapshot = self.snapshot
        plain, beside = snapshot.plain.graphs, snapshot.beside.graphs
        quads = list(islice(snapshot.reader.quads(ox.NamedNode(iri)), _MOST + 1))
        if len(quads) > _MOST or self._site.dataset_at(iri) is not None or self._may_be_replaced(iri):
            return None
        usual: list[_Row] = []
        others: list[_Row] = []
        located = nested = False
        for quad in quads:
            name, predicate, term = quad.graph_name, quad.predicate.value, quad.object
            graph = name.value if isinstance(name, ox.NamedNode) else ""
            side = usual if graph in plain else others if graph in beside else None
            if side is None:
                continue
            if predicate == _REPLACED:
                return None
            located = located or predicate in LOCATING
            if isinstance(term, ox.Literal):
                used = term.datatype.value
            elif isinstance(term, ox.NamedNode) and not is_part(term, predicate, iri):
                used = term.value
            else:
                used, nested = "", True
            side.append((predicate != _TYPE, predicate, str(term), graph, used, quad))
        if nested:
            return self._nested(iri, located=located)
        rows = sorted(usual or others)
        if not rows:
            return None
        triples, graphs = [row[5].triple for row in rows], [row[3] for row in rows]
        iris = {iri, *[row[1] for row in rows], *[row[4] for row in rows]}
        if graphs.count(graphs[0]) == len(graphs):  # which is so for nearly every thing
            return _Thing(triples, (graphs[0],), located, iris)
        return _Thing(list(dict.fromkeys(triples)), by_weight(graphs), located, iris)

    def _nested(self, iri: str, *, located: bool) -> _Thing | None:
        """Read what is said of a thing and of its parts."""
        told = self.snapshot.describe(iri)
        triples = order(told.triples, iri)
        return _Thing(triples, told.graphs, located) if len(triples) <= PAGE else None

    def _ways_for(self, accept: bytes | None) -> tuple[_Way | None, _Way | None]:
        """Return how an Accept header is answered, `None` when it is not with a graph."""
        known = self._ways.get(accept)
        if known is None:
            if len(self._ways) >= _WAYS:
                self._ways.clear()
            known = self._ways[accept] = self._chosen(accept, Seen((), False)), self._chosen(accept, Seen((), True))
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
        if len(way.heads) >= _WAYS:
            way.heads.clear()
        way.heads[thing.graphs] = head = _Head(headers)
        return head


def _ask(accept: bytes | None) -> Ask:
    return Ask(path=f"/doc/{_NAME}", headers={} if accept is None else {"accept": accept.decode("latin-1")})
