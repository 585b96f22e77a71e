"""The catalogue describes what is loaded, with the properties that DCAT-AP demands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.catalog.dcat import catalog
from cityorchestra_ld.catalog.system import system_graphs
from cityorchestra_ld.model import Access, GraphInfo
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).resolve().parents[3]
TERRITORY = load_territory(ROOT)
PREFIXES = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in prefixes().items())
MANDATORY = {  # DCAT-AP 3.0.1, mandatory properties of each class
    "dcat:Catalog": ("dct:title", "dct:description", "dct:publisher"),
    "dcat:Dataset": ("dct:title", "dct:description"),
    "dcat:Distribution": ("dcat:accessURL",),
    "dcat:DataService": ("dct:title", "dcat:endpointURL"),
    "foaf:Agent": ("foaf:name",),
}


def described(*infos: GraphInfo) -> ox.Store:
    store = ox.Store()
    store.extend(ox.Quad(*triple) for triple in catalog(TERRITORY, infos, {}))
    return store


def info(key: str, **changes: object) -> GraphInfo:
    dataset = TERRITORY.dataset(key)
    made = GraphInfo(graph=TERRITORY.graph_of(dataset), role=dataset.graph, dataset=key, version="1-abc", triples=12)
    return replace(made, **changes)


def test_mandatory_properties_are_there_for_every_dataset() -> None:
    store = described(*(info(key) for key in TERRITORY.datasets))
    for kind, properties in MANDATORY.items():
        for name in properties:
            query = f"{PREFIXES} SELECT ?s {{ ?s a {kind} FILTER NOT EXISTS {{ ?s {name} ?o }} }}"
            assert [str(row["s"]) for row in store.query(query)] == [], f"{kind} without {name}"


def test_only_what_is_loaded_is_described() -> None:
    keys = list(TERRITORY.datasets)
    store = described(info(keys[0]))
    found = store.query(f"{PREFIXES} SELECT ?d {{ ?c a dcat:Catalog ; dcat:dataset ?d }}")
    assert [row["d"].value for row in found] == [TERRITORY.iris.dataset(keys[0])]


def test_confidential_data_are_not_named() -> None:
    keys = list(TERRITORY.datasets)[:2]
    store = described(info(keys[0], access=Access.CONFIDENTIAL), info(keys[1], access=Access.RESTRICTED))
    query = f"{PREFIXES} SELECT ?d {{ ?d a dcat:Dataset ; dct:identifier ?i }}"
    found = {row["d"].value for row in store.query(query)}
    assert found == {TERRITORY.iris.dataset(keys[1])}


def test_every_dataset_says_access_policy_licence_and_attribution() -> None:
    store = described(*(info(key, access=Access.PUBLIC) for key in TERRITORY.datasets))
    query = f"""{PREFIXES} SELECT DISTINCT ?d {{ ?d a dcat:Dataset ; dcat:distribution ?x ; dct:accessRights ?r ;
        odrl:hasPolicy ?p ; dct:rights/rdfs:label ?a . ?x dct:license ?l }}"""
    assert len(list(store.query(query))) == len(TERRITORY.datasets)


def test_system_graphs_have_a_role_and_parse(tmp_path: Path) -> None:
    found = {graph.role: path for graph, path in system_graphs(TERRITORY, tmp_path)}
    assert {"ontology", "codelist", "shapes", "policy"} <= set(found)
    for path in found.values():
        assert sum(1 for _ in ox.parse(path=path, format=ox.RdfFormat.N_TRIPLES)) > 0
