"""Validate a new version of a published graph by what changed, with the report that a validation of everything would give."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Limits, Result, ResultGroup, Severity, ValidationReport
from cityorchestra_ld.validation.check import validate
from cityorchestra_ld.validation.data import Staged
from cityorchestra_ld.validation.engines import EngineName, Validator, choose
from cityorchestra_ld.validation.literals import as_written
from cityorchestra_ld.validation.messages import Messenger, labels_in
from cityorchestra_ld.validation.run import Run
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.slice import Affected, Change, families, lines, wandering
from cityorchestra_ld.validation.state import Reader, StoreReader, TooMuchError, Triple, triples_of
from cityorchestra_ld.validation.survey import Survey
from cityorchestra_ld.validation.tally import GROUPS, Key, Tally, notes, rank

_LIMITS: Final = Limits()
_FEW: Final = 20_000  # changed triples, or affected focus nodes: so many never are too many
_SHARE: Final = 50  # of a large graph, one in so many
_READS: Final = 20  # triples looked at for each
_NAMED_BLANK: Final = "/.well-known/genid/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published graph in a read-only Oxigraph database, graphs that its shapes may also look at, and its report."""

    database: Path
    graph: str
    context: tuple[str, ...] = ()
    report: ValidationReport


def validate_change(
    published: Published,
    insertions: Path,
    removals: Path,
    shapes: ShapesGraph,
    *,
    content: Path | None = None,
    context: Callable[[], Sequence[Path]] | None = None,
    engine: EngineName = "auto",
    limits: Limits = _LIMITS,
) -> ValidationReport | None:
    """
    Judge only what a change can touch; nothing when a validation of everything is needed, or cheaper.

    Insertions and removals are N-Triples or N-Quads; two ways to write one value are no change. `content`, the whole new
    version as it was written, gives back the literals that the database writes its own way. Where the files of the context can
    be had too, shapes that a change cannot be led back to, or only by way of hubs, are judged apart, on everything. Shapes,
    context and software must be those of the published report. Everything is needed when that report holds samples only, when
    the class hierarchy changes, for custom components, for nodes without a name, and when the change reaches too far.
    """
    start = time.perf_counter()
    before = published.report
    if before.truncated or len(before.groups) >= GROUPS or len(before.results) != sum(before.counts.values()):
        return None
    most = max(_FEW, before.triples // _SHARE)
    store = ox.Store.read_only(str(published.database))
    own = StoreReader(store, (published.graph,))
    beside = StoreReader(store, published.context) if published.context else None
    try:
        added, removed = _read(insertions, most), _read(removals, most)
        change = Change(own, added, removed, shapes, beside=beside, most=_READS * most)
        if change.changes_classes:
            return None
        apart = change.far if content is not None and context is not None else frozenset[str]()
        if not apart.issuperset(change.opaque) or _wanders(shapes, before, apart):
            return None
        affected = change.affected(apart)
        found = [_judge(change, affected, apart, shapes, _Way(choose(engine), limits, own, beside, content))]
        if content is not None and context is not None and any(_focus(before, affected, shapes, apart).values()):
            found.append(validate(content, shapes, context=context(), engine=engine, limits=limits, only=apart))
        nodes = before.focus_nodes + change.balance(affected)
    except TooMuchError:
        return None
    if any(part.truncated for part in found):
        return None
    count = len(frozenset().union(*(some for name, some in affected.judged.items() if name not in apart)))
    return replace(
        _merged(shapes, before, found, affected, apart, limits.report_samples),
        focus_nodes=nodes,
        triples=before.triples + len(added) - len(removed),
        seconds=round(time.perf_counter() - start, 3),
        notes=(*shapes.notes, *notes(nodes), _note(count)),
        judged=count,
    )


def _read(path: Path, most: int) -> list[Triple]:
    """Read changed triples; a node that the database had to name stops all, since it has another name in the file."""
    found = list(islice(triples_of(ox.parse(path=str(path), format=ox.RdfFormat.N_QUADS)), most + 1))
    if len(found) > most or _any_was_blank(found):
        raise TooMuchError
    return found


def _any_was_blank(triples: Iterable[Triple]) -> bool:
    return any(
        isinstance(term, ox.BlankNode) or (isinstance(term, ox.NamedNode) and _NAMED_BLANK in term.value)
        for subject, _, value in triples
        for term in (subject, value)
    )


def _wanders(shapes: ShapesGraph, before: ValidationReport, apart: Collection[str]) -> bool:
    """Tell whether there are results that nobody can lead back to the focus node that brought them."""
    family = families(shapes)
    far = wandering(shapes) - {family[identity] for identity in apart}
    return any(result.shape not in family or family[result.shape] in far for result in before.results)


def _note(count: int) -> Text:
    return Text(
        f"Seuls les {count} nœuds que le changement peut toucher ont été rejugés ; le reste vient du rapport précédent.",
        f"Only the {count} nodes that the change can touch were judged again; the rest is from the report before.",
    )


# --- the new results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Way:
    """How the affected focus nodes are judged."""

    validators: Sequence[Validator]
    limits: Limits
    own: Reader
    beside: Reader | None
    content: Path | None

    def written(self, seen: set[Triple]) -> set[Triple]:
        """Return triples with the literals of the new file."""
        if _any_was_blank(seen):
            raise TooMuchError
        return seen if self.content is None else as_written(seen, self.content, self.own, self._stays)

    def _stays(self, triple: Triple) -> bool:
        return self.beside is not None and triple in set(self.beside.outgoing(triple[0], triple[1]))


def _judge(change: Change, affected: Affected, apart: Collection[str], shapes: ShapesGraph, way: _Way) -> ValidationReport:
    tally = Tally(way.limits.report_samples)
    answered: list[str] = []
    with tempfile.TemporaryDirectory(prefix="validation-") as name:
        judged = [shape for shape in shapes.targeted if affected.judged[shape.id] and shape.id not in apart]
        for alone in (False, True):
            chosen = [shape for shape in judged if (shape.scope == "data") is alone]
            if chosen:
                seen = way.written(change.visible(affected.judged, chosen))
                run = Run(shapes, slice_of(seen, affected, chosen, Path(name)), way.validators, way.limits, Path(name), tally)
                run.all()
                answered += run.answered
    return tally.report(
        shapes,
        Messenger(shapes, labels_in(shapes, way.beside) if way.beside is not None and tally.total else shapes.labels),
        focus={identity: len(nodes) for identity, nodes in affected.judged.items()},
        focus_nodes=0,
        engine=" + ".join(dict.fromkeys(answered)),
        truncated=(),
        triples=0,
        seconds=0,
    )


def slice_of(seen: set[Triple], affected: Affected, chosen: Sequence[Shape], folder: Path) -> Survey:
    """Write what some shapes can see to a file, and say which focus nodes to judge in it."""
    path = folder / "slice.nq"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(lines(seen))
    blank = any(isinstance(term, ox.BlankNode) for subject, _, value in seen for term in (subject, value))
    focus = {identity: set[bytes]() for identity in affected.judged}
    focus |= {shape.id: {str(node).encode() for node in affected.judged[shape.id]} for shape in chosen}
    return Survey(Staged(path, blank), [], len(seen), focus, foreign=True)


# --- the report of everything -------------------------------------------------------------------------------------------------


def _merged(
    shapes: ShapesGraph,
    before: ValidationReport,
    found: Sequence[ValidationReport],
    affected: Affected,
    apart: Collection[str],
    samples: int,
) -> ValidationReport:
    """Put what was found in the place of what was known about the touched nodes, and of all that was judged apart."""
    groups, results = _groups(_fresh(shapes, before, affected, apart), before, found)
    ordered = sorted(groups.values(), key=lambda group: rank(_key(group), group.count))
    counts = dict.fromkeys(Severity, 0)
    for group in ordered:
        counts[group.severity] += group.count
    focus = _focus(before, affected, shapes, [shape.id for shape in shapes.targeted])
    return replace(
        found[0],
        results=tuple(result for group in ordered for result in sorted(results[_key(group)], key=_sortable)[:samples]),
        groups=tuple(replace(group, shown=min(group.count, samples)) for group in ordered),
        counts=counts,
        engine=" + ".join(dict.fromkeys(part.engine for part in found if part.engine)) or before.engine,
        focus_counts=focus,
        shapes=tuple(identity for identity, number in focus.items() if number),
        idle_shapes=tuple(identity for identity, number in focus.items() if not number),
    )


def _focus(before: ValidationReport, affected: Affected, shapes: ShapesGraph, chosen: Collection[str]) -> dict[str, int]:
    """Count the focus nodes of some shapes after the change."""
    return {
        shape.id: before.focus_counts.get(shape.id, 0) - len(affected.known[shape.id]) + len(affected.judged[shape.id])
        for shape in shapes.targeted
        if shape.id in chosen
    }


def _fresh(shapes: ShapesGraph, before: ValidationReport, affected: Affected, apart: Collection[str]) -> list[Result]:
    """Return the known results that still hold; where they come from may have moved."""
    family = families(shapes)
    gone = {family[identity] for identity in apart}
    stale = {(family[shape], str(node)) for shape, nodes in affected.touched.items() for node in nodes}
    kept = (result for result in before.results if family[result.shape] not in gone)
    fresh = (result for result in kept if (family[result.shape], result.focus) not in stale)
    return [replace(result, origins=()) if result.origins else result for result in fresh]


def _groups(
    kept: Sequence[Result], before: ValidationReport, found: Sequence[ValidationReport]
) -> tuple[dict[Key, ResultGroup], dict[Key, list[Result]]]:
    results: dict[Key, list[Result]] = {}
    for result in (*kept, *(result for part in found for result in part.results)):
        results.setdefault((result.shape, result.path, result.component, result.severity), []).append(result)
    groups = {_key(group): replace(group, count=0) for group in before.groups}
    groups |= {_key(group): replace(group, count=group.count - group.shown) for part in found for group in part.groups}
    return {key: replace(groups[key], count=groups[key].count + len(some)) for key, some in results.items()}, results


def _key(group: ResultGroup) -> Key:
    return group.shape, group.path, group.component, group.severity


def _sortable(result: Result) -> tuple[str, str, str]:
    return result.focus, result.path or "", result.value or ""
