"""Count what official suites say about us, in one file that the documentation shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

REPORT = Path(__file__).parents[2] / "reports" / "conformance.json"


def record(suite: str, cases: int, passed: int, known: Mapping[str, str], report: Path = REPORT) -> None:
    """Write the counts of one suite, and why the cases that do not pass do not; other suites stay as they are."""
    report.parent.mkdir(exist_ok=True)
    found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    found[suite] = {"cases": cases, "passed": passed, "known": dict(known)}
    report.write_text(json.dumps(found, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
