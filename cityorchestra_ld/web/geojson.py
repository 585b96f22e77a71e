"""Turn a SPARQL result with geometries into GeoJSON: one feature for each row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import orjson

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.namespaces import GEO, XSD
from cityorchestra_ld.wkt import Geometry, WktError, read_wkt

MOST_FEATURES: Final = 200_000
_WKT: Final = GEO + "wktLiteral"
_GEOJSON: Final = GEO + "geoJSONLiteral"
_TYPED: Final = re.compile(r'"\^\^<([^<>"]*)>$')
_TAGGED: Final = re.compile(r'"@[A-Za-z0-9-]+$')
_NUMBER: Final = re.compile(r"[+-]?(?:\d+|\d*\.\d+)")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANT: Final = {"t": "\t", "n": "\n", "r": "\r"}
_NUMERIC: Final = frozenset((XSD + "double", XSD + "float", XSD + "decimal", XSD + "int", XSD + "long"))
Value = str | int | float | bool | None


def write_features(spool: Path, target: Path) -> None:
    """
    Read a result that was spooled as TSV and write a FeatureCollection (RFC 7946, section 3.3).

    The first geometry of a row becomes the geometry of its feature, all else its properties. Raises UsageError when no row has
    a geometry, or one is not in longitude and latitude.
    """
    with spool.open("rb") as lines, target.open("wb") as out:
        names = [name.lstrip("?") for name in lines.readline().decode().rstrip("\n").split("\t")][:-1]
        out.write(b'{"type":"FeatureCollection","features":[')
        located = rows = 0
        for line in lines:
            cells = line.decode().rstrip("\n").split("\t")[:-1]
            geometry, properties = _row(names, cells, rows + 1)
            located += geometry is not None
            feature = {"type": "Feature", "geometry": geometry, "properties": properties}
            out.write((b",\n" if rows else b"\n") + orjson.dumps(feature))
            rows += 1
        if rows and not located:
            raise UsageError(
                Text("Aucune ligne n'a de géométrie.", "No row has a geometry."),
                hint=Text("Sélectionnez une valeur de geo:asWKT.", "Select a value of geo:asWKT."),
            )
        ending = b'\n],"truncated":true}\n' if rows >= MOST_FEATURES else b"\n]}\n"
        out.write(ending)


def _row(names: list[str], cells: list[str], number: int) -> tuple[Geometry | None, dict[str, Value]]:
    geometry: Geometry | None = None
    properties: dict[str, Value] = {}
    for name, cell in zip(names, cells, strict=False):
        text, datatype = read_term(cell)
        if text is not None and datatype in (_WKT, _GEOJSON) and geometry is None:
            geometry = _geometry(text, datatype, Place(row=number, column=name, value=text[:80]))
        elif cell:
            properties[name] = _value(cell, text or "", datatype)
    return geometry, properties


def _geometry(text: str, datatype: str | None, place: Place) -> Geometry | None:
    try:
        if datatype == _GEOJSON:
            loaded = orjson.loads(text)
            return loaded if isinstance(loaded, dict) else None
        return read_wkt(text)
    except (WktError, orjson.JSONDecodeError) as error:
        raise UsageError(
            Text(f"Cette géométrie ne va pas en GeoJSON : {error}.", f"This geometry cannot be GeoJSON: {error}."),
            place=place,
            hint=Text("GeoJSON veut longitude et latitude (CRS84).", "GeoJSON wants longitude and latitude (CRS84)."),
        ) from None


def _value(cell: str, text: str, datatype: str | None) -> Value:
    if cell in ("true", "false"):
        return cell == "true"
    if cell[0] not in '"<_' and _NUMBER.fullmatch(cell):
        return int(cell) if cell.lstrip("+-").isdecimal() and len(cell) < 16 else float(cell)
    if datatype in _NUMERIC:
        try:
            number = float(text)
        except ValueError:
            return text
        return number if number - number == 0 else text  # NaN and INF have no form in JSON
    return text


def read_term(cell: str) -> tuple[str | None, str | None]:
    """
    Read one cell of SPARQL 1.1 TSV results: its text and its datatype, if it says one.

    >>> read_term('"a\\\\tb"^^<urn:x>')
    ('a\\tb', 'urn:x')
    """
    if not cell:
        return None, None
    if cell[0] == "<":
        return cell[1:-1], None
    if cell[0] != '"':
        return cell, None
    match = _TYPED.search(cell) or _TAGGED.search(cell)
    inner = cell[1 : match.start()] if match else cell[1:-1]
    if "\\" in inner:
        inner = _ESCAPE.sub(lambda found: _MEANT.get(found.group(1), found.group(1)), inner)
    return inner, match.group(1) if match and match.re is _TYPED else None
