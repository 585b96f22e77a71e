"""The first records beside their triples, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from cityorchestra_ld.mapping import read_mapping
from cityorchestra_ld.mapping.preview import preview
from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.sources import stage

MAPPING = """
prefixes: {e: "http://e.org/", xsd: "http://www.w3.org/2001/XMLSchema#"}
sources:
  rows: ["a.csv~csv"]
  names: ["b.json~jsonpath", "$.all[*]"]
mappings:
  row:
    sources: rows
    s: e:$(id)
    po:
      - [e:size, $(size), xsd:integer]
      - p: e:of
        o: { mapping: name, condition: { function: equal, parameters: [[str1, $(owner), s], [str2, $(code), o]] } }
  name:
    sources: names
    s: e:n/$(code)
    po:
      - [e:tag, "$(tags[*])"]
"""


def shown(folder: Path, rows: str, count: int = 2):
    (folder / "m.yml").write_text(MAPPING, encoding="utf-8")
    (folder / "a.csv").write_text(rows, encoding="utf-8")
    (folder / "b.json").write_text('{"all": [{"code": "x", "tags": ["p", "q"]}, {"code": "y", "tags": []}]}', encoding="utf-8")
    tables = {
        "a.csv": stage(SourceSpec(name="a.csv", path=folder / "a.csv"), folder / "staged", Limits()),
        "b.json": stage(SourceSpec(name="b.json", path=folder / "b.json", format="json"), folder / "staged", Limits()),
    }
    return preview(read_mapping(folder / "m.yml", base_iri="http://e.org/"), tables, count)


def test_each_record_stands_beside_its_triples_joins_included(tmp_path: Path) -> None:
    first, second, third, fourth = shown(tmp_path, "id,size,owner\n1,5,x\n2,6,z\n3,7,x\n")
    assert (first.file, first.row, first.record) == ("a.csv", 2, {"id": "1", "size": "5", "owner": "x"})
    assert [(t.predicate, t.object) for t in first.triples] == [
        ("<http://e.org/size>", '"5"^^<http://www.w3.org/2001/XMLSchema#integer>'), ("<http://e.org/of>", "<http://e.org/n/x>"),
    ]  # fmt: skip
    assert len(second.triples) == 1, "no owner z"
    assert [t.object for t in third.triples] == ['"p"', '"q"'] and third.pointed and fourth.triples == ()


def test_a_wrong_value_is_said_and_the_rest_is_still_shown(tmp_path: Path) -> None:
    first, second, *_ = shown(tmp_path, "id,size,owner\n1,big,x\n2,6,x\n")
    assert [(w.place.row, w.place.column, w.place.value) for w in first.wrong] == [(2, "size", "big")]
    assert [t.predicate for t in first.triples] == ["<http://e.org/of>"]
    assert second.wrong == () and len(second.triples) == 2


def test_values_after_the_shown_records_do_not_matter(tmp_path: Path) -> None:
    found = shown(tmp_path, "id,size,owner\n1,5,x\n2,big,x\n", count=1)
    assert len(found) == 2 and all(item.wrong == () for item in found)
