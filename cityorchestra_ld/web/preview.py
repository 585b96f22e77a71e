"""Show the first things of a dataset as a table: one row for each, one column for each of its commonest properties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import GEO, RDF, REUSED
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.labels import LABEL_IRIS
from cityorchestra_ld.web.resource import ResourceView
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, show_literal

_ROWS, _COLUMNS = 8, 6
_ASIDE: Final = LABEL_IRIS | {f"{RDF}type", f"{GEO}hasGeometry", f"{GEO}hasDefaultGeometry", f"{REUSED['qb']}dataSet"}
_FIRST: Final = tuple(
    REUSED[prefix] + name
    for prefix, name in (
        ("sm", "obsValue"),
        ("sosa", "hasSimpleResult"),
        ("sosa", "hasResult"),
        ("sosa", "phenomenonTime"),
        ("sd", "refArea"),
        ("sd", "refPeriod"),
    )
)
_QUALIFIES: Final = frozenset(REUSED["sa"] + name for name in ("confStatus", "obsStatus", "unitMeasure"))


@dataclass(frozen=True, slots=True)
class Preview:
    """The beginning of a dataset."""

    kind: Shown
    columns: tuple[str, ...]
    rows: tuple[tuple[Shown | None, ...], ...]


def preview(
    snapshot: Snapshot, view: ResourceView, graph: str, kind: str, lang: Language, first: Sequence[str] = ()
) -> Preview | None:
    """Lay out a few things of one class of a visible graph; `first` come before others."""
    found = list(first)
    for quad in snapshot.in_graph(graph, ox.NamedNode(f"{RDF}type"), ox.NamedNode(kind)):
        if len(found) >= _ROWS + len(first):
            break
        if isinstance(quad.subject, ox.NamedNode):
            found.append(quad.subject.value)
    subjects = list(dict.fromkeys(found))[:_ROWS]
    facts = {iri: _facts(snapshot, graph, iri) for iri in subjects}
    counts = Counter(name for told in facts.values() for name in told if name not in _ASIDE)
    names = sorted(counts, key=lambda name: (_place(name), -counts[name], name))[:_COLUMNS]
    if not subjects or not names:
        return None
    rows = tuple((view.link(iri), *(_cell(view, told.get(name, []), lang) for name in names)) for iri, told in facts.items())
    head = "Nom" if lang == "fr" else "Name"
    return Preview(view.link(kind), (head, *(clean(view.link(name).text) for name in names)), rows)


def _place(name: str) -> int:
    """Figures and what they speak of come first, what only qualifies them last."""
    if name in _FIRST:
        return _FIRST.index(name)
    return len(_FIRST) + (1 if name in _QUALIFIES else 0)


def _facts(snapshot: Snapshot, graph: str, iri: str) -> dict[str, list[ox.NamedNode | ox.Literal]]:
    told: dict[str, list[ox.NamedNode | ox.Literal]] = {}
    for quad in snapshot.in_graph_of(graph, ox.NamedNode(iri)):
        if isinstance(quad.object, ox.NamedNode | ox.Literal):
            told.setdefault(quad.predicate.value, []).append(quad.object)
    return told


def _cell(view: ResourceView, terms: Sequence[ox.NamedNode | ox.Literal], lang: Language) -> Shown | None:
    """Show one value, that of the reader's language when there are several."""
    ordered = sorted(terms, key=lambda term: (getattr(term, "language", None) not in (lang, None), term.value))
    if not ordered:
        return None
    term = ordered[0]
    return show_literal(term, lang) if isinstance(term, ox.Literal) else view.link(term.value)
