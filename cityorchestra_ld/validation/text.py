"""Write a validation report as plain text, for a terminal or a mail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Origin, Result, ResultGroup, Severity, ValidationReport
from cityorchestra_ld.validation.graph import local_name
from cityorchestra_ld.validation.report import compared, plural, results_of, verdict, worst_columns

LEVELS: Final[dict[Severity, Text]] = {
    Severity.VIOLATION: Text("bloquant", "blocks"),
    Severity.WARNING: Text("avertissement", "warning"),
    Severity.INFO: Text("remarque", "remark"),
}


def to_text(report: ValidationReport, lang: str = "fr", *, groups: int = 20, samples: int = 3) -> str:
    """Write the verdict, what to fix first, then each group with a few examples."""
    return "\n".join(_lines(report, lang, groups, samples)) + "\n"


def _lines(report: ValidationReport, lang: str, groups: int, samples: int) -> Iterator[str]:
    fr = lang != "en"
    yield verdict(report).get(lang)
    nodes, triples = plural(report.focus_nodes, "nœud", "nœuds"), plural(report.triples, "triplet", "triplets")
    if not fr:
        nodes, triples = plural(report.focus_nodes, "node", "nodes"), plural(report.triples, "triple", "triples")
    yield f"{triples}, {nodes}, {len(report.shapes)} {'formes' if fr else 'shapes'}, {report.engine}, {report.seconds:.1f} s"
    for column in worst_columns(report):
        yield f"{'à corriger d’abord' if fr else 'fix first'} : {column.file}, « {column.column} » ({column.count})"
    change = compared(report)
    if change is not None:
        yield change.get(lang)
    for note in report.notes:
        yield f"note : {note.get(lang)}"
    for group in report.groups[:groups]:
        yield ""
        yield from _group(report, group, lang, samples)
    if len(report.groups) > groups:
        yield ""
        yield (
            f"… et {len(report.groups) - groups} autres groupes." if fr else f"… and {len(report.groups) - groups} more groups."
        )


def _group(report: ValidationReport, group: ResultGroup, lang: str, samples: int) -> Iterator[str]:
    title = group.title.get(lang)
    rule = f"{local_name(group.root_shape)}, {short(group.component)}"
    yield f"[{LEVELS[group.severity].get(lang)}] {title} × {group.count}   ({rule})"
    for result in results_of(report, group)[:samples]:
        yield f"  - {result.message.get(lang)}"
        yield f"    {where(result, lang)}"


def short(component: str) -> str:
    """
    Return a short name of a component.

    >>> short("MinCountConstraintComponent")
    'MinCount'
    """
    return local_name(component).removesuffix("ConstraintComponent")


def where(result: Result, lang: str) -> str:
    """Say which cell a result speaks of, or which node when no cell is known."""
    if not result.origins:
        return result.focus
    return f"{cell(result.origins[0], lang)} → {result.focus}"


def cell(origin: Origin, lang: str) -> str:
    """
    Say which cell this is, the way a person looks for it.

    >>> cell(Origin(file="a.csv", row=17, column="code", cell="35", triples_map="m#Commune"), "fr")
    'a.csv, ligne 17, colonne « code », contenu « 35 »'
    """
    fr = lang != "en"
    parts = [origin.file]
    if origin.row is not None and origin.pointer is None:
        parts.append(f"ligne {origin.row}" if fr else f"row {origin.row}")
    if origin.pointer is not None:
        parts.append(origin.pointer)
    if origin.column is not None:
        parts.append(f"colonne « {origin.column} »" if fr else f"column '{origin.column}'")
    if origin.cell is not None and origin.cell.strip():
        parts.append(f"contenu « {origin.cell} »" if fr else f"content '{origin.cell}'")
    elif origin.cell is not None:
        parts.append("vide" if fr else "empty")
    return ", ".join(parts)
