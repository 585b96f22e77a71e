"""Fetching: conditional, bounded, patient, and never into a private network unless allowed."""

import gzip
import http.server
import socket
import threading

import pytest

from cityorchestra_ld import outbound
from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.outbound import check_url, is_public, public_addresses
from cityorchestra_ld.sources import stage
from cityorchestra_ld.sources.fetch import Policy, fetch

BODY = b"code,nom\n35238,Rennes\n"
LOCAL = Policy(allow_private=True, pause=0.01)


class Server(http.server.ThreadingHTTPServer):
    """Answers from a list of (status, headers, body); the last one again and again; keeps what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = [(200, {}, BODY)], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/export/communes.csv?token=t0p"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append(dict(self.headers))
        status, headers, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def refused(url, tmp_path, limits=None, policy=LOCAL, **more):
    with pytest.raises(SourceError) as caught:
        fetch(url, tmp_path / "dl", limits or Limits(), policy=policy, **more)
    assert not list((tmp_path / "dl").glob("*.body")) if (tmp_path / "dl").exists() else True
    assert caught.value.place.file
    assert "t0p" not in caught.value.render("en")
    return caught.value


def test_a_url_is_staged_like_a_file(server, tmp_path):
    spec = SourceSpec(name="communes.csv", url=server.url)
    table = stage(spec, tmp_path / "out", Limits(), cache=tmp_path / "cache", allow_private=True)
    assert table.label == "communes.csv"
    assert table.original.read_bytes() == BODY
    assert "Downloaded: 22 bytes" in table.notes[0].en
    assert "t0p" not in table.notes[0].en


def test_an_unchanged_file_is_not_sent_again(server, tmp_path):
    server.answers = [(200, {"ETag": '"v1"', "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}, BODY), (304, {}, b"")]
    first = fetch(server.url, tmp_path, Limits(), cache=tmp_path / "c", policy=LOCAL)
    second = fetch(server.url, tmp_path, Limits(), cache=tmp_path / "c", policy=LOCAL)
    assert server.asked[1]["If-None-Match"] == '"v1"'
    assert server.asked[1]["If-Modified-Since"].startswith("Mon, 02 Nov")
    assert (first.unchanged, second.unchanged) == (False, True)
    assert second.sha256 == first.sha256
    assert second.path.read_bytes() == BODY


def test_a_damaged_copy_in_the_cache_is_fetched_again(server, tmp_path):
    server.answers = [(200, {"ETag": '"v1"'}, BODY)]
    first = fetch(server.url, tmp_path, Limits(), cache=tmp_path / "c", policy=LOCAL)
    first.path.write_bytes(b"half")
    assert fetch(server.url, tmp_path, Limits(), cache=tmp_path / "c", policy=LOCAL).path.read_bytes() == BODY
    assert "If-None-Match" not in server.asked[1]


def test_a_passing_failure_is_tried_again(server, tmp_path):
    server.answers = [(503, {"Retry-After": "0"}, b""), (502, {}, b""), (200, {}, BODY)]
    assert fetch(server.url, tmp_path, Limits(), policy=LOCAL).size == len(BODY)
    assert len(server.asked) == 3


def test_a_lasting_failure_is_told_after_three_tries(server, tmp_path):
    server.answers = [(503, {}, b"")]
    assert "HTTP 503" in refused(server.url, tmp_path).message.en
    assert len(server.asked) == 3


def test_a_definite_refusal_is_not_tried_again(server, tmp_path):
    server.answers = [(404, {}, b"")]
    assert "answers 404" in refused(server.url, tmp_path).message.en
    assert len(server.asked) == 1


def test_a_cut_download_is_not_taken_for_the_file(server, tmp_path):
    server.answers = [(200, {"Content-Length": "1000"}, BODY)]
    assert "failed" in refused(server.url, tmp_path).message.en


@pytest.mark.parametrize("declared", [True, False])
def test_the_size_limit_holds_whether_the_size_is_declared_or_not(server, tmp_path, declared):
    body = b"x" * 100_000
    headers = {} if declared else {"Content-Encoding": "gzip", "Content-Length": str(len(gzip.compress(body)))}
    server.answers = [(200, headers, body if declared else gzip.compress(body))]
    assert "limit of 50000" in refused(server.url, tmp_path, max_bytes=50_000).message.en


def test_a_compressed_bomb_is_stopped(server, tmp_path):
    body = gzip.compress(b"0" * 40_000_000)
    server.answers = [(200, {"Content-Encoding": "gzip"}, body)]
    assert "limit" in refused(server.url, tmp_path).message.en


def test_a_slow_server_is_left_at_the_deadline(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/f.csv"
        assert "timeout" in refused(url, tmp_path, Limits(fetch_seconds=0.3)).message.en


def test_an_unreachable_address_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/f.csv"
    assert "refused" in refused(url, tmp_path).message.en.lower()


def test_redirects_are_followed_and_bounded(server, tmp_path):
    server.answers = [(302, {"Location": "/other.csv"}, b""), (200, {}, BODY)]
    assert fetch(server.url, tmp_path, Limits(), policy=LOCAL).url.endswith("/other.csv")
    server.answers = [(302, {"Location": "/again"}, b"")]
    assert "redirections" in refused(server.url, tmp_path).message.en


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x.example/f", "http://user:pass@x.example/", "gopher://x"])
def test_a_redirect_to_something_else_than_http_is_refused(server, tmp_path, location):
    server.answers = [(302, {"Location": location}, b"")]
    assert "not accepted" in refused(server.url, tmp_path).message.en


# --- private networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1", "198.18.0.1", "192.0.2.1", "2001:db8::1"],
)  # fmt: skip
def test_private_addresses_are_recognised_in_every_wrapping(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2a00:1450:4007::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
def test_a_url_into_our_own_network_is_refused_before_anything_is_sent(server, tmp_path, host):
    error = refused(f"http://{host}:{server.server_port}/x?token=t0p", tmp_path, policy=Policy(pause=0))
    assert "private network" in error.message.en
    assert not server.asked


def test_a_redirect_into_our_own_network_is_refused(monkeypatch, server, tmp_path):
    server.answers = [(302, {"Location": "http://inside.example/secret"}, b"")]
    monkeypatch.setattr(outbound, "is_public", lambda address: address == "127.0.0.1")  # the test server plays the public one
    looked_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo",
        lambda host, *a, **k: [(2, 1, 6, "", ("10.0.0.7", 80))] if host == "inside.example" else looked_up(host, *a, **k),
    )  # fmt: skip
    error = refused(server.url, tmp_path, policy=Policy(pause=0))
    assert "10.0.0.7" in error.message.en
    assert len(server.asked) == 1


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    answers = [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(SourceError, match=r"10\.0\.0\.1"):
        public_addresses("rebind.example", 80)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch, tmp_path):
    answers = [[(2, 1, 6, "", ("93.184.216.34", 80))], [(2, 1, 6, "", ("127.0.0.1", 80))]]  # a name that changes its mind
    connected = []

    def connect(address, *_, **__):
        connected.append(address)
        raise OSError("not in a test")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.pop(0))
    monkeypatch.setattr(outbound, "create_connection", connect)
    refused("http://rebind.example/f.csv", tmp_path, policy=Policy(attempts=1))
    assert connected == [("93.184.216.34", 80)]
    assert len(answers) == 1


def test_an_unknown_name_is_told(monkeypatch, tmp_path):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = refused("http://no.such.example/f.csv", tmp_path, policy=Policy(attempts=2, pause=0))
    assert "not known" in error.message.en


@pytest.mark.parametrize(
    "url", ["ftp://x.example/f", "file:///etc/passwd", "http://", "http://u:p@x.example/", "x.csv", "http://x:99999/"]
)
def test_only_plain_http_addresses_are_accepted(url):
    with pytest.raises(SourceError, match="not accepted"):
        check_url(url)
