"""What another service sends is hostile until it is parsed: limits, forms, addresses, terms."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import threading
import time
from urllib.parse import parse_qs

import msgspec
import pyoxigraph as ox
import pytest

from cityorchestra_ld import outbound
from cityorchestra_ld.store import service_main
from cityorchestra_ld.store.errands import Brought, Errand
from cityorchestra_ld.store.service_main import ask
from cityorchestra_ld.web.children import ChildDiedError, run_child

JSON = b"Content-Type: application/sparql-results+json\r\n"
X = {"type": "uri", "value": "http://x/"}


class Far:
    """A server that gives every client the same bytes, and keeps what it was asked."""

    def __init__(self):
        self.answer, self.asked = b"", []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            connection, _ = self._listening.accept()
            with connection:
                connection.settimeout(5)
                request = b""
                while b"\r\n\r\n" not in request:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    request += piece
                if not request:
                    return  # closed without a word: the test is over
                head, _, body = request.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                while len(body) < length:
                    body += connection.recv(65536)
                self.asked.append((head.decode(), parse_qs(body.decode())))
                answer = [self.answer] if isinstance(self.answer, bytes) else self.answer
                try:
                    for piece in answer:
                        connection.sendall(piece)
                except OSError:
                    pass  # the other side has heard enough

    def says(self, *rows, head=JSON, body=None, status=b"200 OK"):
        if body is None:
            names = dict.fromkeys(name for row in rows for name in row)
            body = json.dumps({"head": {"vars": list(names)}, "results": {"bindings": rows}}).encode()
        self.answer = b"HTTP/1.1 " + status + b"\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def close(self):
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(10)
        self._listening.close()


@pytest.fixture
def far():
    server = Far()
    yield server
    server.close()


def errand(far, **changes):
    said = {
        "parent": os.getpid(), "check": "SELECT * { MINUS{} { ?s ?p ?o } }", "base": None,
        "address": f"http://127.0.0.1:{far.port}/sparql?x=1", "private": True, "certificates": None,
        "asked": "SELECT * WHERE { ?x ?y ?z }", "variables": ("x", "y", "z"), "blank": "https://here/genid/7-", "seconds": 5.0,
        "rows": 10, "max_bytes": 100_000,
    }  # fmt: skip
    return Errand(**(said | changes))


def test_rows_become_values_and_only_the_block_is_sent(far):
    far.says(
        {"x": X, "y": {"type": "literal", "value": 'a "quote"\n', "xml:lang": "fr"}},
        {"y": {"type": "literal", "value": "1", "datatype": "http://www.w3.org/2001/XMLSchema#integer"}, "other": X},
        {"x": {"type": "bnode", "value": "b0"}},
        {"x": X, "y": {"type": "literal", "value": 'a "quote"\n', "xml:lang": "fr"}},
    )
    brought = ask(errand(far))
    first = '(<http://x/> "a \\"quote\\"\\n"@fr)'
    integer = '"1"^^<http://www.w3.org/2001/XMLSchema#integer>'
    assert brought.text == f"VALUES (?x ?y) {{ {first} (UNDEF {integer}) (<https://here/genid/7-b0> UNDEF) {first} }}"
    assert brought.rows == 4
    assert len(list(ox.Store().query(f"SELECT * {{ {brought.text} }}"))) == 4
    ((head, body),) = far.asked
    assert head.startswith("POST /sparql?x=1 HTTP/1.1")
    assert body == {"query": ["SELECT * WHERE { ?x ?y ?z } LIMIT 11"]}
    names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:]}
    assert names == {"host", "accept", "accept-encoding", "content-type", "content-length", "user-agent"}


def test_an_answer_below_the_limit_of_its_service_is_whole(far):
    far.says({"x": X}, head=JSON + b"X-Row-Limit: 2\r\n")
    assert ask(errand(far)).rows == 1


def test_rows_without_variables_keep_their_number(far):
    far.says({}, {}, {})
    assert ask(errand(far)).text == "VALUES () { () () () }"


@pytest.mark.parametrize(
    ("trouble", "said", "answer"),
    [
        ("status", "302 → http://169.254.169.254/", {"status": b"302 Found", "head": b"Location: http://169.254.169.254/\r\n"}),
        ("status", "308", {"status": b"308 Permanent Redirect"}),
        ("status", "400 Bad [1m query", {"status": b"400 Bad Request", "body": b"<h1>Bad\x1b[1m <b>query</b></h1>"}),
        ("status", "503", {"status": b"503 Service Unavailable"}),
        ("form", "Content-Type: text/html", {"head": b"Content-Type: text/html\r\n"}),
        ("form", "Content-Type:", {"head": b""}),
        ("form", "gzip", {"head": JSON + b"Content-Encoding: gzip\r\n", "body": gzip.compress(b" " * 10_000_000)}),
        ("form", "boolean", {"body": b'{"head":{},"boolean":true}'}),
        ("form", "", {"body": b'{"head":{"vars":["x"]},"results":{"bindings":['}),
        ("form", "", {"body": b'{"head":{"vars":["x"]},"results":{"bindings":[' + b"[" * 90_000}),
        ("form", "", {"body": b"\xff\xfe"}),
        ("form", "", {"body": b""}),
        ("form", "", {"rows": [{"x": {"type": "uri", "value": "http://x/> } SELECT"}}]}),
        ("form", "", {"rows": [{"x": {"type": "literal", "value": "", "xml:lang": "fr } <"}}]}),
        ("rows", "", {"rows": [{"x": X}] * 11}),
        ("cut", "2", {"rows": [{"x": X}] * 2, "head": JSON + b"X-SPARQL-MaxRows: 2\r\n"}),
        ("size", "", {"rows": [{"x": {"type": "literal", "value": "a" * 200_000}}]}),
        ("terms", "", {"rows": [{"x": {"type": "triple", "value": {"subject": X, "predicate": X, "object": X}}}]}),
    ],
)  # fmt: skip
def test_whatever_is_not_a_small_table_in_json_is_told(far, trouble, said, answer):
    answer = dict(answer)
    far.says(*answer.pop("rows", ()), **({"body": b""} | answer if "status" in answer else answer))
    brought = ask(errand(far))
    assert (brought.trouble, brought.text) == (trouble, "")
    assert said in brought.said
    assert len(brought.said) <= 200
    assert brought.said.isprintable()
    assert len(far.asked) == 1


def test_a_body_without_end_stops_at_the_limit(far):
    row = json.dumps({"x": X}).encode() + b","
    far.answer = (
        b"HTTP/1.1 200 OK\r\n" + JSON + b'\r\n{"head":{"vars":["x"]},"results":{"bindings":[' if number == 0 else row * 100
        for number in range(100_000)
    )
    assert ask(errand(far, rows=10**9)).trouble == "size"


def test_a_query_that_is_not_well_formed_is_not_sent(far):
    brought = ask(errand(far, check="SELECT * { ?s ?p }"))
    assert brought.trouble == "syntax"
    assert "error at 1:19" in brought.said
    assert not far.asked


def test_nobody_there(far):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}/"
    assert ask(errand(far, address=address)).trouble == "unreachable"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
def test_a_service_in_our_own_network_is_not_asked_unless_that_is_said(far, host):
    brought = ask(errand(far, private=False, address=f"http://{host}:{far.port}/"))
    assert brought.trouble == "address"
    assert "private network" in brought.said
    assert not far.asked


def test_the_address_that_was_checked_is_the_one_that_is_asked(monkeypatch, far):
    answers = [[(2, 1, 6, "", ("93.184.216.34", 80))], [(2, 1, 6, "", ("127.0.0.1", far.port))]]  # a name that changes its mind
    connected = []

    def connect(address, *_, **__):
        connected.append(address[0])
        raise OSError("not in a test")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.pop(0))
    monkeypatch.setattr(outbound, "create_connection", connect)
    assert ask(errand(far, private=False, address="http://rebind.example/")).trouble == "unreachable"
    assert connected == ["93.184.216.34"]
    assert len(answers) == 1
    assert not far.asked


def test_proxies_of_the_environment_are_not_asked(monkeypatch, far):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    far.says({"x": X})
    assert ask(errand(far)).rows == 1


@pytest.mark.slow
def test_the_process_is_killed_when_a_service_sends_a_byte_now_and_then(far):
    def drip():
        yield b"HTTP/1.1 200 OK\r\n"
        while True:
            time.sleep(0.05)
            yield b"X: y\r\n"

    far.answer = drip()
    with pytest.raises(TimeoutError):
        asyncio.run(run_child("cityorchestra_ld.store.service_main", msgspec.json.encode(errand(far)), 1.0))
    assert len(far.asked) == 1


def test_the_process_brings_back_what_was_found_and_does_not_outlive_its_parent(far):
    far.says({"x": X})
    said = asyncio.run(run_child("cityorchestra_ld.store.service_main", msgspec.json.encode(errand(far)), 10.0))
    assert msgspec.json.decode(said, type=Brought) == Brought(text="VALUES (?x) { (<http://x/>) }", rows=1)
    with pytest.raises(ChildDiedError):
        asyncio.run(run_child("cityorchestra_ld.store.service_main", msgspec.json.encode(errand(far, parent=1)), 10.0))
    assert len(far.asked) == 1


@pytest.mark.parametrize("private", [True, False])
def test_https_takes_a_certificate_that_is_known(far, private):
    with service_main._connect(errand(far, private=private), outbound.check_url("https://far.example/")) as pool:
        assert pool.cert_reqs == "CERT_REQUIRED"
        assert pool.assert_hostname is None  # not switched off
