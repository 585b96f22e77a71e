"""Find what was observed of a thing over time, and lay it out as charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import REUSED, SKOS
from cityorchestra_ld.web.charts import Lines, Strip, lines, strip
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.panels import day_of, moment_of
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import clean
from cityorchestra_ld.web.vocabulary import unit_symbol

_MOST: Final = 4_000  # observations that are looked at
_SHOWN: Final = 6  # charts of one page
_NOTATION: Final = ox.NamedNode(f"{SKOS}notation")
_OF: Final = tuple(
    ox.NamedNode(REUSED[prefix] + name)
    for prefix, name in (("sosa", "hasFeatureOfInterest"), ("sd", "refArea"), ("sosa", "madeBySensor"))
)
_VALUES: Final = frozenset((REUSED["sm"] + "obsValue", REUSED["sosa"] + "hasSimpleResult"))
_STATE: Final = REUSED["sosa"] + "hasResult"
_UNITS: Final = frozenset((REUSED["sa"] + "unitMeasure", REUSED["qudt"] + "hasUnit"))
_WHEN: Final = (REUSED["sd"] + "refPeriod", REUSED["sosa"] + "phenomenonTime", REUSED["sosa"] + "resultTime")
_TIMES: Final = tuple(ox.NamedNode(REUSED["time"] + name) for name in ("inXSDDate", "inXSDDateTimeStamp", "inXSDDateTime"))
_BEGIN: Final = ox.NamedNode(REUSED["time"] + "hasBeginning")
_ASIDE: Final = frozenset(("http://www.w3.org/1999/02/22-rdf-syntax-ns#type", REUSED["qb"] + "dataSet"))
_KEYS: Final = ("indicator", "observedProperty", "energyCarrier", "sector", "statistic", "madeBySensor")


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that was observed again and again."""

    title: str
    lines: Lines | None
    strip: Strip | None
    count: int


@dataclass(frozen=True, slots=True)
class _Reading:
    key: tuple[str, ...]
    moment: float
    when: str
    number: float | None
    state: str
    unit: str


def series_of(snapshot: Snapshot, iri: str, lang: Language) -> tuple[Series, ...]:
    """Collect the observations of a thing, grouped by what is observed; only what has at least three moments is a series."""
    groups: dict[tuple[str, ...], list[_Reading]] = {}
    for reading in _readings(snapshot, iri, lang):
        groups.setdefault(reading.key, []).append(reading)
    found = [made for key, readings in groups.items() if (made := _series(snapshot, key, readings, lang))]
    return tuple(sorted(found, key=lambda item: (-item.count, item.title))[:_SHOWN])


def _readings(snapshot: Snapshot, iri: str, lang: Language) -> Iterator[_Reading]:
    node = ox.NamedNode(iri)
    subjects = (quad.subject for predicate in _OF for quad in snapshot.plain(None, predicate, node))
    times: dict[str, ox.Literal | None] = {}
    for subject in islice(subjects, _MOST):
        if not isinstance(subject, ox.NamedNode):
            continue
        told = {quad.predicate.value: quad.object for quad in snapshot.plain(subject, None, None)}
        when = next((moment for name in _WHEN if (moment := _moment(snapshot, told.get(name), times))), None)
        place = moment_of(when) if when else None
        if when is None or place is None:
            continue
        value = next((told[name] for name in _VALUES if isinstance(told.get(name), ox.Literal)), None)
        state = told.get(_STATE)
        number = _number(value)
        if number is None and not isinstance(state, ox.NamedNode):
            continue
        unit = next((term.value for name in _UNITS if isinstance(term := told.get(name), ox.NamedNode)), "")
        key = tuple(
            term.value
            for name, term in sorted(told.items(), key=lambda item: _order(item[0]))
            if name.endswith(_KEYS) and name not in _ASIDE and isinstance(term, ox.NamedNode) and term.value != iri
        )
        yield _Reading(key, place, day_of(when, lang), number, state.value if isinstance(state, ox.NamedNode) else "", unit)


def _order(name: str) -> int:
    return next((place for place, key in enumerate(_KEYS) if name.endswith(key)), len(_KEYS))


def _moment(snapshot: Snapshot, term: object, known: dict[str, ox.Literal | None]) -> ox.Literal | None:
    """Return a year, date or instant; an interval stands for its beginning."""
    if isinstance(term, ox.Literal):
        return term
    if not isinstance(term, ox.NamedNode):
        return None
    if term.value not in known:
        nodes = [term, *(quad.object for quad in snapshot.plain(term, _BEGIN, None) if isinstance(quad.object, ox.NamedNode))]
        found = (quad.object for node in nodes for name in _TIMES for quad in snapshot.plain(node, name, None))
        known[term.value] = next((value for value in found if isinstance(value, ox.Literal)), None)
    return known[term.value]


def _number(term: object) -> float | None:
    try:
        return float(term.value) if isinstance(term, ox.Literal) else None
    except ValueError:
        return None


def _series(snapshot: Snapshot, key: tuple[str, ...], readings: list[_Reading], lang: Language) -> Series | None:
    names = [snapshot.labels.of(iri, lang) for iri in key]
    title = clean(
        ", ".join([*names[:1], *(name[:1].lower() + name[1:] if name[1:2].islower() else name for name in names[1:])])
    )
    numbers = [(reading.moment, reading.when, reading.number) for reading in readings if reading.number is not None]
    if len({moment for moment, _, _ in numbers}) >= 3:
        unit = next((unit_symbol(reading.unit) or "" for reading in readings if reading.unit), "")
        return Series(title, lines(numbers, lang, unit=unit, axis=title), None, len(numbers))
    states = [(reading.moment, reading.when, reading.state) for reading in readings if reading.state]
    if len({moment for moment, _, _ in states}) < 3:
        return None
    ranks = {state: _rank(snapshot, state) for _, _, state in states}
    rows = [(state, clean(snapshot.labels.of(state, lang))) for state in sorted(ranks, key=lambda state: ranks[state])]
    return Series(title, None, strip(states, rows), len(states))


def _rank(snapshot: Snapshot, state: str) -> tuple[str, str]:
    notation = next(iter(snapshot.all(ox.NamedNode(state), _NOTATION, None)), None)
    return (notation.object.value if notation and isinstance(notation.object, ox.Literal) else "", state)
