"""Say what a conforming file of a dataset holds, from its contract and its shapes: a page in French, and Table Schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cityorchestra_ld.model import Column, Severity, SourceSpec
from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.validation import Shape, load_shapes

_TYPES: Final[Mapping[str, str]] = {
    "text": "string", "code": "string", "integer": "integer", "decimal": "number", "date": "date", "datetime": "datetime",
    "boolean": "boolean",
}  # fmt: skip
_KINDS: Final[Mapping[str, str]] = {
    "text": "texte", "code": "code (texte, zéros compris)", "integer": "nombre entier", "decimal": "nombre", "date": "date",
    "datetime": "date et heure", "boolean": "vrai ou faux",
}  # fmt: skip
_LEVELS: Final = (
    (Severity.VIOLATION, "Ce qui bloque la publication"),
    (Severity.WARNING, "Ce qui donne un avertissement"),
    (Severity.INFO, "Ce qui donne une remarque"),
)


def table_schemas(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Describe each CSV source as a Table Schema (Frictionless, Table Schema), by the name of the source."""
    return {spec.name: _schema(spec) for spec in dataset.sources if spec.format == "csv" and spec.columns}


def _schema(spec: SourceSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "$schema": "https://specs.frictionlessdata.io/schemas/table-schema.json",
        "fields": [_field(column, spec) for column in spec.columns],
        "missingValues": list(spec.nulls),
    }
    return schema | ({"uniqueKeys": [list(spec.key)]} if spec.key else {})  # parts of our keys may be empty


def _field(column: Column, spec: SourceSpec) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": _TYPES[column.kind]}
    if column.kind == "decimal" and spec.decimal:
        field["decimalChar"] = spec.decimal
    if column.kind in ("date", "datetime"):
        field["format"] = "any"
    if column.aliases:
        field["description"] = f"Aussi admis : {', '.join(column.aliases)}"
    if column.pattern and _TYPES[column.kind] == "string":
        field["constraints"] = {"pattern": column.pattern}
    return field


def page(territory: Territory, key: str) -> str:
    """Write the page of a dataset as Markdown."""
    return "\n".join(_lines(territory, territory.dataset(key))) + "\n"


def _lines(territory: Territory, dataset: Dataset) -> Iterator[str]:
    yield from (f"# {dataset.title.fr}", "", dataset.description.fr, "")
    yield from (f"Fourni par {dataset.publisher.name}. Vérifier un fichier avant de l'envoyer :", "")
    given = "FICHIER" if len(dataset.sources) == 1 else f"{dataset.sources[0].name}=FICHIER"
    yield from (f"    cityorchestra validate {dataset.key} --file {given}", "")
    for spec in dataset.sources:
        yield from _source(spec)
    own = territory.root / "shapes" / f"{dataset.key}.ttl"
    shapes = load_shapes([own], base_iri=territory.base_iri) if own.exists() else None
    for level, title in _LEVELS:
        rules = sorted({_rule(shape) for shape in (shapes.shapes.values() if shapes else ()) if _speaks(shape, level)})
        if rules:
            yield from (f"## {title}", "", *rules, "")
    yield "Les règles communes (secret, données personnelles, codes) s'ajoutent à celles-ci : `shapes/core/`."


def _source(spec: SourceSpec) -> Iterator[str]:
    form = "JSON" if spec.format == "json" else f"CSV, séparateur « {spec.delimiter} »" if spec.delimiter else "CSV"
    yield from (f"## Fichier `{spec.name}`", "", f"{form}{f', encodage {spec.encoding}' if spec.encoding else ''}.", "")
    if spec.key:
        yield from (f"Une ligne au plus pour chaque valeur de {', '.join(f'`{name}`' for name in spec.key)}.", "")
    if spec.columns:
        yield from ("| colonne | contenu | présence | forme |", "| --- | --- | --- | --- |")
        for column in spec.columns:
            pattern = f"`{column.pattern}`".replace("|", "\\|") if column.pattern else ""
            presence = "obligatoire" if column.required else "facultative"
            yield f"| `{column.name}` | {_KINDS[column.kind]} | {presence} | {pattern} |"
        yield ""
    if spec.forbidden:
        yield from (f"Ne sortent jamais du fichier : {', '.join(f'`{name}`' for name in spec.forbidden)}.", "")


def _speaks(shape: Shape, level: Severity) -> bool:
    return shape.severity == f"{SH}{level.value}" and bool(shape.messages.get("fr")) and not shape.deactivated


def _rule(shape: Shape) -> str:
    name = shape.names.get("fr", "")
    text = " ".join(shape.messages["fr"].split())
    return f"- **{name}** : {text}" if name else f"- {text}"
