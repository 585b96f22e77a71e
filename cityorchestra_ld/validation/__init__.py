"""SHACL: read and lint shapes, judge data in a limited process, and say what to fix, in French and English."""

from __future__ import annotations

from cityorchestra_ld.validation.check import validate
from cityorchestra_ld.validation.messages import parse_term
from cityorchestra_ld.validation.published import Published, validate_change
from cityorchestra_ld.validation.report import compare, from_json, identity, to_json, with_origins, worst_columns
from cityorchestra_ld.validation.severity import with_strictness
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph, load_shapes
from cityorchestra_ld.validation.text import to_text
from cityorchestra_ld.validation.write import write_report, write_reports

__all__ = [
    "Published", "Shape", "ShapesGraph", "compare", "from_json", "identity", "load_shapes", "parse_term", "to_json", "to_text",
    "validate", "validate_change", "with_origins", "with_strictness", "worst_columns", "write_report", "write_reports",
]  # fmt: skip
