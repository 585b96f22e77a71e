"""What is answered as it is read is what the endpoint answers: headers, bodies, limits, refusals, log lines, figures."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest
from starlette.testclient import TestClient
from uvicorn import Config
from uvicorn.server import ServerState

from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.cache import AnswerCache
from cityorchestra_ld.web.connection import connections
from cityorchestra_ld.web.request_log import LOGGER

STOP = "https://id.example/id/stop/1001"
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
JSON = "application/sparql-results+json"
SMALL = "SELECT ?p ?o WHERE {{ <{0}> ?p ?o }}"
JOINED = (
    "SELECT ?name ?n WHERE {{ <{0}> <http://purl.org/dc/terms/spatial> ?c . ?c <http://rdf.insee.fr/def/geo#nom> ?n ; a ?t . "
    f"<{{0}}> {LABEL} ?name }}}}"
)
FILTERED = (
    "SELECT ?name ?kind WHERE {{ <{0}> " + LABEL + ' ?name FILTER(LANGMATCHES(LANG(?name), "{1}")) '
    'OPTIONAL {{ <{0}> a ?kind FILTER(?kind != <{0}>) }} FILTER(isIRI(?kind) || LANG(?name) = "{1}") }}'
)
TEMPLATES = (
    SMALL, JOINED, FILTERED.replace("{1}", "fr"), FILTERED.replace("{1}", "*").replace("!=", "="),
    "SELECT * {{ <{0}> ?p ?o }}", f"SELECT ?o {{{{ <{{0}}> {LABEL} ?o }}}}", "ASK {{ <{0}> ?p ?o }}",
    "PREFIX gtfs: <http://vocab.gtfs.org/terms#> SELECT ?o {{ <{0}> gtfs:code ?o }}", "SELECT ?o {{ <{0}> ?p ?o }} LIMIT 2",
    "PREFIX co: <https://id.example/def/co#> SELECT ?s {{ ?s co:search \"Rennes\" ; ?p <{0}> }}", "SELECT ?p {{ <{0}> ?p ?o }}",
    "SELECT ?o {{ <{0}> ?p ?o }} # NOW()", "SELECT (NOW() AS ?t) {{ <{0}> ?p ?o }}", "DESCRIBE <{0}>",
    "SELECT ?o {{ GRAPH ?g {{ <{0}> ?p ?o }} }} ORDER BY ?o", "BASE <https://id.example/> SELECT ?o {{ <{0}> ?p ?o }}",
    "SELECT ?o FROM <https://id.example/graph/data/ville/stops> {{ <{0}> ?p ?o }}", "SELECT ?o {{ <{0}> ?p ?o }} trailing",
    "SELECT ?o {{ <{0}> ?p ?o }} SELECT ?o {{ <{0}> ?p ?o }}", "SELECT ?o {{ <{0}> ?p ?o }} VALUES ?o {{ \"x\" <{0}> }}",
    "SELECT ?o {{ <{0}> <urn:a>|^<urn:b>* ?o }}", "SELECT ?o {{ <{0}> ?p [] }}", "SELECT ?o {{ ?o ?p <{0}> ; a ?o }}",
    "SELECT ?o {{ ?x ?p ?o FILTER(?x = <{0}>) }}", "SELECT ?o {{ ?x ?p ?o FILTER(?x <{0}) }}",
    "INSERT DATA {{ <{0}> a <urn:b> }}",
)  # fmt: skip
SUBJECTS = (
    STOP, "https://id.example/id/stop/nameless", "https://id.example/id/hostile/1", "https://id.example/id/secret/1",
    "urn:none",
    "https://id.example/id/stop/Plœuc-L%27Hermitage", "https://id.example/id/stop/\\u00CEle", "id/stop/1001", "urn:a b",
    "urn:'",
    "http://id.insee.fr/geo/commune/35238", "https://id.example/id/code/indicator/population", "x> ?p ?o . <y", "urn:%zz", "",
)  # fmt: skip
MOVING = ("x-request-id", "date", "ratelimit")


def told(answer):
    headers = {name: value for name, value in answer.headers.items() if name not in MOVING}
    body = answer.content
    if answer.headers.get("content-type") == JSON and b'"bindings":[' in body:
        head, _, rest = body.partition(b'"bindings":[')
        body = (head, sorted(rest.replace(b"}},{", b"}}\n{").removesuffix(b"]}}").split(b"\n")))
    elif answer.status_code == 200:  # from disk and from memory, rows come in other orders
        body = sorted(body.split(b"\n"))
    if answer.status_code >= 400:
        body = {name: value for name, value in answer.json().items() if name != "request_id"}
    return answer.status_code, headers, body


@pytest.fixture(scope="module")
def both(client, city):
    app = create_app(replace(city, resident="always"))  # whatever is set is in the tags
    app.again._asked = lambda *_: None
    snapshot = client.app.service.snapshot  # what other tests asked is not known here
    snapshot.answers, snapshot.again = AnswerCache(), AnswerCache()
    accept = client.headers["accept"]
    with TestClient(app, follow_redirects=False) as slow:
        yield client, slow
    client.headers["accept"] = accept  # the next module asks with the same client


@pytest.mark.parametrize("template", TEMPLATES)
def test_both_ways_give_the_same_answer(both, template):
    quick, slow = both
    for subject in ("urn:first", *SUBJECTS):
        path = f"/sparql?query={quote(template.format(subject), safe='')}"
        for client in both:
            client.headers["accept"] = JSON if "DESCRIBE" not in template else "application/n-triples"
        if "NOW() AS" in template:
            assert {quick.get(path).status_code, quick.get(path).status_code} == {slow.get(path).status_code}
            continue
        assert told(quick.get(path)) == told(slow.get(path)), template.format(subject)


@pytest.mark.parametrize("template", [SMALL, JOINED])
def test_how_a_request_is_written_makes_no_other_answer(both, template):
    text, plus = quote(template.format(STOP), safe=""), quote_plus(template.format(STOP))
    forms = (
        f"query={text}", f"query={plus}", f"query={text.lower()}", f"query={text}&format=csv", f"query={text}&timeout=2",
        f"query={text}&query={text}", f"query={text}%", f"query={text}%C3", f"query={text}é", f"query={text};x", "query=",
        "query",
        f"format=json&query={text}", f"query={text}&default-graph-uri=urn:x", f"query={text}\\x20", f"query={text}%00",
        f"query={text}&explain=1",
    )  # fmt: skip
    accepts = (None, JSON, "*/*", "", "text/csv", "text/html", "application/sparql-results+json, text/html;q=0.9", "image/png")
    headers = [{} if accept is None else {"accept": accept} for accept in accepts]
    headers += [{"accept": JSON, "prefer": "wait=3"}, {"accept": JSON, "if-none-match": '"x"'}, {"accept": JSON, "x-new": "1"}]
    for client in both:
        client.headers.pop("accept", None)
        client.get("/sparql", params={"query": template.format("urn:first")}, headers={"accept": JSON})
    for number, form in enumerate(forms):
        for said in headers if number == 0 else headers[1:2]:
            answers = [told(client.get(f"/sparql?{form}", headers=said)) for client in both]
            if "explain" not in form and said.get("accept") != "text/html":
                assert answers[0] == answers[1], (form, said)
            assert answers[0][0] == answers[1][0], (form, said)


def test_a_known_shape_is_answered_by_a_look_up_and_charged(client, monkeypatch):
    def ask(subject, **further):
        text = quote(f"{SMALL.format(subject)} # charged", safe="")
        return client.get(f"/sparql?query={text}", headers={"accept": JSON} | further)

    def charge(name, seconds):
        seen.append(name)
        charged(name, seconds)

    budget, seen = client.app.service.budget, []
    charged = budget.charge
    monkeypatch.setattr(budget, "_most", 30.0)
    ask("urn:first")
    monkeypatch.setattr(budget, "charge", charge)
    monkeypatch.setattr(client.app.endpoint, "with_query", None)
    answer = ask(STOP)
    assert answer.status_code == 200 and seen == ["testclient"] and "ratelimit" in answer.headers
    again = ask(STOP)
    assert again.content == answer.content and "ratelimit" not in again.headers and seen == ["testclient"]
    monkeypatch.undo()
    assert ask(STOP, **{"if-none-match": answer.headers["etag"]}).status_code == 304
    monkeypatch.setattr(budget, "_most", 30.0)
    budget.take("testclient", 1_000)
    refused = ask("urn:other")
    budget._left.clear()
    assert refused.status_code == 429 and "retry-after" in refused.headers


def test_queries_that_differ_in_a_filter_are_answered_by_look_ups(client, monkeypatch):
    def ask(subject, language):
        text = quote(f"{FILTERED.replace('{1}', language).format(subject)} # looked up", safe="")
        return client.get(f"/sparql?query={text}", headers={"accept": JSON})

    ask("urn:first", "de")
    monkeypatch.setattr(client.app.endpoint, "with_query", None)
    for language, expected in (("fr", ["République"]), ("FR", ["République"]), ("en", ["Republic Square"]), ("it", [])):
        answer = ask(STOP, language)
        assert answer.status_code == 200
        assert [row["name"]["value"] for row in answer.json()["results"]["bindings"]] == expected


class Wire(asyncio.Transport):
    """Takes what a server writes."""

    def __init__(self):
        super().__init__()
        self.written = []

    def get_extra_info(self, name, default=None):
        return {"peername": ("203.0.113.9", 5000), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def write(self, data):
        self.written.append(bytes(data))

    def is_closing(self):
        return False

    def close(self):
        self.written.append(None)

    def pause_reading(self):
        pass

    resume_reading = pause_reading


async def _talk(app, *requests):
    config = Config(app, log_config=None, proxy_headers=False, server_header=False, access_log=False)
    config.load()
    wire = Wire()
    protocol = connections(app.again, app.direct, lambda _: False)(config, ServerState(), {})
    protocol.connection_made(wire)
    for request in requests:
        before = len(wire.written)
        protocol.data_received(request)
        while len(wire.written) == before or not (protocol.cycle is None or protocol.cycle.response_complete):
            await asyncio.sleep(0.001)
    protocol._unset_keepalive_if_required()
    return wire.written


def test_an_answer_of_a_worker_goes_out_in_one_go_and_is_counted_and_logged(city, caplog):
    def request(text, further=""):
        return f"GET /sparql?query={quote(text, safe='')} HTTP/1.1\r\nhost: x\r\naccept: {JSON}\r\n{further}\r\n".encode()

    async def run():
        app = create_app(city)
        await app.service.start()
        try:
            texts = [JOINED.format(name) for name in ("urn:first", STOP)]
            found = await _talk(app, *(request(text) for text in texts), request("SELECT nonsense {"))
            closing = await _talk(app, request(JOINED.format("urn:third"), "connection: close\r\n"))
            both = await _talk(app, b"".join(request(JOINED.format(name)) for name in ("urn:fourth", STOP + "#")))
            assert len(both) == 2 and all(data.startswith(b"HTTP/1.1 200 OK\r\n") for data in both)
            return found, closing, dict(app.service.metrics.requests)
        finally:
            await app.service.stop()

    with caplog.at_level(logging.INFO, LOGGER):
        written, closing, counted = asyncio.run(run())
    first, second, refused = written[0], written[1], b"".join(written[2:])
    assert b"connection: close" in b"".join(filter(None, closing)) and closing[-1] is None
    assert first.startswith(b"HTTP/1.1 200 OK\r\n") and b'"bindings":[]' in first
    assert b"Rennes" in second and b"etag: W/" in second and b"content-security-policy" in second
    assert refused.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in refused
    assert counted["sparql", 200] == 5 and counted["sparql", 400] == 1
    lines = [record.line for record in caplog.records if record.name == LOGGER]
    assert [(line.status, line.broken, bool(line.problem)) for line in lines] == [
        (200, False, False), (200, False, False), (400, False, True), *[(200, False, False)] * 3,
    ]  # fmt: skip
    assert lines[1].bytes == len(second.partition(b"\r\n\r\n")[2])
