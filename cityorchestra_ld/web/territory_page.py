"""The pages of places: all communes on one map, and what every theme says of one commune or one IRIS."""

from __future__ import annotations

from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.live import Answers, LivePage, answer_live, panels_for
from cityorchestra_ld.web.maps import Feature, Map, draw, shape_of
from cityorchestra_ld.web.panels import themes
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.resource import view_for
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean

_PART_OF: Final = ox.NamedNode(REUSED["igeo"] + "subdivisionDe")
_OTHER: Final = Text("Autres", "Other")
_KINDS: Final = {"commune": Text("Commune", "Commune"), "iris": Text("Quartier IRIS", "IRIS area")}


async def territory_index(ask: Ask, service: Service) -> Answer:
    """Answer for `/territory`: the places of the territory, on a map and in a table."""
    site = service.site
    queries = site.panels.get("territory", ())
    if not queries:
        raise not_found(ask)

    def make(snapshot: Snapshot, answers: Answers) -> bytes:
        panels = panels_for(ask, site, snapshot, answers)
        return site.pages.render("territories.html", ask, snapshot.generation, panels=panels)

    return await answer_live(service, ask, LivePage(queries=queries, terms={}, make=make))


async def territory_page(ask: Ask, service: Service) -> Answer:
    """Answer for `/territory/{kind}/{code}`: one place under every theme."""
    site = service.site
    found = site.places.find(ask.path)
    if found is None or not service.snapshot.exists(found[1]):
        raise not_found(ask)
    kind, iri = found

    def make(snapshot: Snapshot, answers: Answers) -> bytes:
        panels = panels_for(ask, site, snapshot, answers)
        view = view_for(ask, site, snapshot)
        parents = _parents(snapshot, iri)
        where, near = _where(snapshot, iri, parents, ask.language)
        groups = themes(panels, _OTHER, ask.language)
        return site.pages.render(
            "territory.html",
            ask,
            snapshot.generation,
            kind=_KINDS[kind],
            label=clean(snapshot.labels.of(iri, ask.language)),
            iri=iri,
            resource=site.addresses.page(iri) or "/",
            parents=[_link(view.link(parent), site.places.page(parent)) for parent in parents],
            groups=groups,
            silent=[panel.title for panel in panels if panel.empty],
            where=where,
            near=near,
        )

    return await answer_live(service, ask, LivePage(queries=site.panels[kind], terms={"place": ox.NamedNode(iri)}, make=make))


def _parents(snapshot: Snapshot, iri: str) -> list[str]:
    found = (
        quad.object.value for quad in snapshot.plain(ox.NamedNode(iri), _PART_OF, None) if isinstance(quad.object, ox.NamedNode)
    )
    return sorted(set(found), key=lambda parent: ("/commune/" not in parent, "/epci/" not in parent, parent))


def _link(shown: Shown, page: str | None) -> Shown:
    return Shown(kind="link", text=shown.text, raw=shown.raw, href=page) if page else shown


def _where(snapshot: Snapshot, iri: str, parents: list[str], lang: str) -> tuple[Map | None, str]:
    """Draw the place, or the smallest area around it that has a geometry; the name of the latter comes second."""
    for node in (iri, *parents):
        shape = shape_of(snapshot, node)
        if shape is not None:
            label = clean(snapshot.labels.of(node, "en" if lang == "en" else "fr"))
            return draw(snapshot, [Feature(shape=shape, label=label)], least=0.25), "" if node == iri else label
    return None, ""
