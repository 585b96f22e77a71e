"""Real SPARQL servers, each on a port of its own in a folder of its own; and one between us and them that does harm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyoxigraph as ox
import pytest
import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

from cityorchestra_ld.model import StoreServer

BASE = "https://ld.cityorchestra.example/"
FUSEKI = sorted((Path.home() / ".cache" / "cityorchestra").glob("jena-fuseki-server-*.jar"))[-1:]
PASSWORD = "SPARQL_SERVER_PASSWORD"
_VIRTUOSO = """[Database]
DatabaseFile = {folder}/virtuoso.db
ErrorLogFile = {folder}/virtuoso.log
LockFile = {folder}/virtuoso.lck
TransactionFile = {folder}/virtuoso.trx
xa_persistent_file = {folder}/virtuoso.pxa
[TempDatabase]
DatabaseFile = {folder}/temporary.db
TransactionFile = {folder}/temporary.trx
[Parameters]
ServerPort = 127.0.0.1:{beside}
NumberOfBuffers = 10000
MaxDirtyBuffers = 6000
TransactionAfterImageLimit = 2000000000
[HTTPServer]
ServerPort = 127.0.0.1:{port}
ServerThreads = 10
[SPARQL]
ResultSetMaxRows = 10000
MaxQueryCostEstimationTime = 400
MaxQueryExecutionTime = 60
"""


@dataclass(frozen=True)
class Running:
    """A server that runs, and what an outsider sees in it."""

    settings: StoreServer
    authentication: HTTPBasicAuth | HTTPDigestAuth | None

    def rows(self, query: str) -> list[dict[str, str]]:
        answer = requests.post(
            self.settings.query, data={"query": query}, auth=self.authentication, timeout=30,
            headers={"Accept": "application/sparql-results+json"},
        )  # fmt: skip
        answer.raise_for_status()
        return [{name: term["value"] for name, term in row.items()} for row in answer.json()["results"]["bindings"]]

    def graphs(self) -> set[str]:
        """List our graphs."""
        query = (
            "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } "
            f"FILTER(STRSTARTS(STR(?g), '{BASE}') || STRSTARTS(STR(?g), 'urn:cityorchestra:')) }}"
        )
        return {row["g"] for row in self.rows(query)}

    def lines(self, graph: str) -> set[str]:
        """Read a graph."""
        answer = requests.get(
            self.settings.data, params={"graph": graph}, auth=self.authentication, timeout=30,
            headers={"Accept": "application/n-triples"},
        )  # fmt: skip
        if answer.status_code == 404:
            return set()
        answer.raise_for_status()
        return {f"{quad.triple} ." for quad in ox.parse(answer.content, ox.RdfFormat.N_TRIPLES)}

    def clear(self) -> None:
        """Take our graphs away."""
        for graph in self.graphs():
            text = f"DROP SILENT GRAPH <{graph}>"
            requests.post(
                self.settings.update, data={"update": text}, auth=self.authentication, timeout=30
            ).raise_for_status()  # fmt: skip


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _oxigraph(folder: Path, port: int) -> tuple[list[str], StoreServer]:
    program = Path(sys.executable).with_name("oxigraph")
    if not program.exists():
        pytest.skip("NO OXIGRAPH SERVER: pip install oxigraph")
    at = f"http://127.0.0.1:{port}"
    command = [str(program), "serve", "--location", str(folder / "db"), "--bind", f"127.0.0.1:{port}"]
    return command, StoreServer(query=f"{at}/query", update=f"{at}/update", data=f"{at}/store", seconds=60)


def _fuseki(folder: Path, port: int) -> tuple[list[str], StoreServer]:
    java = shutil.which("java")
    if java is None or not FUSEKI:
        pytest.skip("NO FUSEKI: run tools/sparql_servers.sh")
    (folder / "passwords").write_text("publisher: of-tests\n", encoding="utf-8")
    (folder / "db").mkdir()
    command = [
        java, "-Xmx512m", "-jar", str(FUSEKI[0]), "--localhost", f"--port={port}", "--update", "--tdb2",
        f"--loc={folder / 'db'}", "--auth=basic", f"--passwd={folder / 'passwords'}", "/ds",
    ]  # fmt: skip
    at = f"http://127.0.0.1:{port}/ds"
    return command, StoreServer(
        query=f"{at}/query", update=f"{at}/update", data=f"{at}/data", user="publisher", password_env=PASSWORD, seconds=60
    )


def _virtuoso(folder: Path, port: int) -> tuple[list[str], StoreServer]:
    program = shutil.which("virtuoso-t")
    if program is None:
        pytest.skip("NO VIRTUOSO: run tools/sparql_servers.sh as root, or install virtuoso-opensource-7")
    settings = folder / "virtuoso.ini"
    settings.write_text(_VIRTUOSO.format(folder=folder, port=port, beside=free_port()), encoding="utf-8")
    at = f"http://127.0.0.1:{port}"
    return [program, "+foreground", "+configfile", str(settings)], StoreServer(
        query=f"{at}/sparql-auth", update=f"{at}/sparql-auth", data=f"{at}/sparql-graph-crud-auth", product="virtuoso",
        user="dba", password_env=PASSWORD, seconds=60,
    )  # fmt: skip


KINDS = {"oxigraph": _oxigraph, "fuseki": _fuseki, "virtuoso": _virtuoso}
PASSWORDS = {"fuseki": "of-tests", "virtuoso": "dba"}


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Running]]:
    """Start a kind of server once, when it is first asked for."""
    started: dict[str, tuple[Running, subprocess.Popen[bytes]]] = {}

    def start(kind: str) -> Running:
        if kind not in started:
            folder = tmp_path_factory.mktemp(kind)
            command, settings = KINDS[kind](folder, free_port())
            signer = HTTPDigestAuth if settings.product == "virtuoso" else HTTPBasicAuth
            running = Running(settings, signer(settings.user, PASSWORDS[kind]) if settings.user else None)
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                    env=os.environ | {"FUSEKI_BASE": str(folder / "fuseki")},
                )  # fmt: skip
            started[kind] = (running, process)
            _until_ready(running, process, folder / "log")
        return started[kind][0]

    yield start
    for _, process in started.values():
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def _until_ready(running: Running, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        with suppress(requests.RequestException):
            running.rows("SELECT ?s WHERE { ?s ?p ?o } LIMIT 1")
            return
        time.sleep(0.1)
    pytest.fail(f"the server does not start:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def server(start_server: Callable[[str], Running], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Running]:
    """Hand out a server of a kind that holds nothing of ours."""

    def empty(kind: str) -> Running:
        running = start_server(kind)
        monkeypatch.setenv(PASSWORD, PASSWORDS.get(kind, ""))
        running.clear()
        return running

    return empty


class Between:
    """A server that passes requests on to another, and does harm to the one with the number `at`."""

    def __init__(self, behind: StoreServer) -> None:
        self.behind = behind
        self.harm: Callable[[BaseHTTPRequestHandler, requests.Response | None], bool] | None = None
        self.at = -1
        self.seen: list[str] = []  # what came, in order
        self.forward = True  # whether the harmed request is passed on
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                number = len(outer.seen)
                outer.seen.append(f"{self.command} {self.path}")
                harmed = number == outer.at and outer.harm is not None
                reply = outer.pass_on(self, body) if not harmed or outer.forward else None
                self.close_connection = True
                if harmed and outer.harm is not None and outer.harm(self, reply):
                    return
                assert reply is not None
                self.send_response(reply.status_code)
                for name in ("Content-Type", "WWW-Authenticate"):
                    if name in reply.headers:
                        self.send_header(name, reply.headers[name])
                self.send_header("Content-Length", str(len(reply.content)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(reply.content)

            do_GET = do_POST = do_PUT = answer

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Clients that go away are part of the test."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        at = f"http://127.0.0.1:{self._http.server_port}"
        self._addresses = {f"/{name}": getattr(behind, name) for name in ("query", "update", "data")}
        self.settings = replace(behind, query=f"{at}/query", update=f"{at}/update", data=f"{at}/data")

    def pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> requests.Response:
        path, _, query = handler.path.partition("?")
        headers = {
            name: handler.headers[name] for name in ("Accept", "Authorization", "Content-Type") if name in handler.headers
        }
        return requests.request(
            handler.command, self._addresses[path], params=query, data=body, headers=headers, timeout=60, allow_redirects=False
        )

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def between() -> Iterator[Callable[[StoreServer], Between]]:
    """Stand between us and a server."""
    made: list[Between] = []

    def stand(behind: StoreServer) -> Between:
        made.append(Between(behind))
        return made[-1]

    yield stand
    for one in made:
        one.close()
