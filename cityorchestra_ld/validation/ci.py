"""Write a report for continuous integration: SARIF for annotations, JUnit for test summaries."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

import orjson

from cityorchestra_ld.model import Result, ResultGroup, Severity, ValidationReport
from cityorchestra_ld.validation.graph import local_name
from cityorchestra_ld.validation.report import identity, results_of
from cityorchestra_ld.validation.text import short, where

_LEVELS: Final = {Severity.VIOLATION: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def to_sarif(report: ValidationReport, lang: str = "fr") -> bytes:
    """Write a SARIF 2.1.0 log: one rule for each shape, path and component, one result for each shown result."""
    rules = [_rule(group, lang) for group in report.groups]
    results = [
        _sarif_result(result, index, lang) for index, group in enumerate(report.groups) for result in results_of(report, group)
    ]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "cityorchestra", "rules": rules}},
                "results": results,
                "columnKind": "unicodeCodePoints",
            }
        ],
    }
    return orjson.dumps(log, option=orjson.OPT_INDENT_2)


def _rule(group: ResultGroup, lang: str) -> dict[str, Any]:
    return {
        "id": f"{local_name(group.shape)}/{short(group.component)}",
        "shortDescription": {"text": group.title.get(lang)},
        "defaultConfiguration": {"level": _LEVELS[group.severity]},
        "properties": {"shape": group.shape, "count": group.count},
    }


def _sarif_result(result: Result, index: int, lang: str) -> dict[str, Any]:
    locations = []
    for origin in result.origins[:1]:
        region = {"startLine": origin.row} if origin.row is not None and origin.pointer is None else {}
        physical: dict[str, Any] = {"artifactLocation": {"uri": quote(origin.file)}} | ({"region": region} if region else {})
        locations.append({"physicalLocation": physical})
    logical = {"logicalLocations": [{"fullyQualifiedName": result.focus, "kind": "resource"}]}
    return {
        "ruleId": f"{local_name(result.shape)}/{short(result.component)}",
        "ruleIndex": index,
        "level": _LEVELS[result.severity],
        "message": {"text": result.message.get(lang)},
        "locations": [location | logical for location in locations] or [logical],
        "partialFingerprints": {"resultIdentity/v1": identity(result)},
    }


def to_junit(report: ValidationReport, lang: str = "fr") -> bytes:
    """Write a JUnit file: one case for each shape that looked at something; a case fails when it has violations."""
    failing: dict[str, list[ResultGroup]] = {}
    for group in report.groups:
        failing.setdefault(group.root_shape, []).append(group)
    cases = list(dict.fromkeys([*report.shapes, *failing]))
    blocking = [root for root, groups in failing.items() if any(g.severity is Severity.VIOLATION for g in groups)]
    suite = ET.Element(
        "testsuite", name="shacl", tests=str(len(cases)), failures=str(len(blocking)), errors="0", time=f"{report.seconds:.3f}"
    )
    for root in cases:
        case = ET.SubElement(suite, "testcase", classname="shacl", name=local_name(root))
        for group in failing.get(root, ()):
            _junit_group(case, group, results_of(report, group), lang)
    body: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return body


def _junit_group(case: ET.Element, group: ResultGroup, results: Iterable[Result], lang: str) -> None:
    lines = [f"{result.message.get(lang)} [{where(result, lang)}]" for result in results]
    tag = "failure" if group.severity is Severity.VIOLATION else "system-out"
    node = ET.SubElement(case, tag)
    if tag == "failure":
        node.set("message", f"{group.title.get(lang)} × {group.count}")
    node.text = "".join(c for c in "\n".join(lines) if c.isprintable() or c == "\n")
