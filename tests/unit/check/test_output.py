"""Findings are written for people, for programs and for code review, with the same facts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cityorchestra_ld.check import catalogue
from cityorchestra_ld.check.output import as_json, as_sarif, as_text, outcome, shortened
from cityorchestra_ld.check.pages import pages
from cityorchestra_ld.cli import main

from .conftest import Spoil

SPOIL = ("mapping.yml", "$(places)", "$(place)")


def test_sarif_has_what_the_standard_requires(spoiled: Spoil, tmp_path: Path) -> None:
    log = json.loads(as_sarif(shortened(spoiled(SPOIL), tmp_path), "en"))
    assert log["version"] == "2.1.0" and set(log) == {"version", "$schema", "runs"}
    run = log["runs"][0]
    driver = run["tool"]["driver"]
    assert driver["name"] and [rule["id"] for rule in driver["rules"]] == ["MAP-101"]
    assert all({"shortDescription", "fullDescription", "help", "defaultConfiguration"} <= set(rule) for rule in driver["rules"])
    result = run["results"][0]
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "MAP-101"
    assert result["level"] == "error" and "'place'" in result["message"]["text"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "mappings/p/d/mapping.yml", "uriBaseId": "ROOT"}
    line = (tmp_path / "mappings/p/d/mapping.yml").read_text(encoding="utf-8").splitlines()[location["region"]["startLine"] - 1]
    assert "$(place)" in line


def test_text_says_what_where_what_to_do_and_what_to_read(spoiled: Spoil, tmp_path: Path) -> None:
    findings = shortened(spoiled(SPOIL), tmp_path)
    french, english = as_text("p/d", findings, "fr"), as_text("p/d", findings, "en")
    assert "erreur MAP-101: La colonne « place » n'est pas dans stops.csv." in french and french.endswith("p/d: 1 erreur(s).")
    assert "to do: The nearest is 'places'." in english and "read: docs/check/MAP-101.md" in english
    assert as_text("p/d", (), "en") == "p/d: nothing to report."


def test_json_counts_and_lists(spoiled: Spoil) -> None:
    said = json.loads(as_json([outcome("p/d", spoiled(SPOIL))]))
    assert (said["subject"], said["errors"], said["warnings"]) == ("p/d", 1, 0)
    found = said["findings"][0]
    assert found["code"] == "MAP-101" and found["message"].keys() == {"fr", "en"} and found["place"]["line"]


def test_every_code_has_a_page_with_both_languages_and_both_examples() -> None:
    written = pages()
    assert set(written) == {"README.md"} | {f"{code}.md" for code in catalogue()}
    for code in catalogue().values():
        page = written[f"{code.id}.md"]
        assert (
            code.why.fr in page
            and code.why.en in page
            and code.wrong.splitlines()[0] in page
            and code.right.splitlines()[0] in page
        )
        assert f"{code.id}.md" in written["README.md"]


def test_the_pages_of_the_repository_are_those_of_the_catalogue(root: Path) -> None:
    for name, text in pages().items():
        assert (root / "docs/check" / name).read_text(encoding="utf-8") == text, "run `python tools/check_docs.py --write`"


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["check", "--explain", "MAP-201"], 0, "# MAP-201: Classe inconnue / Unknown class"),
        (["check", "--explain", "MAP-999"], 2, "There is no code 'MAP-999'."),
        (["check"], 2, "Give P/D, --all, or --mapping M."),
        (["check", "p/d", "--territory", "{place}", "--format", "sarif"], 4, '"ruleId": "MAP-101"'),
        (["check", "--mapping", "{place}/mappings/p/d/mapping.yml", "--source", "stops.csv={place}/stops.csv", "--shapes",
          "{place}/shapes/p/d.ttl", "--ontology", "{place}/ontology", "--base-iri", "https://ld.cityorchestra.example/",
          "--json"],
         4, '"code": "MAP-101"'),
    ],
)  # fmt: skip
def test_the_command_answers_in_every_form_with_its_exit_code(
    words: list[str], exit_code: int, said: str, spoiled: Spoil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    spoiled(SPOIL)
    monkeypatch.setenv("CITYORCHESTRA_LANG", "en")
    monkeypatch.setattr(sys, "argv", ["cityorchestra", *(word.replace("{place}", str(tmp_path)) for word in words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr()
    assert stopped.value.code == exit_code, printed
    assert said in printed.out + printed.err
