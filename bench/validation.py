"""Measure validation: speed against the reference, growth, memory, and the cost of a small change on a large graph."""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.model import Limits
from cityorchestra_ld.validation import load_shapes, validate
from cityorchestra_ld.validation.slice import Change, validate_change
from cityorchestra_ld.validation.state import StoreReader

B, XSD = "https://bench.example/", "http://www.w3.org/2001/XMLSchema#"
TYPE, LABEL = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", "<http://www.w3.org/2000/01/rdf-schema#label>"
FAULTS = 0.005
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


def say(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def peak_mb() -> tuple[int, int]:
    return tuple(resource.getrusage(who).ru_maxrss >> 10 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def full(folder: Path, sizes: list[str], reference: str | None) -> None:
    """Validate whole graphs; the reference too where it is asked for, and compare the results."""
    shapes = load_shapes([SHAPES], base_iri=B)
    for name in sizes:
        data = folder / f"{name}.nt"
        with data.open("w") as out:
            out.writelines(City().lines(size(name)))
        start = time.perf_counter()
        report = validate(data, shapes, engine="fast", limits=Limits(report_samples=10**6, validation_seconds=3600))
        seconds = time.perf_counter() - start
        say(size=name, engine=report.engine, seconds=round(seconds, 2), results=sum(report.counts.values()), peak_mb=peak_mb())
        if name == reference:
            start = time.perf_counter()
            slow = validate(data, shapes, engine="pyshacl", limits=Limits(report_samples=10**6, validation_seconds=3600))
            same = Counter((r.shape, r.focus, r.path, r.value, r.component) for r in report.results) == Counter(
                (r.shape, r.focus, r.path, r.value, r.component) for r in slow.results
            )
            ratio = (time.perf_counter() - start) / seconds
            say(size=name, engine=slow.engine, seconds=round(ratio * seconds, 2), times_faster=round(ratio), identical=same)
        data.unlink()


def change(folder: Path, sizes: list[str]) -> None:
    """Add ten thousand triples about towns that are there already to stores of growing size."""
    shapes = load_shapes([SHAPES], base_iri=B)
    for name in sizes:
        data, path = folder / f"{name}.nt", folder / f"store-{name}"
        with data.open("w") as out:
            out.writelines(City().lines(size(name)))
        store = ox.Store(str(path))
        store.bulk_load(path=str(data), format=ox.RdfFormat.N_TRIPLES)
        data.unlink()
        load = "".join(
            line.replace("/reading/", "/reading/new") for line in City(2).lines(32_000) if "/reading/" in line.split(" ", 1)[0]
        )
        quads = ox.parse(load.encode(), format=ox.RdfFormat.N_TRIPLES)
        added = [(q.subject, q.predicate.value, q.object) for q in quads][:10_000]
        start = time.perf_counter()
        found = validate_change(Change(StoreReader(store), added, [], shapes), shapes, engine="fast")
        seconds = time.perf_counter() - start
        report, affected = found
        say(
            base=name,
            added=len(added),
            seconds=round(seconds, 2),
            affected=affected.total,
            slice=report.triples,
            results=sum(report.counts.values()),
        )
        del store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100k,1M", help="graphs to validate, for example 100k,1M,5M")
    parser.add_argument("--reference", default="", help="the size at which pySHACL runs too (100k takes a minute)")
    parser.add_argument("--bases", default="100k,1M", help="stores that receive a change of 10 k triples")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        full(Path(name), [s for s in options.sizes.split(",") if s], options.reference or None)
        change(Path(name), [s for s in options.bases.split(",") if s])
    return 0


if __name__ == "__main__":
    sys.exit(main())
