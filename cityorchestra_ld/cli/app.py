"""The commands that people type, each a few lines over the stages."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import typer

from cityorchestra_ld.cli import show
from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.territory import Territory, load_territory

app = typer.Typer(
    name="cityorchestra",
    help="Des fichiers des partenaires à un graphe publié. / From partners' files to a published knowledge graph.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
runs_app = typer.Typer(help="Les passages et ce qu'ils ont trouvé. / Runs and what they found.", invoke_without_command=True)
app.add_typer(runs_app, name="runs")

TerritoryOption = Annotated[
    Path | None,
    typer.Option("--territory", help="Dossier du territoire. / Territory folder.", envvar="CITYORCHESTRA_TERRITORY"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Répondre en JSON. / Answer in JSON.")]
Key = Annotated[str, typer.Argument(metavar="P/D", help="partenaire/jeu de données")]


def territory(folder: Path | None) -> Territory:
    """Load the territory that was asked for: --territory, the current folder, or the reference one in the package."""
    state = os.environ.get("CITYORCHESTRA_STATE")
    if folder is None and Path("territory.toml").exists():
        folder = Path()
    if folder is not None:
        return load_territory(folder.resolve(), state=Path(state).resolve() if state else None)
    with resources.as_file(resources.files("cityorchestra_ld") / "reference") as packaged:
        if (packaged / "territory.toml").exists():
            return load_territory(packaged, state=Path(state or "var").resolve())
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "territory.toml").exists():
        return load_territory(checkout, state=Path(state).resolve() if state else None)
    raise UsageError(
        Text("Aucun territoire ici.", "There is no territory here."),
        place=Place(file=str(Path.cwd())),
        hint=Text("Allez dans un dossier qui contient territory.toml, ou donnez --territory.",
                  "Go to a folder that holds territory.toml, or give --territory."),
    )  # fmt: skip


@app.command()
def run(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[P/D ...]", help="Jeux de données. / Datasets.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Tous les jeux. / All datasets.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Même si rien n'a changé. / Even if nothing changed.")] = False,
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="Un refus bloque tout. / One refusal blocks all.")
    ] = False,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Lire, traduire, valider et publier. / Read, map, validate and publish."""
    from cityorchestra_ld import pipeline

    where = territory(folder)
    if bool(keys) == everything:
        raise UsageError(
            Text("Donnez des jeux de données, ou --all.", "Give datasets, or --all."),
            hint=Text(
                f"Par exemple : {', '.join(list(where.datasets)[:3])}.", f"For example: {', '.join(list(where.datasets)[:3])}."
            ),
        )
    with show.Display(quiet=json) as display:
        outcome = pipeline.run(
            where,
            list(where.datasets) if everything else keys or [],
            progress=display,
            force=force,
            all_or_nothing=all_or_nothing,
        )
    if json:
        show.as_json(outcome)
        return outcome.exit_code
    show.summary(outcome.runs)
    if outcome.generation:
        number, total = outcome.generation.number, f"{outcome.generation.triples:,}".replace(",", " ")
        state = Text("publiée", "published") if outcome.published else Text("inchangée", "unchanged")
        show.say(
            Text(f"Génération {number} {state.fr} : {total} triplets.", f"Generation {number} {state.en}: {total} triples.")
        )
    return outcome.exit_code


@app.command()
def publish(key: Key, dry: Annotated[bool, typer.Option("--show", help="Dire sans faire. / Say, do nothing.")] = False,
            folder: TerritoryOption = None, json: JsonOption = False) -> int:  # fmt: skip
    """Publier un jeu de données. / Publish one dataset."""
    from cityorchestra_ld import pipeline

    with show.Display(quiet=json) as display:
        outcome = pipeline.run(territory(folder), [key], progress=display, publish=not dry)
    if json:
        show.as_json(outcome)
    else:
        show.summary(outcome.runs)
    return outcome.exit_code


@app.command()
def rollback(
    to: Annotated[int | None, typer.Option(help="Numéro de génération. / Generation number.")] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Revenir à la génération d'avant. / Go back to the generation before."""
    from cityorchestra_ld import pipeline

    generation = pipeline.rollback(territory(folder), to)
    if json:
        show.as_json({"generation": generation.number, "triples": generation.triples})
    else:
        show.say(Text(f"La génération {generation.number} est publiée.", f"Generation {generation.number} is published."))
    return 0


@app.command()
def validate(
    key: Annotated[str | None, typer.Argument(metavar="[P/D]")] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", help="[source=]fichier à essayer. / [source=]file to try.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="RDF quelconque. / Any RDF.")] = None,
    shapes: Annotated[list[Path] | None, typer.Option("--shapes", help="Formes SHACL. / SHACL shapes.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Écrire le rapport (.ttl .html .csv .json). / Write the report.")
    ] = None,
    changed_since: Annotated[
        str | None, typer.Option("--changed-since", help="Jeux dont un fichier a changé. / Datasets with a changed file.")
    ] = None,
    engine: Annotated[Literal["auto", "fast", "pyshacl"], typer.Option("--engine")] = "auto",
    base_iri: Annotated[str, typer.Option("--base-iri")] = "http://example.com/",
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accepter qu'il n'y ait rien à vérifier. / Accept that nothing is checked.")
    ] = False,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Valider un jeu de données, ou un fichier RDF, sans publier. / Validate a dataset or any RDF, without publishing."""
    from cityorchestra_ld import changed, stages

    if [key, data, changed_since].count(None) != 2:
        raise UsageError(
            Text(
                "Donnez P/D, --data F --shapes S, ou --changed-since REF.",
                "Give P/D, --data F --shapes S, or --changed-since REF.",
            )
        )
    if changed_since is not None:
        return show.checked(changed.validate_changed(territory(folder), changed_since), json=json)
    if data is not None:
        found, rules = stages.validate_file(data, shapes or [], base_iri, engine, allow_empty=allow_empty)
        return show.report(found, rules, report, json=json)
    where = territory(folder)
    run_, place = stages.try_files(where, key or "", file or [])
    if report is not None:
        stages.write_kept(where, key or "", place, report)
    return show.tried(run_, place, json=json)


@app.command()
def document(
    key: Key,
    format_: Annotated[Literal["md", "table-schema"], typer.Option("--format", help="md table-schema")] = "md",
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Dire ce qu'un fichier conforme contient. / Say what a conforming file holds."""
    from cityorchestra_ld import documents

    where = territory(folder)
    if json or format_ == "table-schema":
        show.as_json(documents.table_schemas(where.dataset(key)))
    else:
        sys.stdout.write(documents.page(where, key))
    return 0


@app.command()
def query(
    file: Annotated[str, typer.Argument(help="Fichier .rq, ou - pour l'entrée standard. / .rq file, or - for standard input.")],
    format_: Annotated[str, typer.Option("--format", help="json csv tsv xml ttl nt jsonld rdf")] = "",
    bindings: Annotated[list[str] | None, typer.Option("--set", help="nom=terme. / name=term.")] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Poser une question SPARQL à ce qui est publié. / Ask what is published a SPARQL question."""
    from cityorchestra_ld import stages

    text = sys.stdin.read() if file == "-" else stages.read_text(Path(file))
    return stages.query(territory(folder), text, bindings or [], format_ or ("json" if json else "csv"), sys.stdout.buffer)


@app.command()
def describe(
    iri: str,
    format_: Annotated[str, typer.Option("--format")] = "ttl",
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Décrire une ressource publiée. / Describe a published resource."""
    from cityorchestra_ld import stages

    return stages.describe(territory(folder), iri, "jsonld" if json else format_, sys.stdout.buffer)


@app.command()
def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: Annotated[int | None, typer.Option(help="Processus de requête. / Query processes.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Rien ne se modifie. / Nobody changes anything.")] = False,
    generation: Annotated[
        Path | None, typer.Option(help="Copie d'une génération, en lecture seule. / Copy of a generation, read-only.")
    ] = None,
    folder: TerritoryOption = None,
) -> int:
    """Servir ce qui est publié : SPARQL, pages, données liées. / Serve what is published: SPARQL, pages, linked data."""
    from cityorchestra_ld.store.replica import replica
    from cityorchestra_ld.web.server import serve as until_stopped

    where = territory(folder)
    where = replace(where, workers=workers or where.workers, read_only=read_only)
    with ExitStack() as stack:
        if generation is not None:
            where = stack.enter_context(replica(where, generation))
        elif where.server is not None:
            from cityorchestra_ld.store.opening import follow

            stack.enter_context(follow(where))
        return until_stopped(where, host, port)


@app.command()
def doctor(folder: TerritoryOption = None, json: JsonOption = False) -> int:
    """Vérifier l'installation, le territoire et le dépôt. / Check the installation, the territory and the store."""
    from cityorchestra_ld import doctor as examination

    findings = examination.examine(territory(folder))
    if json:
        show.as_json(findings)
    else:
        for finding in findings:
            mark = {"ok": "✓", "warning": "!", "error": "✗"}[finding.level]
            show.say(Text(f"{mark} {finding.text.fr}", f"{mark} {finding.text.en}"))
            if finding.hint:
                show.say(Text(f"  → {finding.hint.fr}", f"  → {finding.hint.en}"))
    return max((finding.exit_code for finding in findings), default=0)


@runs_app.callback()
def runs_default(context: typer.Context, folder: TerritoryOption = None, json: JsonOption = False) -> None:
    """Lister les passages. / List runs."""
    if context.invoked_subcommand is None:
        runs_list(folder, json)


@runs_app.command("list")
def runs_list(folder: TerritoryOption = None, json: JsonOption = False) -> int:
    """Lister les passages, le plus récent d'abord. / List runs, newest first."""
    from cityorchestra_ld.runs import RunFolder

    found = RunFolder(territory(folder).state).list()
    if json:
        show.as_json(found)
    else:
        show.runs_table(found)
    return 0


@runs_app.command("show")
def runs_show(
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Sans ID : ce qui est publié. / Without ID: what is published.")
    ] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:  # fmt: skip
    """Montrer un passage, ou ce qui est publié. / Show one run, or what is published."""
    from cityorchestra_ld import stages
    from cityorchestra_ld.runs import RunFolder

    where = territory(folder)
    if identity is None:
        found = stages.published_runs(where)
        show.as_json(found) if json else show.summary(found)
        return 0
    run_ = RunFolder(where.state).load(identity)
    show.as_json(run_) if json else show.run_details(run_)
    return 0


from cityorchestra_ld.cli import golden as _golden  # noqa: E402, F401  # registers golden
from cityorchestra_ld.cli import harvest as _harvest  # noqa: E402, F401  # registers harvest
from cityorchestra_ld.cli import keeping as _keeping  # noqa: E402, F401  # registers backup, restore and verify
from cityorchestra_ld.cli import steward as _steward  # noqa: E402, F401  # registers check, map, explain and new
from cityorchestra_ld.cli import tokens as _tokens  # noqa: E402, F401  # registers token
