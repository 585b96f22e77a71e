"""What the territory's own files must say once mapped: counts that anybody can check against the published figures."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cityorchestra_ld import stages
from cityorchestra_ld.mapping import MapReport, materialize, read_mapping
from cityorchestra_ld.model import Limits
from cityorchestra_ld.sources import stage
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).parents[2]
PREFIXES = """
PREFIX co: <https://ld.cityorchestra.example/def/co#>
PREFIX com: <http://id.insee.fr/geo/commune/>
PREFIX dct: <http://purl.org/dc/terms/>
PREFIX epci: <https://ld.cityorchestra.example/id/epci/>
PREFIX geo: <http://www.opengis.net/ont/geosparql#>
PREFIX gtfs: <http://vocab.gtfs.org/terms#>
PREFIX igeo: <http://rdf.insee.fr/def/geo#>
PREFIX indicator: <https://ld.cityorchestra.example/id/code/indicator/>
PREFIX reg: <http://id.insee.fr/geo/region/>
PREFIX sd: <http://purl.org/linked-data/sdmx/2009/dimension#>
PREFIX sm: <http://purl.org/linked-data/sdmx/2009/measure#>
PREFIX sosa: <http://www.w3.org/ns/sosa/>
"""


class Graph:
    """What is published, asked in SPARQL as anybody can."""

    def __init__(self, territory: Territory) -> None:
        self.territory = territory

    def ask(self, pattern: str) -> list[list[str]]:
        out = io.BytesIO()
        assert stages.query(self.territory, f"{PREFIXES} SELECT {pattern}", [], "json", out) == 0
        answer = json.loads(out.getvalue())
        return [[row[name]["value"] for name in answer["head"]["vars"]] for row in answer["results"]["bindings"]]

    def number(self, pattern: str) -> int:
        return int(self.ask(pattern)[0][0])


@pytest.fixture(scope="module")
def graph(loaded: Territory) -> Graph:
    return Graph(loaded)


def mapped(territory: Territory, key: str, folder: Path, **files: Path) -> tuple[Path, MapReport]:
    """Map one dataset; `files` replace sources by name."""
    dataset = territory.dataset(key)
    specs = [replace(spec, path=files[spec.name], member=None) if spec.name in files else spec for spec in dataset.sources]
    tables = {spec.name: stage(spec, folder, Limits()) for spec in specs}
    out = folder / "mapped.nq"
    plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
    return out, materialize(plan, tables, out, default_graph=territory.graph_of(dataset))


@pytest.mark.parametrize(("siren", "members"), [("243500139", 43), ("242900314", 8)])
def test_a_metropolis_has_its_member_communes(graph: Graph, siren: str, members: int) -> None:
    assert graph.number(f"(COUNT(DISTINCT ?c) AS ?n) {{ ?c a igeo:Commune ; igeo:subdivisionDe epci:{siren} }}") == members


def test_brittany_has_1202_communes_in_four_departements(graph: Graph) -> None:
    assert graph.number("(COUNT(DISTINCT ?c) AS ?n) { ?c a igeo:Commune ; igeo:subdivisionDe reg:53 }") == 1202
    assert graph.number("(COUNT(DISTINCT ?d) AS ?n) { ?d a igeo:Departement ; igeo:subdivisionDe reg:53 }") == 4


def test_france_has_18_regions_and_101_departements(graph: Graph) -> None:
    assert graph.number("(COUNT(DISTINCT ?r) AS ?n) { ?r a igeo:Region }") == 18
    assert graph.number("(COUNT(DISTINCT ?d) AS ?n) { ?d a igeo:Departement }") == 101


def test_a_code_that_is_both_a_current_and_a_delegated_commune_makes_two_things(graph: Graph) -> None:
    shared = (
        "{ ?c a igeo:Commune ; igeo:codeINSEE ?code . ?d a igeo:CommuneDeleguee ; igeo:codeINSEE ?code . FILTER(?c != ?d) }"
    )
    assert graph.number(f"(COUNT(DISTINCT ?d) AS ?n) {shared}") == 37
    assert graph.ask("?x { ?x a igeo:Commune, igeo:CommuneDeleguee }") == []


def test_a_former_commune_leads_to_the_commune_of_today_and_is_not_counted_as_one(graph: Graph) -> None:
    assert graph.ask("?now { com:22027 dct:isReplacedBy ?now }") == [["http://id.insee.fr/geo/commune/22241"]]
    assert graph.ask("?old { ?old a igeo:Commune ; dct:isReplacedBy ?now }") == []


def test_the_iris_of_rennes_add_up_to_its_municipal_population_of_2021_within_rounding(graph: Graph) -> None:
    total = graph.number(
        "(SUM(?v) AS ?n) { ?o co:indicator indicator:population ; sd:refArea ?i ; sm:obsValue ?v . "
        "?i a igeo:IRIS ; igeo:subdivisionDe com:35238 }"
    )
    assert abs(total - 225_081) <= 1


def test_the_three_censuses_of_rennes_are_told_apart_by_their_period(graph: Graph) -> None:
    found = graph.ask(
        "?p ?i ?v { VALUES ?i { indicator:population indicator:population-municipal indicator:population-total } "
        "?o sd:refArea com:35238 ; sd:refPeriod ?p ; co:indicator ?i ; sm:obsValue ?v } ORDER BY ?i"
    )
    assert [(period, iri.rpartition("/")[2], value) for period, iri, value in found] == [
        ("2023", "population", "230890"),
        ("2022", "population-municipal", "227830"),
        ("2022", "population-total", "231985"),
    ]


def test_the_members_of_an_epci_add_up_to_its_municipal_population(graph: Graph) -> None:
    differing = graph.ask(
        "?e ?total (SUM(?v) AS ?sum) { ?e a igeo:Intercommunalite . "
        "?o sd:refArea ?e ; co:indicator indicator:population-municipal ; sm:obsValue ?total . "
        "?c igeo:subdivisionDe ?e . ?p sd:refArea ?c ; co:indicator indicator:population-municipal ; sm:obsValue ?v } "
        "GROUP BY ?e ?total HAVING(SUM(?v) != ?total)"
    )
    assert differing == []


def test_age_groups_of_an_iris_add_up_to_its_population_within_rounding(graph: Graph) -> None:
    values = "VALUES ?part { indicator:population-0-19 indicator:population-20-64 indicator:population-65plus }"
    off = graph.ask(
        f"?i (ABS(SUM(?v) - SAMPLE(?all)) AS ?gap) {{ {values} ?i a igeo:IRIS . "
        "?o sd:refArea ?i ; co:indicator ?part ; sm:obsValue ?v . "
        "?p sd:refArea ?i ; co:indicator indicator:population ; sm:obsValue ?all } GROUP BY ?i HAVING(?gap > 2)"
    )
    assert off == []


def test_every_iris_is_in_a_current_commune_and_all_but_eight_in_an_epci(graph: Graph) -> None:
    iris = "?i a igeo:IRIS"
    assert graph.ask(f"?i {{ {iris} FILTER NOT EXISTS {{ ?i igeo:subdivisionDe/a igeo:Commune }} }}") == []
    alone = f"(COUNT(DISTINCT ?i) AS ?n) {{ {iris} FILTER NOT EXISTS {{ ?i igeo:subdivisionDe/a igeo:Intercommunalite }} }}"
    assert graph.number(alone) == 8


def test_stops_of_star_are_in_all_communes_of_the_metropolis_and_nowhere_else(graph: Graph) -> None:
    stops = "?s a gtfs:Stop ; dct:spatial ?c"
    assert graph.number(f"(COUNT(DISTINCT ?c) AS ?n) {{ {stops} . ?c igeo:subdivisionDe epci:243500139 }}") == 43
    assert graph.ask(f"?s {{ {stops} FILTER NOT EXISTS {{ ?c igeo:subdivisionDe epci:243500139 }} }}") == []


def test_every_line_named_anywhere_in_star_is_a_line(graph: Graph) -> None:
    star = "STRSTARTS(STR(?l), 'https://ld.cityorchestra.example/id/line/star/')"
    assert graph.number(f"(COUNT(DISTINCT ?l) AS ?n) {{ ?l a gtfs:Route FILTER({star}) }}") == 158
    named = "?x co:affects|co:servedBy|dct:subject|gtfs:route ?l FILTER NOT EXISTS { ?l a gtfs:Route }"
    assert graph.ask(f"DISTINCT ?l {{ {named} FILTER({star}) }}") == []
    assert graph.number("(COUNT(DISTINCT ?l) AS ?n) { ?l a gtfs:Route ; gtfs:routeType gtfs:Subway }") == 2


def test_a_document_about_several_lines_is_one_document(graph: Graph) -> None:
    star = "STRSTARTS(STR(?d), 'https://ld.cityorchestra.example/id/document/star/')"
    assert graph.number(f"(COUNT(DISTINCT ?d) AS ?n) {{ ?d dct:format ?f FILTER({star}) }}") == 517


def test_a_bike_station_that_is_not_installed_gives_no_reading(graph: Graph) -> None:
    silent = "?s a co:BikeStation FILTER NOT EXISTS { ?o sosa:hasFeatureOfInterest ?s }"
    assert graph.number(f"(COUNT(DISTINCT ?s) AS ?n) {{ {silent} }}") == 8


def test_every_commune_of_today_has_an_outline_of_2018(graph: Graph) -> None:
    assert (
        graph.number("(COUNT(DISTINCT ?c) AS ?n) { ?c a igeo:Commune ; geo:hasGeometry ?g ; igeo:subdivisionDe reg:53 }")
        == 1202
    )


def test_a_time_after_midnight_is_a_duration_since_the_day_of_service_began(tmp_path: Path) -> None:
    case = ROOT / "examples/sailcoop/gtfs/edge/after-midnight"
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    path, _ = mapped(load_territory(ROOT), "sailcoop/gtfs", tmp_path, **{expected["source"]: case / expected["source"]})
    lines = path.read_text(encoding="utf-8").splitlines()
    for triple in expected["triples"]:
        assert any(line.startswith(triple + " ") for line in lines), triple


def test_no_electronic_address_leaves_the_gtfs_feed(tmp_path: Path) -> None:
    path, report = mapped(load_territory(ROOT), "sailcoop/gtfs", tmp_path)
    assert report.records["agency.txt"] == 1
    assert "@voilasailcoop" not in path.read_text(encoding="utf-8")
