"""Publish whole versions while sixteen clients ask: no error, no mixture of versions, and what they feel of it.

`python -m bench.publishing`. One dataset is published three times beside a running service: first, with every triple changed,
and with 1.5 % changed. Each answer is held to the versions that it may come from; a client never goes back to an older one.
Clients go before everybody on this machine, having machines of their own in life.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench.asking import another_machine, ask
from bench.hostile import percentile
from bench.serve_data import BASE, make_territory
from bench.serve_peers import City
from cityorchestra_ld.courtesy import stand_back
from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import load_territory

PROPERTIES = 8
CLIENTS = 16
PAUSE = 0.03  # seconds between two requests of a client
ONE_IN = 67  # of the things, 1.5 %, change the second time
GOALS = {"every triple changed": 30.0, "1.5 % changed": 10.0}
SWITCH = 0.2
_VALUE = re.compile(rb'"(\d+)-(\d+)-v(\d)"')
_COUNT = f"SELECT (COUNT(?o) AS ?n) (MIN(?v) AS ?least) WHERE {{ ?s <{BASE}def/co#p0> ?o BIND(1 AS ?v) }}"


def version_of(thing: int, version: int) -> int:
    """Tell with which version a thing last changed."""
    return version if version < 3 or thing % ONE_IN == 0 else 2


def write_version(path: Path, things: int, version: int) -> None:
    """Write a version of the dataset as N-Triples."""
    with path.open("w", encoding="utf-8") as out:
        for n in range(things):
            made = version_of(n, version)
            out.writelines(
                f'<{BASE}id/reading/{n}> <{BASE}def/co#p{number}> "{n}-{number}-v{made}" .\n' for number in range(PROPERTIES)
            )


def publish(root: Path, path: Path, version: int) -> None:
    """Publish a version of the dataset as the next generation; what `--publish` does in a process of its own."""
    territory = load_territory(root)
    graph = territory.iris.graph("data", "ville", "readings")
    info = GraphInfo(graph=graph, role="data", dataset="ville/readings", version=str(version))
    with open_store(territory.state / "store", territory.limits, keep=2, base_iri=territory.base_iri) as store:
        store.publish([GraphChange(info=info, content=path)])


@dataclass
class Clients:
    """Sixteen clients, what they waited, and what was wrong with what they got."""

    port: int
    things: int
    stop: threading.Event = field(default_factory=threading.Event)
    allowed: tuple[int, ...] = (1,)
    waits: list[tuple[float, str, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seen: dict[int, float] = field(default_factory=dict)  # when a version was first answered

    def behave(self, number: int) -> None:
        another_machine()
        chance, newest = random.Random(number), 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stop.is_set():
            n = chance.randrange(self.things // ONE_IN) * ONE_IN  # of those that every version changes
            kind, path, accept = self._question(number, n)
            may = self.allowed
            began = time.perf_counter()
            status, body = ask(connection, path, accept)
            now = time.perf_counter()
            self.waits.append((began, kind, now - began))
            versions = self._versions(kind, n, status, body)
            if versions is None or len(versions) > 1 or not versions <= {*may, *self.allowed}:
                self.wrong.append(f"{kind} of {n}: {status}, versions {versions} of {may}: {body[:300]!r}")
            elif versions:
                version = versions.pop()
                self.seen.setdefault(version, now)
                if version < newest:
                    self.wrong.append(f"{kind}: version {version} after {newest}")
                newest = max(newest, version)
            self.stop.wait(PAUSE)
        connection.close()

    def _question(self, number: int, n: int) -> tuple[str, str, str]:
        if number == 0:
            return (
                "aggregate",
                f"/sparql?query={quote(_COUNT + f' # {time.monotonic_ns()}')}",
                "application/sparql-results+json",
            )
        if number % 2:
            return "look-up", f"/doc/reading/{n}", "text/turtle"
        query = f"SELECT ?p ?o WHERE {{ <{BASE}id/reading/{n}> ?p ?o }}"
        return "small SELECT", f"/sparql?query={quote(query)}", "application/sparql-results+json"

    def _versions(self, kind: str, n: int, status: int, body: bytes) -> set[int] | None:
        """Return the versions in an answer, `None` when the answer is not one."""
        if status != 200:
            return None
        if kind == "aggregate":
            return set() if json.loads(body)["results"]["bindings"][0]["n"]["value"] == str(self.things) else None
        found = [(int(thing), int(version)) for thing, _, version in _VALUE.findall(body)]
        right = len(found) == PROPERTIES and all(thing == n for thing, _ in found)
        return {version for _, version in found} if right else None

    def felt(self, start: float, end: float) -> dict[str, list[float]]:
        """Give median and 99th percentile, in milliseconds, of what was asked in a span of time."""
        kinds = ("look-up", "small SELECT", "aggregate")
        spans = {kind: [took for at, what, took in self.waits if what == kind and start <= at < end] for kind in kinds}
        return {kind: [round(percentile(took, share), 2) for share in (0.5, 0.99)] for kind, took in spans.items()}


def measured(clients: Clients, root: Path, path: Path, version: int) -> dict[str, object]:
    """Publish a version in another process while clients ask; give the seconds and what clients felt."""
    begin = time.perf_counter()
    clients.allowed = (version - 1, version)
    publisher = [sys.executable, "-m", "bench.publishing", "--publish", str(root), str(path), str(version)]
    subprocess.run(publisher, check=True, start_new_session=True)
    published = time.perf_counter()
    while version not in clients.seen and time.perf_counter() < published + 20:
        time.sleep(0.005)
    switched = clients.seen.get(version, float("inf"))
    time.sleep(2)  # whoever asked just before has an answer by now
    clients.allowed = (version,)
    worst = max((took for at, _, took in clients.waits if published - 0.5 <= at < switched + 2), default=0.0)
    return {
        "publish, s": round(published - begin, 2),
        "from the end of the publication to the first answer of the new version, ms": round((switched - published) * 1e3, 1),
        "slowest answer around the switch, ms": round(worst * 1e3, 1),
        "median and p99 meanwhile, ms": clients.felt(begin, switched + 2),
    }


def run(triples: int, port: int, seconds: float, folder: Path, out: Callable[[dict[str, object]], None]) -> int:
    """Measure before, while everything changes, and while little changes."""
    things = triples // PROPERTIES
    territory = make_territory(folder / "city")
    files = [folder / f"v{version}.nt" for version in (1, 2, 3)]
    for version, path in enumerate(files, 1):
        write_version(path, things, version)
    publish(territory.root, files[0], 1)
    server = City(folder, port, None)
    with server.running():
        clients = Clients(port, things)
        threads = [threading.Thread(target=clients.behave, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        begin = time.perf_counter()
        time.sleep(seconds)
        before = clients.felt(begin, time.perf_counter())
        report: dict[str, object] = {"triples": things * PROPERTIES, "before, median and p99, ms": before}
        for version, (name, goal) in enumerate(GOALS.items(), 2):
            report[name] = measured(clients, territory.root, files[version - 1], version) | {"goal, s": goal}
        clients.stop.set()
        for thread in threads:
            thread.join(60)
    report |= {"answers": len(clients.waits), "wrong": clients.wrong[:5], "wrong answers": len(clients.wrong)}
    out(report)
    return 1 if clients.wrong or len(clients.seen) < len(files) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triples", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=15, help="of asking before anything is published")
    parser.add_argument("--port", type=int, default=8797)
    parser.add_argument("--publish", nargs=3, metavar=("TERRITORY", "FILE", "VERSION"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("reports/bench-publishing.json"))
    arguments = parser.parse_args()
    if arguments.publish:
        stand_back()  # as `cityorchestra run` does
        with contextlib.suppress(OSError):  # and as its unit does (CPUWeight=idle): Linux shares time between sessions first
            Path("/proc/self/autogroup").write_text("19", encoding="ascii")
        root, path, version = arguments.publish
        publish(Path(root), Path(path), int(version))
        return 0

    def out(report: dict[str, object]) -> None:
        text = json.dumps(report, indent=1)
        print(text)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")

    with tempfile.TemporaryDirectory(prefix="cityorchestra-publishing-") as name:
        return run(arguments.triples, arguments.port, arguments.seconds, Path(name), out)


if __name__ == "__main__":
    sys.exit(main())
