"""Functions that read what partners write: hidden cells, decimal commas, dates and instants, coordinates and geometries."""

from __future__ import annotations

from typing import Final

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.functions import Parameter, function
from cityorchestra_ld.mapping.sql import text
from cityorchestra_ld.namespaces import GEO, XSD

SC: Final = "http://purl.org/linked-data/sdmx/2009/code#"
_VALUE: Final = Parameter("value")

_SPACES = r"[\s\x{A0}\x{202F}\x{2007}\x{2009}\x{200A}]"
_PAIR = r"^\s*\[?\s*([-+]?[0-9]+(?:\.[0-9]+)?)\s*[,;\s]\s*([-+]?[0-9]+(?:\.[0-9]+)?)\s*(?:,[^\]]*)?\]?\s*$"
_NUMBER = r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
_INSTANT = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?"
    r"\s*(Z|UTC|[-+][0-9]{2}(?::?[0-9]{2})?)?)?$"
)

DATA_MACROS: Final = (
    rf"CREATE MACRO co_trim(x) AS regexp_replace(x, '^{_SPACES}+|{_SPACES}+$', '', 'g')",
    rf"CREATE MACRO co_compact(x) AS regexp_replace(x, '{_SPACES}', '', 'g')",
    r"CREATE MACRO co_hidden(x) AS regexp_full_match(co_trim(x), '(?i)|-|s|secret|ns|nd|so|nr|s/.*')",
    r"""CREATE MACRO co_plain(x) AS CASE WHEN regexp_matches(x, '[eE]')
        THEN co_decimal(try_cast(try_cast(x AS DOUBLE) AS DECIMAL(38, 18))::VARCHAR) ELSE co_decimal(x) END""",
    # an instant with hyphens, whatever order and separator the day was written in
    r"""CREATE MACRO co_day_first(x) AS regexp_replace(regexp_replace(co_trim(x),
        '^([0-9]{4})/([0-9]{2})/([0-9]{2})', '\1-\2-\3'), '^([0-9]{2})/([0-9]{2})/([0-9]{4})', '\3-\2-\1')""",
    r"""CREATE MACRO co_paris(t) AS try_cast(epoch(t) - epoch(timezone('Europe/Paris', t)) AS BIGINT)""",
    r"""CREATE MACRO co_offset(seconds) AS concat(CASE WHEN seconds < 0 THEN '-' ELSE '+' END,
        lpad((abs(seconds) // 3600)::VARCHAR, 2, '0'), ':', lpad(((abs(seconds) % 3600) // 60)::VARCHAR, 2, '0'))""",
    r"""CREATE MACRO co_zone(z, local) AS CASE WHEN z IN ('Z', 'UTC') THEN 'Z'
        WHEN z = '' THEN co_offset(co_paris(try_cast(local AS TIMESTAMP)))
        WHEN length(z) = 3 THEN concat(z, ':00') WHEN contains(z, ':') THEN z ELSE concat(z[:3], ':', z[4:]) END""",
    r"""CREATE MACRO co_instant_parts(day, clock, seconds, zone) AS concat(day, 'T', clock, seconds,
        co_zone(zone, concat(day, ' ', clock, seconds)))""",
    rf"""CREATE MACRO co_instant(x) AS co_instant_parts(
        regexp_extract(x, '{_INSTANT}', 1), coalesce(nullif(regexp_extract(x, '{_INSTANT}', 2), ''), '00:00'),
        coalesce(nullif(regexp_extract(x, '{_INSTANT}', 3), ''), ':00'), regexp_extract(x, '{_INSTANT}', 4))""",
    rf"""CREATE MACRO co_is_instant(x) AS regexp_matches(x, '{_INSTANT}')
        AND try_cast(replace(left(x, 19), 'T', ' ') AS TIMESTAMP) IS NOT NULL""",
    # coordinates of GeoJSON (RFC 7946) to the inside of WKT: pairs first, then brackets
    r"""CREATE MACRO co_wkt(c) AS replace(replace(replace(regexp_replace(replace(c, ' ', ''),
        '\[([-+0-9.eE]+),([-+0-9.eE]+)(?:,[-+0-9.eE]+)*\]', '\1 \2', 'g'), '[', '('), ']', ')'), ',', ', ')""",
    # nothing here may throw: the optimiser computes shared parts of a CASE before it chooses a branch
    r"""CREATE MACRO co_geometry_type(x) AS upper(json_extract_string(try_cast(x AS JSON), '$.type'))""",
    r"""CREATE MACRO co_coordinates(x) AS co_wkt(json_extract(try_cast(x AS JSON), '$.coordinates')::VARCHAR)""",
    r"""CREATE MACRO co_geometry(x) AS CASE WHEN co_geometry_type(x) = 'POINT' THEN concat('POINT(', co_coordinates(x), ')')
        ELSE concat(co_geometry_type(x), co_coordinates(x)) END""",
    r"""CREATE MACRO co_geometry_collection(x) AS CASE WHEN co_geometry_type(x) = 'GEOMETRYCOLLECTION'
        THEN concat('GEOMETRYCOLLECTION(', array_to_string(list_transform(json_extract(try_cast(x AS JSON), '$.geometries[*]'),
          lambda g: co_geometry(g::VARCHAR)), ', '), ')') ELSE co_geometry(x) END""",
)

# --- numbers and hidden cells -----------------------------------------------------------------------------------------------

_MARK: Final = Parameter("mark", "constant", default=".", aliases=("decimalMark",))


def _marked(value: str, mark: str) -> str:
    compact = f"co_compact({value})"
    return compact if mark == "." else f"replace({compact}, {text(mark)}, '.')"


def _is_decimal(value: str, mark: str = ".") -> str:
    point = f"NOT contains({value}, '.') AND " if mark != "." else ""
    return f"co_hidden({value}) OR ({point}regexp_full_match({_marked(value, mark)}, {text(_NUMBER)}))"


@function(
    "decimal", parameters=(_VALUE, _MARK), check=_is_decimal, datatype=XSD + "decimal",
    expects=Text("un nombre avec la marque décimale déclarée, ou un mot de secret (s, secret, nd, ns, so, NR, -)",
                 "a number with the declared decimal mark, or a word for hidden (s, secret, nd, ns, so, NR, -)"),
)  # fmt: skip
def _decimal(value: str, mark: str) -> str:
    """A number written with a declared decimal mark and spaces between thousands; nothing for the words that hide a value."""
    return f"CASE WHEN NOT co_hidden({value}) THEN co_plain({_marked(value, mark)}) END"


def _is_integer(value: str) -> str:
    return f"co_hidden({value}) OR regexp_full_match(co_compact({value}), '[-+]?[0-9]+(\\.0*)?')"


@function(
    "integer", parameters=(_VALUE,), check=_is_integer, datatype=XSD + "integer",
    expects=Text("un nombre entier, ou un mot de secret", "a whole number, or a word for hidden"),
)  # fmt: skip
def _integer(value: str) -> str:
    """A whole number, spaces between thousands allowed; nothing for the words that hide a value."""
    return f"CASE WHEN NOT co_hidden({value}) THEN co_integer(split_part(co_compact({value}), '.', 1)) END"


@function("confStatus", parameters=(_VALUE,), strict=False)
def _conf_status(value: str) -> str:
    """Whether a cell is confidential (SDMX): sc:confStatus-C for s and secret, else sc:confStatus-F."""
    secret = f"coalesce(regexp_full_match(co_trim({value}), '(?i)s|secret|s/.*'), false)"
    return f"CASE WHEN {secret} THEN {text(SC + 'confStatus-C')} ELSE {text(SC + 'confStatus-F')} END"


@function("obsStatus", parameters=(_VALUE,), strict=False)
def _obs_status(value: str) -> str:
    """Whether a cell has a value (SDMX): sc:obsStatus-M when it has none, else sc:obsStatus-A."""
    return f"CASE WHEN coalesce(co_hidden({value}), true) THEN {text(SC + 'obsStatus-M')} ELSE {text(SC + 'obsStatus-A')} END"


def _arithmetic(value: str, other: str) -> str:
    return " AND ".join(f"(co_hidden({item}) OR regexp_full_match({item}, {text(_NUMBER)}))" for item in (value, other))


def _compute(value: str, other: str, operator: str, kind: str) -> str:
    left, right = (f"try_cast(nullif({item}, '') AS {kind})" for item in (value, other))
    right = f"nullif({right}, 0)" if operator == "/" else right
    result = f"co_plain(TRY({left} {operator} {right})::VARCHAR)"
    return f"CASE WHEN NOT co_hidden({value}) AND NOT co_hidden({other}) THEN {result} END"


_OPERAND: Final = Parameter("other", aliases=("value2", "by", "factor"))
_NUMBERS: Final = Text("deux nombres avec un point décimal", "two numbers with a decimal point")


@function("multiply", parameters=(_VALUE, _OPERAND), check=_arithmetic, expects=_NUMBERS, datatype=XSD + "decimal")
def _multiply(value: str, other: str) -> str:
    """The product of two numbers, exact, each taken to six decimals."""
    return _compute(value, other, "*", "DECIMAL(19, 6)")


@function("divide", parameters=(_VALUE, _OPERAND), check=_arithmetic, expects=_NUMBERS, datatype=XSD + "decimal")
def _divide(value: str, other: str) -> str:
    """The quotient of two numbers; nothing when the second is zero."""
    return _compute(value, other, "/", "DOUBLE")


@function("add", parameters=(_VALUE, _OPERAND), check=_arithmetic, expects=_NUMBERS, datatype=XSD + "decimal")
def _add(value: str, other: str) -> str:
    """The sum of two numbers."""
    return _compute(value, other, "+", "DECIMAL(38, 9)")


@function("subtract", parameters=(_VALUE, _OPERAND), check=_arithmetic, expects=_NUMBERS, datatype=XSD + "decimal")
def _subtract(value: str, other: str) -> str:
    """The difference of two numbers."""
    return _compute(value, other, "-", "DECIMAL(38, 9)")


# --- booleans, dates, instants ----------------------------------------------------------------------------------------------

_YES = "'true', '1', 'oui', 'vrai', 'yes', 'o'"
_NO = "'false', '0', 'non', 'faux', 'no', 'n'"


def _is_boolean(value: str) -> str:
    return f"lower(co_trim({value})) IN ('', {_YES}, {_NO})"


@function("boolean", parameters=(_VALUE,), check=_is_boolean, datatype=XSD + "boolean",
          expects=Text("true, false, 1, 0, oui, non, vrai ou faux", "true, false, 1, 0, oui, non, vrai or faux"))  # fmt: skip
def _boolean(value: str) -> str:
    """Yes or no, in French or English, as true or false."""
    return f"CASE WHEN lower(co_trim({value})) IN ({_YES}) THEN 'true' WHEN lower(co_trim({value})) IN ({_NO}) THEN 'false' END"


def _strptime(value: str, form: str) -> str:
    pattern = form.lower().replace("yyyy", "%Y").replace("yy", "%y").replace("mm", "%m").replace("dd", "%d")
    return f"try_strptime(co_trim({value}), {text(pattern)})"


def _is_date(value: str, form: str) -> str:
    empty = f"co_trim({value}) = ''"
    if form == "iso":
        shape = "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?"
        real = f"try_cast(left(co_trim({value}), 10) AS DATE) IS NOT NULL"
        return f"{empty} OR (regexp_full_match(co_trim({value}), '{shape}') AND {real})"
    return f"{empty} OR {_strptime(value, form)} IS NOT NULL"


@function("date", parameters=(_VALUE, Parameter("format", "constant", default="iso")), check=_is_date, datatype=XSD + "date",
          expects=Text("une date dans le format déclaré", "a date in the declared format"))  # fmt: skip
def _date(value: str, form: str) -> str:
    """A day in the declared format (dd/mm/yyyy, yyyymmdd, iso…) as xsd:date."""
    if form == "iso":
        return f"nullif(left(co_trim({value}), 10), '')"
    return f"strftime({_strptime(value, form)}, '%Y-%m-%d')"


def _is_datetime(value: str) -> str:
    return f"co_trim({value}) = '' OR co_is_instant(co_day_first({value}))"


@function("dateTime", parameters=(_VALUE,), check=_is_datetime, datatype=XSD + "dateTime",
          expects=Text("une date avec une heure, par exemple 2024-12-31T08:30:00+01:00",
                       "a date with a time, for example 2024-12-31T08:30:00+01:00"))  # fmt: skip
def _datetime(value: str) -> str:
    """An instant as xsd:dateTime with an offset; Europe/Paris when none is written."""
    return f"CASE WHEN co_trim({value}) <> '' THEN co_instant(co_day_first({value})) END"


def _is_epoch(value: str) -> str:
    return f"co_trim({value}) = '' OR regexp_full_match(co_trim({value}), '-?[0-9]{{1,14}}(\\.[0-9]+)?')"


@function("epoch", parameters=(_VALUE,), check=_is_epoch, datatype=XSD + "dateTime",
          expects=Text("des secondes ou des millisecondes depuis 1970", "seconds or milliseconds since 1970"))  # fmt: skip
def _epoch(value: str) -> str:
    """Seconds (or milliseconds) since 1970 as xsd:dateTime in UTC."""
    number = f"try_cast(co_trim({value}) AS DOUBLE)"
    micros = f"try_cast(CASE WHEN abs({number}) > 1e11 THEN {number} * 1000 ELSE {number} * 1000000 END AS BIGINT)"
    return f"strftime(TRY(make_timestamp({micros})), '%Y-%m-%dT%H:%M:%SZ')"


def _is_duration(value: str) -> str:
    return f"co_trim({value}) = '' OR regexp_full_match(co_trim({value}), '[0-9]{{1,3}}:[0-5][0-9](:[0-5][0-9])?')"


@function("duration", parameters=(_VALUE,), check=_is_duration, datatype=XSD + "dayTimeDuration",
          expects=Text("hh:mm:ss, au-delà de 24 h permis", "hh:mm:ss, beyond 24 h allowed"))  # fmt: skip
def _duration(value: str) -> str:
    """A time of day of GTFS, which may pass 24:00, as the time since midnight."""
    hours, minutes, seconds = (
        f"coalesce(nullif(ltrim(split_part(co_trim({value}), ':', {n}), '0'), ''), '0')" for n in (1, 2, 3)
    )
    return f"CASE WHEN co_trim({value}) <> '' THEN concat('PT', {hours}, 'H', {minutes}, 'M', {seconds}, 'S') END"


# --- places -----------------------------------------------------------------------------------------------------------------


def _is_point(lon: str, lat: str) -> str:
    ranges = " AND ".join(
        f"regexp_full_match(co_trim({item}), {text(_NUMBER)}) AND abs(try_cast(co_trim({item}) AS DOUBLE)) <= {most}"
        for item, most in ((lon, 180), (lat, 90))
    )
    return f"(co_trim({lon}) = '' AND co_trim({lat}) = '') OR ({ranges})"


_DEGREES: Final = Text(
    "une longitude entre -180 et 180 et une latitude entre -90 et 90",
    "a longitude between -180 and 180 and a latitude between -90 and 90",
)


@function("point", parameters=(Parameter("lon", aliases=("longitude", "x")), Parameter("lat", aliases=("latitude", "y"))),
          check=_is_point, expects=_DEGREES, datatype=GEO + "wktLiteral")  # fmt: skip
def _point(lon: str, lat: str) -> str:
    """Longitude and latitude as WKT."""
    point = f"concat('POINT(', co_trim({lon}), ' ', co_trim({lat}), ')')"
    return f"CASE WHEN co_trim({lon}) <> '' AND co_trim({lat}) <> '' THEN {point} END"


def _pair(value: str, order: str) -> tuple[str, str]:
    first, second = (f"regexp_extract({value}, {text(_PAIR)}, {number})" for number in (1, 2))
    return (second, first) if order.lower() in ("latlon", "lat,lon") else (first, second)


def _is_pair(value: str, order: str) -> str:
    lon, lat = _pair(value, order)
    return f"co_trim({value}) = '' OR (regexp_matches({value}, {text(_PAIR)}) AND {_is_point(lon, lat)})"


@function("pointFromPair", parameters=(Parameter("value", "json"), Parameter("order", "constant", default="latlon")),
          check=_is_pair, expects=_DEGREES, datatype=GEO + "wktLiteral")  # fmt: skip
def _point_from_pair(value: str, order: str) -> str:
    """Two coordinates in one cell, in a declared order, as WKT."""
    lon, lat = _pair(value, order)
    return f"CASE WHEN co_trim({value}) <> '' THEN concat('POINT(', {lon}, ' ', {lat}, ')') END"


_TYPES = "'POINT', 'MULTIPOINT', 'LINESTRING', 'MULTILINESTRING', 'POLYGON', 'MULTIPOLYGON', 'GEOMETRYCOLLECTION'"


def _is_geometry(value: str) -> str:
    return f"{value} = '' OR coalesce(co_geometry_type({value}) IN ({_TYPES}), false)"


@function("geometry", parameters=(Parameter("value", "json"),), check=_is_geometry, datatype=GEO + "wktLiteral",
          expects=Text("une géométrie GeoJSON (type et coordinates)", "a GeoJSON geometry (type and coordinates)"))  # fmt: skip
def _geometry(value: str) -> str:
    """A GeoJSON geometry as WKT; the third coordinate is left out."""
    return f"CASE WHEN {value} <> '' THEN co_geometry_collection({value}) END"
