"""What texts an expression of a mapping can give: constants, cells with their contract, templates, and functions one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.check.strings import ANYTHING, UNKNOWN, Hole, Strings, either, joined
from cityorchestra_ld.mapping.functions import Bound, Parameter, resolve_function
from cityorchestra_ld.mapping.functions_data import SC
from cityorchestra_ld.mapping.plan import Expression, Fixed, Reference, Template
from cityorchestra_ld.namespaces import FN

_NUMBER: Final = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
_PATTERNS: Final[Mapping[str, str]] = {
    "integer": "-?[0-9]+",
    "length": "[0-9]+",
    "decimal": r"-?[0-9]+(\.[0-9]+)?",
    "multiply": r"-?[0-9]+(\.[0-9]+)?",
    "divide": r"-?[0-9]+(\.[0-9]+)?",
    "add": r"-?[0-9]+(\.[0-9]+)?",
    "subtract": r"-?[0-9]+(\.[0-9]+)?",
    "boolean": "true|false",
    "date": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "dateTime": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})",
    "epoch": r"-?[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
    "duration": "PT[0-9]+H[0-9]+M[0-9]+S",
    "point": rf"POINT\({_NUMBER} {_NUMBER}\)",
    "pointFromPair": rf"POINT\({_NUMBER} {_NUMBER}\)",
    "geometry": "(POINT|MULTIPOINT|LINESTRING|MULTILINESTRING|POLYGON|MULTIPOLYGON|GEOMETRYCOLLECTION) ?[(][^a-z]*[)]",
    "slug": "[a-z0-9]+(-[a-z0-9]+)*",
}

Cell = Callable[[str], Hole]  # what is known of a column


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of an expression, the columns they come from, and whether one record can give several."""

    strings: Strings
    references: tuple[str, ...] = ()
    many: bool = False
    datatype: str | None = None  # of a literal when the mapping names none


def texts_of(expression: Expression, cell: Cell) -> Texts:
    """Follow an expression; what is not understood may be anything."""
    if isinstance(expression, Fixed):
        return Texts(Strings.of(expression.term.value))
    if isinstance(expression, Reference):
        return Texts(Strings.of(cell(expression.text)), (expression.text,), _is_many(expression.text))
    if isinstance(expression, Template):
        return template_texts(expression, cell)
    return _call(resolve_function(expression), cell)


def template_texts(template: Template, cell: Cell, *, encoded: bool = False) -> Texts:
    """Follow a template, with its cells percent-encoded when it makes an IRI."""
    parts = [
        part if isinstance(part, str) else (cell(part.text).encoded if encoded else cell(part.text)) for part in template.parts
    ]
    references = tuple(dict.fromkeys(reference.text for reference in template.references))
    return Texts(Strings.of(*parts), references, any(_is_many(reference) for reference in references))


def _is_many(reference: str) -> bool:
    return "[*]" in reference or ".*" in reference or ".." in reference


# --- functions ----------------------------------------------------------------------------------------------------------------


def _call(bound: Bound, cell: Cell) -> Texts:
    given = [(parameter, [texts_of(value, cell) for value in values]) for parameter, values in bound.arguments]
    everything = [texts for _, several in given for texts in several]
    references = tuple(dict.fromkeys(reference for texts in everything for reference in texts.references))
    many = bound.function.returns == "list" or any(texts.many for texts in everything)
    strings = _strings(bound.function.names[0].removeprefix(FN), given)
    return Texts(strings, references, many, bound.function.datatype)


_Given = Sequence[tuple[Parameter, list[Texts]]]


def _strings(name: str, given: _Given) -> Strings:
    arguments = {parameter.name: several for parameter, several in given}
    match name:
        case "concat":
            return _concat(arguments)
        case "lookup":
            return either([*_table(arguments), *(t.strings for t in arguments.get("else", ()) if t.strings.constants != ("",))])
        case "coalesce":
            return either(texts.strings for texts in arguments["value"])
        case "if":
            return either(t.strings for part in ("value", "else") for t in arguments.get(part, ()))
        case "confStatus":
            return either([Strings.of(SC + "confStatus-C"), Strings.of(SC + "confStatus-F")])
        case "obsStatus":
            return either([Strings.of(SC + "obsStatus-M"), Strings.of(SC + "obsStatus-A")])
        case "trim":
            return _plain(arguments["value"])
        case "padLeft":
            return _padded(arguments)
    return Strings.of(Hole(_PATTERNS.get(name, ANYTHING)))


def _concat(arguments: Mapping[str, list[Texts]]) -> Strings:
    separator = next((t.strings.constants[0] for t in arguments.get("separator", ()) if t.strings.constants), "")
    pieces: list[Strings] = []
    for texts in arguments["value"]:
        if separator and pieces:
            return UNKNOWN  # a missing value takes its separator away
        pieces.append(texts.strings)
    return joined(pieces)


def _table(arguments: Mapping[str, list[Texts]]) -> Iterator[Strings]:
    for texts in arguments.get("table", ()):
        for constant in texts.strings.constants or ():
            for entry in constant.split(";"):
                _, equals, result = entry.partition("=")
                if equals:
                    yield Strings.of(result.strip())


def _plain(values: Sequence[Texts]) -> Strings:
    """A trimmed text keeps its contract when the contract has no room for white space."""
    strings = values[0].strings
    return UNKNOWN if strings.matches(r"^\s|\s$") else strings


def _padded(arguments: Mapping[str, list[Texts]]) -> Strings:
    length = next((t.strings.constants[0] for t in arguments.get("length", ()) if t.strings.constants), "")
    return Strings.of(Hole(f"[\\s\\S]{{{length},}}")) if re.fullmatch("[0-9]{1,2}", length) else UNKNOWN
