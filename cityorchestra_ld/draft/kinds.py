"""Recognise what the cells of a column are: codes, numbers, dates, yes and no, coordinates, and codes of territories."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cityorchestra_ld.check import personal
from cityorchestra_ld.errors import Text

Kind = Literal["text", "code", "integer", "decimal", "date", "datetime", "epoch", "boolean"]
Role = Literal[
    "commune", "iris", "epci", "departement", "region", "year", "lon", "lat", "point", "geometry", "lambert", "label", "url",
    "description", "none",
]  # fmt: skip
_ENOUGH: Final = 0.98  # of the cells that are not empty
_HIDDEN: Final = frozenset({"s", "secret", "ns", "nd", "so", "nr", "-"})
_YES_NO: Final = frozenset({"true", "false", "oui", "non", "vrai", "faux", "yes", "no"})
_INTEGER: Final = re.compile("[-+]?(0|[1-9][0-9]*|[1-9][0-9]{0,2}([ \u00a0\u202f][0-9]{3})+)")
_POINT: Final = re.compile(r"[-+]?[0-9]+\.[0-9]+([eE][-+]?[0-9]+)?|\.[0-9]+")
_COMMA: Final = re.compile("[-+]?[0-9]{1,3}([ \u00a0\u202f]?[0-9]{3})*,[0-9]+|[-+]?[0-9]+,[0-9]+")
_DATES: Final = (
    ("iso", re.compile("[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")),
    ("dd/mm/yyyy", re.compile("(0[1-9]|[12][0-9]|3[01])/(0[1-9]|1[0-2])/[0-9]{4}")),
    ("yyyymmdd", re.compile("(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")),
)
_INSTANT: Final = re.compile(
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[-+][0-9]{2}:?[0-9]{2})?"
)
_EPOCH: Final = re.compile("1[0-9]{9}([0-9]{3})?")
_PAIR: Final = re.compile(r"\s*\[?\s*(-?[0-9]+\.[0-9]+)\s*[,; ]\s*(-?[0-9]+\.[0-9]+)\s*\]?\s*")
_CODE_NAME: Final = re.compile("(^|_)(code|id|ident|identifiant|numero|ref|reference|insee|siren|siret|cle|key)(_|$)")
_TERRITORIES: Final[tuple[tuple[Role, re.Pattern[str], re.Pattern[str]], ...]] = (
    ("iris", re.compile("iris"), re.compile("[0-9][0-9AB][0-9]{7}")),
    ("commune", re.compile("insee|commune|(^|_)com(_|$)|(^|_)codgeo(_|$)|depcom"), re.compile("[0-9][0-9AB][0-9]{3}")),
    ("epci", re.compile("epci"), re.compile("2[0-9]{8}")),
    ("departement", re.compile("(^|_)dep(artement)?(_|$)"), re.compile("[0-9][0-9AB]|9[78][0-9]")),
    ("region", re.compile("(^|_)reg(ion)?(_|$)"), re.compile("[0-9]{2}")),
)
_LABELS: Final = re.compile(
    "^(nom|name|libelle|label|titre|title|intitule|designation|resource_title)(_.*)?$|.*_(nom|name|libelle)$"
)
_DESCRIPTIONS: Final = re.compile("^(description|resume|summary|commentaires?|observations?|remarques?|desc)(_.*)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What the cells of one column look like."""

    name: str  # as the mapping will call it
    label: str  # as the file writes it
    kind: Kind
    role: Role = "none"
    filled: int = 0
    distinct: int = 0
    many: bool = False  # a list in each record
    pattern: str | None = None  # of codes
    detail: str = ""  # format of dates, order of coordinates
    mark: str = "."  # decimal mark
    hidden: bool = False  # words that hide a number
    smallest: float | None = None
    personal: Text | None = None
    examples: tuple[str, ...] = ()


def column(name: str, label: str, cells: Sequence[str], *, others: Iterable[str], many: bool = False) -> Column:
    """Look at the cells of a column, without the empty ones."""
    plain = personal.plain(label)
    kind, detail, mark, hidden = _kind(plain, cells)
    role, order = _role(plain, cells, kind)
    if role in ("commune", "iris", "epci", "departement", "region"):
        kind = "code"
    numbers = [_number(cell, mark) for cell in cells if cell.lower() not in _HIDDEN] if kind in ("integer", "decimal") else []
    distinct = len(set(cells))
    return Column(
        name=name,
        label=label,
        kind=kind,
        role=role,
        filled=len(cells),
        distinct=distinct,
        many=many,
        pattern=_pattern(cells) if kind == "code" else None,
        detail=detail or order,
        mark=mark,
        hidden=hidden,
        smallest=min((number for number in numbers if number is not None), default=None),
        personal=_personal(label, cells, kind, list(others)),
        examples=tuple(dict.fromkeys(cells[:200]))[:3],
    )


def _personal(label: str, cells: Sequence[str], kind: Kind, others: Sequence[str]) -> Text | None:
    """Say why a column looks personal; a count of meters is a figure, not a meter."""
    reason = personal.by_name(label, others)
    if reason is not None and kind in ("integer", "decimal") and "meter" in reason.en:
        return None
    return reason or personal.by_cells(label, cells[:500])


def _share(cells: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(pattern.fullmatch(cell) is not None for cell in cells) / len(cells) if cells else 0.0


def _number(cell: str, mark: str) -> float | None:
    try:
        return float(re.sub("[ \u00a0\u202f]", "", cell).replace(mark, "."))
    except ValueError:
        return None


def _kind(name: str, cells: Sequence[str]) -> tuple[Kind, str, str, bool]:
    """Return kind, detail (date format), decimal mark, and whether words hide some numbers."""
    if not cells:
        return "text", "", ".", False
    kind, form = _not_a_number(name, cells)
    if kind is not None:
        return kind, form, ".", False
    shown = [cell for cell in cells if cell.lower() not in _HIDDEN]
    hidden = len(shown) < len(cells)
    if not shown:
        return "text", "", ".", False
    if _is_code(name, shown):
        return "code", "", ".", False
    if _share(shown, _INTEGER) == 1.0:
        return "integer", "", ".", hidden
    for mark, pattern in ((".", _POINT), (",", _COMMA)):
        if sum(bool(pattern.fullmatch(c) or _INTEGER.fullmatch(c)) for c in shown) == len(shown):
            return "decimal", "", mark, hidden
    return "text", "", ".", False


def _not_a_number(name: str, cells: Sequence[str]) -> tuple[Kind | None, str]:
    """Recognise yes and no, instants and dates."""
    if all(cell.lower() in _YES_NO for cell in cells):
        return "boolean", ""
    if _share(cells, _INSTANT) >= _ENOUGH:
        return "datetime", ""
    for form, pattern in _DATES:
        if _share(cells, pattern) >= _ENOUGH and (form != "yyyymmdd" or "date" in name):
            return "date", form
    if _share(cells, _EPOCH) >= _ENOUGH and re.search("(report|update|maj|time|epoch|timestamp)", name):
        return "epoch", ""
    return None, ""


def _is_code(name: str, cells: Sequence[str]) -> bool:
    digits = [cell for cell in cells if cell.isdigit()]
    if any(len(cell) > 1 and cell.startswith("0") for cell in digits):
        return len(digits) >= 0.5 * len(cells)  # a leading zero: never a number
    short = all(len(cell) <= 40 and " " not in cell.strip() for cell in cells)
    return short and bool(_CODE_NAME.search(name)) and not re.search("(nb|nombre|total|numero_voie)", name)


def _pattern(cells: Sequence[str]) -> str | None:
    """Return a regular expression of codes that all have one length, or few; nothing when they are not regular."""
    lengths = Counter(len(cell) for cell in cells)
    if len(lengths) > 3:
        return None
    kinds = (
        "[0-9]"
        if all(cell.isdigit() for cell in cells)
        else "[0-9A-Z]"
        if all(re.fullmatch("[0-9A-Z]+", c) for c in cells)
        else None
    )
    if kinds is None:
        return None
    low, high = min(lengths), max(lengths)
    return f"{kinds}{{{low}}}" if low == high else f"{kinds}{{{low},{high}}}"


# --- roles --------------------------------------------------------------------------------------------------------------------


def _role(name: str, cells: Sequence[str], kind: Kind) -> tuple[Role, str]:
    """Return the role of a column, and the order of the coordinates of a pair."""
    for role, names, values in _TERRITORIES:
        if names.search(name) and cells and _share(cells, values) >= _ENOUGH:
            return role, ""
    if (
        re.search("(^|_)(annee|year|exercice|millesime|date)(_|$)", name)
        and _share(cells, re.compile("(19|20)[0-9]{2}")) == 1.0
    ):
        return "year", ""
    place = _place(name, cells)
    if place is not None:
        return place
    if kind == "text" and cells and all(cell.startswith(("http://", "https://")) for cell in cells[:200]):
        return "url", ""
    if _LABELS.match(name) and kind in ("text", "code"):
        return "label", ""
    return ("description", "") if _DESCRIPTIONS.match(name) and kind == "text" else ("none", "")


def _place(name: str, cells: Sequence[str]) -> tuple[Role, str] | None:
    numbers = [_number(cell, ".") for cell in cells[:500]]
    values = [number for number in numbers if number is not None]
    if cells and len(values) == len(numbers):
        if re.search("(^|_)x?(lon|long|longitude|lng|xlong)(_|$)", name) and all(-180 <= value <= 180 for value in values):
            return "lon", ""
        if re.search("(^|_)y?(lat|latitude|ylat)(_|$)", name) and all(-90 <= value <= 90 for value in values):
            return "lat", ""
        if re.fullmatch("x|y|x_l93|y_l93|x_lambert.*|y_lambert.*|coord_[xy]", name) and all(
            abs(value) > 1000 for value in values
        ):
            return "lambert", ""
    pairs = [found for cell in cells[:500] if (found := _PAIR.fullmatch(cell))]
    if cells and len(pairs) == len(cells[:500]):
        latitude_first = all(41 <= abs(float(pair[1])) <= 52 and abs(float(pair[2])) <= 10 for pair in pairs)
        return "point", "latlon" if latitude_first else "lonlat"
    return None
