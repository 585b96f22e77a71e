"""Bad input gets an error that names file, row, column, value, rule and what is expected: each trap of partners' files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import CityOrchestraError, MappingError, SourceError
from cityorchestra_ld.mapping import materialize, read_mapping
from cityorchestra_ld.model import Column, Limits, SourceSpec
from cityorchestra_ld.sources import stage
from cityorchestra_ld.stages import map_file

RULE = "thing → <http://ex.org/v>"
PREFIXES = """
prefixes:
  ex: http://ex.org/
  fn: https://ld.cityorchestra.example/def/fn#
sources:
  data: ["data.csv~csv"]
mappings:
  thing:
    sources: data
    s: ex:$(code)
    po:
"""
CODE = Column(name="code", kind="code", pattern="[0-9]{5}")


@dataclass(frozen=True)
class Trap:
    """A file with one mistake, the rule that reads it, and what the error must name."""

    says: str  # in English
    text: str = ""
    row: int | None = None
    column: str | None = None
    value: str | None = None
    rule: str | None = None
    hint: str = ""
    po: str = "[ex:name, $(name)]"
    spec: dict[str, Any] = field(default_factory=dict)
    encoding: str = "utf-8"


TRAPS = {
    "a code that lost its zero": Trap(
        "A code does not have the expected form", "code,name\n35238,Rennes\n1004,Ambérieu\n", 3, "code", "1004", "[0-9]{5}",
        "lost its leading zero: '01004'", spec={"columns": (CODE,)},
    ),
    "a code in scientific notation": Trap(
        "A code does not have the expected form", "code,name\n2.43E+13,Rennes\n", 2, "code", "2.43E+13", "[0-9]{5}",
        "A spreadsheet made this code a number", spec={"columns": (CODE,)},
    ),
    "a decimal comma": Trap(
        "not an xsd:decimal", 'code,v\n1,2.5\n2,"12,5"\n', 3, "v", "12,5", RULE, "For example 3.14; a function (fn:decimal",
        po="[ex:v, $(v), xsd:decimal]",
    ),
    "a space between thousands": Trap(
        "not an xsd:integer", "code,v\n1,1\u202f234\n", 2, "v", "1\u202f234", RULE, "For example 42",
        po="[ex:v, $(v), xsd:integer]",
    ),
    "a word where a number is read by a function": Trap(
        "fn:decimal expects", "code,v\n1,environ 3\n", 2, "v", "environ 3", RULE,
        po="{p: ex:v, o: {function: fn:decimal, parameters: [[fn:value, $(v)]]}}",
    ),
    "a hidden figure read as a number": Trap(
        "not an xsd:decimal", "code,v\n1,secret\n", 2, "v", "secret", RULE, po="[ex:v, $(v), xsd:decimal]",
    ),
    "a French date read as it is": Trap(
        "not an xsd:date", "code,v\n1,31/12/2024\n", 2, "v", "31/12/2024", RULE, "For example 2024-12-31",
        po="[ex:v, $(v), xsd:date]",
    ),
    "a day that does not exist": Trap(
        "not an xsd:date", "code,v\n1,2023-02-29\n", 2, "v", "2023-02-29", RULE, po="[ex:v, $(v), xsd:date]",
    ),
    "an offset without colon": Trap(
        "not an xsd:dateTime", "code,v\n1,2022-10-18T12:35:49+0000\n", 2, "v", "2022-10-18T12:35:49+0000", RULE,
        po="[ex:v, $(v), xsd:dateTime]",
    ),
    "latitude and longitude the wrong way round": Trap(
        "fn:point expects", "code,lon,lat\n1,48.1,148.2\n", 2, "lon, lat", None, RULE,
        po="{p: ex:v, o: {function: fn:point, parameters: [[fn:lon, $(lon)], [fn:lat, $(lat)]]}}",
    ),
    "an IRI with a space": Trap(
        "does not make a valid IRI", "code,v\n1,http://ex.org/a b\n", 2, "v", "http://ex.org/a b", RULE,
        "An IRI has no space", po="[ex:v, $(v)~iri]",
    ),
    "a bad language tag": Trap(
        "not a language tag", "code,v,l\n1,beau,français\n", 2, "l", "français", RULE, "For example fr, en",
        po="{p: ex:v, o: {value: $(v), language: $(l)}}",
    ),
    "bytes of Windows in a file declared UTF-8": Trap(
        "not utf-8", "code,name\n1,Rennes\n2,Mérignac\n", 3, spec={"encoding": "utf-8"}, encoding="cp1252", hint="cp1252",
    ),
    "description rows before the header": Trap(
        "The column 'code' is missing", "Titre du fichier,\nSource : INSEE,\ncode,name\n35238,Rennes\n", 1, "code",
        hint='skip_until = "code"', spec={"columns": (CODE,), "delimiter": ","},
    ),
    "a column that the year renamed": Trap(
        "the nearest is 'P22_POP'", "code,P22_POP\n35238,1\n", 1, "P21_POP", hint="aliases",
        spec={"columns": (CODE, Column(name="P21_POP"))},
    ),
    "a row cut short": Trap("This row has 1 cells instead of 2", "code,name\n1,a\n2\n", 3, hint="The row is cut"),
    "a quote that never closes": Trap(
        "never closed", 'code,name\n1,"Rennes\n2,b\n', 2, hint="A quote inside a cell is doubled",
    ),
    "a key that comes twice": Trap(
        "the same in rows 2 and 4", "code,name\n1,a\n2,b\n1,c\n", 4, "code", "1", hint="Remove the duplicate",
        spec={"key": ("code",)},
    ),
    "a header with one name twice": Trap("has the column 'name' 2 times", "code,name,name\n1,a,b\n", 1, "name"),
    "a NUL byte": Trap("NUL", "code,name\n1,a\n2,b\0c\n", 3),
}  # fmt: skip


def run(text: bytes, po: str, tmp_path: Path, **spec: Any) -> bytes:
    (tmp_path / "data.csv").write_bytes(text)
    (tmp_path / "mapping.yml").write_text(f"{PREFIXES}      - {po}\n", encoding="utf-8")
    table = stage(SourceSpec(name="data.csv", path=tmp_path / "data.csv", **spec), tmp_path / "staged", Limits())
    plan = read_mapping(tmp_path / "mapping.yml", base_iri="http://ex.org/")
    materialize(plan, {"data.csv": table}, tmp_path / "out.nq")
    return (tmp_path / "out.nq").read_bytes()


@pytest.mark.parametrize("trap", TRAPS.values(), ids=[name.replace(" ", "-") for name in TRAPS])
def test_a_trap_is_named_with_its_place_and_what_is_expected(trap: Trap, tmp_path: Path) -> None:
    with pytest.raises(CityOrchestraError) as caught:
        run(trap.text.encode(trap.encoding), trap.po, tmp_path, **trap.spec)
    error = caught.value
    assert isinstance(error, MappingError if trap.rule and "→" in trap.rule else SourceError)
    assert trap.says in error.message.en and error.message.fr and error.place is not None
    assert (error.place.file, error.place.row, error.place.column) == ("data.csv", trap.row, trap.column)
    assert trap.value is None or error.place.value == trap.value
    assert trap.rule is None or error.place.rule == trap.rule
    assert trap.hint in (error.hint.en if error.hint else "")
    assert not (tmp_path / "out.nq").exists()


HOSTILE = {
    "quotes and line breaks": 'say "no"\r\nthen\rgo\n',
    "escapes": "\\u0000 \\n \\",
    "markup": "]]><script>alert(1)</script>&lt;",
    "SQL": "'); DROP TABLE t; COPY (SELECT 1) TO '/tmp/x'; --",
    "shell": "$(touch /tmp/owned); `id` | cat /etc/passwd",
    "Python": "__import__('os').system('id')",
    "N-Quads": '" <http://evil.example/> <http://evil.example/> .\n<http://evil.example/> <http://e/> <http://e/> .',
    "a formula": "=HYPERLINK(\"http://evil.example\")",
    "templates": "{code} $(code) {{7*7}}",
    "ten megabytes": "x" * 10_000_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_cell_is_text_and_nothing_else(name: str, tmp_path: Path) -> None:
    cell = HOSTILE[name]
    written = 'code,name\n1,"' + cell.replace('"', '""') + '"\n'
    got = list(ox.parse(run(written.encode(), "[ex:name, $(name)]", tmp_path), ox.RdfFormat.N_QUADS))
    assert [(quad.subject.value, quad.object.value) for quad in got] == [("http://ex.org/1", cell)]


@pytest.mark.parametrize("cell", ["a b", "<>", '"', "{}", "a/b?c#d", "é€😀", "%2F", "\\", "'); --"])
def test_a_hostile_cell_in_a_template_is_encoded_into_one_valid_iri(cell: str, tmp_path: Path) -> None:
    written = 'code,name\n"' + cell.replace('"', '""') + '",x\n'
    got = list(ox.parse(run(written.encode(), "[ex:name, $(name)]", tmp_path), ox.RdfFormat.N_QUADS))
    assert len(got) == 1 and not set(got[0].subject.value.removeprefix("http://ex.org/")) & set(' <>"{}/?#\\')


# --- mappings -----------------------------------------------------------------------------------------------------------------

DOCUMENTS = {
    "malformed Turtle": ("m.ttl", "@prefix rml: <http://w3id.org/rml/> .\n<#m> rml:logicalSource [ \n", (3, True), ""),
    "malformed YAML": ("m.yml", "mappings:\n  a: [\n", (3, True), ""),
    "no rule": ("m.ttl", "@prefix rml: <http://w3id.org/rml/> .\n", (None, False), "no rule"),
    "no mappings": ("m.yml", "prefixes:\n  ex: http://ex.org/\n", (None, False), ""),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_broken_mapping_is_named_with_its_line_and_column(name: str, tmp_path: Path) -> None:
    file, text, (line, column), says = DOCUMENTS[name]
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        read_mapping(tmp_path / file, base_iri="http://ex.org/")
    place = caught.value.place
    assert place is not None and place.file is not None and place.file.endswith(file) and says in caught.value.message.en
    assert line is None or (place.line is not None and abs(place.line - line) <= 1)
    assert bool(place.column_number) or not column


RML = """@prefix rml: <http://w3id.org/rml/> . @prefix ex: <http://ex.org/> .
<#m> a rml:TriplesMap ; rml:logicalSource [ rml:source [ a rml:RelativePathSource ; rml:path "%s" ] ;
  rml:referenceFormulation rml:CSV ] ; rml:subjectMap [ rml:template "http://ex.org/{code}" ] ;
  rml:predicateObjectMap [ rml:predicate ex:p ; rml:object "x" ] .
"""


@pytest.mark.parametrize("path", ["../secret.csv", "/etc/passwd", "a/../../secret.csv", "link.csv"])
def test_a_mapping_that_points_outside_its_folder_is_refused(path: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("code\n1\n", encoding="utf-8")
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    (inside / "m.ttl").write_text(RML % path, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        map_file(inside / "m.ttl", inside, "http://ex.org/", tmp_path / "out.nq")
    assert caught.value.place is not None and "outside its folder" in caught.value.message.en
    assert caught.value.place.value == path and not (tmp_path / "out.nq").exists()


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:8000/x.csv", "file:///etc/passwd", "ftp://ex.org/a.csv"],
)
def test_a_mapping_that_points_to_an_address_that_is_not_allowed_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "m.ttl").write_text(RML % url, encoding="utf-8")
    with pytest.raises(CityOrchestraError) as caught:
        map_file(tmp_path / "m.ttl", tmp_path, "http://ex.org/", tmp_path / "out.nq")
    assert caught.value.place is not None and url in f"{caught.value.place.file} {caught.value.place.value}"


TARGETS = (
    RML % "data.csv"
    + """
<#m> rml:predicateObjectMap [ rml:predicate ex:q ; rml:objectMap [ rml:constant "y" ; rml:logicalTarget <#t> ] ] .
<#t> a rml:LogicalTarget ; rml:target [ a rml:FilePath ; rml:path "%s" ] .
"""
)


@pytest.mark.parametrize("path", ["../out.nq", "/tmp/out.nq", "a/../../out.nq", "a\\\\out.nq"])
def test_a_target_outside_its_folder_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "m.ttl").write_text(TARGETS % path, encoding="utf-8")
    with pytest.raises(MappingError, match="stays in the folder of targets"):
        read_mapping(tmp_path / "m.ttl", base_iri="http://ex.org/")


def test_statements_go_to_their_targets_and_are_never_left_out_silently(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("code\n1\n", encoding="utf-8")
    (tmp_path / "m.ttl").write_text(TARGETS % "deep/t.nq", encoding="utf-8")
    with pytest.raises(MappingError, match="into which folder"):
        map_file(tmp_path / "m.ttl", tmp_path, "http://ex.org/", tmp_path / "out.nq")
    report = map_file(tmp_path / "m.ttl", tmp_path, "http://ex.org/", tmp_path / "out.nq", targets=tmp_path / "targets")
    assert report.quads == 2
    assert (tmp_path / "out.nq").read_text(encoding="utf-8") == '<http://ex.org/1> <http://ex.org/p> "x" .\n'
    assert (tmp_path / "targets/deep/t.nq").read_text(encoding="utf-8") == '<http://ex.org/1> <http://ex.org/q> "y" .\n'
    assert [path.name for path in (tmp_path / "targets").iterdir()] == ["deep"]


def test_rules_that_join_each_other_link_both_ways_and_end(tmp_path: Path) -> None:
    source = 'rml:logicalSource [ rml:source "data.csv" ; rml:referenceFormulation rml:CSV ]'
    join = "rml:predicateObjectMap [ rml:predicate ex:to ; rml:objectMap [ rml:parentTriplesMap <#%s> ; rml:joinCondition [ "
    join += 'rml:child "code" ; rml:parent "code" ] ] ]'
    text = "@prefix rml: <http://w3id.org/rml/> . @prefix ex: <http://ex.org/> .\n"
    for name, other in (("a", "b"), ("b", "a")):
        subject = f'rml:subjectMap [ rml:template "http://ex.org/{name}/{{code}}" ]'
        text += f"<#{name}> {source} ; {subject} ; {join % other} .\n"
    (tmp_path / "data.csv").write_text("code\n1\n2\n", encoding="utf-8")
    (tmp_path / "m.ttl").write_text(text, encoding="utf-8")
    assert map_file(tmp_path / "m.ttl", tmp_path, "http://ex.org/", tmp_path / "out.nq").quads == 4
