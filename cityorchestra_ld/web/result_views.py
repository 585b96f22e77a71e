"""See a table of results as a chart or on a map, when it holds figures or places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import GEO, XSD
from cityorchestra_ld.web.charts import Bars, Lines, bars, lines
from cityorchestra_ld.web.geometry import read_wkt
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.maps import Feature, Map, draw, shape_of
from cityorchestra_ld.web.panels import moment_of, number_of
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, shorten

Rows = Sequence[Sequence[object]]
Cells = Sequence[Sequence[Shown | None]]
_TIMES: Final = frozenset(XSD + name for name in ("gYear", "gYearMonth", "date", "dateTime", "dateTimeStamp"))
_BARS: Final = 30
_TRIED: Final = 30  # rows in which an IRI must have a place, for its column to be drawn


def chart(columns: Sequence[str], rows: Rows, cells: Cells, lang: Language) -> tuple[Bars | None, Lines | None]:
    """Choose a column of names or of moments and one of figures; nothing without figures."""
    value = next((place for place in range(len(columns)) if _share(rows, place, number_of) > 0.5), None)
    if value is None or len(rows) < 2:
        return None, None
    when = next((place for place in range(len(columns)) if place != value and _share(rows, place, _time) > 0.9), None)
    figures = [(index, number) for index, row in enumerate(rows) if (number := number_of(row[value])) is not None]
    if when is not None:
        items = [
            (moment, cell.text, number)
            for index, number in figures
            if (moment := _time(rows[index][when])) is not None and (cell := cells[index][when])
        ]
        drawn = lines(items, lang, axis=columns[value]) if len({moment for moment, *_ in items}) == len(items) else None
        if drawn:
            return None, drawn
    name = _name_column(rows, len(columns), value)
    labelled = [(cell, number) for index, number in figures if name is not None and (cell := cells[index][name])]
    return bars(labelled[:_BARS], lang, axis=columns[value]), None


def _share(rows: Rows, place: int, read: Callable[[object], object]) -> float:
    """Return which part of a column can be read as something."""
    found = [row[place] for row in rows[:100]]
    return sum(1 for term in found if read(term) is not None) / len(found) if found else 0.0


def _time(term: object) -> float | None:
    return moment_of(term) if isinstance(term, ox.Literal) and term.datatype.value in _TIMES else None


def _name_column(rows: Rows, width: int, value: int) -> int | None:
    """Prefer words to addresses."""
    others = [place for place in range(width) if place != value]
    words = [place for place in others if _share(rows, place, _word) > 0.5]
    return words[0] if words else others[0] if others else None


def _word(term: object) -> str | None:
    return term.value if isinstance(term, ox.Literal) and number_of(term) is None and _time(term) is None else None


def place_map(snapshot: Snapshot, columns: Sequence[str], rows: Rows, cells: Cells) -> Map | None:
    """Draw the geometries of a column, else the places of the first column of IRIs that have some."""
    drawn = next((place for place in range(len(columns)) if _share(rows, place, _wkt) > 0.5), None)
    if drawn is not None:
        found = [(index, shape) for index, row in enumerate(rows) if (shape := read_wkt(_wkt(row[drawn]) or ""))]
    else:
        located = next((place for place in range(len(columns)) if _located(snapshot, rows, place)), None)
        if located is None:
            return None
        nodes = [(index, row[located]) for index, row in enumerate(rows)]
        found = [
            (index, shape)
            for index, node in nodes
            if isinstance(node, ox.NamedNode) and (shape := shape_of(snapshot, node.value))
        ]
    return draw(
        snapshot, [Feature(shape=shape, label=_label(cells[index]), href=_href(cells[index])) for index, shape in found]
    )


def _wkt(term: object) -> str | None:
    return term.value if isinstance(term, ox.Literal) and term.datatype.value == f"{GEO}wktLiteral" else None


def _located(snapshot: Snapshot, rows: Rows, place: int) -> bool:
    nodes = (row[place] for row in rows[:_TRIED])
    return any(isinstance(node, ox.NamedNode) and shape_of(snapshot, node.value) for node in nodes)


def _label(cells: Sequence[Shown | None]) -> str:
    words = [cell.text for cell in cells if cell and cell.kind not in ("shape", "link", "iri")] or [
        cell.text for cell in cells if cell
    ]
    return clean(shorten(", ".join(words[:3]), 120)[0])


def _href(cells: Sequence[Shown | None]) -> str | None:
    return next((cell.href for cell in cells if cell and cell.href), None)
