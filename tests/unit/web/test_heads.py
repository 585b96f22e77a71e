"""A head of a request that is longer than anybody needs is refused before anything is made of it."""

from __future__ import annotations

import json
import socket

import pytest

from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.connection import connections


@pytest.fixture(scope="module")
def port(city, serving):
    """Serve the city as `cityorchestra serve` does."""
    app = create_app(city)
    with serving(app, http=connections(app.again, app.direct, lambda _: False)) as port:
        yield port


def answer(port: int, *pieces: bytes) -> tuple[int, bytes]:
    """Send pieces as they are, and read until the other side closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
            while chunk := line.recv(65536):
                received += chunk
        except ConnectionError:
            pass  # what we still had to say was not wanted
    return int(received[9:12]), received.partition(b"\r\n\r\n")[2]


def request(target: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *fields, b"", b""])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request(b"/doc/stop/1001?x=" + b"y" * 65_600), 414),
        (request(b"/doc/stop/1001", b"X: " + b"y" * 40_000), 431),
        (request(b"/doc/stop/1001", *(b"X%d: y" % n for n in range(9_000))), 431),
        (request(b"/doc/stop/1001", b"Accept: " + b"text/*;q=0.1," * 300), 431),
        (request(b"/doc/stop/1001", b"ACCEPT-LANGUAGE: " + b"fr-be," * 2_000), 431),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
    ],
)
def test_what_is_too_long_is_refused_with_its_reason(port, head, status):
    found, body = answer(port, head)
    assert found == status
    problem = json.loads(body)
    assert problem["status"] == status and problem["hint"]


def test_a_head_without_end_is_cut_off(port):
    found, body = answer(port, b"GET / HTTP/1.1\r\nHost: x\r\nX: ", *(b"y" * 10_000 for _ in range(10)))
    assert found == 431
    assert "32768" in json.loads(body)["hint"]


def test_what_is_long_and_of_use_is_answered(port):
    query = b"%41" * 21_000
    assert answer(port, request(b"/sparql?query=ASK%7B%7D%23" + query, b"Accept: application/sparql-results+json"))[0] == 200
    assert answer(port, request(b"/doc/stop/1001", b"Accept: text/turtle," + b"text/x;q=0.1," * 100))[0] == 200
    assert answer(port, request(b"/doc/stop/1001", b"Cookie: " + b"c" * 8_000, b"Accept: text/turtle"))[0] == 200


def test_each_request_of_a_connection_is_measured_for_itself(port):
    one = b"GET /doc/stop/1001 HTTP/1.1\r\nHost: x\r\nAccept: text/turtle\r\nCookie: " + b"c" * 20_000 + b"\r\n\r\n"
    many = [one] * 30
    found, body = answer(port, *many, b"".join(many), request(b"/doc/stop/1001", b"Accept: text/turtle"))
    assert found == 200
    assert body.count(b"HTTP/1.1 200") == 60


def test_the_language_of_the_address_is_that_of_the_refusal(port):
    _, french = answer(port, request(b"/?x=" + b"y" * 65_600))
    _, english = answer(port, request(b"/?lang=en&x=" + b"y" * 65_600))
    assert json.loads(french)["detail"].startswith("L'adresse")
    assert json.loads(english)["detail"].startswith("The address")
