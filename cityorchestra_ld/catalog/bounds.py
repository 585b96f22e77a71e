"""Hold the rights of datasets against the common rules R6, R7 and R11: restricted use is bounded, in what is derived too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.catalog.triples import Graph, both
from cityorchestra_ld.errors import Place, RefusedError, Text
from cityorchestra_ld.model import Access, Severity, ValidationReport
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.validation import load_shapes, validate

_ACCESS: Final = "http://publications.europa.eu/resource/authority/access-right/"
_FILES: Final = ("catalog.ttl", "secrecy-sets.ttl")


def rights(territory: Territory) -> Graph:
    """Describe who may see each dataset of the territory, public or not, and what it is derived from; never published."""
    graph, iris = Graph(territory.base_iri), territory.iris
    for key, dataset in territory.datasets.items():
        graph.add(
            iris.dataset(key),
            ["dcat:Dataset"],
            dct_title=both(dataset.title),
            dct_description=both(dataset.description),
            dct_accessRights=ox.NamedNode(_ACCESS + dataset.access),
            odrl_hasPolicy=ox.NamedNode(iris.id("policy", dataset.policy)),
            prov_wasDerivedFrom=[ox.NamedNode(iris.dataset(territory.dataset(other).key)) for other in dataset.derived_from],
            co_releaseApprovedBy=ox.NamedNode(dataset.release_approved_by) if dataset.release_approved_by else None,
        )
    return graph


def judge(territory: Territory, folder: Path, context: Sequence[Path]) -> ValidationReport:
    """Say what the common rules find in the rights of all datasets."""
    core = territory.root / "shapes" / "core"
    shapes = load_shapes([core / name for name in _FILES if (core / name).exists()], base_iri=territory.base_iri)
    return validate(rights(territory).write(folder / "rights.nt"), shapes, context=context, limits=territory.limits)


def require(territory: Territory, folder: Path, context: Sequence[Path], published: Collection[str]) -> None:
    """
    Raise RefusedError when one of the datasets to be published is more open than it may be.

    Where all is public and nothing derived, all is well.
    """
    datasets = territory.datasets.values()
    if all(dataset.access is Access.PUBLIC and not dataset.derived_from for dataset in datasets):
        return
    if not (territory.root / "shapes" / "core").is_dir():
        return
    report = judge(territory, folder, context)
    named = {f"<{territory.iris.dataset(key)}>": key for key in territory.datasets}
    for result in report.results:
        key = named.get(result.focus)
        if result.severity is Severity.VIOLATION and (key is None or key in published):
            error = RefusedError(
                Text(f"Publication refusée. {result.message.fr}", f"Publication refused. {result.message.en}"),
                place=Place(value=result.focus),
                hint=Text("Corrigez access, policy ou derived_from dans dataset.toml.",
                          "Correct access, policy or derived_from in dataset.toml."),
            )  # fmt: skip
            error.datasets = (key,) if key else ()
            raise error
