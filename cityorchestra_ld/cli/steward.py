"""The commands of those who write mappings: check, map, explain, new."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cityorchestra_ld.cli import show
from cityorchestra_ld.cli.app import JsonOption, TerritoryOption, app, territory
from cityorchestra_ld.errors import MappingError, Place, Text, UsageError
from cityorchestra_ld.namespaces import prefixes

if TYPE_CHECKING:
    from cityorchestra_ld.check import Finding
    from cityorchestra_ld.lineage import Explained
    from cityorchestra_ld.mapping.preview import Previewed
    from cityorchestra_ld.model import Origin

MappingOption = Annotated[Path | None, typer.Option("--mapping", help="Fichier RML ou YARRRML. / RML or YARRRML file.")]
BaseOption = Annotated[str, typer.Option("--base-iri")]


# --- check --------------------------------------------------------------------------------------------------------------------


@app.command()
def check(
    key: Annotated[str | None, typer.Argument(metavar="[P/D]", help="partenaire/jeu de données")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Tous les jeux. / All datasets.")] = False,
    mapping: MappingOption = None,
    shapes: Annotated[list[Path] | None, typer.Option("--shapes", help="Formes SHACL. / SHACL shapes.")] = None,
    ontology: Annotated[
        list[Path] | None, typer.Option("--ontology", help="Fichiers ou dossiers Turtle. / Turtle files or folders.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="[nom=]fichier dont on regarde l'en-tête. / [name=]file to look at.")
    ] = None,
    base_iri: BaseOption = "http://example.com/",
    form: Annotated[Literal["text", "json", "sarif"], typer.Option("--format", help="Forme de la réponse. / Form.")] = "text",
    code: Annotated[
        str | None, typer.Option("--explain", metavar="MAP-nnn", help="Expliquer un code. / Explain a code.")
    ] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Vérifier une correspondance avant de lire une ligne. / Check a mapping before any row is read."""
    from cityorchestra_ld.check.dataset import check_dataset, check_files

    if code is not None:
        return _explain_code(code)
    if sum((key is not None, everything, mapping is not None)) != 1:
        raise UsageError(Text("Donnez P/D, --all, ou --mapping M.", "Give P/D, --all, or --mapping M."))
    found: dict[str, Sequence[Finding]] = {}
    if mapping is not None:
        files = _named(source or [])
        found[str(mapping)] = check_files(
            mapping, shapes=shapes or [], ontology=ontology or [], sources=files, base_iri=base_iri
        )  # fmt: skip
        return _answer(found, Path.cwd(), "json" if json else form)
    where = territory(folder)
    for name in list(where.datasets) if everything else [key or ""]:
        found[name] = check_dataset(where, name, files=_named(source or []))
    return _answer(found, where.root, "json" if json else form)


def _named(given: Sequence[str]) -> Mapping[str, Path]:
    """Read `name=file` options; the name may be left out."""
    pairs = (text.rpartition("=") for text in given)
    return {name: Path(file) for name, _, file in pairs}


def _answer(found: Mapping[str, Sequence[Finding]], root: Path, form: str) -> int:
    from cityorchestra_ld.check import Level, worst
    from cityorchestra_ld.check.output import as_json, as_sarif, as_text, outcome, shortened

    short = {name: shortened(findings, root) for name, findings in found.items()}
    if form == "sarif":
        sys.stdout.write(as_sarif([f for findings in short.values() for f in findings], show.lang()) + "\n")
    elif form == "json":
        sys.stdout.write(as_json([outcome(name, findings) for name, findings in short.items()]) + "\n")
    else:
        sys.stdout.write("\n".join(as_text(name, findings, show.lang()) for name, findings in short.items()) + "\n")
    failed = any(worst(findings) is Level.ERROR for findings in short.values())
    return MappingError.exit_code if failed else 0


def _explain_code(code: str) -> int:
    import difflib

    from cityorchestra_ld.check import catalogue
    from cityorchestra_ld.check.pages import page

    known = catalogue()
    if code.upper() not in known:
        near = difflib.get_close_matches(code.upper(), known, n=1)
        raise UsageError(
            Text(f"Le code « {code} » n'existe pas.", f"There is no code '{code}'."),
            hint=Text(f"Le plus proche est {near[0]}.", f"The nearest is {near[0]}.") if near else None,
        )
    sys.stdout.write(page(known[code.upper()]))
    return 0


# --- map ----------------------------------------------------------------------------------------------------------------------


@app.command("map")
def map_(
    key: Annotated[str | None, typer.Argument(metavar="[P/D]")] = None,
    mapping: MappingOption = None,
    base_dir: Annotated[Path | None, typer.Option("--base-dir", help="Dossier des sources. / Folder of the sources.")] = None,
    base_iri: BaseOption = "http://example.com/",
    out: Annotated[Path | None, typer.Option("--out", help="Fichier N-Quads. / N-Quads file.")] = None,
    count: Annotated[
        int | None, typer.Option("--preview", min=1, max=1000, help="Montrer N enregistrements. / Show N records.")
    ] = None,
    executor: Annotated[
        Literal["duckdb", "spark"],
        typer.Option("--executor", help="Spark : option « spark ». / Spark needs the extra 'spark'."),
    ] = "duckdb",
    targets: Annotated[
        Path | None, typer.Option("--targets", help="Dossier des cibles RML, avec --mapping. / Folder of RML targets.")
    ] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Traduire en RDF, sans valider ni publier. / Map to RDF, without validation or publication."""
    from cityorchestra_ld import stages

    if (out is None) == (count is None) or (key is None) == (mapping is None):
        raise UsageError(
            Text(
                "Donnez P/D ou --mapping M --base-dir D, et --out F.nq ou --preview N.",
                "Give P/D or --mapping M --base-dir D, and --out F.nq or --preview N.",
            )
        )
    where = territory(folder) if key is not None else None
    if count is not None:
        shown = (
            stages.preview_dataset(where, key or "", count)
            if where
            else stages.preview_file(mapping or Path(), base_dir or (mapping or Path()).parent, base_iri, count)
        )
        return _previewed(shown, json=json)
    report = (
        stages.map_dataset(where, key or "", out or Path(), executor)
        if where
        else stages.map_file(
            mapping or Path(), base_dir or (mapping or Path()).parent, base_iri, out or Path(), executor, targets
        )
    )
    if json:
        show.as_json(report)
        return 0
    for name, number in report.per_map.items():
        show.say(Text(f"{number:>10} quads  {name}", f"{number:>10} quads  {name}"))
    show.say(Text(f"{report.quads} quads dans {out}.", f"{report.quads} quads in {out}."))
    return 0


def _previewed(shown: Sequence[Previewed], *, json: bool) -> int:
    """Print each record beside its triples; exit 4 when a value is wrong."""
    wrong = any(item.wrong for item in shown)
    if json:
        show.as_json(shown)
        return MappingError.exit_code if wrong else 0
    english = show.lang() == "en"
    for item in shown:
        words = ("record", "enregistrement") if item.pointed else ("row", "ligne")
        sys.stdout.write(f"{item.file}, {words[not english]} {item.row}\n")
        for name, value in item.record.items():
            sys.stdout.write(f"    {name}: {show.cut(value)}\n")
        for said in item.triples:
            at = f"  # {said.triples_map}" + (f":{said.line}" if said.line else "")
            sys.stdout.write(f"  → {show.short(said.subject)} {show.short(said.predicate)} {show.short(said.object)}{at}\n")
        for fault in item.wrong:
            sys.stdout.write(f"  ✗ {fault.message.get(show.lang())}\n    {fault.place.describe(show.lang())}\n")
            if fault.hint:
                sys.stdout.write(f"    {fault.hint.get(show.lang())}\n")
        if not item.triples and not item.wrong:
            sys.stdout.write("  → " + ("no triple\n" if english else "aucun triplet\n"))
        sys.stdout.write("\n")
    return MappingError.exit_code if wrong else 0


# --- explain ------------------------------------------------------------------------------------------------------------------


@app.command()
def explain(
    subject: Annotated[str, typer.Argument(metavar="S", help="IRI du sujet. / IRI of the subject.")],
    predicate: Annotated[str | None, typer.Argument(metavar="[P]", help="IRI ou préfixe:nom. / IRI or prefix:name.")] = None,
    value: Annotated[str | None, typer.Argument(metavar="[O]", help="IRI ou texte. / IRI or text.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Passage, sinon ce qui est publié. / Run, else what is published.")
    ] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Dire d'où vient un triplet : fichier, ligne, colonne, règle. / Say where a triple comes from: file, row, column, rule."""
    from cityorchestra_ld import lineage

    where = territory(folder)
    known = prefixes(where.base_iri)
    exact = value is not None and (value.startswith(("<", '"')) or _expanded(value, known) is not None)
    found = lineage.explain(
        where,
        _iri(subject, known),
        _iri(predicate, known) if predicate else None,
        _object(value, known) if exact else None,
        run=run,
    )
    if value is not None and not exact:
        found = tuple(item for item in found if _lexical(item.object) == value)
        if not found:
            raise UsageError(
                Text(f"Aucun objet ne s'écrit « {value} ».", f"No object is written '{value}'."), place=Place(value=subject)
            )
    if json:
        show.as_json(found)
        return 0
    for item in found:
        for line in _explained(item, where.root):
            sys.stdout.write(line + "\n")
        sys.stdout.write("\n")
    return 0


def _iri(text: str, known: Mapping[str, str]) -> str:
    if text.startswith(("<", "_:")):
        return text
    expanded = _expanded(text, known)
    if expanded is None:
        raise UsageError(
            Text(f"« {text} » n'est pas une IRI.", f"'{text}' is not an IRI."),
            hint=Text(
                "Écrivez l'adresse entière, ou un préfixe connu : rdfs:label.",
                "Write the whole IRI, or a known prefix: rdfs:label.",
            ),
        )  # fmt: skip
    return f"<{expanded}>"


def _expanded(text: str, known: Mapping[str, str]) -> str | None:
    if text.startswith(("http://", "https://", "urn:")):
        return text
    if text == "a":
        return known["rdf"] + "type"
    prefix, colon, local = text.partition(":")
    return known[prefix] + local if colon and prefix in known else None


def _object(text: str | None, known: Mapping[str, str]) -> str | None:
    if text is None or text.startswith(("<", '"')):
        return text
    expanded = _expanded(text, known)
    return f"<{expanded}>" if expanded else None


def _lexical(term: str) -> str:
    if term.startswith("<"):
        return term[1:-1]
    return term[1 : term.rfind('"')] if term.startswith('"') else term


def _explained(item: Explained, root: Path) -> list[str]:
    english = show.lang() == "en"
    shown = " ".join(show.short(term) for term in (item.subject, item.predicate, item.object) if term)
    lines = [shown]
    if item.dataset:
        lines.append(f"  {'dataset' if english else 'jeu de données'}: {item.dataset} {item.version or ''}".rstrip())
    for origin in item.origins:
        lines.append(f"  {'from' if english else 'vient de'}: {_place(origin)}")
    for rule in item.rules:
        file = Path(rule.file)
        name = file.relative_to(root) if file.is_relative_to(root) else file
        lines.append(f"  {'rule' if english else 'règle'}: {rule.triples_map}, {name}" + (f":{rule.line}" if rule.line else ""))
    if item.note:
        lines.append(f"  {item.note.get(show.lang())}")
    return lines


def _place(origin: Origin) -> str:
    place = Place(
        file=origin.file, row=origin.row if origin.pointer is None else None, column=origin.column, value=origin.cell,
        pointer=origin.pointer,
    )  # fmt: skip
    return place.describe(show.lang()) + (f" ({origin.term_map})" if origin.term_map else "")


# --- new ----------------------------------------------------------------------------------------------------------------------


@app.command()
def new(
    key: Annotated[str, typer.Argument(metavar="P/D", help="partenaire/jeu de données")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Fichier CSV ou JSON. / CSV or JSON file.")],
    title: Annotated[str | None, typer.Option("--title", help="Titre du jeu. / Title of the dataset.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Écraser un jeu qui existe. / Overwrite a dataset.")] = False,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Lire un fichier et écrire un premier jet : contrat, correspondance, règles. / Write a first draft from a file."""
    from cityorchestra_ld import draft
    from cityorchestra_ld.stages import try_draft

    where = territory(folder)
    outcome = try_draft(where, key, file.resolve(), title=title, replace=force)
    if json:
        show.as_json(outcome)
        return outcome.exit_code
    lines = [*draft.findings(outcome.outline), Text("", ""), *(Text(f"  {path}", f"  {path}") for path in outcome.written)]
    errors = sum(found.level == "error" for found in outcome.findings)
    rest = len(outcome.findings) - errors
    lines += [
        Text(f"Vérification : {errors} erreur(s), {rest} remarque(s).", f"Check: {errors} error(s), {rest} remark(s)."),
        Text(
            f"Essai : {outcome.triples} triplets, {outcome.violations} violation(s), {outcome.warnings} avertissement(s).",
            f"Trial: {outcome.triples} triples, {outcome.violations} violation(s), {outcome.warnings} warning(s).",
        ),
        *([outcome.failure.message] if outcome.failure else []),
        Text(
            f"À faire : relire les lignes PROPOSITION et À DÉCIDER, puis `cityorchestra map {key} --preview 5`.",
            f"To do: read the lines PROPOSITION and À DÉCIDER, then `cityorchestra map {key} --preview 5`.",
        ),
    ]
    sys.stdout.write("".join(line.get(show.lang()) + "\n" for line in lines))
    return outcome.exit_code
