"""What was answered before is answered again by one look-up: the same bytes, to the same request, and to nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest
from starlette.testclient import TestClient
from uvicorn import Config
from uvicorn.server import ServerState

from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.web.again import Whole, key_of
from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.cache import AnswerCache
from cityorchestra_ld.web.connection import connections

BASE = "https://id.example/"
DOC = "/doc/stop/1001"
STOPS = "PREFIX gtfs: <http://vocab.gtfs.org/terms#> SELECT (COUNT(?s) AS ?n) { ?s a gtfs:Stop }"
TURTLE = {"accept": "text/turtle"}


@pytest.fixture
def given(client):
    """Tell how many answers were given again since the test began."""
    table = client.app.service.snapshot.again
    before = table.hits
    return lambda: table.hits - before


def same(one, other):
    left, right = dict(one.headers), dict(other.headers)
    assert left.pop("x-request-id") != right.pop("x-request-id")
    assert (one.status_code, left, one.content) == (other.status_code, right, other.content)


@pytest.mark.parametrize("path", [DOC, "/id/stop/1001", f"{DOC}.nt", f"{DOC}?_profile=labelled", f"{DOC}.html?lang=en"])
def test_the_second_answer_is_the_first_one_but_for_the_id(client, given, path):
    headers = {"x-test": path}  # a header that nobody knows makes a request of its own
    while path.endswith("lang=en") and client.app.service.snapshot.statistics is None:
        time.sleep(0.02)
    first = client.get(path, headers=headers)
    assert given() == 0
    same(first, client.get(path, headers=headers))
    same(first, client.get(path, headers=headers | {"user-agent": "another", "cookie": "a=b"}))
    assert given() == 2


def test_what_a_request_wants_is_part_of_its_name(client):
    wanted = {
        "text/turtle": "text/turtle", "text/turtle;q=1.0, text/html;q=0.1": "text/turtle", "text/html": "text/html",
        "application/ld+json": "application/ld+json", "TEXT/TURTLE": "text/turtle",
    }  # fmt: skip
    for _ in range(3):
        for accept, media_type in wanted.items():
            assert client.get(DOC, headers={"accept": accept}).headers["content-type"].startswith(media_type)
        for language in ("fr", "en"):
            answer = client.get(f"{DOC}?_profile=labelled", headers=TURTLE | {"accept-language": language})
            assert f"@{language}" in answer.text and "Accept-Language" in answer.headers["vary"]
        profile = client.get(DOC, headers={"accept": "*/*", "accept-profile": "<https://schema.org/>"})
        assert profile.headers["content-profile"] == "<https://schema.org/>"
        assert client.get(DOC, headers=TURTLE | {"accept-datetime": "Sun, 22 Nov 2026 05:00:00 GMT"}).status_code == 302
        assert client.get(DOC, headers={"accept": "image/png"}).status_code == 406


def test_head_and_conditions_stay_what_they_are(client):
    for _ in range(3):
        whole, head = client.get(DOC, headers=TURTLE), client.head(DOC, headers=TURTLE)
        assert head.content == b"" and head.headers["content-length"] == whole.headers["content-length"]
        fresh = client.get(DOC, headers=TURTLE | {"if-none-match": whole.headers["etag"]})
        assert (fresh.status_code, fresh.content) == (304, b"") and fresh.headers["etag"] == whole.headers["etag"]
        assert client.get(DOC, headers=TURTLE | {"if-none-match": '"other"'}).content == whole.content
        assert client.post(DOC, headers=TURTLE).status_code == 405


def test_a_token_is_never_given_what_others_got_nor_others_what_it_got(make_city, tmp_path):
    city = make_city(tmp_path)
    bearer = {"authorization": f"Bearer {Tokens.of(city).new('reader', read=('ville/secret',))}"}
    with TestClient(create_app(city), follow_redirects=False) as client:

        def count(**headers):
            return int(
                client.get("/sparql", params={"query": STOPS}, headers={"accept": "text/csv", **headers}).text.split()[1]
            )

        public = count()
        for _ in range(3):
            assert count(**bearer) == public + 1
            assert count() == public
            assert client.get("/sparql", params={"query": STOPS}, headers={"authorization": "Bearer x"}).status_code == 401
        assert client.app.service.snapshot.again.hits >= 1


def test_another_generation_answers_for_itself(make_city, publish_stops, tmp_path):
    city = make_city(tmp_path)
    with TestClient(create_app(city), follow_redirects=False) as client:
        before = [client.get(DOC, headers=TURTLE) for _ in range(3)][-1]
        assert client.app.service.snapshot.again.hits == 2
        publish_stops(city, f'<{BASE}id/stop/1001> <http://www.w3.org/2000/01/rdf-schema#label> "Neu"@de .')
        ends = time.monotonic() + 20
        while (after := client.get(DOC, headers=TURTLE)).content == before.content:
            assert time.monotonic() < ends, "the old answer is still given"
            time.sleep(0.05)
        for _ in range(3):
            assert b"Neu" in client.get(DOC, headers=TURTLE).content
        assert after.headers["etag"] != before.headers["etag"]


def test_the_table_keeps_its_budget():
    table = AnswerCache(budget=100_000)
    for number in range(1000):
        table.put(key_of(b"/doc/%d" % number, "http", "", [(b"accept", b"*/*")]), Whole(200, b"", b"x" * 900, "document"))
    assert 0 < table.held <= 100_000
    assert table.get(key_of(b"/doc/999", "http", "", [(b"accept", b"*/*")])) is not None
    assert table.get(key_of(b"/doc/1", "http", "", [(b"accept", b"*/*")])) is None
    assert key_of(b"/" + b"x" * 9000, "http", "", []) is None


class Wire:
    """A transport that keeps what is written."""

    def __init__(self):
        self.sent, self.closed = b"", False

    def get_extra_info(self, name):
        return {"sockname": ("127.0.0.1", 80), "peername": ("192.0.2.7", 5)}.get(name)

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def resume_reading(self):
        pass

    pause_reading = resume_reading


def request(path=DOC, version="1.1", method="GET", *lines):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: h", "Accept: text/turtle", *lines, "", ""]).encode()


def parted(sent):
    """Take answers apart: their status lines, and whether all bodies are there."""
    found = []
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        found.append((head.split()[1], sorted(line.partition(b":")[0] for line in head.split(b"\r\n")[1:]), rest[:size]))
        sent = rest[size:]
    return found


async def talk(app, *segments, trusts=lambda address: False):
    """Send segments over one connection, each when the one before is answered; tell the answers, and whether it was closed."""
    kind = connections(app.again, app.direct, trusts)
    config = Config(app, http=kind, log_config=None)
    config.load()
    wire, connection = Wire(), kind(config=config, server_state=ServerState(), app_state={})
    connection.connection_made(wire)
    for segment in segments:
        connection.data_received(segment)
        while connection.tasks:
            await asyncio.sleep(0.001)
    closed = wire.closed
    connection.connection_lost(None)
    return parted(wire.sent), closed


def test_connections_give_known_answers_at_once_and_in_their_turn(city):
    app = create_app(city)

    async def check():
        async with app.router.lifespan_context(app):
            table = app.service.snapshot.again
            (first, second), closed = await talk(app, request(), request())
            assert first == second and first[0] == b"200" and b"x-request-id" in first[1] and not closed
            assert table.hits == 1
            mixed = request() + request("/doc/stop/none") + request() + request()
            found, _ = await talk(app, mixed)
            assert [status for status, _, _ in found] == [b"200", b"404", b"200", b"200"] and found[0] == found[2] == first
            many, _ = await talk(app, request() * 40)
            assert many == [first] * 40
            hits = table.hits
            (closing,), closed = await talk(app, request(DOC, "1.1", "GET", "Connection: close"))
            assert closed and closing[2] == first[2]
            (old,), closed = await talk(app, request(DOC, "1.0"))
            assert closed and old[2] == first[2]
            (_, after), _ = await talk(app, request(), request(DOC, "1.1", "POST", "Content-Length: 1") + b"x")
            assert after[0] == b"405"
            (proxied,), _ = await talk(app, request(), trusts=lambda address: True)
            assert proxied == first and table.hits > hits  # by the application, which looks in the same table

    asyncio.run(check())
