"""Write a partner's CSV as one plain form (UTF-8, canonical header, no description rows), checking every record on the way."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import SourceSpec, Table
from cityorchestra_ld.sources.aside import AsideList, leave_out
from cityorchestra_ld.sources.contract import CellCheck, Header, cell_checks, nearest, read_header
from cityorchestra_ld.sources.detect import Received, decimal_of, delimiter_of, encoding_of, sample_of, to_utf8
from cityorchestra_ld.sources.plain import check_in_place

MAX_CELL: Final = 16_000_000
_MAX_GAPS: Final = 100_000
_LOOK_FOR_HEADER: Final = 1000
_SAMPLE_ROWS: Final = 500


class _Rows(Protocol):
    def writerow(self, row: list[str], /) -> Any: ...


@dataclass(slots=True)
class _Reader:
    """The rows of a CSV file with their spreadsheet numbers; comment lines and malformed quoting are told apart."""

    file: io.TextIOWrapper
    spec: SourceSpec
    delimiter: str
    label: str
    row: int = 0
    start: bool = True  # the next line starts a record
    dropped: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[list[str]]:
        spec = self.spec
        lines: Iterator[str] = self._lines(spec.comment) if spec.comment else self.file
        rows = csv.reader(
            lines, delimiter=self.delimiter, quotechar=spec.quote or None, doublequote=spec.escape == spec.quote,
            escapechar=None if spec.escape in (spec.quote, '"', "") else spec.escape, strict=True,
            quoting=csv.QUOTE_MINIMAL if spec.quote else csv.QUOTE_NONE,
        )  # fmt: skip
        while True:
            self.start = True
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._malformed(error) from error
            self.row += 1
            yield cells

    def _lines(self, comment: str) -> Iterator[str]:
        for line in self.file:
            if self.start and line.startswith(comment):
                self.row += 1
                continue
            self.start = False
            yield line

    def _malformed(self, error: csv.Error) -> SourceError:
        place = Place(file=self.label, row=self.row + 1)
        said = str(error)
        if "unexpected end" in said or "field larger" in said:
            return SourceError(
                Text("Un guillemet ouvert ici n’est jamais fermé.", "A quote that is opened here is never closed."),
                place=place,
                hint=Text("Un guillemet dans une cellule se double (\"\"). Sans guillemets du tout : quote = \"\".",
                          'A quote inside a cell is doubled (""). Without quotes at all: quote = "".'),
            )  # fmt: skip
        if "expected after" in said:
            return SourceError(
                Text("Du texte suit un guillemet fermant.", "Text follows a closing quote."),
                place=place,
                hint=Text('Un guillemet dans une cellule se double ("").', 'A quote inside a cell is doubled ("").'),
            )
        return SourceError(Text(f"Enregistrement illisible ({said}).", f"Unreadable record ({said})."), place=place)


@dataclass(slots=True)
class _Copy:
    """One pass over the records: widths, patterns, keys; then the plain form."""

    reader: _Reader
    header: Header
    checks: list[CellCheck]
    spec: SourceSpec
    records: int = 0
    empty: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)
    suspects: set[int] = field(default_factory=set)  # hashes of keys that were seen twice
    aside: AsideList = field(default_factory=AsideList)

    def run(self, rows: Iterator[list[str]], header_row: int, out: _Rows) -> None:
        width, reader, write = len(self.header.columns), self.reader, out.writerow
        checks = [(check.index, check.passed, check.check) for check in self.checks]
        key_of = itemgetter(*(self.header.columns.index(name) for name in self.spec.key)) if self.spec.key else None
        seen: set[int] = set()
        skipped = 0
        for cells in self._filled(rows, width):
            try:
                if len(cells) != width:
                    raise self._ragged(cells, width)
                for index, passed, check in checks:
                    if (value := cells[index]) not in passed:
                        check(value, reader.row)
            except SourceError as error:
                self.aside.add(error)
                continue
            if key_of is not None:
                digest = hash(key_of(cells))
                if digest in seen:
                    self.suspects.add(digest)
                seen.add(digest)
            write(cells)
            self.records += 1
            if reader.row - header_row - self.records != skipped:
                skipped = reader.row - header_row - self.records
                self._gap(skipped)
            if self.records <= _SAMPLE_ROWS:
                self.sample.append(cells)

    def _filled(self, rows: Iterator[list[str]], width: int) -> Iterator[list[str]]:
        for cells in rows:
            if any(cells) or (width == 1 and cells):
                yield cells
            else:
                self.empty += 1

    def _gap(self, skipped: int) -> None:
        if len(self.gaps) == _MAX_GAPS:
            raise SourceError(
                Text("Trop de lignes vides ou de commentaires.", "Too many blank or comment lines."),
                place=Place(file=self.reader.label, row=self.reader.row),
            )
        self.gaps.append((self.records, skipped))

    def _ragged(self, cells: list[str], width: int) -> SourceError:
        many = len(cells) > width
        hint = Text("Il manque peut-être des guillemets autour d’une cellule qui contient le séparateur.",
                    "Perhaps quotes are missing around a cell that has the delimiter.")  # fmt: skip
        if not many:
            hint = Text("La ligne est coupée, ou un retour à la ligne est dans une cellule sans guillemets.",
                        "The row is cut, or a line break is in a cell without quotes.")  # fmt: skip
        return SourceError(
            Text(
                f"Cette ligne a {len(cells)} cellules au lieu de {width}.",
                f"This row has {len(cells)} cells instead of {width}.",
            ),
            place=Place(file=self.reader.label, row=self.reader.row),
            hint=hint,
        )


def header_of(received: Received, spec: SourceSpec, folder: Path) -> Header:
    """Read a CSV file no further than its header; SourceError when a promised column is missing."""
    codec, _ = encoding_of(received, spec.encoding)
    plain = to_utf8(received, codec, folder / "start.utf8")
    delimiter, _ = delimiter_of(sample_of(plain), spec, received.label)
    csv.field_size_limit(MAX_CELL)
    with plain.open(encoding="utf-8-sig", newline="") as source:
        reader = _Reader(source, spec, delimiter, received.label)
        return _header(reader, iter(reader), spec)[0]


def stage_csv(received: Received, spec: SourceSpec, target: Path) -> Table:
    """Detect, transcode and check a CSV file; SourceError for the first thing that is wrong."""
    codec, encoding_note = encoding_of(received, spec.encoding)
    plain = received.path
    if codec not in ("utf-8", "ascii"):
        plain = to_utf8(received, codec, target.with_suffix(".utf8"))
    delimiter, delimiter_note = delimiter_of(sample_of(plain), spec, received.label)
    csv.field_size_limit(MAX_CELL)
    with plain.open(encoding="utf-8-sig", newline="") as source:
        reader = _Reader(source, spec, delimiter, received.label)
        rows = iter(reader)
        header, rows, header_row = _header(reader, rows, spec)
        checks = cell_checks(spec, header, received.label)
        aside = AsideList(spec.on_error == "quarantine")
        copy = _Copy(reader, header, checks, spec, aside=aside)
        usual = header_row == 1 and not received.lone_cr and not codec.startswith(("utf-16", "utf-32"))
        checked = check_in_place(plain, received.quotes, spec, header, delimiter, checks, target.parent) if usual else None
        if checked:
            copy.sample = list(itertools.islice(rows, _SAMPLE_ROWS))
            copy.records = checked.records
            target.hardlink_to(plain)
        else:
            _write(copy, rows, header_row, target, lone_cr=received.lone_cr)
    if plain != received.path:
        plain.unlink()
    table = Table(
        name=spec.name, format="csv", path=target, original=received.path, label=received.label, sha256=received.sha256,
        size=received.size, records=copy.records, columns=header.columns, labels=header.labels, delimiter=delimiter,
        header_row=header_row, nulls=spec.nulls, encoding=codec, decimal=spec.decimal or decimal_of(copy.sample),
        gaps=tuple(copy.gaps), set_aside=tuple(aside.rows),
        filled=checked.filled if checked and spec.nulls == ("",) else None,
    )  # fmt: skip
    if copy.suspects:
        table = _without_duplicate_keys(table, spec.key, copy.suspects, AsideList(aside.wanted))
    return _with_notes(table, spec, [encoding_note, delimiter_note, *header.notes], copy)


def _write(copy: _Copy, rows: Iterator[list[str]], header_row: int, target: Path, *, lone_cr: bool) -> None:
    """Write the plain form, checking each record."""
    spec = copy.spec
    quoting: Literal[0, 1] = 1 if lone_cr else 0  # QUOTE_ALL, QUOTE_MINIMAL (which forgets a lone carriage return)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=copy.reader.delimiter, lineterminator="\n", quoting=quoting)
        if spec.header:
            writer.writerow(copy.header.columns)
        if spec.trim:
            rows = ([cell.strip() for cell in cells] for cells in rows)
        copy.run(rows, header_row, writer)


def _header(reader: _Reader, rows: Iterator[list[str]], spec: SourceSpec) -> tuple[Header, Iterator[list[str]], int]:
    """Find the header row; without one, the names come from the contract or are numbered."""
    if not spec.header:
        first = next((cells for cells in rows if cells), [])
        names = [column.name for column in spec.columns] or [f"column_{n}" for n in range(1, len(first) + 1)]
        reader.row -= 1
        return read_header(spec, names, reader.label, 1), _again(reader, first, rows), 0
    if spec.skip_until is None:
        labels = next((cells for cells in rows if any(cells)), [])
        try:
            return read_header(spec, labels, reader.label, reader.row), rows, reader.row
        except SourceError as error:
            error.hint = _later_header(rows, spec, reader) or error.hint
            raise
    firsts: list[str] = []
    for cells in itertools.islice(rows, _LOOK_FOR_HEADER):
        if cells and cells[0].strip() == spec.skip_until:
            return read_header(spec, cells, reader.label, reader.row), rows, reader.row
        firsts += cells[:1]
    near = nearest(spec.skip_until, [first for first in firsts[:50] if first])
    raise SourceError(
        Text(f"Aucune ligne ne commence par « {spec.skip_until} » (skip_until) : l’en-tête n’est pas trouvé.",
             f"No row starts with '{spec.skip_until}' (skip_until): the header is not found."),
        place=Place(file=reader.label, column=spec.skip_until),
        hint=Text(f"Une ligne commence par « {near} ».", f"One row starts with '{near}'.") if near else None,
    )  # fmt: skip


def _again(reader: _Reader, first: list[str], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Give the first row once more, when it was data."""
    if first:
        reader.row += 1
        yield first
    yield from rows


def _later_header(rows: Iterator[list[str]], spec: SourceSpec, reader: _Reader) -> Text | None:
    """Look whether description rows precede the header."""
    required = [{column.name, *column.aliases} for column in spec.columns if column.required]
    for cells in itertools.islice(rows, 50):
        if required and all(names & {cell.strip() for cell in cells} for names in required):
            return Text(f"L’en-tête semble être à la ligne {reader.row} : skip_until = \"{cells[0].strip()}\".",
                        f'The header seems to be on row {reader.row}: skip_until = "{cells[0].strip()}".')  # fmt: skip
    return None


def _without_duplicate_keys(table: Table, key: tuple[str, ...], suspects: set[int], aside: AsideList) -> Table:
    """Read the plain form again, for the keys whose hashes were seen twice; the first of equal rows stays."""
    key_of = itemgetter(*(table.columns.index(name) for name in key))
    first: dict[Any, int] = {}
    again: set[int] = set()
    with table.path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=table.delimiter)
        if table.header_row:
            next(rows)
        for record, cells in enumerate(rows, 1):
            value = key_of(cells)
            if hash(value) not in suspects:
                continue
            if value in first:
                shown = value if isinstance(value, str) else " | ".join(value)
                one, two = table.row(first[value]), table.row(record)
                aside.add(SourceError(
                    Text(f"La clé ({', '.join(key)}) est la même aux lignes {one} et {two}.",
                         f"The key ({', '.join(key)}) is the same in rows {one} and {two}."),
                    place=Place(file=table.label, row=two, column=key[0] if len(key) == 1 else ", ".join(key), value=shown),
                    hint=Text("Retirez le doublon, ou complétez la clé.", "Remove the duplicate, or complete the key."),
                ))  # fmt: skip
                again.add(record)
                continue
            first[value] = record
    return leave_out(table, again, aside.rows) if again else table


def _with_notes(table: Table, spec: SourceSpec, notes: list[Text], copy: _Copy) -> Table:
    if table.header_row > 1:
        notes.append(Text(f"En-tête à la ligne {table.header_row}.", f"Header on row {table.header_row}."))
    if table.set_aside:
        count = len(table.set_aside)
        notes.append(Text(f"Lignes fausses mises de côté : {count}.", f"Wrong rows set aside: {count}."))
    if copy.empty:
        notes.append(Text(f"Lignes vides laissées de côté : {copy.empty}.", f"Empty rows left out: {copy.empty}."))
    seen = decimal_of(copy.sample)
    if spec.decimal and seen and seen != spec.decimal:
        notes.append(Text(f"Attention : marque décimale déclarée « {spec.decimal} », mais le fichier écrit « {seen} ».",
                          f"Careful: decimal mark declared '{spec.decimal}', but the file writes '{seen}'."))  # fmt: skip
    elif table.decimal:
        how = ("déclarée", "declared") if spec.decimal else ("reconnue", "recognised")
        notes.append(Text(f"Marque décimale {how[0]} : « {table.decimal} ».", f"Decimal mark {how[1]}: '{table.decimal}'."))
    return replace(table, notes=tuple(notes))
