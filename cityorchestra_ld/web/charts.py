"""Lay out bars and lines as plain numbers, which templates write as SVG: charts that need no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.terms import Shown, number_text

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 14, 34
_NAMED, _ROW = 190, 30  # room for the name of a state, height of its row
_TICKS: Final = 4
_NAMES: Final = 6  # names under a line chart


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it stands for, its figure, and its place between 0 and 100."""

    label: Shown
    text: str
    start: float
    length: float
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars on one scale."""

    bars: tuple[Bar, ...]
    unit: str = ""
    axis: str = ""  # what is counted


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid or a name on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Spot:
    """One measured point of a line chart."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A line chart of one series."""

    path: str
    spots: tuple[Spot, ...]
    rows: tuple[Tick, ...]
    names: tuple[Tick, ...]
    unit: str
    axis: str
    first: str
    last: str
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    bottom: int = _HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """States over time: one row for each state, one spot for each visit."""

    spots: tuple[Spot, ...]
    rows: tuple[Tick, ...]
    names: tuple[Tick, ...]
    height: int
    first: str
    last: str
    width: int = _WIDTH
    left: int = _NAMED


def bars(items: Sequence[tuple[Shown, float]], lang: Language, *, unit: str = "", axis: str = "") -> Bars | None:
    """Lay out bars; figures below zero go to the left of the others."""
    if not items:
        return None
    low, high = min(0.0, *(value for _, value in items)), max(0.0, *(value for _, value in items))
    span = (high - low) or 1.0
    laid = [
        Bar(
            label,
            figure(value, lang),
            round((min(value, 0.0) - low) / span * 100, 2),
            round(abs(value) / span * 100, 2),
            value < 0,
        )
        for label, value in items
    ]
    return Bars(tuple(laid), unit, axis)


def lines(items: Sequence[tuple[float, str, float]], lang: Language, *, unit: str = "", axis: str = "") -> Lines | None:
    """Lay out a line through (position in time, name of the moment, figure), in the order of time; `None` below two points."""
    ordered = sorted(items)
    if len({moment for moment, _, _ in ordered}) < 2:
        return None
    grid = _grid(min(value for *_, value in ordered), max(value for *_, value in ordered))
    low, high = grid[0], grid[-1]
    begin, end = ordered[0][0], ordered[-1][0]

    def x(moment: float) -> float:
        return round(_LEFT + (moment - begin) / (end - begin) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    spots = tuple(
        Spot(x(moment), y(value), f"{name} : {figure(value, lang)} {unit}".strip()) for moment, name, value in ordered
    )
    every = max(1, math.ceil(len(ordered) / _NAMES))
    return Lines(
        path="M" + "L".join(f"{spot.x:g} {spot.y:g}" for spot in spots),
        spots=spots if len(spots) <= 120 else (),
        rows=tuple(Tick(y(value), figure(value, lang)) for value in grid),
        names=tuple(Tick(x(moment), name) for moment, name, _ in ordered[::every]),
        unit=unit,
        axis=axis,
        first=ordered[0][1],
        last=ordered[-1][1],
    )


def strip(items: Sequence[tuple[float, str, str]], rows: Sequence[tuple[str, str]]) -> Strip | None:
    """Lay out (position in time, name of the moment, state) on one row for each state; `None` below two moments."""
    ordered = sorted(items)
    if len({moment for moment, _, _ in ordered}) < 2 or not rows:
        return None
    begin, end = ordered[0][0], ordered[-1][0]
    names = dict(rows)
    places = {state: _TOP + 12 + place * _ROW for place, (state, _) in enumerate(rows)}

    def x(moment: float) -> float:
        return round(_NAMED + (moment - begin) / (end - begin) * (_WIDTH - _NAMED - _RIGHT), 1)

    every = max(1, math.ceil(len(ordered) / 4))
    return Strip(
        spots=tuple(Spot(x(moment), places[state], f"{when} : {names[state]}") for moment, when, state in ordered),
        rows=tuple(Tick(places[state], name) for state, name in rows),
        names=tuple(Tick(x(moment), when) for moment, when, _ in ordered[::every]),
        height=_TOP + 12 + len(rows) * _ROW + 16,
        first=ordered[0][1],
        last=ordered[-1][1],
    )


def figure(value: float, lang: Language) -> str:
    """
    Write a figure with no more digits than people read.

    >>> figure(98686180.6, "en"), figure(6.944, "fr"), figure(0.0, "fr")
    ('98,686,181', '6,94', '0')
    """
    digits = 0 if abs(value) >= 1_000 else 1 if abs(value) >= 100 else 2
    return number_text(f"{value:.{digits}f}", lang) or f"{value:g}"


def _grid(low: float, high: float) -> list[float]:
    """Choose round values for the grid; it begins at zero unless the figures are far from it."""
    if low > 0 and low < 0.6 * high:
        low = 0.0
    if high == low:
        low, high = (low - 1, high + 1) if high else (0.0, 1.0)
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough)
    first = math.floor(low / step)
    last = math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]
