"""Measure the service against its peers on one seeded city: look-ups, small queries, aggregates, streams.

`python -m bench.serve` (needs wrk; Virtuoso is measured when it is installed). Each server runs alone, pinned to core 0, the
client on core 1. Goals are ratios to the Oxigraph server, which is the same engine without anything around it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.serve_data import BASE, PLACES, readings, write_city
from bench.serve_peers import City, Oxigraph, RdflibEndpoint, Server, Virtuoso, peers_environment

TERM = f"{BASE}def/co#"
HOT = 200  # resources that repeated look-ups go round
SMALL = f"SELECT ?p ?o WHERE {{ <{BASE}id/reading/{{n}}> ?p ?o }}"
LINKED = (
    f"SELECT ?value ?label WHERE {{ <{BASE}id/reading/{{n}}> <{TERM}value> ?value ; <{TERM}place> ?place . "
    f"?place <http://www.w3.org/2000/01/rdf-schema#label> ?label }}"
)
SPOKEN = LINKED.replace(" }", ' FILTER(LANG(?label) = "fr") }')
POOLED = LINKED.replace(" }", " FILTER(STRLEN(?label) > 3) }")  # an expression: for a query worker
JOIN = (
    f"SELECT ?label ?value WHERE {{ <{BASE}id/reading/{{n}}> <{TERM}place> ?place . ?r <{TERM}place> ?place ; "
    f"<{TERM}value> ?value . ?place <http://www.w3.org/2000/01/rdf-schema#label> ?label }}"
)  # all readings of the place of one: no two queries are the same
AGGREGATE = (
    f"SELECT ?place (COUNT(?r) AS ?n) (AVG(?value) AS ?mean) WHERE {{ ?r <{TERM}place> ?place ; <{TERM}value> ?value ; "
    f'<{TERM}year> "2020"^^<http://www.w3.org/2001/XMLSchema#gYear> }} GROUP BY ?place'
)
ROWS = f"SELECT ?r ?value WHERE {{ ?r <{TERM}value> ?value }} LIMIT 100000"
MANY = f"SELECT ?a ?b WHERE {{ ?a a <{TERM}Reading> . ?b a <{TERM}Place> }} LIMIT 10000000"
TURTLE, JSON = "text/turtle", "application/sparql-results+json"
SCRIPT = """
local template, count, step, n = %s, %d, %d, %d
request = function()
  n = n + 1
  local path = string.gsub(template, "{n}", tostring((n * step) %% count))
  return wrk.format("GET", path, {["Accept"] = "%s"})
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\\nJSON [%%d,%%d,%%d,%%d,%%d,%%d]\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout, e.status, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass
class Figures:
    """What was measured of one server; rates in requests a second, times in milliseconds, memory in bytes."""

    rates: dict[str, float] = field(default_factory=dict)
    median: dict[str, float] = field(default_factory=dict)
    p99: dict[str, float] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)


class Client:
    """Sends requests to one server, from the other core."""

    def __init__(self, server: Server, folder: Path, seconds: float) -> None:
        self.server, self.folder, self.seconds = server, folder, seconds
        self.figures = Figures()
        self._offset = 0

    def load(self, name: str, path: str, accept: str, *, count: int, connections: int = 8) -> None:
        """Send requests for some seconds; `{n}` in the path goes round `count` numbers."""
        script = self.folder / "wrk.lua"
        step = 7919 if count > 7919 else 1
        script.write_text(SCRIPT % (json.dumps(path), count, step, self._offset, accept), encoding="utf-8")
        self._offset += 100_003
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{self.seconds:g}s", "--timeout", "60s", "-s"]
        said = subprocess.run([*command, str(script), self.server.origin], capture_output=True, text=True, check=True).stdout
        numbers = json.loads(next(line[5:] for line in said.splitlines() if line.startswith("JSON ")))
        requests, micros, errors, refused, median, p99 = numbers
        if errors or refused or not requests:
            raise RuntimeError(f"{self.server.name}, {name}: {errors} errors and {refused} refusals among {requests} answers")
        figures = self.figures
        figures.rates[name] = requests / micros * 1e6
        figures.median[name], figures.p99[name] = median / 1e3, p99 / 1e3

    def stream(self, query: str) -> tuple[float, float, int]:
        """Read one long answer; give the seconds to the first byte and to the last, and the bytes."""
        request = urllib.request.Request(self.server.origin + self.server.query(query), headers={"Accept": JSON})
        start = time.perf_counter()
        with urllib.request.urlopen(request, timeout=600) as answer:
            size = len(answer.read(1))
            first = time.perf_counter() - start
            while block := answer.read(1 << 20):
                size += len(block)
        return first, time.perf_counter() - start, size


def measure(client: Client, triples: int) -> None:
    """Run every load on one server that is up."""
    server, count = client.server, readings(triples)
    client.load("look-up, first time", server.describe("{n}"), TURTLE, count=count)
    client.load("look-up, repeated", server.describe("{n}"), TURTLE, count=HOT)
    client.load("small SELECT", server.query(SMALL), JSON, count=count)
    client.load("small SELECT, repeated", server.query(SMALL.replace("{n}", "7")), JSON, count=1)
    client.load("small SELECT, 16 clients", server.query(SMALL), JSON, count=count, connections=16)
    client.load("small SELECT, three patterns", server.query(LINKED), JSON, count=count)
    client.load("small SELECT, a language", server.query(SPOKEN), JSON, count=count)
    client.load("small SELECT, through the pool", server.query(POOLED), JSON, count=count)
    client.load("join", server.query(JOIN), JSON, count=count)
    client.load("aggregate", server.query(AGGREGATE + " LIMIT {n}"), JSON, count=PLACES, connections=2)
    client.load("aggregate, repeated", server.query(AGGREGATE), JSON, count=1, connections=2)
    rows(client)


def rows(client: Client) -> None:
    """Stream 100 000 rows, alone, then beside others who look things up."""
    others, figures = client.figures.others, client.figures
    times = [client.stream(ROWS) for _ in range(5)]
    others["100 k rows, first byte, ms"] = statistics.median(first for first, _, _ in times) * 1e3
    others["100 k rows, total, ms"] = statistics.median(total for _, total, _ in times) * 1e3
    figures.rates["100 k rows, streamed"] = 1e3 / others["100 k rows, total, ms"]
    waits: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            start = time.perf_counter()
            path = client.server.describe(str(n)).replace("{n}", str(n))
            request = urllib.request.Request(client.server.origin + path, headers={"Accept": TURTLE})
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
            waits.append(time.perf_counter() - start)
            time.sleep(0.005)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(3):
        client.stream(ROWS)
    stop.set()
    thread.join()
    others["look-ups meanwhile, p99, ms"] = sorted(waits)[int(len(waits) * 0.99)] * 1e3


def memory(client: Client) -> None:
    """Stream ten million rows and watch memory."""
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.25):
            seen.append(client.server.memory())

    thread = threading.Thread(target=watch)
    thread.start()
    _, total, size = client.stream(MANY)
    stop.set()
    thread.join()
    client.figures.others["10 M rows, s"] = total
    client.figures.others["10 M rows, MB"] = size / 1e6
    quarter = max(1, len(seen) // 4)
    client.figures.others["memory in the first quarter, MB"] = max(seen[:quarter]) / 1e6
    client.figures.others["memory in the last quarter, MB"] = max(seen[-quarter:]) / 1e6


def table(all_figures: dict[str, Figures]) -> str:
    """Lay the figures out, with the ratio to the Oxigraph server."""
    lines = []
    reference = all_figures.get("oxigraph")
    for name, figures in all_figures.items():
        lines += ["", name]
        for load, rate in figures.rates.items():
            times = f"{figures.median[load]:8.2f} / {figures.p99[load]:8.2f} ms" if load in figures.median else " " * 22
            known = reference.rates.get(load) if reference else None
            ratio = f"{rate / known:6.2f} x oxigraph" if known else ""
            lines.append(f"  {load:30} {rate:10.1f} /s  {times}  {ratio}")
        lines += [f"  {what:40} {value:10.1f}" for what, value in figures.others.items()]
    return "\n".join(lines)


SERVERS: dict[str, Callable[[Path, int, str | None], Server]] = {
    kind.name: kind for kind in (City, Oxigraph, Virtuoso, RdflibEndpoint)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triples", type=int, nargs="+", default=[1_000_000], help="sizes of the city")
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--servers", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    parser.add_argument("--port", type=int, default=8790)
    parser.add_argument("--memory", action="store_true", help="also stream ten million rows from our server")
    parser.add_argument("--peers", type=Path, default=Path("var/bench/peers"), help="environment of the peers")
    parser.add_argument("--out", type=Path, default=Path("reports/bench-serve.json"))
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is needed (Debian package wrk).", file=sys.stderr)
        return 2
    peers_environment(arguments.peers.absolute())
    report: dict[str, dict[str, object]] = {}
    for triples in arguments.triples:
        found = _size(triples, arguments)
        print(f"\n{triples} triples{table(found)}", flush=True)
        report[str(triples)] = {name: asdict(figures) for name, figures in found.items()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _size(triples: int, arguments: argparse.Namespace) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="cityorchestra-bench-") as name:
        folder = Path(name)
        files = write_city(folder, triples)
        for number, kind in enumerate(arguments.servers):
            server = SERVERS[kind](folder, arguments.port + number, "0")
            try:
                start = time.perf_counter()
                server.load(*files)
                loaded = time.perf_counter() - start
            except FileNotFoundError as missing:
                print(f"{kind} is not installed ({missing}): left out", file=sys.stderr)
                continue
            with server.running():
                time.sleep(3)  # what a server does after it has opened its data
                client = Client(server, folder, arguments.seconds)
                client.figures.others["load, s"] = loaded
                measure(client, triples)
                if arguments.memory and kind == City.name:
                    memory(client)
                client.figures.others["memory at the end, MB"] = server.memory() / 1e6
                found[server.name] = client.figures
    return found


if __name__ == "__main__":
    sys.exit(main())
