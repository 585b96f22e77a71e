"""Validate a data graph against a shapes graph."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.model import Limits, ValidationReport
from cityorchestra_ld.validation import data as data_graph
from cityorchestra_ld.validation.engines import Budget, EngineName, Row, Validator, choose
from cityorchestra_ld.validation.forms import settle
from cityorchestra_ld.validation.messages import Messenger, read_labels
from cityorchestra_ld.validation.rewrite import engine_shapes
from cityorchestra_ld.validation.run import Run
from cityorchestra_ld.validation.shapes import ShapesGraph
from cityorchestra_ld.validation.survey import survey
from cityorchestra_ld.validation.tally import Tally

_LIMITS: Final = Limits()


def validate(
    data: Path,
    shapes: ShapesGraph,
    *,
    context: Sequence[Path] = (),
    engine: EngineName = "auto",
    limits: Limits = _LIMITS,
    allow_empty: bool = False,
    only: Collection[str] | None = None,
) -> ValidationReport:
    """
    Judge a data graph (SHACL, section 3.4); raise ShapesError when it is not RDF, is empty, or no engine can judge it.

    Shapes may look at the context (ontology, code lists, other datasets), but results are about nodes of the data only. Shapes
    marked `csh:scope csh:DataOnly` do not see the context at all. `only` names the targeted shapes to use; all, if not given.
    """
    start = time.perf_counter()
    if shapes.empty:
        raise ShapesError(
            Text("Il n'y a aucune forme : rien ne serait vérifié.", "There is no shape: nothing would be checked."),
            place=Place(file=", ".join(shapes.files) or None),
        )
    with tempfile.TemporaryDirectory(prefix="validation-") as name:
        folder = Path(name)
        seen = survey(data, context, shapes, folder)
        if not seen.triples and not allow_empty:
            raise ShapesError(
                Text("Ces données ne contiennent aucun triplet.", "These data hold no triple."), place=Place(file=str(data))
            )
        if only is not None:
            seen.focus = {identity: nodes if identity in only else set() for identity, nodes in seen.focus.items()}
        tally = Tally(limits.report_samples)
        run = Run(shapes, seen, choose(engine), limits, folder, tally)
        run.all()
        labels = read_labels(shapes, [file.path for file in seen.context]) if tally.total else shapes.labels
    return tally.report(
        shapes,
        Messenger(shapes, labels),
        focus={identity: len(nodes) for identity, nodes in seen.focus.items()},
        focus_nodes=len(set().union(*seen.focus.values())) if seen.focus else 0,
        engine=" + ".join(dict.fromkeys(run.answered)),
        truncated=tuple(run.truncated),
        triples=seen.triples,
        seconds=round(time.perf_counter() - start, 3),
    )


def raw_results(data: Path, shapes: ShapesGraph, validator: Validator, limits: Limits = _LIMITS) -> list[Row]:
    """Return what one engine says of the shapes as they are: for tests that compare engines."""
    with tempfile.TemporaryDirectory(prefix="validation-") as name:
        staged = data_graph.normalise(data, Path(name), "data")
        budget = Budget(seconds=limits.validation_seconds, memory_mb=limits.validation_memory_mb)
        rules = engine_shapes(shapes, shapes.targeted, ease=validator.fast, forms=True)
        return list(settle(validator.run(staged.path, rules, budget, blank=staged.blank), shapes))
