"""Write the rows of a query API: plain JSON objects, CSV, GeoJSON, or the SPARQL results format."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import orjson

from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.wkt import read_known

_INTEGERS: Final = frozenset(
    XSD + name for name in ("integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger")
)
_NUMBERS: Final = frozenset(XSD + name for name in ("decimal", "double", "float"))
Value = str | int | float | bool | None


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """One RDF term of a result (SPARQL 1.1 Query Results JSON Format, section 3.2.2)."""

    type: str
    value: str
    datatype: str = ""
    lang: str = msgspec.field(default="", name="xml:lang")

    @property
    def plain(self) -> Value:
        """Return the value as JSON knows it; a number that JSON does not know stays text."""
        if self.datatype in _INTEGERS:
            return int(self.value)
        if self.datatype in _NUMBERS:
            try:
                number = float(self.value)
            except ValueError:
                return self.value
            return number if abs(number) < float("inf") else self.value
        if self.datatype == f"{XSD}boolean":
            return self.value in ("true", "1")
        return self.value


class _Head(msgspec.Struct, frozen=True):
    vars: list[str] = []


class _Bindings(msgspec.Struct, frozen=True):
    bindings: list[dict[str, Cell]] = []


class _Document(msgspec.Struct, frozen=True):
    head: _Head
    results: _Bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One page of rows, and where it stands among all of them."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Cell]]
    more: bool

    @classmethod
    def read(cls, body: bytes, limit: int) -> Rows:
        """Read a result that was asked for one row more than the page holds."""
        document = msgspec.json.decode(body, type=_Document)
        found = document.results.bindings
        return cls(columns=document.head.vars, rows=found[:limit], more=len(found) > limit)


def write_objects(rows: Rows, about: Mapping[str, object]) -> bytes:
    """Write a JSON object with the rows as `items`; what is not bound is null."""
    items = [{name: row[name].plain if name in row else None for name in rows.columns} for row in rows.rows]
    return orjson.dumps({**about, "items": items}, option=orjson.OPT_INDENT_2)


def write_csv(rows: Rows) -> bytes:
    """Write the SPARQL 1.1 Query Results CSV Format."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(rows.columns)
    writer.writerows([row[name].value if name in row else "" for name in rows.columns] for row in rows.rows)
    return out.getvalue().encode()


def write_results(rows: Rows) -> bytes:
    """Write the SPARQL 1.1 Query Results JSON Format."""
    return msgspec.json.encode(_Document(_Head(list(rows.columns)), _Bindings([dict(row) for row in rows.rows])))


def write_features(rows: Rows, geometry: str, links: Sequence[Mapping[str, str]]) -> bytes:
    """Write a feature for each row (RFC 7946, section 3.3); a row without a geometry keeps its properties."""
    features = []
    for row in rows.rows:
        shape = row.get(geometry)
        iri = next((row[name].value for name in rows.columns if name in row and row[name].type == "uri"), None)
        properties = {name: row[name].plain if name in row else None for name in rows.columns if name != geometry}
        feature = {"type": "Feature", "geometry": read_known(shape.value) if shape else None, "properties": properties}
        features.append(feature | ({"id": iri} if iri else {}))
    return orjson.dumps(
        {"type": "FeatureCollection", "numberReturned": len(features), "links": list(links), "features": features}
    )
