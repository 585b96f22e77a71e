"""Hold one term that a rule can make against the constraints on values of a shape; only what is certain counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.check.symbols import Made
from cityorchestra_ld.check.vocabulary import Vocabulary
from cityorchestra_ld.check.world import World
from cityorchestra_ld.errors import Text
from cityorchestra_ld.namespaces import RDF, SH, XSD
from cityorchestra_ld.validation.graph import Term
from cityorchestra_ld.validation.shapes import Shape

_LISTED: Final = 6
_KINDS: Final = {
    "IRI": {"iri"}, "BlankNode": {"blank"}, "Literal": {"literal"}, "BlankNodeOrIRI": {"blank", "iri"},
    "BlankNodeOrLiteral": {"blank", "literal"}, "IRIOrLiteral": {"iri", "literal"},
}  # fmt: skip
_KIND_WORDS: Final = {
    "iri": Text("un lien", "a link"),
    "blank": Text("un nœud sans nom", "a node without a name"),
    "literal": Text("une valeur", "a value"),
}
_READERS: Final = {
    "decimal": "fn:decimal", "integer": "fn:integer", "date": "fn:date", "dateTime": "fn:dateTime", "boolean": "fn:boolean",
    "dayTimeDuration": "fn:duration",
}  # fmt: skip
_LANG_STRING: Final = RDF + "langString"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a shape will refuse: a code and the words of its sentence; `sure` when every row breaks it."""

    code: str
    made: Made | None
    wanted: str | Text = ""
    given: str | Text = ""
    advice: str | Text = ""
    sure: bool = True


@dataclass(slots=True)
class ValueJudge:
    """Judges terms with the constraints that SHACL puts on each value (SHACL, sections 4.1, 4.3, 4.4 and 4.8)."""

    world: World

    @property
    def vocabulary(self) -> Vocabulary:
        """Return the terms that are known."""
        return self.world.vocabulary

    def judge(self, shape: Shape, made: Made) -> Iterator[Problem]:
        """Yield what is wrong with a term; one that cannot be a literal of a datatype is not asked for a language too."""
        tests: tuple[tuple[str, Callable[[Sequence[Term], Made], Problem | None]], ...] = (
            ("nodeKind", self._node_kind), ("datatype", self._datatype), ("languageIn", self._language), ("class", self._class),
            ("in", self._in), ("hasValue", self._has_value),
        )  # fmt: skip
        for name, test in tests:
            values = shape.parameters.get(name, ())
            problem = test(values, made) if values else None
            if problem is not None:
                yield problem
                return
        flags = "".join(value.value for value in shape.parameters.get("flags", ()))
        for pattern in shape.parameters.get("pattern", ()):
            if made.kind == "blank" or not made.strings.matches(pattern.value, flags):
                yield Problem("MAP-306", made, pattern.value, made.strings.shown)
        yield from self._bounds(shape, made)

    # --- kinds and types ----------------------------------------------------------------------------------------------------

    def _node_kind(self, values: Sequence[Term], made: Made) -> Problem | None:
        name = values[0].value.removeprefix(SH)
        allowed = _KINDS.get(name, {made.kind})
        if made.kind in allowed:
            return None
        wanted = [_KIND_WORDS[kind] for kind in ("iri", "blank", "literal") if kind in allowed]
        return Problem("MAP-302", made, _or(wanted), _described(made))

    def _datatype(self, values: Sequence[Term], made: Made) -> Problem | None:
        wanted = values[0].value
        if made.kind != "literal":
            return Problem("MAP-302", made, self._type(wanted), _described(made))
        if made.datatypes is None or wanted in made.datatypes:
            return None
        given = " | ".join(sorted(self.vocabulary.shorten(name) for name in made.datatypes))
        if wanted == _LANG_STRING:
            return Problem("MAP-305", made, "", f"{given} ({made.strings.shown})")
        return Problem("MAP-301", made, self._type(wanted), f"{given} ({made.strings.shown})", self._advice(wanted))

    def _type(self, iri: str) -> str:
        return self.vocabulary.shorten(iri)

    def _advice(self, wanted: str) -> Text:
        """Say how a rule comes to the datatype."""
        local = wanted.removeprefix(XSD)
        by = _READERS.get(local)
        shown = self._type(wanted)
        if by:
            return Text(
                f"Ajoutez {shown} à la valeur, ou lisez la cellule avec {by}.",
                f"Add {shown} to the value, or read the cell with {by}.",
            )
        if local == "string":
            return Text(
                "Retirez la langue ou le type : la valeur doit rester du texte.", "Remove the language or the datatype."
            )
        return Text(f"Ajoutez {shown} à la valeur.", f"Add {shown} to the value.")

    def _language(self, values: Sequence[Term], made: Made) -> Problem | None:
        tags = [value.value.lower() for value in values]
        listed = f" ({', '.join(tags)})"
        if made.kind != "literal":
            return Problem("MAP-302", made, _KIND_WORDS["literal"], _described(made))
        if made.languages is None or (made.languages and all(_in_range(tag, tags) for tag in made.languages)):
            return None
        given = ", ".join(sorted(made.languages)) or " | ".join(self.vocabulary.shorten(n) for n in made.datatypes or ())
        return Problem("MAP-305", made, listed, f"{given} ({made.strings.shown})")

    def _class(self, values: Sequence[Term], made: Made) -> Problem | None:
        for value in values:
            shown = self.vocabulary.shorten(value.value)
            if made.kind == "literal":
                return Problem("MAP-302", made, Text(f"un lien vers un {shown}", f"a link to a {shown}"), _described(made))
            nodes = self.world.reached(made)
            if nodes is None or not self.world.complete or any(node.open for node in nodes):
                continue
            if not self.world.is_instance(nodes, value.value):
                described = sorted({self.vocabulary.shorten(said.iri) for node in nodes for said in node.classes})
                return Problem("MAP-303", made, shown, made.strings.shown, _class_advice(shown, described))
        return None

    # --- lists --------------------------------------------------------------------------------------------------------------

    def _in(self, values: Sequence[Term], made: Made) -> Problem | None:
        wanted = _listed([self._written(value) for value in values])
        if not any(may_be(made, value) for value in values):
            return Problem("MAP-304", made, wanted, made.strings.shown)
        for text in (made.strings.constants or ()) if len(made.strings.alternatives) > 1 else ():
            if text not in {value.value for value in values}:
                return Problem("MAP-304", made, wanted, text, sure=False)
        return None

    def _has_value(self, values: Sequence[Term], made: Made) -> Problem | None:
        """Judge a node constraint; on a property, one of its values is enough, which is not for here."""
        missing = [value for value in values if not may_be(made, value)]
        return Problem("MAP-304", made, self._written(missing[0]), made.strings.shown) if missing else None

    def _written(self, value: Term) -> str:
        return self.vocabulary.shorten(value.value) if isinstance(value, ox.NamedNode) else value.value

    # --- bounds -------------------------------------------------------------------------------------------------------------

    def _bounds(self, shape: Shape, made: Made) -> Iterator[Problem]:
        text = made.constant
        if text is None:
            return
        for name, holds in _LENGTHS.items():
            for value in shape.parameters.get(name, ()):
                if made.kind == "blank" or not holds(len(text), int(value.value)):
                    yield Problem("MAP-307", made, f"sh:{name} {value.value}", text)
        number = _number(text)
        for name, compare in _NUMBERS.items():
            for value in shape.parameters.get(name, ()):
                bound = _number(value.value)
                if number is not None and bound is not None and not compare(number, bound):
                    yield Problem("MAP-307", made, f"sh:{name} {value.value}", text)


_LENGTHS: Final[dict[str, Callable[[int, int], bool]]] = {"minLength": int.__ge__, "maxLength": int.__le__}
_NUMBERS: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "minInclusive": lambda a, b: a >= b, "maxInclusive": lambda a, b: a <= b,
    "minExclusive": lambda a, b: a > b, "maxExclusive": lambda a, b: a < b,
}  # fmt: skip


def may_be(made: Made, value: Term) -> bool:
    """Tell whether a rule can make exactly this term."""
    if isinstance(value, ox.NamedNode):
        return made.kind == "iri" and made.strings.holds(value.value)
    if not isinstance(value, ox.Literal):
        return made.kind == "blank"
    if made.kind != "literal" or not made.strings.holds(value.value):
        return False
    if made.datatypes is not None and value.datatype.value not in made.datatypes:
        return False
    return made.languages is None or bool(made.languages) == bool(value.language)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _in_range(tag: str, ranges: Sequence[str]) -> bool:
    return any(wanted in ("*", tag) or tag.startswith(wanted + "-") for wanted in ranges)


def _described(made: Made) -> Text:
    kind = _KIND_WORDS[made.kind]
    return Text(f"{kind.fr} ({made.strings.shown})", f"{kind.en} ({made.strings.shown})")


def _or(words: Sequence[Text]) -> Text:
    return Text(" ou ".join(word.fr for word in words), " or ".join(word.en for word in words))


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:_LISTED]) + (", …" if len(words) > _LISTED else "")


def _class_advice(wanted: str, described: Sequence[str]) -> Text:
    if described:
        found = ", ".join(described)
        return Text(
            f"Cette chose est décrite comme {found} : corrigez le lien ou donnez-lui la classe {wanted}.",
            f"That thing is described as {found}: correct the link or give it the class {wanted}.",
        )
    return Text(
        "Rien ne décrit cette chose : corrigez le modèle d'IRI, ou ajoutez le jeu qui la décrit à dataset.toml (context).",
        "Nothing describes that thing: correct the IRI template, or add its dataset to dataset.toml (context).",
    )
