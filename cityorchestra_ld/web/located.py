"""Tell what is known of a thing as a GeoJSON feature (RFC 7946) and as an NGSI-LD entity (ETSI GS CIM 009, section 4.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson
import pyoxigraph as ox

from cityorchestra_ld.namespaces import GEO, RDF, XSD
from cityorchestra_ld.web.describe import Description, Match
from cityorchestra_ld.web.framing import Context
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.labels import Labels, best
from cityorchestra_ld.wkt import read_known

Json = dict[str, Any]  # the JSON document itself

_WKT: Final = f"{GEO}asWKT"
_SHAPES: Final = tuple(f"{GEO}{name}" for name in ("hasDefaultGeometry", "hasGeometry", "hasCentroid"))
LOCATING: Final = frozenset((*_SHAPES, _WKT))  # properties of what has a geometry of its own
_LOCATING: Final = tuple(ox.NamedNode(name) for name in (*_SHAPES, _WKT))
_CORE: Final = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"
_INTEGER: Final = f"{XSD}integer"
_NUMBERS: Final = frozenset((f"{XSD}decimal", f"{XSD}double", f"{XSD}float"))
_TEMPORAL: Final = {f"{XSD}dateTime": "DateTime", f"{XSD}date": "Date", f"{XSD}time": "Time"}


def is_located(match: Match, iri: str) -> bool:
    """Tell whether a thing has a geometry of its own."""
    node = ox.NamedNode(iri)
    return any(next(match(node, predicate, None), None) for predicate in _LOCATING)


def geometry_of(told: Description) -> Json | None:
    """Return the geometry of a thing, the default one when there are several; `None` when it has none that can be read."""
    own = [quad for quad in told.own if quad.predicate.value in (*_SHAPES, _WKT)]
    for name in (*_SHAPES, _WKT):
        for quad in own:
            if quad.predicate.value != name:
                continue
            texts = [quad.object] if name == _WKT else _written(told.quads, quad.object)
            for text in texts:
                shape = read_known(text.value) if isinstance(text, ox.Literal) else None
                if shape is not None:
                    return shape
    return None


def _written(quads: Iterable[ox.Quad], node: Any) -> list[Any]:
    return [quad.object for quad in quads if quad.subject == node and quad.predicate.value == _WKT]


def _plain(literal: ox.Literal) -> str | int | float | bool:
    datatype, text = literal.datatype.value, literal.value
    if datatype == f"{XSD}boolean":
        return text in ("true", "1")
    try:
        if datatype == _INTEGER:
            return int(text)
        if datatype in _NUMBERS and abs(float(text)) < float("inf"):
            return float(text)
    except ValueError:
        pass
    return text


def feature(told: Description, labels: Labels, lang: Language, context: Context) -> bytes:
    """Write a thing as a feature: its name in one language, then its properties under the short names of our context."""
    properties: Json = {"name": labels.of(told.iri, lang)}
    facts = _own(told)
    for predicate, values in facts.items():
        if predicate in _SHAPES:
            continue
        name = "type" if predicate == f"{RDF}type" else context.compact(predicate)
        texts = [value for value in values if isinstance(value, ox.Literal) and value.language]
        chosen = best(texts, lang)
        plain: list[object] = [chosen.value] if chosen else []
        plain += [_plain(v) if isinstance(v, ox.Literal) else v.value for v in values if v not in texts]
        properties[name] = plain[0] if len(plain) == 1 else plain
    document = {"type": "Feature", "id": told.iri, "geometry": geometry_of(told), "properties": properties}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _own(told: Description) -> dict[str, list[Any]]:
    facts: dict[str, dict[Any, None]] = {}
    for quad in told.own:
        if not isinstance(quad.object, ox.Triple):
            facts.setdefault(quad.predicate.value, {})[quad.object] = None
    return {predicate: list(values) for predicate, values in sorted(facts.items())}


def entity(told: Description, context: Context) -> bytes:
    """Write a thing as an entity: properties, relationships, texts by language, and a location."""
    document: Json = {"id": told.iri}
    used: set[str] = set()
    for predicate, values in _own(told).items():
        if predicate == f"{RDF}type":
            kinds = [_short(value.value, context, used) for value in values]
            document["type"] = kinds[0] if len(kinds) == 1 else kinds
        elif predicate not in _SHAPES:
            attributes = _attributes(values)
            document[_short(predicate, context, used)] = attributes[0] if len(attributes) == 1 else attributes
    document.setdefault("type", "Thing")
    location = geometry_of(told)
    if location is not None:
        document["location"] = {"type": "GeoProperty", "value": location}
    document["@context"] = [{prefix: context.prefixes[prefix] for prefix in sorted(used)}, _CORE]
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _short(iri: str, context: Context, used: set[str]) -> str:
    name = context.compact(iri, vocabulary=False)
    if name != iri:
        used.add(name.partition(":")[0])
    return name


def _attributes(values: list[Any]) -> list[Json]:
    """Make the attributes of one name; several of a kind are told apart by a dataset id (section 4.5.5)."""
    texts: dict[str, list[str]] = {}
    found: list[Json] = []
    for value in values:
        if not isinstance(value, ox.Literal):
            found.append({"type": "Relationship", "object": value.value})
        elif value.language:
            texts.setdefault(value.language, []).append(value.value)
        elif value.datatype.value in _TEMPORAL:
            found.append({"type": "Property", "value": {"@type": _TEMPORAL[value.datatype.value], "@value": value.value}})
        else:
            found.append({"type": "Property", "value": _plain(value)})
    if texts:
        languages = {language: told[0] if len(told) == 1 else told for language, told in texts.items()}
        found.append({"type": "LanguageProperty", "languageMap": languages})
    return [item | ({"datasetId": f"urn:ngsi-ld:Dataset:{number}"} if number else {}) for number, item in enumerate(found)]
