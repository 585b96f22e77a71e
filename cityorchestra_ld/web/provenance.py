"""The page that leads each published fact back to its file, row, column and mapping rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from cityorchestra_ld.errors import BusyError, RefusedError, Text
from cityorchestra_ld.web.addresses import checked_iri
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.resource import ResourceView, view_for
from cityorchestra_ld.web.single import single_page
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, shorten, show_literal

if TYPE_CHECKING:
    from cityorchestra_ld.lineage import Explained, Rule

_TERRITORY: Final = Text("Fichiers du territoire", "Files of the territory")
_WAIT: Final = 5.0  # seconds for the answer to somebody else's question
_one_at_a_time = Semaphore(1)  # a source is read again for each question


@dataclass(frozen=True, slots=True)
class Step:
    """Where one fact comes from."""

    file: str
    row: str
    column: str
    cell: str
    rule: str
    rule_file: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One published fact with its origins."""

    label: Shown
    value: Shown
    steps: tuple[Step, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Source:
    """The facts that one version of a dataset says."""

    title: str
    href: str | None
    version: str
    facts: tuple[Fact, ...]


def provenance(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """
    Answer for `/provenance?iri=`.

    Raises UsageError for what is not an IRI, NotFoundError when nothing is said of it, BusyError when others ask the same.
    """
    iri = checked_iri(ask.one("iri") or "")

    def make() -> bytes:
        if not snapshot.exists(iri):
            raise not_found(ask)
        sources = tuple(_sources(site, view_for(ask, site, snapshot), _explain(site, snapshot, iri, ask), ask))
        return site.pages.render(
            "provenance.html",
            ask,
            snapshot.generation,
            label=clean(snapshot.labels.of(iri, ask.language)),
            iri=iri,
            resource=site.addresses.page(iri) or "/",
            sources=sources,
        )

    return single_page(ask, site, snapshot, make)


def _explain(site: Site, snapshot: Snapshot, iri: str, ask: Ask) -> tuple[Explained, ...]:
    from cityorchestra_ld.lineage import explain  # brings the mapping engine, which serving does not need before

    if not _one_at_a_time.acquire(timeout=_WAIT):
        raise BusyError(
            Text("D'autres recherches d'origine sont en cours.", "Other origins are being looked up."),
            hint=Text("Réessayez dans quelques secondes.", "Try again in a few seconds."),
        )
    try:
        return explain(site.territory, str(ox.NamedNode(iri)), graphs=snapshot.all.graphs)
    except RefusedError:
        raise not_found(ask) from None
    finally:
        _one_at_a_time.release()


def _sources(site: Site, view: ResourceView, explained: tuple[Explained, ...], ask: Ask) -> Iterator[Source]:
    groups: dict[tuple[str, str], list[Explained]] = {}
    for item in explained:
        groups.setdefault((item.dataset or "", item.version or ""), []).append(item)
    for (key, version), items in groups.items():
        dataset = site.territory.datasets.get(key)
        title = (
            dataset.title.get(ask.language)
            if dataset
            else Text("Fichiers du territoire", "Files of the territory").get(ask.language)
        )
        href = site.addresses.page(site.territory.iris.dataset(key)) if dataset else None
        yield Source(title, href, version, tuple(_fact(site, view, item, ask) for item in items))


def _fact(site: Site, view: ResourceView, item: Explained, ask: Ask) -> Fact:
    triple = next(iter(ox.parse(f"{item.subject} {item.predicate} {item.object} .", format=ox.RdfFormat.N_TRIPLES))).triple
    value = triple.object
    shown = show_literal(value, ask.language) if isinstance(value, ox.Literal) else Shown(kind="text", text=str(value))
    if isinstance(value, ox.NamedNode):
        shown = view.link(value.value)
    rules = {(rule.triples_map, rule.line): rule for rule in item.rules}
    steps = []
    for origin in item.origins:
        rule = rules.get((origin.triples_map, origin.line))
        steps.append(
            Step(
                file=clean(origin.file),
                row=str(origin.row) if origin.row is not None else "",
                column=clean(origin.column or ""),
                cell=clean(shorten(origin.cell or "", 120)[0]),
                rule=_rule(rule, ask.language) if rule else "",
                rule_file=_relative(rule.file, site.territory.root) if rule else "",
            )
        )
    note = item.note.get(ask.language) if item.note else ""
    return Fact(view.link(triple.predicate.value), shown, tuple(dict.fromkeys(steps)), note)


def _rule(rule: Rule, lang: str) -> str:
    line = f", {'line' if lang == 'en' else 'ligne'} {rule.line}" if rule.line else ""
    return f"{rule.triples_map}{line}"


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
