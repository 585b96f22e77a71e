"""Count raw results exactly and keep a bounded, deterministic sample of each group."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Result, ResultGroup, Severity, ValidationReport
from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.validation.engines import Row
from cityorchestra_ld.validation.messages import Messenger, short_component
from cityorchestra_ld.validation.rewrite import untag
from cityorchestra_ld.validation.shapes import ShapesGraph

GROUPS: Final = 1_000  # beyond, results of a shape and component are counted together whatever their path
_LEVELS: Final = {f"{SH}{level.value}": level for level in Severity}
_ORDER: Final = list(Severity)
_OWN_PATH: Final = frozenset({"ClosedConstraintComponent", "SPARQLConstraintComponent"})

Key = tuple[str, str | None, str, Severity]  # shape, path, component, severity


@dataclass(slots=True)
class _Group:
    count: int = 0
    sample: list[Row] = field(default_factory=list)


class Tally:
    """Results grouped by (shape, path, component, severity)."""

    def __init__(self, samples: int) -> None:
        self.total = 0
        self.complete = True
        self._samples = samples
        self._groups: dict[Key, _Group] = {}

    def add(self, row: Row, shapes: ShapesGraph) -> None:
        """Count one raw result."""
        component = short_component(row.component)
        path = path_of(row, shapes)
        severity = _LEVELS.get(row.severity, Severity.VIOLATION)  # a severity of one's own blocks: nobody said that it does not
        key: Key = (row.shape, path, component, severity)
        if key not in self._groups and len(self._groups) >= GROUPS:
            key = (row.shape, None, component, severity)
        self._put(key, 1, [row._replace(path=path)])

    def merge(self, other: Tally) -> None:
        """Add what another tally counted."""
        for key, group in other._groups.items():
            self._put(key, group.count, group.sample)

    def kept(self) -> Iterator[Row]:
        """Return the rows of all samples."""
        return (row for group in self._groups.values() for row in group.sample)

    def _put(self, key: Key, count: int, rows: list[Row]) -> None:
        group = self._groups.setdefault(key, _Group())
        group.count += count
        self.total += count
        for row in rows:
            if len(group.sample) < self._samples or _sortable(row) < _sortable(group.sample[-1]):
                bisect.insort(group.sample, row, key=_sortable)
                del group.sample[self._samples :]

    def report(
        self,
        shapes: ShapesGraph,
        messenger: Messenger,
        *,
        focus: Mapping[str, int],
        focus_nodes: int,
        engine: str,
        truncated: tuple[str, ...],
        triples: int,
        seconds: float,
    ) -> ValidationReport:
        """Build the report: groups with what to fix first on top, and the sampled results in the same order."""
        ordered = sorted(self._groups.items(), key=lambda item: rank(item[0], item[1].count))
        counts = dict.fromkeys(Severity, 0)
        groups, results = [], []
        for (shape, path, component, severity), group in ordered:
            counts[severity] += group.count
            known = shapes.shape(shape)
            root = known.root if known else shape
            groups.append(
                ResultGroup(
                    shape=shape,
                    path=path,
                    component=component,
                    severity=severity,
                    count=group.count,
                    shown=len(group.sample),
                    title=messenger.title(shape),
                    root_shape=root,
                )
            )
            results += [_result(row, component, severity, root, messenger) for row in group.sample]
        return ValidationReport(
            results=tuple(results),
            counts=counts,
            focus_nodes=focus_nodes,
            engine=engine,
            shapes=tuple(identity for identity, number in focus.items() if number),
            idle_shapes=tuple(identity for identity, number in focus.items() if not number),
            seconds=seconds,
            groups=tuple(groups),
            focus_counts=dict(focus),
            truncated=truncated,
            notes=shapes.notes + notes(focus_nodes),
            triples=triples,
        )


def path_of(row: Row, shapes: ShapesGraph) -> str | None:
    """Return the path of a result: the shape's own, but for components that find a path in the data."""
    shape = shapes.shape(row.shape)
    own = shape.path.sparql() if shape is not None and shape.path is not None else None
    component = short_component(row.component)
    found_in_data = component in _OWN_PATH or ":" in component
    is_predicate = row.path is not None and row.path.startswith("<") and row.path.count("<") == 1
    return row.path if is_predicate and (own is None or found_in_data) else own


def notes(focus_nodes: int) -> tuple[Text, ...]:
    """Say when nothing was looked at."""
    if focus_nodes:
        return ()
    return (
        Text("Aucune forme ne vise ces données : rien n'a été vérifié.", "No shape targets these data: nothing was checked."),
    )


def _sortable(row: Row) -> tuple[str, ...]:
    return tuple("" if part is None else str(part) for part in row)


def rank(key: Key, count: int) -> tuple[int, int, tuple[str, ...]]:
    """Return by what groups are sorted: what to fix first on top."""
    return _ORDER.index(key[3]), -count, tuple(str(part) for part in key)


def _result(row: Row, component: str, severity: Severity, root: str, messenger: Messenger) -> Result:
    return Result(
        focus=row.focus,
        path=row.path,
        value=row.value,
        component=component,
        severity=severity,
        shape=row.shape,
        message=messenger.message(row),
        engine_message=" | ".join(untag(row.messages).values()),
        root_shape=root,
    )
