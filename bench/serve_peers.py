"""Servers of SPARQL to measure: ours and its peers, each started alone, pinned to one core, and stopped by its process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bench.serve_data import BASE, make_territory, publish

_PATIENCE = 600.0
_PROCESSES = ("web", "workers")


class Server(ABC):
    """One server with the city in it."""

    name = ""
    query_path = "/sparql"

    def __init__(self, folder: Path, port: int, core: str | None) -> None:
        self.folder, self.port = folder, port
        self._pin = ["taskset", "-c", core] if core is not None else []
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def load(self, places: Path, data: Path) -> None:
        """Bring the city in, before the server starts."""

    @abstractmethod
    def command(self) -> list[str]:
        """Give the command that serves."""

    def describe(self, n: str) -> str:
        """Give the path that describes reading n."""
        return self.query(f"DESCRIBE <{BASE}id/reading/{n}>")

    def query(self, text: str) -> str:
        """Give the path of a query; `{n}` in it stays as it is."""
        return f"{self.query_path}?query={quote(text, safe='').replace('%7Bn%7D', '{n}')}"

    @property
    def origin(self) -> str:
        """Give scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve for as long as the block lasts. Raises OSError when the port is taken: another would be measured."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of one that has ended do not matter
            probe.bind(("127.0.0.1", self.port))
        log = (self.folder / f"{self.name}.log").open("wb")
        with log:
            self.process = subprocess.Popen(
                [*self._pin, *self.command()], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                self._wait()
                yield
            finally:
                self._stop()

    def _wait(self) -> None:
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"{self.name} does not start; see {self.folder / self.name}.log")
            with contextlib.suppress(OSError, urllib.error.URLError):
                request = urllib.request.Request(self.origin + self.query("ASK { ?s ?p ?o }"))
                request.add_header("Accept", "application/sparql-results+json")
                with urllib.request.urlopen(request, timeout=30) as answer:
                    if b"true" in answer.read():
                        return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer")

    def _stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def memory(self) -> int:
        """Sum the resident bytes of all processes of this server."""
        return sum(_resident(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """List the processes of this server."""
        if self.process is None:
            return []
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += [int(child) for child in (task / "children").read_text().split()]
        return found


def _resident(pid: int) -> int:
    """Read what a process alone keeps in memory, and its share of what several keep (PSS)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class City(Server):
    """This project."""

    name = "cityorchestra"

    def load(self, places: Path, data: Path) -> None:
        publish(make_territory(self.folder / "city"), places, data)

    def command(self) -> list[str]:
        serve = str(Path(sys.executable).with_name("cityorchestra"))
        return [serve, "serve", "--territory", str(self.folder / "city"), "--port", str(self.port)]

    def describe(self, n: str) -> str:
        return f"/doc/reading/{n}"

    def _wait(self) -> None:
        super()._wait()
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends and not self._settled():
            time.sleep(0.2)

    def _settled(self) -> bool:
        """Tell whether what fits in memory is there; it comes after the first answers, which are read from disk."""
        with urllib.request.urlopen(f"{self.origin}/-/metrics", timeout=30) as answer:
            known = dict(line.rpartition(" ")[::2] for line in answer.read().decode().splitlines() if not line.startswith("#"))
        needed = {name: known.get(f'cityorchestra_resident_needed_bytes{{process="{name}"}}') for name in _PROCESSES}
        allowed = float(known.get("cityorchestra_resident_allowed_bytes", "inf"))
        there = {name: known.get(f'cityorchestra_resident{{process="{name}"}}') == "1" for name in _PROCESSES}
        sizes = [float(size) for size in needed.values() if size is not None]
        all_fit = len(sizes) == len(needed) and sum(sizes) <= allowed
        too_large = {"web": bool(sizes) and sizes[0] > allowed, "workers": not all_fit}
        return len(sizes) == len(needed) and all(there[name] or too_large[name] for name in needed)


class Oxigraph(Server):
    """The Oxigraph server, of the same engine."""

    name = "oxigraph"
    query_path = "/query"

    def load(self, places: Path, data: Path) -> None:
        for file in (places, data):
            subprocess.run(
                [_peer("oxigraph"), "load", "--location", str(self.folder / "oxigraph"), "--file", str(file)],
                check=True,
                capture_output=True,
            )
        subprocess.run(
            [_peer("oxigraph"), "optimize", "--location", str(self.folder / "oxigraph")], check=True, capture_output=True
        )

    def command(self) -> list[str]:
        return [
            _peer("oxigraph"),
            "serve-read-only",
            "--location",
            str(self.folder / "oxigraph"),
            "--bind",
            f"127.0.0.1:{self.port}",
        ]


class Virtuoso(Server):
    """Virtuoso open source, as Debian packages it."""

    name = "virtuoso"

    def load(self, places: Path, data: Path) -> None:
        home = self.folder / "virtuoso"
        home.mkdir()
        (home / "virtuoso.ini").write_text(
            _VIRTUOSO.format(home=home, folder=self.folder, port=self.port, sql=self.port + 1000), encoding="utf-8"
        )
        with self.running_empty():
            for file in (places, data):
                self._sql(f"DB.DBA.TTLP_MT (file_to_string_output ('{file}'), '', '{BASE}graph', 255);")
            self._sql("checkpoint;")

    @contextlib.contextmanager
    def running_empty(self) -> Iterator[None]:
        """Run to be filled: ready when the SQL port answers."""
        process = subprocess.Popen(self.command(), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                if self._isql("status();").returncode == 0:
                    break
                time.sleep(0.2)
            yield
        finally:
            self._isql("shutdown;")
            process.wait(60)

    def _isql(self, statement: str) -> subprocess.CompletedProcess[bytes]:
        login = ["isql-vt", f"127.0.0.1:{self.port + 1000}", "dba", "dba", f"exec={statement}"]
        return subprocess.run(login, capture_output=True, check=False)

    def _sql(self, statement: str) -> None:
        done = self._isql(statement)
        if done.returncode != 0 or b"*** Error" in done.stderr + done.stdout:
            raise RuntimeError(f"virtuoso: {(done.stderr + done.stdout).decode()[-500:]}")

    def command(self) -> list[str]:
        return ["virtuoso-t", "+foreground", "+configfile", str(self.folder / "virtuoso" / "virtuoso.ini")]


_VIRTUOSO = """
[Database]
DatabaseFile = {home}/virtuoso.db
ErrorLogFile = {home}/virtuoso.log
LockFile = {home}/virtuoso.lck
TransactionFile = {home}/virtuoso.trx
xa_persistent_file = {home}/virtuoso.pxa
[TempDatabase]
DatabaseFile = {home}/virtuoso-temp.db
TransactionFile = {home}/virtuoso-temp.trx
[Parameters]
ServerPort = 127.0.0.1:{sql}
NumberOfBuffers = 340000
MaxDirtyBuffers = 250000
DirsAllowed = {folder}
ServerThreads = 20
[HTTPServer]
ServerPort = 127.0.0.1:{port}
ServerThreads = 20
[SPARQL]
ResultSetMaxRows = 1000000
MaxQueryExecutionTime = 600
"""


class RdflibEndpoint(Server):
    """rdflib-endpoint, what a Python user would set up first."""

    name = "rdflib-endpoint"
    query_path = "/"

    def load(self, places: Path, data: Path) -> None:
        self._files = [str(places), str(data)]

    def command(self) -> list[str]:
        return [_peer("rdflib-endpoint"), "serve", "--host", "127.0.0.1", "--port", str(self.port), *self._files]


def _peer(name: str) -> str:
    folder = os.environ.get("CITYORCHESTRA_PEERS", "")
    found = shutil.which(name, path=f"{folder}:{os.environ.get('PATH', '')}")
    if found is None:
        raise FileNotFoundError(name)
    return found


def peers_environment(folder: Path) -> None:
    """Install the peers that PyPI has into an environment of their own, once; the commands above find them there."""
    binaries = folder / "bin"
    wanted = Path(__file__).with_name("serve_peers.txt")
    mark = folder / "ready"
    if not mark.exists() or mark.read_text(encoding="utf-8") != wanted.read_text(encoding="utf-8"):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(binaries / "pip"), "install", "--quiet", "--requirement", str(wanted)], check=True)
        mark.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    os.environ["CITYORCHESTRA_PEERS"] = str(binaries)
