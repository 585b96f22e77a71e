"""Names of resources, in a fixed order of properties and of languages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import REUSED, XSD
from cityorchestra_ld.store.names import LABELS
from cityorchestra_ld.web.describe import Match
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.terms import date_text
from cityorchestra_ld.web.vocabulary import known_label, local_name

LABEL_PROPERTIES: Final = tuple(ox.NamedNode(name) for name in LABELS)
LABEL_IRIS: Final = frozenset(LABELS)
_REMEMBERED = 20_000


def best(literals: Iterable[ox.Literal], lang: Language) -> ox.Literal | None:
    """
    Choose one literal: the language asked for, then French, then English, then no language, then any, in order.

    >>> best([ox.Literal("Rennes"), ox.Literal("Roazhon", language="br")], "fr").value
    'Rennes'
    """

    def rank(literal: ox.Literal) -> tuple[int, str, str]:
        primary = (literal.language or "").partition("-")[0]
        order = {"fr": 1, "en": 2, "": 3} | {lang: 0}
        return order.get(primary, 4), primary, literal.value

    return min((literal for literal in literals if literal.value.strip()), key=rank, default=None)


class Labels:
    """Look labels up in the visible graphs, and remember them as long as the generation lives."""

    def __init__(self, match: Match, base: str) -> None:
        self._match = match
        self._parts = tuple(
            ox.NamedNode(iri)
            for iri in (
                f"{base}def/co#indicator",
                f"{REUSED['sosa']}observedProperty",
                f"{base}def/co#energyCarrier",
                f"{base}def/co#sector",
                f"{REUSED['sd']}refArea",
                f"{REUSED['sosa']}hasFeatureOfInterest",
                f"{REUSED['sd']}refPeriod",
                f"{REUSED['sosa']}phenomenonTime",
                f"{REUSED['sosa']}resultTime",
            )
        )
        self._places = self._parts[4:6]
        self._times = self._parts[6:]  # one of them is enough
        self._known: dict[tuple[str, Language], ox.Literal | None] = {}
        self._made: dict[tuple[str, Language], str | None] = {}

    def stored(self, iri: str, lang: Language) -> ox.Literal | None:
        """Return the label that the data give, or `None`."""
        key = (iri, lang)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._look_up(iri, lang)
        return self._known[key]

    def _look_up(self, iri: str, lang: Language) -> ox.Literal | None:
        node = ox.NamedNode(iri)
        for prop in LABEL_PROPERTIES:
            found = best((quad.object for quad in self._match(node, prop, None) if isinstance(quad.object, ox.Literal)), lang)
            if found is not None:
                return found
        return None

    def of(self, iri: str, lang: Language) -> str:
        """Return a name for people: from the data, from published vocabularies, from what is observed, from the IRI."""
        stored, known = self.stored(iri, lang), known_label(iri)
        if stored is not None and (known is None or (stored.language or "").startswith(lang)):
            return stored.value
        if known is not None:
            return known.get(lang)
        return self.observed(iri, lang) or local_name(iri)

    def observed(self, iri: str, lang: Language) -> str | None:
        """Name an observation by what it observes, where and when; `None` for anything else."""
        key = (iri, lang)
        if key not in self._made:
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            self._made[key] = self._make(ox.NamedNode(iri), lang)
        return self._made[key]

    def _make(self, node: ox.NamedNode, lang: Language) -> str | None:
        words: list[str] = []
        dated = False
        for prop in self._parts:
            quad = None if dated and prop in self._times else next(self._match(node, prop, None), None)
            if quad is None:
                continue
            dated = dated or prop in self._times
            term = quad.object
            if isinstance(term, ox.NamedNode):
                stored, known = self.stored(term.value, lang), known_label(term.value)
                word = stored.value if stored else known.get(lang) if known else local_name(term.value)
                word = date_text(word, f"{XSD}date", lang) or word
                words.append(word if prop in self._places else _lower(word))
            elif isinstance(term, ox.Literal):
                words.append(date_text(term.value, term.datatype.value, lang) or term.value)
        text = ", ".join(words)
        return text[:1].upper() + text[1:] if len(words) > 1 else None


def _lower(word: str) -> str:
    """Begin with a small letter, unless the word is an abbreviation."""
    return word[:1].lower() + word[1:] if word[1:2].islower() else word
