"""Write a validation report as one self-contained page: for the data owner first, for the expert below."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Result, ResultGroup, Severity, ValidationReport
from cityorchestra_ld.validation.graph import local_name
from cityorchestra_ld.validation.report import compared, plural, results_of, verdict, worst_columns
from cityorchestra_ld.validation.text import LEVELS, cell, short

_GROUPS: Final = 200  # rows of the summary
_ROWS: Final = 1_000  # examples on the page
_SHOWN: Final = 200  # characters of a term
_FIRST: Final = 3  # what to fix first


@dataclass(frozen=True, slots=True)
class _Item:
    """A group as the page shows it."""

    group: ResultGroup
    first: Result | None
    rows: tuple[Result, ...]
    rule: str


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["fine"] = _fine
    return environment.get_template("report.html.j2")


def to_html(report: ValidationReport, title: Text) -> str:
    """Write the page; it reads in French, and in English after one click, without JavaScript."""
    items, left = [], _ROWS
    for group in report.groups[:_GROUPS]:
        results = results_of(report, group)
        rows = results[: max(0, left)]
        left -= len(rows)
        rule = f"{local_name(group.root_shape)} {short(group.component)} {_path(group.path)}".strip()
        items.append(_Item(group, results[0] if results else None, rows, rule))
    return _template().render(
        report=report,
        title=title,
        verdict=verdict(report),
        summary=_summary(report),
        compared=compared(report),
        level=_level(report),
        scope=_scope(report),
        groups=items,
        more=len(report.groups) > _GROUPS,
        columns=worst_columns(report),
        checked=[(local_name(shape), count) for shape, count in report.focus_counts.items() if count],
        idle=[local_name(shape) for shape in report.idle_shapes],
        levels=LEVELS,
        number=lambda count: plural(count, "", "").strip(),
        cell=cell,
        shorten=lambda text: text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…",
    )


def _path(path: str | None) -> str:
    return re.sub(r"<[^>]*>", lambda match: local_name(match[0]), path or "")


def _fine(text: str) -> str:
    """Put the no-break spaces that French typography wants."""
    return re.sub(r"(?<=«) | (?=[»:;?!])", "\u00a0", text)


def _level(report: ValidationReport) -> str:
    if report.counts.get(Severity.VIOLATION, 0):
        return Severity.VIOLATION.value
    return Severity.WARNING.value if report.counts.get(Severity.WARNING, 0) or not report.focus_nodes else "good"


def _summary(report: ValidationReport) -> Text | None:
    """Say what stands between these data and their publication, and how much the first corrections bring."""
    blocking = [group for group in report.groups if group.severity is Severity.VIOLATION]
    if not blocking:
        return None
    total, first = report.counts.get(Severity.VIOLATION, 0), sum(group.count for group in blocking[:_FIRST])
    broken = plural(len(blocking), "règle est enfreinte", "règles sont enfreintes")
    fr = f"Rien n'est publié tant qu'une violation demeure. {broken}"
    en = f"Nothing is published while a violation remains. {plural(len(blocking), 'rule is broken', 'rules are broken')}"
    if len(blocking) > _FIRST:
        share = 100 * first // total
        fr += f" ; les {_FIRST} premières corrections règlent {share} % des violations"
        en += f"; the first {_FIRST} corrections settle {share}% of the violations"
    return Text(f"{fr}.", f"{en}.")


def _scope(report: ValidationReport) -> Text:
    return Text(
        f"{plural(report.triples, 'triplet', 'triplets')}, {plural(report.focus_nodes, 'nœud vérifié', 'nœuds vérifiés')}, "
        f"{plural(len(report.shapes), 'forme', 'formes')}, moteur {report.engine or '–'}, {report.seconds:.1f} s.",
        f"{plural(report.triples, 'triple', 'triples')}, {plural(report.focus_nodes, 'node checked', 'nodes checked')}, "
        f"{plural(len(report.shapes), 'shape', 'shapes')}, engine {report.engine or '–'}, {report.seconds:.1f} s.",
    )
