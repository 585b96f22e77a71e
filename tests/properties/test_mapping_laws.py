"""Laws of the mapping engine, for all inputs."""

from __future__ import annotations

import io
import json
import re
import tempfile
from pathlib import Path

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import Wanted, materialize, read_mapping, trace
from cityorchestra_ld.model import Table

MAPPING = """
@prefix rml: <http://w3id.org/rml/> . @prefix ex: <http://ex.org/> . @base <http://m.org/> .
<#Rule> rml:logicalSource [ rml:source [ a rml:RelativePathSource ; rml:path "data.csv" ] ; rml:referenceFormulation rml:CSV ] ;
 rml:subjectMap [ rml:template "http://ex.org/{id}" ] ;
 rml:predicateObjectMap [ rml:predicate ex:text ; rml:objectMap [ rml:reference "a" ] ],
   [ rml:predicate ex:iri ; rml:objectMap [ rml:template "http://x.org/{a}/{b}" ] ],
   [ rml:predicate ex:uri ; rml:objectMap [ rml:template "http://x.org/{a}" ; rml:termType rml:URI ] ],
   [ rml:predicate ex:relative ; rml:objectMap [ rml:template "{a}" ; rml:termType rml:IRI ] ],
   [ rml:predicate ex:blank ; rml:objectMap [ rml:template "{a} {b}" ; rml:termType rml:BlankNode ] ] .
"""
JSON = """
@prefix rml: <http://w3id.org/rml/> . @prefix ex: <http://ex.org/> . @base <http://m.org/> .
<#Rule> rml:logicalSource [ rml:source "data.json" ; rml:referenceFormulation rml:JSONPath ; rml:iterator "$[*]" ] ;
 rml:subjectMap [ rml:template "http://ex.org/{id}" ] ;
 rml:predicateObjectMap [ rml:predicate ex:v ; rml:objectMap [ rml:reference "v" ] ],
   [ rml:predicate ex:l ; rml:objectMap [ rml:reference "l[*]" ] ] .
"""
BASE = "http://base.org/"

# any text that UTF-8 can hold
texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "a b",
        "%41",
        "A",
        "é",
        "e\u0301",
        "a/b",
        '"',
        "\\",
        "\\n",
        "\n",
        "\r\n",
        "\x00",
        "\ufffe",
        "\U0010ffff",
        "\ud7fb\ue000",
        "{a}",
        ":",
    ]
)
rows = st.lists(st.tuples(texts, texts), max_size=12)
few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
fewer = settings(few, max_examples=8)  # each maps five times


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("laws")
    (folder / "csv.ttl").write_text(MAPPING, encoding="utf-8")
    (folder / "json.ttl").write_text(JSON, encoding="utf-8")
    return read_mapping(folder / "csv.ttl", base_iri=BASE), read_mapping(folder / "json.ttl", base_iri=BASE)


def staged(folder: Path, cells: list[tuple[int, str, str]]) -> Table:
    """Write rows as CSV with every cell quoted: what any conforming writer may do."""
    out = io.StringIO(newline="")
    out.write("id,a,b\n")
    for number, a, b in cells:
        out.write(f'{number},"{a.replace(chr(34), chr(34) * 2)}","{b.replace(chr(34), chr(34) * 2)}"\n')
    path = folder / "data.csv"
    path.write_bytes(out.getvalue().encode())
    return Table(
        name="data.csv", format="csv", path=path, original=path, label="data.csv", sha256="", size=1, records=len(cells),
        columns=("id", "a", "b"), labels=("id", "a", "b"), nulls=(), filled=(len(cells),) * 3,
    )  # fmt: skip


def mapped(plan, folder: Path, table: Table) -> list[ox.Quad]:
    """Map one table; that the output parses is a law by itself."""
    report = materialize(plan, {table.name: table}, folder / "out.nq", threads=1)
    quads = list(ox.parse(path=folder / "out.nq", format=ox.RdfFormat.N_QUADS))
    assert len(quads) == report.quads
    return quads


def by_predicate(quads: list[ox.Quad], name: str) -> dict[int, str]:
    return {int(q.subject.value[14:]): q.object.value for q in quads if q.predicate.value == f"http://ex.org/{name}"}


@few
@given(rows)
def test_cells_survive_and_terms_are_valid_and_injective(plans, cells):
    """Any text survives to a literal and back; different texts make different IRIs and blank nodes, the same text the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quads = mapped(plans[0], folder, staged(folder, [(n, a, b) for n, (a, b) in enumerate(cells)]))
    assert by_predicate(quads, "text") == {n: a for n, (a, _) in enumerate(cells)}
    for predicate, key in (
        ("iri", lambda c: c),
        ("blank", " ".join),
        ("uri", lambda c: c[0]),
        ("relative", lambda c: c[0]),
    ):
        made = by_predicate(quads, predicate)
        pairs = {(key(cell), made[n]) for n, cell in enumerate(cells)}
        assert len(pairs) == len({k for k, _ in pairs}) == len({term for _, term in pairs})
    assert all(value.isascii() for value in by_predicate(quads, "uri").values())
    assert all(value.startswith(BASE) for value in by_predicate(quads, "relative").values())


@fewer
@given(rows, st.randoms(use_true_random=False))
def test_order_and_repetition_of_rows_change_nothing(plans, cells, random):
    """A second run, or rows in another order or twice, give the same graph; the whole is the union of its parts."""
    numbered = [(n, a, b) for n, (a, b) in enumerate(cells)]
    shuffled = numbered + numbered[:3]
    random.shuffle(shuffled)
    cut = len(numbered) // 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = written(plans[0], folder, numbered)
        assert written(plans[0], folder, numbered) == whole
        assert written(plans[0], folder, shuffled) == whole
        assert written(plans[0], folder, numbered[:cut]) | written(plans[0], folder, numbered[cut:]) == whole


def written(plan, folder: Path, cells: list[tuple[int, str, str]]) -> set[bytes]:
    mapped(plan, folder, staged(folder, cells))
    return set((folder / "out.nq").read_bytes().split(b"\n"))


values = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)  # fmt: skip


@few
@given(st.lists(st.tuples(values, st.lists(values, max_size=4)), max_size=8))
def test_json_values_survive_with_their_types(plans, records):
    """A JSON value becomes the literal of the same value and of its natural type; null and absent give nothing."""
    document = [{"id": n, "v": v, "l": items} for n, (v, items) in enumerate(records)]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        table = Table(name="data.json", format="json", path=path, original=path, label="d", sha256="", size=1)
        quads = mapped(plans[1], Path(name), table)
    made = {}
    for quad in quads:
        made.setdefault((int(quad.subject.value[14:]), quad.predicate.value[-1]), []).append(python(quad.object))
    for n, (value, items) in enumerate(records):
        assert made.get((n, "v"), []) == ([] if value is None else [value])
        assert sorted(map(repr, made.get((n, "l"), []))) == sorted(repr(item) for item in items if item is not None)


@fewer
@given(st.lists(st.tuples(values, st.lists(values, max_size=4)), max_size=8), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_order_and_repetition_of_json_records_change_nothing(plans, records, random):
    """The same laws for JSON, whatever shapes the records of one document have."""
    numbered = [{"id": n, "v": v, "l": items} for n, (v, items) in enumerate(records)]
    shuffled = numbered + numbered[:3]
    random.shuffle(shuffled)
    cut = len(numbered) // 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = from_json(plans[1], folder, numbered)
        assert from_json(plans[1], folder, numbered) == whole
        assert from_json(plans[1], folder, shuffled) == whole
        assert from_json(plans[1], folder, numbered[:cut]) | from_json(plans[1], folder, numbered[cut:]) == whole


def from_json(plan, folder: Path, document: list[dict[str, object]]) -> set[bytes]:
    path = folder / "data.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    mapped(plan, folder, Table(name="data.json", format="json", path=path, original=path, label="d", sha256="", size=1))
    return set((folder / "out.nq").read_bytes().split(b"\n"))


TYPES = {
    "integer": r"-?(0|[1-9][0-9]*)", "decimal": r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", "boolean": "true|false",
    "date": r"-?[0-9]{4,}-[0-9]{2}-[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?", "double": r"\S+",
}  # fmt: skip
looks_typed = st.one_of(
    st.from_regex(r"[+-]?[0-9]{0,4}\.?[0-9]{0,4}([eE]-?[0-9])?", fullmatch=True), st.dates().map(str), texts,
    st.sampled_from(["true", "1", "0", "INF", "NaN", "-0", "-0.0", "2023-02-29", "2024-1-5", " 4 ", "1_000"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typed")
    made = {}
    for name in TYPES:
        maps = f'rml:reference "a" ; rml:datatype <http://www.w3.org/2001/XMLSchema#{name}>'
        (folder / f"{name}.ttl").write_text(MAPPING.replace('rml:reference "a"', maps, 1), encoding="utf-8")
        made[name] = read_mapping(folder / f"{name}.ttl", base_iri=BASE)
    tags = MAPPING.replace('rml:reference "a"', 'rml:reference "b" ; rml:languageMap [ rml:reference "a" ]', 1)
    (folder / "tags.ttl").write_text(tags, encoding="utf-8")
    made["tags"] = read_mapping(folder / "tags.ttl", base_iri=BASE)
    return made


@few
@given(st.lists(looks_typed, min_size=1, max_size=4), st.sampled_from(sorted(TYPES)))
def test_any_text_is_a_valid_canonical_value_of_its_type_or_its_row_is_named(typed, cells, name):
    rows = [(n, cell, "b") for n, cell in enumerate(cells)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            quads = mapped(typed[name], Path(folder), staged(Path(folder), rows))
        except MappingError as error:
            assert error.place.column == "a"
            assert error.place.value == cells[error.place.row - 2]
            assert not list(Path(folder).glob("out*"))
            return
    made = by_predicate(quads, "text")
    assert made.keys() == set(range(len(cells)))
    if name != "double":
        assert all(re.fullmatch(TYPES[name], value) for value in made.values())


@few
@given(st.sampled_from(["fr", "en-GB", "x", "", "fr_FR", "FR", "de-", "zh-Hant-TW"]) | texts, texts)
def test_any_text_is_a_language_tag_or_its_row_is_named(typed, tag, text):
    with tempfile.TemporaryDirectory() as folder:
        try:
            quads = mapped(typed["tags"], Path(folder), staged(Path(folder), [(0, tag, text)]))
        except MappingError as error:
            assert (error.place.row, error.place.column, error.place.value) == (2, "a", tag)
            return
    found = [(q.object.value, q.object.language) for q in quads if q.predicate.value == "http://ex.org/text"]
    assert found == [(text, tag.lower())]


def python(literal: ox.Literal) -> object:
    kind = literal.datatype.value.rpartition("#")[2]
    if kind == "integer":
        return int(literal.value)
    if kind == "double":
        return float(literal.value)
    return literal.value == "true" if kind == "boolean" else literal.value


@few
@given(rows.filter(bool), st.data())
@pytest.mark.slow
def test_every_triple_leads_back_to_a_row_that_has_its_cell(plans, cells, data):
    """Trace any triple of the output: each origin is a row whose cell is the one that made it."""
    numbered = [(n, a, b) for n, (a, b) in enumerate(cells)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = staged(folder, numbered)
        mapped(plans[0], folder, table)
        lines = (folder / "out.nq").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        line = data.draw(st.sampled_from(lines))
        subject, predicate, value = line.removesuffix(" .").split(" ", 2)
        wanted = Wanted(subject, predicate, value)
        origins = trace(plans[0], {"data.csv": table}, [wanted])[wanted]
    number, a, b = numbered[int(subject.rpartition("/")[2][:-1])]
    assert [origin.row for origin in origins] == [number + 2]
    assert [origin.cell for origin in origins] == [f"{a}, {b}" if predicate.endswith(("iri>", "blank>")) else a]
