"""The commands about tokens make one, list it without its secret, and revoke it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cityorchestra_ld.cli.app import app
from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.governance.tokens import Tokens


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("CITYORCHESTRA_TOKENS", str(tmp_path / "elsewhere" / "tokens.json"))
    (tmp_path / "territory.toml").write_text(
        'base_iri = "https://id.example/"\nname = { fr = "Ville", en = "City" }\n', encoding="utf-8"
    )

    def run(*arguments):
        return CliRunner().invoke(app, ["token", *arguments, "--territory", str(tmp_path)], catch_exceptions=True)

    run.tokens = Tokens(tmp_path / "elsewhere" / "tokens.json")
    return run


def test_a_token_is_made_listed_and_revoked(call):
    made = call("new", "ann", "--write", "star/*", "--read", "star/x*", "--days", "30", "--json")
    secret = json.loads(made.stdout)["token"]
    assert call.tokens.find(secret).write == ("star/*",)
    listed = call("list", "--json")
    assert secret not in listed.stdout and json.loads(listed.stdout)[0]["name"] == "ann"
    assert "ann" in call("list").stdout
    assert call("revoke", "ann").exit_code == 0
    assert call.tokens.find(secret) is None


@pytest.mark.parametrize("arguments", [["ann"], ["ann", "--write", "no/such"], ["Not a name", "--write", "*"]])
def test_a_token_that_makes_no_sense_is_refused(call, arguments):
    assert isinstance(call("new", *arguments).exception, UsageError)
