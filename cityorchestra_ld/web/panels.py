"""Panels of pages: one named query of the territory each, its answer as figures, bars, a line, a map or a table."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlencode

import pyoxigraph as ox

from cityorchestra_ld.errors import CityOrchestraError, Text
from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.queries import NamedQuery, Term, bind
from cityorchestra_ld.store import Pool
from cityorchestra_ld.web.charts import Bars, Lines, bars, figure, lines
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.maps import Feature, Map, draw, shape_of
from cityorchestra_ld.web.resource import ResourceView
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.tables import Row, Table, read_table
from cityorchestra_ld.web.terms import Shown, clean, date_text, shorten, show_literal

_SLOT: Final = re.compile(r"VALUES\s+\?(\w+)\s*\{\s*UNDEF\s*\}", re.IGNORECASE)
_KEPT: Final = 300  # tables of one generation that are held beside the pages made from them
_HOLE: Final = re.compile(r"\{(\w+)\}")
_NUMBERS: Final = frozenset(XSD + name for name in ("integer", "decimal", "double", "float", "int", "long"))


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its name."""

    name: str
    value: Shown
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What a page shows of one query."""

    name: str
    title: str
    theme: str
    run: str
    note: str = ""
    answer: str = ""
    failed: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Shown | None, ...], ...] = ()
    figures: tuple[Figure, ...] = ()
    bars: Bars | None = None
    lines: Lines | None = None
    map: Map | None = None
    unit: str = ""

    @property
    def empty(self) -> bool:
        """Tell whether the data say nothing here."""
        return not (self.failed or self.rows or self.figures or self.bars or self.lines or self.map)


def bound(query: NamedQuery, **terms: Term) -> str:
    """Return the text of a query without its headers, with the slots filled that it has."""
    slots = set(_SLOT.findall(query.text))
    return bind(query.body, **{name: term for name, term in terms.items() if name in slots})


async def ask_all(pool: Pool, texts: Sequence[str], known: dict[str, Table]) -> list[Table | CityOrchestraError]:
    """Ask the workers what is not known yet; a query that fails is a value, because the others may be shown all the same."""

    if len(known) > _KEPT:
        known.clear()

    async def one(text: str) -> Table | CityOrchestraError:
        if text not in known:
            try:
                known[text] = await read_table(pool, text, client="pages")
            except CityOrchestraError as error:
                return error
        return known[text]

    waiting: list[Awaitable[Table | CityOrchestraError]] = [one(text) for text in texts]
    return list(await asyncio.gather(*waiting))


class PanelView:
    """Make panels in one language; it looks things up, so it works in one thread."""

    def __init__(self, snapshot: Snapshot, view: ResourceView, lang: Language, href: Callable[[str], str | None]) -> None:
        self._snapshot = snapshot
        self._view = view
        self._lang = lang
        self._href = href  # where a link to a place leads

    def panel(self, query: NamedQuery, text: str, table: Table | CityOrchestraError) -> Panel:
        """Make the panel of one query from its answer."""
        lang, about = self._lang, query.about
        run = "/sparql?" + urlencode({"query": text, "format": "html"}) + "#results"
        title = query.title.get(lang)
        theme = self._said(about, "theme")
        if isinstance(table, CityOrchestraError):
            return Panel(name=query.name, title=title, theme=theme, run=run, failed=table.message.get(lang))
        shown = set(about.get("show", "table").split())
        rows = table.rows
        hidden = {about[key] for key in about if key.startswith("link.")} | {"shape"}
        names = [name for name in table.columns if name not in hidden]
        many = "table" in shown or not shown & {"figures", "bars", "lines", "map"}
        return Panel(
            name=query.name,
            title=title,
            theme=theme,
            run=run,
            note=self._said(about, "note"),
            answer=self._answer(about, rows),
            columns=tuple(self._said(about, f"column.{name}") or name for name in names) if many else (),
            rows=tuple(tuple(self._cell(about, row, name) for name in names) for row in rows) if many else (),
            figures=tuple(self._figures(about, rows, names)) if "figures" in shown else (),
            bars=self._bars(about, rows) if "bars" in shown else None,
            lines=self._lines(about, rows) if "lines" in shown else None,
            map=self._map(about, rows) if "map" in shown else None,
            unit=about.get(f"unit.{about.get('value', 'value')}", ""),
        )

    def _said(self, about: Mapping[str, str], key: str) -> str:
        return about.get(f"{key}.{self._lang}") or about.get(f"{key}.fr") or about.get(key, "")

    def _cell(self, about: Mapping[str, str], row: Row, name: str) -> Shown | None:
        term = row.get(name)
        if term is None:
            return None
        target = row.get(about.get(f"link.{name}", ""))
        if isinstance(target, ox.NamedNode):
            text = term.value if isinstance(term, ox.Literal) else self._view.link(term.value).text
            href = self._href(target.value)
            return Shown(kind="link" if href else "text", text=clean(shorten(text, 200)[0]), raw=clean(target.value), href=href)
        if isinstance(term, ox.Literal):
            shown = show_literal(term, self._lang)
            number = number_of(term)
            unit = about.get(f"unit.{name}", "")
            if number is None:
                return shown
            return Shown(kind="number", text=figure(number, self._lang), raw=shown.raw or term.value, unit=unit)
        return self._view.link(term.value) if isinstance(term, ox.NamedNode) else None

    def _answer(self, about: Mapping[str, str], rows: Sequence[Row]) -> str:
        """Fill the sentence of a query with the first row; `{rows}` is the number of rows. No row, no sentence."""
        pattern = self._said(about, "answer")
        if not pattern or not rows:
            return ""
        plain = {key: value for key, value in about.items() if not key.startswith(("link.", "unit."))}

        def fill(hole: re.Match[str]) -> str:
            if hole.group(1) == "rows":
                return figure(len(rows), self._lang)
            cell = self._cell(plain, rows[0], hole.group(1))
            return cell.text if cell else "–"

        return _HOLE.sub(fill, pattern)

    def _figures(self, about: Mapping[str, str], rows: Sequence[Row], names: Sequence[str]) -> list[Figure]:
        first = rows[0] if rows else {}
        found = []
        for name in names:
            cell = self._cell({key: text for key, text in about.items() if not key.startswith("unit.")}, first, name)
            if cell is not None:
                found.append(Figure(self._said(about, f"column.{name}") or name, cell, about.get(f"unit.{name}", "")))
        return found

    def _numbers(self, about: Mapping[str, str], rows: Sequence[Row]) -> list[tuple[Row, float]]:
        name = about.get("value", "value")
        return [(row, number) for row in rows if (number := number_of(row.get(name))) is not None]

    def _bars(self, about: Mapping[str, str], rows: Sequence[Row]) -> Bars | None:
        label, value = about.get("label", "label"), about.get("value", "value")
        most = int(about["most"]) if about.get("most", "").isdecimal() else 12
        items = [(cell, number) for row, number in self._numbers(about, rows) if (cell := self._cell(about, row, label))]
        return bars(items[:most], self._lang, unit=about.get(f"unit.{value}", ""), axis=self._said(about, f"column.{value}"))

    def _lines(self, about: Mapping[str, str], rows: Sequence[Row]) -> Lines | None:
        label, value = about.get("label", "label"), about.get("value", "value")
        items = [
            (moment, day_of(when, self._lang), number)
            for row, number in self._numbers(about, rows)
            if isinstance(when := row.get(label), ox.Literal) and (moment := moment_of(when)) is not None
        ]
        return lines(items, self._lang, unit=about.get(f"unit.{value}", ""), axis=self._said(about, f"column.{value}"))

    def _map(self, about: Mapping[str, str], rows: Sequence[Row]) -> Map | None:
        place, value, unit = (
            about.get("place", "place"),
            about.get("value", "value"),
            about.get("unit." + about.get("value", ""), ""),
        )
        name = about.get("label", "")
        features = []
        for row in rows:
            node = row.get(place)
            shape = shape_of(self._snapshot, node.value) if isinstance(node, ox.NamedNode) else None
            if shape is None or not isinstance(node, ox.NamedNode):
                continue
            number = number_of(row.get(value)) if shape.rings else None
            label = row.get(name)
            text = label.value if isinstance(label, ox.Literal) else self._view.link(node.value).text
            said = f"{text} : {figure(number, self._lang)} {unit}".strip() if number is not None else text
            features.append(Feature(shape=shape, label=clean(shorten(said, 120)[0]), href=self._href(node.value), value=number))
        return draw(self._snapshot, features)


def number_of(term: object) -> float | None:
    """Return the number that a numeric literal means."""
    if not isinstance(term, ox.Literal) or term.datatype.value not in _NUMBERS:
        return None
    try:
        value = float(term.value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def day_of(literal: ox.Literal, lang: Language) -> str:
    """Write a moment as short as it may be on an axis: an instant by its day."""
    text = literal.value
    return (date_text(text[:10], f"{XSD}date", lang) if "T" in text else None) or show_literal(literal, lang).text


def moment_of(literal: ox.Literal) -> float | None:
    """
    Return where a year, month, date or instant lies in time, in days.

    >>> moment_of(ox.Literal("2024-01-02")) - moment_of(ox.Literal("2024"))
    1.0
    """
    parts = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d):(\d\d))?", literal.value)
    if parts is None:
        return None
    year, month, day, hour, minute = (int(part) if part else None for part in parts.groups())
    try:
        whole = date(year or 1, month or 1, day or 1).toordinal()
    except ValueError:
        return None
    return whole + ((hour or 0) * 60 + (minute or 0)) / 1440


def themes(panels: Sequence[Panel], other: Text, lang: Language) -> list[tuple[str, list[Panel]]]:
    """Group panels by theme, in the order in which they come; what says nothing is left out."""
    groups: dict[str, list[Panel]] = {}
    for panel in panels:
        if not panel.empty:
            groups.setdefault(panel.theme or other.get(lang), []).append(panel)
    return list(groups.items())
