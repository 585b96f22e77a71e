"""The home page: what this is, questions with their answers, the way in by theme, partner, place or name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cityorchestra_ld.errors import Text
from cityorchestra_ld.web.datasets import DatasetCard, by_theme, cards
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.live import Answers, LivePage, answer_live, panels_for
from cityorchestra_ld.web.maps import areas
from cityorchestra_ld.web.panels import ask_all, bound
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

PAGE = "home"


@dataclass(frozen=True, slots=True)
class Way:
    """One way into the catalogue."""

    title: Text
    href: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What the home page says of the whole."""

    datasets: int
    triples: int
    themes: tuple[Way, ...]
    partners: tuple[Way, ...]
    example: str
    story: bool
    territory: bool


def _overview(ask: Ask, site: Site, snapshot: Snapshot) -> Home:
    """Count what is really there."""
    listed = cards(site.territory, site.addresses, snapshot)
    loaded = [dataset for dataset in listed if dataset.loaded]
    shown = sorted(loaded, key=lambda dataset: dataset.illustration is not None)
    example = next((dataset.example for dataset in shown if dataset.example and snapshot.exists(dataset.example)), None)
    home = ask.origin + ask.root if ask.origin else site.territory.base_iri.rstrip("/")
    path = (site.addresses.path(example) if example and site.addresses.is_ours(example) else None) or "/catalog"
    return Home(
        datasets=len(listed),
        triples=sum(info.triples for graph, info in snapshot.infos.items() if snapshot.sees(graph)),
        themes=_themes(site, listed),
        partners=_partners(site, listed),
        example=home + path,
        story=bool(site.panels.get("story")),
        territory=bool(site.panels.get("territory")),
    )


def _themes(site: Site, listed: tuple[DatasetCard, ...]) -> tuple[Way, ...]:
    codes = {key: dataset.themes[0] for key, dataset in site.territory.datasets.items() if dataset.themes}
    ways = []
    for theme in by_theme(listed):
        code = codes.get(theme.datasets[0].key)
        ways.append(Way(theme.title, f"/catalog?theme={code}" if code else "/catalog", len(theme.datasets)))
    return tuple(ways)


def _partners(site: Site, listed: tuple[DatasetCard, ...]) -> tuple[Way, ...]:
    counts = Counter(card.publisher for card in listed)
    start = site.territory.iris.id("org", "")
    iris = {dataset.publisher.name: dataset.publisher.iri.removeprefix(start) for dataset in site.territory.datasets.values()}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Way(Text(name, name), f"/catalog?partner={iris[name]}", count) for name, count in ordered)


async def home(ask: Ask, service: Service) -> Answer:
    """Answer for `/`: a page and nothing else."""
    site = service.site

    def make(snapshot: Snapshot, answers: Answers) -> bytes:
        panels = panels_for(ask, site, snapshot, answers)
        overview = _overview(ask, site, snapshot)
        return site.pages.render("home.html", ask, snapshot.generation, home=overview, panels=panels)

    links = f'<{ask.root}/catalog.ttl>; rel="alternate"; type="text/turtle", <{ask.root}/sparql>; rel="service"'
    page = LivePage(queries=site.panels.get(PAGE, ()), terms={}, make=make, extra=links)
    return await answer_live(service, ask, page)


async def warm(service: Service, snapshot: Snapshot) -> None:
    """Ask the questions of the home page, read the boundaries, before anybody waits for them."""
    texts = [bound(query) for query in service.site.panels.get(PAGE, ())]
    await ask_all(service.pool, texts, snapshot.tables)
    await service.build(lambda: areas(snapshot))
