"""The command that compares golden rows: `cityorchestra golden P/D`, with `--update` to accept what changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cityorchestra_ld.cli import show
from cityorchestra_ld.cli.app import JsonOption, TerritoryOption, app, territory
from cityorchestra_ld.cli.show import short
from cityorchestra_ld.errors import MappingError, Text, UsageError

if TYPE_CHECKING:
    from cityorchestra_ld.golden import Difference


@app.command()
def golden(
    key: Annotated[str | None, typer.Argument(metavar="[P/D]", help="partenaire/jeu de données")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Tous les jeux qui en ont. / All datasets that have some.")] = False,
    rows: Annotated[
        list[str] | None, typer.Option("--row", metavar="FILE:ROW", help="Marquer une ligne. / Mark a row.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Accepter. / Accept what the mapping gives now.")] = False,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Comparer les lignes de référence à ce que donne la correspondance. / Compare golden rows with what the mapping gives."""
    from cityorchestra_ld import golden as marked

    where = territory(folder)
    if (key is None) != everything or (rows and not update):
        raise UsageError(Text("Donnez P/D ou --all ; --row va avec --update.", "Give P/D or --all; --row goes with --update."))
    keys = [name for name in where.datasets if marked.file_of(where, name).exists()] if everything else [key or ""]
    if update:
        accepted = {name: marked.accept(where, name, rows or ()) for name in keys}
        total = sum(len(found) for found in accepted.values())
        show.say(Text(f"{total} ligne(s) de référence écrite(s).", f"{total} golden row(s) written."))
        return 0
    found = {name: marked.compare(where, name) for name in keys}
    different = any(not item.same for items in found.values() for item in items)
    if json:
        show.as_json(found)
    else:
        for name, items in found.items():
            _print(name, items)
    return MappingError.exit_code if different else 0


def _print(key: str, items: tuple[Difference, ...]) -> None:
    english = show.lang() == "en"
    changed = [item for item in items if not item.same]
    if not changed:
        well = f"{key}: {len(items)} row(s) give what they must.\n"
        sys.stdout.write(well if english else f"{key} : {len(items)} ligne(s) donnent ce qu'il faut.\n")
        return
    for item in changed:
        sys.stdout.write(f"{key}, {item.source}, {'row' if english else 'ligne'} {item.row}\n")
        if item.gone:
            sys.stdout.write("  ✗ " + ("the row is no longer there\n" if english else "la ligne n'est plus là\n"))
        for gone in item.missing:
            sys.stdout.write(f"  - {_triple(gone)}\n")
        for said in item.added:
            at = f"  # {said.triples_map}" + (f":{said.line}" if said.line else "")
            sys.stdout.write(f"  + {short(said.subject)} {short(said.predicate)} {short(said.object)}{at}\n")
        for wrong in item.wrong:
            sys.stdout.write(f"  ✗ {wrong.message.get(show.lang())}\n    {wrong.place.describe(show.lang())}\n")
    hint = "If this is what you want: " if english else "Si c'est voulu : "
    sys.stdout.write(f"{hint}cityorchestra golden {key} --update\n")


def _triple(line: str) -> str:
    subject, predicate, value = line.removesuffix(" .").split(" ", 2)
    return f"{short(subject)} {short(predicate)} {short(value)}"
