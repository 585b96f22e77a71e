"""What pages say of datasets: the territory's own words with the facts of the generation that answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.iris import slug
from cityorchestra_ld.model import Access
from cityorchestra_ld.namespaces import RDF
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.web.addresses import Addresses
from cityorchestra_ld.web.resource import ResourceView, is_generic
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown
from cityorchestra_ld.web.vocabulary import Licence, access_words, frequency_words, licence, theme_words

_TYPE: Final = ox.NamedNode(f"{RDF}type")
_SCANNED: Final = 1_000
_LOOKED_AT: Final = 30
_SAMPLES: Final = 5
_CLASSES: Final = 12
_OTHER: Final = Text("Autres", "Other")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """One dataset, for people."""

    key: str
    iri: str
    href: str
    title: Text
    description: Text
    publisher: str
    publisher_href: str
    licence: Licence
    attribution: str
    access: Text
    access_code: str
    themes: tuple[Text, ...]
    frequency: Text | None
    temporal: tuple[str, str] | None
    coverage: Text | None
    landing_page: str | None
    illustration: Text | None
    loaded: bool
    triples: int
    version: str
    graph: str
    graph_href: str
    example: str | None


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme and its datasets."""

    title: Text
    anchor: str
    datasets: tuple[DatasetCard, ...]


@dataclass(frozen=True, slots=True)
class ClassSample:
    """A class of things in a dataset, with a few of them."""

    kind: Shown
    count: int
    partial: bool
    samples: tuple[Shown, ...]


def card(territory: Territory, addresses: Addresses, snapshot: Snapshot, dataset: Dataset) -> DatasetCard:
    """Describe one dataset."""
    return snapshot.remember(f"card {dataset.key}", lambda: _card(territory, addresses, snapshot, dataset))


def _card(territory: Territory, addresses: Addresses, snapshot: Snapshot, dataset: Dataset) -> DatasetCard:
    info = snapshot.graph_of(dataset.key)
    iri = territory.iris.dataset(dataset.key)
    graph = territory.graph_of(dataset)
    return DatasetCard(
        key=dataset.key,
        iri=iri,
        href=(addresses.page(iri) or "") if snapshot.exists(iri) else "",
        title=dataset.title,
        description=dataset.description,
        publisher=dataset.publisher.name,
        publisher_href=(addresses.page(dataset.publisher.iri) or "") if snapshot.exists(dataset.publisher.iri) else "",
        licence=licence(dataset.licence),
        attribution=dataset.attribution,
        access=access_words(dataset.access),
        access_code=dataset.access.value,
        themes=tuple(theme_words(theme) for theme in dataset.themes),
        frequency=frequency_words(dataset.frequency) if dataset.frequency else None,
        temporal=dataset.temporal,
        coverage=dataset.coverage,
        landing_page=dataset.landing_page,
        illustration=dataset.illustration,
        loaded=info is not None,
        triples=info.triples if info else 0,
        version=(info.version or dataset.version) if info else dataset.version,
        graph=graph,
        graph_href=addresses.path(graph),
        example=dataset.example,
    )


def cards(territory: Territory, addresses: Addresses, snapshot: Snapshot) -> tuple[DatasetCard, ...]:
    """Describe every dataset that may be spoken of: what is confidential is not even named."""
    return tuple(
        card(territory, addresses, snapshot, dataset)
        for dataset in territory.datasets.values()
        if dataset.access is not Access.CONFIDENTIAL
    )


def by_theme(datasets: Sequence[DatasetCard]) -> tuple[Theme, ...]:
    """Group datasets by their first theme, themes in the order of their French names."""
    groups: dict[Text, list[DatasetCard]] = {}
    for dataset in datasets:
        groups.setdefault(dataset.themes[0] if dataset.themes else _OTHER, []).append(dataset)
    ordered = sorted(groups.items(), key=lambda item: (item[0] == _OTHER, slug(item[0].fr)))
    return tuple(
        Theme(title, f"theme-{slug(title.fr)}", tuple(sorted(found, key=lambda item: slug(item.title.fr))))
        for title, found in ordered
    )


def sources_of(
    territory: Territory, addresses: Addresses, snapshot: Snapshot, graphs: Iterable[str]
) -> tuple[DatasetCard, ...]:
    """Name the datasets that some graphs belong to."""
    infos = (snapshot.infos.get(graph) for graph in graphs)
    keys = dict.fromkeys(info.dataset for info in infos if info is not None and info.dataset)
    return tuple(card(territory, addresses, snapshot, territory.datasets[key]) for key in keys if key in territory.datasets)


def licences(territory: Territory, snapshot: Snapshot) -> tuple[str, ...]:
    """List the licences of the datasets that a plain query can reach."""

    def find() -> tuple[str, ...]:
        keys = {snapshot.infos[graph].dataset for graph in snapshot.view.default_graphs if graph in snapshot.infos}
        return tuple(
            sorted({licence(territory.datasets[key].licence).iri for key in keys if key and key in territory.datasets})
        )

    return snapshot.remember("licences", find)


def classes(snapshot: Snapshot, view: ResourceView, dataset: DatasetCard) -> tuple[ClassSample, ...]:
    """Sample the things of a dataset by class; counts are exact once the generation is measured, and say when they are not."""
    exact = snapshot.statistics
    counts = dict(exact.classes.get(dataset.graph, {})) if exact else _first_classes(snapshot, dataset.graph)
    telling = {kind: count for kind, count in counts.items() if not is_generic(kind)} or counts
    ordered = sorted(telling.items(), key=lambda item: (-item[1], item[0]))[:_CLASSES]
    result = []
    for kind, count in ordered:
        found = islice(snapshot.in_graph(dataset.graph, _TYPE, ox.NamedNode(kind)), _LOOKED_AT)
        subjects = sorted(quad.subject.value for quad in found if isinstance(quad.subject, ox.NamedNode))
        first = [dataset.example] if dataset.example in subjects else []
        shown = tuple(view.link(iri) for iri in list(dict.fromkeys([*first, *subjects]))[:_SAMPLES] if iri)
        result.append(ClassSample(view.link(kind), count, exact is None, shown))
    return tuple(result)


def _first_classes(snapshot: Snapshot, graph: str) -> dict[str, int]:
    first = islice(snapshot.in_graph(graph, _TYPE), _SCANNED)
    return Counter(quad.object.value for quad in first if isinstance(quad.object, ox.NamedNode))
