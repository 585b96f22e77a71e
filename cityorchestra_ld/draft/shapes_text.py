"""Write the SHACL shapes of a draft: what the file itself shows, to be tightened by whoever knows the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cityorchestra_ld.draft.outline import Field, Figure, Outline
from cityorchestra_ld.namespaces import prefixes

_DATATYPES: Final = {
    "integer": "xsd:integer", "decimal": "xsd:decimal", "date": "xsd:date", "datetime": "xsd:dateTime", "epoch": "xsd:dateTime",
    "boolean": "xsd:boolean", "text": "xsd:string", "code": "xsd:string",
}  # fmt: skip


def shapes_text(draft: Outline, base_iri: str) -> str:
    """Write a whole shapes file."""
    body = "\n".join(_figures(draft) if draft.style == "figures" else _things(draft))
    known = prefixes(base_iri) | {"indicator": f"{base_iri}id/code/indicator/"}
    used = [name for name in sorted(known) if re.search(rf"(?<![\w-]){name}:", body)]
    head = [
        f"# Règles de {draft.key} : premier jet, fait par `cityorchestra new` d'après le fichier. À relire et à resserrer.",
        f"# Rules for {draft.key}: first draft, made by `cityorchestra new` from the file. To be read again and tightened.",
        "",
        *(f"@prefix {name}: <{known[name]}> ." for name in used),
        "",
    ]
    return "\n".join([*head, body, ""])


def _shape(draft: Outline, target: str, names: tuple[str, str], properties: list[str]) -> Iterator[str]:
    own = f"csh:{draft.pascal}"
    yield f"{own} a sh:NodeShape ;"
    yield f"  sh:targetClass {target} ;"
    yield f'  sh:name "{names[0]}"@fr, "{names[1]}"@en ;'
    yield f"  sh:property {', '.join(f'{own}-{name}' for name in properties)} ."


def _property(draft: Outline, name: str, path: str, rules: str, fr: str, en: str) -> Iterator[str]:
    yield ""
    yield f"csh:{draft.pascal}-{name} a sh:PropertyShape ;"
    yield f"  sh:path {path} ;"
    yield f"  {rules} ;"
    yield f'  sh:message "{fr}"@fr,'
    yield f'    "{en}"@en .'


# --- things -------------------------------------------------------------------------------------------------------------------


def _things(draft: Outline) -> Iterator[str]:
    fields = [(f"f{number}", field) for number, field in enumerate(draft.fields, 1)]
    place = ["geometry"] if _must_have_place(draft) else []
    yield from _shape(
        draft, draft.kind.term, (f"Enregistrement de {draft.name}", f"Record of {draft.name}"),
        ["label", *(name for name, _ in fields), *place],
    )  # fmt: skip
    everywhere = draft.label is None or draft.label.filled == draft.profile.records
    severity = "" if everywhere else " ; sh:severity sh:Warning"
    yield from _property(
        draft, "label", "rdfs:label", f"sh:minCount 1 ; sh:datatype rdf:langString{severity}", "Il manque le nom en français.",
        "The French name is missing.",
    )  # fmt: skip
    for name, field in fields:
        yield from _field(draft, name, field)
    if place:
        yield from _property(
            draft, "geometry", "geo:hasGeometry", "sh:minCount 1 ; sh:class geo:Geometry ; sh:severity sh:Warning",
            "Il manque la position.", "The position is missing.",
        )  # fmt: skip


def _must_have_place(draft: Outline) -> bool:
    columns = [draft.role("lon"), draft.role("lat")] if draft.role("lon") and draft.role("lat") else [draft.role("point")]
    return draft.profile.geometry is not None or all(c is not None and c.filled == draft.profile.records for c in columns)


def _field(draft: Outline, name: str, field: Field) -> Iterator[str]:
    column = field.column
    if column.role == "url":
        rules = ["sh:nodeKind sh:IRI"]
    elif column.role == "description":
        rules = ["sh:datatype rdf:langString"]
    else:
        rules = [f"sh:datatype {_DATATYPES[column.kind]}"]
    if not column.many and draft.unique:
        rules.insert(0, "sh:maxCount 1")
    if column.pattern and column.kind == "code":
        rules.append(f'sh:pattern "^{column.pattern}$"')
    if column.kind in ("integer", "decimal") and column.smallest is not None and column.smallest >= 0:
        rules.append("sh:minInclusive 0")
    key = field.proposal.term == "dct:identifier"
    if field.always:
        rules.insert(0, "sh:minCount 1")
        rules += [] if key else ["sh:severity sh:Warning"]
    shown = column.label.replace('"', "'").replace("\\", "/")
    yield from _property(
        draft, name, field.proposal.term, " ; ".join(rules), f"La colonne « {shown} » n'a pas la forme attendue.",
        f"The column '{shown}' does not have the expected form.",
    )  # fmt: skip


# --- figures ------------------------------------------------------------------------------------------------------------------


def _figures(draft: Outline) -> Iterator[str]:
    yield from _shape(
        draft,
        "qb:Observation",
        (f"Chiffre de {draft.name}", f"Figure of {draft.name}"),
        ["area", "period", "indicator", "value"],
    )
    yield from _property(
        draft, "area", "sd:refArea", "sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI", "Ce chiffre n'a pas de zone.",
        "This figure has no area.",
    )  # fmt: skip
    yield from _property(
        draft, "period", "sd:refPeriod", "sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:gYear", "Ce chiffre n'a pas d'année.",
        "This figure has no year.",
    )  # fmt: skip
    listed = " ".join(f"indicator:{figure.notation}" for figure in draft.figures)
    yield from _property(
        draft, "indicator", "co:indicator", f"sh:minCount 1 ; sh:maxCount 1 ; sh:in ( {listed} )",
        "Cet indicateur n'est pas de ceux du fichier.", "This indicator is not one of the file.",
    )  # fmt: skip
    datatype = "xsd:integer" if draft.whole else "xsd:decimal"
    positive = " ; sh:minInclusive 0" if all((f.column.smallest or 0) >= 0 for f in draft.figures) else ""
    yield from _property(
        draft, "value", "sm:obsValue", f"sh:maxCount 1 ; sh:datatype {datatype}{positive}",
        "La valeur n'est pas celle attendue.", "The value is not as expected.",
    )  # fmt: skip


def static_text(draft: Outline, base_iri: str) -> str | None:
    """Write the indicators that the territory does not have yet; nothing when it has them all."""
    missing = [figure for figure in draft.figures if not figure.known]
    if not missing:
        return None
    known = prefixes(base_iri)
    head = [
        "# PROPOSITION : indicateurs de ce fichier. Ceux qui servent ailleurs vont dans ontology/codelists/indicator.ttl.",
        "# PROPOSITION: indicators of this file. Those that serve elsewhere go to ontology/codelists/indicator.ttl.",
        "",
        *(f"@prefix {name}: <{known[name]}> ." for name in ("code", "skos")),
        f"@prefix indicator: <{base_iri}id/code/indicator/> .",
        "",
    ]
    return "\n".join([*head, *(line for figure in missing for line in _indicator(figure)), ""])


def _indicator(figure: Figure) -> Iterator[str]:
    label = figure.label.replace("\\", "/").replace('"', "'")
    yield f"indicator:{figure.notation} a skos:Concept ;"
    yield "  skos:inScheme code:indicator ;"
    yield f'  skos:notation "{figure.notation}" ;'
    yield f'  skos:prefLabel "{label}"@fr .'
