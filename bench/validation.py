"""Measure validation: speed against the reference, growth, memory, and the cost of a small change on a large graph."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pyoxigraph as ox

from cityorchestra_ld.model import Limits, ValidationReport
from cityorchestra_ld.validation import Published, ShapesGraph, load_shapes, validate, validate_change
from cityorchestra_ld.validation.check import raw_results
from cityorchestra_ld.validation.engines import FastValidator, ReferenceValidator

T = TypeVar("T")
B, XSD = "https://bench.example/", "http://www.w3.org/2001/XMLSchema#"
TYPE, LABEL = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", "<http://www.w3.org/2000/01/rdf-schema#label>"
FAULTS = 0.005
LIMITS = Limits(report_samples=10**6, validation_seconds=3600)
SHAPES = Path(__file__).with_name("validation.ttl")


def iri(*parts: object) -> str:
    return f"<{B}{'/'.join(map(str, parts))}>"


def literal(value: object, datatype: str = "") -> str:
    return f'"{value}"' + (f"^^<{XSD}{datatype}>" if datatype else "")


class City:
    """Blocks of one town with its stops, sensors, readings, figures and events; the same seed gives the same triples."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)

    def wrong(self, right: str, fault: str) -> str:
        return fault if self.chance.random() < FAULTS else right

    def lines(self, triples: int, first: int = 0) -> Iterator[str]:
        count, number = 0, first
        while count < triples:
            for subject, found in self.block(number):
                for predicate, value in found:
                    yield f"{subject} {predicate if predicate[0] == '<' else iri('def#' + predicate)} {value} .\n"
                    count += 1
            number += 1

    def block(self, n: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        town, chance, wrong = iri("town", n), self.chance, self.wrong
        yield (
            town,
            [
                (TYPE, iri("def#Town")),
                ("code", wrong(literal(f"{n % 100000:05}"), literal("2A04"))),
                (LABEL, f'"Ville {n}"@fr'),
                (LABEL, wrong(f'"Town {n}"@en', '"Ort"@de')),
                ("population", wrong(literal(chance.randint(50, 90000), "integer"), literal("-5", "integer"))),
            ],
        )
        stops = [iri("stop", n, i) for i in range(5)]
        for i, stop in enumerate(stops):
            yield (
                stop,
                [
                    (TYPE, iri("def#Stop" if i else "def#Station")),
                    ("name", literal(f"Arrêt {n}-{i}")),
                    ("inTown", wrong(town, iri("nowhere"))),
                    ("lat", wrong(literal(f"{chance.uniform(42, 51):.5f}", "decimal"), literal("123.4", "decimal"))),
                    ("long", literal(f"{chance.uniform(-4, 8):.5f}", "decimal")),
                    ("access", wrong(literal("yes"), literal("oui"))),
                    *([("parent", wrong(stops[0], town))] if i else []),
                ],
            )
        for i in range(2):
            extra = [("mail", literal("x@y.fr"))] if chance.random() < FAULTS else []
            yield (
                iri("sensor", n, i),
                [(TYPE, iri("def#Sensor")), ("serial", wrong(literal(f"SN{n}{i}"), literal("none"))), ("inTown", town), *extra],
            )
        for i in range(9):
            yield (
                iri("reading", n, i),
                [
                    (TYPE, iri("def#Reading")),
                    ("of", wrong(stops[i % 5] if i % 2 else town, iri("sensor", n, 0))),
                    ("measures", wrong(iri("def#" + ("pm10", "no2", "o3")[i % 3]), iri("def#noise"))),
                    (
                        "time",
                        wrong(
                            literal(f"2026-{1 + n % 12:02}-{1 + n % 28:02}T{i:02}:00:00Z", "dateTime"),
                            literal("2026-01-01 12:00"),
                        ),
                    ),
                    ("result", wrong(literal(f"{chance.uniform(0, 80):.2f}", "decimal"), literal("n/a"))),
                    ("sensor", iri("sensor", n, i % 2)),
                ],
            )
        yield (
            iri("bulletin", n),
            [
                (TYPE, iri("def#Bulletin")),
                ("published", literal("2026-05-01", "date")),
                *(("holds", iri("reading", n, i)) for i in range(9)),
            ],
        )
        for i in range(8):
            value = chance.randint(11, 5000)
            yield (
                iri("figure", n, i),
                [
                    (TYPE, iri("def#Figure")),
                    ("area", wrong(town, stops[1])),
                    ("period", wrong(literal(f"{2018 + i}-Q1"), literal("Q1 2018"))),
                    ("sex", wrong(iri("def#total"), iri("def#all"))),
                    ("count", literal(int(wrong(str(value), "7")), "integer")),
                    ("status", literal("A")),
                ],
            )
        yield (
            iri("event", n),
            [
                (TYPE, iri("def#Event")),
                ("begin", literal("2026-05-01T10:00:00Z", "dateTime")),
                ("end", wrong(literal("2026-05-02T10:00:00Z", "dateTime"), literal("demain"))),
            ],
        )
        yield (
            iri("line", n),
            [
                (TYPE, iri("def#Line")),
                ("calls", stops[1]),
                ("calls", stops[2]),
                ("start", stops[1]),
                ("first", wrong(stops[1], stops[2])),
                ("publisher", iri("org", n % 3)),
            ],
        )
        if n < 3:
            yield iri("org", n), [("mail", literal(f"data{n}@bench.example"))]


def size(text: str) -> int:
    return int(float(text.rstrip("kM")) * {"k": 1_000, "M": 1_000_000}.get(text[-1], 1))


class Memory:
    """Watch how much memory this process and its children use at once (Linux)."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
            self.peak = max(self.peak, sum(map(resident, {str(os.getpid()), *children})))


def resident(process: str) -> int:
    """Return the memory of a process in bytes; none when it has just ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def processor() -> float:
    """Return the processor seconds of this process and of its children so far; other work on the machine does not count."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def timed(call: Callable[[], T], times: int = 1) -> tuple[T, dict[str, float]]:
    """Call a few times; return the answer, and the least seconds on the clock and of the processor."""
    clock, work = [], []
    for _ in range(times):
        start, before = time.perf_counter(), processor()
        answer = call()
        clock.append(time.perf_counter() - start)
        work.append(processor() - before)
    return answer, {"seconds": round(min(clock), 2), "processor": round(min(work), 2)}


def validated(data: Path, times: int) -> tuple[ValidationReport, dict[str, float], int]:
    """Validate in a process of its own."""
    shapes = load_shapes([SHAPES], base_iri=B)
    with Memory() as memory:
        report, took = timed(lambda: validate(data, shapes, engine="fast", limits=LIMITS), times)
    return report, took, memory.peak >> 20


class Bench:
    """Figures as they come, on the terminal and at last in a file."""

    def __init__(self, folder: Path, shapes: ShapesGraph) -> None:
        self.folder, self.shapes = folder, shapes
        self.figures: dict[str, list[dict[str, Any]]] = {"full": [], "reference": [], "change": []}

    def note(self, what: str, **figures: object) -> None:
        self.figures[what].append(figures)
        print(f"{what:10}" + "  ".join(f"{name} {value}" for name, value in figures.items()), flush=True)

    def measure(self, name: str, *, reference: bool) -> None:
        """Validate one graph, with the reference too where it is asked for; then add a small change to it."""
        data = self.folder / f"{name}.nt"
        with data.open("w") as out:
            out.writelines(City().lines(size(name)))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:  # so that its memory is its own
            report, took, peak = apart.submit(validated, data, 3 if size(name) <= 10**5 else 1).result()
        results = sum(report.counts.values())
        self.note("full", size=name, triples=report.triples, **took, results=results, peak_mb=peak)
        if reference:
            self.reference(name, data, took)
        self.change(name, data, report)
        data.unlink()

    def reference(self, name: str, data: Path, fast: dict[str, float]) -> None:
        """Run pySHACL on the shapes as they are written, and hold its results against those of the fast engine."""
        slow, took = timed(lambda: raw_results(data, self.shapes, ReferenceValidator(), LIMITS))
        ours = raw_results(data, self.shapes, FastValidator(), LIMITS)
        found, wanted = (Counter((r.focus, r.value, r.component, r.severity, r.shape) for r in rows) for rows in (ours, slow))
        times = {f"times_{name}": round(took[name] / fast[name]) for name in took}
        self.note(
            "reference",
            size=name,
            engine=ReferenceValidator().name,
            **took,
            **times,
            results=len(slow),
            identical=found == wanted,
        )

    def change(self, name: str, data: Path, report: ValidationReport) -> None:
        """Add nine thousand triples about towns that are there already, and take a thousand away."""
        graph, path = f"{B}graph", self.folder / f"store-{name}"
        store = ox.Store(str(path))
        store.bulk_load(path=str(data), format=ox.RdfFormat.N_TRIPLES, to_graph=ox.NamedNode(graph))
        store.flush()
        del store
        added, removed = self.folder / "added.nt", self.folder / "removed.nt"
        new = (line for line in City(2).lines(40_000) if "/reading/" in line.split(" ", 1)[0])
        added.write_text("".join(line.replace("/reading/", "/reading/new") for line, _ in zip(new, range(9_000), strict=False)))
        old = (line for line in City().lines(20_000) if line.startswith(iri("figure")[:-1]))
        removed.write_text("".join(line for line, _ in zip(old, range(1_000), strict=False)))
        published = Published(database=path, graph=graph, report=report)
        found, took = timed(lambda: validate_change(published, added, removed, self.shapes, engine="fast", limits=LIMITS), 5)
        if found is None:
            raise SystemExit("a change of ten thousand triples needed a validation of everything")
        equal = self.equal(data, name, found)
        self.note("change", base=name, triples=10_000, **took, equal=equal, note=found.notes[-1].en)

    def equal(self, data: Path, name: str, found: ValidationReport) -> bool | None:
        """Hold the report of a change against that of everything, on the small graph."""
        if name != "100k":
            return None
        removed = set((self.folder / "removed.nt").read_text().splitlines())
        whole = self.folder / "after.nt"
        kept = [line for line in data.read_text().splitlines() if line not in removed]
        whole.write_text("\n".join(kept) + "\n" + (self.folder / "added.nt").read_text())
        full = validate(whole, self.shapes, engine="fast", limits=LIMITS)
        return (full.groups, full.focus_counts, full.results) == (found.groups, found.focus_counts, found.results)


def verdicts(figures: dict[str, list[dict[str, Any]]]) -> dict[str, bool]:
    """Say which goals are met, by processor seconds; a goal that this run did not measure is not named."""
    full = {row["size"]: row for row in figures["full"]}
    change = {row["base"]: row for row in figures["change"]}
    reference = figures["reference"][0]
    found = {
        "100 times pySHACL at 100k, with identical results": reference["identical"] and reference["times_processor"] >= 100,
        "a change gives the report of everything": change["100k"]["equal"],
    }
    if "5M" in full:
        found["5M within six times 1M"] = full["5M"]["processor"] <= 6 * full["1M"]["processor"]
        found["5M under 1 GB"] = full["5M"]["peak_mb"] < 1_000
        found["a change on 5M in at most twice what it takes on 100k"] = (
            change["5M"]["processor"] <= 2 * change["100k"]["processor"]
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100k and 1M only, some three minutes")
    parser.add_argument("--report", type=Path, default=Path("reports/bench-validation.json"))
    options = parser.parse_args()
    shapes = load_shapes([SHAPES], base_iri=B)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), shapes)
        for graph in ("100k", "1M") if options.quick else ("100k", "1M", "5M"):
            bench.measure(graph, reference=graph == "100k")
    goals = verdicts(bench.figures)
    for goal, met in goals.items():
        print("met    " if met else "NOT MET", goal)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "engine": FastValidator().name}
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps({"machine": machine, **bench.figures, "goals": goals}, indent=2) + "\n")
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
