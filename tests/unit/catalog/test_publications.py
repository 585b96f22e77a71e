"""A generation remembers the versions of its datasets, and the catalogue names those whose files are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.catalog.dcat import catalog
from cityorchestra_ld.catalog.publications import history, publications, versions_of
from cityorchestra_ld.catalog.void import void
from cityorchestra_ld.model import Access, GraphInfo
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[3]
PREFIXES = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in prefixes().items())
DAY = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "star/arrets"


def kept(territory: Territory, number: int) -> GraphInfo:
    """Keep one version of a small dataset in the store."""
    territory.state.mkdir(exist_ok=True)
    file = territory.state / "content.nt"
    file.write_text(f'<https://x.example/a> <https://x.example/p> "{number}" .\n', encoding="utf-8")
    graph = territory.graph_of(territory.dataset(KEY))
    with open_store(territory.state / "store") as store:
        return store.snapshot(GraphInfo(graph=graph, role="data", dataset=KEY, version=f"1-{number}"), file)


def rows(graph: ox.Store, query: str) -> list[tuple[str, ...]]:
    solutions = graph.query(PREFIXES + query)
    return [tuple(solution[variable.value].value for variable in solutions.variables) for solution in solutions]


def test_versions_dates_and_files_of_before_are_named(tmp_path: Path) -> None:
    territory = load_territory(ROOT, state=tmp_path / "state")
    meta: dict[str, str] = {}
    before: dict[str, GraphInfo] = {}
    for number in (1, 2, 2, 3):
        info = kept(territory, number)
        meta |= history(meta, before, info, DAY + timedelta(days=number, hours=len(meta)))
        before = {info.graph: info}
        known = publications(territory, [info], meta)
    assert versions_of(meta, KEY) == ["1-1", "1-2", "1-3"]
    assert (known[KEY].first, known[KEY].modified) == (DAY + timedelta(days=1), DAY + timedelta(days=3, hours=3))
    store = ox.Store()
    store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in catalog(territory, [info], known))
    found = rows(store, "SELECT ?v ?b { ?d dcat:isVersionOf ?x ; dcat:version ?v ; dcat:previousVersion/dcat:version ?b }")
    assert set(found) == {("1-3", "1-2"), ("1-2", "1-1")}
    assert len(rows(store, "SELECT ?u { ?d dcat:version '1-1' ; dcat:distribution/dcat:downloadURL ?u }")) == 2


def test_only_public_datasets_have_files_counts_and_feeds(tmp_path: Path) -> None:
    territory = load_territory(ROOT, state=tmp_path / "state")
    info = replace(kept(territory, 1), access=Access.RESTRICTED)
    known = publications(territory, [info], history({}, {}, info, DAY))
    assert known[KEY].made is None and not (territory.state / "downloads").exists()
    store = ox.Store()
    store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in catalog(territory, [info], known))
    assert (
        rows(store, "SELECT ?d { ?d a dcat:Distribution }") == []
        and rows(store, "SELECT ?d { ?s dcat:servesDataset ?d }") == []
    )
    assert not any(t.subject.value == territory.iris.dataset(KEY) for t in void(territory, (info,), known))
