"""Where the data of a dataset can be had: files with size and checksum, and the services that answer for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyoxigraph as ox

from cityorchestra_ld.catalog.authority import Authorities, codes
from cityorchestra_ld.catalog.downloads import File, Made
from cityorchestra_ld.catalog.triples import Graph, both, lit, typed
from cityorchestra_ld.model import Access, GraphInfo, Text
from cityorchestra_ld.territory import Dataset, Partner, Territory

N = ox.NamedNode
_SHA256 = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_SPARQL11 = "http://www.w3.org/TR/sparql11-protocol/"
_LDES = "https://w3id.org/ldes/specification"
_OPENAPI = "https://spec.openapis.org/oas/v3.1.0"


def file_address(territory: Territory, dataset: str, version: str, name: str) -> str:
    """Return the lasting address of one file of one version."""
    return f"{territory.base_iri}download/{dataset}/{version}/{name}"


def distributions(
    graph: Graph,
    authorities: Authorities,
    territory: Territory,
    dataset: Dataset,
    info: GraphInfo | None,
    made: Made | None,
    modified: datetime | None,
) -> list[str]:
    """Describe the files of a version, and the query service when it is the current one; return their IRIs."""
    found = []
    if info is not None and info.access is Access.PUBLIC:
        found.append(_sparql(graph, authorities, territory, dataset))
    if made is not None:
        found += [_file(graph, authorities, territory, dataset, made, file, modified) for file in made.files]
    return found


def _file(
    graph: Graph,
    authorities: Authorities,
    territory: Territory,
    dataset: Dataset,
    made: Made,
    file: File,
    modified: datetime | None,
) -> str:
    iri = territory.iris.id("distribution", *dataset.key.split("/"), made.version, file.name)
    address = file_address(territory, dataset.key, made.version, file.name)
    kind, media = authorities.form(file.form)
    fr, en, _, _ = codes().forms[file.form]
    checksum = f"{iri}/checksum"
    graph.add(checksum, ["spdx:Checksum"], spdx_algorithm=N(_SHA256), spdx_checksumValue=typed(file.sha256, "hexBinary"))
    graph.add(_SHA256, ["spdx:ChecksumAlgorithm"])
    what = _what(file)
    graph.add(
        iri,
        ["dcat:Distribution"],
        dct_title=both(Text(f"{fr} : {what.fr}", f"{en}: {what.en}")),
        dct_description=both(
            Text(
                f"{dataset.title.fr}, version {made.version} : {what.fr}.",
                f"{dataset.title.en}, version {made.version}: {what.en}.",
            )
        ),
        dcat_accessURL=N(address),
        dcat_downloadURL=N(address),
        dcat_mediaType=media,
        dct_format=kind,
        dcat_compressFormat=authorities.media("application/gzip") if file.name.endswith(".gz") else None,
        dcat_byteSize=typed(str(file.size), "nonNegativeInteger"),
        spdx_checksum=N(checksum),
        dct_license=authorities.licence(dataset.licence),
        dct_modified=lit(modified) if modified else None,
        dct_language=authorities.language("FRA"),
        dcatap_availability=authorities.availability("AVAILABLE"),
        dcatap_applicableLegislation=authorities.law() if dataset.hvd else None,
        odrl_hasPolicy=authorities.policy(territory.iris.id("policy", dataset.policy)),
    )
    return iri


def _what(file: File) -> Text:
    """Say in a few words what a file holds."""
    if file.table is None:
        return Text("tout le jeu de données", "the whole dataset")
    name = file.name.partition(".")[0]
    rows = f"{file.rows:,}".replace(",", " ")
    return Text(f"table « {name} », {rows} lignes", f"table '{name}', {rows} rows")


def _sparql(graph: Graph, authorities: Authorities, territory: Territory, dataset: Dataset) -> str:
    iri = f"{territory.iris.dataset(dataset.key)}/sparql"
    kind, media = authorities.form("sparql")
    graph.add(
        iri,
        ["dcat:Distribution"],
        dct_title=both(Text("Interroger en SPARQL", "Query with SPARQL")),
        dct_description=both(
            Text(
                "Le service SPARQL répond sur ce jeu de données et sur tous les autres à la fois.",
                "The SPARQL service answers on this dataset and on all others at once.",
            )
        ),
        dcat_accessURL=N(f"{territory.base_iri}sparql"),
        dcat_accessService=N(territory.iris.id("service", "sparql")),
        dct_license=authorities.licence(dataset.licence),
        dct_format=kind,
        dcat_mediaType=media,
        dcatap_availability=authorities.availability("AVAILABLE"),
        dcatap_applicableLegislation=authorities.law() if dataset.hvd else None,
        odrl_hasPolicy=authorities.policy(territory.iris.id("policy", dataset.policy)),
    )
    return iri


def services(
    graph: Graph, authorities: Authorities, territory: Territory, public: Mapping[str, Dataset], publisher: Partner | None
) -> list[str]:
    """Describe the services that answer for the public datasets; return their IRIs."""
    base = territory.base_iri
    offers = [
        ("sparql", Text("Point d'accès SPARQL", "SPARQL endpoint"),
         Text("Toute question, sur tous les jeux de données publics.", "Any question, on all public datasets."),
         f"{base}sparql", f"{base}sparql", (_SPARQL11, Text("Protocole SPARQL 1.1", "SPARQL 1.1 Protocol"))),
        ("feed", Text("Flux des changements (LDES)", "Feed of changes (LDES)"),
         Text("Les versions de chaque chose, par jeu de données.", "The versions of each thing, by dataset."),
         f"{base}feed", f"{base}feed", (_LDES, Text("Linked Data Event Streams", "Linked Data Event Streams"))),
    ]  # fmt: skip
    if next((territory.root / "queries" / "api").glob("*.rq"), None) is not None:
        offers.append(
            ("api", Text("Interface de programmation", "Query API"),
             Text("Des questions prêtes, avec des paramètres.", "Ready questions, with parameters."),
             f"{base}api/queries", f"{base}openapi.json", (_OPENAPI, Text("OpenAPI 3.1", "OpenAPI 3.1")))
        )  # fmt: skip
    themes = sorted({theme for dataset in public.values() for theme in dataset.themes})
    hvd = sorted({dataset.hvd for dataset in public.values() if dataset.hvd})
    found = []
    for name, title, description, endpoint, told, standard in offers:
        found.append(
            graph.add(
                territory.iris.id("service", name),
                ["dcat:DataService"],
                dct_title=both(title),
                dct_description=both(description),
                dcat_endpointURL=N(endpoint),
                dcat_endpointDescription=N(told),
                dcat_servesDataset=[N(territory.iris.dataset(key)) for key in public],
                dct_conformsTo=authorities.standard(*standard),
                dct_publisher=N(publisher.iri) if publisher else None,
                dcat_contactPoint=N(f"{publisher.iri}/contact") if publisher and publisher.homepage else None,
                dcat_theme=[authorities.theme(theme) for theme in themes],
                dcat_keyword=both(title),
                dct_accessRights=authorities.access(Access.PUBLIC),
                dct_license=authorities.licence(territory.licence) if territory.licence else None,
                foaf_page=N(endpoint),
                dcatap_hvdCategory=[authorities.hvd(code) for code in hvd],
                dcatap_applicableLegislation=authorities.law() if hvd else None,
            )
        )
        graph.add(endpoint, ["foaf:Document", "rdfs:Resource"])
        if told != endpoint:
            graph.add(told, ["rdfs:Resource"])
    return found
