"""Make the page of a dataset: what it holds, on which conditions, of which quality, and how to ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.web import schema_org
from cityorchestra_ld.web.conditions import conditions
from cityorchestra_ld.web.datasets import ClassSample, DatasetCard, classes
from cityorchestra_ld.web.describe import Description
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.maps import Feature, Map, draw, features_in
from cityorchestra_ld.web.pages import inside_script
from cityorchestra_ld.web.preview import Preview, preview
from cityorchestra_ld.web.quality import quality
from cityorchestra_ld.web.resource import ResourceView, view_for
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, date_text, number_text

N = ox.NamedNode
_DCAT, _DCT = REUSED["dcat"], REUSED["dct"]
_DISTRIBUTION, _HAS_VERSION = N(f"{_DCAT}distribution"), N(f"{_DCAT}hasVersion")
_CURRENT: Final = N(f"{_DCAT}hasCurrentVersion")
_DOWNLOAD, _ACCESS, _SIZE = N(f"{_DCAT}downloadURL"), N(f"{_DCAT}accessURL"), N(f"{_DCAT}byteSize")
_VERSION, _MADE = N(f"{_DCAT}version"), N(REUSED["prov"] + "generatedAtTime")
_ISSUED, _MODIFIED = N(f"{_DCT}issued"), N(f"{_DCT}modified")
_DATE_TIME: Final = "http://www.w3.org/2001/XMLSchema#dateTime"
_DRAWN: Final = 2_000  # features of one map


@dataclass(frozen=True, slots=True)
class File:
    """A file that can be downloaded."""

    label: str
    href: str
    size: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a dataset."""

    link: Shown
    name: str
    made: str
    current: bool


@dataclass(frozen=True, slots=True)
class _Content:
    classes: tuple[ClassSample, ...]
    preview: Preview | None
    map: Map | None
    cut: bool  # the map shows a part only


def dataset_page(ask: Ask, site: Site, snapshot: Snapshot, dataset: DatasetCard, told: Description, path: str) -> bytes:
    """Render the page of a dataset."""
    view = view_for(ask, site, snapshot)
    visible = snapshot.sees(dataset.graph)
    graph = N(dataset.graph)
    return site.pages.render(
        "dataset.html",
        ask,
        snapshot.generation,
        dataset=dataset,
        content=_content(site, snapshot, view, dataset, ask) if visible else None,
        conditions=conditions(snapshot, dataset.iri, ask.language),
        quality=quality(site, snapshot, dataset.key, ask.language) if visible else None,
        files=_files(ask, site, snapshot, dataset),
        versions=_versions(ask, snapshot, view, dataset),
        queries=[site.query(name, graph=graph) for name in ("classes", "properties", "sample")] if visible else (),
        questions=[example for example in site.examples.values() if f"<{dataset.graph}>" in example.text] if visible else (),
        record=view.page(told),
        path=path,
        linked=inside_script(schema_org.write(told, snapshot)),
    )


def _content(site: Site, snapshot: Snapshot, view: ResourceView, dataset: DatasetCard, ask: Ask) -> _Content:
    groups = classes(snapshot, view, dataset)
    table = None
    if groups:
        first = [dataset.example] if dataset.example and any(s.raw == dataset.example for s in groups[0].samples) else []
        table = preview(snapshot, view, dataset.graph, groups[0].kind.raw, ask.language, first)
    located, cut = features_in(snapshot, dataset.graph, _DRAWN)
    features = [
        Feature(
            shape=shape,
            label=clean(snapshot.labels.of(iri, ask.language)),
            href=site.places.page(iri) or site.addresses.page(iri),
        )
        for iri, shape in located
    ]
    return _Content(groups, table, draw(snapshot, features), cut)


def _files(ask: Ask, site: Site, snapshot: Snapshot, dataset: DatasetCard) -> list[File]:
    """List the files that the catalogue names, of the dataset and of its current version; each address once."""
    node = N(dataset.iri)
    owners = [node, *(quad.object for quad in snapshot.all(node, _CURRENT, None) if isinstance(quad.object, ox.NamedNode))]
    found: dict[str, File] = {}
    for owner in owners:
        for quad in snapshot.all(owner, _DISTRIBUTION, None):
            if not isinstance(quad.object, ox.NamedNode | ox.BlankNode):
                continue
            address = _text(snapshot, quad.object, _DOWNLOAD)
            if not address.startswith(("https://", "http://")):
                continue
            href = ask.root + site.addresses.path(address) if site.addresses.is_ours(address) else address
            label = clean(snapshot.labels.of(quad.object.value, ask.language))
            found.setdefault(address, File(label, href, _size(snapshot, quad.object, ask)))
    return sorted(found.values(), key=lambda file: file.label)


def _size(snapshot: Snapshot, node: ox.NamedNode | ox.BlankNode, ask: Ask) -> str:
    size = _text(snapshot, node, _SIZE)
    if not size.isdecimal():
        return ""
    for unit, amount in (("Mo" if ask.language == "fr" else "MB", 1_000_000), ("ko" if ask.language == "fr" else "kB", 1_000)):
        if int(size) >= amount:
            return f"{number_text(f'{int(size) / amount:.1f}', ask.language)} {unit}"
    return f"{size} {'octets' if ask.language == 'fr' else 'bytes'}"


def _versions(ask: Ask, snapshot: Snapshot, view: ResourceView, dataset: DatasetCard) -> list[Version]:
    node = N(dataset.iri)
    current = _nodes(snapshot, node, _CURRENT)
    nodes = current | _nodes(snapshot, node, _HAS_VERSION)
    found = []
    for iri in nodes:
        version = N(iri)
        name = _text(snapshot, version, _VERSION) or iri
        moments = (quad.object for prop in (_MADE, _ISSUED, _MODIFIED) for quad in snapshot.all(version, prop, None))
        made = next((moment.value for moment in moments if isinstance(moment, ox.Literal)), "")
        said = date_text(made.partition(".")[0].removesuffix("Z") if made else "", _DATE_TIME, ask.language) or clean(made)
        found.append((iri in current, made, Version(view.link(iri), clean(name), said, iri in current)))
    return [version for _, _, version in sorted(found, key=lambda item: item[:2], reverse=True)][:20]


def _nodes(snapshot: Snapshot, node: ox.NamedNode, predicate: ox.NamedNode) -> set[str]:
    found = (quad.object for quad in snapshot.all(node, predicate, None))
    return {term.value for term in found if isinstance(term, ox.NamedNode)}


def _text(snapshot: Snapshot, node: ox.NamedNode | ox.BlankNode, predicate: ox.NamedNode) -> str:
    found = (quad.object for quad in snapshot.all(node, predicate, None))
    return next((term.value for term in found if isinstance(term, ox.NamedNode | ox.Literal)), "")
