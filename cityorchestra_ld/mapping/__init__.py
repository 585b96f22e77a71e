"""Mapping: RML and YARRRML compiled to SQL; a plan in, N-Quads and lineage out."""

from collections.abc import Callable
from typing import Final, Literal

from cityorchestra_ld.mapping.engine import MapReport, materialize
from cityorchestra_ld.mapping.explain import Wanted, trace
from cityorchestra_ld.mapping.plan import LogicalSource, Plan
from cityorchestra_ld.mapping.rml import read_mapping
from cityorchestra_ld.mapping.spark import materialize_on_spark

__all__ = [
    "EXECUTORS", "Executor", "LogicalSource", "MapReport", "Plan", "Wanted", "materialize", "read_mapping", "trace",
]  # fmt: skip

Executor = Literal["duckdb", "spark"]
EXECUTORS: Final[dict[Executor, Callable[..., MapReport]]] = {"duckdb": materialize, "spark": materialize_on_spark}
