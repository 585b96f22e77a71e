"""Files of one version of a dataset for people to take away: made once from its kept content, with size and checksum."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
import pyoxigraph as ox
import zstandard

from cityorchestra_ld.catalog.facts import Facts, count
from cityorchestra_ld.catalog.tables import TEXT, Nested, Table, rows
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.wkt import Geometry, read_known

if TYPE_CHECKING:
    import duckdb

_LAYOUT: Final = 1  # raise it when files would come out differently
_BATCH: Final = 4_096
_LONGEST_ROW: Final = 50_000_000
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file: what it is, how large, and the hash of its bytes."""

    name: str
    form: str  # nquads, turtle, csv, geojson, parquet
    size: int
    sha256: str
    rows: int | None = None
    table: str | None = None  # the class of the things in it


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of one version."""

    layout: int
    version: str
    sha256: str  # of the content
    facts: Facts
    files: tuple[File, ...]


def folder_of(state: Path, dataset: str, version: str) -> Path | None:
    """Return where the files of a version lie; nothing for a name that cannot be a version."""
    return state / "downloads" / dataset / version if _VERSION.fullmatch(version) else None


def known(state: Path, dataset: str, version: str) -> Made | None:
    """Read what was made of a version; nothing when it was not, or in another way than today."""
    folder = folder_of(state, dataset, version)
    try:
        made = msgspec.json.decode((folder / "made.json").read_bytes(), type=Made) if folder else None
    except (OSError, msgspec.MsgspecError):
        return None
    return made if made is not None and made.layout == _LAYOUT else None


def make(state: Path, info: GraphInfo, prefixes: Mapping[str, str]) -> Made | None:
    """Make the files of a version unless they are there; nothing when the store does not keep its content."""
    folder = folder_of(state, info.dataset or "", info.version or "") if info.dataset and info.version else None
    snapshot = Layout(state / "store").snapshot(info.sha256)
    if folder is None or not snapshot.exists():
        return None
    found = known(state, info.dataset or "", info.version or "")
    if found is not None and found.sha256 == info.sha256:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as temporary:
        work = Path(temporary) / "files"
        work.mkdir()
        made = _Making(snapshot, work, info, prefixes).all()
        (work / "made.json").write_bytes(msgspec.json.encode(made))
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    return made


def retain(state: Path, current: Mapping[str, str], most: int) -> None:
    """Delete files of datasets that are gone, then the oldest files of older versions until all fit in `most` bytes."""
    root = state / "downloads"
    aside: list[tuple[int, int, Path]] = []
    total = 0
    for folder in sorted(root.glob("*/*/*")) if root.exists() else ():
        key = f"{folder.parent.parent.name}/{folder.parent.name}"
        if key not in current or folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        size = sum(path.stat().st_size for path in folder.iterdir())
        total += size
        if current[key] != folder.name:
            aside.append((folder.stat().st_mtime_ns, size, folder))
    for _, size, folder in sorted(aside):
        if total <= most:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= size


class _Making:
    """The files of one version under construction."""

    def __init__(self, snapshot: Path, work: Path, info: GraphInfo, prefixes: Mapping[str, str]) -> None:
        self._snapshot, self._work, self._info, self._prefixes = snapshot, work, info, dict(prefixes)
        self._stem = (info.dataset or "").rpartition("/")[2]
        self._files: list[File] = []

    def all(self) -> Made:
        facts, nested = self._read(count)
        self._write(f"{self._stem}.nq.gz", "nquads", self._nquads)
        self._write(f"{self._stem}.ttl.gz", "turtle", self._turtle)
        if facts.tables:
            self._tables(facts, nested)
        return Made(
            layout=_LAYOUT,
            version=self._info.version or "",
            sha256=self._info.sha256,
            facts=facts,
            files=tuple(self._files),
        )

    def _read(self, look: Callable[[Iterator[str]], Any]) -> Any:
        with zstandard.open(self._snapshot, "rt", encoding="utf-8", newline="\n") as lines:
            return look(iter(lines))

    def _write(self, name: str, form: str, write: Callable[[BinaryIO], None]) -> None:
        with (self._work / name).open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
            write(out)  # type: ignore[arg-type]
        self._add(name, form)

    def _add(self, name: str, form: str, table: Table | None = None) -> None:
        path = self._work / name
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        kind, number = (table.kind, table.rows) if table else (None, None)
        self._files.append(File(name=name, form=form, size=path.stat().st_size, sha256=digest, rows=number, table=kind))

    def _nquads(self, out: BinaryIO) -> None:
        graph = f" {ox.NamedNode(self._info.graph)} .\n"

        def write(lines: Iterator[str]) -> None:
            while batch := list(islice(lines, _BATCH)):
                out.write("".join([line[:-3] + graph for line in batch]).encode())

        self._read(write)

    def _turtle(self, out: BinaryIO) -> None:
        with zstandard.open(self._snapshot, "rb") as source:
            triples = (quad.triple for quad in ox.parse(source, format=ox.RdfFormat.N_TRIPLES))
            ox.serialize(triples, out, format=ox.RdfFormat.TURTLE, prefixes=self._prefixes)

    # --- tables -----------------------------------------------------------------------------------------------------------

    def _tables(self, facts: Facts, nested: Nested) -> None:
        import duckdb  # a server that never publishes does without

        with ExitStack() as stack:
            writers = [_Rows(stack, self._work, table) for table in facts.tables]

            def write(lines: Iterator[str]) -> None:
                for number, cells in rows(lines, facts.tables, nested.nodes):
                    writers[number].add(cells)

            self._read(write)
            for writer in writers:
                writer.end()
        with duckdb.connect(config={"threads": "1", "temp_directory": str(self._work)}) as session:
            for table in facts.tables:
                _parquet(session, self._work, table)
        for table in facts.tables:
            self._add(f"{table.name}.csv", "csv", table)
            if table.geometry is not None:
                self._add(f"{table.name}.geojson", "geojson", table)
            self._add(f"{table.name}.parquet", "parquet", table)


class _Rows:
    """One table on its way to CSV, and to GeoJSON when it has geometries (RFC 4180, RFC 7946)."""

    def __init__(self, stack: ExitStack, work: Path, table: Table) -> None:
        self._table = table
        out = stack.enter_context((work / f"{table.name}.csv").open("w", encoding="utf-8", newline=""))
        self._csv = csv.writer(out, lineterminator="\r\n")
        self._csv.writerow([column.name for column in table.columns])
        self._place = table.geometry
        self._first = True
        if self._place is not None:
            self._json = stack.enter_context((work / f"{table.name}.geojson").open("w", encoding="utf-8", newline=""))
            self._json.write('{"type":"FeatureCollection","features":[')

    def add(self, cells: list[str]) -> None:
        self._csv.writerow(cells)
        if self._place is not None:
            self._json.write("\n" if self._first else ",\n")
            self._json.write(json.dumps(self._feature(cells, self._place), ensure_ascii=False, separators=(",", ":")))
            self._first = False

    def end(self) -> None:
        if self._place is not None:
            self._json.write("\n]}\n")

    def _feature(self, cells: list[str], place: int) -> dict[str, object]:
        columns = self._table.columns
        properties: dict[str, object] = {
            column.name: _value(cell, column.kind)
            for column, cell in zip(columns, cells, strict=True)
            if cell and not column.geometry
        }
        shape: Geometry | None = read_known(cells[place].partition(" | ")[0])
        return {"type": "Feature", "id": cells[0], "geometry": shape, "properties": properties}


def _value(cell: str, kind: str) -> object:
    """Write numbers and yes/no as JSON does, all else as text."""
    try:
        if kind == "BIGINT":
            return int(cell)
        if kind == "DOUBLE":
            return float(cell)
    except ValueError:
        return cell
    return {"true": True, "1": True, "false": False, "0": False}.get(cell, cell) if kind == "BOOLEAN" else cell


def _parquet(session: duckdb.DuckDBPyConnection, work: Path, table: Table) -> None:
    """Turn a CSV into Parquet with typed columns, or with text where a column does not hold what it promises."""
    import duckdb

    source, target = work / f"{table.name}.csv", work / f"{table.name}.parquet"
    promised = {column.name: column.kind for column in table.columns}
    for types in (promised, dict.fromkeys(promised, TEXT)):
        try:
            session.read_csv(
                str(source), header=True, delimiter=",", quotechar='"', escapechar='"', encoding="utf-8",
                auto_detect=False, columns=types, max_line_size=_LONGEST_ROW,
            ).write_parquet(str(target), compression="zstd")  # fmt: skip
            return
        except duckdb.Error:
            target.unlink(missing_ok=True)
            if types is not promised:
                raise


def open_file(state: Path, dataset: str, version: str, name: str) -> tuple[Path, File] | None:
    """Find one file of a version by the name that its list gives; nothing when there is none."""
    made = known(state, dataset, version)
    file = next((file for file in made.files if file.name == name), None) if made else None
    folder = folder_of(state, dataset, version)
    if file is None or folder is None or not (folder / file.name).exists():
        return None
    return folder / file.name, file
