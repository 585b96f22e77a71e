"""Write a sheet of a workbook (XLSX), or a Parquet file, as CSV whose rows keep their numbers, within bounds on its size."""

from __future__ import annotations

import csv
import datetime as dt
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from xml.etree.ElementTree import ParseError

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import SourceSpec

if TYPE_CHECKING:
    import duckdb

Kind = Literal["xlsx", "parquet"]
PLAIN: Final[dict[str, Any]] = {"encoding": "utf-8", "delimiter": ",", "quote": '"', "escape": '"'}  # how `as_csv` writes
_WORKBOOK: Final = "xl/workbook.xml"
_RATIO_FLOOR: Final = 10_000_000
_MAX_BLANKS: Final = 100_000  # empty rows between two rows; sheets often have formats a million rows down
_BATCH: Final = 10_000
_NESTED: Final = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")


def kind_of(path: Path) -> Kind | None:
    """Recognise a workbook or a Parquet file by its bytes, whatever its name says."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return "parquet"
    if start == b"PK\x03\x04" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return "xlsx" if _WORKBOOK in archive.namelist() else None
    return None


def as_csv(path: Path, kind: Kind, spec: SourceSpec, label: str, most: int, ratio: int) -> Iterator[bytes]:
    """Yield the table as CSV in UTF-8, at most `most` bytes; SourceError when damaged, too large, or without such a sheet."""
    rows = _sheet(path, spec, label, most, ratio) if kind == "xlsx" else _parquet(path, label)
    size = 0
    for chunk in _encoded(rows):
        size += len(chunk)
        if size > most:
            raise _too_large(label, most)
        yield chunk


def start_of(path: Path, kind: Kind, spec: SourceSpec, label: str, limits: tuple[int, int], rows: int) -> bytes:
    """Return the first rows as CSV; raises as `as_csv` does."""
    table = _sheet(path, spec, label, *limits) if kind == "xlsx" else _parquet(path, label)
    return b"".join(_encoded(islice(table, rows)))


class _Line:
    """Where the CSV writer writes: it keeps the last line."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text = text


def _encoded(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    line = _Line()
    writer = csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL)
    lines: list[str] = []
    for row in rows:
        writer.writerow(row)
        lines.append(line.text)
        if len(lines) == 1000:
            yield "".join(lines).encode("utf-8", "surrogatepass")
            lines.clear()
    yield "".join(lines).encode("utf-8", "surrogatepass")


def _too_large(label: str, most: int) -> SourceError:
    return SourceError(
        Text(f"Une fois déplié, le classeur dépasse {most} octets.", f"Unpacked, the workbook exceeds {most} bytes."),
        place=Place(file=label),
        hint=Text("C’est le signe d’une bombe de décompression ; sinon relevez max_bytes.",
                  "This is the mark of a decompression bomb; if not, raise max_bytes."),
    )  # fmt: skip


# --- workbooks ----------------------------------------------------------------------------------------------------------------


def _guard(path: Path, label: str, most: int, ratio: int) -> None:
    """Refuse a workbook whose parts would unpack to more than is allowed; a zip reader never gives more than is declared."""
    with zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
    if total > most or (total > _RATIO_FLOOR and total > path.stat().st_size * ratio):
        raise _too_large(label, min(most, max(_RATIO_FLOOR, path.stat().st_size * ratio)))


def _sheet(path: Path, spec: SourceSpec, label: str, most: int, ratio: int) -> Iterator[list[str]]:
    """Yield the rows of a sheet as a spreadsheet numbers them, all as wide as the widest row that has a value."""
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        _guard(path, label, most, ratio)
        width = max((len(cells) for cells in _cells(path, spec, label)), default=0)
        for cells in _cells(path, spec, label):
            yield cells + [""] * (width - len(cells))
    except (
        zipfile.BadZipFile,
        InvalidFileException,
        ParseError,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        OverflowError,
    ) as error:
        raise SourceError(
            Text(f"Le classeur est abîmé ou chiffré ({error}).", f"The workbook is damaged or encrypted ({error})."),
            place=Place(file=label),
            hint=Text("Ouvrez-le et enregistrez-le à nouveau, ou exportez la feuille en CSV.",
                      "Open it and save it again, or export the sheet as CSV."),
        ) from error  # fmt: skip


def _cells(path: Path, spec: SourceSpec, label: str) -> Iterator[list[str]]:
    """Yield the cells of each row as text, without what is empty at the end of rows and of the sheet."""
    import openpyxl

    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that have no bearing on values
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        sheet = workbook[_chosen(workbook.sheetnames, spec, label)]
        sheet.reset_dimensions()
        blanks = 0
        for values in sheet.iter_rows():
            row = [_text(cell) for cell in values]
            while row and not row[-1]:
                row.pop()
            if not row:
                blanks += 1
                if blanks > _MAX_BLANKS:
                    return
                continue
            yield from ([] for _ in range(blanks))
            blanks = 0
            yield row


def _chosen(sheets: Sequence[str], spec: SourceSpec, label: str) -> str:
    wanted = spec.sheet
    if wanted is None and len(sheets) == 1:
        return sheets[0]
    if wanted in sheets:
        return str(wanted)
    listed = ", ".join(sheets)
    raise SourceError(
        Text(f"Le classeur n’a pas de feuille « {wanted} »." if wanted else "Plusieurs feuilles : laquelle lire ?",
             f"The workbook has no sheet '{wanted}'." if wanted else "Several sheets: which one to read?"),
        place=Place(file=label, value=wanted),
        hint=Text(f"Donnez « sheet » parmi : {listed}.", f"Give 'sheet' among: {listed}."),
    )  # fmt: skip


def _text(cell: Any) -> str:
    """Write a cell as XSD writes its value; a day without hours in its format is a date."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        day = "h" not in cell.number_format.lower() and value.time() == dt.time(0)
        return value.date().isoformat() if day else value.isoformat(timespec="seconds")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


# --- Parquet ------------------------------------------------------------------------------------------------------------------


def _parquet(path: Path, label: str) -> Iterator[Sequence[str]]:
    """Yield the names of the columns, then the rows, in the order of the file."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": "false"})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        source = "read_parquet('" + str(path).replace("'", "''") + "')"
        found = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608  # our own file name
        yield [name for name, *_ in found]
        columns = ", ".join(_column(name, kind) for name, kind, *_ in found)
        result = connection.execute(f"SELECT {columns} FROM {source}")  # noqa: S608
        while batch := result.fetchmany(_BATCH):
            yield from batch
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise _bad_parquet(error, label) from error
    finally:
        connection.close()


def _column(name: str, kind: str) -> str:
    """Write the column as text, in the forms of XSD: ISO instants with T, lists and structures as JSON."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind.endswith("]") or kind.startswith(_NESTED):
        sql = f"to_json({quoted})::VARCHAR"
    elif kind == "TIMESTAMP WITH TIME ZONE":
        sql = f"replace(({quoted} AT TIME ZONE 'UTC')::VARCHAR, ' ', 'T') || 'Z'"
    elif kind.startswith("TIMESTAMP"):
        sql = f"replace({quoted}::VARCHAR, ' ', 'T')"
    else:
        sql = f"{quoted}::VARCHAR"
    return f"coalesce({sql}, '') AS {quoted}"


def _bad_parquet(error: duckdb.Error | UnicodeDecodeError, label: str) -> SourceError:
    said = str(error).splitlines()[0]
    return SourceError(
        Text(f"Le fichier Parquet est abîmé ou tronqué ({said}).", f"The Parquet file is damaged or truncated ({said})."),
        place=Place(file=label),
        hint=Text("Téléchargez-le à nouveau.", "Download it again."),
    )
