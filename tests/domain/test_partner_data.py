"""What the mapped partner files say must be what the files say: sums, counts, hidden cells, codes and links."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import materialize, read_mapping
from cityorchestra_ld.model import Limits
from cityorchestra_ld.prepare import check_sources
from cityorchestra_ld.sources import stage
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TERRITORY = load_territory(ROOT)
ID = "https://ld.cityorchestra.example/id/"
CODE = ID + "code/"
CO = "https://ld.cityorchestra.example/def/co#"
SDMX = "http://purl.org/linked-data/sdmx/2009/"
SOSA = "http://www.w3.org/ns/sosa/"
TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
VALUE, AREA, PERIOD = f"{SDMX}measure#obsValue", f"{SDMX}dimension#refArea", f"{SDMX}dimension#refPeriod"
CONFIDENTIALITY = f"{SDMX}attribute#confStatus"
LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
QB_OBSERVATION = "http://purl.org/linked-data/cube#Observation"

REGIONS = {"11", "24", "27", "28", "32", "44", "52", "53", "75", "76", "84", "93"}  # without Corsica and overseas

Node = dict[str, list[str]]


@cache
def mapped(key: str) -> dict[str, Node]:
    """Map one dataset and return, for each subject, its predicates and what they say."""
    dataset = TERRITORY.dataset(key)
    nodes: dict[str, Node] = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as name:
        folder = Path(name)
        tables = {spec.name: stage(spec, folder, Limits()) for spec in dataset.sources}
        plan = read_mapping(dataset.mapping, base_iri=TERRITORY.base_iri)
        materialize(plan, tables, folder / "out.nq", default_graph=TERRITORY.graph_of(dataset))
        for quad in set(ox.parse(path=str(folder / "out.nq"), format=ox.RdfFormat.N_QUADS)):
            nodes[quad.subject.value][quad.predicate.value].append(quad.object.value)
    return nodes


def of_type(key: str, iri: str) -> dict[str, Node]:
    return {subject: node for subject, node in mapped(key).items() if iri in node.get(TYPE, [])}


def figures(key: str) -> dict[str, Node]:
    return of_type(key, QB_OBSERVATION)


def total(nodes: Iterator[Node] | list[Node]) -> Decimal:
    return sum((Decimal(node[VALUE][0]) for node in nodes if VALUE in node), Decimal(0))


def last(iri: str) -> str:
    return iri.rpartition("/")[2]


@cache
def rows(path: str, delimiter: str = ",", encoding: str = "utf-8", skip: int = 0) -> list[dict[str, str]]:
    text = "".join((EXAMPLES / path).read_text(encoding=encoding).splitlines(keepends=True)[skip:])
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


@cache
def by_iris() -> list[dict[str, str]]:
    return rows("enedis/conso-iris/conso-iris-2023.csv", ";", "cp1252", 3)


# --- the account --------------------------------------------------------------------------------------------------------------

ACCOUNT = "rennes-metropole/compte-administratif"


def test_every_line_of_the_account_is_one_figure_and_the_totals_are_those_of_the_file() -> None:
    file: Counter[tuple[str, str, str]] = Counter()
    for row in rows(f"{ACCOUNT}/ca-2020.csv", ";"):
        file[row["Section"].lower(), row["Libellé D/R"], row["Type mouvement"]] += Decimal(row["CA2020"])  # type: ignore[assignment]
    graph: Counter[tuple[str, str, str]] = Counter()
    words = {"depense": "Dépense", "recette": "Recette", "reel": "Réel", "ordre": "Ordre"}
    for node in figures(ACCOUNT).values():
        section, flow, movement = (last(node[f"{CO}budget{name}"][0]) for name in ("Section", "Flow", "Movement"))
        graph[section, words[flow], words[movement]] += Decimal(node[VALUE][0])  # type: ignore[assignment]
    assert len(figures(ACCOUNT)) == 2503
    assert file.keys() == graph.keys()
    for line, amount in file.items():
        assert abs(graph[line] - amount) < Decimal("0.000001"), line


def test_codes_of_the_account_keep_their_zeros_and_have_one_name() -> None:
    nodes = mapped(ACCOUNT)
    scheme = "http://www.w3.org/2004/02/skos/core#"
    codes = {row["Nomenclature"] + "-" + row["Code chapitre"] for row in rows(f"{ACCOUNT}/ca-2020.csv", ";")}
    assert {last(iri) for iri in nodes if "/budget-chapter/" in iri} == codes
    assert {"M57-011", "M49-042"} <= codes
    for iri, node in nodes.items():
        if "/code/budget-" in iri:
            assert len(node[scheme + "prefLabel"]) == len(node[scheme + "notation"]) == 1, iri


# --- energy -------------------------------------------------------------------------------------------------------------------


def test_energy_by_iris_adds_up_to_the_file_and_hides_what_it_hides() -> None:
    observations = figures("enedis/conso-iris")
    assert len(observations) == len(by_iris())
    for letter, carrier in (("E", "electricity"), ("G", "gas")):
        shown = [
            Decimal(row["CONSO"].replace(",", "."))
            for row in by_iris()
            if row["FILIERE"] == letter and row["CONSO"] != "secret"
        ]
        assert total(
            [n for n in observations.values() if n[f"{CO}energyCarrier"] == [f"{CODE}energy-carrier/{carrier}"]]
        ) == sum(shown)
    for row in by_iris():
        node = observations[
            f"{ID}obs/enedis/conso-iris/2023/{row['CODE_IRIS_CODE']}-{row['FILIERE']}-{row['CODE_GRAND_SECTEUR']}"
        ]
        assert (VALUE in node) == (row["CONSO"] != "secret")
        assert node[CONFIDENTIALITY] == [f"{SDMX}code#confStatus-{'C' if row['CONSO'] == 'secret' else 'F'}"]
        assert node[f"{CO}deliveryPoints"] == [row["PDL"]]


@pytest.mark.parametrize("key", ["enedis/conso-iris", "enedis/conso-secteurs-iris"])
def test_no_synthetic_figure_is_shown_on_too_few_delivery_points(key: str) -> None:
    least = {"residential": 10}
    for iri, node in figures(key).items():
        if VALUE in node:
            assert int(node[f"{CO}deliveryPoints"][0]) >= least.get(last(node[f"{CO}sector"][0]), 3), iri


def test_no_hidden_iris_can_be_computed_from_the_total_of_its_commune() -> None:
    hidden: Counter[tuple[str, ...]] = Counter()
    totals: set[tuple[str, ...]] = set()
    for node in figures("enedis/conso-secteurs-iris").values():
        area = last(node[AREA][0])
        cell = (area[:5], node[PERIOD][0], node[f"{CO}sector"][0])
        if len(area) == 5 and VALUE in node:
            totals.add(cell)
        elif len(area) == 9 and VALUE not in node:
            hidden[cell] += 1
    assert totals and hidden
    assert [cell for cell in totals if hidden[cell] == 1] == []


def test_the_wide_table_gives_one_figure_for_each_sector_that_has_sites() -> None:
    names = {"residential": "secteur_residentiel", "agriculture": "agriculture", "industry": "industrie",
             "tertiary": "tertiaire", "unassigned": "secteur_non_affecte"}  # fmt: skip
    file = rows("enedis/conso-secteurs-iris/conso-secteurs-iris.csv", ";")
    for sector, name in names.items():
        cells = [row for row in file if row[f"nb_sites_{name}_enedis"]]
        nodes = [n for n in figures("enedis/conso-secteurs-iris").values() if n[f"{CO}sector"] == [f"{CODE}sector/{sector}"]]
        values = [
            Decimal(row[f"conso_totale_{name}_enedis_mwh"])
            for row in cells
            if row[f"conso_totale_{name}_enedis_mwh"] != "secret"
        ]
        assert len(nodes) == len(cells)
        assert total(nodes) == sum(values)


def test_regions_are_found_by_name_and_their_consumption_adds_up() -> None:
    file = rows("enedis/conso-regions/conso-regions.csv")
    columns = [name for name in file[0] if name.startswith("sum_Conso_totale")]
    observations = figures("enedis/conso-regions")
    assert len(columns) == 6 and len(observations) == 6 * 12
    assert total(list(observations.values())) == sum(Decimal(row[name]) for row in file for name in columns)
    assert {last(node[AREA][0]) for node in observations.values()} == REGIONS


def test_production_adds_up_to_the_file() -> None:
    file = rows("enedis/production/production.csv")
    assert total(list(figures("enedis/production").values())) == sum(Decimal(row["price"]) for row in file)
    assert len(figures("enedis/production")) == 30


def test_the_synthetic_files_are_the_ones_that_the_seed_gives(tmp_path: Path) -> None:
    names = ["conso-iris/conso-iris-2023.csv", "conso-secteurs-iris/conso-secteurs-iris.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir()
    subprocess.run([sys.executable, ROOT / "tools" / "synthetic_energy.py", "--out", tmp_path], check=True, capture_output=True)
    for name in names:
        assert (tmp_path / name).read_bytes() == (EXAMPLES / "enedis" / name).read_bytes()


# --- readings -----------------------------------------------------------------------------------------------------------------


def test_each_stream_observation_has_its_station_its_state_and_the_day_of_its_campaign() -> None:
    days = {row["code_campagne"]: row["date_campagne"] for row in rows("ofb/onde/campaigns.csv")}
    nodes = mapped("ofb/onde")
    file = rows("ofb/onde/observations.csv")
    assert len(of_type("ofb/onde", f"{SOSA}Observation")) == len(file) == 2455
    for row in file:
        node = nodes[f"{ID}obs/ofb/onde/{row['code_campagne']}/{row['code_station']}"]
        assert node[f"{SOSA}phenomenonTime"] == [f"{ID}time/{days[row['code_campagne']]}"]
        assert node[f"{SOSA}hasResult"] == [f"{CODE}flow-state/{row['code_ecoulement']}"]
        assert node[f"{SOSA}hasFeatureOfInterest"][0] in of_station()


@cache
def of_station() -> dict[str, Node]:
    return of_type("ofb/onde", f"{CO}StreamStation")


def test_names_of_streams_and_stations_are_clean_and_never_missing() -> None:
    things = of_station() | of_type("ofb/onde", f"{CO}Stream")
    assert len(of_station()) == 31
    for iri, node in things.items():
        assert len(node[LABEL]) == 1 and node[LABEL][0] == node[LABEL][0].strip() != "", iri


def test_counts_of_bikes_add_up_and_each_belongs_to_the_site_of_its_channel() -> None:
    sites = {row["channel_id"]: row["site_id"] for row in rows("eco-compteur/comptages-velo/channel.csv")}
    measures = of_type("eco-compteur/comptages-velo", f"{SOSA}Observation")
    file = rows("eco-compteur/comptages-velo/measure.csv")
    assert len(measures) == len(file) == 3650
    assert sum(int(node[f"{SOSA}hasSimpleResult"][0]) for node in measures.values()) == sum(int(row["count"]) for row in file)
    for node in measures.values():
        channel = last(node[f"{SOSA}madeBySensor"][0])
        assert node[f"{SOSA}hasFeatureOfInterest"] == [f"{ID}counting-site/{sites[channel]}"]


# --- what must not get out ----------------------------------------------------------------------------------------------------


def said(key: str) -> set[str]:
    """Collect everything that a graph says, subjects included."""
    nodes = mapped(key)
    return set(nodes) | {value for node in nodes.values() for values in node.values() for value in values}


def test_meter_numbers_and_contacts_of_charging_points_stay_in_the_file() -> None:
    file = rows("etalab/irve/irve-statique.csv")
    private = {row[name] for row in file for name in row if name == "num_pdl" or name.startswith(("contact_", "telephone_"))}
    assert private - {""}, "the example has nothing to hide: the test proves nothing"
    everything = "\n".join(said("etalab/irve"))
    assert [value for value in private if value and value in everything] == []
    assert len(of_type("etalab/irve", f"{CO}ChargingPoint")) == len(file)


def test_mailboxes_of_the_catalogue_are_those_of_services() -> None:
    boxes = {value for value in said("rennes-metropole/catalogue-rudi") if "@" in value}
    assert len(boxes) == 29
    assert all(re.fullmatch(r"mailto:[^.@]+@rennes\.fr", box) for box in boxes)
    assert not any("aucun_contact" in box for box in boxes)


def test_the_catalogue_describes_each_of_its_datasets_with_a_theme_a_policy_and_a_licence() -> None:
    records = json.loads((EXAMPLES / "rennes-metropole/catalogue-rudi/datasets.json").read_text(encoding="utf-8"))
    nodes = of_type("rennes-metropole/catalogue-rudi", "http://www.w3.org/ns/dcat#Dataset")
    assert len(nodes) == len(records) == 387
    files = [file["media_id"] for record in records for file in record["available_formats"] if file]
    distributions = of_type("rennes-metropole/catalogue-rudi", "http://www.w3.org/ns/dcat#Distribution")
    assert {last(iri) for iri in distributions} == set(files)
    assert all(len(node["http://purl.org/dc/terms/license"]) == 1 for node in distributions.values())
    for record in records:
        node = nodes[f"{ID}dataset/rudi/{record['global_id']}"]
        assert node["http://purl.org/dc/terms/title"] == [record["resource_title"]]
        assert len(node["http://www.w3.org/ns/dcat#theme"]) == 2
        assert len(node["http://www.w3.org/ns/odrl/2/hasPolicy"]) == 1


# --- data, consequence, action ------------------------------------------------------------------------------------------------


def test_actions_quote_observations_that_exist_and_amounts_of_the_account() -> None:
    evidence = [
        iri for node in of_type("city-orchestra/actions", f"{CO}PublicAction").values() for iri in node[f"{CO}motivatedBy"]
    ]
    census = {row["iris"]: row["pop_65p"] for row in rows("insee/iris-population/iris_2021_bretagne.csv")}
    for iri in evidence:
        key = "/".join(iri.removeprefix(f"{ID}obs/").split("/")[:2])
        if key == "insee/iris-population":  # a large graph, which the shapes look at: here its file is enough
            assert iri.endswith("-population-65plus") and census[last(iri).partition("-")[0]]
        else:
            assert key in ("ofb/onde", "enedis/conso-iris") and mapped(key)[iri][TYPE], iri
    grants = of_type("city-orchestra/actions", "https://schema.org/MonetaryGrant")
    assert len(evidence) == 9 and len(grants) == 5
    for node in grants.values():
        assert node["https://schema.org/amount"] == figures(ACCOUNT)[node[f"{CO}budgetLine"][0]][VALUE]


# --- settings -----------------------------------------------------------------------------------------------------------------

KEYS = [
    "city-orchestra/actions", "eco-compteur/comptages-velo", "enedis/conso-iris", "enedis/conso-regions",
    "enedis/conso-secteurs-iris", "enedis/production", "etalab/irve", "ofb/onde", "rennes-metropole/catalogue-rudi", ACCOUNT,
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_the_example_of_a_dataset_is_a_thing_that_its_graph_describes(key: str) -> None:
    assert mapped(key)[TERRITORY.dataset(key).example or ""].get(TYPE)


@pytest.mark.parametrize("key", ["city-orchestra/actions", "enedis/conso-iris", "enedis/conso-secteurs-iris", "etalab/irve"])
def test_what_is_not_real_says_so_in_both_languages(key: str) -> None:
    said_so = TERRITORY.dataset(key).illustration
    assert said_so is not None and said_so.fr and said_so.en


@pytest.mark.parametrize("column", ["num_pdl", "contact_operateur", "telephone_operateur"])
def test_a_mapping_that_asks_for_a_private_column_is_refused_before_any_row_is_read(column: str, tmp_path: Path) -> None:
    dataset = TERRITORY.dataset("etalab/irve")
    copy = tmp_path / "mapping.yml"
    copy.write_text(dataset.mapping.read_text(encoding="utf-8").replace("$(observations)", f"$({column})"), encoding="utf-8")
    with pytest.raises(MappingError, match=column):
        check_sources(read_mapping(copy, base_iri=TERRITORY.base_iri), dataset)
