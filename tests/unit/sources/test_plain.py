"""A large CSV file that is written as mappings read it is checked where it lies: same cells, same errors, no copy."""

import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.mapping.relations import CsvRows, Names
from cityorchestra_ld.model import Column, Limits, SourceSpec
from cityorchestra_ld.sources import plain, stage, tables

CODE = Column(name="code", kind="code", pattern="[0-9]{5}")
GOOD = b'code,nom,note\n35238,"Rennes, ""la ville""",\n35047,"Bruz\nsud",a "b" c\n'


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    """Let the quick check look at small files too."""
    monkeypatch.setattr(plain, "_LEAST", 0)


def put(folder, content, **settings):
    path = folder / "f.csv"
    path.write_bytes(content)
    return stage(SourceSpec(name="f.csv", path=path, delimiter=",", **settings), folder / "out", Limits())


def cells(table):
    """Read a table as mappings do."""
    with duckdb.connect() as database:
        return database.execute(f"SELECT * FROM {CsvRows(Names(), table, longest=2_000_000).scan(numbered=False)}").fetchall()


def stays(table):
    return table.path.samefile(table.original)


@pytest.mark.parametrize("content", [GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.removesuffix(b"\n"), b"\xef\xbb\xbf" + GOOD])
def test_a_file_that_is_in_order_stays_where_it_is(tmp_path, content):
    table = put(tmp_path, content, columns=(CODE,), key=("code",))
    assert stays(table)
    assert (table.records, table.columns, table.header_row) == (2, ("code", "nom", "note"), 1)
    assert table.filled == (2, 2, 1)
    sud = "Bruz\r\nsud" if b"\r" in content else "Bruz\nsud"
    assert cells(table) == [("35238", 'Rennes, "la ville"', None), ("35047", sud, 'a "b" c')]


@pytest.mark.parametrize(
    "content",
    [
        b'code,nom\n1, "x"\n',  # readers do not agree on spaces beside quotes
        b"code,nom\n1,x\n\n2,y\n",
        b"code,nom\n1,x\n,\n2,y\n",
        b"code,nom\n1,x\r\n2,y\n",
        b"\ncode,nom\n1,x\n",
        b'"code\n",nom\n1,x\n',
    ],
)
def test_what_needs_care_is_copied_with_care(tmp_path, content):
    assert not stays(put(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "row", "column"),
    [
        (b"code,nom\n35238,a\n3504,b\n", 3, "code"),
        (b"code,nom\n35238,a\n35047,b,\n", 3, None),
        (b"code,nom\n35238,a\n35047\n", 3, None),
        (b'code,nom\n35238,a\n35047,"b"c\n', 3, None),
        (b'code,nom\n35238,a\n35047,"b\n', 3, None),
        (b"code,nom\n35238,a\n35047,b\n35238,c\n", 4, "code"),
    ],
)
def test_an_error_is_found_in_its_row_and_column(tmp_path, content, row, column):
    with pytest.raises(SourceError) as caught:
        put(tmp_path, content, columns=(CODE,), key=("code",))
    assert (caught.value.place.row, caught.value.place.column) == (row, column)


def test_cells_that_mean_no_value_are_not_counted_beforehand(tmp_path):
    assert put(tmp_path, b"code,nom\n1,NA\n2,x\n", nulls=("", "NA")).filled is None


LINES = st.lists(st.text('ab", \n\r;é\\', max_size=14), max_size=5)


@settings(max_examples=60, deadline=None)
@given(LINES, st.sampled_from(["\n", "\r\n"]))
@pytest.mark.slow
def test_both_ways_to_read_give_the_same_cells_or_the_same_error(lines, ending):
    """Whatever the bytes: the quick check accepts nothing that the careful reader would refuse or read in another way."""
    content = ("a,b" + ending + ending.join(lines)).encode()
    results = []
    with pytest.MonkeyPatch.context() as patch:
        for quick in (True, False):
            if not quick:
                patch.setattr(tables, "check_in_place", lambda *_: None)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    table = put(Path(folder), content)
                    results.append((table.records, table.columns, cells(table), table.row(max(1, table.records))))
                except SourceError as error:
                    results.append((str(error.message), str(error.place)))
    assert results[0] == results[1]
