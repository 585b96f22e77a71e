"""CSV: what is recognised, what is written, and what a bad file gets."""

import csv

import pytest

from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.model import Column, Limits, SourceSpec
from cityorchestra_ld.sources import describe, open_loose, stage

IRIS = Column(name="code_iris", kind="code", pattern=r"\d{9}")


def put(tmp_path, content, **settings):
    """Write a file and stage it."""
    path = tmp_path / "conso.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return stage(SourceSpec(name="conso.csv", path=path, **settings), tmp_path / "out", Limits())


def rows(table):
    with table.path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=table.delimiter))


def refused(tmp_path, content, **settings):
    with pytest.raises(SourceError) as caught:
        put(tmp_path, content, **settings)
    error = caught.value
    assert error.exit_code == 3
    assert error.place.file == "conso.csv"
    assert error.message.fr and error.message.en
    return error


def said(table):
    return " ".join(note.en for note in describe(table))


# --- encoding -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_an_encoding_is_recognised_and_said(tmp_path, encoding):
    table = put(tmp_path, "nom;année\nPlœuc-L’Hermitage;2020\nÎle-de-Bréhat;2021\n".encode(encoding))
    assert rows(table) == [["nom", "année"], ["Plœuc-L’Hermitage", "2020"], ["Île-de-Bréhat", "2021"]]
    assert table.path.read_bytes().startswith(b"nom;")
    assert f"recognised: {encoding.removesuffix('-sig')}" in said(table)
    assert ("BOM" in said(table)) == (encoding in ("utf-8-sig", "utf-16", "utf-32"))


@pytest.mark.parametrize("name", ["WIN1252", "windows-1252", "cp1252"])
def test_a_declared_encoding_is_used(tmp_path, name):
    table = put(tmp_path, "a,b\né,1\n".encode("cp1252"), encoding=name)
    assert rows(table)[1] == ["é", "1"]
    assert "declared: cp1252" in said(table)


@pytest.mark.parametrize(
    ("content", "encoding", "better"),
    [
        ("a,b\né,1\n".encode("cp1252"), "utf-8", "cp1252"),
        ("a,b\né,1\n".encode(), "windows-1252", "utf-8"),
        ("a,b\né,1\n".encode(), "ascii", "utf-8"),
        ("a,b\né,1\n".encode("utf-16"), "utf-8", "utf-16"),
        ("a,b\né,1\n".encode("utf-8-sig"), "iso-8859-15", "utf-8"),
        ("a,b\n€,1\n".encode("cp1252"), "iso-8859-1", "windows-1252"),
    ],
)
def test_a_wrong_declared_encoding_is_an_error_that_names_the_right_one(tmp_path, content, encoding, better):
    assert better in refused(tmp_path, content, encoding=encoding).hint.en


def test_the_row_of_the_first_wrong_byte_is_told(tmp_path):
    content = b"a,b\n" + b"x,1\n" * 70_000 + "é,2\n".encode("cp1252")
    assert refused(tmp_path, content, encoding="utf-8").place.row == 70_002


def test_text_that_is_neither_utf8_nor_french_windows_text_asks_for_a_declaration(tmp_path):
    error = refused(tmp_path, "a,b\n\x82t\x82,1\n\x8a\x85\x87\x88,2\n".encode("latin-1"))
    assert "not recognised" in error.message.en
    table = put(tmp_path, "a,b\nété,1\n".encode("cp850"), encoding="cp850")
    assert rows(table)[1] == ["été", "1"]


@pytest.mark.parametrize("name", ["utf-9", "rot13", "hex", "zlib"])
def test_an_unknown_encoding_is_refused(tmp_path, name):
    assert "Unknown encoding" in refused(tmp_path, "a,b\n1,2\n", encoding=name).message.en


def test_a_nul_byte_is_told_with_its_row(tmp_path):
    error = refused(tmp_path, b"a,b\n1,2\n3,\x004\n")
    assert "NUL" in error.message.en
    assert error.place.row == 3


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"  \r\n\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    assert "empty" in refused(tmp_path, content).message.en


def test_a_web_page_is_not_taken_for_data(tmp_path):
    assert "web page" in refused(tmp_path, "\n<!DOCTYPE html><html><body>Connexion</body></html>").message.en


# --- delimiter, header --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_recognised(tmp_path, delimiter):
    content = "\n".join(delimiter.join(row) for row in [["code", "nom", "v"], ["1", "a b", "2"], ["2", "c d", "3"]])
    table = put(tmp_path, content)
    assert table.delimiter == delimiter
    assert table.columns == ("code", "nom", "v")


def test_decimal_commas_do_not_win_over_semicolons(tmp_path):
    table = put(tmp_path, "iris;conso;pdl\n350470101;12,5;1\n350470102;13,5;2\n")
    assert (table.delimiter, table.decimal) == (";", ",")


def test_promised_columns_decide_between_delimiters(tmp_path):
    table = put(tmp_path, "a,x;b,y\n1,2;3,4\n", columns=(Column(name="a,x"), Column(name="b,y")))
    assert table.columns == ("a,x", "b,y")


def test_one_column_is_a_table_too(tmp_path):
    table = put(tmp_path, "code\n01\n\n02\n")
    assert rows(table) == [["code"], ["01"], ["02"]]


def test_a_wrong_declared_delimiter_is_told_with_the_right_one(tmp_path):
    error = refused(tmp_path, "code_iris;conso\n350470101;1\n350470102;2\n", delimiter=",")
    assert "only one column" in error.message.en
    assert "semicolon (2 columns)" in error.hint.en


def test_description_rows_before_the_header_are_left_out(tmp_path):
    content = "Consommation par IRIS\nsource;SDES\n\nOPERATEUR;ANNEE;CONSO\nEnedis;2020;secret\n"
    table = put(tmp_path, content, skip_until="OPERATEUR")
    assert rows(table) == [["OPERATEUR", "ANNEE", "CONSO"], ["Enedis", "2020", "secret"]]
    assert (table.header_row, table.row(1)) == (4, 5)
    assert "Header on row 4" in said(table)


def test_a_header_that_is_not_found_is_told(tmp_path):
    error = refused(tmp_path, "OPERATEURS;ANNEE\nEnedis;2020\n", skip_until="OPERATEUR", delimiter=";")
    assert "'OPERATEURS'" in error.hint.en


def test_forgotten_description_rows_are_recognised(tmp_path):
    content = "Consommation;2020\nOPERATEUR;ANNEE\nEnedis;2020\n"
    error = refused(tmp_path, content, delimiter=";", columns=(Column(name="OPERATEUR"), Column(name="ANNEE")))
    assert 'row 2: skip_until = "OPERATEUR"' in error.hint.en


def test_a_file_without_header_takes_the_names_of_the_contract(tmp_path):
    table = put(tmp_path, "1;a\n2;b\n", header=False, columns=(Column(name="id"), Column(name="nom")))
    assert table.columns == ("id", "nom")
    assert rows(table) == [["1", "a"], ["2", "b"]]
    assert (table.header_row, table.row(2)) == (0, 2)
    with pytest.raises(SourceError, match="rows 1 and 2"):
        put(tmp_path, "1;a\n1;b\n", header=False, key=("column_1",))
    assert put(tmp_path, "1;a\n2;b\n", header=False).columns == ("column_1", "column_2")


def test_a_line_break_or_space_in_a_column_name_does_not_matter(tmp_path):
    table = put(tmp_path, '"Conso\n(MWh)"; code\u00a0\n1;2\n', columns=(Column(name="conso", aliases=("Conso (MWh)",)),))
    assert table.columns == ("conso", "code")
    assert table.labels == ("Conso\n(MWh)", " code\u00a0")
    assert table.path.read_text().count("\n") == 2


def test_an_empty_column_name_gets_a_number(tmp_path):
    assert put(tmp_path, "a;b;\n1;2;\n").columns == ("a", "b", "column_3")


# --- cells --------------------------------------------------------------------------------------------------------------------


def test_codes_stay_as_written(tmp_path):
    table = put(tmp_path, "code;siret;n\n01004;24350013900189;1e5\n2A004;00000000000000;007\n")
    assert rows(table)[1:] == [["01004", "24350013900189", "1e5"], ["2A004", "00000000000000", "007"]]


def test_quotes_line_breaks_and_carriage_returns_in_cells_are_kept(tmp_path):
    table = put(tmp_path, 'a,b\r\n"x, ""y""","l1\nl2"\r\n"c\rd",z\r\n')
    assert rows(table)[1:] == [['x, "y"', "l1\nl2"], ["c\rd", "z"]]
    assert table.records == 2


def test_an_escape_character_and_no_quotes_at_all(tmp_path):
    assert rows(put(tmp_path, 'a,b\n"x\\"y",2\n', escape="\\"))[1] == ['x"y', "2"]
    assert rows(put(tmp_path, 'a,b\n5" pipe,2\n', quote="", delimiter=","))[1] == ['5" pipe', "2"]


def test_spaces_are_trimmed_on_request(tmp_path):
    assert rows(put(tmp_path, "a,b\n x ,\u00a0y\n"))[1] == [" x ", "\u00a0y"]
    assert rows(put(tmp_path, "a,b\n x ,\u00a0y\n", trim=True))[1] == ["x", "y"]


def test_comments_and_empty_rows_are_left_out_but_rows_keep_their_number(tmp_path):
    table = put(tmp_path, "# export\r\na,b\r\n1,2\r\n# it's \"half\r\n3,4\r\n\r\n,\r\n5,6\r\n\r\n", comment="#")
    assert rows(table)[1:] == [["1", "2"], ["3", "4"], ["5", "6"]]
    assert [table.row(n) for n in (1, 2, 3)] == [3, 5, 8]
    assert "Empty rows left out: 3" in said(table)


@pytest.mark.parametrize(
    ("content", "row", "message"),
    [
        ("a,b\n1,2\n3\n", 3, "1 cells instead of 2"),
        ("a,b\n1,2,3\n", 2, "3 cells instead of 2"),
        ('a,b\n1,2\n"3,4\n5,6\n', 3, "never closed"),
        ('a,b\n1,2\n"3"x,4\n', 3, "closing quote"),
        ("a,b,a\n1,2,3\n", 1, "2 times (columns 1, 3)"),
    ],
)
def test_malformed_rows_are_told_with_their_number(tmp_path, content, row, message):
    error = refused(tmp_path, content, delimiter=",")
    assert error.place.row == row
    assert message in error.message.en


def test_a_cell_longer_than_sixteen_million_characters_is_refused(tmp_path):
    assert refused(tmp_path, "a,b\n" + "x" * 16_000_001 + ",2\n", delimiter=",").place.row == 2


def test_a_large_geometry_in_a_cell_is_read(tmp_path):
    assert len(rows(put(tmp_path, 'a,b\n"' + "1,2 " * 100_000 + '",2\n', delimiter=","))[1][0]) == 400_000


# --- contract -----------------------------------------------------------------------------------------------------------------


def test_aliases_give_the_canonical_name_and_keep_the_files_own(tmp_path):
    table = put(tmp_path, "IRIS_CODE;P22_POP\n350470101;5\n", columns=(
        Column(name="code_iris", aliases=("CODE_IRIS_CODE", "IRIS_CODE")), Column(name="pop", aliases=("P21_POP", "P22_POP")),
    ))  # fmt: skip
    assert rows(table)[0] == list(table.columns) == ["code_iris", "pop"]
    assert table.labels == ("IRIS_CODE", "P22_POP")
    assert "IRIS_CODE → code_iris" in said(table)


def test_two_columns_for_one_name_are_refused(tmp_path):
    columns = (Column(name="code_iris", aliases=("IRIS",)),)
    assert "Two columns are 'code_iris'" in refused(tmp_path, "code_iris;IRIS\n1;2\n", columns=columns).message.en


def test_a_renamed_column_is_told_with_the_nearest_name(tmp_path):
    error = refused(tmp_path, "CODE_IRIS_CODE;ANNEE\n350470101;2020\n", columns=(IRIS,))
    assert error.message.fr == "La colonne « code_iris » manque ; la plus proche est « CODE_IRIS_CODE »."
    assert error.message.en == "The column 'code_iris' is missing; the nearest is 'CODE_IRIS_CODE'."
    assert (error.place.row, error.place.column) == (1, "code_iris")
    assert "aliases" in error.hint.en


def test_a_missing_column_without_near_name_lists_what_there_is(tmp_path):
    error = refused(tmp_path, "x;y\n1;2\n", columns=(IRIS, Column(name="conso")))
    assert "'code_iris', 'conso' are missing" in error.message.en
    assert "x, y" in error.hint.en


def test_an_optional_column_may_be_absent_and_new_columns_are_said(tmp_path):
    table = put(tmp_path, "a;z\n1;2\n", columns=(Column(name="a"), Column(name="b", required=False)))
    assert "Optional columns absent: b" in said(table)
    assert "outside the contract: z" in said(table)


def test_forbidden_columns_are_allowed_in_the_file_but_said(tmp_path):
    table = put(tmp_path, "id;num_pdl;contact_tel\n1;2;3\n", forbidden=("num_pdl", "contact_*"))
    assert "never published: num_pdl, contact_tel" in said(table)


def test_a_code_that_lost_its_zero_is_told_with_file_row_column_value_and_cause(tmp_path):
    columns = (Column(name="com", kind="code", pattern=r"\d{5}", aliases=("COM",)),)
    error = refused(tmp_path, "COM;v\n35238;1\n1004;2\n", columns=columns)
    assert (error.place.row, error.place.column, error.place.value, error.place.rule) == (3, "COM", "1004", r"\d{5}")
    assert "'01004'" in error.hint.en
    assert "zéro" in error.hint.fr


@pytest.mark.parametrize(("value", "hint"), [("2.43E+13", "text"), ("35238.0", ".0"), (" 35238", "trim"), ("Rennes", None)])
def test_other_damage_to_codes_is_recognised(tmp_path, value, hint):
    error = refused(tmp_path, f"com;v\n{value};1\n", columns=(Column(name="com", kind="code", pattern=r"\d{5}"),))
    assert hint in error.hint.en if hint else error.hint is None


def test_null_words_are_not_held_against_a_pattern(tmp_path):
    table = put(tmp_path, "code_iris;v\n;1\nsecret;2\n350470101;3\n", columns=(IRIS,), nulls=("", "secret"))
    assert table.records == 3


def test_the_value_of_a_forbidden_column_is_not_shown(tmp_path):
    columns = (Column(name="num_pdl", pattern=r"\d{14}"),)
    error = refused(tmp_path, "num_pdl;v\n1234567890123;1\n", columns=columns, forbidden=("num_pdl",))
    assert "1234567890123" not in error.render("en")


def test_a_pattern_that_is_no_regular_expression_is_told(tmp_path):
    assert refused(tmp_path, "a;b\n1;2\n", columns=(Column(name="a", pattern="["),)).place.rule == "["


def test_a_duplicate_key_is_told_with_both_rows(tmp_path):
    error = refused(tmp_path, "annee;iris;v\n2020;1;a\n\n2020;2;b\n2020;1;c\n", key=("annee", "iris"))
    assert "rows 2 and 5" in error.message.en
    assert error.place.value == "2020 | 1"


def test_keys_that_only_look_alike_are_not_duplicates(tmp_path):
    assert put(tmp_path, "id;v\n01;a\n1;b\n1 ;c\n", key=("id",)).records == 3


def test_a_key_that_is_no_column_is_told(tmp_path):
    assert "'code_iris'" in refused(tmp_path, "code_iris;v\n1;2\n", key=("codeiris",)).hint.en


def test_a_loose_source_has_no_contract(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("a;b\n1;2\n1;2\n")
    spec = SourceSpec(name="f.csv", path=path, columns=(IRIS,), key=("a",))
    assert open_loose(spec, tmp_path / "out", Limits()).records == 2
