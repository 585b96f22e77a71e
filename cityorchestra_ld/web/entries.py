"""The entries of the catalogue page: datasets that are loaded, datasets that are only described, and facets to choose by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.iris import slug
from cityorchestra_ld.namespaces import RDF, REUSED
from cityorchestra_ld.store.names import fold
from cityorchestra_ld.web.datasets import DatasetCard, cards
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import clean, shorten
from cityorchestra_ld.web.vocabulary import access_words, frequency_words, theme_words

_EU: Final = "http://publications.europa.eu/resource/authority/"
_TYPE, _DATASET = ox.NamedNode(f"{RDF}type"), ox.NamedNode(REUSED["dcat"] + "Dataset")
_TITLE, _ABOUT = ox.NamedNode(REUSED["dct"] + "title"), ox.NamedNode(REUSED["dct"] + "description")
_PUBLISHER, _VERSION_OF = ox.NamedNode(REUSED["dct"] + "publisher"), ox.NamedNode(REUSED["dcat"] + "isVersionOf")
_MOST: Final = 5_000
_PAGE: Final = 25
FACETS: Final = (
    ("state", Text("État", "State")),
    ("theme", Text("Thème", "Theme")),
    ("partner", Text("Partenaire", "Partner")),
    ("access", Text("Accès", "Access")),
    ("frequency", Text("Mise à jour", "Updates")),
)
_STATES: Final = {
    "loaded": Text("Chargé ici, interrogeable", "Loaded here, ready to query"),
    "described": Text("Décrit seulement", "Described only"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the catalogue page; `codes` are what its facets are chosen by."""

    title: Text
    about: Text
    href: str
    publisher: str
    codes: Mapping[str, tuple[str, ...]]
    card: DatasetCard | None = None  # of a dataset of this territory
    text: str = ""  # folded, to search in

    @property
    def loaded(self) -> bool:
        """Tell whether its data can be queried here."""
        return "loaded" in self.codes["state"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a facet: how many datasets it would leave, and the address that chooses it or takes it back."""

    code: str
    label: Text
    count: int
    chosen: bool
    href: str


@dataclass(frozen=True, slots=True)
class Facet:
    """One facet with its choices, the most frequent first."""

    name: str
    title: Text
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address of the catalogue page asks for."""

    text: str = ""
    page: int = 1
    chosen: Mapping[str, str] = field(default_factory=dict)

    def address(self, **changes: str | int | None) -> str:
        """Return the address of the page with something changed; `None` takes a choice back."""
        fields: dict[str, str | int | None] = {"q": self.text or None, **self.chosen, "page": None, **changes}
        kept = [(name, str(value)) for name, value in fields.items() if value is not None]
        return "/catalog" + (f"?{urlencode(kept)}" if kept else "")


@dataclass(frozen=True, slots=True)
class Selection:
    """What the catalogue page shows."""

    wanted: Wanted
    entries: tuple[Entry, ...]
    total: int
    everything: int
    facets: tuple[Facet, ...]
    previous: str | None
    following: str | None


def read_wanted(ask: Ask) -> Wanted:
    """Read the address; raises UsageError when a parameter is repeated. A page that is no number is the first."""
    page = ask.one("page") or "1"
    chosen = {name: value for name, _ in FACETS if (value := ask.one(name))}
    return Wanted((ask.one("q") or "").strip()[:200], int(page) if page.isdecimal() and len(page) < 6 else 1, chosen)


def select(ask: Ask, site: Site, snapshot: Snapshot) -> Selection:
    """Choose the entries that the address asks for, and count what each further choice would leave."""
    wanted = read_wanted(ask)
    everything = snapshot.remember("catalogue entries", lambda: tuple(_entries(site, snapshot)))
    words = fold(wanted.text).split()
    named = [entry for entry in everything if all(word in entry.text for word in words)]
    found = [entry for entry in named if _fits(entry, wanted.chosen)]
    pages = max(1, -(-len(found) // _PAGE))
    page = min(max(wanted.page, 1), pages)
    return Selection(
        wanted=wanted,
        entries=tuple(found[(page - 1) * _PAGE : page * _PAGE]),
        total=len(found),
        everything=len(everything),
        facets=tuple(_facet(site, snapshot, wanted, named, name, title) for name, title in FACETS),
        previous=wanted.address(page=page - 1) if page > 1 else None,
        following=wanted.address(page=page + 1) if page < pages else None,
    )


def _fits(entry: Entry, chosen: Mapping[str, str]) -> bool:
    return all(code in entry.codes.get(name, ()) for name, code in chosen.items())


def _facet(site: Site, snapshot: Snapshot, wanted: Wanted, named: Sequence[Entry], name: str, title: Text) -> Facet:
    others = {key: code for key, code in wanted.chosen.items() if key != name}
    counts = Counter(code for entry in named if _fits(entry, others) for code in entry.codes.get(name, ()))
    mine = wanted.chosen.get(name)
    if mine is not None:
        counts.setdefault(mine, 0)
    choices = [
        Choice(
            code,
            _word(site, snapshot, name, code),
            count,
            code == mine,
            wanted.address(**{name: None if code == mine else code}),
        )
        for code, count in counts.items()
    ]
    return Facet(name, title, tuple(sorted(choices, key=lambda item: (not item.chosen, -item.count, item.label.fr))))


def _word(site: Site, snapshot: Snapshot, facet: str, code: str) -> Text:
    if facet == "state":
        return _STATES.get(code, Text(code, code))
    if facet == "partner":
        iri = site.territory.iris.id("org", code)
        return Text(*(clean(shorten(snapshot.labels.of(iri, lang), 80)[0]) for lang in ("fr", "en")))
    return {"theme": theme_words, "access": access_words, "frequency": frequency_words}[facet](code)


def _entries(site: Site, snapshot: Snapshot) -> Iterator[Entry]:
    ours = [_of_card(site, card) for card in cards(site.territory, site.addresses, snapshot)]
    yield from sorted(ours, key=lambda entry: (not entry.loaded, slug(entry.title.fr)))
    known = {entry.card.iri for entry in ours if entry.card}
    told = [_described(site, snapshot, iri) for iri in _others(snapshot) if iri not in known]
    yield from sorted(told, key=lambda entry: slug(entry.title.fr))


def _of_card(site: Site, card: DatasetCard) -> Entry:
    dataset = site.territory.datasets[card.key]
    codes = {
        "state": ("loaded" if card.loaded else "described",),
        "theme": dataset.themes,
        "partner": (dataset.publisher.iri.removeprefix(site.territory.iris.id("org", "")),),
        "access": (card.access_code,),
        "frequency": (dataset.frequency,) if dataset.frequency else (),
    }
    words = fold(
        " ".join((card.title.fr, card.title.en, card.description.fr, card.description.en, card.publisher, *dataset.keywords))
    )
    return Entry(
        title=card.title, about=card.description, href=card.href, publisher=card.publisher, codes=codes, card=card, text=words
    )


def _others(snapshot: Snapshot) -> Iterator[str]:
    """List the datasets that harvested catalogues and policies describe."""
    count = 0
    for graph, info in snapshot.infos.items():
        if info.role not in ("data", "policy") or not snapshot.sees(graph):
            continue
        for quad in snapshot.in_graph(graph, _TYPE, _DATASET):
            if isinstance(quad.subject, ox.NamedNode) and count < _MOST:
                count += 1
                if next(snapshot.in_graph_of(graph, quad.subject, _VERSION_OF), None) is None:
                    yield quad.subject.value


def _described(site: Site, snapshot: Snapshot, iri: str) -> Entry:
    node = ox.NamedNode(iri)
    told: dict[str, list[ox.NamedNode | ox.Literal]] = {}
    for quad in snapshot.all(node, None, None):
        if isinstance(quad.object, ox.NamedNode | ox.Literal):
            told.setdefault(quad.predicate.value, []).append(quad.object)
    about = next((term.value for term in told.get(_ABOUT.value, ()) if isinstance(term, ox.Literal)), "")
    title = Text(*(clean(shorten(snapshot.labels.of(iri, lang), 200)[0]) for lang in ("fr", "en")))
    publisher = next((term.value for term in told.get(_PUBLISHER.value, ()) if isinstance(term, ox.NamedNode)), "")
    name = clean(snapshot.labels.of(publisher, "fr")) if publisher else ""
    orgs = site.territory.iris.id("org", "")
    short = clean(shorten(about, 400)[0])
    codes = {
        "state": ("described",),
        "theme": _codes(told, "dcat", "theme", "data-theme"),
        "partner": (publisher.removeprefix(orgs),) if publisher.startswith(orgs) else (),
        "access": _codes(told, "dct", "accessRights", "access-right"),
        "frequency": _codes(told, "dct", "accrualPeriodicity", "frequency"),
    }
    return Entry(
        title=title,
        about=Text(short, short),
        href=site.addresses.page(iri) or "",
        publisher=name,
        codes=codes,
        text=fold(f"{title.fr} {title.en} {about} {name}"),
    )


def _codes(told: Mapping[str, list[ox.NamedNode | ox.Literal]], prefix: str, name: str, table: str) -> tuple[str, ...]:
    space = f"{_EU}{table}/"
    found = (term.value for term in told.get(REUSED[prefix] + name, ()) if isinstance(term, ox.NamedNode))
    return tuple(sorted({iri.removeprefix(space) for iri in found if iri.startswith(space)}))
