"""Attack our own service on loopback for a while, and watch what good clients, memory, descriptors and processes have of it.

`python -m bench.hostile --seconds 3600`. Attackers and good clients have loopback addresses of their own, so that budgets tell
them apart. Good clients go before everybody on this machine, having machines of their own in life; attackers do not. It ends
with 1 when the service died, answered a good client wrongly, or kept something.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import quote

from bench.asking import another_machine, ask
from bench.serve_data import BASE, make_territory, publish, readings, write_city
from bench.serve_peers import City

RUNAWAY = (
    "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?c ?f",
    "SELECT (GROUP_CONCAT(?c) AS ?all) { ?a ?b ?c . ?d ?e ?f }",
    "SELECT * { ?a (<x:p>|!<x:q>)* ?b . ?b (<x:p>|!<x:q>)* ?c }",
)
NESTS = (
    "SELECT * { " + "{" * 5000 + "}" * 5000 + " }",
    "SELECT * { ?s ?p ?o FILTER(" + "(" * 4000 + "1" + ")" * 4000 + ") }",
    "SELECT * { ?s ?p ?o FILTER(" + "!" * 9000 + "true) }",
    "SELECT * { ?s " + "(" * 4000 + "<x:p>" + ")" * 4000 + " ?o }",
    "SELECT * { ?s ?p ?o } " + "#" * 90_000,
)
EXPECTED = {200, 400, 404, 406, 408, 413, 414, 415, 429, 431, 503}
QUIET = 40.0  # seconds after the attack before what is left is counted


@dataclass
class Watch:
    """What is seen of the service from outside."""

    server: City
    samples: list[tuple[float, int, int, int]] = field(default_factory=list)  # seconds, bytes, descriptors, processes

    def look(self, at: float) -> None:
        pids = self.server.pids()
        descriptors = 0
        with contextlib.suppress(OSError, IndexError):
            descriptors = len(list(Path(f"/proc/{self.service()}/fd").iterdir()))
        self.samples.append((at, self.server.memory(), descriptors, len(pids)))

    def service(self) -> int:
        return self.server.pids()[0]

    def alive(self) -> bool:
        return self.server.process is not None and self.server.process.poll() is None


Waits = list[tuple[float, str, float]]  # when somebody asked, what, and how long the answer took


def behave(port: int, count: int, seed: int, stop: Event, said: Connection) -> None:
    """Look things up and ask small questions, at the pace of a person with a fast hand, in a process that does nothing else."""
    another_machine()
    waits: Waits = []
    wrong: list[str] = []
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=("127.0.0.9", 0))
    while not stop.is_set():
        n = chance.randrange(count)
        query = f"SELECT ?p ?o WHERE {{ <{BASE}id/reading/{n}> ?p ?o }}"
        for kind, path, accept in (
            ("look-up", f"/doc/reading/{n}", "text/turtle"),
            ("small SELECT", f"/sparql?query={quote(query)}", "application/sparql-results+json"),
        ):
            began = time.perf_counter()
            status, body = ask(connection, path, accept)
            waits.append((began, kind, time.perf_counter() - began))
            if status != 200 or b"reading" not in body.lower():
                wrong.append(f"{kind}: {status} {body[:200]!r}")
        time.sleep(0.02)
    connection.close()
    said.send((waits, wrong))


class Attack:
    """Everything that runs against the service, until it is told to stop."""

    def __init__(self, port: int, triples: int, seed: int) -> None:
        self.port, self.count, self.seed = port, readings(triples), seed
        self.stop, self.attacking = threading.Event(), threading.Event()
        self.statuses: dict[str, Counter[str]] = {}
        self.wrong: list[str] = []

    def connect(self, source: int, timeout: float = 30) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(f"127.0.0.{source}", 0))

    # --- bad ones ---------------------------------------------------------------------------------------------------------

    def every(self, name: str, pause: float, act: Callable[[random.Random, int], object], source: int) -> threading.Thread:
        """Repeat an attack from one address."""
        seen = self.statuses.setdefault(name, Counter())
        chance = random.Random(f"{self.seed} {name} {source}")

        def go() -> None:
            while not self.stop.is_set():
                if not self.attacking.wait(0.2):
                    continue
                try:
                    seen[str(act(chance, source))] += 1
                except TimeoutError:
                    seen["timeout"] += 1
                except (OSError, http.client.HTTPException):
                    seen["cut off"] += 1
                time.sleep(pause)

        return threading.Thread(target=go, name=name, daemon=True)

    def run_away(self, chance: random.Random, source: int) -> int:
        return self._status(source, chance.choice(RUNAWAY))

    def nest(self, chance: random.Random, source: int) -> int:
        return self._status(source, chance.choice(NESTS))

    def _status(self, source: int, query: str) -> int:
        connection = self.connect(source)
        with contextlib.closing(connection):
            connection.request("POST", "/sparql", query.encode(), {"Content-Type": "application/sparql-query"})
            answer = connection.getresponse()
            while answer.read(1 << 16):
                pass
            if answer.status not in EXPECTED:
                self.wrong.append(f"{answer.status} for {query[:100]}")
            return answer.status

    def huge_body(self, chance: random.Random, source: int) -> int:
        connection = self.connect(source)
        with contextlib.closing(connection):
            block = b"x" * 65_536
            connection.request(
                "POST",
                "/sparql",
                (block for _ in range(2_000)),
                {"Content-Type": "application/sparql-query"},
                encode_chunked=True,
            )
            return connection.getresponse().status

    def slow_sender(self, chance: random.Random, source: int) -> str:
        with socket.create_connection(("127.0.0.1", self.port), 30, (f"127.0.0.{source}", 0)) as line:
            head = b"POST /sparql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sparql-query\r\nContent-Length: 1000\r\n\r\n"
            for byte in head[: chance.randrange(20, len(head))] + b"A" * 30:
                line.send(bytes([byte]))
                time.sleep(0.1)
                if self.stop.is_set():
                    break
        return "left"

    def slow_reader(self, chance: random.Random, source: int) -> str:
        connection = self.connect(source)
        with contextlib.closing(connection):
            connection.request("GET", f"/sparql?query={quote('SELECT * { ?s ?p ?o }')}", headers={"Accept": "text/csv"})
            answer = connection.getresponse()
            for _ in range(chance.randrange(5, 60)):
                answer.read(1_000)
                time.sleep(0.5)
                if self.stop.is_set():
                    break
        return "left"

    def leave(self, chance: random.Random, source: int) -> str:
        connection = self.connect(source)
        with contextlib.closing(connection):
            connection.request("GET", f"/sparql?query={quote('SELECT * { ?s ?p ?o }')}")
            connection.getresponse().read(chance.randrange(1, 100_000))
        return "left"

    def rubbish(self, chance: random.Random, source: int) -> str:
        texts = (
            chance.randbytes(2_000),
            b"GET /doc/%zz%00/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
            b"GET /doc/reading/1 HTTP/1.1\r\nHost: x\r\nAccept: " + b"text/*;q=0.1," * 3_000 + b"\r\n\r\n",
            b"QUERY /sparql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        )
        with socket.create_connection(("127.0.0.1", self.port), 10, (f"127.0.0.{source}", 0)) as line:
            line.sendall(chance.choice(texts))
            said = line.recv(200)
        return said[9:12].decode("ascii", "replace") or "closed"

    def idle_crowd(self, chance: random.Random, source: int) -> str:
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 10, (f"127.0.0.{source}", 0)))
            time.sleep(chance.random() * 10)
        return "left"

    def threads(self) -> list[threading.Thread]:
        """List the attackers: what, how often, from which address."""
        return [
            *(self.every("runaway query", 0.1, self.run_away, 20 + n) for n in range(4)),
            *(self.every("nest", 0.3, self.nest, 30 + n) for n in range(2)),
            self.every("huge body", 1.0, self.huge_body, 40),
            *(self.every("slow sender", 0.5, self.slow_sender, 50 + n) for n in range(8)),
            *(self.every("slow reader", 0.5, self.slow_reader, 60 + n) for n in range(3)),
            *(self.every("disconnect", 0.5, self.leave, 70 + n) for n in range(2)),
            self.every("rubbish", 0.2, self.rubbish, 80),
            self.every("idle crowd", 5.0, self.idle_crowd, 90),
        ]


def percentile(values: list[float], share: float) -> float:
    """Give a percentile in milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e3 if values else 0.0


def verdict(attack: Attack, watch: Watch, before: tuple[float, int, int, int], after: tuple[float, int, int, int]) -> list[str]:
    """Say what is wrong, if anything is."""
    wrong = []
    if not watch.alive():
        wrong.append("the service died")
    if attack.wrong:
        wrong.append(f"{len(attack.wrong)} wrong answers, the first: {attack.wrong[0]}")
    for position, name in ((2, "descriptors"), (3, "processes")):
        if after[position] > before[position] + 2:
            wrong.append(f"{name} grew from {before[position]} to {after[position]}")
    if after[1] > before[1] * 1.5 + 100e6:
        wrong.append(f"memory grew from {before[1] / 1e6:.0f} to {after[1] / 1e6:.0f} MB")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--triples", type=int, default=200_000)
    parser.add_argument("--port", type=int, default=8795)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("reports/bench-hostile.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cityorchestra-hostile-") as name:
        folder = Path(name)
        limits = {"query_seconds = 60.0": "query_seconds = 5.0", "query_memory_mb = 4096": "query_memory_mb = 512"}
        limits["client_seconds = 0"] = "client_seconds = 60.0"
        territory = make_territory(folder / "city", limits)
        publish(territory, *write_city(folder, arguments.triples))
        server = City(folder, arguments.port, None)
        with server.running():
            return run(server, arguments)


def run(server: City, arguments: argparse.Namespace) -> int:
    """Measure good clients alone, then under attack, then what is left."""
    attack, watch = Attack(arguments.port, arguments.triples, arguments.seed), Watch(server)
    alone = min(30.0, arguments.seconds / 4)
    start = time.perf_counter()
    spawn = multiprocessing.get_context("spawn")
    stop, (hear, say) = spawn.Event(), spawn.Pipe(duplex=False)
    client = spawn.Process(target=behave, args=(arguments.port, attack.count, arguments.seed, stop, say), daemon=True)
    client.start()
    for thread in attack.threads():
        thread.start()
    time.sleep(alone)
    watch.look(time.perf_counter() - start)
    attack.attacking.set()
    attacked = time.perf_counter()
    while time.perf_counter() - attacked < arguments.seconds and watch.alive():
        time.sleep(5)
        watch.look(time.perf_counter() - start)
    ended = time.perf_counter() - start
    attack.attacking.clear()
    time.sleep(QUIET)
    watch.look(time.perf_counter() - start)
    attack.stop.set()
    stop.set()
    waits, wrong = hear.recv() if hear.poll(60) else ([], ["the good client never came back"])
    attack.wrong += wrong
    report: dict[str, object] = {"seconds": ended - alone, "attacks": {k: dict(v) for k, v in attack.statuses.items()}}
    for kind in ("look-up", "small SELECT"):
        quiet = [took for at, what, took in waits if what == kind and at < attacked]
        busy = [took for at, what, took in waits if what == kind and attacked <= at < start + ended]
        report[kind] = {
            "alone, median and p99, ms": [round(percentile(quiet, share), 2) for share in (0.5, 0.99)],
            "under attack, median and p99, ms": [round(percentile(busy, share), 2) for share in (0.5, 0.99)],
            "requests": len(quiet) + len(busy),
        }
    first, last = watch.samples[0], watch.samples[-1]
    memory = [sample[1] / 1e6 for sample in watch.samples]
    half = len(memory) // 2
    halves = statistics.mean(memory[1:half] or [0]), statistics.mean(memory[half:-1] or [0])
    report["memory, MB: before, first half, second half, after"] = [round(m) for m in (memory[0], *halves, memory[-1])]
    report["descriptors, processes: before, after"] = [first[2:], last[2:]]
    report["wrong"] = verdict(attack, watch, first, last)
    print(json.dumps(report, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
