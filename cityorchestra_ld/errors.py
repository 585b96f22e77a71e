"""One tree of errors; each says what, where and what to try, in French and English, and knows its exit code and HTTP status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for people in French and in English."""

    fr: str
    en: str

    def __str__(self) -> str:
        return self.fr

    def get(self, lang: str) -> str:
        """Return the sentence in `lang`, French when there is none."""
        return self.en if lang == "en" else self.fr


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is wrong: a file and, as far as known, the row, column, value and rule.

    `row` counts as a spreadsheet does (the header is row 1); `line` and `column_number` count characters of a text file from 1.
    """

    file: str | None = None
    row: int | None = None
    column: str | None = None
    value: str | None = None
    rule: str | None = None
    line: int | None = None
    column_number: int | None = None
    pointer: str | None = None

    def describe(self, lang: str = "fr") -> str:
        """Say the place in one line."""
        words = {
            "fr": ("ligne", "colonne", "valeur", "règle", "ligne", "caractère"),
            "en": ("row", "column", "value", "rule", "line", "character"),
        }["en" if lang == "en" else "fr"]
        parts = [self.file] if self.file else []
        if self.line is not None:
            parts.append(f"{words[4]} {self.line}" + (f", {words[5]} {self.column_number}" if self.column_number else ""))
        if self.row is not None:
            parts.append(f"{words[0]} {self.row}")
        if self.pointer:
            parts.append(self.pointer)
        if self.column:
            parts.append(f"{words[1]} « {self.column} »" if lang != "en" else f"{words[1]} '{self.column}'")
        if self.value is not None:
            shown = self.value if len(self.value) <= 80 else self.value[:77] + "..."
            parts.append(f"{words[2]} « {shown} »" if lang != "en" else f"{words[2]} '{shown}'")
        if self.rule:
            parts.append(f"{words[3]} {self.rule}")
        return ", ".join(parts)


class CityOrchestraError(Exception):
    """Root of the tree: something that we can explain to the person who asked."""

    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: Text, *, place: Place | None = None, hint: Text | None = None) -> None:
        super().__init__(message.en)
        self.message = message
        self.place = place
        self.hint = hint

    def render(self, lang: str = "fr") -> str:
        """Say what, where and what to try, on one to three lines."""
        lines = [self.message.get(lang)]
        where = self.place.describe(lang) if self.place else ""
        if where:
            lines.append(("où : " if lang != "en" else "where: ") + where)
        if self.hint:
            lines.append(("à essayer : " if lang != "en" else "try: ") + self.hint.get(lang))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render("en")


class RefusedError(CityOrchestraError):
    """The request was understood and refused: it does not conform, or a rule forbids it; `datasets` says whose fault."""

    exit_code = 1
    http_status = 403
    datasets: tuple[str, ...] = ()


class UsageError(CityOrchestraError):
    """The command, the configuration or the request is not what we expect."""

    exit_code = 2
    http_status = 400


class SourceError(CityOrchestraError):
    """A partner file cannot be fetched or read, or breaks its contract."""

    exit_code = 3
    http_status = 422


class MappingError(CityOrchestraError):
    """A mapping is not well-formed, or a record cannot be mapped."""

    exit_code = 4
    http_status = 422


class ShapesError(CityOrchestraError):
    """A shapes graph is missing, not well-formed or not safe, or data does not conform to it."""

    exit_code = 5
    http_status = 422


class StoreError(CityOrchestraError):
    """The store cannot be opened, written or read."""

    exit_code = 6
    http_status = 503


class BusyError(StoreError):
    """Another run or publication holds the lock, or no worker is free; `retry_after` says in how many seconds to come back."""

    retry_after: float | None = None


class QueryError(CityOrchestraError):
    """A query is not valid SPARQL, or asks for something that we refuse."""

    exit_code = 2
    http_status = 400


class QueryTimeoutError(CityOrchestraError):
    """A query was stopped at its deadline, or at its memory limit."""

    exit_code = 6
    http_status = 503
