"""Tell what is known of a thing in the words of schema.org, for search engines and for pages."""

from __future__ import annotations

from typing import Any, Final

import orjson
import pyoxigraph as ox

from cityorchestra_ld.namespaces import DCAT, DCT, GEO, OWL, RDF, REUSED, SKOS
from cityorchestra_ld.web.addresses import is_web
from cityorchestra_ld.web.describe import Description, is_part
from cityorchestra_ld.web.labels import LABEL_IRIS
from cityorchestra_ld.web.located import geometry_of
from cityorchestra_ld.web.snapshot import Snapshot

Json = dict[str, Any]  # the JSON document itself
Facts = dict[str, list[Any]]

_R: Final = REUSED
_CLASSES: Final[tuple[tuple[str, str], ...]] = (  # the first that fits
    (f"{DCAT}Dataset", "Dataset"),
    (f"{DCAT}Catalog", "DataCatalog"),
    (f"{DCAT}DataService", "WebAPI"),
    (f"{DCAT}Distribution", "DataDownload"),
    (f"{_R['gtfs']}Stop", "BusStop"),
    (f"{_R['gtfs']}Route", "BusTrip"),
    (f"{_R['qb']}Observation", "Observation"),
    (f"{_R['sosa']}Observation", "Observation"),
    (f"{SKOS}ConceptScheme", "DefinedTermSet"),
    (f"{SKOS}Concept", "DefinedTerm"),
    (f"{_R['org']}FormalOrganization", "Organization"),
    (f"{_R['foaf']}Agent", "Organization"),
    (f"{_R['foaf']}Document", "DigitalDocument"),
    (f"{_R['schema']}MonetaryGrant", "MonetaryGrant"),
    (f"{_R['igeo']}Commune", "AdministrativeArea"),
    (f"{_R['igeo']}Intercommunalite", "AdministrativeArea"),
    (f"{_R['igeo']}Departement", "AdministrativeArea"),
    (f"{_R['igeo']}Region", "AdministrativeArea"),
    (f"{_R['igeo']}Iris", "AdministrativeArea"),
    (f"{_R['prov']}Activity", "Action"),
    (f"{GEO}Feature", "Place"),
)
_TEXTS: Final = {
    f"{DCT}description": "description", f"{_R['rdfs']}comment": "description", f"{SKOS}definition": "description",
    f"{SKOS}altLabel": "alternateName",
}  # fmt: skip
_VALUES: Final = {
    f"{DCT}identifier": "identifier", f"{_R['igeo']}codeINSEE": "identifier", f"{SKOS}notation": "termCode",
    f"{DCT}issued": "datePublished", f"{DCT}modified": "dateModified", f"{DCT}created": "dateCreated",
    f"{DCAT}version": "version", f"{_R['owl']}versionInfo": "version", f"{DCAT}keyword": "keywords",
    f"{_R['sm']}obsValue": "value", f"{_R['sosa']}hasSimpleResult": "value", f"{_R['sd']}refPeriod": "observationDate",
    f"{_R['sosa']}resultTime": "observationDate",
}  # fmt: skip
_LINKS: Final = {
    f"{OWL}sameAs": "sameAs", f"{SKOS}exactMatch": "sameAs", f"{SKOS}inScheme": "inDefinedTermSet",
    f"{DCT}license": "license", f"{DCT}publisher": "publisher", f"{DCT}creator": "creator",
    f"{_R['foaf']}homepage": "url", f"{DCAT}landingPage": "url", f"{DCAT}accessURL": "contentUrl",
    f"{DCAT}downloadURL": "contentUrl", f"{_R['igeo']}subdivisionDe": "containedInPlace",
    f"{_R['sd']}refArea": "observationAbout", f"{_R['sosa']}hasFeatureOfInterest": "observationAbout",
    f"{_R['sosa']}observedProperty": "measuredProperty", f"{_R['sa']}unitMeasure": "unitCode",
    f"{DCT}isPartOf": "isPartOf",
}  # fmt: skip
_PLACES: Final = {"Dataset": "spatialCoverage"}
_SHAPES: Final = {"LineString": "line", "Polygon": "polygon"}


def schema_org(snapshot: Snapshot, iri: str) -> bytes:
    """Write a thing as schema.org JSON-LD that is safe inside a script element; names keep their languages."""
    return write(snapshot.describe(iri), snapshot)


def write(told: Description, snapshot: Snapshot) -> bytes:
    """Write a description that was collected already."""
    document: Json = {"@context": "https://schema.org", **_thing(told.iri, told, snapshot, set())}
    # `<` never stands in the text, so that no literal can close the element or open a comment
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).replace(b"<", b"\\u003c")


def _thing(iri: str, told: Description, snapshot: Snapshot, seen: set[str]) -> Json:
    facts = _facts(iri, told)
    seen.add(iri)
    kinds = {value.value for value in facts.get(f"{RDF}type", ())}
    kind = next((name for known, name in _CLASSES if known in kinds), "Thing")
    found: Json = {"@id": iri, "@type": kind}
    _words(found, facts, snapshot)
    _links(found, facts, snapshot)
    if further := sorted(item for item in kinds if is_web(item) and "schema.org" not in item):
        found["additionalType"] = _one(further)
    places = [value for value in facts.get(f"{DCT}spatial", ()) if isinstance(value, ox.NamedNode)]
    if places:
        found[_PLACES.get(kind, "containedInPlace")] = _one([_reference(place.value, snapshot) for place in places])
    shape = geometry_of(told) if iri == told.iri else None
    if shape is not None:
        found |= _geometry(shape)
    parts = [v for v in facts.get(f"{DCAT}distribution", ()) if is_part(v, f"{DCAT}distribution", iri) and v.value not in seen]
    if parts:
        found["distribution"] = _one([_thing(v.value, told, snapshot, seen) for v in parts])
    return found


def _facts(iri: str, told: Description) -> Facts:
    facts: dict[str, dict[Any, None]] = {}
    for quad in told.quads:
        if isinstance(quad.subject, ox.NamedNode) and quad.subject.value == iri and not isinstance(quad.object, ox.Triple):
            facts.setdefault(quad.predicate.value, {})[quad.object] = None
    return {predicate: list(values) for predicate, values in facts.items()}


def _words(found: Json, facts: Facts, snapshot: Snapshot) -> None:
    """Add names, descriptions, codes, dates and figures."""
    names = [v for predicate in sorted(LABEL_IRIS) for v in facts.get(predicate, ()) if isinstance(v, ox.Literal)]
    if names:
        found["name"] = _texts(list(dict.fromkeys(names)))
    elif (label := snapshot.labels.observed(found["@id"], "fr")) is not None:
        found["name"] = label
    for table, write_values in ((_TEXTS, _texts), (_VALUES, _scalars)):
        for predicate, name in table.items():
            literals = [value for value in facts.get(predicate, ()) if isinstance(value, ox.Literal)]
            if literals and name not in found:
                found[name] = write_values(literals)


def _links(found: Json, facts: Facts, snapshot: Snapshot) -> None:
    for predicate, name in _LINKS.items():
        targets = [value.value for value in facts.get(predicate, ()) if isinstance(value, ox.NamedNode) and is_web(value.value)]
        if not targets or name in found:
            continue
        plain = name in ("sameAs", "license", "url", "contentUrl", "unitCode", "inDefinedTermSet")
        found[name] = _one([target if plain else _reference(target, snapshot) for target in targets])


def _reference(iri: str, snapshot: Snapshot) -> Json:
    label = snapshot.labels.stored(iri, "fr")
    return {"@id": iri} | ({"name": label.value} if label is not None else {})


def _one(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _texts(literals: list[Any]) -> Any:
    return _one([{"@value": item.value, "@language": item.language} if item.language else item.value for item in literals])


def _scalars(literals: list[Any]) -> Any:
    found: list[Any] = []
    for literal in literals:
        datatype = literal.datatype.value.rpartition("#")[2]
        try:
            number = (
                int(literal.value)
                if datatype == "integer"
                else float(literal.value)
                if datatype in ("decimal", "double")
                else None
            )
        except ValueError:
            number = None
        found.append(literal.value if number is None else number)
    return _one(found)


def _geometry(shape: Json) -> Json:
    """Write a point as coordinates, a line or an outline as a shape; latitude comes first in schema.org."""
    coordinates = shape.get("coordinates")
    if shape["type"] == "Point" and isinstance(coordinates, list):
        return {"geo": {"@type": "GeoCoordinates", "latitude": coordinates[1], "longitude": coordinates[0]}}
    name = _SHAPES.get(shape["type"])
    if name is None or not isinstance(coordinates, list):
        return {}
    line = coordinates[0] if name == "polygon" else coordinates
    return {"geo": {"@type": "GeoShape", name: " ".join(f"{position[1]} {position[0]}" for position in line)}}
