"""The static check: what a mapping would do wrong, said before any row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cityorchestra_ld.check.columns import check_columns, check_declared
from cityorchestra_ld.check.conformance import Conformance
from cityorchestra_ld.check.findings import Code, Finding, Level, catalogue, finding, in_order, worst
from cityorchestra_ld.check.structure import check_structure
from cityorchestra_ld.check.symbols import Node, derive
from cityorchestra_ld.check.terms import TermCheck
from cityorchestra_ld.check.vocabulary import Vocabulary, load_vocabulary, reused
from cityorchestra_ld.check.world import World, resources
from cityorchestra_ld.mapping import Plan
from cityorchestra_ld.sources.peek import Peek
from cityorchestra_ld.territory import Dataset
from cityorchestra_ld.validation import ShapesGraph

__all__ = [
    "Code", "Finding", "Level", "Node", "Peek", "Vocabulary", "catalogue", "check", "derive", "finding", "in_order",
    "load_vocabulary", "resources", "reused", "worst",
]  # fmt: skip


def check(
    plan: Plan,
    *,
    shapes: ShapesGraph | None,
    ontology: Vocabulary,
    headers: Mapping[str, Peek],
    dataset: Dataset | None = None,
    around: Sequence[Node] = (),
    complete: bool = True,
) -> tuple[Finding, ...]:
    """
    Hold a mapping against shapes, vocabularies, headers and contract; no row is read.

    `around` are the nodes that will stand beside the mapping's own (static triples, code lists, datasets of the context);
    `complete` says that all of them are there, so that what nobody describes can be called missing.
    """
    specs = {spec.name: spec for spec in dataset.sources} if dataset else {}
    world = World(derive(plan, tuple(specs.values())), around, ontology, complete)
    found: list[Finding] = []
    if dataset is not None:
        found += check_declared(plan, specs, dataset.folder / "dataset.toml")
    found += check_columns(plan, headers, specs)
    found += TermCheck(world, str(plan.path)).findings()
    found += check_structure(plan, world)
    if shapes is not None:
        own = next((file for file in shapes.files if dataset and file.endswith(f"{dataset.key}.ttl")), None)
        found += Conformance(world, shapes, str(plan.path), own or (shapes.files[0] if dataset is None else None)).findings()
    return in_order(found)
