"""Recognise columns that look personal, by their name and by what their cells look like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

from cityorchestra_ld.errors import Text

_NAMES: Final[tuple[tuple[re.Pattern[str], Text], ...]] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        ("(^|_)(e_?)?(mails?|mel|courriels?)(_|$)", Text("adresse électronique", "e-mail address")),
        ("(^|_)(tel|telephones?|phones?|portable|gsm|fax|num_tel)(_|$)", Text("téléphone", "telephone")),
        ("(^|_)(prenoms?|first_?name|given_?name)(_|$)", Text("prénom", "first name")),
        ("(^|_)(nom_(de_)?(famille|naissance|usage|jeune_fille)|last_?name|sur_?name|family_?name)(_|$)",
         Text("nom de famille", "surname")),
        ("(^|_)(nir|numero_secu|num_secu|securite_sociale|nss)(_|$)",
         Text("numéro de sécurité sociale", "social security number")),
        ("(^|_)(date_(de_)?naissance|birth_?date|birth_?day|date_of_birth)(_|$)", Text("date de naissance", "date of birth")),
        ("(^|_)(pdl|prm|pce|num_pdl|numero_compteur|num_compteur|point_de_livraison)(_|$)",
         Text("numéro de compteur ou de point de livraison", "meter or delivery point number")),
        ("(^|_)(iban|bic|rib|compte_bancaire)(_|$)", Text("compte bancaire", "bank account")),
        ("(^|_)(adresse_ip|ip_address|login|mot_de_passe|password)(_|$)", Text("accès informatique", "computer access")),
        ("(^|_)nom_(du_|de_l_)?(proprietaire|locataire|occupant|titulaire|abonne|beneficiaire|usager|allocataire)(_|$)",
         Text("personne", "person")),
        ("(^|_)(porteurreferent|personne_referente|nom_contact|contact_nom|nom_referent|referent_nom)(_|$)",
         Text("nom d'un contact", "name of a contact")),
    )
)  # fmt: skip
_CELLS: Final[tuple[tuple[re.Pattern[str], Text], ...]] = (
    (re.compile(r"[\w.%+-]+@[\w.-]+\.[A-Za-z]{2,}"), Text("adresses électroniques", "e-mail addresses")),
    (re.compile(r"(\+33|0033|0)[ .]?[1-9]([ .-]?[0-9]{2}){4}"), Text("numéros de téléphone", "telephone numbers")),
    (re.compile(r"[12][0-9]{2}(0[1-9]|1[0-2])(2[AB]|[0-9]{2})[0-9]{6}([0-9]{2})?"),
     Text("numéros de sécurité sociale", "social security numbers")),
    (re.compile(r"[A-Z]{2}[0-9]{2}([ ]?[A-Z0-9]{4}){4,7}[A-Z0-9]{0,4}"), Text("comptes bancaires", "bank accounts")),
)  # fmt: skip
_METER: Final = re.compile("[0-9]{14}")
_ENOUGH: Final = 0.5  # of the cells that are not empty


def plain(name: str) -> str:
    """
    Reduce a column name to small ASCII letters, digits and underscores.

    >>> plain("Prénom de l'Élève")
    'prenom_de_l_eleve'
    """
    split = re.sub(r"(?<=[a-zà-ÿ0-9])(?=[A-Z])", "_", name)
    folded = unicodedata.normalize("NFKD", split.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", folded).strip("_")


def by_name(name: str, others: Collection[str] = ()) -> Text | None:
    """
    Say why a column's name looks personal, or nothing; `nom` does only beside a first name.

    >>> by_name("contact_operateur_email").en
    'e-mail address'
    """
    own = plain(name)
    for pattern, reason in _NAMES:
        if pattern.search(own):
            return reason
    if own in ("nom", "name") and any(plain(other) in ("prenom", "first_name", "firstname") for other in others):
        return Text("nom de famille", "surname")
    return None


def _is_siret(cell: str) -> bool:
    """Tell whether fourteen digits have the check digit of a SIRET (Luhn)."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(cell)]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def by_cells(name: str, cells: Iterable[str]) -> Text | None:
    """Say why the cells of a column look personal, or nothing; fourteen digits are a SIRET when the name says so."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled:
        return None
    for pattern, reason in _CELLS:
        if sum(pattern.fullmatch(cell) is not None for cell in filled) >= _ENOUGH * len(filled):
            return reason
    meters = sum(_METER.fullmatch(cell) is not None and not _is_siret(cell) for cell in filled)
    if meters >= _ENOUGH * len(filled) and "siret" not in plain(name):
        return Text("quatorze chiffres, comme un numéro de compteur", "fourteen digits, as a meter number")
    return None
