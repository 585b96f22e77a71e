"""DCAT-AP records of the datasets that are really loaded, made from the territory folder and the generation's graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import pyoxigraph as ox

from cityorchestra_ld.catalog.triples import Graph, both, lit, typed
from cityorchestra_ld.model import Access, GraphInfo, Text
from cityorchestra_ld.territory import Dataset, Partner, Territory

EU = "http://publications.europa.eu/resource/authority/"
SPDX = "http://spdx.org/licenses/"
N = ox.NamedNode
_DATA = ("data", "ref", "live")
_NEVER_NAMED = (Access.SENSITIVE, Access.CONFIDENTIAL)  # the catalogue is public: that such data exist is not for everybody


def catalog(territory: Territory, graphs: Iterable[GraphInfo], runs: Mapping[str, str]) -> Graph:
    """Describe the catalogue, its datasets, their current versions and their services (DCAT-AP 3.0, section 4)."""
    graph = Graph(territory.base_iri)
    iris = territory.iris
    loaded = {info.dataset: info for info in graphs if info.dataset and info.role in _DATA and info.access not in _NEVER_NAMED}
    publisher = territory.partners.get(territory.publisher)
    service = graph.add(
        iris.id("service", "sparql"),
        ["dcat:DataService"],
        dct_title=both(Text("Point d'accès SPARQL", "SPARQL endpoint")),
        dcat_endpointURL=N(f"{territory.base_iri}sparql"),
        dcat_servesDataset=[N(iris.dataset(key)) for key in loaded],
        dct_conformsTo=N("http://www.w3.org/ns/sparql-service-description#SPARQL11Query"),
    )
    graph.add(
        iris.id("catalog", "main"),
        ["dcat:Catalog"],
        dct_title=both(Text(f"Catalogue : {territory.name.fr}", f"Catalogue: {territory.name.en}")),
        dct_description=both(
            Text(
                "Les jeux de données partagés par les partenaires du territoire, avec leurs conditions d'usage.",
                "The datasets that the partners of the territory share, with their conditions of use.",
            )
        ),
        dct_publisher=N(publisher.iri) if publisher else None,
        dct_language=[N(f"{EU}language/FRA"), N(f"{EU}language/ENG")],
        dcat_dataset=[N(iris.dataset(key)) for key in loaded],
        dcat_service=N(service),
        foaf_homepage=N(territory.base_iri),
    )
    for partner in {territory.datasets[key].publisher.id: territory.datasets[key].publisher for key in loaded}.values():
        _agent(graph, partner)
    if publisher:
        _agent(graph, publisher)
    for key, info in loaded.items():
        _dataset(graph, territory, territory.datasets[key], info, runs.get(key))
    return graph


def _agent(graph: Graph, partner: Partner) -> None:
    graph.add(
        partner.iri,
        ["foaf:Agent", "org:FormalOrganization"],
        foaf_name=lit(partner.name),
        rdfs_label=ox.Literal(partner.name, language="fr"),
        org_identifier=lit(partner.identifier) if partner.identifier else None,
        foaf_homepage=N(partner.homepage) if partner.homepage else None,
    )


def _dataset(graph: Graph, territory: Territory, dataset: Dataset, info: GraphInfo, run: str | None) -> None:
    iris = territory.iris
    iri = iris.dataset(dataset.key)
    version = iris.dataset(dataset.key, info.version)
    access = N(f"{EU}access-right/{dataset.access}")
    policy = N(iris.id("policy", dataset.policy))
    graph.add(
        iri,
        ["dcat:Dataset"],
        dct_title=both(dataset.title),
        dct_description=both(dataset.description),
        dct_identifier=lit(dataset.key),
        dct_publisher=N(dataset.publisher.iri),
        dct_accessRights=access,
        dct_rights=N(f"{iri}/attribution"),
        odrl_hasPolicy=policy,
        dcat_theme=[N(f"{EU}data-theme/{theme}") for theme in dataset.themes],
        dcat_keyword=[ox.Literal(word, language="fr") for word in dataset.keywords],
        dct_accrualPeriodicity=N(f"{EU}frequency/{dataset.frequency}") if dataset.frequency else None,
        dct_issued=typed(dataset.issued, "date") if dataset.issued else None,
        dct_spatial=[N(place) for place in dataset.spatial],
        dct_temporal=N(f"{iri}/temporal") if dataset.temporal else None,
        dcatap_hvdCategory=N(f"http://data.europa.eu/bna/{dataset.hvd}") if dataset.hvd else None,
        dcat_landingPage=N(dataset.landing_page) if dataset.landing_page else None,
        dct_conformsTo=N(f"{territory.base_iri}def/co"),
        dcat_version=lit(info.version or dataset.version),
        dcat_hasCurrentVersion=N(version),
        dcat_distribution=N(f"{iri}/sparql"),
        co_inGraph=N(info.graph),
        co_coverage=both(dataset.coverage) if dataset.coverage else None,
        co_additive=lit(dataset.additive) if dataset.additive is not None else None,
        skos_note=both(dataset.illustration) if dataset.illustration else None,
        void_exampleResource=N(dataset.example) if dataset.example else None,
    )
    graph.add(f"{iri}/attribution", ["dct:RightsStatement"], rdfs_label=ox.Literal(dataset.attribution, language="fr"))
    if dataset.temporal:
        graph.add(
            f"{iri}/temporal",
            ["dct:PeriodOfTime"],
            dcat_startDate=_day(dataset.temporal[0]),
            dcat_endDate=_day(dataset.temporal[1]),
        )
    graph.add(
        version,
        ["dcat:Dataset"],
        dct_title=both(Text(f"{dataset.title.fr}, version {info.version}", f"{dataset.title.en}, version {info.version}")),
        dct_description=both(dataset.description),
        dct_publisher=N(dataset.publisher.iri),
        dcat_version=lit(info.version or dataset.version),
        dcat_isVersionOf=N(iri),
        dct_accessRights=access,
        odrl_hasPolicy=policy,
        co_inGraph=N(info.graph),
        void_triples=lit(info.triples),
        prov_wasGeneratedBy=N(iris.id("run", run)) if run else None,
    )
    graph.add(
        f"{iri}/sparql",
        ["dcat:Distribution"],
        dct_title=both(Text("Interroger en SPARQL", "Query with SPARQL")),
        dcat_accessURL=N(f"{territory.base_iri}sparql"),
        dcat_accessService=N(iris.id("service", "sparql")),
        dct_license=N(SPDX + dataset.licence),
    )


def _day(text: str) -> ox.Literal:
    date.fromisoformat(text)
    return typed(text, "date")
