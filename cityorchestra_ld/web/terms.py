"""How one RDF term looks on a page: cut when too long, isolated when hostile, a link only when it is safe to follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

import pyoxigraph as ox

from cityorchestra_ld.namespaces import GEO, XSD
from cityorchestra_ld.web.http_ import Language

LONGEST: Final = 1_500  # characters of one value on a page
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_NUMERIC: Final = frozenset(
    XSD + name for name in ("integer", "decimal", "double", "float", "int", "long", "short", "nonNegativeInteger")
)
_GEOMETRIES: Final = frozenset((f"{GEO}wktLiteral", f"{GEO}geoJSONLiteral"))
_PLAIN: Final = frozenset((f"{XSD}string", f"{XSD}gYear", "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"))
_MONTHS: Final = {
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
           "décembre"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December"),
}  # fmt: skip
Kind = Literal["text", "number", "date", "boolean", "shape", "link", "iri", "node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A term as a page shows it."""

    kind: Kind
    text: str
    raw: str = ""  # for machines: the lexical form, or the IRI
    href: str | None = None  # the page that describes it
    outside: str | None = None  # the address itself, when it is not ours and may be followed
    lang: str | None = None
    datatype: str | None = None  # said only when it tells something
    unit: str = ""
    cut: int = 0  # length of the whole text, when it was cut


def clean(text: str) -> str:
    """
    Make characters visible that hide, reorder or end text; line breaks and tabs stay.

    >>> clean("a\\u202etxt.exe")
    'a[U+202E]txt.exe'
    """
    return _HIDDEN.sub(lambda match: f"[U+{ord(match.group()):04X}]", text)


def shorten(text: str, longest: int = LONGEST) -> tuple[str, int]:
    """Cut a text; the second value is its whole length when it was cut, else 0."""
    return (text[:longest], len(text)) if len(text) > longest else (text, 0)


def number_text(lexical: str, lang: Language) -> str | None:
    """
    Write a number the French or the English way; `None` when it is not an ordinary number.

    >>> number_text("1234567.50", "en"), number_text("-0.25", "fr")
    ('1,234,567.5', '-0,25')
    """
    try:
        value = Decimal(lexical)
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > 20:
        return None
    year_like = abs(value) < 10_000 and value == value.to_integral_value()  # four digits stay together
    text = f"{value:f}" if year_like else f"{value:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", "\u202f").replace(".", ",") if lang == "fr" else text


def _day(value: date, lang: Language) -> str:
    month = _MONTHS[lang][value.month - 1]
    if lang == "fr":
        return f"{'1er' if value.day == 1 else value.day} {month} {value.year}"
    return f"{value.day} {month} {value.year}"


def date_text(lexical: str, datatype: str, lang: Language) -> str | None:
    """
    Write an xsd:date or xsd:dateTime for people; `None` when Python cannot read it.

    >>> date_text("2024-03-01", "http://www.w3.org/2001/XMLSchema#date", "fr")
    '1er mars 2024'
    """
    try:
        if datatype == f"{XSD}date":
            return _day(date.fromisoformat(lexical[:10]), lang) if len(lexical) == 10 else None
        moment = datetime.fromisoformat(lexical)
    except ValueError:
        return None
    clock = f"{moment:%H:%M}" if moment.second == 0 else f"{moment:%H:%M:%S}"
    offset = moment.utcoffset()
    zone = "" if offset is None else f" (UTC{_zone(moment)})" if offset else " UTC"
    return f"{_day(moment.date(), lang)}{' à ' if lang == 'fr' else ', '}{clock}{zone}"


def _zone(moment: datetime) -> str:
    text = moment.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


def show_literal(literal: ox.Literal, lang: Language) -> Shown:
    """Show a literal; numbers and dates as people write them, with the lexical form beside."""
    lexical, datatype = literal.value, literal.datatype.value
    if datatype in _NUMERIC and (number := number_text(lexical, lang)) is not None:
        return Shown(kind="number", text=number, raw=clean(lexical))
    if datatype in (f"{XSD}date", f"{XSD}dateTime") and (day := date_text(lexical, datatype, lang)) is not None:
        return Shown(kind="date", text=day, raw=clean(lexical))
    if datatype == f"{XSD}boolean" and lexical in ("true", "false"):
        words = {"fr": ("oui", "non"), "en": ("yes", "no")}[lang]
        return Shown(kind="boolean", text=words[0] if lexical == "true" else words[1], raw=lexical)
    if datatype in _GEOMETRIES:
        text, cut = shorten(clean(lexical), 160)
        return Shown(kind="shape", text=text, cut=cut)
    text, cut = shorten(lexical)
    said = None if datatype in _PLAIN else clean(datatype.rsplit("#", 1)[-1].rsplit("/", 1)[-1])
    return Shown(
        kind="text", text=clean(text), lang=clean(literal.language) if literal.language else None, datatype=said, cut=cut
    )
