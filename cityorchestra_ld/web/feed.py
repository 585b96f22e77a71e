"""The feed of changes of each dataset: one page to start from, and pages that never change again (LDES 1.0, TREE)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.catalog.ledger import PAGE, Entry, Ledger, read, things
from cityorchestra_ld.catalog.triples import both, lit
from cityorchestra_ld.formats import GRAPH_FORMATS, JSON_LD, N_QUADS, TRIG, Format
from cityorchestra_ld.model import Text
from cityorchestra_ld.namespaces import DCT, PROV, RDF, REUSED
from cityorchestra_ld.web.catalog_records import chosen_form
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.writing import used_prefixes, write_graph

_FORMATS: Final = (TRIG, N_QUADS, JSON_LD)
_LASTING: Final = "public, max-age=31536000, immutable"
_N = ox.NamedNode
_TYPE: Final = _N(f"{RDF}type")
_LDES, _TREE = REUSED["ldes"], REUSED["tree"]
_MOMENT: Final = _N(f"{PROV}generatedAtTime")
_VERSION_OF: Final = _N(f"{DCT}isVersionOf")
_GONE: Final = _N("https://www.w3.org/ns/activitystreams#Delete")


def index(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/feed`: which datasets have a feed."""
    base = site.territory.base_iri

    def triples() -> Iterator[ox.Triple]:
        top = _N(f"{base}feed")
        yield ox.Triple(top, _TYPE, _N(f"{REUSED['dcat']}Catalog"))
        for title in both(Text("Flux des changements", "Feeds of changes")):
            yield ox.Triple(top, _N(f"{DCT}title"), title)
        for key, dataset in site.territory.datasets.items():
            if snapshot.graph_of(key) is not None and read(site.territory.state, key).entries:
                stream = _N(f"{base}feed/{key}")
                yield ox.Triple(top, _N(f"{REUSED['dcat']}dataset"), stream)
                yield ox.Triple(stream, _TYPE, _N(f"{_LDES}EventStream"))
                yield ox.Triple(stream, _N(f"{DCT}source"), _N(site.territory.iris.dataset(key)))
                for title in both(dataset.title):
                    yield ox.Triple(stream, _N(f"{DCT}title"), title)

    form = chosen_form(ask, None, GRAPH_FORMATS)
    generation = snapshot.generation
    tag = etag(site.salt, generation.number, generation.created.isoformat(), "/feed", form.media_type)
    if is_fresh(ask, tag, generation.created):
        return not_modified(tag, generation.created)
    headers = _headers(form, tag, http_date(generation.created), CACHED)
    return Answer(200, headers, write_graph(list(triples()), form, site.prefixes))


def feed(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/feed/{partner}/{dataset}` and its pages `…/{entry}/{page}`."""
    parts = ask.path.removeprefix("/feed/").split("/")
    key = "/".join(parts[:2])
    ledger = read(site.territory.state, key) if key in site.territory.datasets and snapshot.graph_of(key) else Ledger()
    if not ledger.entries:
        raise not_found(ask)
    if len(parts) == 2:
        return _answer(ask, site, _Stream(ask, site, key, ledger).root, ledger.entries[-1], lasting=False)
    entry = next((entry for entry in ledger.entries if len(parts) == 4 and entry.name == parts[2]), None)
    if entry is None or not parts[3].isdecimal() or not 1 <= int(parts[3]) <= max(1, entry.pages):
        raise not_found(ask)
    stream = _Stream(ask, site, key, ledger)
    return _answer(ask, site, lambda: stream.page(entry, int(parts[3])), entry, lasting=True)


class _Stream:
    """The pages of one feed, as quads."""

    def __init__(self, ask: Ask, site: Site, key: str, ledger: Ledger) -> None:
        self._site, self._key, self._ledger = site, key, ledger
        self._stream = _N(f"{site.territory.base_iri}feed/{key}")
        self._here = f"{(ask.origin + ask.root) or site.territory.base_iri.rstrip('/')}/feed/{key}"
        self._quads: list[ox.Quad] = []

    def root(self) -> Sequence[ox.Quad]:
        """Describe the stream, and lead to its entries by time."""
        dataset, base = self._site.territory.datasets[self._key], self._ledger.entries[0]
        self._add(self._stream, _TYPE, _N(f"{_LDES}EventStream"))
        for title in both(dataset.title):
            self._add(self._stream, _N(f"{DCT}title"), title)
        self._add(self._stream, _N(f"{DCT}source"), _N(self._site.territory.iris.dataset(self._key)))
        self._add(self._stream, _N(f"{_LDES}timestampPath"), _MOMENT)
        self._add(self._stream, _N(f"{_LDES}versionOfPath"), _VERSION_OF)
        self._add(self._stream, _N(f"{_LDES}versionDeleteObject"), _GONE)
        node, policy = _N(self._here), ox.BlankNode("kept")
        self._add(self._stream, _N(f"{_TREE}view"), node)
        self._add(node, _TYPE, _N(f"{_TREE}Node"))
        self._add(node, _N(f"{_LDES}retentionPolicy"), policy)
        self._add(policy, _TYPE, _N(f"{_LDES}RetentionPolicy"))
        self._add(policy, _N(f"{_LDES}versionAmount"), lit(1))
        self._add(policy, _N(f"{_LDES}startingFrom"), _time(base))
        for entry in self._ledger.entries:
            self._relation(node, entry, 1)
        return self._quads

    def page(self, entry: Entry, page: int) -> Sequence[ox.Quad]:
        """Show one page: each member names a thing, a moment, and in its own graph all that is said of the thing."""
        node = _N(f"{self._here}/{entry.name}/{page}")
        self._add(self._stream, _TYPE, _N(f"{_LDES}EventStream"))
        self._add(self._stream, _N(f"{_TREE}view"), _N(self._here))
        self._add(node, _TYPE, _N(f"{_TREE}Node"))
        if page < entry.pages:
            self._relation(node, entry, page + 1)
        moment = _time(entry)
        for place, (subject, pairs) in enumerate(
            things(self._site.territory.state, self._key, entry, page), (page - 1) * PAGE + 1
        ):
            member = _N(f"{self._stream.value}/{entry.name}/{page}#{place}")
            text = "".join([f"{subject} {predicate} {object_} .\n" for predicate, object_ in pairs])
            self._add(self._stream, _N(f"{_TREE}member"), member)
            self._add(member, _VERSION_OF, _N(subject[1:-1]))
            self._add(member, _MOMENT, moment)
            if not pairs:
                self._add(member, _TYPE, _GONE)
            self._quads += [
                ox.Quad(quad.subject, quad.predicate, quad.object, member)
                for quad in ox.parse(text.encode(), format=ox.RdfFormat.N_TRIPLES)
            ]
        return self._quads

    def _relation(self, node: ox.NamedNode, entry: Entry, page: int) -> None:
        """Lead to a page of an entry; all its members have one moment, and the relations say which."""
        target = _N(f"{self._here}/{entry.name}/{page}")
        for kind in ("GreaterThanOrEqualTo", "LessThanOrEqualTo"):
            relation = ox.BlankNode(f"{kind}{entry.name.replace('-', '')}p{page}")
            self._add(node, _N(f"{_TREE}relation"), relation)
            self._add(relation, _TYPE, _N(f"{_TREE}{kind}Relation"))
            self._add(relation, _N(f"{_TREE}node"), target)
            self._add(relation, _N(f"{_TREE}path"), _MOMENT)
            self._add(relation, _N(f"{_TREE}value"), _time(entry))

    def _add(
        self, subject: ox.NamedNode | ox.BlankNode, predicate: ox.NamedNode, value: ox.NamedNode | ox.BlankNode | ox.Literal
    ) -> None:
        self._quads.append(ox.Quad(subject, predicate, value))


def _time(entry: Entry) -> ox.Literal:
    return ox.Literal(entry.moment.isoformat(timespec="microseconds"), datatype=_N(f"{REUSED['xsd']}dateTime"))


def _answer(ask: Ask, site: Site, quads: Callable[[], Sequence[ox.Quad]], entry: Entry, *, lasting: bool) -> Answer:
    form = chosen_form(ask, None, _FORMATS)
    tag = etag(site.salt, ask.path, ask.origin, ask.root, entry.name, entry.sha256, form.media_type)
    if is_fresh(ask, tag, entry.moment):
        return not_modified(tag, entry.moment)
    found = quads()
    prefixes = used_prefixes((quad.triple for quad in found), site.prefixes) if form is TRIG else None
    body = ox.serialize(found, format=form.rdf, prefixes=prefixes) or b""
    return Answer(200, _headers(form, tag, http_date(entry.moment), _LASTING if lasting else CACHED), body)


def _headers(form: Format, tag: str, modified: str, caching: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Content-Type", f"{form.media_type}; charset=utf-8" if form.charset else form.media_type),
        ("Cache-Control", caching),
        ("Vary", VARY),
        ("ETag", tag),
        ("Last-Modified", modified),
    )
