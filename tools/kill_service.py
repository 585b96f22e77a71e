#!/usr/bin/env python3
"""
Kill any process of a running service again and again, with no warning: web, query workers, publishers and what they start.

    tools/kill_service.py --kills 50 --port 8400

A small town is served and published in a temporary folder. A killed web process is started again at once, as systemd does; a
killed worker must come back by itself; a killed publisher is simply run again. After each kill the service must answer within
`--within` seconds, with the old version or the new one, whole; the store must verify, and no process may be left over.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cityorchestra_ld.store import open_store

BASE = "https://town.example/"
PLACES = 400
WORKERS = 2
COMMAND = [sys.executable, "-c", "from cityorchestra_ld.cli import main; main()"]
QUERY = (
    f"SELECT ?name ?v {{ ?s a <{BASE}def/co#Place> ; <{BASE}def/co#name> ?name ; <{BASE}def/co#version> ?v }} ORDER BY ?name"
)
TERRITORY = f"""
base_iri = "{BASE}"
name = {{ fr = "Bourg d'essai", en = "Test town" }}
publisher = "ville"

[store]
workers = {WORKERS}

[limits]
client_seconds = 0

[partners.ville]
name = "Bourg d'essai"
"""
DATASET = """
title = { fr = "Lieux", en = "Places" }
description = { fr = "Lieux inventés.", en = "Invented places." }
publisher = "ville"
licence = "etalab-2.0"
attribution = "Bourg d'essai"
policy = "open"

[[source]]
name = "places.csv"
path = "places.csv"
format = "csv"
"""
MAPPING = f"""
prefixes:
  co: {BASE}def/co#
  place: {BASE}id/place/
sources:
  places: ["places.csv~csv"]
mappings:
  place:
    sources: places
    subject: place:$(code)
    predicateobjects:
      - [a, co:Place]
      - [co:name, $(name)]
      - [co:version, $(version)]
"""
SHAPES = f"""
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix co: <{BASE}def/co#> .
@prefix csh: <{BASE}def/shapes#> .
csh:Place a sh:NodeShape ; sh:targetClass co:Place ; sh:property csh:Place-name .
csh:Place-name a sh:PropertyShape ; sh:path co:name ; sh:minCount 1 ; sh:maxCount 1 ; sh:message "nom"@fr, "name"@en .
"""


class Broken(Exception):
    """Something that must never happen."""


def wait_for(check: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something is so and return how long it took; raise Broken when it takes too long."""
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > seconds:
            raise Broken(f"after {seconds} s: {what}")
        time.sleep(0.01)
    return time.monotonic() - began


def children(pid: int) -> list[int]:
    """List the processes below one, all the way down."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def expected(version: int) -> str:
    """Write the answer of one version."""
    rows = "".join(f"Lieu {n:04},{version}\r\n" for n in range(PLACES))
    return f"name,v\r\n{rows}"


@dataclass
class Town:
    """A territory, its service and its publisher."""

    root: Path
    port: int
    version: int = 1
    web: subprocess.Popen[bytes] | None = None
    asked: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"CITYORCHESTRA_TERRITORY": str(self.root), "CITYORCHESTRA_STATE": str(self.root / "var")}

    def write(self) -> None:
        for name, text in (
            ("territory.toml", TERRITORY),
            ("mappings/ville/places/dataset.toml", DATASET),
            ("mappings/ville/places/mapping.yml", MAPPING),
            ("shapes/ville/places.ttl", SHAPES),
        ):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")

    def bring(self, version: int) -> None:
        """Put the partner's file of a version where the publisher reads it."""
        rows = "".join(f"{n},Lieu {n:04},{version}\n" for n in range(PLACES))
        (self.root / "places.csv").write_text(f"code,name,version\n{rows}", encoding="utf-8")

    def publisher(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, "run", "ville/places", "--json"],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def publish(self) -> float:
        """Publish to the end; return how long it took."""
        began = time.monotonic()
        with self.publisher() as process:
            said, _ = process.communicate()
        if process.returncode:
            raise Broken(f"the publisher failed with {process.returncode}: {said.decode()[-2000:]}")
        return time.monotonic() - began

    def start(self) -> None:
        log = (self.root / "service.log").open("ab")
        with log:
            self.web = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(self.port)],
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        if self.web is not None:
            left = children(self.web.pid)
            self.web.terminate()
            if self.web.wait(30) != 0:
                raise Broken(f"the service ended with {self.web.returncode}")
            wait_for(lambda: not any(map(is_alive, left)), 5, "workers are left after the end of the service")

    def ask(self, path: str) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def answers(self, versions: set[int]) -> bool:
        """Tell whether the service answers; raise Broken when that is not one of these versions, whole."""
        try:
            self.asked += 1  # each query is another one, so that nothing remembered answers it
            status, body = self.ask(f"/sparql?format=csv&query={quote(f'{QUERY} # {self.asked}')}")
        except (OSError, http.client.HTTPException):
            return False
        if status != 200:
            return False
        if body not in {expected(version) for version in versions}:
            raise Broken(f"a wrong answer, neither of {versions}: {body[:300]}")
        return True

    def is_full(self) -> bool:
        """Tell whether all workers are there."""
        try:
            status, body = self.ask("/-/metrics")
        except (OSError, http.client.HTTPException):
            return False
        found = [line for line in body.splitlines() if line.startswith('cityorchestra_workers{state="alive"}')]
        return status == 200 and bool(found) and int(found[0].split()[-1]) >= WORKERS

    def verify(self) -> None:
        problems = open_store(self.root / "var" / "store").verify(deep=True)
        if problems:
            raise Broken("; ".join(problem.en for problem in problems))


def kill_web(town: Town, chance: random.Random) -> float:
    """Kill the web process in the middle of its work; a supervisor starts it again."""
    assert town.web is not None
    workers = children(town.web.pid)
    time.sleep(chance.uniform(0, 0.3))
    began = time.monotonic()
    town.web.kill()
    town.web.wait()
    town.start()
    wait_for(lambda: town.answers({town.version}), 60, "the service is not back")
    took = time.monotonic() - began
    wait_for(lambda: not any(map(is_alive, workers)), 5, "workers outlive their web process")
    wait_for(town.is_full, 20, "workers are missing")
    return took


def kill_worker(town: Town, chance: random.Random) -> float:
    """Kill a query worker, or another process of the service; the others answer, and it is replaced if it is needed."""
    assert town.web is not None
    time.sleep(chance.uniform(0, 0.1))
    while True:
        victim = chance.choice(children(town.web.pid))
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):  # one that cuts a copy ends by itself
            os.kill(victim, signal.SIGKILL)
            break
    wait_for(lambda: town.answers({town.version}), 20, "the service does not answer")
    took = time.monotonic() - began
    wait_for(lambda: not is_alive(victim) and town.is_full(), 20, "the worker is not replaced")
    return took


def kill_publisher(town: Town, chance: random.Random, lasts: float) -> float:
    """Kill a publisher, or a process that it started, at any moment; the service goes on, and the next run publishes."""
    old, new = town.version, town.version + 1
    town.bring(new)
    process = town.publisher()
    time.sleep(chance.uniform(0, lasts))
    family = [process.pid, *children(process.pid)]
    began = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(family), signal.SIGKILL)
    wait_for(lambda: town.answers({old, new}), 20, "the service does not answer")
    took = time.monotonic() - began
    process.communicate()
    wait_for(lambda: not any(map(is_alive, family)), 5, "something outlives the publisher")
    town.verify()
    town.publish()
    wait_for(lambda: town.answers({old, new}) and town.ask("/-/ready")[0] == 200, 20, "the service does not answer")
    town.version = new

    def switched() -> bool:
        with contextlib.suppress(Broken):
            return town.answers({new})
        return False

    wait_for(switched, 20, "the new version is not served")
    return took


def main() -> int:
    """Kill, ask, look, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--within", type=float, default=2.0, help="seconds in which the service must answer again")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    took: dict[str, list[float]] = {"web": [], "worker": [], "publisher": []}
    with tempfile.TemporaryDirectory(prefix="kill-service-") as folder:
        town = Town(Path(folder), arguments.port)
        try:
            trials(town, arguments.kills, random.Random(seed), took)
        except Broken as broken:
            print(f"BROKEN (seed {seed}): {broken}")
            with contextlib.suppress(OSError):
                print((town.root / "service.log").read_text(encoding="utf-8")[-3000:])
            return 1
        finally:
            if town.web is not None and town.web.poll() is None:
                town.web.kill()
                town.web.wait()
    report: dict[str, object] = {"seed": seed, "load": os.getloadavg()[0], "processors": os.cpu_count()}
    for name, seconds in took.items():
        if seconds:
            report[name] = {
                "kills": len(seconds), "median s": round(statistics.median(seconds), 2), "worst s": round(max(seconds), 2)
            }  # fmt: skip
    print(json.dumps(report, indent=2))
    late = sum(second >= arguments.within for seconds in took.values() for second in seconds)
    print(f"{sum(map(len, took.values()))} kills, 0 wrong answers, nothing lost, {late} times back after {arguments.within} s")
    return 1 if late else 0


def trials(town: Town, kills: int, chance: random.Random, took: dict[str, list[float]]) -> None:
    """Run all trials on one town."""
    town.write()
    town.bring(1)
    lasts = town.publish()
    town.start()
    wait_for(lambda: town.answers({1}), 60, "the service does not start")
    for number in range(kills):
        kind = ("web", "worker", "publisher")[number % 3]
        if kind == "web":
            took[kind].append(kill_web(town, chance))
        elif kind == "worker":
            took[kind].append(kill_worker(town, chance))
        else:
            took[kind].append(kill_publisher(town, chance, lasts))
    town.verify()
    town.stop()


if __name__ == "__main__":
    sys.exit(main())
