"""Work on validation reports: join them with the cells they speak of, name results for good, compare with the last run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from cityorchestra_ld.errors import ShapesError, Text
from cityorchestra_ld.model import Comparison, GroupChange, Origin, Result, ResultGroup, Severity, ValidationReport

Lookup = Callable[[Sequence[Result]], Mapping[Result, tuple[Origin, ...]]]


def with_origins(report: ValidationReport, lookup: Lookup) -> ValidationReport:
    """Join the shown results with the cells and rules that made their triples."""
    found = lookup(report.results)
    return replace(report, results=tuple(replace(result, origins=tuple(found.get(result, ()))) for result in report.results))


def identity(result: Result) -> str:
    """Name a result for good: the same finding on the same node has the same name in every run."""
    parts = (result.shape, result.component, result.path or "", result.focus, result.value or "")
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def results_of(report: ValidationReport, group: ResultGroup) -> tuple[Result, ...]:
    """Return the shown results of a group."""
    key = (group.shape, group.path, group.component, group.severity)
    return tuple(result for result in report.results if (result.shape, result.path, result.component, result.severity) == key)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a partner file and how many results speak of it."""

    file: str
    column: str
    count: int


def worst_columns(report: ValidationReport, limit: int = 3) -> tuple[Column, ...]:
    """
    Return the columns behind most results, for the data owner's first look.

    Counts of a group are spread over the columns of its shown results.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for group in report.groups:
        cells = Counter((o.file, o.column) for r in results_of(report, group) for o in r.origins[:1] if o.column is not None)
        total = sum(cells.values())
        for (file, column), number in cells.items():
            counts[file, str(column)] += round(group.count * number / total)
    return tuple(Column(file, column, count) for (file, column), count in counts.most_common(limit))


def compare(before: ValidationReport, now: ValidationReport, run: str = "") -> Comparison:
    """Compare two reports group by group: what is new, what was fixed, what remains."""
    old, new = _by_key(before), _by_key(now)
    changes = [_change(before, now, old.get(key), group) for key, group in new.items()]
    changes += [_change(before, now, group, None) for key, group in old.items() if key not in new]
    return Comparison(run=run, groups=tuple(changes))


def _by_key(report: ValidationReport) -> dict[tuple[str, str | None, str, Severity], ResultGroup]:
    return {(g.shape, g.path, g.component, g.severity): g for g in report.groups}


def _change(before: ValidationReport, now: ValidationReport, old: ResultGroup | None, new: ResultGroup | None) -> GroupChange:
    group = new or old
    if group is None:
        raise ValueError("a group is in neither report")
    was, has = old.count if old else 0, new.count if new else 0
    remaining = min(was, has)
    if old and new and old.shown == old.count and new.shown == new.count:
        then, after = ({identity(result) for result in results_of(r, g)} for r, g in ((before, old), (now, new)))
        if len(then) == was and len(after) == has:
            remaining = len(then & after)
    return GroupChange(group=group, new=has - remaining, fixed=was - remaining, remaining=remaining)


def compared(report: ValidationReport) -> Text | None:
    """Say in one sentence what changed since the run before; nothing when there is no such run, or nothing to say."""
    change = report.comparison
    if change is None or not (change.new or change.fixed or change.remaining):
        return None
    return Text(
        f"Depuis le passage précédent : {plural(change.new, 'nouveau', 'nouveaux')}, "
        f"{plural(change.fixed, 'corrigé', 'corrigés')}, {plural(change.remaining, 'qui demeure', 'qui demeurent')}.",
        f"Since the run before: {change.new} new, {change.fixed} fixed, {change.remaining} remaining.",
    )


def to_json(report: ValidationReport) -> bytes:
    """Write a report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1)


def from_json(content: bytes) -> ValidationReport:
    """Read a report that `to_json` wrote; raise ShapesError when it is something else."""
    try:
        return msgspec.json.decode(content, type=ValidationReport)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ShapesError(
            Text(f"Ce fichier n'est pas un rapport de validation : {error}", f"This file is not a validation report: {error}")
        ) from None


def verdict(report: ValidationReport) -> Text:
    """Say in one sentence how a validation ended."""
    violations, warnings = report.counts.get(Severity.VIOLATION, 0), report.counts.get(Severity.WARNING, 0)
    if not report.focus_nodes:
        return Text(
            "Rien n'a été vérifié : aucune forme ne vise ces données.", "Nothing was checked: no shape targets these data."
        )
    if violations:
        fr = f"Non conforme : {plural(violations, 'violation', 'violations')}"
        en = f"Does not conform: {plural(violations, 'violation', 'violations')}"
    elif warnings:
        fr, en = "Conforme, avec des avertissements", "Conforms, with warnings"
    else:
        return Text("Conforme.", "Conforms.")
    if warnings:
        fr += f" ; {plural(warnings, 'avertissement', 'avertissements')}"
        en += f"; {plural(warnings, 'warning', 'warnings')}"
    return Text(f"{fr}.", f"{en}.")


def plural(count: int, one: str, many: str) -> str:
    """
    Write a number with its noun.

    >>> plural(1200, "ligne", "lignes")
    '1\\u202f200 lignes'
    """
    return f"{count:,} {one if count < 2 else many}".replace(",", "\u202f")


def place(origin: Origin) -> str:
    """Write a cell as a fragment of its file (RFC 7111 for CSV, JSON Pointer for JSON)."""
    if origin.pointer is not None:
        return f"{origin.file}#{origin.pointer}"
    return f"{origin.file}#row={origin.row}" if origin.row is not None else origin.file
