"""A DuckDB connection that can touch nothing but one folder of work, and the sources of a plan laid out in it."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import duckdb
import msgspec

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.expressions import FAILED
from cityorchestra_ld.mapping.functions_data import DATA_MACROS
from cityorchestra_ld.mapping.plan import LogicalSource, Plan
from cityorchestra_ld.mapping.relations import JSON_MACROS, CsvRows, JsonRows, Names, Rows
from cityorchestra_ld.mapping.terms import MACROS
from cityorchestra_ld.mapping.views import ViewRows
from cityorchestra_ld.mapping.vocabulary import nearest
from cityorchestra_ld.model import Table

_MACRO: Final = re.compile(r"\b(co_[a-z_]+)\(")
_MACROS: Final = {_MACRO.findall(macro)[0]: macro for macro in (*MACROS, *JSON_MACROS, *DATA_MACROS)}
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_LONGEST: Final = 128_000_000
_NUMBERED: Final = b'{"n":%d,"r":%b}\n'
_RECORD: Final = b'{"r":%b}\n'
_BETWEEN: Final = b'}\n{"r":'
_AT_ONCE: Final = 20_000  # records put together: between two lots the interpreter goes to other threads, and must be had back
_BUFFER: Final = 1 << 24  # bytes written together, for the same reason
_NEWLINES: Final = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a JSON source, one a line."""

    path: Path
    count: int
    largest: int  # bytes of a line, at most


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one source, to be mapped alone; what rules join it with is still read whole."""

    key: tuple[str, str | None]  # of the logical source
    part: Table | Records

    @property
    def count(self) -> int:
        """Count the records of the part."""
        return self.part.count if isinstance(self.part, Records) else self.part.records or 0


class Workspace:
    """Everything that one compilation needs of the machine: a connection, a folder, and the relations of the sources."""

    def __init__(
        self, plan: Plan, tables: Mapping[str, Table], folder: Path, *, threads: int, memory_mb: int, piece: Piece | None = None
    ) -> None:
        self.plan = plan
        self.piece = piece
        self.tables = tables
        self.folder = folder
        self.typed = True  # JSON records are first read into the members that are asked for
        self.longest = 250_000  # bytes of a CSV record; buffers are sixteen times as large
        self._records: dict[object, Records] = {}
        self._splitting = Lock()
        self._defined: set[str] = set()
        files = [table.path for table in tables.values()] + ([piece.part.path] if piece else [])
        self.connection = _connect(folder, files, threads, memory_mb)

    def adapt(self, rows: Rows, said: str) -> bool:
        """Read in a slower, more general way after an error of the database; tell whether there is one left to try."""
        if "Maximum line size" in said and self.longest < _LONGEST:
            self.longest = _LONGEST
            return True
        if self.typed and rows.kind != "csv" and FAILED not in said:
            self.typed = False  # records of one place have different shapes: each is read as plain JSON
            return True
        return False

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> duckdb.DuckDBPyConnection:
        """Run a statement, after defining the macros that it uses."""
        self._define(sql)
        return self.connection.execute(sql, parameters)

    def beside(self, sql: str) -> Callable[[], tuple[Any, ...] | None]:
        """Prepare a query of one row that can run in another thread while this connection is busy."""
        self._define(sql)
        cursor = self.connection.cursor()

        def run() -> tuple[Any, ...] | None:
            with cursor:
                return cursor.execute(sql).fetchone()

        return run

    def _define(self, sql: str) -> None:
        for name in dict.fromkeys(_MACRO.findall(sql)):
            if name in _MACROS and name not in self._defined:
                self._defined.add(name)
                self._define(_MACROS[name])
                self.connection.execute(_MACROS[name])

    def table(self, source: LogicalSource) -> Table:
        """Return the staged file of a source; raise MappingError when it is not there."""
        found = self.tables.get(source.spec.name)
        if found is None:
            raise MappingError(
                Text(
                    f"Le fichier « {source.spec.name} » n'a pas été fourni.", f"The file '{source.spec.name}' was not supplied."
                ),
                place=Place(file=str(self.plan.path), line=source.line),
                hint=nearest(source.spec.name, self.tables),
            )
        if found.format != source.formulation:
            given, read = found.format.upper(), source.formulation.upper()
            raise MappingError(
                Text(f"{found.label} est du {given}, lu comme du {read}.", f"{found.label} is {given}, read as {read}."),
                place=Place(file=str(self.plan.path), line=source.line),
                hint=Text(
                    "Corrigez rml:referenceFormulation (~csv, ~jsonpath).", "Fix rml:referenceFormulation (~csv, ~jsonpath)."
                ),
            )
        return found

    def rows(self, name: str) -> Rows:
        """Return a fresh relation of a source or view."""
        return self._rows(name, Names())

    def mapped(self, name: str) -> Rows:
        """Return a fresh relation of the records that are to be mapped: all of them, or those of the piece."""
        return self._rows(name, Names(), self.piece)

    def covers(self, name: str) -> bool:
        """Tell whether the records of a source or view are to be mapped here."""
        return self.piece is None or self.plan.base_source(name).key == self.piece.key

    def _rows(self, name: str, names: Names, piece: Piece | None = None) -> Rows:
        if name in self.plan.views:
            view = self.plan.views[name]
            return ViewRows(view, self._rows(view.on, names, piece), lambda parent: self._rows(parent, names))
        source = self.plan.logical[name]
        part = piece.part if piece else None
        if source.formulation == "csv":
            return CsvRows(names, part if isinstance(part, Table) else self.table(source), longest=self.longest)

        def lines(numbered: bool) -> tuple[Path, int]:
            records = part if isinstance(part, Records) else self.records(source, numbered=numbered)
            return records.path, records.largest

        return JsonRows(names, lines, source.references, typed=self.typed, natural=source.natural)

    def records(self, source: LogicalSource, *, numbered: bool = False) -> Records:
        """Split a JSON document into one line per record, once; with numbers where records must be told apart."""
        key = source.key, numbered
        with self._splitting:
            if key not in self._records:
                path = self.folder / f"records{len(self._records)}.ndjson"
                self._records[key] = split_records(self.table(source), source.iterator or "$", path, numbered=numbered)
            return self._records[key]

    def expected(self, name: str) -> tuple[str, int | None]:
        """Return the file under a source or view, and how many records it has by an independent count."""
        source = self.plan.base_source(name)
        if self.piece is not None:
            return source.spec.name, self.piece.count
        table = self.table(source)
        return source.spec.name, table.records if source.formulation == "csv" else self.records(source).count

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


@contextmanager
def workspace(
    plan: Plan,
    tables: Mapping[str, Table],
    parent: Path,
    *,
    threads: int = 2,
    memory_mb: int = 1024,
    piece: Piece | None = None,
) -> Iterator[Workspace]:
    """Open a workspace in a folder that disappears at the end."""
    folder = Path(tempfile.mkdtemp(prefix=".mapping-", dir=parent))
    try:
        opened = Workspace(plan, tables, folder, threads=threads, memory_mb=memory_mb, piece=piece)
        try:
            yield opened
        finally:
            opened.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _connect(folder: Path, files: list[Path], threads: int, memory_mb: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": threads, "memory_limit": f"{memory_mb}MB"})
    allowed = "[" + ", ".join("'" + str(file.resolve()).replace("'", "''") + "'" for file in files) + "]"
    place = str(folder.resolve()).replace("'", "''")
    for setting in (
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET preserve_insertion_order = false",
        "SET enable_progress_bar = false",
        "SET allow_community_extensions = false",
        f"SET temp_directory = '{place}/spill'",
        f"SET allowed_directories = ['{place}']",
        f"SET allowed_paths = {allowed}",
        "SET enable_external_access = false",
    ):
        connection.execute(setting)
    connection.execute("SET lock_configuration = true")
    return connection


def split_records(table: Table, iterator: str, path: Path, *, numbered: bool) -> Records:
    """Write the records that the iterator selects, one a line, with their numbers; raise MappingError for malformed JSON."""
    largest = count = 0
    document = table.path.read_bytes()
    try:
        found = _found(table, document, jsonpath.parse(iterator), numbered=numbered)
        with path.open("wb", buffering=_BUFFER) as out:
            while some := list(itertools.islice(found, _AT_ONCE)):
                written = b"".join(map(_NUMBERED.__mod__, some)) if numbered else b'{"r":' + _BETWEEN.join(some) + b"}\n"
                if written.count(b"\n") > len(some) or b"\r" in written:  # between values: inside a text they are errors
                    lines = map((_NUMBERED if numbered else _RECORD).__mod__, some)
                    written = b"".join(line.translate(_NEWLINES)[:-1] + b"\n" for line in lines)
                out.write(written)
                count += len(some)
                largest = max(largest, *map(len, [raw for _, raw in some] if numbered else some))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(table, document, error) from error
    return Records(path, count, largest + len(_NUMBERED) + 20)


def _found(table: Table, document: bytes, path: jsonpath.Path, *, numbered: bool) -> Iterator[Any]:
    """Yield the records, with their numbers when asked: as the whole file has them, whatever is left out or comes before."""
    if not table.without:
        values = jsonpath.values(document, path)
        return enumerate(values, 1 + table.before) if numbered else iter(values)
    return (
        (number, raw) if numbered else raw
        for number, (place, raw) in enumerate(jsonpath.find(document, path), 1)
        if not any(place[:length] in table.without for length in range(1, len(place) + 1))
    )


def _malformed(table: Table, document: bytes, error: Exception) -> MappingError:
    """Say where a JSON document stops being one; a truncated one stops at its end."""
    place = _BYTE.search(str(error))
    before = document[: int(place[1])] if place else document
    return MappingError(
        Text(f"Le fichier n'est pas du JSON bien formé : {error}", f"The file is not well-formed JSON: {error}"),
        place=Place(
            file=table.label,
            line=before.count(b"\n") + 1,
            column_number=len(before) - (before.rfind(b"\n") + 1) + 1,
        ),
        hint=Text("Le fichier est peut-être tronqué : demandez-le à nouveau.", "The file may be truncated: ask for it again."),
    )
