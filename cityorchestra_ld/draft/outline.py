"""Decide what a first draft says: what a record is, what names it, which columns become which properties, and which do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from cityorchestra_ld.check import personal
from cityorchestra_ld.draft.kinds import Column, Role
from cityorchestra_ld.draft.profile import Profile
from cityorchestra_ld.draft.proposals import Proposal, Vocabulary, unit
from cityorchestra_ld.errors import Text
from cityorchestra_ld.iris import slug
from cityorchestra_ld.territory import Territory

Style = Literal["things", "figures"]
_AREAS: Final[tuple[Role, ...]] = ("iris", "commune", "epci", "departement", "region")  # the finest first
_CONTEXT: Final[dict[Role, str]] = {
    "iris": "insee/iris-population", "commune": "insee/communes", "epci": "insee/epci", "departement": "insee/departements",
    "region": "insee/regions",
}  # fmt: skip
_ORDINARY: Final = Proposal(
    "schema:Thing", Text("à défaut : dites ce qu'est un enregistrement", "for want of better: say what a record is")
)


@dataclass(frozen=True, slots=True)
class Field:
    """A column that becomes a property."""

    column: Column
    proposal: Proposal
    always: bool  # every record has it


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of figures that becomes one observation of each record."""

    column: Column
    notation: str  # of the indicator
    label: str
    known: bool  # the indicator is in the code list already
    unit: Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A draft before it is written."""

    key: str
    profile: Profile
    style: Style
    identity: tuple[Column, ...]  # what names a record
    unique: bool  # the identity tells all records apart
    kind: Proposal  # class of a record
    label: Column | None = None
    area: Column | None = None
    period: Column | str | None = None
    fields: tuple[Field, ...] = ()
    figures: tuple[Figure, ...] = ()
    leftovers: tuple[Column, ...] = ()
    forbidden: tuple[Column, ...] = ()
    context: tuple[str, ...] = ()
    whole: bool = True  # all figures are whole numbers

    @property
    def name(self) -> str:
        """Return the dataset's own name."""
        return self.key.partition("/")[2]

    @property
    def pascal(self) -> str:
        """Return the key as one word, for the names of shapes."""
        return "".join(part.capitalize() for part in re.split("[/-]", self.key))

    def role(self, role: Role) -> Column | None:
        """Return the column of a role, if there is one that may be used."""
        forbidden = {column.name for column in self.forbidden}
        return next((c for c in self.profile.columns if c.role == role and c.name not in forbidden), None)


def outline(profile: Profile, key: str, vocabulary: Vocabulary, territory: Territory, *, cautious: bool = False) -> Outline:
    """Decide what the draft of a file says; a `cautious` one makes no claim about what a record is."""
    usable = [column for column in profile.columns if not column.personal and column.filled]
    identity, unique = _identity(profile, usable)
    area = _area(usable, identity)
    base = Outline(
        key=key, profile=profile, style="things", identity=identity, unique=unique, kind=_ORDINARY, area=area,
        forbidden=tuple(column for column in profile.columns if column.personal), context=_context(area, territory),
    )  # fmt: skip
    figures = [c for c in usable if c.kind in ("integer", "decimal") and c.role == "none" and c not in identity and not c.many]
    located = any(c.role in ("lon", "lat", "point", "lambert") for c in usable) or profile.geometry is not None
    if area is not None and area in identity and figures and not located:
        return _figures(base, figures, vocabulary)
    kind = None if cautious else vocabulary.for_file(f"{base.name} {profile.path.stem}")
    return _things(replace(base, kind=kind or _ORDINARY), vocabulary)


def _identity(profile: Profile, usable: Sequence[Column]) -> tuple[tuple[Column, ...], bool]:
    if profile.keys:
        return tuple(profile.named(name) for name in profile.keys[0]), True
    full = [c for c in usable if c.filled == profile.records and not c.many] or list(usable)
    return tuple(full[:4]), False


def _area(usable: Sequence[Column], identity: Sequence[Column]) -> Column | None:
    for columns in (identity, usable):
        for role in _AREAS:
            for column in columns:
                if column.role == role:
                    return column
    return None


def _context(area: Column | None, territory: Territory) -> tuple[str, ...]:
    name = _CONTEXT.get(area.role) if area else None
    return (name,) if name and name in territory.datasets else ()


def _figures(base: Outline, columns: Sequence[Column], vocabulary: Vocabulary) -> Outline:
    """Make one observation of each figure of a record."""
    profile, partner = base.profile, base.key.partition("/")[0]
    figures = []
    for column in columns:
        known = vocabulary.indicator(column)
        notation = known.term if known else f"{partner}-{slug(column.label)}"
        figures.append(Figure(column, notation, column.label, known is not None, unit(column)))
    year = next((c for c in profile.columns if c.role == "year" and not c.personal), None)
    used = {base.area, *columns, *base.identity} | ({year} if year else set())
    found = re.search("(19|20)[0-9]{2}", f"{profile.path.stem} {base.key}")
    return replace(
        base, style="figures", kind=Proposal("qb:Observation", Text("un chiffre par zone", "a figure by area")),
        period=year or (found[0] if found else str(datetime.now(UTC).year)), figures=tuple(figures),
        leftovers=tuple(c for c in profile.columns if c not in used and not c.personal),
        whole=all(c.kind == "integer" for c in columns),
    )  # fmt: skip


def _things(base: Outline, vocabulary: Vocabulary) -> Outline:
    """Make one thing of each record, with a property for each column that has a term."""
    profile, label = base.profile, _label(base.profile)
    taken: set[str] = set()
    fields, leftovers = [], []
    for column in profile.columns:
        if column.personal or not column.filled or column in (label, base.area) or column.role in ("lon", "lat", "point"):
            continue
        proposal = _field(column, vocabulary, base.identity)
        if proposal is None or proposal.term in taken:
            leftovers.append(column)
            continue
        taken.add(proposal.term)
        fields.append(Field(column, proposal, column.filled == profile.records and not column.many))
    return replace(base, label=label, fields=tuple(fields), leftovers=tuple(leftovers))


def _label(profile: Profile) -> Column | None:
    """Choose the column that names a record: the one with the most different values, plain names first."""
    labels = [c for c in profile.columns if c.role == "label" and not c.personal and c.filled >= 0.9 * profile.records]
    plain = re.compile("nom|name|libelle|titre|title|nom_[a-z]+|[a-z]+_name|[a-z]+_nom|libelle_[a-z]+")
    return max(labels, key=lambda c: (c.distinct, plain.fullmatch(personal.plain(c.label)) is not None), default=None)


def _field(column: Column, vocabulary: Vocabulary, identity: Sequence[Column]) -> Proposal | None:
    if column.role == "lambert":
        return None
    if column in identity and len(identity) == 1:
        return Proposal("dct:identifier", Text("clé des enregistrements", "key of the records"))
    if column.role == "url":
        return Proposal("foaf:page", Text("adresses", "addresses"))
    if column.role == "description":
        return Proposal("dct:description", Text(f"nom « {column.label} »", f"name '{column.label}'"))
    return vocabulary.for_column(column)
