"""A tiny city in a real store, served whole: two public datasets, a restricted one, an ontology, a scenario, hostile values."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest
import uvicorn
from starlette.testclient import TestClient

from cityorchestra_ld.catalog import dcat
from cityorchestra_ld.model import Access, GraphChange, GraphInfo
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import Territory, load_territory
from cityorchestra_ld.web.app import create_app

BASE = "https://id.example/"
INSEE = "http://id.insee.fr/geo/commune/35238"
RTL = "\u202e"
MANY = 60

TOML = f"""
base_iri = "{BASE}"
name = {{ fr = "Ville d'essai", en = "Test city" }}
publisher = "ville"

[store]
workers = 2
resident = "never"

[limits]
query_seconds = 5.0
body_bytes = 200000

[partners.ville]
name = "Ville d'essai"
"""

DATASET = """
title = {{ fr = "{fr}", en = "{en}" }}
description = {{ fr = "Description de {fr}.", en = "Description of {en}." }}
publisher = "ville"
licence = "{licence}"
attribution = "Ville d'essai, 2026"
policy = "open"
themes = ["TRAN"]
frequency = "ANNUAL"
{further}
"""

QUERY = """#+ title.fr: Combien d'arrêts ?
#+ title.en: How many stops?
#+ expect: rows = 1
PREFIX gtfs: <http://vocab.gtfs.org/terms#>
SELECT (COUNT(?stop) AS ?n) WHERE { ?stop a gtfs:Stop }
"""

HOME = """#+ title.fr: Combien d'arrêts sans nom ?
#+ title.en: How many stops?
#+ answer.fr: Il y en a {n}.
#+ answer.en: There are {n}.
#+ show: figures
#+ column.n.fr: arrêts
SELECT (COUNT(?stop) AS ?n) WHERE { ?stop a <http://vocab.gtfs.org/terms#Stop> }
"""

PLACES = """#+ title.fr: Les communes
#+ title.en: The communes
#+ show: map table
#+ label: name
#+ link.name: place
SELECT ?place ?name WHERE { ?place a <http://rdf.insee.fr/def/geo#Commune> ; <http://rdf.insee.fr/def/geo#nom> ?name }
"""

COMMUNE = """#+ theme.fr: Population
#+ title.fr: Habitants
#+ title.en: Inhabitants
#+ show: lines bars
#+ label: when
#+ column.value.fr: habitants
SELECT ?when ?value WHERE {
  VALUES ?place { UNDEF }
  ?figure <http://purl.org/linked-data/sdmx/2009/dimension#refArea> ?place ;
          <http://purl.org/linked-data/sdmx/2009/dimension#refPeriod> ?when ;
          <http://purl.org/linked-data/sdmx/2009/measure#obsValue> ?value .
}
"""

STOPS_THERE = """#+ theme.fr: Mobilité
#+ title.fr: Arrêts
#+ title.en: Stops
#+ show: map
#+ place: stop
SELECT ?stop WHERE {
  VALUES ?place { UNDEF }
  ?stop <http://purl.org/dc/terms/spatial> ?place ; a <http://vocab.gtfs.org/terms#Stop>
}
"""

PREFIXES = f"""
@prefix co: <{BASE}def/co#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix geo: <http://www.opengis.net/ont/geosparql#> .
@prefix gtfs: <http://vocab.gtfs.org/terms#> .
@prefix igeo: <http://rdf.insee.fr/def/geo#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix qb: <http://purl.org/linked-data/cube#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sa: <http://purl.org/linked-data/sdmx/2009/attribute#> .
@prefix sc: <http://purl.org/linked-data/sdmx/2009/code#> .
@prefix sd: <http://purl.org/linked-data/sdmx/2009/dimension#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix sm: <http://purl.org/linked-data/sdmx/2009/measure#> .
@prefix unit: <http://qudt.org/vocab/unit/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@base <{BASE}> .
"""

STOPS = f"""
<id/stop/1001> a gtfs:Stop ; rdfs:label "République"@fr , "Republic Square"@en ; dct:spatial <{INSEE}> ;
  geo:hasGeometry <.well-known/genid/city/stops/b0> ; dct:description "a < b & c" ; gtfs:code "0054" .
<.well-known/genid/city/stops/b0> a geo:Geometry ; geo:asWKT "POINT(-1.68 48.11)"^^geo:wktLiteral .
<id/stop/Pl\u0153uc-L%27Hermitage> a gtfs:Stop ; rdfs:label "Plœuc-L'Hermitage"@fr .
<id/stop/%C3%8Ele-de-Br%C3%A9hat> a gtfs:Stop ; rdfs:label "Île-de-Bréhat"@fr .
<id/stop/FR%2AA68%2AE1> a gtfs:Stop ; rdfs:label "Borne" .
<id/stop/a%2Fb> a gtfs:Stop ; rdfs:label "A barre B" .
<id/stop/readme.ttl> a gtfs:Stop ; rdfs:label "Un arrêt qui finit comme un suffixe"@fr .
<id/stop/nameless> a gtfs:Stop .
<{INSEE}> a igeo:Commune ; igeo:nom "Rennes" ; igeo:codeINSEE "35238" .
<id/obs/1> a qb:Observation ; co:indicator <id/code/indicator/population> ; sd:refArea <{INSEE}> ;
  sd:refPeriod "2022"^^xsd:gYear ; sm:obsValue 225081.5 ; sa:unitMeasure unit:MegaW-HR .
<id/obs/2> a qb:Observation ; co:indicator <id/code/indicator/population> ; sd:refArea <{INSEE}> ;
  sd:refPeriod "2023"^^xsd:gYear ; sa:confStatus sc:confStatus-C .
"""

HOSTILE = f"""
<id/hostile/1> rdfs:label "</script><img src=x onerror=alert(1)>"@fr ; rdfs:seeAlso <javascript:alert(1)> , <data:text/html,x> ;
  rdfs:comment "photo{RTL}gpj.exe" , "<b>gras</b>"@x-b , "nul\\u0001 \\u0085" ; dct:description "{"y" * 1_000_000}" ;
  dct:date "never"^^<urn:x-"quote> .
""".replace('<urn:x-"quote>', "<urn:x-type>")

MANY_LINKS = "\n".join(f"<id/link/{n:03}> dct:isPartOf <id/hostile/1> ; rdfs:label 'Lien {n}' ." for n in range(MANY))

ONTOLOGY = """
<def/co> a owl:Ontology ; rdfs:label "Vocabulaire d'essai"@fr , "Test vocabulary"@en .
co:indicator a owl:ObjectProperty ; rdfs:isDefinedBy <def/co> ; rdfs:label "indicateur"@fr , "indicator"@en ;
  skos:definition "Ce que le chiffre mesure."@fr , "What the figure measures."@en .
co:Tree a owl:Class ; rdfs:isDefinedBy <def/co> ; rdfs:label "Arbre"@fr , "Tree"@en .
"""
CODES = """
<id/code/indicator/population> a skos:Concept ; skos:inScheme <id/code/indicator> ;
  skos:prefLabel "Population"@fr , "Population"@en .
"""
SECRET = '<id/secret/1> a gtfs:Stop ; rdfs:label "Ne pas montrer" ; dct:spatial <id/stop/1001> .'
SCENARIO = '<id/stop/1001> gtfs:code "9999" . <id/scenario/2030> a co:Scenario ; rdfs:label "Et si"@fr .'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def make_city(root: Path) -> Territory:
    """Write a territory folder and publish its graphs."""
    write(root / "territory.toml", TOML)
    write(root / "queries" / "competency" / "stops.rq", QUERY)
    pages = root / "queries" / "pages"
    for name, text in (("home/1", HOME), ("territory/1", PLACES), ("commune/1", COMMUNE), ("commune/2", STOPS_THERE)):
        write(pages / f"{name}.rq", text)
    example = f'example = "{BASE}id/stop/1001"'
    illustration = 'illustration = { fr = "Chiffres inventés.", en = "Invented figures." }'
    for key, licence, further in (
        ("stops", "etalab-2.0", example),
        ("figures", "ODbL-1.0", illustration),
        ("secret", "etalab-2.0", 'access = "RESTRICTED"'),
        ("planned", "etalab-2.0", ""),
    ):
        values = {"fr": f"Jeu {key}", "en": f"Dataset {key}", "licence": licence, "further": further}
        write(root / "mappings" / "ville" / key / "dataset.toml", DATASET.format(**values))
    territory = load_territory(root)
    publish(territory, STOPS)
    return territory


def publish(territory: Territory, stops: str) -> None:
    """Publish the city with these stops."""
    graph = territory.iris.graph
    contents = [
        (GraphInfo(graph=graph("ontology"), role="ontology"), ONTOLOGY),
        (GraphInfo(graph=graph("codelist", "indicator"), role="codelist"), CODES),
        (GraphInfo(graph=graph("data", "ville", "stops"), role="data", dataset="ville/stops", version="1-aaaa"), stops),
        (
            GraphInfo(graph=graph("data", "ville", "figures"), role="data", dataset="ville/figures", version="1-bbbb"),
            HOSTILE + MANY_LINKS,
        ),
        (
            GraphInfo(
                graph=graph("data", "ville", "secret"),
                role="data",
                dataset="ville/secret",
                version="1",
                access=Access.RESTRICTED,
            ),
            SECRET,
        ),
        (GraphInfo(graph=graph("scenario", "2030"), role="scenario"), SCENARIO),
    ]
    folder = territory.root / "nt"
    folder.mkdir(exist_ok=True)
    changes = []
    for number, (info, text) in enumerate(contents):
        triples = [quad.triple for quad in ox.parse(PREFIXES + text, format=ox.RdfFormat.TURTLE)]
        file = folder / f"{number}.nt"
        file.write_bytes(ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES))
        changes.append(GraphChange(info=info, content=file))
    record = dcat.catalog(territory, [change.info for change in changes], {})
    changes.append(
        GraphChange(info=GraphInfo(graph=graph("catalog"), role="catalog"), content=record.write(folder / "catalog.nt"))
    )
    with open_store(
        territory.state / "store", territory.limits, keep=territory.keep_generations, base_iri=territory.base_iri
    ) as store:
        store.publish(changes)


@contextmanager
def _serving(app, **settings):
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", **settings))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        ends = time.monotonic() + 10
        while not server.started and time.monotonic() < ends:
            time.sleep(0.02)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def serving():
    """Serve an application with uvicorn: `with serving(app) as port`."""
    return _serving


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Territory:
    """Return the tiny city, published once for all tests that only read."""
    return make_city(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="session")
def client(city: Territory):
    """Serve the city, soon from memory; redirects are not followed."""
    with TestClient(create_app(replace(city, resident="always")), follow_redirects=False) as client:
        deadline = time.monotonic() + 10
        while client.app.service.snapshot.statistics is None and time.monotonic() < deadline:
            time.sleep(0.01)
        yield client


@pytest.fixture(name="make_city", scope="session")
def _make_city():
    """Return the function that makes a city of a test's own."""
    return make_city


@pytest.fixture(name="publish_stops", scope="session")
def _publish_stops():
    """Return the function that publishes other stops."""
    return publish
