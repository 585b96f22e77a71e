"""Whatever a partner's dialect, the staged table has the same cells, and its rows are where a spreadsheet shows them."""

import csv
import io
import tempfile
from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.sources import stage

CELLS = st.text(st.characters(codec="cp1252", exclude_characters="\0"), max_size=12)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8).filter(
    lambda rows: all(any(row) for row in rows)
)
DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
        "newline": st.sampled_from(["\n", "\r\n"]),
        "blank": st.sets(st.integers(0, 7)),
    }
)


def write(path, rows, dialect):
    """Write rows as a partner may, with blank lines; return the spreadsheet row of each record."""
    text, numbers, number = io.StringIO(newline=""), [], 1
    writer = csv.writer(text, delimiter=dialect["delimiter"], lineterminator=dialect["newline"], quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    for index, row in enumerate(rows):
        if index in dialect["blank"]:
            text.write(dialect["newline"])
            number += 1
        writer.writerow(row)
        number += 1
        numbers.append(number)
    path.write_bytes(text.getvalue().encode(dialect["encoding"]))
    return numbers


@settings(max_examples=40, deadline=None)
@given(ROWS, DIALECTS)
def test_a_staged_table_has_the_partners_cells_and_rows(rows, dialect):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.csv"
        numbers = write(path, rows, dialect)
        encoding = dialect["encoding"].removesuffix("-sig")
        if encoding == "cp1252" and any(not "".join(row).isascii() for row in rows) and is_utf8(path):
            return  # a text that is both would be refused as a wrong declaration
        spec = SourceSpec(name="f.csv", path=path, encoding=encoding, delimiter=dialect["delimiter"])
        table = stage(spec, Path(folder) / "out", Limits())
        with table.path.open(encoding="utf-8", newline="") as file:
            read = list(csv.reader(file, delimiter=table.delimiter))
        assert read == [["a", "b", "c"], *rows]
        assert table.records == len(rows)
        assert [table.row(record) for record in range(1, len(rows) + 1)] == numbers
        with duckdb.connect() as database:
            relation = database.read_csv(
                str(table.path), delimiter=table.delimiter, quotechar='"', escapechar='"', header=True, all_varchar=True,
                null_padding=False, auto_detect=False, columns=dict.fromkeys("abc", "VARCHAR"),
            )  # fmt: skip
            assert [[cell or "" for cell in row] for row in relation.fetchall()] == rows


def is_utf8(path):
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True
