"""Mark the lines of a large graph that need to be looked at: DuckDB recognises those that the store keeps as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.store.normal import STABLE

if TYPE_CHECKING:
    import duckdb

MARK: Final = b"\x01"  # before a line that the normaliser must look at; it sorts before all others
_UNUSED: Final = "\x02"  # separates columns, of which there is one
_MEMORY: Final = "512MB"

# what the store's own writer gives back unchanged: IRIs and literals without anything special
_CHARACTER: Final = r"(?:[-A-Za-z0-9._~!$&'()*+,;=:@/\x{C0}-\x{D7FB}]|%[0-9A-Fa-f]{2})"
_IRI: Final = (
    rf"<https?://[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?(?:/{_CHARACTER}*)?(?:\?(?:{_CHARACTER}|\?)*)?(?:#(?:{_CHARACTER}|\?)*)?>"
)
_TEXT: Final = r'"(?:[^"\\\x{0}-\x{1F}\x{7F}-\x{9F}\x{FFFE}\x{FFFF}]|\\[nr"\\])*"'
_TYPES: Final = "|".join(rf'"(?:{lexical})"\^\^<{XSD}{name}>' for name, lexical in STABLE.items() if name != "anyURI")
PLAIN: Final = rf"{_IRI} {_IRI} (?:{_IRI}|{_TEXT}(?:@[a-z]{{2,3}})?|{_TYPES})"


def mark_lines(content: Path, target: Path) -> Path | None:
    """
    Write N-Quads as N-Triples lines, in their order, and mark what may not be as the store writes it.

    The graph name of the first line is taken away; a line with another one is marked. Nothing when the file is not written
    in lines that a table reader can read.
    """
    import duckdb  # a server that never publishes does without

    ending = line_ending(content)
    if ending is None:
        return None
    try:
        with lines_database() as database:
            database.execute("SET VARIABLE ending = ?", [ending])
            database.execute("SET VARIABLE plain = ?", [PLAIN])
            lines = table_of_lines(database, content)
            triple = f"l[:-{len(ending) + 1}]"
            plain = f"ends_with(l, getvariable('ending')) AND regexp_full_match({triple}, getvariable('plain'))"
            line = f"CASE WHEN {plain} THEN concat({triple}, ' .') ELSE concat(chr(1), l) END AS l"
            lines.filter("l <> ''").project(line).write_csv(
                str(target), header=False, sep=_UNUSED, quotechar="", escapechar="", use_tmp_file=False
            )
    except duckdb.Error:  # the reader of N-Quads says what is wrong, and where
        return None
    return target


@contextmanager
def lines_database(temporary: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database for tables of lines; what does not fit into its memory goes to `temporary`, or is an error."""
    import duckdb

    with duckdb.connect(config={"threads": 2, "memory_limit": _MEMORY, "temp_directory": str(temporary or "")}) as database:
        database.execute("SET enable_progress_bar = false")
        yield database


def table_of_lines(database: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    """Read a file as a table with one column `l`; a kept snapshot is compressed."""
    return database.read_csv(
        str(path), header=False, auto_detect=False, sep=_UNUSED, quotechar="", escapechar="",
        columns={"l": "VARCHAR"}, force_not_null=["l"], compression="zstd" if path.suffix == ".zst" else "none",
    )  # fmt: skip


def line_ending(content: Path) -> str | None:
    """Return how lines end after the triple: with the graph name of the first one."""
    with content.open("rb") as file:
        first = file.readline(1 << 20)
    try:
        quads = list(ox.parse(first, format=ox.RdfFormat.N_QUADS))
    except SyntaxError:
        return None
    graph = quads[0].graph_name if quads else None
    return f" {graph} ." if isinstance(graph, ox.NamedNode) else " ."
