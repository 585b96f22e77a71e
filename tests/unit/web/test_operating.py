"""What operators see: metrics, one line of log for each request, and nothing of either for anybody else."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.errors import QueryError, Text
from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.territory import Log, Serving, UsageError, load_territory
from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.metrics import READ
from cityorchestra_ld.web.request_log import LOGGER, JsonLines, TextLines, Untold, configuration
from cityorchestra_ld.web.watching import BehindProxy

HERE = ("127.0.0.1", 50000)
SAMPLE = re.compile(r"[a-z_]+(\{[a-z]+=\"[^\"\n]*\"(,[a-z]+=\"[^\"\n]*\")*\})? -?[0-9.e+-]+(Inf)?")


@pytest.fixture(scope="module")
def seen(city):
    """Serve the city to a client on the same machine."""
    with TestClient(create_app(city), follow_redirects=False, client=HERE) as client:
        yield client


def figures(client, **headers):
    answer = client.get("/-/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))


@pytest.fixture
def lines(monkeypatch):
    """Collect what is logged of requests, as JSON writes it."""
    found = []

    class Keeping(logging.Handler):
        def emit(self, record):
            found.append(record)

    logger, keeping = logging.getLogger(LOGGER), Keeping()
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.manager._clear_cache()
    logger.addHandler(keeping)
    yield lambda: [json.loads(JsonLines().format(record)) for record in found]
    logger.removeHandler(keeping)
    monkeypatch.undo()
    logger.manager._clear_cache()


# --- metrics ------------------------------------------------------------------------------------------------------------------


def test_metrics_are_in_the_text_format_and_count_what_happened(seen):
    before = figures(seen)
    assert seen.get("/doc/stop/1001").status_code == 200
    assert seen.get("/sparql", params={"query": "SELECT * { ?s ?p ?o } LIMIT 3"}).status_code == 200
    assert seen.get("/sparql", params={"query": "SELEC"}).status_code == 400
    assert seen.get("/sparql", params={"query": "SELEC"}, headers={"accept": "text/html"}).status_code == 400
    text = seen.get("/-/metrics").text
    for line in text.splitlines():
        assert SAMPLE.fullmatch(line) or line.startswith(("# HELP ", "# TYPE ")), line
    after = figures(seen)

    def more(name):
        return float(after[name]) - float(before.get(name, 0))

    assert more('cityorchestra_requests_total{route="document",status="200"}') == 1
    assert more('cityorchestra_requests_total{route="sparql",status="400"}') == 2
    assert more('cityorchestra_request_seconds_count{route="sparql"}') == 3
    assert more('cityorchestra_request_seconds_bucket{route="sparql",le="+Inf"}') == 3
    assert more('cityorchestra_response_bytes_total{route="document"}') > 100
    assert more('cityorchestra_rejected_total{reason="query"}') == 2
    assert more("cityorchestra_query_seconds_count") == 1
    assert more("cityorchestra_cache_hits_total") + more("cityorchestra_cache_misses_total") >= 1
    assert after["cityorchestra_ready"] == "1" and after["cityorchestra_generation"] == "1"
    assert int(after["cityorchestra_triples"]) > 100 and float(after["cityorchestra_generation_created_seconds"]) > 1.7e9
    assert int(after['cityorchestra_workers{state="alive"}']) >= 2 and after["cityorchestra_queries_waiting"] == "0"
    assert int(after["process_resident_memory_bytes"]) > int(1e7) < int(after["cityorchestra_workers_resident_bytes"])
    assert any(name.startswith("cityorchestra_build_info{version=") for name in after)


def test_whatever_clients_ask_for_the_series_stay_few(seen):
    for number in range(30):
        seen.get(f"/wp-{number}.php")
        seen.get(f"/doc/stop/{number}")
        seen.get(f"/catalog.{number}")
    routes = {line.split('"')[1] for line in figures(seen) if line.startswith("cityorchestra_requests_total")}
    assert routes <= {"page", "document", "sparql", "operations", "catalog"}


def test_only_the_machine_itself_and_tokens_made_for_it_read_metrics(city, seen, monkeypatch, tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    reader, other = tokens.new("prometheus", read=[READ]), tokens.new("reader", read=["ville/secret"], write=["*"])
    monkeypatch.setattr(seen.app.service, "tokens", tokens)
    for name in ("X-Forwarded-For", "Forwarded", "Origin", "X-Real-IP"):  # a proxy on this machine, or a page in a browser
        assert seen.get("/-/metrics", headers={name: "x"}).status_code == 401
    away = TestClient(seen.app, client=("192.0.2.7", 1))
    refused = away.get("/-/metrics")
    assert refused.status_code == 401 and "cityorchestra_" not in refused.text.replace("cityorchestra token", "")
    for client in (seen, away):
        assert client.get("/-/metrics", headers={"Authorization": f"Bearer {other}"}).status_code == 403
        assert client.get("/-/metrics", headers={"Authorization": "Bearer co_wrong"}).status_code == 401
        assert figures(client, Authorization=f"Bearer {reader}")["cityorchestra_ready"] == "1"
    strict = create_app(replace(city, serving=Serving(metrics="token")))
    assert TestClient(strict, client=HERE).get("/-/metrics").status_code == 401


# --- lines of log -------------------------------------------------------------------------------------------------------------


def test_a_request_is_one_line_without_its_query_and_without_its_address(seen, lines):
    headers = {"Authorization": "Bearer co_unknown", "User-Agent": "someone"}
    seen.get("/sparql", params={"query": "SELECT * { ?secret ?p ?o }"}, headers=headers)
    answer = seen.get("/doc/stop/1001?lang=en")
    refused, found = lines()
    assert set(found) == {"time", "id", "client", "method", "path", "status", "ms", "bytes"}
    assert found | {"time": "", "ms": 0} == {
        "time": "", "id": answer.headers["x-request-id"], "client": "127.0.0.0/24", "method": "GET", "path": "/doc/stop/1001",
        "status": 200, "ms": 0, "bytes": len(answer.content),
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert refused["status"] == 401 and refused["problem"] == "token" and refused["client"] == "127.0.0.0/24"
    assert not re.search("secret|co_unknown|someone|127.0.0.1", json.dumps(lines()))


def test_the_id_of_a_refusal_is_in_the_answer_its_header_and_its_line(seen, lines):
    answer = seen.get("/sparql", params={"query": "SELECT"})
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == lines()[0]["id"]
    assert lines()[0]["problem"] == "query"


def test_operators_may_ask_for_the_text_of_queries(city, lines):
    with TestClient(create_app(replace(city, log=Log(queries=True)))) as client:
        client.post("/sparql", data={"query": "ASK { ?a ?b ?c }"})
        client.post("/sparql", data={"query": "ASK { ?a ?b ?c }" + " " * 5000})
    asked = [line["query"] for line in lines() if line["path"] == "/sparql"]
    assert asked[0] == "ASK { ?a ?b ?c }" and len(asked[1]) == 2003


def test_the_bearer_of_a_token_is_named(seen, lines, monkeypatch, tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    secret = tokens.new("ann", write=["*"])
    monkeypatch.setattr(seen.app.service, "tokens", tokens)
    seen.get("/-/health", headers={"Authorization": f"Bearer {secret}"})
    assert lines()[0]["client"] == "token ann" and secret not in json.dumps(lines())


def test_an_address_cannot_forge_a_line(seen, lines, caplog):
    seen.get("/doc/%0a%1b[31mx/" + "y" * 400)
    line = lines()[0]
    assert len(line["path"]) < 320 and line["path"].isprintable()
    record = logging.LogRecord("x", logging.INFO, "", 0, "a\nb", None, None)
    assert "\n" not in JsonLines().format(record)


def test_an_answer_that_breaks_off_is_counted_and_its_line_says_so(seen, lines, monkeypatch):
    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise RuntimeError from QueryError(Text("coupé", "cut"))

    before = figures(seen)
    monkeypatch.setattr(seen.app, "queried", broken)
    with pytest.raises(RuntimeError):
        seen.get("/sparql?query=x")
    line = next(line for line in lines() if line["path"] == "/sparql")
    assert line["broken"] is True and line["problem"] == "query" and line["bytes"] == 5
    count = "cityorchestra_broken_answers_total"
    assert int(figures(seen)[count]) == int(before[count]) + 1
    assert figures(seen)["cityorchestra_requests_under_way"] == "1"  # the one that asks


def test_what_the_service_says_is_in_the_same_form(seen, lines):
    seen.get("/-/health")
    try:
        raise ZeroDivisionError("nothing")
    except ZeroDivisionError as error:
        told = (type(error), error, error.__traceback__)
    bug = logging.LogRecord("cityorchestra_ld.web", logging.ERROR, "", 0, "request %s failed", ("abc",), told)
    written = json.loads(JsonLines().format(bug))
    assert written["message"] == "request abc failed" and "ZeroDivisionError" in written["error"]
    assert "request abc failed\nTraceback" in TextLines().format(bug)
    assert Untold().filter(bug)
    ours = RuntimeError()
    ours.__cause__ = QueryError(Text("x", "x"))
    assert not Untold().filter(logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "x", None, (None, ours, None)))
    assert configuration("text")["formatters"]["ours"]["()"].endswith("TextLines")


# --- proxies ------------------------------------------------------------------------------------------------------------------


def test_an_id_and_an_address_are_believed_from_trusted_proxies_only(seen, lines):
    told = {"X-Request-Id": "abcdef-123456", "X-Forwarded-For": "198.51.100.9"}
    trusting = TestClient(BehindProxy(seen.app, "192.0.2.1"), client=("192.0.2.1", 1))
    assert trusting.get("/-/health", headers=told).headers["x-request-id"] == "abcdef-123456"
    assert lines()[-1]["client"] == "198.51.100.0/24"
    for bad in ("short", "x" * 65, "with space and more", "a;b;c;d;e;f"):
        assert trusting.get("/-/health", headers=told | {"X-Request-Id": bad}).headers["x-request-id"] != bad
    for stranger in (TestClient(BehindProxy(seen.app, "192.0.2.1"), client=("192.0.2.2", 1)), seen):
        assert stranger.get("/-/health", headers=told).headers["x-request-id"] != "abcdef-123456"
        assert lines()[-1]["client"] != "198.51.100.0/24"


# --- settings -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ['[log]\nformt = "json"', '[log]\nformat = "xml"', '[serving]\nmetrics = "everybody"'])
def test_a_wrong_setting_is_named(tmp_path, wrong):
    text = f'base_iri = "https://id.example/"\nname = {{ fr = "x", en = "x" }}\n{wrong}\n'
    (tmp_path / "territory.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        load_territory(tmp_path)


# --- start --------------------------------------------------------------------------------------------------------------------


def test_serving_loads_nothing_that_only_publishing_needs():
    code = "import sys, cityorchestra_ld.cli.app, cityorchestra_ld.web.server; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"duckdb", "pyshacl", "rdflib", "shacl", "cityorchestra_ld.mapping", "cityorchestra_ld.validation"}
    assert not heavy & set(loaded)
