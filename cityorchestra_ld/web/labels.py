"""Names of resources, in a fixed order of properties and of languages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.web.describe import Match
from cityorchestra_ld.web.http import Language
from cityorchestra_ld.web.vocabulary import known_label, local_name

LABEL_PROPERTIES: Final = tuple(
    ox.NamedNode(REUSED[prefix] + name)
    for prefix, name in (
        ("skos", "prefLabel"),
        ("rdfs", "label"),
        ("dct", "title"),
        ("foaf", "name"),
        ("igeo", "nom"),
        ("schema", "name"),
        ("gtfs", "longName"),
        ("gtfs", "shortName"),
        ("vcard", "fn"),
        ("sh", "name"),
    )
)
LABEL_IRIS: Final = frozenset(prop.value for prop in LABEL_PROPERTIES)
_REMEMBERED = 20_000


def best(literals: Iterable[ox.Literal], lang: Language) -> ox.Literal | None:
    """
    Choose one literal: the language asked for, then French, then English, then no language, then any, in order.

    >>> best([ox.Literal("Rennes"), ox.Literal("Roazhon", language="br")], "fr").value
    'Rennes'
    """

    def rank(literal: ox.Literal) -> tuple[int, str, str]:
        primary = (literal.language or "").partition("-")[0]
        order = {lang: 0, "fr": 1, "en": 2, "": 3}
        return order.get(primary, 4), primary, literal.value

    return min((literal for literal in literals if literal.value.strip()), key=rank, default=None)


class Labels:
    """Look labels up in the visible graphs, and remember them as long as the generation lives."""

    def __init__(self, match: Match) -> None:
        self._match = match
        self._known: dict[tuple[str, Language], str | None] = {}

    def stored(self, iri: str, lang: Language) -> str | None:
        """Return the label that the data give, or `None`."""
        key = (iri, lang)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._look_up(iri, lang)
        return self._known[key]

    def _look_up(self, iri: str, lang: Language) -> str | None:
        node = ox.NamedNode(iri)
        for prop in LABEL_PROPERTIES:
            found = best((quad.object for quad in self._match(node, prop, None) if isinstance(quad.object, ox.Literal)), lang)
            if found is not None:
                return found.value
        return None

    def of(self, iri: str, lang: Language) -> str:
        """Return a name for people: from the data, from published vocabularies, from the IRI itself."""
        stored = self.stored(iri, lang)
        if stored is not None:
            return stored
        known = known_label(iri)
        return known.get(lang) if known else local_name(iri)
