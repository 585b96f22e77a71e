"""Turn a SPARQL result into a table with typed columns: Apache Parquet and Apache Arrow, by way of DuckDB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cityorchestra_ld.errors import QueryTimeoutError, Text, UsageError
from cityorchestra_ld.formats import RESULTS_ARROW, Format
from cityorchestra_ld.namespaces import XSD

if TYPE_CHECKING:
    import duckdb

_LINE: Final = 64 * 1024 * 1024  # bytes that one row may take
_SUFFIX: Final = r"""'"(@[A-Za-z0-9-]+|\^\^<[^>"<]*>)?$'"""
_TYPED: Final = r"""'\^\^<([^>"<]*)>$'"""
_KIND: Final = rf"""CASE
  WHEN {{c}} IS NULL THEN NULL
  WHEN {{c}}[1] = '"' THEN coalesce(nullif(regexp_extract({{c}}, {_TYPED}, 1), ''), 'text')
  WHEN {{c}}[1] IN ('<', '_') THEN 'text'
  WHEN {{c}} IN ('true', 'false') THEN '{XSD}boolean'
  WHEN regexp_full_match({{c}}, '[+-]?[0-9]+') THEN '{XSD}integer'
  WHEN regexp_full_match({{c}}, '[+-]?[0-9]*\.[0-9]+') THEN '{XSD}decimal'
  ELSE '{XSD}double' END"""
_INNER: Final = rf"""CASE
  WHEN {{c}}[1] = '<' THEN {{c}}[2:-2]
  WHEN {{c}}[1] = '"' THEN regexp_replace({{c}}, {_SUFFIX}, '')[2:]
  ELSE {{c}} END"""
_ESCAPES: Final = (("\\t", 9), ("\\n", 10), ("\\r", 13), ('\\"', 34))
_INTEGERS: Final = frozenset(
    XSD + name
    for name in (
        "integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger",
        "negativeInteger", "unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte",
    )
)  # fmt: skip
_DECIMALS: Final = _INTEGERS | {XSD + "decimal"}
_NUMBERS: Final = _DECIMALS | {XSD + "double", XSD + "float"}


def write_columns(spool: Path, target: Path, form: Format) -> None:
    """
    Read a result that was spooled as TSV and write it as Parquet or as an Arrow stream, with a type for each column.

    A column of numbers, truth values or dates gets that type; any other keeps its text, as in SPARQL 1.1 CSV results. Each line
    of the spool ends with one more tab, so that a row without values is still a row. Raises UsageError for a result without
    variables and QueryTimeoutError when it does not fit in memory.
    """
    import duckdb

    with spool.open("rb") as file:
        names = [name.lstrip("?") for name in file.readline().decode().rstrip("\n").split("\t")][:-1]
    if not any(names):
        raise UsageError(
            Text("Une table a besoin d'au moins une variable.", "A table needs at least one variable."),
            hint=Text("Écrivez les variables après SELECT.", "Write the variables after SELECT."),
        )
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET memory_limit = '512MB'")
        connection.execute("SET temp_directory = ?", [str(spool.parent)])
        try:
            _load(connection, spool, len(names))
            _write(connection, _select(connection, names), target, form)
        except (duckdb.OutOfMemoryException, duckdb.InvalidInputException, duckdb.IOException) as error:
            raise QueryTimeoutError(
                Text("Le résultat est trop grand pour une table.", "The result is too large for a table."),
                hint=Text("Demandez moins de lignes, ou le format CSV.", "Ask for fewer rows, or for CSV."),
            ) from error


def _load(connection: duckdb.DuckDBPyConnection, spool: Path, count: int) -> None:
    columns = {f"c{number}": "VARCHAR" for number in range(count + 1)}
    connection.execute(
        "CREATE TABLE rows AS SELECT * FROM read_csv(?, delim = chr(9), header = false, skip = 1, quote = '', escape = '', "
        "auto_detect = false, columns = ?, max_line_size = ?, nullstr = '', new_line = '\\n')",
        [str(spool), columns, _LINE],
    )


def _select(connection: duckdb.DuckDBPyConnection, names: list[str]) -> str:
    parts = []
    for number, name in enumerate(names):
        quoted = '"' + name.replace('"', '""') + '"'
        parts.append(f"{_typed(connection, f'c{number}')} AS {quoted}")
    return f"SELECT {', '.join(parts)} FROM rows"  # noqa: S608 - our own expressions, and names of variables, quoted


def _typed(connection: duckdb.DuckDBPyConnection, column: str) -> str:
    """Choose the expression of a column: the narrowest type that holds every value, else its text."""
    kinds = {kind for (kind,) in connection.execute(f"SELECT DISTINCT {_KIND.format(c=column)} FROM rows").fetchall() if kind}  # noqa: S608
    inner = _INNER.format(c=column)
    for wanted in _candidates(connection, kinds, inner):
        query = f"SELECT count(*) FROM rows WHERE {column} IS NOT NULL AND try_cast({inner} AS {wanted}) IS NULL"  # noqa: S608
        if connection.execute(query).fetchall() == [(0,)]:
            return f"try_cast({inner} AS {wanted})"
    return _unescaped(column, inner)


def _candidates(connection: duckdb.DuckDBPyConnection, kinds: set[str], inner: str) -> Iterator[str]:
    """List the types to try for a column, narrowest first."""
    if not kinds:
        return
    if kinds <= _INTEGERS:
        yield from ("BIGINT", "DECIMAL(38, 0)", "DOUBLE")
    elif kinds <= _DECIMALS:
        query = f"SELECT max(length(split_part({inner}, '.', 2))), max(length(split_part({inner}, '.', 1))) FROM rows"  # noqa: S608
        [(scale, whole)] = connection.execute(query).fetchall()
        if scale + whole <= 38:
            yield f"DECIMAL({max(18, scale + whole)}, {scale})"
        yield "DOUBLE"
    elif kinds <= _NUMBERS:
        yield "DOUBLE"
    elif len(kinds) == 1:
        yield from {
            f"{XSD}boolean": ["BOOLEAN"], f"{XSD}date": ["DATE"], f"{XSD}gYear": ["SMALLINT"], f"{XSD}time": ["TIME"],
            f"{XSD}dateTime": _moment(connection, inner), f"{XSD}dateTimeStamp": ["TIMESTAMPTZ"],
        }.get(kinds.pop(), [])  # fmt: skip


def _moment(connection: duckdb.DuckDBPyConnection, inner: str) -> list[str]:
    """Tell whether moments have a time zone: all, none, or some, which stay text."""
    query = f"SELECT DISTINCT regexp_matches({inner}, '(Z|[+-][0-9]{{2}}:[0-9]{{2}})$') FROM rows WHERE {inner} IS NOT NULL"  # noqa: S608
    zoned = [found for (found,) in connection.execute(query).fetchall()]
    return ["TIMESTAMPTZ" if zoned[0] else "TIMESTAMP"] if len(zoned) == 1 else []


def _unescaped(column: str, inner: str) -> str:
    """Undo the escapes of TSV results (SPARQL 1.1 CSV and TSV, section 4): split at escaped backslashes, then replace."""
    part = "p"
    for escape, code in _ESCAPES:
        part = f"replace({part}, '{escape}', chr({code}))"
    whole = f"array_to_string(list_transform(string_split({inner}, '\\\\'), lambda p: {part}), '\\')"
    return f"CASE WHEN {column}[1] = '\"' AND contains({column}, '\\') THEN {whole} ELSE {inner} END"


def _write(connection: duckdb.DuckDBPyConnection, select: str, target: Path, form: Format) -> None:
    if form is RESULTS_ARROW:
        from nanoarrow import ipc

        with target.open("wb") as file, ipc.StreamWriter.from_writable(file) as writer:
            writer.write_stream(connection.sql(select))
    else:
        connection.sql(select).write_parquet(str(target), compression="zstd")
