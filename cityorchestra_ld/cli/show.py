"""What people see of a command: sentences, tables, progress and JSON."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable

from cityorchestra_ld.errors import CityOrchestraError, Text
from cityorchestra_ld.model import ValidationReport
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.runs import Failure, Run, Status

if TYPE_CHECKING:
    from cityorchestra_ld.validation import ShapesGraph

_CELL = 160  # characters of a cell
_SHOWN_ASIDE = 20  # rows printed one by one
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
        if run.set_aside:
            err.print(_set_aside(run), style="bold yellow", markup=False, soft_wrap=True)


def _set_aside(run: Run) -> str:
    """Say how many rows are missing from what was made, and where they are told."""
    file = f"runs/{run.id}/quarantine.csv"
    return Text(
        f"Attention, {run.dataset} : {run.set_aside} ligne(s) fausse(s) mise(s) de côté, à corriger : {file}",
        f"Careful, {run.dataset}: {run.set_aside} wrong row(s) set aside, to be corrected: {file}",
    ).get(lang())


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
        if run.new or run.fixed:
            numbers[-1] += f" (+{run.new} −{run.fixed})"
        table.add_row(run.dataset, f"[{style}]{text.get(lang())}[/]", *numbers, f"{seconds:.2f} s")
    out.print(table)
    for run in runs:
        if run.set_aside:
            out.print(_set_aside(run), style="bold yellow", markup=False, soft_wrap=True)


def runs_table(runs: Sequence[Run]) -> None:
    """Print one line per run."""
    for run in runs:
        text, style = STATUS[run.status]
        out.print(
            f"{run.id:<60} [{style}]{text.get(lang()):<10}[/] {run.triples:>9,} {run.results:>6}".replace(",", " "),
            soft_wrap=True,
        )


def _judged(run: Run) -> Text:
    """Say whether a whole version was judged, or what a change touched."""
    if not run.engine:
        return Text("", "")
    if run.judged is None:
        return Text("tout", "all")
    return Text(f"les {run.judged} nœuds que le changement touche", f"the {run.judged} nodes that the change touches")


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
        ("nouveaux" if french else "new", str(run.new)),
        ("corrigés" if french else "fixed", str(run.fixed)),
        ("validé" if french else "validated", _judged(run).get(lang())),
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
    if run.set_aside:
        _quarantine(run)
    if run.failure:
        _failure(run.failure)


def _quarantine(run: Run) -> None:
    """Print the rows that were set aside, the first of them one by one."""
    out.print(_set_aside(run), style="bold yellow", markup=False, soft_wrap=True)
    for row in run.quarantine[:_SHOWN_ASIDE]:
        out.print(f"  {row.place.describe(lang())}\n    {row.reason.get(lang())}", markup=False, soft_wrap=True)
        if row.hint:
            out.print(f"    {row.hint.get(lang())}", markup=False, soft_wrap=True)
    if run.set_aside > _SHOWN_ASIDE:
        out.print("  …", markup=False)


def checked(runs: Sequence[Run], *, json: bool) -> int:
    """Print how several datasets fared that were only tried, and return the exit code."""
    if json:
        as_json(runs)
    elif not runs:
        say(Text("Aucun jeu de données n'a changé.", "No dataset has changed."))
    else:
        summary(runs)
        for run in runs:
            if run.failure:
                _failure(run.failure)
    return max((run.exit_code for run in runs), default=0)


def report(found: ValidationReport, shapes: ShapesGraph, path: Path | None, *, json: bool) -> int:
    """Print a validation report, write it where it is wanted, and return the exit code."""
    from cityorchestra_ld.validation import to_json, to_text, write_report

    if path is not None:
        write_report(found, shapes, path)
    if json:
        sys.stdout.buffer.write(to_json(found) + b"\n")
    else:
        out.print(to_text(found, lang()), markup=False, soft_wrap=True, end="")
    return 0 if found.conforms else 1


def tried(run: Run, folder: Path, *, json: bool) -> int:
    """Print what validation found in a dataset that was not published, and return the exit code."""
    if json:
        as_json(run)
        return run.exit_code
    text = folder / "report.txt"
    if text.exists():
        out.print(text.read_text(encoding="utf-8"), markup=False, soft_wrap=True, end="")
    if run.set_aside:
        _quarantine(run)
    if run.failure:
        _failure(run.failure)
    return run.exit_code


# --- terms --------------------------------------------------------------------------------------------------------------------


def cut(value: object) -> str:
    """Show the start of a long cell."""
    text = str(value)
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def short(term: str) -> str:
    """Write an IRI with a prefix where there is one."""
    if not term.startswith("<"):
        before, typed, datatype = term.rpartition("^^")
        return f"{cut(before)}^^{short(datatype)}" if typed and datatype.startswith("<") else cut(term)
    iri = term[1:-1]
    best = max(
        ((namespace, prefix) for prefix, namespace in prefixes().items() if iri.startswith(namespace)),
        key=lambda pair: len(pair[0]), default=None,
    )  # fmt: skip
    local = iri.removeprefix(best[0]) if best else ""
    return f"{best[1]}:{local}" if best and local and not set(local) & set("/#?%") else term
