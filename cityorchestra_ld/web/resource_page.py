"""Make the page of a resource: its facts, its place, what was observed of it, what points to it, where it comes from."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import pyoxigraph as ox

from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.web import schema_org
from cityorchestra_ld.web.datasets import DatasetCard, card, sources_of
from cityorchestra_ld.web.describe import Description
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.maps import Feature, Map, draw, shape_of
from cityorchestra_ld.web.pages import inside_script
from cityorchestra_ld.web.resource import view_for
from cityorchestra_ld.web.series import series_of
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import clean

_LOCATED: Final = tuple(  # what a thing without geometry of its own is near to, most telling first
    REUSED[prefix] + name
    for prefix, name in (("sosa", "hasFeatureOfInterest"), ("sd", "refArea"), ("dct", "spatial"), ("igeo", "subdivisionDe"))
)


def sources_for(site: Site, snapshot: Snapshot, iri: str, graphs: tuple[str, ...]) -> tuple[DatasetCard, ...]:
    """Name the datasets that the description of a resource comes from."""
    dataset = site.dataset_at(iri)
    if dataset is not None:
        return (card(site.territory, site.addresses, snapshot, dataset),)
    return sources_of(site.territory, site.addresses, snapshot, graphs)


def resource_page(ask: Ask, site: Site, snapshot: Snapshot, told: Description, path: str, query: str) -> bytes:
    """Render the page of a resource."""
    datasets = sources_for(site, snapshot, told.iri, told.graphs)
    said = {snapshot.infos[graph].dataset for graph in told.graphs if graph in snapshot.infos}
    warned = said == {dataset.key for dataset in datasets if dataset.illustration}  # nobody else vouches for it
    home = sources_of(site.territory, site.addresses, snapshot, told.graphs[:1])
    place, near = _place(ask, site, snapshot, told)
    return site.pages.render(
        "resource.html",
        ask,
        snapshot.generation,
        resource=view_for(ask, site, snapshot).page(told),
        datasets=datasets,
        home=home[0] if home and home[0].href else None,
        warnings=[dataset.illustration for dataset in datasets] if warned else [],
        path=path,
        linked=inside_script(schema_org.write(told, snapshot)),
        query=query,
        whole=f"{path}{query}&format=nt" if query else f"{path}.nt",
        all_links="/links?iri=" + quote(told.iri, safe=""),
        map=place,
        near=near,
        series=series_of(snapshot, told.iri, ask.language),
        territory=site.places.page(told.iri),
        origins=f"/provenance?iri={quote(told.iri, safe='')}" if datasets else None,
    )


def _place(ask: Ask, site: Site, snapshot: Snapshot, told: Description) -> tuple[Map | None, str]:
    """Draw where a thing is, or what it is near to; the name of the latter comes second."""
    shape = shape_of(snapshot, told.iri)
    if shape is not None:
        label = clean(snapshot.labels.of(told.iri, ask.language))
        return draw(snapshot, [Feature(shape=shape, label=label)], least=0.12), ""
    facts: dict[str, list[str]] = {}
    for quad in told.own:
        if isinstance(quad.object, ox.NamedNode):
            facts.setdefault(quad.predicate.value, []).append(quad.object.value)
    for name in _LOCATED:
        for iri in sorted(facts.get(name, ())):
            shape = shape_of(snapshot, iri)
            if shape is not None:
                label = clean(snapshot.labels.of(iri, ask.language))
                href = site.places.page(iri) or site.addresses.page(iri)
                return draw(snapshot, [Feature(shape=shape, label=label, href=href)], least=0.2), label
    return None, ""
