"""Over a real socket: long answers stream, late failures break the transfer, one query never holds up the others."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import closing, contextmanager
from urllib.parse import urlencode

import pytest

from cityorchestra_ld.web.app import create_app

CROSS = "SELECT ?a ?d ?g { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
COUNT = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"


@pytest.fixture(scope="module")
def served(city, serving):
    """Serve the city; give the application and the port."""
    app = create_app(city)
    with serving(app) as port:
        yield app, port


@contextmanager
def get(port, path, **headers):
    """Ask, and close the connection whatever happens."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            yield answer


def sparql(port, query, **fields):
    return get(port, "/sparql?" + urlencode({"query": query, **fields}))


def run(port, query, **fields):
    with sparql(port, query, **fields) as answer:
        return answer.status, answer.read()


def eventually(check, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()


def test_a_long_answer_starts_before_its_end_and_breaks_at_the_deadline(served):
    _, port = served
    with sparql(port, CROSS, timeout="1", format="json") as answer:
        assert answer.status == 200
        assert answer.read(20)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while answer.read(1 << 20):
                pass


@pytest.mark.slow
def test_a_runaway_query_leaves_the_others_alone(served):
    app, port = served
    slow = threading.Thread(target=run, args=(port, COUNT), kwargs={"timeout": "4"})
    slow.start()
    assert eventually(lambda: app.service.pool.idle == 1)
    for _ in range(5):
        with get(port, "/doc/stop/1001", Accept="text/turtle") as answer:
            assert b"POINT" in answer.read()
        assert run(port, "ASK {}")[0] == 200
    assert slow.is_alive()
    slow.join()


def test_a_client_that_goes_away_frees_its_worker(served):
    app, port = served
    assert eventually(lambda: app.service.pool.idle == 2)
    with sparql(port, CROSS, timeout="5", format="csv") as answer:
        assert answer.read(10)
        assert app.service.pool.idle == 1
    assert eventually(lambda: app.service.pool.idle == 2, 3)


def test_a_nest_of_braces_does_not_take_the_service_down(served):
    _, port = served
    assert run(port, "SELECT * " + "{" * 5000 + "}" * 5000)[0] == 400
    with get(port, "/-/ready") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    ["/id/../../../etc/passwd", "//evil.example/%2e%2e/", "/doc/stop/\xe9", "/id/stop/1001?%ff=%fe", "/?lang=en&lang=xx"],
)
def test_an_odd_request_line_gets_a_clean_answer(served, path):
    _, port = served
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
        status = line.recv(65536).split(b" ", 2)[1]
    assert status in (b"200", b"301", b"303", b"400", b"404")


def test_a_head_request_has_no_body_on_the_wire(served):
    _, port = served
    for path in ("/doc/stop/1001", "/", "/sparql?query=ASK%7B%7D", "/nothing"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received = b""
            while chunk := line.recv(65536):
                received += chunk
        assert received.partition(b"\r\n\r\n")[2] == b""
