"""Write reports to files, each form by its suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.model import ValidationReport
from cityorchestra_ld.validation.ci import to_junit, to_sarif
from cityorchestra_ld.validation.html import to_html
from cityorchestra_ld.validation.rdf import to_turtle
from cityorchestra_ld.validation.report import to_json
from cityorchestra_ld.validation.shapes import ShapesGraph
from cityorchestra_ld.validation.tables import to_csv
from cityorchestra_ld.validation.text import to_text
from cityorchestra_ld.validation.xlsx import to_xlsx

_Writer = Callable[[ValidationReport, ShapesGraph, Text], bytes]
WRITERS: Final[dict[str, _Writer]] = {
    ".html": lambda report, shapes, title: to_html(report, title).encode(),
    ".json": lambda report, shapes, title: to_json(report),
    ".csv": lambda report, shapes, title: to_csv(report),
    ".xlsx": lambda report, shapes, title: to_xlsx(report),
    ".ttl": lambda report, shapes, title: to_turtle(report, shapes),
    ".txt": lambda report, shapes, title: f"{to_text(report, 'fr')}\n{to_text(report, 'en')}".encode(),
    ".sarif": lambda report, shapes, title: to_sarif(report),
    ".xml": lambda report, shapes, title: to_junit(report),
}
_USUAL: Final = (".html", ".json", ".csv", ".ttl", ".txt")


def write_report(report: ValidationReport, shapes: ShapesGraph, path: Path, *, title: Text | None = None) -> None:
    """Write one form of a report, by the suffix of the file; raise UsageError for a suffix that we do not write."""
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            Text("Cette forme de rapport n'existe pas.", "There is no such form of report."),
            place=Place(file=str(path)),
            hint=Text(f"Suffixes écrits : {' '.join(WRITERS)}", f"Suffixes written: {' '.join(WRITERS)}"),
        )
    path.write_bytes(writer(report, shapes, title or Text("Validation", "Validation")))


def write_reports(report: ValidationReport, shapes: ShapesGraph, folder: Path, *, title: Text) -> tuple[Path, ...]:
    """Write the usual forms of a report into a folder: `report.html`, `.json`, `.csv`, `.ttl` and `.txt`."""
    paths = tuple(folder / f"report{suffix}" for suffix in _USUAL)
    for path in paths:
        write_report(report, shapes, path, title=title)
    return paths
