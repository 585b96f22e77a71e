"""Propose terms of the ontology for columns and files, by their names and by usual words in French and English."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.check import personal
from cityorchestra_ld.draft.kinds import Column
from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import OWL, RDF, RDFS, SKOS, prefixes
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.validation.shapes import read_triples

_CLOSE: Final = 0.88
_LITERAL_KINDS: Final = frozenset({"text", "code", "integer", "decimal", "date", "datetime", "epoch", "boolean"})

# what a column is called → the property, and the kinds of cells that it takes
_PROPERTIES: Final[tuple[tuple[str, str, frozenset[str]], ...]] = tuple(
    (pattern, name, frozenset(kinds.split()))
    for pattern, name, kinds in (
        ("(code_)?postal(_code)?|cp|code_post.*", "schema:postalCode", "text code integer"),
        ("adresse(_.*)?|address(_.*)?|voie", "schema:address", "text"),
        ("date_(creation|ouverture|mise_en_service)|created(_at)?|opening_date", "dct:created", "date datetime epoch"),
        ("(date_)?(maj|mise_a_jour|modification|updated?(_at)?|modified|last_reported|last_updated)|version", "dct:modified",
         "date datetime epoch"),
        ("(date_)?(debut|start)(_.*)?|start_date|date_de_debut|valid_from", "schema:startDate", "date datetime"),
        ("(date_)?(fin|end)(_.*)?|end_date|date_de_fin|valid_through", "schema:endDate", "date datetime"),
        ("date|jour|day|date_.*", "dct:date", "date datetime epoch"),
        ("capacite|capacity|nb_places|nombre_de_places|places|nb_max_places|nbre_pdc", "co:capacity", "integer"),
        ("horaires?|opening_hours|heures_d_ouverture", "schema:openingHours", "text"),
        ("enseigne|nom_enseigne|marque|brand", "schema:brand", "text"),
        ("langue|language|lang", "schema:inLanguage", "text code"),
        ("gratuit|free|is_free", "schema:isAccessibleForFree", "boolean"),
        ("annee_(de_)?construction|year_built", "schema:yearBuilt", "integer"),
        ("montant|amount", "schema:amount", "integer decimal"),
        ("mots_cles|keywords?|tags?", "schema:keywords", "text"),
        ("objet|subject|sujet", "dct:subject", ""),
    )
)  # fmt: skip
# words of the file, of the dataset or of a column → a class
_CLASSES: Final[tuple[tuple[str, str], ...]] = (
    ("arrets?|stops?", "gtfs:Stop"),
    ("parkings?|parcs?_relais|stationnement", "co:ParkingFacility"),
    ("arbres?|trees?", "co:Tree"),
    ("pdc|points?_de_recharge|charging_points?|irve|bornes?", "co:ChargingPoint"),
    ("velos?|bikes?|velib", "co:BikeStation"),
    ("vehicules?|vehicles?|bus", "co:Vehicle"),
    ("comptages?|counting", "co:CountingSite"),
    ("marches?_publics?|contrats?|contracts?", "co:PublicContract"),
    ("actions?", "co:PublicAction"),
    ("dpe", "co:EnergyPerformanceCertificate"),
    ("amenagements?_cyclables?|pistes?_cyclables?", "co:CycleFacility"),
    ("hydro|cours_d_eau|ecoulement", "co:StreamStation"),
    ("organismes?|associations?|entreprises?|organisations?", "org:Organization"),
    ("evenements?|events?", "schema:Event"),
    ("batiments?|buildings?|equipements?", "schema:Place"),
)
_UNITS: Final[tuple[tuple[str, str], ...]] = (
    ("mwh", "unit:MegaW-HR"), ("gwh", "unit:GigaW-HR"), ("kwh", "unit:KiloW-HR"), ("mw", "unit:MegaW"), ("kw", "unit:KiloW"),
    ("euros?|montants?|depenses?|recettes?|budget|prix|price", "unit:CCY_EUR"),
    ("taux|part|pct|pourcent(age)?s?|percent", "unit:PERCENT"),
    ("ha|hectares?", "unit:HA"), ("m2", "unit:M2"), ("m3", "unit:M3"),
    ("tonnes?", "unit:TONNE"), ("km", "unit:KiloM"), ("db", "unit:DeciB_A"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """A term for a column or a file, and why."""

    term: str  # with its prefix
    why: Text


class Vocabulary:
    """The classes, properties and indicators of a territory by the words that people use for them."""

    def __init__(self, territory: Territory) -> None:
        self.prefixes = prefixes(territory.base_iri)
        self.properties: dict[str, tuple[str, str, bool]] = {}  # word → term, label, whether it leads to a literal
        self.classes: dict[str, tuple[str, str]] = {}
        self.indicators: dict[str, tuple[str, str]] = {}
        for path in sorted(territory.root.glob("ontology/*.ttl")):
            self._read(path, territory.base_iri)
        for path in territory.root.glob("ontology/codelists/indicator.ttl"):
            self._indicators(path, territory.base_iri)

    def _read(self, path: Path, base: str) -> None:
        triples = read_triples(path, base)
        types: dict[str, set[str]] = {}
        labels: dict[str, list[str]] = {}
        for subject, predicate, value in triples:
            if predicate == RDF + "type":
                types.setdefault(subject.value, set()).add(value.value)
            elif predicate in (RDFS + "label", SKOS + "altLabel"):
                labels.setdefault(subject.value, []).append(value.value)
        for iri, words in labels.items():
            name = self.shorten(iri)
            local = re.split("[#/]", iri)[-1]
            for word in (*words, local):
                if types.get(iri, set()) & {OWL + "DatatypeProperty"}:
                    self.properties.setdefault(personal.plain(word), (name, words[0], True))
                elif types.get(iri, set()) & {OWL + "Class"}:
                    self.classes.setdefault(personal.plain(word), (name, words[0]))

    def _indicators(self, path: Path, base: str) -> None:
        for subject, predicate, value in read_triples(path, base):
            if predicate == SKOS + "prefLabel" and isinstance(value, ox.Literal):
                notation = subject.value.rpartition("/")[2]
                for word in (value.value, notation):
                    self.indicators.setdefault(personal.plain(word), (notation, value.value))

    def shorten(self, iri: str) -> str:
        """Write a term with its prefix."""
        namespace = iri[: max(iri.rfind("#"), iri.rfind("/")) + 1]
        found = next((prefix for prefix, known in self.prefixes.items() if known == namespace), None)
        return f"{found}:{iri.removeprefix(namespace)}" if found else f"<{iri}>"

    # --- proposals ----------------------------------------------------------------------------------------------------------

    def for_column(self, column: Column) -> Proposal | None:
        """Propose a property for a column of values."""
        own = personal.plain(column.label)
        for pattern, name, kinds in _PROPERTIES:
            if re.fullmatch(pattern, own) and column.kind in kinds:
                return Proposal(name, _by_name(column.label))
        found = _closest(own, self.properties)
        if found is not None and column.kind in _LITERAL_KINDS:
            name, label, _ = self.properties[found]
            return Proposal(name, Text(f"libellé « {label} »", f"label '{label}'"))
        return None

    def for_file(self, words: str) -> Proposal | None:
        """Propose a class for what a record is, from the names of the dataset, the file and the columns."""
        plain = personal.plain(words)
        for pattern, name in _CLASSES:
            found = re.search(f"(^|_)({pattern})(_|$)", plain)
            if found:
                return Proposal(name, _by_name(found[2]))
        for word in plain.split("_"):
            close = _closest(word, self.classes) if len(word) > 4 else None
            if close is not None:
                name, label = self.classes[close]
                return Proposal(name, Text(f"libellé « {label} »", f"label '{label}'"))
        return None

    def indicator(self, column: Column) -> Proposal | None:
        """Propose a known indicator for a column of figures."""
        found = _closest(personal.plain(column.label), self.indicators)
        if found is None:
            return None
        notation, label = self.indicators[found]
        return Proposal(notation, Text(f"libellé « {label} »", f"label '{label}'"))


def unit(column: Column) -> Proposal:
    """Propose a unit for a column of figures."""
    own = personal.plain(column.label)
    for pattern, name in _UNITS:
        if re.search(f"(^|_)({pattern})(_|$)", own):
            return Proposal(name, _by_name(column.label))
    return Proposal("unit:NUM", Text("à défaut", "for want of better"))


def _by_name(label: str) -> Text:
    return Text(f"nom « {label} »", f"name '{label}'")


def _closest(word: str, known: Mapping[str, object]) -> str | None:
    if word in known:
        return word
    close = difflib.get_close_matches(word, known, n=1, cutoff=_CLOSE)
    return close[0] if close else None
