"""Say what was found in a file, and what its draft makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cityorchestra_ld.draft.kinds import Column
from cityorchestra_ld.draft.outline import Outline
from cityorchestra_ld.errors import Text

_KINDS: Final = {
    "text": ("texte", "text"),
    "code": ("code", "code"),
    "integer": ("entier", "whole number"),
    "decimal": ("nombre", "number"),
    "date": ("date", "date"),
    "datetime": ("date et heure", "date and time"),
    "epoch": ("secondes depuis 1970", "seconds since 1970"),
    "boolean": ("oui ou non", "yes or no"),
}
_ROLES: Final = {
    "commune": ("code de commune", "commune code"),
    "iris": ("code d'IRIS", "IRIS code"),
    "epci": ("SIREN d'EPCI", "SIREN of an EPCI"),
    "departement": ("code de département", "département code"),
    "region": ("code de région", "région code"),
    "year": ("année", "year"),
    "lon": ("longitude", "longitude"),
    "lat": ("latitude", "latitude"),
    "lambert": ("coordonnées Lambert-93, à convertir", "Lambert-93 coordinates, to be converted"),
    "label": ("nom", "name"),
    "url": ("adresse web", "web address"),
}


def findings(made: Outline) -> Iterator[Text]:
    """Say what was found in the file, and what was decided from it."""
    found = made.profile
    yield Text(
        f"{found.records} enregistrements, {len(found.columns)} colonnes.",
        f"{found.records} records, {len(found.columns)} columns.",
    )
    yield from found.notes
    if found.skip_until:
        yield Text(f"L'en-tête commence par « {found.skip_until} ».", f"The header starts with '{found.skip_until}'.")
    for column in found.columns:
        yield _column(column, found.records)
    keys = " ; ".join(" + ".join(key) for key in found.keys[:3])
    if keys:
        yield Text(f"Clés possibles : {keys}.", f"Possible keys: {keys}.")
    else:
        yield Text(
            "Aucune clé : des enregistrements identiques seront confondus.",
            "No key: records that are the same will be taken as one.",
        )
    yield from _decided(made)


def _column(column: Column, records: int) -> Text:
    kinds, roles = _KINDS, _ROLES | {"point": (f"coordonnées ({column.detail})", f"coordinates ({column.detail})")}
    fr, en = [kinds[column.kind][0]], [kinds[column.kind][1]]
    if column.role in roles:
        fr.append(roles[column.role][0])
        en.append(roles[column.role][1])
    if column.pattern:
        fr.append(column.pattern)
        en.append(column.pattern)
    if column.hidden:
        fr.append("des cases masquées")
        en.append("hidden cells")
    if column.filled < records and not column.many:
        fr.append(f"{records - column.filled} vides")
        en.append(f"{records - column.filled} empty")
    if column.personal:
        fr.append(f"semble personnelle ({column.personal.fr}), interdite")
        en.append(f"looks personal ({column.personal.en}), forbidden")
    return Text(f"  {column.label} : {', '.join(fr)}", f"  {column.label}: {', '.join(en)}")


def _decided(made: Outline) -> Iterator[Text]:
    yield Text(
        f"Un enregistrement devient {made.kind.term} ({made.kind.why.fr}).",
        f"A record becomes {made.kind.term} ({made.kind.why.en}).",
    )
    for field in made.fields:
        why = field.proposal.why
        yield Text(
            f"  {field.column.label} → {field.proposal.term} ({why.fr})",
            f"  {field.column.label} → {field.proposal.term} ({why.en})",
        )
    for figure in made.figures:
        new = Text("nouvel indicateur", "new indicator") if not figure.known else Text("indicateur connu", "known indicator")
        yield Text(
            f"  {figure.label} → {figure.notation} ({new.fr}, {figure.unit.term})",
            f"  {figure.label} → {figure.notation} ({new.en}, {figure.unit.term})",
        )
    if made.leftovers:
        names = ", ".join(column.label for column in made.leftovers)
        yield Text(f"Sans terme, laissées en commentaire : {names}.", f"Without a term, left as comments: {names}.")
