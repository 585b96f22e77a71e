"""A seeded city for the benchmarks of the service: places in one graph, readings in another, as N-Triples."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import Territory, load_territory

BASE: Final = "https://bench.example/"
PLACES: Final = 1_000
PER_READING: Final = 7
_TYPE, _LABEL = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", "<http://www.w3.org/2000/01/rdf-schema#label>"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_SECTORS: Final = ("residential", "industry", "agriculture", "tertiary", "unassigned")

TERRITORY: Final = f"""
base_iri = "{BASE}"
name = {{ fr = "Ville de mesure", en = "Bench city" }}
publisher = "ville"

[store]
workers = 2

[limits]
query_seconds = 60.0
query_memory_mb = 4096
result_rows = 20_000_000
client_seconds = 0

[partners.ville]
name = "Ville de mesure"
"""

DATASET: Final = """
title = { fr = "Relevés", en = "Readings" }
description = { fr = "Relevés tirés au sort.", en = "Readings drawn at random." }
publisher = "ville"
licence = "etalab-2.0"
attribution = "Ville de mesure"
policy = "open"
themes = ["ENER"]
frequency = "ANNUAL"
"""


def readings(triples: int) -> int:
    """Count the readings of a city of so many triples."""
    return triples // PER_READING


def write_city(folder: Path, triples: int, seed: int = 1) -> tuple[Path, Path]:
    """Write the places and the readings; the same numbers give the same bytes."""
    chance = random.Random(seed)
    places, data = folder / "places.nt", folder / "readings.nt"
    with places.open("w", encoding="utf-8") as out:
        for n in range(PLACES):
            place = f"<{BASE}id/place/{n}>"
            out.write(f'{place} {_TYPE} <{BASE}def/co#Place> .\n{place} {_LABEL} "Commune {n}"@fr .\n')
    with data.open("w", encoding="utf-8") as out:
        for n in range(readings(triples)):
            out.write(_reading(n, chance))
    return places, data


def _reading(n: int, chance: random.Random) -> str:
    me, term = f"<{BASE}id/reading/{n}>", f"{BASE}def/co#"
    year, place, sector = 2010 + chance.randrange(16), chance.randrange(PLACES), chance.choice(_SECTORS)
    return (
        f"{me} {_TYPE} <{term}Reading> .\n"
        f'{me} {_LABEL} "Relevé {n}"@fr .\n'
        f"{me} <{term}place> <{BASE}id/place/{place}> .\n"
        f"{me} <{term}sector> <{BASE}id/code/sector/{sector}> .\n"
        f'{me} <{term}year> "{year}"^^<{_XSD}gYear> .\n'
        f'{me} <{term}value> "{chance.randrange(1, 10**7) / 100}"^^<{_XSD}decimal> .\n'
        f'{me} <{term}count> "{chance.randrange(5000)}"^^<{_XSD}integer> .\n'
    )


def make_territory(root: Path, limits: Mapping[str, str] | None = None) -> Territory:
    """Write the folder of a territory with one dataset, some of its limits replaced."""
    root.mkdir(parents=True, exist_ok=True)
    text = TERRITORY
    for wide, narrow in (limits or {}).items():
        text = text.replace(wide, narrow)
    (root / "territory.toml").write_text(text, encoding="utf-8")
    dataset = root / "mappings" / "ville" / "readings" / "dataset.toml"
    dataset.parent.mkdir(parents=True, exist_ok=True)
    dataset.write_text(DATASET, encoding="utf-8")
    return load_territory(root)


def publish(territory: Territory, places: Path, data: Path) -> None:
    """Publish the two files as two public graphs."""
    graph = territory.iris.graph
    changes = [
        GraphChange(info=GraphInfo(graph=graph("ref", "ville", "places"), role="ref"), content=places),
        GraphChange(
            info=GraphInfo(graph=graph("data", "ville", "readings"), role="data", dataset="ville/readings", version="1"),
            content=data,
        ),
    ]
    with open_store(territory.state / "store", territory.limits, keep=2, base_iri=territory.base_iri) as store:
        store.publish(changes)
