"""Programs that follow the description of the service find nothing wrong (schemathesis, against a server process)."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
import schemathesis
from schemathesis import checks

from .serving import BASE, make_territory, server

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]
DATA = '<http://s.example/a> <http://s.example/p> "1", <http://s.example/b> .'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("described")
    (folder / "data.ttl").write_text(DATA, encoding="utf-8")
    territory, token = make_territory(folder / "territory", [(f"{BASE}graph/scenario/a", "scenario", folder / "data.ttl")])
    with server(territory) as address:
        yield address, token


@pytest.mark.parametrize(("examples", "steward"), [(10, False), (4, True)])
def test_schemathesis_finds_nothing(served: tuple[str, str], examples: int, steward: bool) -> None:
    address, token = served
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    headers = {"Authorization": f"Bearer {token}"} if steward else {}
    found: list[str] = []
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if steward and "security" not in operation.definition.raw:
            continue
        tried += 1

        @hypothesis.settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.seed(1)
        @hypothesis.given(case=operation.as_strategy())
        def follow(case) -> None:
            case.call_and_validate(base_url=address, headers=headers, checks=CHECKS)

        try:
            follow()
        except (AssertionError, BaseExceptionGroup, schemathesis.errors.SchemathesisError) as error:
            reasons = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            found.append(f"{operation.label}: " + " | ".join(str(reason)[:500] for reason in reasons))
    assert tried > 10
    assert not found, "\n\n".join(found)
