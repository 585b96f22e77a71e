"""Lead validation results back to the cells and mapping rules that made what they complain about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cityorchestra_ld.mapping import Plan, Wanted, trace
from cityorchestra_ld.mapping.expected import at_expected_column
from cityorchestra_ld.model import Origin, Result, Table

_PREDICATE = re.compile(r"<[^<>]*>")
_FIRST_STEP = re.compile(r"<([^<>]*)>")


def find_origins(plan: Plan, tables: Mapping[str, Table], results: Sequence[Result]) -> Mapping[Result, tuple[Origin, ...]]:
    """
    Find the cells behind results by running the plan backwards: first the triple itself, else the subject.

    A value that is missing is shown at the column where the rule would have taken it from.
    """
    exact = {result: Wanted(result.focus, _predicate(result.path), result.value) for result in results}
    found = trace(plan, tables, list(exact.values()))
    missing = [result for result, wanted in exact.items() if not found.get(wanted)]
    subjects = trace(plan, tables, [Wanted(result.focus) for result in missing])
    answer = {result: found.get(wanted, ()) for result, wanted in exact.items()}
    for result in missing:
        origins = subjects.get(Wanted(result.focus), ())
        step = _FIRST_STEP.match(result.path or "")
        if step and result.value is None:
            origins = tuple(dict.fromkeys(at_expected_column(origin, plan, tables, step[1]) for origin in origins))
        answer[result] = origins
    return answer


def _predicate(path: str | None) -> str | None:
    """Return the predicate when the path is one forward step."""
    return path if path and _PREDICATE.fullmatch(path) else None
