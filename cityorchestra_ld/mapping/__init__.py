"""Mapping: RML and YARRRML compiled to SQL; a plan in, N-Quads and lineage out."""

from cityorchestra_ld.mapping.engine import MapReport, materialize
from cityorchestra_ld.mapping.explain import Wanted, trace
from cityorchestra_ld.mapping.plan import LogicalSource, Plan
from cityorchestra_ld.mapping.rml import read_mapping

__all__ = ["LogicalSource", "MapReport", "Plan", "Wanted", "materialize", "read_mapping", "trace"]
