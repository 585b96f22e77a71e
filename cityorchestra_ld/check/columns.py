"""Hold the columns and paths that a mapping asks for against headers, contracts and what must not leave a file."""

from __future__ import annotations

import fnmatch
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cityorchestra_ld.check import personal
from cityorchestra_ld.check.findings import Finding, finding, near
from cityorchestra_ld.errors import Place
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.plan import Field, FunctionCall, Join, LogicalSource, Plan, TermMap, TriplesMap, references
from cityorchestra_ld.model import SourceSpec
from cityorchestra_ld.sources.contract import nearest
from cityorchestra_ld.sources.peek import Peek

_RECORDS: Final = 200
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Use:
    """One place of a mapping that asks a source for something."""

    source: str  # name in the plan
    reference: str
    rule: str
    line: int | None
    join: bool = False


def uses(plan: Plan) -> Iterator[Use]:
    """Yield everything that a mapping asks of its sources, with the line that asks for it."""
    for item in plan.maps:
        yield from _condition(item, item.condition)
        for term in (item.subject, *item.graphs):
            yield from _term(item, term, item.line)
        for pair in item.predicate_objects:
            yield from _condition(item, pair.condition)
            for term in (*pair.predicates, *pair.graphs):
                yield from _term(item, term, pair.line)
            for target in pair.objects:
                if isinstance(target, Join):
                    yield from _join(plan, item, target, pair.line)
                else:
                    yield from _term(item, target, pair.line)
    for view in plan.views.values():
        yield from (Use(view.on, text, view.name, view.line) for field in view.fields for text in _asked(field))


def _condition(item: TriplesMap, call: FunctionCall | None) -> Iterator[Use]:
    line = (call.line if call else None) or item.line
    yield from (Use(item.source, text, item.name, line) for text in references(call))


def _term(item: TriplesMap, term: TermMap, around: int | None) -> Iterator[Use]:
    line = term.line or around or item.line
    for part in (term, term.datatype, term.language):
        yield from (Use(item.source, text, item.name, line) for text in references(part.expression if part else None))


def _join(plan: Plan, item: TriplesMap, join: Join, around: int | None) -> Iterator[Use]:
    line, parent = join.line or around or item.line, plan.triples_map(join.parent)
    for condition in join.conditions:
        yield from (Use(item.source, text, item.name, line, join=True) for text in references(condition.child))
        yield from (Use(parent.source, text, item.name, line, join=True) for text in references(condition.parent))


def _asked(field: Field) -> Iterator[str]:
    """Yield what a field asks of a record; fields inside a field ask it of the value around them."""
    if field.iterator is not None:
        yield field.iterator
    else:
        yield from references(field.expression)


# --- headers ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What a source has, as far as it was seen."""

    label: str
    names: tuple[str, ...]
    records: Sequence[Any] | None = None  # the first records of a JSON source


def check_columns(plan: Plan, headers: Mapping[str, Peek], specs: Mapping[str, SourceSpec]) -> Iterator[Finding]:
    """Yield findings for columns that are absent, forbidden or personal-looking, each at the first line that asks for it."""
    known: dict[str, _Known | None] = {}
    seen: set[tuple[object, ...]] = set()
    for use in uses(plan):
        if use.source in plan.views:
            continue  # fields of a view; the compiler names the nearest one
        source = plan.logical[use.source]
        if use.source not in known:
            known[use.source] = _known(source, headers.get(source.spec.name))
        found = list(_absent(use, known[use.source], plan.path)) + list(
            _unwanted(use, source, specs.get(source.spec.name), known[use.source], plan.path)
        )
        for item in found:
            key = (item.code, use.source, use.reference, item.place.line)
            if key not in seen:
                seen.add(key)
                yield item


def _known(source: LogicalSource, header: Peek | None) -> _Known | None:
    if header is None:
        return None
    if header.columns is not None:
        return _Known(header.label, header.columns)
    if header.document is None:
        return None
    try:
        found = jsonpath.find(header.document, jsonpath.parse(source.iterator or "$"))
        records = [msgspec.json.decode(raw) for _, raw in itertools.islice(found, _RECORDS)]
    except msgspec.DecodeError:
        return None  # reading the source says where it is malformed
    return _Known(header.label, tuple(dict.fromkeys(_paths(records))), records)


def _paths(records: Sequence[Any], prefix: str = "") -> Iterator[str]:
    """Yield the paths to the values of records, as a mapping writes them."""
    for record in records:
        if isinstance(record, dict):
            for name, value in record.items():
                step = name if name.replace("_", "").replace("-", "").isalnum() else f"['{name}']"
                path = f"{prefix}.{step}" if prefix and not step.startswith("[") else f"{prefix}{step}"
                yield path
                yield from _paths([value], path)
        elif isinstance(record, list) and prefix:
            if record:
                yield f"{prefix}[*]"
            yield from _paths(record[:5], f"{prefix}[*]")


def _absent(use: Use, known: _Known | None, path: Path) -> Iterator[Finding]:
    if known is None or _has(use.reference, known):
        return
    names = [name for name in known.names if "[*]" not in name] if known.records is not None else list(known.names)
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    place = Place(file=str(path), line=use.line, column=use.reference, rule=use.rule)
    code = "MAP-102" if known.records is not None else "MAP-101"
    if use.join:
        code = "MAP-105"
    yield finding(
        code, place, hint=near(nearest(use.reference, known.names)), column=use.reference, file=known.label, columns=shown,
        rule=use.rule, count=str(len(known.records or ())),
    )  # fmt: skip


def _has(reference: str, known: _Known) -> bool:
    if known.records is None:
        return reference in known.names
    try:
        steps = jsonpath.parse(reference)
    except ValueError:
        return True  # the compiler says that it is malformed
    if not known.records or reference in known.names:
        return True
    return any(next(iter(jsonpath.find(json.dumps(record).encode(), steps)), None) is not None for record in known.records)


def _unwanted(use: Use, source: LogicalSource, spec: SourceSpec | None, known: _Known | None, path: Path) -> Iterator[Finding]:
    place = Place(file=str(path), line=use.line, column=use.reference, rule=use.rule)
    if spec is not None and any(fnmatch.fnmatchcase(use.reference, pattern) for pattern in spec.forbidden):
        yield finding("MAP-103", place, column=use.reference, rule=use.rule)
        return
    last = use.reference.removesuffix("[*]").rpartition(".")[2]
    reason = personal.by_name(last, known.names if known else ())
    if reason is not None and not use.join and not _is_figure(use.reference, spec):
        yield finding("MAP-104", place, column=use.reference, reason=reason)


def _is_figure(reference: str, spec: SourceSpec | None) -> bool:
    """Tell whether the contract promises a number: "PDL" is then how many delivery points there are, not which one."""
    return any(column.name == reference and column.kind in ("integer", "decimal") for column in spec.columns) if spec else False


# --- sources ------------------------------------------------------------------------------------------------------------------


def check_declared(plan: Plan, specs: Mapping[str, SourceSpec], dataset_file: Path) -> Iterator[Finding]:
    """Yield findings for sources that the mapping reads without declaration, and for declarations that nothing reads."""
    read = set(plan.names)
    for source in plan.sources:
        if source.spec.name not in specs:
            place = Place(file=str(plan.path), line=source.line, value=source.spec.name)
            yield finding("MAP-003", place, hint=near(nearest(source.spec.name, list(specs))), source=source.spec.name)
    for name in specs:
        if name not in read:
            yield finding("MAP-006", Place(file=str(dataset_file), value=name), source=name)
