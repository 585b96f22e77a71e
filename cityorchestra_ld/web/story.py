"""The story page: which data showed what, what follows from it, and which public action answers, with its money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyoxigraph as ox

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.web.charts import figure
from cityorchestra_ld.web.datasets import DatasetCard, cards
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.live import Answers, LivePage, answer_live
from cityorchestra_ld.web.maps import Feature, Map, draw, shape_of
from cityorchestra_ld.web.panels import day_of
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.resource import ResourceView, view_for
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.tables import Row
from cityorchestra_ld.web.terms import Shown, clean, show_literal
from cityorchestra_ld.web.vocabulary import unit_symbol


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation that motivated an action."""

    link: Shown
    subject: Shown | None
    result: Shown | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One action with what it answers to."""

    link: Shown
    about: str
    status: Shown | None
    status_code: str
    place: Shown | None
    started: str
    euros: str
    line: Shown | None
    evidence: tuple[Evidence, ...]
    consequences: tuple[str, ...]


async def story(ask: Ask, service: Service) -> Answer:
    """Answer for `/story`."""
    site = service.site
    queries = site.panels.get("story", ())
    if not queries:
        raise not_found(ask)

    def make(snapshot: Snapshot, answers: Answers) -> bytes:
        rows: list[Row] = []
        failed = ""
        for _, _, table in answers:
            if isinstance(table, CityOrchestraError):
                failed = table.message.get(ask.language)
            else:
                rows.extend(table.rows)
        chains = _chains(view_for(ask, site, snapshot), site, rows, ask)
        return site.pages.render(
            "story.html",
            ask,
            snapshot.generation,
            chains=chains,
            failed=failed,
            warnings=_warnings(site, snapshot, rows),
            map=_map(snapshot, site, rows, ask),
        )

    return await answer_live(service, ask, LivePage(queries=queries, terms={}, make=make))


def _chains(view: ResourceView, site: Site, rows: Iterable[Row], ask: Ask) -> list[Chain]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["action"].value, []).append(row)
    return [_chain(view, site, group, ask) for group in groups.values()]


def _chain(view: ResourceView, site: Site, rows: list[Row], ask: Ask) -> Chain:
    first = rows[0]
    place = first.get("place")
    amount = first.get("euros")
    status = _shown(view, first.get("status"), ask)
    evidence = {row["evidence"].value: row for row in rows}
    return Chain(
        link=Shown(
            kind="link", text=clean(first["title"].value), href=view.link(first["action"].value).href, raw=first["action"].value
        ),
        about=clean(first["about"].value) if "about" in first else "",
        status=status,
        status_code=status.raw.rsplit("/", 1)[-1] if status else "",
        place=_place(view, site, place),
        started=day_of(started, ask.language) if isinstance(started := first.get("started"), ox.Literal) else "",
        euros=figure(float(amount.value), ask.language) if isinstance(amount, ox.Literal) else "",
        line=_shown(view, first.get("line"), ask),
        evidence=tuple(
            Evidence(view.link(iri), _shown(view, row.get("subject"), ask), _result(view, row, ask))
            for iri, row in evidence.items()
        ),
        consequences=tuple(dict.fromkeys(clean(row["consequence"].value) for row in rows if "consequence" in row)),
    )


def _result(view: ResourceView, row: Row, ask: Ask) -> Shown | None:
    """Show a result as people read it: a rounded figure with its unit, or a state."""
    shown, unit = _shown(view, row.get("result"), ask), row.get("unit")
    if shown is None or shown.kind != "number":
        return shown
    symbol = unit_symbol(unit.value) if isinstance(unit, ox.NamedNode) else ""
    return replace(shown, text=figure(float(shown.raw), ask.language), unit=symbol or "")


def _place(view: ResourceView, site: Site, term: object) -> Shown | None:
    if not isinstance(term, ox.NamedNode):
        return None
    shown = view.link(term.value)
    page = site.places.page(term.value)
    return Shown(kind="link", text=shown.text, raw=shown.raw, href=page) if page else shown


def _shown(view: ResourceView, term: object, ask: Ask) -> Shown | None:
    if isinstance(term, ox.Literal):
        return show_literal(term, ask.language)
    return view.link(term.value) if isinstance(term, ox.NamedNode) else None


def _warnings(site: Site, snapshot: Snapshot, rows: list[Row]) -> list[DatasetCard]:
    """Name the datasets behind the actions that are illustrations."""
    graphs = {
        quad.graph_name.value
        for row in rows[:1]
        for quad in snapshot.plain(ox.NamedNode(row["action"].value), None, None)
        if isinstance(quad.graph_name, ox.NamedNode)
    }
    return [card for card in cards(site.territory, site.addresses, snapshot) if card.illustration and card.graph in graphs]


def _map(snapshot: Snapshot, site: Site, rows: list[Row], ask: Ask) -> Map | None:
    """Draw the places of the actions, and the stations that were observed."""
    nodes = dict.fromkeys(row[name].value for name in ("place", "subject") for row in rows if name in row)
    features = [
        Feature(
            shape=shape,
            label=clean(snapshot.labels.of(iri, ask.language)),
            href=site.places.page(iri) or site.addresses.page(iri),
        )
        for iri in nodes
        if (shape := shape_of(snapshot, iri))
    ]
    return draw(snapshot, features)
