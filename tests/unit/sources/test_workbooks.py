"""Workbooks and Parquet files are tables like any other: rows keep their numbers, and what unpacks too far is stopped."""

from __future__ import annotations

import csv
import datetime as dt
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.mapping import Wanted, materialize, read_mapping, trace
from cityorchestra_ld.model import Column, Limits, SourceSpec, Table
from cityorchestra_ld.sources import stage
from cityorchestra_ld.sources.peek import peek

ROWS: list[list[Any]] = [
    ["Population légale"], [], ["Code", "Nom", "Surface", "Jour", "Instant", "Ouvert"],
    ["01001", "L'Abergement", 12.5, dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4, 5), True],
    [], ["01002", 'B, "x"\ny', 7, None, None, False],
]  # fmt: skip


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def parquet(path: Path, query: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def cells(table: Table) -> list[list[str]]:
    with table.path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=table.delimiter))


def read(path: Path, tmp_path: Path, limits: Limits | None = None, **settings: Any) -> Table:
    return stage(SourceSpec(name=path.name, path=path, **settings), tmp_path / "out", limits or Limits())


def refused(path: Path, tmp_path: Path, limits: Limits | None = None, **settings: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(path, tmp_path, limits, **settings)
    assert caught.value.place is not None and caught.value.place.file == path.name
    return caught.value


def test_a_sheet_is_read_as_a_table_whose_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", Feuille=ROWS)
    table = read(path, tmp_path, skip_until="Code")
    assert (table.records, table.header_row, table.row(1), table.row(2)) == (2, 3, 4, 6)
    assert cells(table) == [
        ["Code", "Nom", "Surface", "Jour", "Instant", "Ouvert"],
        ["01001", "L'Abergement", "12.5", "2024-01-02", "2024-01-02T03:04:05", "true"],
        ["01002", 'B, "x"\ny', "7", "", "", "false"],
    ]
    assert table.original.read_bytes() == path.read_bytes() and "xlsx" in table.notes[0].en


def test_a_workbook_inside_an_archive_is_read_too(tmp_path: Path) -> None:
    inner = workbook(tmp_path / "t.xlsx", A=[["a"], [1]])
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.write(inner, "deep/t.xlsx")
    table = read(tmp_path / "t.zip", tmp_path)
    assert (table.label, table.columns, table.records) == ("t.zip/deep/t.xlsx", ("a",), 1)


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", Notes=[["x"]], Data=[["a", "b"], [1, 2]])
    assert read(path, tmp_path, sheet="Data").columns == ("a", "b")
    assert "Notes, Data" in refused(path, tmp_path).hint.en  # type: ignore[union-attr]
    assert "no sheet 'Date'" in refused(path, tmp_path, sheet="Date").message.en


def test_the_contract_holds_for_workbooks_with_the_row_of_the_sheet(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", A=[["code"], ["01001"], [], [1004]])
    error = refused(path, tmp_path, columns=(Column(name="code", kind="code", pattern="[0-9]{5}"),))
    assert error.place is not None and error.hint is not None
    assert (error.place.row, error.place.column, error.place.value) == (4, "code", "1004") and "01004" in error.hint.en


def test_an_empty_sheet_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read(workbook(tmp_path / "t.xlsx", A=[]), tmp_path)


@pytest.mark.parametrize("limits", [Limits(source_bytes=20_000), Limits(compression_ratio=2)])
def test_a_workbook_that_unpacks_too_far_is_refused_before_it_is_read(limits: Limits, tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", A=[["a"], [1]])
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            out.writestr(name, source.read(name))
        out.writestr("xl/media/image.bin", b"\0" * 12_000_000)
    assert "decompression bomb" in refused(bomb, tmp_path, limits).hint.en  # type: ignore[union-attr]


def test_a_table_that_grows_too_large_is_stopped(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", "SELECT repeat('x', 1000) AS a FROM range(10000)")
    assert "exceeds" in refused(path, tmp_path, Limits(source_bytes=1_000_000)).message.en


def test_damaged_files_are_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", A=[["a"], [1]])
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as out:
        for name in source.namelist():
            data = source.read(name)
            out.writestr(name, data[: len(data) // 2] if "sheet" in name else data)
    assert "damaged" in refused(broken, tmp_path).message.en
    whole = parquet(tmp_path / "t.parquet", "SELECT 1 AS a").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    assert "Parquet" in refused(tmp_path / "cut.parquet", tmp_path).message.en


def test_parquet_is_read_in_order_with_values_as_xsd_writes_them(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        "SELECT lpad(i::VARCHAR, 5, '0') AS code, i / 4 AS v, timestamptz '2024-01-02 03:04:05+01' AS z, i % 2 = 0 AS b, "
        "timestamp '2024-01-02 03:04:05' AS t, [i, 2] AS l, date '2024-01-01' AS d, NULL AS n FROM range(1, 5000) r(i)",
    )
    table = read(path, tmp_path)
    rows = cells(table)
    assert rows[0] == ["code", "v", "z", "b", "t", "l", "d", "n"]
    assert rows[1] == ["00001", "0.25", "2024-01-02T02:04:05Z", "false", "2024-01-02T03:04:05", "[1,2]", "2024-01-01", ""]
    assert [row[0] for row in rows[1:]] == [f"{number:05}" for number in range(1, 5000)]


def test_the_header_of_a_workbook_can_be_looked_at_alone(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", A=ROWS)
    assert peek(SourceSpec(name="t", skip_until="Code"), path, Limits()).columns == tuple(ROWS[2])
    path = parquet(tmp_path / "t.parquet", "SELECT 1 AS a, 2 AS b")
    assert peek(SourceSpec(name="t"), path, Limits()).columns == ("a", "b")


def test_a_triple_of_a_workbook_leads_back_to_its_row_and_column(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", A=ROWS)
    mapping = tmp_path / "m.yml"
    mapping.write_text(
        'prefixes: {ex: "http://ex.org/"}\nsources:\n  t: ["t.xlsx~csv"]\n'
        "mappings:\n  m:\n    sources: t\n    s: ex:$(Code)\n    po:\n      - [ex:area, $(Surface), xsd:decimal]\n",
        encoding="utf-8",
    )
    plan = read_mapping(mapping, base_iri="http://ex.org/")
    spec = replace(plan.sources[0].spec, path=path, skip_until="Code")
    tables = {"t.xlsx": stage(spec, tmp_path / "out", Limits())}
    materialize(plan, tables, tmp_path / "out.nq")
    wanted = Wanted("<http://ex.org/01002>", "<http://ex.org/area>")
    origin = trace(plan, tables, [wanted])[wanted][0]
    assert (origin.file, origin.row, origin.column, origin.cell) == ("t.xlsx", 6, "Surface", "7")
