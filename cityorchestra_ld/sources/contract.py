"""What a partner promised about a table: names and aliases of columns, patterns of codes, keys."""

from __future__ import annotations

import difflib
import fnmatch
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import Column, SourceSpec

_KNOWN_VALUES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The columns of a file: the names that mappings use, and the file's own."""

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[Text, ...] = ()


def one_line(label: str) -> str:
    """
    Write a column name on one line, without spaces around it.

    >>> one_line(" Consommation\\n(MWh)\\u00a0")
    'Consommation (MWh)'
    """
    return " ".join(label.split())


def _fold(name: str) -> str:
    """Reduce a name to what people compare: letters and digits without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in plain if character.isalnum())


def nearest(name: str, names: Collection[str]) -> str | None:
    """
    Return the name that people most likely mean.

    >>> nearest("code_iris", ["Année", "CODE_IRIS_CODE", "Consommation"])
    'CODE_IRIS_CODE'
    """
    folded: dict[str, str] = {}
    for other in names:
        folded.setdefault(_fold(other), other)
    wanted = _fold(name)
    close = difflib.get_close_matches(wanted, list(folded), n=1, cutoff=0.6)
    if close:
        return folded[close[0]]
    inside = [other for other in folded if len(wanted) > 2 and len(other) > 2 and (wanted in other or other in wanted)]
    return folded[inside[0]] if inside else None


def is_forbidden(spec: SourceSpec, name: str) -> bool:
    """Tell whether a column must not be mapped."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in spec.forbidden)


def read_header(spec: SourceSpec, labels: Sequence[str], file: str, row: int) -> Header:
    """Give every column its canonical name; SourceError for duplicates and for promised columns that are missing."""
    labels = tuple(labels)
    if not any(label.strip() for label in labels):
        raise SourceError(
            Text("Le fichier n’a pas de ligne d’en-tête.", "The file has no header row."), place=Place(file=file, row=row)
        )
    _refuse_twice(labels, file, row)
    canonical = {one_line(name): column.name for column in spec.columns for name in column.aliases}
    canonical |= {column.name: column.name for column in spec.columns}
    stripped = [one_line(label) for label in labels]
    columns = tuple(canonical.get(name, name) or f"column_{number}" for number, name in enumerate(stripped, 1))
    for name, count in Counter(columns).items():
        if count > 1:
            both = [label for label, column in zip(labels, columns, strict=True) if column == name]
            raise SourceError(
                Text(f"Deux colonnes sont « {name} » : {', '.join(both)}.", f"Two columns are '{name}': {', '.join(both)}."),
                place=Place(file=file, row=row, column=both[1]),
                hint=Text("Retirez un alias du contrat.", "Remove an alias from the contract."),
            )
    _refuse_missing(spec, columns, stripped, file, row)
    _refuse_unknown_key(spec, columns, file)
    return Header(columns=columns, labels=labels, notes=tuple(_notes(spec, columns, stripped)))


def _refuse_twice(labels: tuple[str, ...], file: str, row: int) -> None:
    for name, count in Counter(one_line(label) for label in labels).items():
        if count > 1 and name:
            at = [number for number, label in enumerate(labels, 1) if one_line(label) == name]
            places = ", ".join(map(str, at))
            raise SourceError(
                Text(f"L’en-tête a {count} fois la colonne « {name} » (colonnes {places}).",
                     f"The header has the column '{name}' {count} times (columns {places})."),
                place=Place(file=file, row=row, column=name),
            )  # fmt: skip


def _refuse_missing(spec: SourceSpec, columns: tuple[str, ...], labels: Sequence[str], file: str, row: int) -> None:
    missing = [column.name for column in spec.columns if column.required and column.name not in columns]
    if not missing:
        return
    free = [label for label, name in zip(labels, columns, strict=True) if name not in {c.name for c in spec.columns}]
    near = nearest(missing[0], free)
    several = len(missing) > 1
    names = ", ".join(f"« {name} »" for name in missing)
    fr = f"Les colonnes {names} manquent" if several else f"La colonne {names} manque"
    en = ("The columns " if several else "The column ") + ", ".join(f"'{name}'" for name in missing)
    en += " are missing" if several else " is missing"
    if near:
        fr, en = f"{fr} ; la plus proche est « {near} ».", f"{en}; the nearest is '{near}'."
        hint = Text(f"Si c’est elle, ajoutez « {near} » aux aliases de « {missing[0]} ».",
                    f"If it is the same, add '{near}' to the aliases of '{missing[0]}'.")  # fmt: skip
    else:
        fr, en = f"{fr}.", f"{en}."
        shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        hint = Text(f"Le fichier a : {shown}.", f"The file has: {shown}.")
    raise SourceError(Text(fr, en), place=Place(file=file, row=row, column=missing[0]), hint=hint)


def _refuse_unknown_key(spec: SourceSpec, columns: tuple[str, ...], file: str) -> None:
    for name in spec.key:
        if name not in columns:
            near = nearest(name, columns)
            raise SourceError(
                Text(f"La clé « {name} » n’est pas une colonne.", f"The key '{name}' is not a column."),
                place=Place(file=file, column=name),
                hint=Text(f"La plus proche est « {near} ».", f"The nearest is '{near}'.") if near else None,
            )


def _notes(spec: SourceSpec, columns: tuple[str, ...], labels: Sequence[str]) -> list[Text]:
    notes = []
    renamed = [f"{label} → {name}" for label, name in zip(labels, columns, strict=True) if label != name]
    if renamed:
        notes.append(Text(f"Colonnes renommées : {', '.join(renamed)}.", f"Columns renamed: {', '.join(renamed)}."))
    promised = {column.name for column in spec.columns}
    forbidden = [name for name in columns if is_forbidden(spec, name)]
    if promised:
        extra = ", ".join(name for name in columns if name not in promised and name not in forbidden)
        absent = ", ".join(column.name for column in spec.columns if column.name not in columns)
        if extra:
            notes.append(Text(f"Colonnes hors contrat : {extra}.", f"Columns outside the contract: {extra}."))
        if absent:
            notes.append(Text(f"Colonnes facultatives absentes : {absent}.", f"Optional columns absent: {absent}."))
    if forbidden:
        listed = ", ".join(forbidden)
        notes.append(
            Text(f"Colonnes interdites, jamais publiées : {listed}.", f"Forbidden columns, never published: {listed}.")
        )
    return notes


# --- cells --------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class CellCheck:
    """The pattern of one column; values that passed are remembered."""

    index: int
    column: Column
    label: str
    pattern: re.Pattern[str]
    file: str
    secret: bool = False  # a forbidden column: its values are not shown
    passed: set[str] = field(default_factory=set)

    def check(self, value: str, row: int) -> None:
        """Raise SourceError when a value breaks the pattern."""
        if self.pattern.fullmatch(value):
            if len(self.passed) < _KNOWN_VALUES:
                self.passed.add(value)
            return
        kind = ("Un code", "A code") if self.column.kind == "code" else ("Une valeur", "A value")
        raise SourceError(
            Text(f"{kind[0]} n’a pas la forme attendue.", f"{kind[1]} does not have the expected form."),
            place=Place(
                file=self.file, row=row, column=self.label, value=None if self.secret else value, rule=self.column.pattern
            ),
            hint=None if self.secret else self._hint(value),
        )

    def _hint(self, value: str) -> Text | None:
        for zeros in range(1, 5):
            if value.isdigit() and self.pattern.fullmatch("0" * zeros + value):
                right = "0" * zeros + value
                return Text(
                    f"Ce code a perdu son zéro : « {right} ». Le fichier est sans doute passé par un tableur.",
                    f"This code lost its leading zero: '{right}'. The file probably went through a spreadsheet.",
                )
        if re.fullmatch(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+", value):
            return Text("Un tableur a changé ce code en nombre ; exportez la colonne comme texte.",
                        "A spreadsheet made this code a number; export the column as text.")  # fmt: skip
        if value != value.strip() and self.pattern.fullmatch(value.strip()):
            return Text("Il y a des espaces autour : trim = true.", "There are spaces around it: trim = true.")
        if re.fullmatch(r"[0-9]+\.0", value) and self.pattern.fullmatch(value[:-2]):
            return Text("Ce code a été lu comme un nombre (.0).", "This code was read as a number (.0).")
        return None


def cell_checks(spec: SourceSpec, header: Header, file: str) -> list[CellCheck]:
    """Compile the patterns of the columns that are there; SourceError when one is not a regular expression."""
    checks = []
    for column in spec.columns:
        if column.pattern is None or column.name not in header.columns:
            continue
        try:
            pattern = re.compile(column.pattern)
        except re.error as error:
            raise SourceError(
                Text(
                    f"Le motif du contrat n’est pas valable : {error}.", f"The pattern of the contract is not valid: {error}."
                ),
                place=Place(file=file, column=column.name, rule=column.pattern),
            ) from error
        index = header.columns.index(column.name)
        secret = is_forbidden(spec, column.name)
        checks.append(CellCheck(index, column, header.labels[index], pattern, file, secret, set(spec.nulls)))
    return checks
