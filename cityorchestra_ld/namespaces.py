"""Prefixes of the vocabularies that we reuse, and of our own terms for a given base IRI."""

from __future__ import annotations

from typing import Final

DEFAULT_BASE: Final = "https://ld.cityorchestra.example/"
FN: Final = "https://ld.cityorchestra.example/def/fn#"  # our mapping functions belong to the software, not to a territory

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
OWL: Final = "http://www.w3.org/2002/07/owl#"
SH: Final = "http://www.w3.org/ns/shacl#"
DCT: Final = "http://purl.org/dc/terms/"
DCAT: Final = "http://www.w3.org/ns/dcat#"
FOAF: Final = "http://xmlns.com/foaf/0.1/"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
PROV: Final = "http://www.w3.org/ns/prov#"
ODRL: Final = "http://www.w3.org/ns/odrl/2/"
DQV: Final = "http://www.w3.org/ns/dqv#"
GEO: Final = "http://www.opengis.net/ont/geosparql#"
RML: Final = "http://w3id.org/rml/"

REUSED: Final[dict[str, str]] = {
    "adms": "http://www.w3.org/ns/adms#",
    "ar": "http://publications.europa.eu/resource/authority/access-right/",
    "cc": "http://creativecommons.org/ns#",
    "com": "http://id.insee.fr/geo/commune/",
    "cpsv": "http://purl.org/vocab/cpsv#",
    "dcat": DCAT,
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": DCT,
    "dep": "http://id.insee.fr/geo/departement/",
    "dpv": "https://w3id.org/dpv#",
    "dqv": DQV,
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": FOAF,
    "geo": GEO,
    "geof": "http://www.opengis.net/def/function/geosparql/",
    "gtfs": "http://vocab.gtfs.org/terms#",
    "igeo": "http://rdf.insee.fr/def/geo#",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "ldes": "https://w3id.org/ldes#",
    "locn": "http://www.w3.org/ns/locn#",
    "m8g": "http://data.europa.eu/m8g/",
    "mobilitydcatap": "https://w3id.org/mobilitydcat-ap#",
    "odrl": ODRL,
    "org": "http://www.w3.org/ns/org#",
    "owl": OWL,
    "prov": PROV,
    "qb": "http://purl.org/linked-data/cube#",
    "qudt": "http://qudt.org/schema/qudt/",
    "rdf": RDF,
    "rdfs": RDFS,
    "reg": "http://id.insee.fr/geo/region/",
    "sa": "http://purl.org/linked-data/sdmx/2009/attribute#",
    "sc": "http://purl.org/linked-data/sdmx/2009/code#",
    "schema": "https://schema.org/",
    "sd": "http://purl.org/linked-data/sdmx/2009/dimension#",
    "sh": SH,
    "skos": SKOS,
    "sm": "http://purl.org/linked-data/sdmx/2009/measure#",
    "sosa": "http://www.w3.org/ns/sosa/",
    "spdx": "http://spdx.org/rdf/terms#",
    "time": "http://www.w3.org/2006/time#",
    "tree": "https://w3id.org/tree#",
    "unit": "http://qudt.org/vocab/unit/",
    "uom": "http://www.opengis.net/def/uom/OGC/1.0/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "void": "http://rdfs.org/ns/void#",
    "wgs": "http://www.w3.org/2003/01/geo/wgs84_pos#",
    "xsd": XSD,
}


def prefixes(base: str = DEFAULT_BASE) -> dict[str, str]:
    """Return every prefix for a territory: the reused vocabularies, and ours under `base`."""
    return REUSED | {
        "co": f"{base}def/co#",
        "csh": f"{base}def/shapes#",
        "id": f"{base}id/",
        "code": f"{base}id/code/",
        "g": f"{base}graph/",
        "fn": FN,
    }
