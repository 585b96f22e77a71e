"""Harvest another catalogue: read it, describe its datasets here without their data, check the records, publish them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from cityorchestra_ld import pipeline
from cityorchestra_ld.catalog.foreign import Described, Foreign, graph_of
from cityorchestra_ld.catalog.portals import Kind, ods, rudi
from cityorchestra_ld.catalog.portals_dcat import dcat
from cityorchestra_ld.errors import Place, RefusedError, SourceError, Text
from cityorchestra_ld.iris import slug
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Severity
from cityorchestra_ld.sources.fetch import Policy, fetch
from cityorchestra_ld.store import EmbeddedStore
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.validation import load_shapes, validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """What a harvest found, and the generation that holds it."""

    name: str
    graph: str
    datasets: tuple[Described, ...]
    generation: Generation | None


def harvest(
    territory: Territory,
    source: str,
    kind: Kind,
    *,
    name: str | None = None,
    publish: bool = True,
    policy: Policy | None = None,
) -> Harvest:
    """
    Read a portal's catalogue from an address or a file, and publish its records as `graph/catalog/{name}`.

    Raises SourceError when it cannot be read, RefusedError when its records break the rules of this territory, BusyError while
    another publication is under way.
    """
    found = read(territory, source, kind, name=name, policy=policy)
    own = {territory.iris.dataset(key) for key in territory.datasets}  # what is loaded here is not described a second time
    foreign = replace(found, datasets=tuple(dataset for dataset in found.datasets if dataset.iri not in own))
    graph = territory.iris.graph("catalog", foreign.name)
    info = GraphInfo(graph=graph, role="catalog")

    def make(_: EmbeddedStore, common: Sequence[Path], work: Path) -> pipeline.Edits:
        content = graph_of(territory, foreign).write(work / "harvest.nt")
        _require(territory, content, common)
        return pipeline.Edits(changes=[GraphChange(info=info, content=content)])

    if not publish:
        with tempfile.TemporaryDirectory() as folder:
            _require(territory, graph_of(territory, foreign).write(Path(folder) / "harvest.nt"), ())
        return Harvest(name=foreign.name, graph=graph, datasets=foreign.datasets, generation=None)
    outcome = pipeline.publish_edits(territory, make)
    return Harvest(name=foreign.name, graph=graph, datasets=foreign.datasets, generation=outcome.generation)


def read(territory: Territory, source: str, kind: Kind, *, name: str | None = None, policy: Policy | None = None) -> Foreign:
    """Read a portal's catalogue without publishing anything; raise SourceError when it cannot be read or holds no dataset."""
    url = source if source.startswith(("http://", "https://")) else None
    called = slug(name or (urlsplit(url).hostname or "" if url else Path(source).stem)) or kind
    content = _content(source) if url is None else None
    with tempfile.TemporaryDirectory() as folder:

        def get(address: str) -> bytes:
            return fetch(address, Path(folder), territory.limits, policy=policy).path.read_bytes()

        if kind == "rudi":
            found = rudi(url, content, get, territory.base_iri)
        elif kind == "ods":
            found = ods(url, content, get, territory.base_iri, called)
        else:
            found = dcat(url, content, get, territory.base_iri, called)
    found = tuple(dataset for dataset in found if dataset.access not in ("SENSITIVE", "CONFIDENTIAL"))
    if not found:
        raise SourceError(
            Text("Ce catalogue ne décrit aucun jeu de données.", "This catalogue describes no dataset."),
            place=Place(file=source),
            hint=Text(
                "Vérifiez l'adresse, et --kind (rudi, ods ou dcat).", "Check the address, and --kind (rudi, ods or dcat)."
            ),
        )
    return Foreign(name=called, title=called, url=url, datasets=found)


def _content(source: str) -> bytes:
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise SourceError(
            Text(f"Fichier illisible : {error.strerror}.", f"The file cannot be read: {error.strerror}."),
            place=Place(file=source),
        ) from None


def _require(territory: Territory, content: Path, common: Sequence[Path]) -> None:
    """Hold the records against the rules for every dataset; raise RefusedError with the first result that blocks."""
    files = sorted((territory.root / "shapes" / "core").glob("*.ttl"))
    if not files:
        return
    report = validate(content, load_shapes(files, base_iri=territory.base_iri), context=list(common), limits=territory.limits)
    blocking = [result for result in report.results if result.severity is Severity.VIOLATION]
    if report.conforms:
        return
    count = report.counts.get(Severity.VIOLATION, 0)
    first = blocking[0]
    raise RefusedError(
        Text(
            f"Les fiches ne respectent pas les règles ({count}). La première : {first.message.fr}",
            f"The records do not conform ({count}). The first: {first.message.en}",
        ),
        place=Place(value=first.focus),
    )
