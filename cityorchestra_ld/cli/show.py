"""What people see of a command: sentences, tables, progress and JSON."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable

from cityorchestra_ld.errors import CityOrchestraError, Text
from cityorchestra_ld.model import ValidationReport
from cityorchestra_ld.runs import Failure, Run, Status
from cityorchestra_ld.validation import ShapesGraph, to_json, to_text, write_report

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

STAGES = {
    "read": Text("lecture", "reading"),
    "map": Text("correspondance", "mapping"),
    "validate": Text("validation", "validation"),
    "publish": Text("publication", "publication"),
}
STATUS = {
    Status.PUBLISHED: (Text("publié", "published"), "green"),
    Status.UNCHANGED: (Text("inchangé", "unchanged"), "dim"),
    Status.CHECKED: (Text("vérifié", "checked"), "cyan"),
    Status.FAILED: (Text("refusé", "refused"), "bold red"),
}


def lang() -> str:
    """Return the language of messages: CITYORCHESTRA_LANG, else French."""
    return "en" if os.environ.get("CITYORCHESTRA_LANG", "fr").lower().startswith("en") else "fr"


def say(text: Text) -> None:
    """Print one sentence."""
    out.print(text.get(lang()), markup=False)


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    data = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.write(data.decode() + "\n")


def wants_json() -> bool:
    """Tell whether the command was called with --json (errors are then JSON too)."""
    return "--json" in sys.argv[1:]


def failure(error: CityOrchestraError) -> None:
    """Explain an error on the error stream, as JSON when the command was asked for JSON."""
    if wants_json():
        as_json({"error": Failure.of(error)})
        return
    _failure(Failure.of(error))


def _failure(found: Failure) -> None:
    language = lang()
    err.print(found.message.get(language), style="bold red", markup=False, soft_wrap=True)
    where = found.place.describe(language) if found.place else ""
    if where:
        err.print(("où : " if language == "fr" else "where: ") + where, markup=False, soft_wrap=True)
    if found.hint:
        label = "à essayer : " if language == "fr" else "try: "
        err.print(label + found.hint.get(language), markup=False, soft_wrap=True)


def our_fault(error: BaseException, details: str) -> None:
    """Say that this is a mistake of ours, and where its details are."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="cityorchestra-", delete=False, encoding="utf-8") as file:
        file.write(details)
    kept = Path(file.name)
    text = Text(
        f"Erreur interne ({type(error).__name__}) : c'est notre faute. Détails dans {kept}.",
        f"Internal error ({type(error).__name__}): this is our fault. Details in {kept}.",
    )
    err.print(text.get(lang()), style="bold red", markup=False, soft_wrap=True)


class Display:
    """A live line per stage on a terminal, one plain line per dataset elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = Live("", console=err, refresh_per_second=8, transient=True) if err.is_terminal and not quiet else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def stage(self, dataset: str, name: str) -> None:
        """Show that a dataset enters a stage."""
        if self._live:
            self._live.update(f"  {STAGES[name].get(lang()):<16} {dataset}")

    def finished(self, run: Run) -> None:
        """Print the line of a dataset that is done."""
        if self._quiet:
            return
        text, style = STATUS[run.status]
        numbers = f"{run.triples:>9,} triplets" if lang() == "fr" else f"{run.triples:>9,} triples"
        line = f"{text.get(lang()):<10} {run.dataset:<40}" + (numbers.replace(",", " ") if run.triples else "")
        err.print(line, style=style, markup=False, soft_wrap=True)
        if run.failure:
            _failure(run.failure)


def summary(runs: Sequence[Run]) -> None:
    """Print the table that ends a load: per dataset records, quads, results, time."""
    french = lang() == "fr"
    table = RichTable(box=None, pad_edge=False)
    heads = ("jeu de données", "état", "enregistrements", "quads", "résultats", "temps")
    if not french:
        heads = ("dataset", "state", "records", "quads", "results", "time")
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < 2 else "right")
    for run in runs:
        text, style = STATUS[run.status]
        seconds = sum(run.seconds.values())
        numbers = [f"{number:,}".replace(",", " ") for number in (sum(run.records.values()), run.triples, run.results)]
        table.add_row(run.dataset, f"[{style}]{text.get(lang())}[/]", *numbers, f"{seconds:.2f} s")
    out.print(table)


def runs_table(runs: Sequence[Run]) -> None:
    """Print one line per run."""
    for run in runs:
        text, style = STATUS[run.status]
        out.print(
            f"{run.id:<60} [{style}]{text.get(lang()):<10}[/] {run.triples:>9,} {run.results:>6}".replace(",", " "),
            soft_wrap=True,
        )


def run_details(run: Run) -> None:
    """Print everything kept about one run."""
    french = lang() == "fr"
    text, style = STATUS[run.status]
    out.print(f"[bold]{run.id}[/]  [{style}]{text.get(lang())}[/]", soft_wrap=True)
    rows = [
        ("jeu de données" if french else "dataset", run.dataset),
        ("version", run.version),
        ("génération" if french else "generation", str(run.generation or "")),
        ("triplets" if french else "triples", str(run.triples)),
        ("violations", str(run.violations)),
        ("avertissements" if french else "warnings", str(run.warnings)),
        ("moteur SHACL" if french else "SHACL engine", run.engine),
    ]
    for label, value in rows:
        out.print(f"  {label:<18} {value}", markup=False)
    for source in run.sources:
        out.print(f"  source             {source.label}  {source.size} o  sha256 {source.sha256[:16]}…", markup=False)
        for note in source.notes:
            out.print(f"                     {note.get(lang())}", markup=False)
    for name, count in run.records.items():
        out.print(f"  {'lus' if french else 'read':<18} {count:>9}  {name}", markup=False)
    for name, count in run.per_map.items():
        out.print(f"  {'quads':<18} {count:>9}  {name}", markup=False)
    for name, seconds in run.seconds.items():
        out.print(f"  {STAGES[name].get(lang()) if name in STAGES else name:<18} {seconds:>9.3f} s", markup=False)
    if run.failure:
        _failure(run.failure)


def report(found: ValidationReport, shapes: ShapesGraph, path: Path | None, *, json: bool) -> int:
    """Print a validation report, write it where it is wanted, and return the exit code."""
    if path is not None:
        write_report(found, shapes, path)
    if json:
        sys.stdout.buffer.write(to_json(found) + b"\n")
    else:
        out.print(to_text(found, lang()), markup=False, soft_wrap=True, end="")
    return 0 if found.conforms else 1


def tried(run: Run, folder: Path, path: Path | None, *, json: bool) -> int:
    """Print what validation found in a dataset that was not published, and return the exit code."""
    if path is not None:
        kept = folder / f"report{path.suffix}"
        if kept.exists():
            path.write_bytes(kept.read_bytes())
    if json:
        as_json(run)
        return run.exit_code
    text = folder / "report.txt"
    if text.exists():
        out.print(text.read_text(encoding="utf-8"), markup=False, soft_wrap=True, end="")
    if run.failure:
        _failure(run.failure)
    return run.exit_code
