"""Workloads for bench/mapping.py: seeded data, with a mapping in the vocabulary that every engine reads."""

from __future__ import annotations

import csv
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEAD = """@prefix rr: <http://www.w3.org/ns/r2rml#> .
@prefix rml: <http://semweb.mmlab.be/ns/rml#> .
@prefix ql: <http://semweb.mmlab.be/ns/ql#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sosa: <http://www.w3.org/ns/sosa/> .
@prefix geo: <http://www.w3.org/2003/01/geo/wgs84_pos#> .
@prefix gtfs: <http://vocab.gtfs.org/terms#> .
@prefix ex: <http://city.example/def#> .
@base <http://city.example/map/> .
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Files in a folder, and a mapping over them; `tarql` says the same for an engine that reads no RML."""

    name: str
    folder: Path
    rows: int
    mapping: Path
    files: tuple[str, ...]
    format: str = "csv"
    tarql: Path | None = None
    rewritten: dict[str, tuple[str, str]] = field(default_factory=dict)  # what an engine needs written in another way


def triples_map(name: str, source: str, subject: str, kind: str, pairs: list[tuple[str, str]], iterator: str = "") -> str:
    formulation = f'ql:JSONPath ; rml:iterator "{iterator}"' if iterator else "ql:CSV"
    text = f'<{name}> a rr:TriplesMap ;\n  rml:logicalSource [ rml:source "{source}" ;\n'
    text += f"    rml:referenceFormulation {formulation} ] ;\n"
    text += f'  rr:subjectMap [ rr:template "http://city.example/{subject}" ; rr:class {kind} ]'
    for predicate, target in pairs:
        text += f" ;\n  rr:predicateObjectMap [ rr:predicate {predicate} ; rr:objectMap [ {target} ] ]"
    return text + " .\n\n"


def cell(reference: str, kind: str = "") -> str:
    return f'rml:reference "{reference}"' + (f" ; {kind}" if kind else "")


def join(parent: str, child: str, key: str) -> str:
    return f'rr:parentTriplesMap <{parent}> ; rr:joinCondition [ rr:child "{child}" ; rr:parent "{key}" ]'


DECIMAL, INTEGER, DATE = "rr:datatype xsd:decimal", "rr:datatype xsd:integer", "rr:datatype xsd:date"
FRENCH = 'rr:language "fr"'

# --- a: one flat table --------------------------------------------------------------------------------------------------------

PLACES = (
    "Place de l'Hôtel de Ville", 'Square "Sévigné"', "Gare, sortie sud", "Rue d'Antrain", "Étang d'Apigné", "Quai \\ amont",
    "Villejean-Université", "Mail François Mitterrand", "Cesson, bourg", "Parc du Thabor",
)  # fmt: skip
NETWORKS = ("centre", "sud/ouest", "Cesson é", "air-7", "z_3.1", "quai nord")
HEADER_A = ("id", "sensor", "name", "lat", "lon", "date", "value", "unit", "operator", "note")
MAPPING_A = HEAD + triples_map(
    "observation", "a.csv", "obs/{id}", "sosa:Observation",
    [
        ("sosa:madeBySensor", 'rr:template "http://city.example/sensor/{sensor}"'),
        ("sosa:hasSimpleResult", cell("value", DECIMAL)), ("ex:date", cell("date", DATE)),
        ("rdfs:label", cell("name", FRENCH)), ("geo:lat", cell("lat", DECIMAL)), ("geo:long", cell("lon", DECIMAL)),
        ("rdfs:comment", cell("note")),
    ],
)  # fmt: skip
TARQL_A = """PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX sosa: <http://www.w3.org/ns/sosa/>
PREFIX geo: <http://www.w3.org/2003/01/geo/wgs84_pos#>
PREFIX ex: <http://city.example/def#>
CONSTRUCT {
  ?s a sosa:Observation ; sosa:madeBySensor ?sensorIri ; sosa:hasSimpleResult ?result ; ex:date ?day ;
     rdfs:label ?label ; geo:lat ?latitude ; geo:long ?longitude ; rdfs:comment ?note .
} WHERE {
  BIND(IRI(CONCAT("http://city.example/obs/", ENCODE_FOR_URI(?id))) AS ?s)
  BIND(IRI(CONCAT("http://city.example/sensor/", ENCODE_FOR_URI(?sensor))) AS ?sensorIri)
  BIND(STRDT(?value, xsd:decimal) AS ?result)
  BIND(STRDT(?date, xsd:date) AS ?day)
  BIND(STRLANG(?name, "fr") AS ?label)
  BIND(STRDT(?lat, xsd:decimal) AS ?latitude)
  BIND(STRDT(?lon, xsd:decimal) AS ?longitude)
}
"""


def rows_a(count: int, seed: int = 1) -> Iterator[tuple[object, ...]]:
    chance = random.Random(seed).random
    before: tuple[object, ...] = ()
    for n in range(count):
        if n % 1000 == 999:  # one row in a thousand is there twice
            yield before
            continue
        value = "" if n % 20 == 7 else f"{chance() * 100:.2f}"
        note = "" if n % 20 == 3 else f'calibrated by "unit {n % 13}",\nrow {n}' if n % 50 == 11 else f"batch {n % 8191}, ok"
        before = (
            f"OBS{n:09d}", f"{NETWORKS[n % 6]}:{int(chance() * 5000):05d}", f"{PLACES[n % 10]} {n % 997}",
            f"{48 + chance() * 0.3:.6f}", f"{-1.9 + chance() * 0.4:.6f}", f"20{20 + n % 6}-{1 + n % 12:02d}-{1 + n % 28:02d}",
            value, "ugm3", f"op{n % 5}", note,
        )  # fmt: skip
        yield before


def write_csv(path: Path, header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def flat(folder: Path, rows: int) -> Workload:
    """Write workload a; above a million rows, blocks of a million that differ in their identifiers."""
    folder.mkdir(parents=True)
    block = min(rows, 1_000_000)
    first = folder / "a.csv"
    write_csv(first, HEADER_A, rows_a(block))
    if rows > block:
        body = first.read_bytes().partition(b"\n")[2]
        with first.open("ab") as file:
            for number in range(1, rows // block):
                file.write(body.replace(b"OBS0", b"OBS%d" % number))
        rows = rows // block * block
    return _workload("a", folder, rows, MAPPING_A, tarql=TARQL_A)


def changed(workload: Workload, folder: Path, every: int = 100) -> Workload:
    """Write workload a again with another value in one row of a hundred."""
    folder.mkdir(parents=True)
    with (workload.folder / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        new = (
            (*row[:6], "-1.5", *row[7:]) if number % every == 42 % every else tuple(row) for number, row in enumerate(rows)
        )  # fmt: skip
        write_csv(folder / "a.csv", HEADER_A, new)
    return _workload("a", folder, workload.rows, MAPPING_A)


# --- b: a table joined to two -------------------------------------------------------------------------------------------------

MAPPING_B = (
    HEAD
    + triples_map(
        "stoptime", "stop_times.csv", "stoptime/{trip_id}-{stop_sequence}", "gtfs:StopTime",
        [
            ("gtfs:trip", join("trip", "trip_id", "trip_id")), ("gtfs:stop", join("stop", "stop_id", "stop_id")),
            ("gtfs:arrivalTime", cell("arrival_time")), ("gtfs:departureTime", cell("departure_time")),
            ("gtfs:stopSequence", cell("stop_sequence", INTEGER)),
            ("gtfs:distanceTraveled", cell("shape_dist_traveled", DECIMAL)),
        ],
    )
    + triples_map(
        "stop", "stops.csv", "stop/{stop_code}", "gtfs:Stop",
        [("rdfs:label", cell("stop_name", FRENCH)), ("geo:lat", cell("lat", DECIMAL)), ("geo:long", cell("lon", DECIMAL))],
    )
    + triples_map(
        "trip", "trips.csv", "trip/{trip_id}", "gtfs:Trip",
        [
            ("gtfs:route", 'rr:template "http://city.example/route/{route_id}"'),
            ("gtfs:headsign", cell("trip_headsign", FRENCH)),
        ],
    )
)  # fmt: skip


def joined(folder: Path, rows: int) -> Workload:
    """Write workload b: stop times, whose stop has its IRI from another column than its key; some keys lead nowhere."""
    folder.mkdir(parents=True)
    chance = random.Random(2).random
    stops = max(20, min(20_000, rows // 50))
    write_csv(
        folder / "stops.csv", ("stop_id", "stop_code", "stop_name", "lat", "lon"),
        ((f"S{n}", f"C {n // 7}-{n % 7}", f'Arrêt "{n}", quai {n % 4}', f"{48 + chance() * 0.3:.6f}", f"{-1.9 + chance():.6f}")
         for n in range(stops)),
    )  # fmt: skip
    write_csv(
        folder / "trips.csv", ("route_id", "service_id", "trip_id", "trip_headsign"),
        ((f"R{n % 300}", f"WD{n % 5}", f"T{n}", f"Direction é{n % 400}") for n in range(max(1, rows // 25))),
    )  # fmt: skip
    columns = ("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence", "pickup_type", "shape_dist_traveled")
    write_csv(folder / "stop_times.csv", columns, (_stop_time(n, stops) for n in range(rows)))
    return _workload("b", folder, rows, MAPPING_B)


def _stop_time(number: int, stops: int) -> tuple[object, ...]:
    trip, place = divmod(number, 25)
    seconds = 18_000 + trip % 900 * 60 + place * 90
    time = f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    stop = (trip * 31 + place * 17) % (stops + stops // 200)  # one key in two hundred leads nowhere
    return f"T{trip}", time, time, f"S{stop}", place + 1, 0, f"{place * 0.35 + 0.1:.3f}"


# --- c: nested JSON -----------------------------------------------------------------------------------------------------------

TAGS = ("musée", "park", 'café "bio"', "école", "sport", "culture", "wifi")
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MAPPING_C = (
    HEAD
    + triples_map(
        "place", "c.json", "{id}", "ex:Place",
        [
            ("rdfs:label", cell("name.fr", FRENCH)), ("rdfs:label", cell("name.br", 'rr:language "br"')),
            ("geo:lat", cell("location.lat", DECIMAL)), ("geo:long", cell("location.lon", DECIMAL)),
            ("ex:capacity", cell("capacity", INTEGER)), ("ex:price", cell("price", DECIMAL)),
            ("ex:website", cell("website", "rr:termType rr:IRI")), ("ex:open", cell("open", "rr:datatype xsd:boolean")),
            ("ex:tag", cell("tags[*]")), ("ex:email", cell("contact.email")),
        ],
        "$.data[*]",
    )
    + triples_map(
        "hours", "c.json", "hours/{hid}", "ex:OpeningHours",
        [("ex:day", 'rr:template "http://city.example/day/{day}"'), ("ex:from", cell("from")), ("ex:to", cell("to"))],
        "$.data[*].hours[*]",
    )
)  # fmt: skip


def nested(folder: Path, records: int) -> Workload:
    """Write workload c: one document with places, their tags and their opening hours."""
    folder.mkdir(parents=True)
    with (folder / "c.json").open("w", encoding="utf-8") as file:
        file.write('{"meta": {"version": 1}, "data": [\n')
        for number, place in enumerate(itertools.islice(_places(), records)):
            file.write((",\n" if number else "") + json.dumps(place, ensure_ascii=False))
        file.write("\n]}\n")
    rewritten = {"morph-kgc": ('"tags[*]"', '"tags"'), "sdm-rdfizer": ('"tags[*]"', '"tags"')}
    return _workload("c", folder, records, MAPPING_C, rewritten=rewritten)


def _places() -> Iterator[dict[str, object]]:
    random_ = random.Random(3)
    for n in itertools.count():
        yield {
            "id": f"poi/{n}",
            "name": {"fr": f"Lieu n° {n}", "br": f"Lec'h {n}"},
            "location": {"lat": round(48 + random_.random() * 0.3, 6), "lon": round(1.2 + random_.random() * 0.4, 6)},
            "capacity": None if n % 10 == 0 else random_.randrange(1000),
            "price": round(1 + random_.random() * 50, 2),
            "website": None if n % 4 == 0 else f"https://example.org/poi?id={n}",
            "open": n % 3 == 0,
            "tags": [TAGS[(n + i) % 7] for i in range(n % 4)],
            "hours": [{"hid": f"{n}-{d}", "day": DAYS[d], "from": f"{8 + d % 3:02d}:00", "to": "18:30"} for d in range(n % 5)],
            "contact": {"phone": f"+33 2 {n % 10000:04d}", "email": f"p{n}@example.org"},
        }


# --- GTFS-Madrid-Bench --------------------------------------------------------------------------------------------------------

PER_COPY = {  # columns that tell the copies of a row apart, and those that refer to them
    "TRIPS": ("trip_id", "shape_id"), "STOP_TIMES": ("trip_id",), "FREQUENCIES": ("trip_id",), "SHAPES": ("shape_id",),
}  # fmt: skip


def madrid(folder: Path, suite: Path, scale: int) -> Workload:
    """Multiply the trips, stop times, frequencies and shapes of the official sample, as the benchmark's own generator does."""
    folder.mkdir(parents=True)
    mapping = (suite / "mappings" / "gtfs-csv.rml.ttl").read_text(encoding="utf-8").replace("/data/", "")
    total = 0
    for source in sorted((suite / "sample-data-morph-kgc" / "data").glob("*.csv")):
        columns = PER_COPY.get(source.stem, ())
        with source.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        copies = scale if columns else 1
        total += copies * len(rows)
        made = (
            tuple(f"{copy}-{value}" if name in columns else value for name, value in row.items())
            for copy in range(copies)
            for row in rows
        )
        write_csv(folder / source.name, tuple(rows[0]), made)
    return _workload(f"gtfs-{scale}", folder, total, mapping)


def _workload(
    name: str, folder: Path, rows: int, mapping: str, tarql: str = "", rewritten: dict[str, tuple[str, str]] | None = None
) -> Workload:
    path = folder / "mapping.ttl"
    path.write_text(mapping, encoding="utf-8")
    query = folder / "mapping.tarql" if tarql else None
    if query:
        query.write_text(tarql, encoding="utf-8")
    files = tuple(sorted(file.name for file in folder.iterdir() if file.suffix in (".csv", ".json")))
    kind = "json" if files[0].endswith(".json") else "csv"
    return Workload(
        name=name, folder=folder, rows=rows, mapping=path, files=files, format=kind, tarql=query, rewritten=rewritten or {}
    )  # fmt: skip
