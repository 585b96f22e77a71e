"""Run a plan on Spark: cut sources into pieces, map each with the same engine on some worker, put the results together."""

from __future__ import annotations

import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cityorchestra_ld.errors import MappingError, Place, Text, UsageError
from cityorchestra_ld.mapping.engine import MapReport, disk_error, materialize
from cityorchestra_ld.mapping.plan import LogicalSource, Plan
from cityorchestra_ld.mapping.workspace import Piece, Records, split_records
from cityorchestra_ld.model import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PIECE: Final = 100_000  # records
_MASTER: Final = "CITYORCHESTRA_SPARK_MASTER"


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker does: map one piece into one file of a folder that all workers see."""

    number: int
    plan: Plan
    tables: Mapping[str, Table]
    piece: Piece
    out: Path
    default_graph: str | None

    def run(self) -> Done:
        """Map the piece; an error of ours becomes a value, since exceptions do not travel."""
        try:
            report = materialize(
                self.plan, self.tables, self.out, default_graph=self.default_graph, threads=1, piece=self.piece
            )
        except MappingError as error:
            return Done(self.number, message=error.message, place=error.place, hint=error.hint)
        return Done(self.number, report=report)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: a report, or an error."""

    number: int
    report: MapReport = field(default_factory=lambda: MapReport(quads=0))
    message: Text | None = None
    place: Place | None = None
    hint: Text | None = None


def materialize_on_spark(
    plan: Plan,
    tables: Mapping[str, Table],
    out: Path,
    *,
    default_graph: str | None = None,
    session: SparkSession | None = None,
    records: int = PIECE,
    settle: Callable[[], None] | None = None,
) -> MapReport:
    """
    Do what `materialize` does, with the same result, on the workers of a Spark session.

    The staged tables and the folder of `out` must be on a disk that all workers see, and this package installed there.
    Without a `session`, that of this program is used, or one is started on CITYORCHESTRA_SPARK_MASTER (local[2] when it is not
    set) and stopped again. Raises MappingError as `materialize` does, and UsageError when pyspark is not installed.
    """
    started = False
    if session is None:
        session, started = _session()
    folder = Path(tempfile.mkdtemp(prefix=".spark-", dir=out.parent))
    try:
        tasks = list(_tasks(plan, tables, folder, default_graph, records))
        done = session.sparkContext.parallelize(tasks, max(1, len(tasks))).map(Task.run).collect()
        done.sort(key=lambda item: item.number)
        _raise_first(done)
        part = folder / "all.nq"
        _put_together([task.out for task in tasks], part)
        if settle is not None:
            settle()
        part.replace(out)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if started:
            session.stop()
    return _report(plan, tasks, done)


def _session() -> tuple[SparkSession, bool]:
    """Return the session of this program, or a new one, and whether it is new."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise UsageError(
            Text("Spark n'est pas installé.", "Spark is not installed."),
            hint=Text("Installez l'option « spark » : pip install 'cityorchestra-ld[spark]', et Java 17.",
                      "Install the extra 'spark': pip install 'cityorchestra-ld[spark]', and Java 17."),
        ) from None  # fmt: skip
    active = SparkSession.getActiveSession()
    if active is not None:
        return active, False
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder: SparkSession.Builder = SparkSession.builder
    builder = builder.appName("cityorchestra").master(os.environ.get(_MASTER, "local[2]"))
    session = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session, True


# --- pieces -------------------------------------------------------------------------------------------------------------------


def _tasks(plan: Plan, tables: Mapping[str, Table], folder: Path, default_graph: str | None, records: int) -> Iterator[Task]:
    number = 0
    used = {plan.base_source(item.source).key for item in plan.maps}
    for source in plan.sources:
        if source.key not in used:
            continue
        place = folder / f"source{len(list(folder.iterdir()))}"
        place.mkdir()
        for piece in _pieces(source, tables[source.spec.name], place, records):
            yield Task(number, plan, tables, piece, folder / f"quads{number}.nq", default_graph)
            number += 1


def _pieces(source: LogicalSource, table: Table, place: Path, records: int) -> Iterator[Piece]:
    """Cut a source; an empty one is one piece, so that its mapping is compiled and checked like any other."""
    cut = _csv_parts(table, place, records) if source.formulation == "csv" else _json_parts(source, table, place, records)
    for part in cut:
        yield Piece(source.key, part)


def _csv_parts(table: Table, place: Path, records: int) -> Iterator[Table]:
    with table.path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=table.delimiter)
        header = next(rows) if table.header_row else None
        before = 0
        while True:
            some = list(islice(rows, records))
            if before and not some:
                return
            path = place / f"{before}.csv"
            with path.open("w", encoding="utf-8", newline="") as out:
                writer = csv.writer(out, delimiter=table.delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
                if header is not None:
                    writer.writerow(header)
                writer.writerows(some)
            yield replace(table, path=path, records=len(some), filled=None, before=before)
            before += len(some)
            if not some:
                return


def _json_parts(source: LogicalSource, table: Table, place: Path, records: int) -> Iterator[Records]:
    whole = split_records(table, source.iterator or "$", place / "records.ndjson", numbered=True)
    with whole.path.open("rb") as file:
        number = 0
        while number == 0 or number * records < whole.count:
            lines = list(islice(file, records))
            path = place / f"{number}.ndjson"
            path.write_bytes(b"".join(lines))
            yield Records(path, len(lines), whole.largest)
            number += 1


# --- results ------------------------------------------------------------------------------------------------------------------


def _put_together(pieces: list[Path], part: Path) -> None:
    with part.open("wb") as out:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)
            piece.unlink()


def _raise_first(done: list[Done]) -> None:
    """Raise the first error in the order of the sources and their rows."""
    for item in done:
        if item.message is not None:
            raise MappingError(item.message, place=item.place, hint=item.hint)


def _report(plan: Plan, tasks: list[Task], done: list[Done]) -> MapReport:
    per_map = {item.name: sum(one.report.per_map.get(item.name, 0) for one in done) for item in plan.maps}
    by_source: dict[tuple[str, str | None], int] = {}
    for task in tasks:
        by_source[task.piece.key] = by_source.get(task.piece.key, 0) + task.piece.count
    records: dict[str, int] = {}
    for (name, _), count in by_source.items():
        records[name] = max(records.get(name, 0), count)
    return MapReport(quads=sum(per_map.values()), records=records, per_map=per_map)
