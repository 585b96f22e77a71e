"""Write the YARRRML mapping of a draft; what is guessed is marked PROPOSITION, what has no term stays as a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cityorchestra_ld.draft.kinds import Column
from cityorchestra_ld.draft.outline import Field, Figure, Outline
from cityorchestra_ld.namespaces import prefixes

_AREA: Final = {"commune": "com:", "departement": "dep:", "region": "reg:", "iris": "id:iris/", "epci": "id:epci/"}
_FUNCTIONS: Final = {
    "integer": ("integer", "xsd:integer"), "decimal": ("decimal", "xsd:decimal"), "date": ("date", "xsd:date"),
    "datetime": ("dateTime", "xsd:dateTime"), "epoch": ("epoch", "xsd:dateTime"), "boolean": ("boolean", "xsd:boolean"),
}  # fmt: skip
_PREFIX: Final = re.compile(r"(?<![\w/$(])([a-z][a-z0-9]*):(?=[A-Za-z$])")


def mapping_text(draft: Outline, base_iri: str) -> str:
    """Write a whole mapping document."""
    body = list(_figures(draft) if draft.style == "figures" else _things(draft))
    text = "\n".join(body)
    known = prefixes(base_iri)
    used = [name for name in known if name in set(_PREFIX.findall(text))]
    source = draft.profile.path.name
    access = f'["{source}~jsonpath", "{draft.profile.iterator}"]' if draft.profile.format == "json" else f'["{source}~csv"]'
    head = [
        f"# {draft.key} : premier jet, fait par `cityorchestra new`. Les lignes marquées PROPOSITION sont à relire.",
        f"# {draft.key}: first draft, made by `cityorchestra new`. Lines marked PROPOSITION are to be read again.",
        "",
        "prefixes:",
        *(f"  {name}: {known[name]}" for name in used),
        "",
        "sources:",
        f"  records: {access}",
        "",
        "mappings:",
    ]
    return "\n".join([*head, text, ""])


def reference(column: Column) -> str:
    """Write a reference to a column."""
    return f"$({column.name})"


def _quoted(text: str) -> str:
    return f'"{text}"' if set(text) & set("[]{},#:&*!|>%@` ") else text


def subject(draft: Outline) -> str:
    """Write the template of what a record is about."""
    identity = "/".join(reference(column) for column in draft.identity)
    return f"id:{draft.name}/{draft.key.partition('/')[0]}/{identity}"


def _value(column: Column) -> str:
    """Write the object of a column of values, in flow style."""
    made = _FUNCTIONS.get(column.kind)
    if made is None:
        return ""
    function, datatype = made
    arguments = [f"[fn:value, {_quoted(reference(column))}]"]
    if column.kind == "decimal" and column.mark != ".":
        arguments.append(f'[fn:mark, "{column.mark}"]')
    if column.kind == "date" and column.detail != "iso":
        arguments.append(f"[fn:format, {column.detail}]")
    return f"{{ function: fn:{function}, parameters: [{', '.join(arguments)}], datatype: {datatype} }}"


# --- things -------------------------------------------------------------------------------------------------------------------


def _things(draft: Outline) -> Iterator[str]:
    yield from ["  record:", "    sources: records", f"    s: {subject(draft)}", "    po:"]
    classes = [draft.kind.term, "geo:Feature"] if _has_place(draft) else [draft.kind.term]
    yield f"      - [a, [{', '.join(f'{name}~iri' for name in classes)}]]      # PROPOSITION : {draft.kind.why.fr}"
    if draft.label is not None:
        yield f"      - [rdfs:label, {_quoted(reference(draft.label))}, fr~lang]"
    else:
        named = " ".join(reference(column) for column in draft.identity)
        yield f'      - [rdfs:label, "{draft.name} {named}", fr~lang]      # PROPOSITION : aucune colonne de noms'
    if draft.area is not None:
        yield f"      - [dct:spatial, {_AREA[draft.area.role]}{reference(draft.area)}~iri]"
    for field in draft.fields:
        yield from _field(field, text="" if draft.profile.format == "csv" else ", xsd:string")
    if _has_place(draft):
        yield f"      - [geo:hasGeometry, {subject(draft)}/geometry~iri]"
    yield from _leftovers(draft)
    yield from _geometry(draft)


def _has_place(draft: Outline) -> bool:
    both = draft.role("lon") is not None and draft.role("lat") is not None
    return both or draft.role("point") is not None or draft.profile.geometry is not None


def _field(field: Field, *, text: str) -> Iterator[str]:
    """Write one property; `text` keeps the numbers of JSON that are codes from becoming numbers."""
    column, why = field.column, field.proposal.why.fr
    note = f"      # PROPOSITION : {why}"
    if column.role == "url":
        yield f"      - [{field.proposal.term}, {_quoted(reference(column))}~iri]{note}"
    elif column.kind in _FUNCTIONS:
        yield f"      - p: {field.proposal.term}{note}"
        yield f"        o: {_value(column)}"
    else:
        tail = ", fr~lang" if column.role == "description" else text
        yield f"      - [{field.proposal.term}, {_quoted(reference(column))}{tail}]{note}"


def _leftovers(draft: Outline) -> Iterator[str]:
    if draft.leftovers:
        yield "      # Colonnes sans terme connu : cherchez ou définissez une propriété dans ontology/, puis décommentez."
        yield "      # Columns without a known term: find or define a property in ontology/, then uncomment."
    for column in draft.leftovers:
        shown = ", ".join(example.replace("\n", " ")[:30] for example in column.examples[:2])
        yield f"      # - [co:…, {_quoted(reference(column))}]      # « {column.label} », {column.kind} : {shown}"


def _geometry(draft: Outline) -> Iterator[str]:
    if not _has_place(draft):
        return
    yield from [
        "",
        "  geometry:",
        "    sources: records",
        f"    s: {subject(draft)}/geometry",
        "    po:",
        "      - [a, geo:Geometry~iri]",
    ]
    lon, lat, point = draft.role("lon"), draft.role("lat"), draft.role("point")
    if draft.profile.geometry is not None:
        call = f"fn:geometry, parameters: [[fn:value, $({draft.profile.geometry})]]"
    elif point is not None:
        call = f"fn:pointFromPair, parameters: [[fn:value, {_quoted(reference(point))}], [fn:order, {point.detail}]]"
    else:
        call = f"fn:point, parameters: [[fn:lon, {reference(lon or lat)}], [fn:lat, {reference(lat or lon)}]]"  # type: ignore[arg-type]
    yield "      - p: geo:asWKT"
    yield f"        o: {{ function: {call}, datatype: geo:wktLiteral }}"


# --- figures ------------------------------------------------------------------------------------------------------------------


def _figures(draft: Outline) -> Iterator[str]:
    others = [c for c in draft.identity if c not in (draft.area, draft.period)]
    for figure in draft.figures:
        yield from _figure(draft, figure, others)
    for column in others:
        yield f"      # La colonne « {column.label} » distingue les chiffres d'une même zone : donnez-lui une dimension (co:…)."
    yield from _leftovers(draft)


def _figure(draft: Outline, figure: Figure, others: list[Column]) -> Iterator[str]:
    area, column = draft.area, figure.column
    if area is None:
        return
    period = reference(draft.period) if isinstance(draft.period, Column) else str(draft.period)
    parts = "-".join(reference(c) for c in (area, *others))
    kind = "integer" if draft.whole else "decimal"
    mark = f', [fn:mark, "{column.mark}"]' if kind == "decimal" and column.mark != "." else ""
    cell = reference(column)
    proposed = "" if figure.known else "      # PROPOSITION : indicateur défini dans static.ttl"
    yield from [
        f"  {column.name.replace('.', '-')}:",
        "    sources: records",
        f"    s: id:obs/{draft.key}/{period}/{parts}-{column.name.replace('.', '-').replace('_', '-')}",
        "    po:",
        "      - [a, qb:Observation~iri]",
        f"      - [qb:dataSet, id:dataset/{draft.key}~iri]",
        f"      - [sd:refArea, {_AREA[area.role]}{reference(area)}~iri]",
        f'      - [sd:refPeriod, {period if isinstance(draft.period, Column) else chr(34) + period + chr(34)}, xsd:gYear]',
        f"      - [co:indicator, code:indicator/{figure.notation}~iri]{proposed}",
        "      - p: sm:obsValue",
        f"        o: {{ function: fn:{kind}, parameters: [[fn:value, {cell}]{mark}], datatype: xsd:{kind} }}",
        f"      - [sa:unitMeasure, {figure.unit.term}~iri]      # PROPOSITION : {figure.unit.why.fr}",
        "      - p: sa:confStatus",
        f"        o: {{ function: fn:confStatus, parameters: [[fn:value, {cell}]], type: iri }}",
        "      - p: sa:obsStatus",
        f"        o: {{ function: fn:obsStatus, parameters: [[fn:value, {cell}]], type: iri }}",
    ]  # fmt: skip
