"""Work on validation reports: join them with the cells they speak of, name results for good, compare with the last run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from cityorchestra_ld.errors import ShapesError, Text
from cityorchestra_ld.model import Origin, Result, ResultGroup, Severity, ValidationReport

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


@dataclass(frozen=True, slots=True)
class Change:
    """One group of results now and in the last run."""

    group: ResultGroup
    before: int
    now: int

    @property
    def state(self) -> str:
        """Tell new, fixed or remaining."""
        return "new" if not self.before else "fixed" if not self.now else "remaining"


def compare(before: ValidationReport, now: ValidationReport) -> tuple[Change, ...]:
    """Compare two reports group by group: what is new, what was fixed, what remains."""

    def by_key(report: ValidationReport) -> dict[tuple[str, str | None, str, Severity], ResultGroup]:
        return {(g.shape, g.path, g.component, g.severity): g for g in report.groups}

    old, new = by_key(before), by_key(now)
    changes = [Change(group, old[key].count if key in old else 0, group.count) for key, group in new.items()]
    return (*changes, *(Change(group, group.count, 0) for key, group in old.items() if key not in new))


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
