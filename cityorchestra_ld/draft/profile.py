"""Read a file that nobody has described yet, and say what is in it."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from cityorchestra_ld.check import personal
from cityorchestra_ld.draft.kinds import Column, column
from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import Limits, SourceSpec, Table
from cityorchestra_ld.sources import stage

_ROWS: Final = 50_000  # records that are looked at
_KEY_COLUMNS: Final = 8
_DEEP: Final = 4
_DESCRIPTION_ROWS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a file holds."""

    path: Path
    format: Literal["csv", "json"]
    records: int
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]  # columns that tell records apart, the best first
    notes: tuple[Text, ...]
    iterator: str | None = None  # of JSON
    encoding: str | None = None
    delimiter: str | None = None
    skip_until: str | None = None
    geometry: str | None = None  # path of a GeoJSON geometry
    complete: bool = True  # every record was looked at

    def named(self, name: str) -> Column:
        """Return a column by its name."""
        return next(found for found in self.columns if found.name == name)


def profile(path: Path, folder: Path, limits: Limits) -> Profile:
    """Look at a CSV or JSON file (zip and gzip are opened); `folder` takes working files; raise SourceError."""
    if path.suffix.lower() in (".json", ".geojson") or _looks_json(path):
        return _json(path, folder, limits)
    return _csv(path, folder, limits)


def _looks_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    except OSError as error:
        raise SourceError(
            Text(f"Fichier illisible : {error.strerror}.", f"The file cannot be read: {error.strerror}."),
            place=Place(file=str(path)),
        ) from None


# --- CSV ----------------------------------------------------------------------------------------------------------------------


def _csv(path: Path, folder: Path, limits: Limits) -> Profile:
    spec = SourceSpec(name=path.name, path=path)
    table, skip = _staged(spec, folder, limits)
    with table.path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=table.delimiter)
        next(rows, None)
        cells = list(itertools.islice(rows, _ROWS))
    names = _names([label.strip() for label in table.labels])
    columns = []
    for position, (name, label) in enumerate(zip(names, table.labels, strict=True)):
        filled = [row[position].strip() for row in cells if row[position].strip()]
        columns.append(column(name, " ".join(label.split()), filled, others=table.labels))
    records = table.records or 0
    rows_of = [[row[position] for position in range(len(names))] for row in cells]
    return Profile(
        path=path,
        format="csv",
        records=records,
        columns=tuple(columns),
        keys=tuple(_keys(columns, rows_of)),
        notes=table.notes,
        encoding=table.encoding,
        delimiter=table.delimiter,
        skip_until=skip,
        complete=records <= _ROWS,
    )


def _staged(spec: SourceSpec, folder: Path, limits: Limits) -> tuple[Table, str | None]:
    """Read a table; when description rows precede the header, find where it starts."""
    try:
        table = stage(spec, folder, limits)
    except SourceError as error:
        for first in _headers(folder):
            try:
                return stage(replace(spec, skip_until=first), folder, limits), first
            except SourceError:
                continue
        raise error from None
    later = _later_header(table)
    return (stage(replace(spec, skip_until=later), folder, limits), later) if later else (table, None)


def _later_header(table: Table) -> str | None:
    """Return how the header row starts when rows before it describe the columns: what follows it is more regular."""
    with table.path.open(encoding="utf-8", newline="") as file:
        rows = list(itertools.islice(csv.reader(file, delimiter=table.delimiter), 300))
    best, most = 0, _regular(rows[1:])
    for number in range(1, min(_DESCRIPTION_ROWS, len(rows) - 2) + 1):
        count = _regular(rows[number + 1 :])
        if count > most:
            best, most = number, count
    return rows[best][0].strip() if best and rows[best][0].strip() else None


def _regular(rows: Sequence[Sequence[str]]) -> int:
    """Count the columns that hold numbers or dates only."""
    kinds = [
        column("x", "x", [cell.strip() for cell in cells if cell.strip()], others=()).kind for cells in zip(*rows, strict=False)
    ]
    return sum(kind in ("integer", "decimal", "date", "datetime", "code") for kind in kinds)


def _headers(folder: Path) -> Iterator[str]:
    """Guess where the header is: the first row as wide as most rows."""
    original = next(folder.glob("*.original"), None)
    if original is None:
        return
    text = original.read_bytes()[: 1 << 18].decode("utf-8", errors="replace")
    for delimiter in (";", ",", "\t", "|"):
        rows = [row for row in itertools.islice(csv.reader(text.splitlines(), delimiter=delimiter), 200) if row]
        width = Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 0
        first = next((row for row in rows if len(row) == width), None)
        if width > 1 and first and first[0].strip():
            yield first[0].strip()


def _names(labels: Sequence[str]) -> list[str]:
    """Give each column a name of small letters, digits and underscores, each once."""
    names: list[str] = []
    for number, label in enumerate(labels, 1):
        base = name = personal.plain(label) or f"column_{number}"
        count = 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    return names


# --- JSON ---------------------------------------------------------------------------------------------------------------------


def _json(path: Path, folder: Path, limits: Limits) -> Profile:
    spec = SourceSpec(name=path.name, path=path, format="json")
    table = stage(spec, folder, limits)
    document = msgspec.json.decode(table.path.read_bytes())
    iterator, records = max(_lists(document, "$"), key=lambda found: len(found[1]), default=("$", [document]))
    flat = [dict(_flattened(record)) for record in records[:_ROWS] if isinstance(record, dict)]
    paths = list(dict.fromkeys(name for record in flat for name in record))
    columns = []
    for name in paths:
        values = [record[name] for record in flat if record.get(name) not in (None, "")]
        many = name.endswith("[*]")
        cells = [_cell(value) for value in values] if not many else [_cell(item) for value in values for item in value]
        columns.append(column(name, name.rpartition(".")[2].removesuffix("[*]"), cells, others=paths, many=many))
    rows = [[_cell(record.get(name)) if not name.endswith("[*]") else "" for name in paths] for record in flat]
    return Profile(
        path=path,
        format="json",
        records=len(records),
        columns=tuple(columns),
        keys=tuple(_keys(columns, rows)),
        notes=(*table.notes, Text(f"Enregistrements : {iterator}.", f"Records: {iterator}.")),
        iterator=iterator,
        encoding=table.encoding,
        geometry=next((found for record in records[:20] if (found := _geometry(record))), None),
        complete=len(records) <= _ROWS,
    )


def _lists(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Yield the lists of objects of a document that are not inside another list."""
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            yield f"{path}[*]", value
    elif isinstance(value, dict) and depth < _DEEP:
        for name, inner in value.items():
            if _is_step(name):
                yield from _lists(inner, f"{path}.{name}", depth + 1)


def _flattened(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a record by path; geometries and lists of objects are left out."""
    for name, value in record.items():
        if not _is_step(name):
            continue
        path = prefix + name
        if isinstance(value, dict):
            if not _is_geometry(value):
                yield from _flattened(value, f"{path}.")
        elif isinstance(value, list):
            if value and not any(isinstance(item, dict | list) for item in value) and name != "bbox":
                yield f"{path}[*]", value
        else:
            yield path, value


def _is_step(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w-]*", name) is not None


def _is_geometry(value: Mapping[str, Any]) -> bool:
    return "coordinates" in value and "type" in value


def _geometry(record: Any, prefix: str = "") -> str | None:
    for name, value in record.items() if isinstance(record, dict) else ():
        if isinstance(value, dict) and _is_step(str(name)):
            found = f"{prefix}{name}" if _is_geometry(value) else _geometry(value, f"{prefix}{name}.")
            if found:
                return found
    return None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()


# --- keys ---------------------------------------------------------------------------------------------------------------------


def _keys(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield the columns, alone or together, whose values are different in every record, the most likely first."""
    if not rows:
        return
    candidates = [
        (position, found) for position, found in enumerate(columns)
        if found.filled == len(rows) and not found.many and not found.personal and found.kind != "decimal"
        and found.role not in ("lon", "lat", "point", "description")
    ]  # fmt: skip
    ranked = sorted(candidates, key=lambda pair: _rank(pair[1]))
    single = [(position, found) for position, found in ranked if found.distinct == len(rows)]
    yield from ((found.name,) for _, found in single)
    if single:
        return
    some = [
        pair
        for pair in ranked
        if pair[1].distinct > 1 and pair[1].kind in ("code", "date", "datetime", "epoch", "text", "integer")
    ]
    for size in (2, 3, 4):
        for chosen in itertools.combinations(some[:_KEY_COLUMNS], size):
            values = {tuple(row[position] for position, _ in chosen) for row in rows}
            if len(values) == len(rows):
                yield tuple(found.name for _, found in chosen)
                return


def _rank(found: Column) -> tuple[int, int]:
    order = {"code": 0, "datetime": 2, "date": 2, "epoch": 2, "integer": 3, "text": 4, "boolean": 5, "decimal": 6}[found.kind]
    if found.role in ("commune", "iris", "epci", "year"):
        order = 1
    length = max((len(example) for example in found.examples), default=0)
    return order, 0 if length <= 40 else 1
