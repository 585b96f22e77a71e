"""Each common rule (R1 to R11) fires when the published content of the territory is made to break it, and is quiet before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.catalog import system
from cityorchestra_ld.model import Severity
from cityorchestra_ld.namespaces import DEFAULT_BASE
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.validation import load_shapes, validate

pytestmark = pytest.mark.slow

PREFIXES = f"""BASE <{DEFAULT_BASE}id/> PREFIX access: <http://publications.europa.eu/resource/authority/access-right/>
PREFIX pd: <https://w3id.org/dpv/pd#>
PREFIX sa: <http://purl.org/linked-data/sdmx/2009/attribute#> PREFIX sc: <http://purl.org/linked-data/sdmx/2009/code#>
PREFIX sd: <http://purl.org/linked-data/sdmx/2009/dimension#> PREFIX sm: <http://purl.org/linked-data/sdmx/2009/measure#>
PREFIX co: <{DEFAULT_BASE}def/co#> PREFIX igeo: <http://rdf.insee.fr/def/geo#> PREFIX dct: <http://purl.org/dc/terms/>
PREFIX dpv: <https://w3id.org/dpv#> PREFIX odrl: <http://www.w3.org/ns/odrl/2/> PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
"""
CATALOGUE = "catalog"  # stands for the key of a dataset
BESIDE = ox.NamedNode("urn:beside")  # where a change finds the communes that IRIS are part of
FIRST = "ORDER BY ?s LIMIT 1"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What to do to the first resource of its kind, and the shapes that must fire."""

    where: str
    fires: set[str]
    change: str


CASES = {
    "R1": Case(
        where="enedis/conso-regions",
        fires={"ValueNotSecret"},
        change=f"""DELETE {{ ?s sa:confStatus sc:confStatus-F }} INSERT {{ ?s sa:confStatus sc:confStatus-C }}
            WHERE {{ SELECT ?s {{ ?s sm:obsValue ?v ; sa:confStatus sc:confStatus-F }} {FIRST} }}""",
    ),
    "R2": Case(
        where="enedis/conso-regions",
        fires={"Value-number"},
        change=f"""DELETE {{ ?s sm:obsValue ?v }} INSERT {{ ?s sm:obsValue "secret" }}
            WHERE {{ SELECT ?s ?v {{ ?s sm:obsValue ?v ; co:sector <code/sector/agriculture> }} {FIRST} }}""",
    ),
    "R3": Case(
        where="enedis/conso-iris",
        fires={"EnergySecret"},
        change=f"""DELETE {{ ?s co:deliveryPoints ?n ; co:underRule ?rule }} INSERT {{ ?s co:deliveryPoints 9 }}
            WHERE {{ SELECT ?s ?n ?rule {{ ?s sm:obsValue ?v ; co:deliveryPoints ?n ; co:underRule ?rule ;
                co:energyCarrier <code/energy-carrier/electricity> ;
                co:sector <code/sector/residential> }} {FIRST} }}""",
    ),
    "R4": Case(
        where="enedis/conso-iris",
        fires={"MinimumUnits"},
        change=f"""DELETE {{ ?s co:deliveryPoints ?n }} INSERT {{ ?s co:deliveryPoints 2 }}
            WHERE {{ SELECT ?s ?n {{ ?s sm:obsValue ?v ; co:deliveryPoints ?n ;
                co:underRule <code/confidentiality-rule/enterprises> }} {FIRST} }}""",
    ),
    "R5": Case(
        where="star/lignes",
        fires={"PersonalData"},
        change=f"""INSERT {{ ?s dct:description "Un souci ? Le conducteur répond au 06.12.34.56.78"@fr }}
            WHERE {{ SELECT ?s {{ ?s a ?kind }} {FIRST} }}""",
    ),
    "R6": Case(
        where=CATALOGUE,
        fires={"Dataset-policy"},
        change="DELETE WHERE { <dataset/star/lignes> odrl:hasPolicy ?policy }",
    ),
    "R7": Case(
        where=CATALOGUE,
        fires={"PersonalDataset-basis", "PersonalDataset-purpose", "PersonalDataset-storage", "PersonalDataset-access"},
        change="INSERT DATA { <dataset/star/lignes> dpv:hasPersonalData pd:EmailAddress }",
    ),
    "R8": Case(
        where="enedis/conso-regions",
        fires={"ScenarioObservation-status"},
        change=f"""INSERT {{ ?s co:scenario <scenario/2030> }}
            WHERE {{ SELECT ?s {{ ?s sm:obsValue ?v }} {FIRST} }}""",
    ),
    "R9": Case(
        where="insee/departements",
        fires={"Departement-code", "Departement-iri"},
        change="""DELETE { ?s igeo:codeINSEE "01" } INSERT { ?s igeo:codeINSEE "1" } WHERE { ?s igeo:codeINSEE "01" }""",
    ),
    "R10": Case(
        where="enedis/conso-iris",
        fires={"HiddenEnergyCell", "RevealingEnergyTotal"},
        change="""INSERT { <urn:total> ?p ?o ; sd:refArea ?parent } WHERE {
            { SELECT ?parent ?period ?indicator ?carrier ?sector (MIN(?shown) AS ?like) WHERE {
                ?cell sa:confStatus sc:confStatus-C ; sd:refArea ?area ; sd:refPeriod ?period ; co:indicator ?indicator ;
                    co:energyCarrier ?carrier ; co:sector ?sector .
                GRAPH <urn:beside> { ?area igeo:subdivisionDe ?parent . ?sister igeo:subdivisionDe ?parent }
                ?shown sd:refArea ?sister ; sm:obsValue ?v ; sd:refPeriod ?period ; co:indicator ?indicator ;
                    co:energyCarrier ?carrier ; co:sector ?sector .
              } GROUP BY ?parent ?period ?indicator ?carrier ?sector HAVING(COUNT(DISTINCT ?cell) = 1)
                ORDER BY ?parent LIMIT 1 }
            ?like ?p ?o FILTER(?p != sd:refArea) }""",
    ),
    "R11": Case(
        where=CATALOGUE,
        fires={"NoLaundering"},
        change="""DELETE { ?closed dct:accessRights access:PUBLIC ; odrl:hasPolicy ?open }
            INSERT { ?closed dct:accessRights access:CONFIDENTIAL ; odrl:hasPolicy <policy/illustration-agreement> .
                <dataset/star/parcours> prov:wasDerivedFrom <urn:between> . <urn:between> prov:wasDerivedFrom ?closed }
            WHERE { BIND(<dataset/star/lignes> AS ?closed) ?closed odrl:hasPolicy ?open }""",
    ),
}  # fmt: skip


class Copies:
    """Published graphs of the territory, copied and changed, and which common rules they then break."""

    def __init__(self, territory: Territory, folder: Path) -> None:
        self.territory, self.folder = territory, folder
        self.store = open_store(territory.state / "store", territory.limits, base_iri=territory.base_iri)
        self.common = [path for info, path in system.system_graphs(territory, folder) if info.role != "shapes"]
        self.known: dict[str, set[str]] = {}

    def as_published(self, key: str) -> set[str]:
        """Return what fires on a published graph; asked once of each."""
        if key not in self.known:
            self.known[key] = self.broken(key, "")
        return self.known[key]

    def broken(self, key: str, change: str) -> set[str]:
        """Return the common rules that block on a changed copy, judged with the shapes and the context of its dataset."""
        territory = self.territory
        if key == CATALOGUE:
            core = territory.root / "shapes" / "core"
            files, context = [core / "catalog.ttl", core / "secrecy-sets.ttl"], list[Path]()
            graph = territory.iris.graph(CATALOGUE)
        else:
            dataset = territory.dataset(key)
            files, graph = territory.shapes_of(dataset), territory.graph_of(dataset)
            context = [self.export(territory.graph_of(territory.dataset(other))) for other in dataset.context]
        copy, path = ox.Store(), self.folder / "copy.nt"
        copy.bulk_load(path=str(self.export(graph)), format=ox.RdfFormat.N_TRIPLES)
        for other in context:
            copy.bulk_load(path=str(other), format=ox.RdfFormat.N_TRIPLES, to_graph=BESIDE)
        copy.update(PREFIXES + change)
        copy.dump(path, ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
        shapes = load_shapes(files, base_iri=territory.base_iri)
        report = validate(path, shapes, context=[*self.common, *context])
        blocking = {group.shape for group in report.groups if group.severity is Severity.VIOLATION}
        common = {name for name in blocking if "/core/" in shapes.shapes[name].file}
        return {name.rpartition("#")[2].strip(">") for name in common}

    def export(self, graph: str) -> Path:
        path = self.store.export(graph, self.folder)
        assert path is not None
        return path


@pytest.fixture(scope="module")
def copies(loaded: Territory, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(loaded, tmp_path_factory.mktemp("copies"))


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_fires_on_the_territory_only_where_it_is_broken(rule: str, copies: Copies) -> None:
    case = CASES[rule]
    assert copies.as_published(case.where) == set()
    assert copies.broken(case.where, case.change) == case.fires
