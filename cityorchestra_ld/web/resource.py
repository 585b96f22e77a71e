"""Turn the description of a resource into what its page shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import GEO, OWL, RDF, REUSED, SKOS
from cityorchestra_ld.web.addresses import Addresses, is_web
from cityorchestra_ld.web.describe import Description, is_part
from cityorchestra_ld.web.http_ import Ask, Language
from cityorchestra_ld.web.labels import LABEL_IRIS, Labels, best
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, shorten, show_literal
from cityorchestra_ld.web.vocabulary import unit_symbol

Term = ox.NamedNode | ox.BlankNode | ox.Literal
Facts = dict[str, dict[str, list[Term]]]  # subject, predicate, values

_SHOWN: Final = 30  # values of one property on a page
_DEPTH: Final = 4  # nested nodes inside nested nodes
_VALUES: Final = (f"{REUSED['sm']}obsValue", f"{REUSED['sosa']}hasSimpleResult", f"{REUSED['qudt']}numericValue")
_UNITS: Final = (f"{REUSED['sa']}unitMeasure", f"{REUSED['qudt']}hasUnit", f"{REUSED['qudt']}unit")
_SECRECY: Final = f"{REUSED['sa']}confStatus"
_HIDDEN: Final = f"{REUSED['sc']}confStatus-C"
_GENERIC: Final = frozenset(
    (
        f"{GEO}Feature",
        f"{GEO}Geometry",
        f"{OWL}Thing",
        f"{REUSED['prov']}Entity",
        f"{REUSED['prov']}Activity",
        f"{REUSED['foaf']}Agent",
    )
)
_TYPE: Final = f"{RDF}type"
_FIRST: Final = (
    f"{SKOS}definition",
    f"{REUSED['dct']}description",
    f"{REUSED['rdfs']}comment",
    f"{SKOS}notation",
    f"{REUSED['dct']}identifier",
    f"{REUSED['igeo']}codeINSEE",
    *_VALUES,
    *_UNITS,
)
_LAST: Final = (
    f"{GEO}hasGeometry",
    f"{GEO}hasDefaultGeometry",
    f"{GEO}asWKT",
    f"{REUSED['rdfs']}isDefinedBy",
    f"{REUSED['rdfs']}seeAlso",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a property; a nested node brings its own rows."""

    shown: Shown
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One property with its values."""

    iri: str
    label: str
    href: str | None
    cells: tuple[Cell, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Links:
    """Things that point here by one property."""

    label: str
    href: str | None
    items: tuple[Shown, ...]
    more: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Headline:
    """The figure that an observation is about; no text when it is hidden."""

    text: str | None
    unit: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePage:
    """What the page of a resource shows."""

    iri: str
    label: str
    named: bool  # the data give it a name
    outside: str | None
    kinds: tuple[Shown, ...]
    about: str | None  # a definition or description, to be read first
    headline: Headline | None
    rows: tuple[Row, ...]
    links: tuple[Links, ...]
    partial: bool


class ResourceView:
    """Make page models with the labels of one generation, in one language."""

    def __init__(self, addresses: Addresses, labels: Labels, lang: Language, known: Callable[[str], bool]) -> None:
        self._addresses = addresses
        self._is_known = cache(known)
        self._labels = labels
        self._lang = lang

    def page(self, description: Description) -> ResourcePage:
        """Build the page model of a description."""
        facts = _facts(description.quads)
        own = facts.get(description.iri, {})
        label = self._labels.of(description.iri, self._lang)
        return ResourcePage(
            iri=description.iri,
            label=clean(shorten(label, 200)[0]),
            named=self._labels.stored(description.iri, self._lang) is not None,
            outside=description.iri if is_web(description.iri) and not self._addresses.is_ours(description.iri) else None,
            kinds=tuple(self.link(iri) for iri in _kinds(own)),
            about=self._about(own),
            headline=self._headline(own),
            rows=self._rows(own, facts, 0, description.iri),
            links=tuple(self._links(description)),
            partial=description.partial,
        )

    def href(self, iri: str) -> str | None:
        """Return where a link to an IRI goes: to our page, else to the address itself when it may be followed."""
        if self._is_known(iri):
            return self._addresses.page(iri)
        return iri if is_web(iri) and not self._addresses.is_ours(iri) else None

    def link(self, iri: str) -> Shown:
        """Show an IRI by its name; it is a link only when it may be followed."""
        href = self.href(iri)
        outside = iri if is_web(iri) and not self._addresses.is_ours(iri) and href != iri else None
        text = unit_symbol(iri) or clean(shorten(self._labels.of(iri, self._lang), 200)[0])
        if href is None:
            return Shown(kind="iri", text=clean(shorten(iri, 300)[0]), raw=clean(iri))
        return Shown(kind="link", text=text or clean(iri), raw=clean(iri), href=href, outside=outside)

    def _about(self, own: Mapping[str, list[Term]]) -> str | None:
        for name in _FIRST[:3]:
            chosen = best((term for term in own.get(name, ()) if isinstance(term, ox.Literal)), self._lang)
            if chosen is not None:
                return clean(shorten(chosen.value, 600)[0])
        return None

    def _headline(self, own: Mapping[str, list[Term]]) -> Headline | None:
        unit = self._unit_of(own)
        value = next((term for name in _VALUES for term in own.get(name, ()) if isinstance(term, ox.Literal)), None)
        if value is not None:
            return Headline(show_literal(value, self._lang).text[:120], unit, "")
        if any(isinstance(term, ox.NamedNode) and term.value == _HIDDEN for term in own.get(_SECRECY, ())):
            note = Text("Valeur masquée : secret statistique", "Value hidden: statistical secrecy")
            return Headline(None, unit, note.get(self._lang))
        return None

    def _unit_of(self, own: Mapping[str, list[Term]]) -> str:
        iri = next((term.value for name in _UNITS for term in own.get(name, ()) if isinstance(term, ox.NamedNode)), None)
        if iri is None:
            return ""
        symbol = unit_symbol(iri)
        return symbol if symbol is not None else clean(self._labels.of(iri, self._lang))

    def _rows(self, own: Mapping[str, list[Term]], facts: Facts, depth: int, owner: str) -> tuple[Row, ...]:
        unit = self._unit_of(own)
        merged: dict[str, tuple[str, dict[Term, str]]] = {}  # properties with the same name share a row
        for predicate, terms in own.items():
            if predicate == _TYPE and depth == 0:
                continue
            _, held = merged.setdefault(clean(self._labels.of(predicate, self._lang)), (predicate, {}))
            held |= {term: predicate for term in terms if term not in held}
        rows = []
        for label, (predicate, held) in merged.items():
            terms = self._sorted([*held])
            cells = [
                self._cell(term, facts, depth, unit if predicate in _VALUES else "", is_part(term, held[term], owner))
                for term in terms[:_SHOWN]
            ]
            rows.append(Row(predicate, label, self.href(predicate), _once(cells), max(0, len(terms) - _SHOWN)))
        return tuple(sorted(rows, key=_place))

    def _sorted(self, terms: Sequence[Term]) -> list[Term]:
        def rank(term: Term) -> tuple[bool, bool, str, str]:
            language = (term.language or "") if isinstance(term, ox.Literal) else ""
            return isinstance(term, ox.Literal), language != self._lang, language, term.value

        return sorted(terms, key=rank)

    def _cell(self, term: Term, facts: Facts, depth: int, unit: str, part: bool) -> Cell:
        if isinstance(term, ox.Literal):
            shown = show_literal(term, self._lang)
            return Cell(replace(shown, unit=unit) if unit and shown.kind == "number" else shown)
        if part and term.value in facts and depth < _DEPTH:
            return Cell(Shown(kind="node", text=""), self._rows(facts[term.value], facts, depth + 1, term.value))
        return Cell(self.link(term.value))

    def _links(self, description: Description) -> Iterable[Links]:
        for group in description.inverse:
            items = tuple(self.link(subject) for subject in group.subjects)
            label = clean(self._labels.of(group.predicate, self._lang))
            yield Links(label, self.href(group.predicate), items, group.count - len(items), group.partial)


def view_for(ask: Ask, site: Site, snapshot: Snapshot) -> ResourceView:
    """Make the maker of page models for this request."""
    return ResourceView(site.addresses, snapshot.labels, ask.language, lambda iri: has_page(site, snapshot, iri))


def has_page(site: Site, snapshot: Snapshot, iri: str) -> bool:
    """Tell whether we have a page about an IRI: a thing that is described, an IRI of others that is used, a page of ours."""
    if not site.addresses.is_ours(iri):
        return snapshot.exists(iri) or snapshot.is_mentioned(iri)
    return not iri.removeprefix(site.addresses.base).startswith(("id/", "def/")) or snapshot.exists(iri)


def _once(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Leave out a value that reads like one before it."""
    seen: dict[tuple[str, str | None, tuple[Row, ...]], Cell] = {}
    for cell in cells:
        seen.setdefault((cell.shown.text, cell.shown.href, cell.rows), cell)
    return tuple(seen.values())


def is_generic(kind: str) -> bool:
    """Tell whether a class says little of a thing that has another one."""
    return kind in _GENERIC


def _kinds(own: Mapping[str, list[Term]]) -> list[str]:
    """List the classes of a thing, without those that say little when others say more."""
    kinds = sorted(term.value for term in own.get(_TYPE, ()) if isinstance(term, ox.NamedNode))
    return [kind for kind in kinds if not is_generic(kind)] or kinds


def _facts(quads: Iterable[ox.Quad]) -> Facts:
    """Group quads by subject and predicate; what two graphs say alike counts once."""
    found: dict[str, dict[str, dict[Term, None]]] = {}
    for quad in quads:
        if not isinstance(quad.subject, ox.Triple) and not isinstance(quad.object, ox.Triple):
            found.setdefault(quad.subject.value, {}).setdefault(quad.predicate.value, {})[quad.object] = None
    return {subject: {name: list(terms) for name, terms in own.items()} for subject, own in found.items()}


def _place(row: Row) -> tuple[int, int, str]:
    """Names first, then what explains and measures, then the rest by name, shapes at the end."""
    if row.iri in LABEL_IRIS:
        return 0, 0, row.label
    if row.iri in _FIRST:
        return 1, _FIRST.index(row.iri), row.label
    return (3, _LAST.index(row.iri), row.label) if row.iri in _LAST else (2, 0, row.label)
