"""DCAT-AP records of the datasets that are really loaded, made from the territory folder and the generation's graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyoxigraph as ox

from cityorchestra_ld.catalog.authority import Authorities
from cityorchestra_ld.catalog.distributions import distributions, services
from cityorchestra_ld.catalog.downloads import Made
from cityorchestra_ld.catalog.triples import Graph, Value, both, lit, typed
from cityorchestra_ld.model import Access, GraphInfo, Text
from cityorchestra_ld.territory import Dataset, Partner, Series, Territory

DCAT_AP = "https://semiceu.github.io/DCAT-AP/releases/3.0.1"
N = ox.NamedNode
_DATA = ("data", "ref", "live")
_NEVER_NAMED = (Access.SENSITIVE, Access.CONFIDENTIAL)  # the catalogue is public: that such data exist is not for everybody
_LANGUAGES = {"fr": "FRA", "en": "ENG", "br": "BRE", "de": "DEU", "es": "SPA", "it": "ITA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What is known of a dataset's publication beside its graph."""

    run: str | None = None
    first: datetime | None = None  # when it was published for the first time
    modified: datetime | None = None  # when its current version was
    made: Made | None = None  # the files of the current version, and what they hold
    older: tuple[Made, ...] = ()  # versions before, whose files are kept, newest first


def described(graphs: Iterable[GraphInfo]) -> dict[str, GraphInfo]:
    """Return the graphs of the datasets that the catalogue may name, by dataset."""
    return {info.dataset: info for info in graphs if info.dataset and info.role in _DATA and info.access not in _NEVER_NAMED}


def catalog(territory: Territory, graphs: Iterable[GraphInfo], known: Mapping[str, Published]) -> Graph:
    """Describe the catalogue, its datasets, their current versions and their services (DCAT-AP 3.0, section 4)."""
    writer = _Writer(territory, described(graphs), known)
    writer.write()
    return writer.graph


class _Writer:
    def __init__(self, territory: Territory, loaded: Mapping[str, GraphInfo], known: Mapping[str, Published]) -> None:
        self.territory, self.loaded, self.known = territory, loaded, known
        self.graph = Graph(territory.base_iri)
        self.codes = Authorities(self.graph)
        self.datasets = {key: territory.datasets[key] for key in loaded}
        self.series = {name: territory.series[name] for dataset in self.datasets.values() if (name := dataset.series)}

    def write(self) -> None:
        publishers = {dataset.publisher.id: dataset.publisher for dataset in self.datasets.values()}
        publishers |= {one.publisher: self.territory.partners[one.publisher] for one in self.series.values()}
        own = self.territory.partners.get(self.territory.publisher)
        if own is not None:
            publishers[own.id] = own
        self._catalog(own)
        for partner in publishers.values():
            self._agent(partner)
        for one in self.series.values():
            self._series(one)
        for key in self.loaded:
            self._dataset(key)
            self._record(key)

    def _catalog(self, publisher: Partner | None) -> None:
        territory, iris = self.territory, self.territory.iris
        offered = services(self.graph, self.codes, territory, self._public(), publisher)
        starts = [published.first for published in self.known.values() if published.first]
        moments = [published.modified for published in self.known.values() if published.modified]
        self.graph.add(
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
            dct_language=[self.codes.language(_LANGUAGES[code]) for code in territory.languages if code in _LANGUAGES],
            dct_license=self.codes.licence(territory.licence) if territory.licence else None,
            dct_spatial=[self.codes.place(place) for place in territory.spatial],
            dct_issued=lit(min(starts)) if starts else None,
            dct_modified=lit(max(moments)) if moments else None,
            dcat_themeTaxonomy=self.codes.taxonomy(),
            dcat_dataset=[N(iris.dataset(key)) for key in self.loaded],
            dcat_resource=[N(self._series_iri(one)) for one in self.series],
            dcat_record=[N(self._record_iri(key)) for key in self.loaded],
            dcat_service=[N(service) for service in offered],
            foaf_homepage=N(territory.base_iri),
        )
        self.graph.add(territory.base_iri, ["foaf:Document"])

    def _public(self) -> dict[str, Dataset]:
        return {key: dataset for key, dataset in self.datasets.items() if self.loaded[key].access is Access.PUBLIC}

    def _agent(self, partner: Partner) -> None:
        self.graph.add(
            partner.iri,
            ["foaf:Agent", "org:FormalOrganization"],
            foaf_name=lit(partner.name),
            rdfs_label=ox.Literal(partner.name, language="fr"),
            org_identifier=lit(partner.identifier) if partner.identifier else None,
            dct_type=self.codes.publisher(partner.kind) if partner.kind else None,
            foaf_homepage=N(partner.homepage) if partner.homepage else None,
        )
        if partner.homepage:
            self.graph.add(partner.homepage, ["foaf:Document"])
            self.graph.add(
                _contact_iri(partner),
                ["vcard:Organization", "vcard:Kind"],
                vcard_fn=lit(partner.name),
                vcard_hasURL=N(partner.homepage),
            )

    def _series_iri(self, name: str) -> str:
        return self.territory.iris.id("series", name)

    def _record_iri(self, key: str) -> str:
        return self.territory.iris.id("record", *key.split("/"))

    def _series(self, series: Series) -> None:
        members = [key for key, dataset in self.datasets.items() if dataset.series == series.id]
        moments = [one.modified for key in members if (one := self.known.get(key, Published())).modified]
        partner = self.territory.partners[series.publisher]
        places = dict.fromkeys(place for key in members for place in self.datasets[key].spatial)
        themes = dict.fromkeys(theme for key in members for theme in self.datasets[key].themes)
        self.graph.add(
            self._series_iri(series.id),
            ["dcat:DatasetSeries"],
            dct_title=both(series.title),
            dct_description=both(series.description),
            dct_publisher=N(partner.iri),
            dcat_contactPoint=N(_contact_iri(partner)) if partner.homepage else None,
            dct_accrualPeriodicity=self.codes.frequency(series.frequency) if series.frequency else None,
            dct_modified=lit(max(m for m in moments if m)) if moments else None,
            dct_spatial=[self.codes.place(place) for place in places],
            dcat_theme=[self.codes.theme(theme) for theme in themes],
        )

    def _record(self, key: str) -> None:
        """Say when the description itself was made, and by which profile it goes."""
        published = self.known.get(key, Published())
        self.graph.add(
            self._record_iri(key),
            ["dcat:CatalogRecord"],
            foaf_primaryTopic=N(self.territory.iris.dataset(key)),
            dct_issued=lit(published.first) if published.first else None,
            dct_modified=lit(published.modified or date(1970, 1, 1)),
            adms_status=self.codes.change("updated" if published.first != published.modified else "created"),
            dct_conformsTo=self.codes.standard(DCAT_AP, Text("DCAT-AP 3.0.1", "DCAT-AP 3.0.1")),
            dct_language=[self.codes.language(_LANGUAGES[code]) for code in self.territory.languages if code in _LANGUAGES],
        )

    def _dataset(self, key: str) -> None:
        territory, dataset, info = self.territory, self.datasets[key], self.loaded[key]
        iris, codes, published = territory.iris, self.codes, self.known.get(key, Published())
        iri, version = iris.dataset(key), iris.dataset(key, info.version)
        shared = self._shared(dataset, published)
        files = distributions(self.graph, codes, territory, dataset, info, published.made, published.modified)
        older = [N(iris.dataset(key, made.version)) for made in published.older]
        self.graph.add(
            iri,
            ["dcat:Dataset"],
            dct_title=both(dataset.title),
            dct_description=both(dataset.description),
            dct_identifier=lit(dataset.key),
            dct_rights=N(f"{iri}/attribution"),
            dcat_version=lit(info.version or dataset.version),
            dcat_hasCurrentVersion=N(version),
            dcat_hasVersion=[N(version), *older],
            dcat_distribution=[N(file) for file in files],
            co_inGraph=N(info.graph),
            co_coverage=both(dataset.coverage) if dataset.coverage else None,
            co_additive=lit(dataset.additive) if dataset.additive is not None else None,
            skos_note=both(dataset.illustration) if dataset.illustration else None,
            void_exampleResource=N(dataset.example) if dataset.example else None,
            adms_status=N(iris.id("code", "catalog-status", "loaded")),
            dcat_inSeries=N(self._series_iri(dataset.series)) if dataset.series else None,
            dct_provenance=N(f"{iri}/provenance"),
            **shared,
        )
        self._aside(dataset, iri, published)
        self._statistics(iri, published.made)
        self.graph.add(
            version,
            ["dcat:Dataset"],
            dct_title=both(Text(f"{dataset.title.fr}, version {info.version}", f"{dataset.title.en}, version {info.version}")),
            dct_description=both(dataset.description),
            dcat_version=lit(info.version or dataset.version),
            dcat_isVersionOf=N(iri),
            dcat_previousVersion=older[0] if older else None,
            dcat_distribution=[N(file) for file in files],
            co_inGraph=N(info.graph),
            void_triples=lit(info.triples),
            prov_wasGeneratedBy=N(iris.id("run", published.run)) if published.run else None,
            **shared,
        )
        if published.run:
            self.graph.add(iris.id("run", published.run), ["prov:Activity"])
        self._older(dataset, published)

    def _older(self, dataset: Dataset, published: Published) -> None:
        """Describe the versions before, as far as their files are kept."""
        iris = self.territory.iris
        for place, made in enumerate(published.older):
            following = published.older[place + 1 :]
            files = distributions(self.graph, self.codes, self.territory, dataset, None, made, None)
            self.graph.add(
                iris.dataset(dataset.key, made.version),
                ["dcat:Dataset"],
                dct_title=both(
                    Text(f"{dataset.title.fr}, version {made.version}", f"{dataset.title.en}, version {made.version}")
                ),
                dct_description=both(dataset.description),
                dcat_version=lit(made.version),
                dcat_isVersionOf=N(iris.dataset(dataset.key)),
                dcat_previousVersion=N(iris.dataset(dataset.key, following[0].version)) if following else None,
                dcat_distribution=[N(file) for file in files],
                void_triples=lit(made.facts.triples),
                **self._shared(dataset, Published()),
            )

    def _shared(self, dataset: Dataset, published: Published) -> dict[str, Value | Sequence[Value] | None]:
        """Say what holds for a dataset and for each of its versions."""
        codes, iri = self.codes, self.territory.iris.dataset(dataset.key)
        partner = dataset.publisher
        return {
            "dct_publisher": N(partner.iri),
            "dcat_contactPoint": N(_contact_iri(partner)) if partner.homepage else None,
            "dct_accessRights": codes.access(dataset.access),
            "odrl_hasPolicy": codes.policy(self.territory.iris.id("policy", dataset.policy)),
            "prov_wasDerivedFrom": [N(self.territory.iris.dataset(other)) for other in self._sources(dataset)],
            "co_releaseApprovedBy": N(dataset.release_approved_by) if dataset.release_approved_by else None,
            "dcat_theme": [codes.theme(theme) for theme in dataset.themes],
            "dcat_keyword": [ox.Literal(word, language="fr") for word in dataset.keywords],
            "dct_accrualPeriodicity": codes.frequency(dataset.frequency) if dataset.frequency else None,
            "dct_issued": _day(dataset.issued) if dataset.issued else None,
            "dct_modified": lit(published.modified) if published.modified else None,
            "dct_spatial": [codes.place(place) for place in dataset.spatial],
            "dct_temporal": N(f"{iri}/temporal") if dataset.temporal else None,
            "dct_language": [codes.language("FRA")],
            "dct_conformsTo": codes.standard(
                f"{self.territory.base_iri}def/co", Text("Vocabulaire City Orchestra", "City Orchestra vocabulary")
            ),
            "dcatap_hvdCategory": codes.hvd(dataset.hvd) if dataset.hvd else None,
            "dcatap_applicableLegislation": codes.law() if dataset.hvd else None,
            "dcat_landingPage": N(dataset.landing_page) if dataset.landing_page else None,
            "mobilitydcatap_mobilityTheme": codes.mobility(dataset.mobility_theme) if dataset.mobility_theme else None,
            "mobilitydcatap_transportMode": [codes.mode(mode) for mode in dataset.transport_modes],
        }

    def _sources(self, dataset: Dataset) -> list[str]:
        """List the datasets that one is derived from, as far as the catalogue may name them."""
        known = self.territory.datasets
        return [other for other in dataset.derived_from if other in known and known[other].access not in _NEVER_NAMED]

    def _aside(self, dataset: Dataset, iri: str, published: Published) -> None:
        """Add the nodes that a dataset points to and nobody else does."""
        self.graph.add(f"{iri}/attribution", ["dct:RightsStatement"], rdfs_label=ox.Literal(dataset.attribution, language="fr"))
        names = ", ".join(spec.path.name if spec.path else spec.url or spec.name for spec in dataset.sources)
        made = Text(
            f"Fichiers du partenaire ({names}), traduits par mappings/{dataset.key} et validés avant publication.",
            f"Files of the partner ({names}), translated by mappings/{dataset.key} and validated before publication.",
        )
        first = dataset.provenance
        told = Text(f"{first.fr} {made.fr}", f"{first.en} {made.en}") if first else made
        self.graph.add(f"{iri}/provenance", ["dct:ProvenanceStatement"], rdfs_label=both(told))
        if dataset.landing_page:
            self.graph.add(dataset.landing_page, ["foaf:Document"])
        if dataset.temporal:
            start, end = dataset.temporal
            self.graph.add(f"{iri}/temporal", ["dct:PeriodOfTime"], dcat_startDate=_day(start), dcat_endDate=_day(end))

    def _statistics(self, iri: str, made: Made | None) -> None:
        """Name the dimensions, attributes and units that the observations really use (StatDCAT-AP, section 5)."""
        if made is None or "http://purl.org/linked-data/cube#Observation" not in made.facts.classes:
            return
        told = made.facts.told
        self.graph.add(
            iri,
            m8g_dimension=[N(name) for name in told.get("dimension", ())],
            m8g_attribute=[N(name) for name in told.get("attribute", ())],
            m8g_statUnitMeasure=[N(name) for name in told.get("unit", ()) if name.startswith("http")],
        )


def _contact_iri(partner: Partner) -> str:
    return f"{partner.iri}/contact"


def _day(text: str) -> ox.Literal:
    date.fromisoformat(text)
    return typed(text, "date")
