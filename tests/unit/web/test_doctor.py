"""The doctor finds what keeps an installation from working, and says what to do."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from cityorchestra_ld import doctor
from cityorchestra_ld.cli.app import app
from cityorchestra_ld.doctor import examine
from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.governance.tokens import Tokens


def found(territory, level):
    return [finding.text.en for finding in examine(territory) if finding.level == level]


@pytest.fixture
def town(tmp_path, make_city):
    territory = make_city(tmp_path)
    for key in territory.datasets:  # the tiny city has no mappings: that is not what these tests are about
        (territory.root / "mappings" / key / "mapping.yml").touch()
        (territory.root / "shapes" / key).parent.mkdir(parents=True, exist_ok=True)
        (territory.root / "shapes" / f"{key}.ttl").touch()
    return territory


def test_a_sound_installation_has_no_error_and_its_workers_answer(town):
    findings = examine(town)
    assert [finding.text.en for finding in findings if finding.level == "error"] == []
    said = " / ".join(finding.text.en for finding in findings)
    for word in ("duckdb", "pyoxigraph", "GB free", "Clock:", "Generation 1", "A query process answers"):
        assert word in said


def test_tokens_that_others_can_read_and_tokens_that_have_ended_are_named(town):
    Tokens.of(town).new("old", write=["*"], expires=datetime.now(UTC) - timedelta(days=1))
    assert any("old" in text for text in found(town, "warning"))
    (town.state / "tokens.json").chmod(0o644)
    assert any("tokens.json" in text for text in found(town, "error"))
    (town.state / "tokens.json").write_text("{")
    assert any("cannot be read" in text for text in found(town, "error"))


def test_a_clock_that_goes_behind_and_a_service_that_believes_everybody_are_warned_of(town, monkeypatch):
    later = time.time() + 7200
    os.utime(town.state / "store" / "CURRENT", (later, later))
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    warned = " ".join(found(town, "warning"))
    assert "The clock says" in warned and "believes everybody" in warned


def test_a_full_disk_workers_that_do_not_start_and_a_damaged_store_are_errors(town, monkeypatch):
    def dead(*_):
        raise StoreError(Text("mort", "dead"))

    monkeypatch.setattr(doctor, "query_once", dead)
    monkeypatch.setattr(doctor, "_FREE_BYTES", 10**18)
    errors = found(town, "error")
    assert any("MB are left" in text for text in errors) and "dead" in errors
    (town.state / "store" / "CURRENT").write_text("{")
    outcome = CliRunner().invoke(app, ["doctor", "--territory", str(town.root)], standalone_mode=False)
    assert outcome.return_value == 6 and "→ cityorchestra restore" in outcome.stdout


def test_a_state_folder_that_cannot_be_made_is_an_error(town, tmp_path):
    (tmp_path / "file").write_text("")
    assert any("cannot be written" in text for text in found(replace(town, state=tmp_path / "file" / "state"), "error"))
