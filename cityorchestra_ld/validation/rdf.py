"""Write a validation report as a SHACL validation report graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.model import Result, ValidationReport
from cityorchestra_ld.namespaces import RDF, RDFS, SH, XSD
from cityorchestra_ld.validation.messages import parse_term
from cityorchestra_ld.validation.paths import Path
from cityorchestra_ld.validation.shapes import ShapesGraph

_STEPS: Final = {"inverse": "inversePath", "star": "zeroOrMorePath", "plus": "oneOrMorePath", "optional": "zeroOrOnePath"}
_N = ox.NamedNode


def to_turtle(report: ValidationReport, shapes: ShapesGraph) -> bytes:
    """Write the shown results as a sh:ValidationReport (SHACL, section 3.6)."""
    written = ox.serialize(
        _triples(report, shapes),
        format=ox.RdfFormat.TURTLE,
        prefixes={"sh": SH, "xsd": XSD, "rdf": RDF, "rdfs": RDFS},
    )
    return written or b""


def _triples(report: ValidationReport, shapes: ShapesGraph) -> Iterator[ox.Triple]:
    head = ox.BlankNode("report")
    total = sum(report.counts.values())
    yield ox.Triple(head, _N(f"{RDF}type"), _N(f"{SH}ValidationReport"))
    yield ox.Triple(head, _N(f"{SH}conforms"), ox.Literal(total == 0))  # for the specification any result counts
    if total > len(report.results):
        text = f"{len(report.results)} of {total} results are listed: the first of each shape, path and component."
        yield ox.Triple(head, _N(f"{RDFS}comment"), ox.Literal(text, language="en"))
    for number, result in enumerate(report.results):
        node = ox.BlankNode(f"r{number}")
        yield ox.Triple(head, _N(f"{SH}result"), node)
        yield from _result(node, result, shapes, number)


def _result(node: ox.BlankNode, result: Result, shapes: ShapesGraph, number: int) -> Iterator[ox.Triple]:
    component = result.component if ":" in result.component else f"{SH}{result.component}"
    yield ox.Triple(node, _N(f"{RDF}type"), _N(f"{SH}ValidationResult"))
    yield ox.Triple(node, _N(f"{SH}focusNode"), parse_term(result.focus))
    if result.path is not None:
        yield from _path(node, result, shapes, number)
    if result.value is not None:
        yield ox.Triple(node, _N(f"{SH}value"), parse_term(result.value))
    yield ox.Triple(node, _N(f"{SH}sourceConstraintComponent"), _N(component))
    yield ox.Triple(node, _N(f"{SH}sourceShape"), parse_term(result.shape))
    yield ox.Triple(node, _N(f"{SH}resultSeverity"), _N(f"{SH}{result.severity.value}"))
    for language, text in (("fr", result.message.fr), ("en", result.message.en)):
        yield ox.Triple(node, _N(f"{SH}resultMessage"), ox.Literal(text, language=language))


def _path(node: ox.BlankNode, result: Result, shapes: ShapesGraph, number: int) -> Iterator[ox.Triple]:
    shape = shapes.shape(result.shape)
    path = shape.path if shape is not None and shape.path is not None and shape.path.sparql() == result.path else None
    if path is None:
        path = Path("predicate", (result.path or "").strip("<>"))
    root, extra = path_triples(path, f"p{number}")
    yield ox.Triple(node, _N(f"{SH}resultPath"), root)
    yield from extra


def path_triples(path: Path, label: str) -> tuple[ox.NamedNode | ox.BlankNode, list[ox.Triple]]:
    """Write a property path as triples (SHACL, section 2.3.1)."""
    if path.operator == "predicate":
        return _N(path.iri), []
    node = ox.BlankNode(label)
    if path.operator in _STEPS:
        inner, triples = path_triples(path.parts[0], f"{label}x")
        return node, [ox.Triple(node, _N(SH + _STEPS[path.operator]), inner), *triples]
    triples = []
    heads = [ox.BlankNode(f"{label}l{index}") for index in range(len(path.parts))]
    for index, part in enumerate(path.parts):
        member, more = path_triples(part, f"{label}m{index}")
        rest = heads[index + 1] if index + 1 < len(heads) else _N(f"{RDF}nil")
        triples += [ox.Triple(heads[index], _N(f"{RDF}first"), member), ox.Triple(heads[index], _N(f"{RDF}rest"), rest), *more]
    if path.operator == "sequence":
        return heads[0], triples
    return node, [ox.Triple(node, _N(f"{SH}alternativePath"), heads[0]), *triples]
