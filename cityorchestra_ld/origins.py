"""Lead validation results back to the cells and mapping rules that made what they complain about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cityorchestra_ld.mapping import Plan, Wanted, trace
from cityorchestra_ld.mapping.expected import at_expected_column
from cityorchestra_ld.model import Origin, Result, Table

_PREDICATE = re.compile(r"<[^<>]*>")
_BACKWARDS = re.compile(r"\(?\^\(?<[^<>]*>\)?\)?")
_FIRST_STEP = re.compile(r"<([^<>]*)>")


def find_origins(plan: Plan, tables: Mapping[str, Table], results: Sequence[Result]) -> Mapping[Result, tuple[Origin, ...]]:
    """
    Find the cells behind results by running the plan backwards: first the triple itself, else the subject.

    A value that is missing is shown at the column where the rule would have taken it from.
    """
    exact = {result: _wanted(result) for result in results}
    found = trace(plan, tables, list(exact.values()))
    nearby = {r: Wanted(w.subject, w.predicate) for r, w in exact.items() if w.predicate and not found.get(w)}
    found = {**found, **{exact[r]: origins for r, origins in _traced(plan, tables, nearby).items()}}
    missing = [result for result, wanted in exact.items() if not found.get(wanted)]
    subjects = trace(plan, tables, [Wanted(result.focus) for result in missing])
    answer = {result: found.get(wanted, ()) for result, wanted in exact.items()}
    for result in missing:
        origins = subjects.get(Wanted(result.focus), ())
        step = _FIRST_STEP.match(result.path or "")
        if step and _value(result) is None:
            origins = tuple(dict.fromkeys(at_expected_column(origin, plan, tables, step[1]) for origin in origins))
        answer[result] = origins
    return answer


def _traced(plan: Plan, tables: Mapping[str, Table], wanted: Mapping[Result, Wanted]) -> Mapping[Result, tuple[Origin, ...]]:
    """Find the other values of a property, for a result about a value that no cell made."""
    found = trace(plan, tables, list(wanted.values())) if wanted else {}
    return {result: found.get(item, ()) for result, item in wanted.items()}


def _wanted(result: Result) -> Wanted:
    """Say which triple a result complains about; for a step backwards, look where the value comes from."""
    path, value = result.path or "", _value(result)
    if value is not None and _BACKWARDS.fullmatch(path):
        return Wanted(value)
    return Wanted(result.focus, path if _PREDICATE.fullmatch(path) else None, value)


def _value(result: Result) -> str | None:
    """Return the value of a result; a rule in SPARQL that names none gives the focus node instead (SHACL, section 5.3.2)."""
    return None if result.value == result.focus and result.component == "SPARQLConstraintComponent" else result.value
