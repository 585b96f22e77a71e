"""Parameters of query APIs: read how a query file declares them, and turn what a client sends into terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, Protocol, get_args
from urllib.parse import parse_qsl

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.namespaces import GEO, XSD
from cityorchestra_ld.queries import NamedQuery, Term

Kind = Literal["iri", "code", "date", "year", "integer", "decimal", "text", "bbox"]

_DECLARED: Final = re.compile(
    r"(?P<name>[A-Za-z]\w*)\s+(?P<kind>[a-z]+)(?:\((?P<of>[^()]*)\))?(?P<required>\s+required)?(?:\s*=\s*(?P<default>\S+))?"
)
_RANGE: Final = re.compile(r"(-?\d*)\.\.(-?\d*)")
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,12})?")
_YEAR: Final = re.compile(r"\d{4}")
_CODE: Final = re.compile(r"[\w.~%-]{1,100}")
_LONGEST: Final = 2_000
RESERVED: Final = frozenset(("limit", "offset", "format", "lang"))


class Known(Protocol):
    """Who knows which things are published."""

    def is_a(self, iri: str, kind: str) -> bool:
        """Tell whether a thing is of a class."""

    def in_scheme(self, iri: str, scheme: str) -> bool:
        """Tell whether a code belongs to a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a query API, as the query file declares it."""

    name: str
    kind: Kind
    title: Text
    required: bool = False
    default: str | None = None
    of: str = ""  # the class of an IRI, the list of a code
    low: int | None = None
    high: int | None = None

    def read(self, text: str, known: Known | None = None) -> Term:
        """Turn what a client sent into a term; raise UsageError, naming the parameter, for what it cannot be."""
        if not text or len(text) > _LONGEST:
            raise self._wrong(text)
        term: Term | None = getattr(self, f"_{self.kind}")(text)
        if term is None or not self._is_published(term, known):
            raise self._wrong(text)
        return term

    def _is_published(self, term: Term, known: Known | None) -> bool:
        if known is None or not self.of:
            return True
        return known.in_scheme(term.value, self.of) if self.kind == "code" else known.is_a(term.value, self.of)

    def _iri(self, text: str) -> Term | None:
        try:
            return ox.NamedNode(text) if ":" in text else None
        except ValueError:
            return None

    def _code(self, text: str) -> Term | None:
        if text.startswith(("http://", "https://")):
            return self._iri(text)
        return self._iri(f"{self.of}/{text}") if _CODE.fullmatch(text) else None

    def _date(self, text: str) -> Term | None:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return None
        return _literal(day.isoformat(), "date")

    def _year(self, text: str) -> Term | None:
        return _literal(text, "gYear") if _YEAR.fullmatch(text) else None

    def _integer(self, text: str) -> Term | None:
        return _literal(str(int(text)), "integer") if _INTEGER.fullmatch(text) and self._within(Decimal(text)) else None

    def _decimal(self, text: str) -> Term | None:
        return _literal(text, "decimal") if _DECIMAL.fullmatch(text) and self._within(Decimal(text)) else None

    def _text(self, text: str) -> Term | None:
        return ox.Literal(text) if len(text) <= (self.high or _LONGEST) else None

    def _bbox(self, text: str) -> Term | None:
        """Read west, south, east, north in degrees as a rectangle (OGC API Features, section 7.15.3)."""
        try:
            west, south, east, north = (Decimal(part) for part in text.split(","))
        except (ValueError, InvalidOperation):
            return None
        if not all(number.is_finite() for number in (west, south, east, north)):
            return None
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            return None
        corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
        ring = ", ".join(f"{x:f} {y:f}" for x, y in corners)
        return ox.Literal(f"POLYGON(({ring}))", datatype=ox.NamedNode(f"{GEO}wktLiteral"))

    def _within(self, number: Decimal) -> bool:
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)

    def expects(self) -> Text:
        """Say what a value looks like."""
        said = {
            "iri": Text("une adresse (IRI) absolue", "an absolute IRI"),
            "code": Text(f"un code de la liste {self.of}", f"a code of the list {self.of}"),
            "date": Text("une date, 2026-01-31", "a date, 2026-01-31"),
            "year": Text("une année, 2026", "a year, 2026"),
            "integer": Text("un nombre entier", "a whole number"),
            "decimal": Text("un nombre, 1.5", "a number, 1.5"),
            "text": Text(f"un texte de {self.high} caractères au plus", f"a text of at most {self.high} characters"),
            "bbox": Text("ouest,sud,est,nord en degrés", "west,south,east,north in degrees"),
        }[self.kind]
        if self.kind == "iri" and self.of:
            said = Text(f"l'adresse (IRI) publiée d'un <{self.of}>", f"the published IRI of a <{self.of}>")
        if self.kind in ("integer", "decimal") and (self.low is not None or self.high is not None):
            low, high = ("…" if bound is None else str(bound) for bound in (self.low, self.high))
            said = Text(f"{said.fr} de {low} à {high}", f"{said.en} from {low} to {high}")
        return said

    def _wrong(self, text: str) -> UsageError:
        expects = self.expects()
        return UsageError(
            Text(
                f"Le paramètre « {self.name} » ne convient pas : attendu, {expects.fr}.",
                f"The parameter '{self.name}' does not fit: expected {expects.en}.",
            ),
            place=Place(column=self.name, value=text),
        )


def _literal(text: str, datatype: str) -> ox.Literal:
    return ox.Literal(text, datatype=ox.NamedNode(f"{XSD}{datatype}"))


def read_parameters(query: NamedQuery, prefixes: Mapping[str, str]) -> tuple[Parameter, ...]:
    """
    Read the `#+ param: name kind(of) required = default | title.fr | title.en` lines of a query file.

    Raises UsageError, naming the file, for a line that cannot be read and for a name that is taken.
    """
    found = [_read(query, line, prefixes) for line in query.every("param")]
    names = [parameter.name for parameter in found]
    for name in names:
        if names.count(name) > 1 or name in RESERVED:
            raise _unreadable(query, name)
    return tuple(found)


def _read(query: NamedQuery, line: str, prefixes: Mapping[str, str]) -> Parameter:
    declared, *titles = (part.strip() for part in line.split("|"))
    match = _DECLARED.fullmatch(declared)
    if match is None or match["kind"] not in get_args(Kind) or len(titles) != 2:
        raise _unreadable(query, line)
    kind: Kind = match["kind"]  # type: ignore[assignment]
    of, low, high = match["of"] or "", None, None
    if kind in ("integer", "decimal") and of:
        bounds = _RANGE.fullmatch(of)
        if bounds is None:
            raise _unreadable(query, line)
        low, high = (int(bound) if bound else None for bound in bounds.groups())
        of = ""
    elif kind == "text":
        high, of = int(of) if of.isdecimal() else 200, ""
    elif of:
        prefix, colon, name = of.partition(":")
        of = prefixes[prefix] + name if colon and prefix in prefixes else of.strip("<>")
    if kind == "code" and not of:
        raise _unreadable(query, line)
    parameter = Parameter(
        name=match["name"],
        kind=kind,
        title=Text(*titles),
        required=bool(match["required"]),
        default=match["default"],
        of=of,
        low=low,
        high=high,
    )
    if parameter.default is not None:
        parameter.read(parameter.default)
    return parameter


def _unreadable(query: NamedQuery, line: str) -> UsageError:
    return UsageError(
        Text(f"Paramètre mal déclaré : {line}", f"A parameter is not declared well: {line}"),
        place=Place(file=str(query.file), value=line),
        hint=Text(
            "Exemple : #+ param: commune iri(igeo:Commune) required | La commune | The commune",
            "Example: #+ param: commune iri(igeo:Commune) required | La commune | The commune",
        ),
    )


def read_values(parameters: tuple[Parameter, ...], values: Mapping[str, str], known: Known | None = None) -> dict[str, Term]:
    """Turn what a client sent into the terms of a query; raise UsageError naming the first parameter that is wrong."""
    names = [parameter.name for parameter in parameters]
    for name, value in values.items():
        if name not in names:
            raise UsageError(
                Text(f"Le paramètre « {name} » n'existe pas ici.", f"There is no parameter '{name}' here."),
                place=Place(column=name, value=value),
                hint=Text(f"Paramètres : {', '.join(names)}.", f"Parameters: {', '.join(names)}."),
            )
    terms: dict[str, Term] = {}
    for parameter in parameters:
        text = values.get(parameter.name) or parameter.default
        if text is not None:
            terms[parameter.name] = parameter.read(text, known)
        elif parameter.required:
            raise UsageError(
                Text(f"Il manque le paramètre « {parameter.name} ».", f"The parameter '{parameter.name}' is missing."),
                place=Place(column=parameter.name),
                hint=Text(f"Attendu : {parameter.expects().fr}.", f"Expected: {parameter.expects().en}."),
            )
    return terms


def read_examples(query: NamedQuery) -> tuple[Mapping[str, str], ...]:
    """Read the `#+ example: name=value&name=value` lines; the first is what expectations are about."""
    return tuple(dict(parse_qsl(line, keep_blank_values=True, strict_parsing=True)) for line in query.every("example")) or ({},)
