"""The commands that keep data safe: backup, restore, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cityorchestra_ld.cli import show
from cityorchestra_ld.cli.app import JsonOption, TerritoryOption, app, territory
from cityorchestra_ld.errors import StoreError, Text


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR|FILE.tar.zst", help="Ce qui sera écrit. / What is written.")],
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Sauvegarder ce qui est publié, pendant que tout continue. / Back up what is published while everything goes on."""
    from cityorchestra_ld import backup as keeping

    made = keeping.backup(territory(folder).state, target)
    size = target.stat().st_size if target.is_file() else made.size
    if json:
        show.as_json({"generation": made.generation, "triples": made.triples, "files": len(made.files), "bytes": size})
    else:
        facts = f"{len(made.files)} fichiers, {size / 1e6:.1f} Mo", f"{len(made.files)} files, {size / 1e6:.1f} MB"
        show.say(
            Text(
                f"Génération {made.generation} sauvegardée : {facts[0]}.",
                f"Generation {made.generation} backed up: {facts[1]}.",
            )
        )
    return 0


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR|FILE.tar.zst", help="La sauvegarde. / The backup.")],
    into: Annotated[
        Path | None, typer.Option("--into", help="Dossier d'état ; sinon celui du territoire. / State folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Même s'il n'est pas vide. / Even if it is not empty.")] = False,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Remettre une sauvegarde en place, une fois ses sommes vérifiées. / Put a backup back, once its checksums hold."""
    from cityorchestra_ld import backup as keeping

    made = keeping.restore(source, (into or territory(folder).state).resolve(), force=force)
    if json:
        show.as_json({"generation": made.generation, "triples": made.triples, "made": made.made})
    else:
        show.say(
            Text(
                f"Génération {made.generation} du {made.made:%Y-%m-%d %H:%M} UTC remise en place. Relancez le service.",
                f"Generation {made.generation} of {made.made:%Y-%m-%d %H:%M} UTC is back. Restart the service.",
            )
        )
    return 0


@app.command()
def verify(
    deep: Annotated[bool, typer.Option("--deep", help="Relire chaque triplet. / Read every triple again.")] = False,
    generation: Annotated[int | None, typer.Option(help="Numéro ; sinon la publiée. / Number; else the published.")] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Comparer ce qui est publié avec son manifeste. / Hold what is published against its manifest."""
    from cityorchestra_ld.store import store_of

    with store_of(territory(folder)) as store:
        problems = store.verify(generation, deep=deep)
    if json:
        show.as_json(problems)
    else:
        for problem in problems or (Text("Tout est conforme au manifeste.", "All is as the manifest says."),):
            show.say(problem)
    return StoreError.exit_code if problems else 0
