"""One sentence for each constraint component of SHACL, in French and English."""

from __future__ import annotations

from typing import Final

from cityorchestra_ld.errors import Text

# {what} is the label of the path, {value} the value, {wanted} what the parameter asks for, {kind} what the value is.
SENTENCES: Final[dict[str, Text]] = {
    "Class": Text("« {what} » : « {value} » n'est pas connu comme {wanted}.", "'{what}': '{value}' is not known as {wanted}."),
    "Datatype": Text(
        "« {what} » : « {value} » est {kind} ; il faut {wanted}.", "'{what}': '{value}' is {kind}; {wanted} is needed."
    ),
    "NodeKind": Text(
        "« {what} » : « {value} » est {kind} ; il faut {wanted}.", "'{what}': '{value}' is {kind}; {wanted} is needed."
    ),
    "MinCount": Text("« {what} » : il faut au moins {wanted} valeurs.", "'{what}': at least {wanted} values are needed."),
    "MinCount1": Text("« {what} » manque.", "'{what}' is missing."),
    "MaxCount": Text("« {what} » : pas plus de {wanted} valeurs.", "'{what}': no more than {wanted} values."),
    "MaxCount1": Text(
        "« {what} » : une seule valeur est admise, il y en a plusieurs.", "'{what}': one value is accepted, there are several."
    ),
    "MaxCount0": Text("« {what} » ne doit pas être renseigné ici.", "'{what}' must not be given here."),
    "MinExclusive": Text(
        "« {what} » : « {value} » doit être plus grand que {wanted}.", "'{what}': '{value}' must be greater than {wanted}."
    ),
    "MinInclusive": Text(
        "« {what} » : « {value} » doit être au moins {wanted}.", "'{what}': '{value}' must be at least {wanted}."
    ),
    "MaxExclusive": Text(
        "« {what} » : « {value} » doit être plus petit que {wanted}.", "'{what}': '{value}' must be less than {wanted}."
    ),
    "MaxInclusive": Text(
        "« {what} » : « {value} » doit être au plus {wanted}.", "'{what}': '{value}' must be at most {wanted}."
    ),
    "MinLength": Text(
        "« {what} » : « {value} » est trop court, il faut au moins {wanted} caractères.",
        "'{what}': '{value}' is too short, at least {wanted} characters are needed.",
    ),
    "MaxLength": Text(
        "« {what} » : « {value} » est trop long, pas plus de {wanted} caractères.",
        "'{what}': '{value}' is too long, no more than {wanted} characters.",
    ),
    "Pattern": Text(
        "« {what} » : « {value} » n'a pas la forme attendue ({wanted}).",
        "'{what}': '{value}' does not have the expected form ({wanted}).",
    ),
    "LanguageIn": Text(
        "« {what} » : « {value} » n'est pas dans une langue admise ({wanted}).",
        "'{what}': '{value}' is not in an accepted language ({wanted}).",
    ),
    "UniqueLang": Text(
        "« {what} » : il y a plusieurs textes dans la même langue.", "'{what}': there are several texts in the same language."
    ),
    "Equals": Text(
        "« {what} » doit avoir les mêmes valeurs que « {wanted} » ; « {value} » n'est que d'un côté.",
        "'{what}' must have the same values as '{wanted}'; '{value}' is on one side only.",
    ),
    "Disjoint": Text(
        "« {what} » et « {wanted} » ne doivent pas avoir la même valeur : « {value} ».",
        "'{what}' and '{wanted}' must not share a value: '{value}'.",
    ),
    "LessThan": Text(
        "« {what} » : « {value} » doit venir avant « {wanted} ».", "'{what}': '{value}' must come before '{wanted}'."
    ),
    "LessThanOrEquals": Text(
        "« {what} » : « {value} » ne doit pas dépasser « {wanted} ».", "'{what}': '{value}' must not exceed '{wanted}'."
    ),
    "Not": Text(
        "« {what} » : « {value} » est ce qui est exclu ici ({wanted}).",
        "'{what}': '{value}' is what is excluded here ({wanted}).",
    ),
    "And": Text(
        "« {what} » : « {value} » ne remplit pas toutes les conditions ({wanted}).",
        "'{what}': '{value}' does not meet all conditions ({wanted}).",
    ),
    "Or": Text(
        "« {what} » : « {value} » ne remplit aucune des conditions admises ({wanted}).",
        "'{what}': '{value}' meets none of the accepted conditions ({wanted}).",
    ),
    "Xone": Text(
        "« {what} » : « {value} » doit remplir une condition et une seule ({wanted}).",
        "'{what}': '{value}' must meet exactly one condition ({wanted}).",
    ),
    "Node": Text(
        "« {what} » : « {value} » n'est pas comme il faut ({wanted}).", "'{what}': '{value}' is not as it must be ({wanted})."
    ),
    "QualifiedMinCount": Text("« {what} » : il faut au moins {wanted}.", "'{what}': at least {wanted} needed."),
    "QualifiedMaxCount": Text("« {what} » : pas plus de {wanted}.", "'{what}': no more than {wanted}."),
    "Closed": Text(
        "La propriété « {property} » n'est pas prévue ici (valeur « {value} »).",
        "The property '{property}' is not expected here (value '{value}').",
    ),
    "HasValue": Text("« {what} » : la valeur « {wanted} » manque.", "'{what}': the value '{wanted}' is missing."),
    "In": Text(
        "« {what} » : « {value} » n'est pas dans la liste admise ({wanted}).",
        "'{what}': '{value}' is not in the accepted list ({wanted}).",
    ),
    "SPARQL": Text(
        "La règle « {what} » n'est pas respectée (valeur « {value} »).", "The rule '{what}' is broken (value '{value}')."
    ),
}
