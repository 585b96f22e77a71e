"""The catalogue and the statistics as RDF: whole, page by page, or what changed since a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from urllib.parse import urlencode

import pyoxigraph as ox

from cityorchestra_ld.errors import Text, UsageError
from cityorchestra_ld.formats import DOCUMENT_FORMATS, GRAPH_FORMATS, HTML, Format, named, negotiate, split_suffix
from cityorchestra_ld.namespaces import DCAT, DCT, RDF, REUSED, XSD
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, Variant, not_found
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.writing import write_graph

_PER_PAGE: Final = 100
_MOST: Final = 500
_PARAMETERS: Final = ("page", "page_size", "modified_since")
_N = ox.NamedNode
_TYPE, _CATALOG = _N(f"{RDF}type"), _N(f"{DCAT}Catalog")
_DATASET, _RECORD, _TOPIC = _N(f"{DCAT}dataset"), _N(f"{DCAT}record"), _N(f"{REUSED['foaf']}primaryTopic")
_MEMBERS: Final = frozenset(_N(f"{DCAT}{name}") for name in ("dataset", "record", "catalog", "servesDataset"))
_MODIFIED: Final = _N(f"{DCT}modified")
_SIZE, _NATURAL = _N(f"{DCAT}byteSize"), _N(f"{XSD}nonNegativeInteger")
_HYDRA, _TREE = REUSED["hydra"], REUSED["tree"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the catalogue a client asks for."""

    page: int = 1
    size: int = _PER_PAGE
    since: datetime | None = None

    def query(self, page: int) -> str:
        """Write the address of a page, after the question mark."""
        values = {"page": str(page)} | ({"page_size": str(self.size)} if self.size != _PER_PAGE else {})
        return urlencode(values | ({"modified_since": self.since.isoformat()} if self.since else {}))


def read_wanted(ask: Ask) -> Wanted | None:
    """Read the parameters for pages; nothing when there are none; raise UsageError for what cannot be read."""
    page, size, since = (ask.one(name) for name in _PARAMETERS)
    if page is None and size is None and since is None:
        return None
    return Wanted(_number("page", page, 1, 1_000_000), _number("page_size", size, _PER_PAGE, _MOST), _moment(since))


def _number(name: str, text: str | None, usual: int, most: int) -> int:
    if text is None:
        return usual
    if not text.isdecimal() or not text.isascii() or len(text) > 9 or not 1 <= int(text) <= most:
        raise UsageError(
            Text(f"« {name} » doit être un nombre de 1 à {most}.", f"'{name}' must be a number from 1 to {most}."),
        )
    return int(text)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign that nobody encoded
    except ValueError:
        raise UsageError(
            Text("« modified_since » n'est pas une date.", "'modified_since' is not a date."),
            hint=Text("Exemple : 2026-11-01 ou 2026-11-01T08:00:00Z", "Example: 2026-11-01 or 2026-11-01T08:00:00Z"),
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def records(site: Site, snapshot: Snapshot) -> tuple[ox.Triple, ...]:
    """Return every record of the catalogue graphs, harvested ones included; statistics apart."""
    apart = site.territory.iris.graph("void")

    def collect() -> tuple[ox.Triple, ...]:
        graphs = [
            graph
            for graph, info in snapshot.infos.items()
            if info.role == "catalog" and graph != apart and snapshot.sees(graph)
        ]
        return tuple(dict.fromkeys(_restored(quad.triple) for graph in graphs for quad in snapshot.in_graph(graph)))

    return snapshot.remember("catalog records", collect)


def answer(ask: Ask, site: Site, snapshot: Snapshot, form: Format, *, fixed: bool) -> Answer:
    """Answer for `/catalog` as RDF: whole while it fits in one page, else the page that is asked for, or the first."""
    everything = records(site, snapshot)
    wanted = read_wanted(ask)
    book = snapshot.remember("catalog book", lambda: Book(everything))
    if wanted is None and len(book.datasets) <= _PER_PAGE:
        return _written(ask, site, snapshot, form, lambda: everything, ("/catalog", fixed), links=_forms(ask, "/catalog", form))
    wanted = wanted or Wanted()
    members = book.since(wanted.since)
    last = max(1, -(-len(members) // wanted.size))
    if wanted.page > last:
        raise not_found(ask)
    here = f"{(ask.origin + ask.root) or site.territory.base_iri.rstrip('/')}/catalog{'.' + form.suffix if fixed else ''}?"
    numbers = {"first": 1, "last": last}
    numbers |= {"next": wanted.page + 1} if wanted.page < last else {}
    numbers |= {"previous": wanted.page - 1} if wanted.page > 1 else {}
    links = {name: here + wanted.query(number) for name, number in numbers.items()}
    address = here + wanted.query(wanted.page)
    chosen = members[(wanted.page - 1) * wanted.size : wanted.page * wanted.size]
    main = site.territory.iris.id("catalog", "main")

    def triples() -> list[ox.Triple]:
        return [*book.part(chosen), *_controls(main, address, links, len(members), wanted.size)]

    told = [f'<{link}>; rel="{"prev" if name == "previous" else name}"' for name, link in links.items()]
    return _written(ask, site, snapshot, form, triples, (address,), links=told)


def _forms(ask: Ask, path: str, form: Format) -> list[str]:
    """Link to the other forms of a document."""
    others = [one for one in DOCUMENT_FORMATS if one is not form and (one is not HTML or path == "/catalog")]
    return [f'<{ask.root}{path}.{one.suffix}>; rel="alternate"; type="{one.media_type}"' for one in others]


def _written(
    ask: Ask,
    site: Site,
    snapshot: Snapshot,
    form: Format,
    triples: Callable[[], Sequence[ox.Triple]],
    key: tuple[object, ...],
    *,
    links: Sequence[str],
) -> Answer:
    """Write a graph once for a generation, 304 when the client has it (RFC 9110, sections 8.8 and 13)."""
    generation = snapshot.generation
    seen = (generation.number, generation.created.isoformat(), "records", *key, form.media_type, ask.root)
    tag = etag(site.salt, *seen)
    if is_fresh(ask, tag, generation.created):
        return not_modified(tag, generation.created)
    found = snapshot.answers.get(seen)
    if found is None:
        headers = (
            ("Content-Type", f"{form.media_type}; charset=utf-8" if form.charset else form.media_type),
            ("Cache-Control", CACHED),
            ("Vary", VARY),
            ("Link", ", ".join(links)),
            ("ETag", tag),
            ("Last-Modified", http_date(generation.created)),
        )
        found = Answer(200, headers, write_graph(list(triples()), form, site.prefixes))
        snapshot.answers.put(seen, found)
    return found


def chosen_form(ask: Ask, fixed: Format | None, formats: tuple[Format, ...]) -> Format:
    """Choose a form by suffix, by `format=`, by the Accept header; raise NotAcceptableError when none is acceptable."""
    if fixed is not None:
        return fixed
    word = ask.one("format")
    offer = named(word, formats) if word else negotiate(ask.accept, formats)
    if offer is None:
        path = ask.root + ask.path
        raise NotAcceptableError(
            [Variant(form.media_type, f"{path}.{form.suffix}") for form in formats], word or ask.accept or ""
        )
    return offer.format


def _restored(triple: ox.Triple) -> ox.Triple:
    """Give a size its datatype back: the store knows one type of integers, DCAT-AP wants another."""
    if triple.predicate == _SIZE and isinstance(triple.object, ox.Literal):
        return ox.Triple(triple.subject, _SIZE, ox.Literal(triple.object.value, datatype=_NATURAL))
    return triple


class Book:
    """The records of a catalogue, by subject."""

    def __init__(self, triples: Iterable[ox.Triple]) -> None:
        self._about: dict[ox.NamedNode, list[ox.Triple]] = {}
        for triple in triples:
            if isinstance(triple.subject, ox.NamedNode):
                self._about.setdefault(triple.subject, []).append(triple)
        self._catalogs = [
            node for node, about in self._about.items() if any(t.predicate == _TYPE and t.object == _CATALOG for t in about)
        ]
        found = (triple.object for node in self._catalogs for triple in self._about[node] if triple.predicate == _DATASET)
        self.datasets = sorted({node for node in found if isinstance(node, ox.NamedNode)}, key=lambda node: node.value)
        self._all = frozenset(self.datasets)

    def since(self, moment: datetime | None) -> list[ox.NamedNode]:
        """List the datasets that changed since a moment; one that does not say when it changed may have."""
        if moment is None:
            return self.datasets
        return [node for node in self.datasets if (changed := self._modified(node)) is None or changed >= moment]

    def _modified(self, node: ox.NamedNode) -> datetime | None:
        for triple in self._about.get(node, ()):
            if triple.predicate == _MODIFIED and isinstance(triple.object, ox.Literal):
                try:
                    return _moment(triple.object.value)
                except UsageError:
                    return None
        return None

    def part(self, datasets: Sequence[ox.NamedNode]) -> Iterator[ox.Triple]:
        """Yield what is said of the catalogues and of some datasets, and of everything that these lead to."""
        wanted = set(datasets)
        todo: list[ox.NamedNode] = [*self._catalogs, *datasets]
        seen = set(todo)
        while todo:
            for triple in self._about.get(todo.pop(), ()):
                target = triple.object
                if triple.predicate in _MEMBERS and not self._belongs(target, wanted):
                    continue
                yield triple
                if (
                    isinstance(target, ox.NamedNode)
                    and target in self._about
                    and target not in seen
                    and target not in self._all
                ):
                    seen.add(target)
                    todo.append(target)

    def _belongs(self, target: object, wanted: set[ox.NamedNode]) -> bool:
        if not isinstance(target, ox.NamedNode):
            return False
        topics = {t.object for t in self._about.get(target, ()) if t.predicate == _TOPIC}
        return target in wanted or bool(topics & wanted) or target in self._catalogs


def _controls(main: str, address: str, links: dict[str, str], total: int, size: int) -> Iterator[ox.Triple]:
    """Yield what leads from page to page (Hydra, section 5; TREE)."""
    here, catalog = _N(address), _N(main)
    integer = _N(f"{XSD}integer")
    yield ox.Triple(catalog, _TYPE, _N(f"{_HYDRA}Collection"))
    yield ox.Triple(catalog, _N(f"{_HYDRA}totalItems"), ox.Literal(str(total), datatype=integer))
    yield ox.Triple(catalog, _N(f"{_HYDRA}view"), here)
    yield ox.Triple(catalog, _N(f"{_TREE}view"), here)
    yield ox.Triple(here, _TYPE, _N(f"{_HYDRA}PartialCollectionView"))
    yield ox.Triple(here, _TYPE, _N(f"{_TREE}Node"))
    yield ox.Triple(here, _N(f"{_HYDRA}itemsPerPage"), ox.Literal(str(size), datatype=integer))
    for name, link in links.items():
        yield ox.Triple(here, _N(f"{_HYDRA}{name}"), _N(link))
    if "next" in links:
        relation = ox.BlankNode("next")
        yield ox.Triple(here, _N(f"{_TREE}relation"), relation)
        yield ox.Triple(relation, _TYPE, _N(f"{_TREE}Relation"))
        yield ox.Triple(relation, _N(f"{_TREE}node"), _N(links["next"]))


def statistics(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/.well-known/void` (VoID, section 7.2): what was counted when the data were published."""
    stem, fixed = split_suffix(ask.path.removeprefix("/"), GRAPH_FORMATS)
    graph = site.territory.iris.graph("void")
    if stem != ".well-known/void" or not snapshot.sees(graph):
        raise not_found(ask)
    form = chosen_form(ask, fixed, GRAPH_FORMATS)
    links = _forms(ask, "/.well-known/void", form)
    return _written(
        ask,
        site,
        snapshot,
        form,
        lambda: [quad.triple for quad in snapshot.in_graph(graph)],
        ("void", bool(fixed)),
        links=links,
    )
