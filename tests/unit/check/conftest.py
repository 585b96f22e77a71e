"""A tiny dataset without any finding, that tests then spoil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cityorchestra_ld.check import Finding, Vocabulary, load_vocabulary
from cityorchestra_ld.check.dataset import check_dataset
from cityorchestra_ld.territory import load_territory

BASE = "https://ld.cityorchestra.example/"
FILES = {
    "territory.toml": """
base_iri = "https://ld.cityorchestra.example/"
name = { fr = "Essai", en = "Test" }
[partners.p]
name = "P"
""",
    "mappings/p/d/dataset.toml": """
title = { fr = "Arrêts", en = "Stops" }
description = { fr = "Arrêts", en = "Stops" }
publisher = "p"
licence = "etalab-2.0"
attribution = "P"
policy = "open-etalab"
[[source]]
name = "stops.csv"
path = "stops.csv"
forbidden = ["num_pdl"]
column = [
  { name = "stop_id", kind = "code", pattern = "[0-9]{4}" },
  { name = "stop_name" },
]
[[source]]
name = "agencies.csv"
path = "agencies.csv"
""",
    "mappings/p/d/mapping.yml": """
prefixes:
  stop: https://ld.cityorchestra.example/id/stop/p/
  org: https://ld.cityorchestra.example/id/org/
  code: https://ld.cityorchestra.example/id/code/
  unit: http://qudt.org/vocab/unit/
  co: https://ld.cityorchestra.example/def/co#
  dct: http://purl.org/dc/terms/
  foaf: http://xmlns.com/foaf/0.1/
  geo: http://www.opengis.net/ont/geosparql#
  gtfs: http://vocab.gtfs.org/terms#
  qudt: http://qudt.org/schema/qudt/
  rdfs: http://www.w3.org/2000/01/rdf-schema#
  skos: http://www.w3.org/2004/02/skos/core#
  sosa: http://www.w3.org/ns/sosa/
  xsd: http://www.w3.org/2001/XMLSchema#
  fn: https://ld.cityorchestra.example/def/fn#
sources:
  stops: ["stops.csv~csv"]
  agencies: ["agencies.csv~csv"]
mappings:
  stop:
    sources: stops
    subject: stop:$(stop_id)
    predicateobjects:
      - [a, [gtfs:Stop, geo:Feature]]
      - [rdfs:label, $(stop_name), fr~lang]
      - [gtfs:code, $(stop_id)]
      - [dct:relation, org:$(agency)~iri]
      - [co:capacity, $(places), xsd:integer]
      - [co:energyCarrier, code:energy-carrier/electricity~iri]
      - [qudt:hasUnit, unit:NUM~iri]
      - [geo:hasGeometry, stop:$(stop_id)/geometry~iri]
      - p: dct:isPartOf
        o:
          mapping: agency
          condition:
            function: equal
            parameters: [[str1, $(agency), s], [str2, $(agency_id), o]]
  geometry:
    sources: stops
    subject: stop:$(stop_id)/geometry
    predicateobjects:
      - [a, geo:Geometry]
      - p: geo:asWKT
        o: [{ function: fn:point, parameters: [[fn:lon, $(lon)], [fn:lat, $(lat)]], datatype: geo:wktLiteral }]
  agency:
    sources: agencies
    subject: org:$(agency_id)
    predicateobjects:
      - [a, gtfs:Agency]
      - [foaf:name, $(agency_name)]
""",
    "shapes/p/d.ttl": """
@prefix csh: <https://ld.cityorchestra.example/def/shapes#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix co: <https://ld.cityorchestra.example/def/co#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix geo: <http://www.opengis.net/ont/geosparql#> .
@prefix gtfs: <http://vocab.gtfs.org/terms#> .
@prefix qudt: <http://qudt.org/schema/qudt/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix unit: <http://qudt.org/vocab/unit/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
csh:Stop a sh:NodeShape ; sh:targetClass gtfs:Stop ;
  sh:pattern "/stop/p/[0-9]{4}$" ;
  sh:property csh:Stop-label, csh:Stop-code, csh:Stop-agency, csh:Stop-places, csh:Stop-unit, csh:Stop-point ;
  sh:or ( [ sh:property [ sh:path co:capacity ; sh:minCount 1 ] ] [ sh:property [ sh:path rdfs:comment ; sh:minCount 1 ] ] ) .
csh:Stop-label a sh:PropertyShape ; sh:path rdfs:label ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype rdf:langString .
csh:Stop-code a sh:PropertyShape ; sh:path gtfs:code ; sh:minCount 1 ; sh:maxCount 1 ;
  sh:datatype xsd:string ; sh:pattern "^[0-9]{4}$" .
csh:Stop-agency a sh:PropertyShape ; sh:path dct:relation ; sh:minCount 1 ; sh:class gtfs:Agency .
csh:Stop-places a sh:PropertyShape ; sh:path co:capacity ; sh:maxCount 1 ; sh:datatype xsd:integer ; sh:minInclusive 0 .
csh:Stop-unit a sh:PropertyShape ; sh:path qudt:hasUnit ; sh:maxCount 1 ; sh:in ( unit:NUM unit:PERCENT ) .
csh:Stop-point a sh:PropertyShape ; sh:path ( geo:hasGeometry geo:asWKT ) ; sh:minCount 1 ; sh:datatype geo:wktLiteral .
csh:Agency a sh:NodeShape ; sh:targetClass gtfs:Agency ; sh:nodeKind sh:IRI ;
  sh:closed true ; sh:ignoredProperties ( rdf:type ) ;
  sh:property [ sh:path foaf:name ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:Literal ] .
""",
    "stops.csv": "stop_id,stop_name,agency,places,lon,lat,num_pdl,email\n1002,Bouzat,1,3,-1.6,48.1,12345678901234,a@b.fr\n",
    "agencies.csv": "agency_id,agency_name\n1,STAR\n",
}
Spoil = Callable[..., tuple[Finding, ...]]


@pytest.fixture(scope="session")
def vocabulary(root: Path) -> Vocabulary:
    """Read the reference ontology once."""
    return load_vocabulary([root / "ontology"], BASE)


@pytest.fixture
def spoiled(tmp_path: Path, root: Path, vocabulary: Vocabulary) -> Spoil:
    """Return a function that writes the dataset with replacements (file, old, new) and checks it."""

    def check(*changes: tuple[str, str, str]) -> tuple[Finding, ...]:
        files = dict(FILES)
        for name, old, new in changes:
            path = next(path for path in files if path.endswith(name))
            assert old in files[path], f"{old!r} is not in {path}"
            files[path] = files[path].replace(old, new)
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        if not (tmp_path / "ontology").exists():
            (tmp_path / "ontology").symlink_to(root / "ontology")
        return check_dataset(load_territory(tmp_path), "p/d", ontology=vocabulary)

    return check
