"""How people call datatypes, node kinds and nested shapes, in French and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import GEO, RDF, XSD
from cityorchestra_ld.validation.graph import Term, local_name
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph

_SHOWN: Final = 120  # characters of a value
_LISTED: Final = 8  # members of a list

DATATYPES: Final[dict[str, Text]] = {
    f"{XSD}string": Text("un texte sans langue", "a text without a language"),
    f"{RDF}langString": Text("un texte avec sa langue", "a text with its language"),
    f"{XSD}boolean": Text("vrai ou faux (true, false)", "true or false"),
    f"{XSD}integer": Text("un nombre entier", "a whole number"),
    f"{XSD}int": Text("un nombre entier", "a whole number"),
    f"{XSD}long": Text("un nombre entier", "a whole number"),
    f"{XSD}nonNegativeInteger": Text("un nombre entier positif ou nul", "a whole number, zero or more"),
    f"{XSD}positiveInteger": Text("un nombre entier positif", "a whole number above zero"),
    f"{XSD}decimal": Text("un nombre décimal", "a decimal number"),
    f"{XSD}double": Text("un nombre", "a number"),
    f"{XSD}float": Text("un nombre", "a number"),
    f"{XSD}date": Text("une date (AAAA-MM-JJ)", "a date (YYYY-MM-DD)"),
    f"{XSD}dateTime": Text("une date et une heure (AAAA-MM-JJThh:mm:ss)", "a date and time (YYYY-MM-DDThh:mm:ss)"),
    f"{XSD}time": Text("une heure (hh:mm:ss)", "a time (hh:mm:ss)"),
    f"{XSD}gYear": Text("une année (AAAA)", "a year (YYYY)"),
    f"{XSD}gYearMonth": Text("un mois (AAAA-MM)", "a month (YYYY-MM)"),
    f"{XSD}duration": Text("une durée (PnYnMnDTnHnMnS)", "a duration (PnYnMnDTnHnMnS)"),
    f"{XSD}anyURI": Text("une adresse", "an address"),
    f"{GEO}wktLiteral": Text("une géométrie (WKT)", "a geometry (WKT)"),
}
NODE_KINDS: Final[dict[str, Text]] = {
    "IRI": Text("un lien (IRI)", "a link (IRI)"),
    "Literal": Text("une valeur, pas un lien", "a value, not a link"),
    "BlankNode": Text("un nœud sans nom", "a node without a name"),
    "BlankNodeOrIRI": Text("un nœud, pas une valeur", "a node, not a value"),
    "BlankNodeOrLiteral": Text("une valeur ou un nœud sans nom", "a value or a node without a name"),
    "IRIOrLiteral": Text("un lien ou une valeur", "a link or a value"),
}

_PHRASES: Final[dict[str, Text]] = {
    "class": Text("connu comme {}", "known as {}"),
    "in": Text("l'une de : {}", "one of: {}"),
    "hasValue": Text("la valeur {}", "the value {}"),
    "pattern": Text("de la forme {}", "of the form {}"),
    "minInclusive": Text("à partir de {}", "from {}"),
    "minExclusive": Text("au-dessus de {}", "above {}"),
    "maxInclusive": Text("jusqu'à {}", "up to {}"),
    "maxExclusive": Text("en dessous de {}", "below {}"),
    "languageIn": Text("dans une langue parmi {}", "in one of these languages: {}"),
}


def pick(found: Mapping[str, str], lang: str) -> str | None:
    """Return the text of a language, else one without a language, else any."""
    return found.get(lang) or found.get("") or next(iter(found.values()), None)


class Words:
    """Names of things: labels from shapes and ontology, local names where there is none."""

    def __init__(self, shapes: ShapesGraph, labels: Mapping[str, Mapping[str, str]]) -> None:
        self._shapes = shapes
        self._labels = labels

    def iri(self, iri: str) -> Text:
        """Name a class, a property or another thing."""
        found = self._labels.get(iri, {})
        own = local_name(iri) or iri
        return Text(pick(found, "fr") or own, pick(found, "en") or own)

    def term(self, term: Term) -> Text:
        """Write a term for people."""
        if isinstance(term, ox.NamedNode):
            return self.iri(term.value) if term.value in self._labels else Text(_short(term.value), _short(term.value))
        if isinstance(term, ox.BlankNode):
            return Text("(nœud sans nom)", "(node without a name)")
        tag = f" ({term.language})" if term.language else ""
        return Text(_cut(term.value) + tag, _cut(term.value) + tag)

    def several(self, terms: tuple[Term, ...]) -> Text:
        """List terms, the first of them when there are many."""
        named = [self.iri(t.value) if isinstance(t, ox.NamedNode) else self.term(t) for t in terms[:_LISTED]]
        more = len(terms) - _LISTED
        fr, en = ", ".join(t.fr for t in named), ", ".join(t.en for t in named)
        return Text(f"{fr}… ({more} de plus)", f"{en}… ({more} more)") if more > 0 else Text(fr, en)

    def datatype(self, iri: str) -> Text:
        """Name a datatype with its article."""
        name = self.iri(iri)
        return DATATYPES.get(iri) or Text(f"une valeur de type {name.fr}", f"a value of type {name.en}")

    def title(self, shape: Shape) -> Text:
        """Say what a shape is about: its name, the label of its path, or its local name."""
        if shape.names:
            return Text(pick(shape.names, "fr") or "", pick(shape.names, "en") or "")
        if shape.path is not None:
            named = {iri: self.iri(iri) for iri in shape.path.predicates()}
            fr = en = shape.path.label()
            for iri, text in named.items():
                fr, en = fr.replace(local_name(iri), text.fr), en.replace(local_name(iri), text.en)
            return Text(fr, en)
        return self.iri(shape.id.strip("<>")) if shape.named else self.expectation(shape)

    def expectation(self, shape: Shape, depth: int = 0) -> Text:
        """Say in a few words what a nested shape accepts."""
        if shape.names and depth:
            return self.title(shape)
        parts: list[Text] = []
        for name, values in shape.parameters.items():
            parts += self._expectations(name, values, depth)
        if not parts:
            return self.iri(shape.root.strip("<>"))
        fr, en = " et ".join(p.fr for p in parts), " and ".join(p.en for p in parts)
        if shape.path is None:
            return Text(fr, en)
        title = self.title(shape)
        return Text(f"{title.fr} : {fr}", f"{title.en}: {en}")

    def _expectations(self, name: str, values: tuple[Term, ...], depth: int) -> list[Text]:
        if depth > 3 or not values:
            return []
        listed = self.several(values)
        if name in _PHRASES:
            phrase = _PHRASES[name]
            return [Text(phrase.fr.format(listed.fr), phrase.en.format(listed.en))]
        match name:
            case "datatype":
                return [self.datatype(values[0].value)]
            case "nodeKind":
                return [NODE_KINDS.get(local_name(values[0].value), listed)]
            case "minCount" if values[0].value != "0":
                return [Text("renseigné", "present")]
            case "maxCount" if values[0].value == "0":
                return [Text("absent", "absent")]
            case "property" | "node":
                return self._nested(values, depth)
            case "or" | "xone":
                inner = self._nested(values, depth)
                return [Text(" ou ".join(t.fr for t in inner), " or ".join(t.en for t in inner))] if inner else []
            case _:
                return []

    def _nested(self, values: tuple[Term, ...], depth: int) -> list[Text]:
        found = [self._shapes.shape(str(value)) for value in values]
        return [self.expectation(shape, depth + 1) for shape in found if shape is not None]

    def choices(self, values: tuple[Term, ...]) -> Text:
        """List what the members of sh:or, sh:and or sh:xone accept."""
        inner = self._nested(values, 0)
        return Text(" ; ".join(t.fr for t in inner), "; ".join(t.en for t in inner))


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else f"{flat[: _SHOWN - 1]}…"


def _short(iri: str) -> str:
    return iri if len(iri) <= _SHOWN else f"…{iri[1 - _SHOWN :]}"
