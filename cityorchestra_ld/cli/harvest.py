"""The command that takes over the catalogue of another portal."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cityorchestra_ld.cli import show
from cityorchestra_ld.cli.app import JsonOption, TerritoryOption, app, territory
from cityorchestra_ld.errors import Text


@app.command()
def harvest(
    source: Annotated[str, typer.Argument(metavar="URL|FICHIER", help="Portail, ou fichier. / Portal, or file.")],
    kind: Annotated[Literal["rudi", "ods", "dcat"], typer.Option("--kind", help="rudi, ods (Opendatasoft), dcat (RDF)")],
    name: Annotated[str | None, typer.Option("--name", help="Nom du catalogue ici. / Its name here.")] = None,
    dry: Annotated[bool, typer.Option("--show", help="Dire sans faire. / Say, do nothing.")] = False,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Reprendre les fiches d'un autre catalogue, sans ses données. / Take over another catalogue's records."""
    from cityorchestra_ld import harvest as harvesting

    done = harvesting.harvest(territory(folder), source, kind, name=name, publish=not dry)
    if json:
        generation = done.generation.number if done.generation else None
        found = [{"iri": dataset.iri, "title": dataset.title} for dataset in done.datasets]
        show.as_json({"graph": done.graph, "generation": generation, "datasets": found})
        return 0
    number = len(done.datasets)
    show.say(Text(f"{number} jeux de données décrits dans {done.graph}", f"{number} datasets described in {done.graph}"))
    return 0
