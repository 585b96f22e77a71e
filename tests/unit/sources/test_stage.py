"""Staging: JSON, names, sizes and what the operating system refuses."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.sources import describe, stage


def put(tmp_path, content, name="d.json", **settings):
    path = tmp_path / "partner.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return stage(SourceSpec(name=name, path=path, format="json", **settings), tmp_path / "out", Limits())


def refused(tmp_path, content, **settings):
    with pytest.raises(SourceError) as caught:
        put(tmp_path, content, **settings)
    assert caught.value.place.file == "partner.json"
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_passed_through_as_utf8_without_bom(tmp_path, encoding):
    text = '[{"code": "01004", "n": 1.50, "nom": "Plœuc"}]'
    table = put(tmp_path, text.encode(encoding))
    assert table.path.read_text(encoding="utf-8") == text
    assert table.records is None
    assert table.sha256 == hashlib.sha256(text.encode(encoding)).hexdigest()
    assert table.original.read_bytes() == text.encode(encoding)
    assert table.size == len(text.encode(encoding))


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        ('[{"a": 1},\n {"b": ', 2, 8, "truncated"),
        ('[{"a": 1},\n {"b": "x', 2, 8, "truncated"),
        ("[1, 2", 1, 6, "truncated"),
        ('{"a": 1,\n "b" 2}', 2, 6, "malformed"),
        ("[1,\n 2,]", 2, 4, "malformed"),
        ('{"a": 1}\n{"a": 2}\n', 2, 1, "malformed"),
        ('{"a":\n {"b": 1, "c": 2, "b": 3}}', 2, 2, "'b' twice"),
        ("[1,\n NaN]", 2, 2, "'NaN'"),
        ('["ok",\n "\\ud83d"]', 2, 3, "not a character"),
    ],
)
def test_json_that_is_not_right_is_told_with_line_and_column(tmp_path, content, line, column, message):
    error = refused(tmp_path, content)
    assert message in error.message.en
    assert (error.place.line, error.place.column_number) == (line, column)


def test_json_lines_are_recognised(tmp_path):
    assert "JSON Lines" in refused(tmp_path, '{"a": 1}\n{"a": 2}\n').hint.en


def test_pairs_of_escapes_and_escaped_backslashes_are_right(tmp_path):
    put(tmp_path, r'["\ud83d\ude00", "\\ud83d", "\\\\ud83d x", "\ud83d\ude00\ud83d\ude00"]')


def test_numbers_of_any_length_are_right(tmp_path):
    put(tmp_path, "[" + "9" * 6000 + ", 1e999]")


def test_deep_json_is_refused(tmp_path):
    assert "too deeply" in refused(tmp_path, "[" * 100_000).message.en


def test_a_nul_byte_or_an_empty_file_is_refused(tmp_path):
    assert "NUL" in refused(tmp_path, b'{"a":\x00 1}').message.en
    assert "empty" in refused(tmp_path, b" \n").message.en


def test_a_name_is_never_a_path(tmp_path):
    names = ["../../evil.json", "/etc/passwd", "a/b.json", "a_b.json", ".hidden", "é" * 300]
    tables = [put(tmp_path, "[]", name=name) for name in names]
    assert {table.path.parent for table in tables} == {tmp_path / "out"}
    assert len({table.path for table in tables}) == len(names)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "partner.json"]


def test_a_missing_file_is_told_with_its_neighbour(tmp_path):
    (tmp_path / "arrets_2024.csv").write_text("a\n1\n")
    with pytest.raises(SourceError) as caught:
        stage(SourceSpec(name="a", path=tmp_path / "arrets_2023.csv"), tmp_path / "out", Limits())
    assert "'arrets_2024.csv'" in caught.value.hint.en


def test_a_source_without_file_or_address_is_told(tmp_path):
    with pytest.raises(SourceError, match="neither"):
        stage(SourceSpec(name="a"), tmp_path / "out", Limits())


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(SourceError, match="limit of 10 bytes"):
        put(tmp_path, "[" + " " * 100 + "]", max_bytes=10)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "d.json.original").symlink_to("/dev/full")
    with pytest.raises(SourceError, match="disk is full"):
        put(tmp_path, "[]")


def test_what_was_found_is_said_in_both_languages(tmp_path):
    lines = describe(put(tmp_path, "[]"))
    assert lines[0].fr == "partner.json : 2 octets."
    assert [line.en for line in lines] == ["partner.json: 2 bytes.", "Encoding recognised: utf-8."]


@pytest.mark.parametrize(("name", "text"), [("a.csv", b"id,name\n1,x\n2,y\n"), ("a.json", b'[{"id": 1}]')])
def test_a_source_can_be_staged_again_in_the_same_folder(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text)
    spec = SourceSpec(name=name, path=path, format="json" if name.endswith("json") else "csv")
    first, second = (stage(spec, tmp_path / "out", Limits()) for _ in range(2))
    assert first == second and second.original.read_bytes() == second.path.read_bytes() == path.read_bytes() == text
    if spec.format == "csv":
        later = stage(replace(spec, skip_until="1", header=True), tmp_path / "out", Limits())
        assert (later.records, later.columns) == (1, ("1", "x"))
