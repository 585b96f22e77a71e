"""Snapshots hold what the store holds: sorted, unique, skolemised, in the store's own lexical forms, in bounded memory."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.namespaces import XSD
from cityorchestra_ld.store import snapshots
from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.store.normal import Normaliser
from cityorchestra_ld.store.snapshots import compare, keep_snapshot, read_lines
from cityorchestra_ld.store.sorting import mark_lines


def keep(folder: Path, text: str, scope: str = "d") -> tuple[list[str], snapshots.Snapshot]:
    layout = Layout(folder / "store")
    content = folder / "content.nq"
    content.write_text(text, encoding="utf-8")
    made = keep_snapshot(layout, content, lambda label: f"x:genid/{scope}/{label}")
    with ExitStack() as stack:
        return list(read_lines(layout.snapshot(made.sha256), stack)), made


def test_lines_are_sorted_unique_and_without_graph_names(tmp_path: Path) -> None:
    lines, made = keep(tmp_path, "<x:b> <x:p> <x:o> <x:g> .\n<x:a> <x:p> 'x' .\n<x:b> <x:p> <x:o> <x:h> .\n".replace("'", '"'))
    assert lines == ['<x:a> <x:p> "x" .\n', "<x:b> <x:p> <x:o> .\n"]
    assert made.triples == 2
    assert made.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_order_and_repetition_do_not_change_the_hash(tmp_path: Path) -> None:
    lines = [f'<x:{number % 50}> <x:p> "é{number % 7}\\n" .' for number in range(200)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, one = keep(tmp_path / "a", "\n".join(lines))
    _, two = keep(tmp_path / "b", "\n".join(reversed(lines * 2)))
    assert one == two


def test_blank_nodes_become_iris_of_their_scope_also_inside_triple_terms(tmp_path: Path) -> None:
    lines, _ = keep(
        tmp_path, '_:b0 <x:p> _:b1 .\n<x:r> <x:reifies> <<( _:b0 <x:p> "01"^^<' + XSD + "integer> )>> .\n", "star/stops"
    )
    assert lines == [
        "<x:genid/star/stops/b0> <x:p> <x:genid/star/stops/b1> .\n",
        f'<x:r> <x:reifies> <<( <x:genid/star/stops/b0> <x:p> "1"^^<{XSD}integer> )>> .\n',
    ]


def test_two_spellings_of_one_value_are_one_triple(tmp_path: Path) -> None:
    lines, made = keep(tmp_path, "".join(f'<x:s> <x:p> "{text}"^^<{XSD}integer> .\n' for text in ("1", "01", "+1", "2")))
    assert made.triples == 2
    assert lines == [f'<x:s> <x:p> "1"^^<{XSD}integer> .\n', f'<x:s> <x:p> "2"^^<{XSD}integer> .\n']


def test_a_line_that_does_not_parse_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="N-Quads") as caught:
        keep(tmp_path, '<x:s> <x:p> "ok" .\n<x:s> <x:p> "never closed .\n')
    assert caught.value.place is not None
    assert caught.value.place.line == 2
    assert list((tmp_path / "store" / "snapshots").iterdir()) == []


def test_large_content_is_sorted_in_parts_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f'<x:{number * 7919 % 1000}> <x:p> "{number % 3}" .\n' for number in range(5_000))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, _ = keep(tmp_path / "a", text)
    monkeypatch.setattr(snapshots, "_CHUNK_LINES", 40)
    monkeypatch.setattr(snapshots, "_BATCH", 16)
    monkeypatch.setattr(snapshots, "_MERGED", 5)
    parts, _ = keep(tmp_path / "b", text)
    assert parts == whole
    assert list((tmp_path / "b" / "store" / "scratch").iterdir()) == []


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ['"', "\\", "\n", "\r", "\t", "\x7f", "\ufffe", "\U0010ffff"]
)
NODES = st.sampled_from(["<http://x.org/é/%20?q=1#f>", "<http://x.org/a|b>", "<x:y>", "_:b0", "<http://x.org:80/\u00a0>"])
OBJECTS = st.one_of(
    NODES,
    TEXTS.map(lambda text: str(ox.Literal(text))),
    TEXTS.map(lambda text: '"' + text.translate({34: '\\"', 92: "\\\\", 10: "\\n", 13: "\\r"}) + '"@fr'),
    st.sampled_from(["1", "01", "1.50", "0.5", "-0", "true", "2024-01-01", "x"]).flatmap(
        lambda text: st.sampled_from(["integer", "decimal", "boolean", "date", "string", "double"]).map(
            lambda name: f'"{text}"^^<{XSD}{name}>'
        )
    ),
)
STATEMENTS = st.tuples(
    NODES, st.just("<http://x.org/p>"), OBJECTS, st.sampled_from(["", " <http://g.org/1>", " <http://g.org/2>"])
)


@given(st.lists(STATEMENTS, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_lines_that_are_recognised_as_they_should_be_are_so(
    tmp_path_factory: pytest.TempPathFactory, statements: list[tuple[str, str, str, str]]
) -> None:
    """A large file gives the snapshot that a small one gives, or the same error."""
    text = "".join(f"{s} {p} {o}{g} .\n" for s, p, o, g in statements)
    results: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        for large in (0, 1 << 30):
            patch.setattr(snapshots, "_LARGE", large)
            folder = tmp_path_factory.mktemp("large")
            try:
                results.append(keep(folder, text))
            except StoreError as error:
                results.append((str(error.message), error.place and (error.place.line, error.place.column_number)))
    assert results[0] == results[1]


def test_most_lines_of_a_mapping_need_no_second_look(tmp_path: Path) -> None:
    content = tmp_path / "content.nq"
    good = [
        '<http://x.org/é> <http://x.org/p> "a \\"b\\" \\\\ \\n"@fr <http://g.org/1> .',
        f'<http://x.org/a%20b> <http://x.org/p> "48.1"^^<{XSD}decimal> <http://g.org/1> .',
    ]
    content.write_text("\n".join([*good, '<http://x.org/a> <http://x.org/p> "1.0E0"^^<x:t> <http://g.org/1> .', ""]))
    marked = mark_lines(content, tmp_path / "marked")
    assert marked is not None
    found = marked.read_text().splitlines()
    assert found[:2] == [line.replace(" <http://g.org/1>", "") for line in good]
    assert found[2].startswith("\x01<http://x.org/a>")


@given(old=st.sets(st.integers(0, 40)), new=st.sets(st.integers(0, 40)))
@settings(max_examples=40, deadline=None)
def test_a_difference_turns_the_old_content_into_the_new(
    tmp_path_factory: pytest.TempPathFactory, old: set[int], new: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("compare")
    layout = Layout(folder / "store")
    files = []
    for name, numbers in (("old", old), ("new", new)):
        path = folder / name
        path.write_text("".join(f"<x:{number}> <x:p> <x:o> .\n" for number in numbers))
        files.append(layout.snapshot(keep_snapshot(layout, path, str).sha256) if numbers else None)
    found = compare(files[0], files[1], folder, "d")
    removed = {line for line in found.removals.read_text().splitlines()}
    inserted = {line for line in found.insertions.read_text().splitlines()}
    assert (len(removed), len(inserted)) == (found.removed, found.inserted)
    assert removed == {f"<x:{number}> <x:p> <x:o> ." for number in old - new}
    assert inserted == {f"<x:{number}> <x:p> <x:o> ." for number in new - old}


DIGITS = st.text("0123456789", min_size=1, max_size=24)
LEXICAL = st.one_of(
    st.builds(lambda sign, a, b: f"{sign}{a}.{b}", st.sampled_from(["", "-", "+"]), DIGITS, DIGITS),
    st.builds(lambda sign, a: sign + a, st.sampled_from(["", "-", "+"]), DIGITS),
    st.builds(lambda y, m, d, z: f"{y}-{m}-{d}{z}", st.sampled_from(["2024", "0000", "9999", "12024", "-0044"]),
              st.sampled_from(["01", "02", "12", "13", "00"]), st.sampled_from(["01", "29", "31", "32", "00"]),
              st.sampled_from(["", "Z", "+00:00", "+14:00", "-13:59", "+15:00"])),
    st.builds(lambda d, t, z: f"{d}T{t}{z}", st.sampled_from(["2024-02-29", "2023-02-29", "9999-12-31", "1000-01-01"]),
              st.sampled_from(["00:00:00", "24:00:00", "23:59:60", "12:30:00.500", "12:30:59", "12:60:00"]),
              st.sampled_from(["", "Z", "+00:00", "-00:00", "+01:00", "+13:59", "-13:00", "+14:00", "+14:30"])),
    st.sampled_from(["true", "false", "1", "0", "TRUE", "NaN", "INF", "1e3", "1.0E-2", "P1Y2M", "P12M", "PT36H", "", "x\ny"]),
)  # fmt: skip
NAMES = """integer decimal boolean date dateTime gYear anyURI double float int byte duration time nonNegativeInteger
    dayTimeDuration yearMonthDuration gYearMonth gMonthDay string dateTimeStamp token"""
TYPES = st.sampled_from(NAMES.split())


@given(lexical=LEXICAL, name=TYPES)
@settings(max_examples=400, deadline=None)
def test_a_normalised_literal_is_what_a_store_on_any_round_gives_back(lexical: str, name: str) -> None:
    literal = ox.Literal(lexical, datatype=ox.NamedNode(XSD + name))
    quad = ox.Quad(ox.NamedNode("x:s"), ox.NamedNode("x:p"), literal)
    (line,) = Normaliser(str).lines([quad])
    store = ox.Store()
    store.add(quad)
    (kept,) = store
    assert line == f"{kept.triple} .\n"
    (again,) = Normaliser(str).lines(ox.parse(line, format=ox.RdfFormat.N_TRIPLES))
    assert again == line
