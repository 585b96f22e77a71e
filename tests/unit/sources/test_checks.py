"""Checks beside other work: the same errors as checks before it, and nothing kept of what fails one."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cityorchestra_ld.errors import MappingError, SourceError, Text
from cityorchestra_ld.mapping import materialize, read_mapping
from cityorchestra_ld.model import Limits, SourceSpec, Table
from cityorchestra_ld.sources import Checks, stage
from cityorchestra_ld.stages import map_file

MAPPING = """
@prefix rml: <http://w3id.org/rml/> . @prefix ex: <http://ex.org/> . @base <http://m.org/> .
<#Rule> a rml:TriplesMap ;
  rml:logicalSource [ rml:source "a.json" ; rml:referenceFormulation rml:JSONPath ; rml:iterator "$[*]" ] ;
  rml:subjectMap [ rml:template "http://ex.org/{id}" ] ;
  rml:predicateObjectMap [ rml:predicate ex:p ; rml:objectMap [ rml:reference "v" ] ] .
"""
GOOD = '[{"id": 1, "v": "x"}, {"id": 2, "v": "é"}]'
BROKEN = {
    "cut off": '[{"id": 1, "v": "x"}, {"id": 2, "v":',
    "a name twice": '[{"id": 1, "v": "x"},\n {"id": 2, "v": "y", "v": "z"}]',
    "a name twice where no rule looks": '[{"id": 1, "v": "x", "o": {"a": 1, "a": 2}}]',
    "one object a line": '{"id": 1, "v": "x"}\n{"id": 2, "v": "y"}',
    "no JSON number": '[{"id": 1, "v": NaN}]',
    "half a character": '[{"id": 1, "v": "\\ud800"}]',
    "too deep": "[" * 5000 + "]" * 5000,
    "trailing comma": '[{"id": 1, "v": "x"},]',
    "a comma is missing": '[{"id": 1 "v": "x"}]',
}


def failing(error: Exception) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


def wrong(said: str) -> SourceError:
    return SourceError(Text(said, said))


def test_a_block_ends_when_its_checks_have_passed():
    go, done = threading.Event(), []

    def check() -> None:
        go.wait(10)
        done.append(1)

    with Checks() as checks:
        checks.add(check)
        assert not done
        go.set()
    assert done == [1]


def test_the_first_check_that_fails_is_what_is_said():
    first, second = wrong("first"), wrong("second")
    with pytest.raises(SourceError) as caught, Checks() as checks:
        for check in (lambda: None, failing(first), failing(second)):
            checks.add(check)
        checks.settle()
    assert caught.value is first


def test_what_is_wrong_with_a_file_comes_before_what_it_made_go_wrong():
    cause = wrong("cause")
    with pytest.raises(SourceError) as caught, Checks() as checks:
        checks.add(failing(cause))
        raise wrong("consequence")
    assert caught.value is cause
    with pytest.raises(SourceError, match="other"), Checks() as checks:
        checks.add(lambda: None)
        raise wrong("other")


def staged(folder: Path, content: str, checks: Checks | None) -> Table:
    path = folder / "a.json"
    path.write_text(content, encoding="utf-8")
    return stage(SourceSpec(name="a.json", format="json", path=path), folder / "work", Limits(), checks=checks)


def mapped(folder: Path, content: str, checks: Checks | None) -> str:
    mapping, out = folder / "m.ttl", folder / "out.nq"
    mapping.write_text(MAPPING, encoding="utf-8")
    plan = read_mapping(mapping, base_iri="http://example.com/")
    tables = {"a.json": staged(folder, content, checks)}
    materialize(plan, tables, out, settle=checks.settle if checks else None)
    return out.read_text(encoding="utf-8")


def test_a_document_that_is_checked_beside_gives_the_same_graph(tmp_path):
    before = mapped(tmp_path, GOOD, None)
    with Checks() as checks:
        assert mapped(tmp_path, GOOD, checks) == before
    assert before.count("\n") == 2


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_document_that_is_checked_beside_gives_the_same_error_and_no_graph(tmp_path, what):
    with pytest.raises(SourceError) as before:
        mapped(tmp_path, BROKEN[what], None)
    with pytest.raises(SourceError) as beside, Checks() as checks:
        mapped(tmp_path, BROKEN[what], checks)
    one, two = before.value, beside.value
    assert (two.message, two.place, two.hint) == (one.message, one.place, one.hint)
    assert not list(tmp_path.glob("out.nq*")) and not list(tmp_path.glob(".mapping-*"))


def test_the_command_leaves_no_graph_of_a_document_that_fails_its_check(tmp_path):
    (tmp_path / "a.json").write_text(BROKEN["a name twice where no rule looks"], encoding="utf-8")
    (tmp_path / "m.ttl").write_text(MAPPING, encoding="utf-8")
    with pytest.raises(SourceError, match="has the name 'a' twice"):
        map_file(tmp_path / "m.ttl", tmp_path, "http://example.com/", tmp_path / "out.nq")
    assert not (tmp_path / "out.nq").exists()


def test_an_error_of_the_mapping_is_said_when_the_document_is_whole(tmp_path):
    with pytest.raises(MappingError), Checks() as checks:
        mapped(tmp_path, '[{"id": 1, "v": {"a": "list"}}]', checks)


def test_a_large_document_is_checked_before_it_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr("cityorchestra_ld.sources._BESIDE", 10)
    with Checks() as checks, pytest.raises(SourceError, match="truncated"):
        staged(tmp_path, BROKEN["cut off"], checks)
