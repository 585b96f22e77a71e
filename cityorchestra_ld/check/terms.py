"""Hold the classes and properties of a mapping against the vocabularies: do they exist, and are they used as they are meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.check.findings import Finding, Level, finding, near
from cityorchestra_ld.check.symbols import Made
from cityorchestra_ld.check.vocabulary import Entry, Vocabulary, namespace_of
from cityorchestra_ld.check.world import Group, World
from cityorchestra_ld.errors import Place, Text
from cityorchestra_ld.namespaces import GEO, OWL, RDF, RDFS, SKOS, XSD

_ANY: Final = frozenset({
    RDFS + "Resource", OWL + "Thing", RDFS + "Class", OWL + "Class",
    # roles that any thing may play, which nobody states
    "http://www.w3.org/ns/odrl/2/Asset", "http://www.w3.org/ns/prov#Entity", "http://www.w3.org/ns/sosa/FeatureOfInterest",
})  # fmt: skip
_LITERALS: Final = frozenset({RDFS + "Literal", RDF + "langString", RDF + "PlainLiteral", RDF + "HTML", RDF + "XMLLiteral"})
_INTEGERS: Final = frozenset(
    XSD + name
    for name in (
        "integer", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger", "negativeInteger", "long", "int", "short",
        "byte", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte",
    )
)  # fmt: skip
_TEXTS: Final = frozenset(
    XSD + name for name in ("string", "normalizedString", "token", "language", "Name", "NCName", "NMTOKEN")
)
_INSTANTS: Final = frozenset({XSD + "dateTime", XSD + "dateTimeStamp"})
_DURATIONS: Final = frozenset({XSD + "duration", XSD + "dayTimeDuration", XSD + "yearMonthDuration"})
_A_LINK: Final = Text("un lien (IRI)", "a link (IRI)")
_A_VALUE: Final = Text("une valeur", "a value")
_MAKE_LINK: Final = Text(
    "Ajoutez ~iri à la valeur, ou prenez une propriété de texte.", "Add ~iri to the value, or take a text property."
)
_MAKE_VALUE: Final = Text(
    "Retirez ~iri, ou prenez une propriété qui relie des choses.", "Remove ~iri, or take a property that links things."
)


@dataclass(slots=True)
class TermCheck:
    """Checks the terms of one mapping."""

    world: World
    path: str

    @property
    def vocabulary(self) -> Vocabulary:
        """Return the terms that are known."""
        return self.world.vocabulary

    def findings(self) -> Iterator[Finding]:
        """Yield every finding about terms."""
        for group in self.world.groups:
            for said in group.classes:
                yield from self._term(said.iri, self._place(said.line, said.triples_map), classes=True)
            for predicate in group.predicates:
                for made in group.statements(predicate):
                    place = self._place(made.line, made.triples_map)
                    if predicate != RDF + "type":
                        yield from self._term(predicate, place, classes=False)
                        yield from self._use(group, predicate, made, place)
                    yield from self._code(made, place)

    def _place(self, line: int | None, rule: str) -> Place:
        return Place(file=self.path, line=line, rule=rule)

    # --- existence ----------------------------------------------------------------------------------------------------------

    def _term(self, iri: str, place: Place, *, classes: bool) -> Iterator[Finding]:
        entry, shown = self.vocabulary.get(iri), self.vocabulary.shorten(iri)
        if entry is None:
            yield self._missing(iri, shown, place, classes=classes)
        elif not (entry.is_class if classes else entry.is_property):
            words = (Text("une classe", "a class"), Text("une propriété", "a property"))
            own = words[0] if entry.is_class else words[1] if entry.is_property else Text("une valeur", "a value")
            yield finding(
                "MAP-204", place, hint=self._nearest(iri, classes=classes), term=shown, is_=own, used=words[not classes]
            )
        elif entry.deprecated:
            yield finding("MAP-203", place, term=shown, advice=self._advice(entry))

    def _missing(self, iri: str, shown: str, place: Place, *, classes: bool) -> Finding:
        if not self.vocabulary.is_complete(iri):
            return finding("MAP-205", place, term=shown)
        return finding("MAP-201" if classes else "MAP-202", place, hint=self._nearest(iri, classes=classes), term=shown)

    def _nearest(self, iri: str, *, classes: bool) -> Text | None:
        found = self.vocabulary.nearest(iri, classes=classes)
        return near(self.vocabulary.shorten(found)) if found else None

    def _advice(self, entry: Entry) -> Text:
        if entry.replacement:
            by = self.vocabulary.shorten(entry.replacement)
            return Text(f"Employez {by}.", f"Use {by}.")
        return Text("Cherchez dans le vocabulaire ce qui le remplace.", "Look in the vocabulary for what replaces it.")

    # --- domain and range ---------------------------------------------------------------------------------------------------

    def _use(self, group: Group, predicate: str, made: Made, place: Place) -> Iterator[Finding]:
        entry = self.vocabulary.get(predicate)
        if entry is None or not entry.is_property:
            return
        yield from self._domain(group, entry, made, place)
        wrong = self._nature(entry, made)
        if wrong is not None:
            yield self._wrong_nature(entry, made, place, wanted=wrong)
        else:
            yield from self._range(entry, made, place)

    def _domain(self, group: Group, entry: Entry, made: Made, place: Place) -> Iterator[Finding]:
        said = {c.iri for c in group.classes}
        if not said or any(self.vocabulary.get(iri) is None for iri in said):
            return
        around, wanted = self.world.alike(group), _any_of(entry.domain)
        if wanted and not any(self.world.is_a(around, name) for name in wanted):
            yield finding(
                "MAP-206", place, property=self.vocabulary.shorten(entry.iri), wanted=self._either(wanted),
                rule=made.triples_map, given=self._either(said),
            )  # fmt: skip

    def _nature(self, entry: Entry, made: Made) -> Text | None:
        """Return what is wanted when the rule gives a value for a link, or a link for a value."""
        names = frozenset().union(*entry.range)
        if made.kind == "literal":
            return _A_LINK if entry.kinds & {"object"} and not entry.kinds & {"data"} else None
        literal = entry.kinds & {"data"} or (names and all(self._is_datatype(name) for name in names))
        return _A_VALUE if literal else None

    def _is_datatype(self, name: str) -> bool:
        return name.startswith(XSD) or name in _LITERALS or name in (GEO + "wktLiteral", GEO + "gmlLiteral")

    def _wrong_nature(self, entry: Entry, made: Made, place: Place, *, wanted: Text) -> Finding:
        link = wanted is _A_LINK
        advice = _MAKE_LINK if link else _MAKE_VALUE
        given = _A_VALUE if link else _A_LINK
        shown = made.strings.shown
        return finding(
            "MAP-207", place, property=self.vocabulary.shorten(entry.iri), wanted=wanted, advice=advice,
            given=Text(f"{given.fr} ({shown})", f"{given.en} ({shown})"),
        )  # fmt: skip

    def _range(self, entry: Entry, made: Made, place: Place) -> Iterator[Finding]:
        wanted = _any_of(entry.range)
        given = self._outside(wanted, made) if wanted else None
        if given is not None:
            yield finding(
                "MAP-208", place, property=self.vocabulary.shorten(entry.iri), wanted=self._either(wanted), given=given
            )  # fmt: skip

    def _outside(self, wanted: frozenset[str], made: Made) -> Text | str | None:
        """Say what the rule gives when it is certainly not in the range."""
        datatypes = frozenset(name for name in wanted if self._is_datatype(name))
        if made.kind == "literal":
            if not datatypes:
                return _A_VALUE
            return None if _compatible(made.datatypes, datatypes) else self._either(made.datatypes or ())
        classes = wanted - datatypes
        nodes = self.world.reached(made)
        described = [node for node in nodes or () if node.classes]
        if not described or not classes or not self.world.complete:
            return None
        if any(self.world.is_a(described, name) for name in classes):
            return None
        return self._either({said.iri for node in described for said in node.classes})

    def _either(self, names: Iterable[str]) -> str:
        return " | ".join(sorted(self.vocabulary.shorten(name) for name in names))

    # --- codes --------------------------------------------------------------------------------------------------------------

    def _code(self, made: Made, place: Place) -> Iterator[Finding]:
        """Look up codes that the mapping writes itself in the code lists of the territory."""
        if made.kind != "iri":
            return
        for iri in made.strings.constants or ():
            scheme = namespace_of(iri)
            known = [code for code in self.vocabulary.concepts if namespace_of(code) == scheme]
            if not known or iri in self.vocabulary.concepts or self._is_minted(iri):
                continue
            names = {code.removeprefix(scheme): code for code in known}
            local = iri.removeprefix(scheme)
            yield finding(
                "MAP-209", place, level=Level.WARNING, hint=near(_closest(local, names)), notation=local,
                scheme=scheme.rstrip("/").rpartition("/")[2],
            )  # fmt: skip

    def _is_minted(self, iri: str) -> bool:
        return any(
            said.iri == SKOS + "Concept" and node.strings.holds(iri)
            for node in (*self.world.own, *self.world.around)
            for said in node.classes
        )


def _any_of(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """Join domains (or ranges): most vocabularies mean several as a choice, whatever RDFS says; nothing when any will do."""
    wanted = frozenset[str]().union(*sets)
    return frozenset() if wanted & _ANY else wanted


def _closest(name: str, names: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.4)
    return found[0] if found else None


def _compatible(given: frozenset[str] | None, wanted: frozenset[str]) -> bool:
    """Tell whether a literal may be of one of the datatypes; a narrower datatype is one of the wider."""
    if given is None or wanted & _LITERALS:
        return True
    for one in given:
        for other in wanted:
            if one == other or any({one, other} <= family for family in (_TEXTS, _INSTANTS, _DURATIONS)):
                return True
            if {one, other} <= _INTEGERS or (other == XSD + "decimal" and one in _INTEGERS):
                return True
            if other == XSD + "string" and one == RDF + "langString":
                return True
    return False
