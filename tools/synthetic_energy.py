"""Write the two synthetic energy files: real IRIS codes and real column layouts, invented figures, one seed."""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

SEED = 35238
EPCI = "243500139"
HIDDEN = "secret"
MIN_DWELLINGS = 10  # residential delivery points under which a figure is hidden (Code de l'énergie, D111-52 ff.)
MIN_UNITS = 3  # other sectors
SECTORS = {  # code of the open layout: name in the wide layout
    "R": "secteur_residentiel",
    "A": "agriculture",
    "I": "industrie",
    "T": "tertiaire",
    "X": "secteur_non_affecte",
}
OPERATORS = {"E": "Enedis", "G": "GRDF"}

LONG_HEADER = [
    "OPERATEUR", "ANNEE", "FILIERE", "CODE_IRIS_CODE", "CODE_CATEGORIE_CONSOMMATION", "CODE_GRAND_SECTEUR",
    "CODE_SECTEUR_NAF2", "CONSO", "PDL", "INDQUAL",
]  # fmt: skip
LONG_DESCRIPTION = [
    [
        "Nom de l'opérateur", "Millésime des données", "Filière", "Code de l'IRIS", "Catégorie de la consommation",
        "Code du grand secteur", "Code NAF à 2 positions du secteur", "Consommation (en MWh)",
        "Nombre de points de livraison", "Indice de qualité des données",
    ],
    ["texte", "annee", "texte", "iris", "texte", "texte", "naf_division", "texte", "entier", "texte"],
    ["n/a", "n/a", "n/a", "n/a", "n/a", "n/a", "n/a", "MWh", "s/u", "n/a"],
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Iris:
    """What the census says of one IRIS; the figures below only keep its order of magnitude."""

    code: str
    commune: str
    name: str
    commune_name: str
    kind: str
    dwellings: int
    main_residences: int
    flats: float  # share of dwellings


@dataclass(frozen=True, slots=True)
class Cell:
    """One invented figure: an area, a year, an energy and a sector."""

    iris: Iris
    year: int
    carrier: str
    sector: str
    points: int
    mwh: float
    hidden: bool


def read_iris(census: Path, members: dict[str, str]) -> list[Iris]:
    """Read the IRIS of the communes given."""
    with census.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["com"] in members]
    return [
        Iris(
            code=row["iris"],
            commune=row["com"],
            name=members[row["com"]] + ("" if row["iris"].endswith("0000") else f" (IRIS {row['iris'][5:]})"),
            commune_name=members[row["com"]],
            kind=row["typ_iris"],
            dwellings=round(float(row["logements"])),
            main_residences=round(float(row["res_principales"])),
            flats=float(row["appartements"]) / max(1.0, float(row["logements"])),
        )
        for row in sorted(rows, key=lambda row: row["iris"])
    ]


def read_members(epci: Path) -> dict[str, str]:
    """Read the communes of Rennes Métropole: code to name."""
    for group in json.loads(epci.read_text(encoding="utf-8")):
        if group["code"] == EPCI:
            return {commune["code"]: commune["nom"] for commune in group["membres"]}
    raise SystemExit(f"{epci}: no group {EPCI}")


def invent(iris: Iris, year: int, carrier: str, chance: random.Random) -> Iterator[Cell]:
    """Invent the cells of one IRIS; a sector without delivery points has none."""
    drift = 1 + 0.012 * (2022 - year) + chance.uniform(-0.02, 0.02)
    town = iris.flats > 0.4
    activity = iris.kind in ("A", "D")
    if carrier == "E":
        points = {
            "R": round(iris.dwellings * chance.uniform(0.98, 1.03)),
            "A": 0 if town else chance.randint(0, 24),
            "I": chance.randint(6, 40) if activity else chance.choice([0, 1, 2, 2, 4, 5, 7, 9]),
            "T": round(iris.dwellings * chance.uniform(0.07, 0.14)) + (chance.randint(60, 220) if activity else 2),
            "X": chance.choice([0, 0, 0, 1, 2, 4]),
        }
        mean = {"R": 3.1 + 3.4 * (1 - iris.flats), "A": 14, "I": 190, "T": 24, "X": 30}
    else:
        share = chance.uniform(0.35, 0.6) if town else chance.choice([0, 0, chance.uniform(0.02, 0.3)])
        points = {
            "R": round(iris.main_residences * share),
            "A": 0,
            "I": chance.randint(2, 14) if activity and share else 0,
            "T": round(iris.dwellings * share * 0.05) + (chance.randint(5, 40) if activity and share else 0),
            "X": 0,
        }
        mean = {"R": 7.5 + 5.0 * (1 - iris.flats), "A": 0, "I": 620, "T": 78, "X": 0}
    for sector, count in points.items():
        if count:
            spread = chance.uniform(0.85, 1.15) if sector == "R" else chance.uniform(0.5, 1.7)
            dominated = sector not in ("R", "X") and chance.random() < 0.05  # one customer over 85 %
            few = count < (MIN_DWELLINGS if sector == "R" else MIN_UNITS)
            yield Cell(iris, year, carrier, sector, count, round(count * mean[sector] * spread * drift, 3), few or dominated)


def protect(cells: Iterable[Cell]) -> list[Cell]:
    """Hide a second IRIS wherever a single one is hidden under a commune total: a difference would tell it."""
    groups: dict[tuple[str, int, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.iris.commune, cell.year, cell.carrier, cell.sector].append(cell)
    result: list[Cell] = []
    for group in groups.values():
        shown = [cell for cell in group if not cell.hidden]
        second = min(shown, key=lambda cell: (cell.points, cell.iris.code), default=None)
        alone = len(group) - len(shown) == 1
        result.extend(replace(cell, hidden=True) if alone and cell is second else cell for cell in group)
    return result


def write_long(path: Path, cells: Iterable[Cell], chance: random.Random) -> int:
    """Write the layout of the grid operators: one line for one cell, WIN1252, decimal commas, description rows."""
    count = 0
    with path.open("w", encoding="cp1252", newline="") as file:
        out = csv.writer(file, delimiter=";", lineterminator="\r\n")
        out.writerows(LONG_DESCRIPTION)
        out.writerow(LONG_HEADER)
        for cell in sorted(cells, key=lambda c: (c.carrier, c.iris.code, c.sector)):
            quality = comma(round(chance.uniform(0.93, 1.0), 2)) if cell.carrier == "E" else ""
            out.writerow([
                OPERATORS[cell.carrier], cell.year, cell.carrier, cell.iris.code,
                "RES" if cell.sector == "R" else "ENT_PRO", cell.sector, "",
                HIDDEN if cell.hidden else comma(cell.mwh), cell.points, quality,
            ])  # fmt: skip
            count += 1
    return count


def wide_header() -> list[str]:
    """Name the columns of the wide layout."""
    names = ["annee", "maille_geographique", "code_iris", "nom_iris", "type_iris", "code_commune", "nom_commune"]
    for sector, name in SECTORS.items():
        names += [f"nb_sites_{name}_enedis", f"conso_totale_{name}_enedis_mwh"]
        if sector == "R":
            names.append(f"conso_moyenne_{name}_enedis_mwh")
    return [*names, "geo_point_2d", "geo_shape"]


def write_wide(path: Path, cells: Iterable[Cell]) -> int:
    """Write the layout of Enedis: one line for one area with all its sectors, then the totals of the communes."""
    areas: dict[tuple[int, str, str], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    names: dict[str, Iris] = {}
    for cell in cells:
        areas[cell.year, "IRIS", cell.iris.code][cell.sector].append(cell)
        areas[cell.year, "Commune", cell.iris.commune][cell.sector].append(cell)
        names[cell.iris.code] = names[cell.iris.commune] = cell.iris
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter=";", lineterminator="\n")
        out.writerow(wide_header())
        for year, mesh, code in sorted(areas, key=lambda area: (area[0], area[1] != "IRIS", area[2])):
            iris, sectors = names[code], areas[year, mesh, code]
            own = [code, iris.name, iris.kind] if mesh == "IRIS" else ["", "", ""]
            row: list[object] = [year, mesh, *own, iris.commune, iris.commune_name]
            for sector in SECTORS:
                row += wide_cell(sector, sectors.get(sector, []))
            out.writerow([*row, "", ""])
    return len(areas)


def wide_cell(sector: str, cells: list[Cell]) -> list[object]:
    """Give the number of sites and the consumption of one area; a total is hidden when it is small or is one hidden IRIS."""
    mean = sector == "R"
    if not cells:
        return ["", "", ""] if mean else ["", ""]
    points = sum(cell.points for cell in cells)
    if (len(cells) == 1 and cells[0].hidden) or points < (MIN_DWELLINGS if mean else MIN_UNITS):
        return [points, HIDDEN, HIDDEN] if mean else [points, HIDDEN]
    total = round(sum(cell.mwh for cell in cells), 3)
    return [points, f"{total:.3f}", f"{total / points:.3f}"] if mean else [points, f"{total:.3f}"]


def comma(number: float) -> str:
    """Write a number as French files do."""
    return f"{number:.3f}".rstrip("0").rstrip(".").replace(".", ",")


def main() -> None:
    """Write both files from the census and the list of communes."""
    parser = argparse.ArgumentParser(description=__doc__)
    examples = Path(__file__).resolve().parent.parent / "examples"
    census = examples / "insee" / "iris-population" / "iris_2021_bretagne.csv"
    parser.add_argument("--census", type=Path, default=census, help="population by IRIS (CSV)")
    parser.add_argument(
        "--epci", type=Path, default=examples / "insee" / "epci" / "epci.json", help="groups of communes (JSON)"
    )
    parser.add_argument("--out", type=Path, default=examples / "enedis", help="folder of the partner's examples")
    given = parser.parse_args()
    iris = read_iris(given.census, read_members(given.epci))
    chance = random.Random(SEED)
    long = [cell for area in iris for carrier in OPERATORS for cell in invent(area, 2023, carrier, chance)]
    wide = protect(cell for year in (2021, 2022) for area in iris for cell in invent(area, year, "E", chance))
    lines = {
        "conso-iris/conso-iris-2023.csv": write_long(given.out / "conso-iris" / "conso-iris-2023.csv", long, chance),
        "conso-secteurs-iris/conso-secteurs-iris.csv": write_wide(
            given.out / "conso-secteurs-iris" / "conso-secteurs-iris.csv", wide
        ),
    }
    for name, count in lines.items():
        print(f"{name}: {count} lines")
    for cells in (long, wide):
        print(f"{len(iris)} IRIS: {sum(cell.hidden for cell in cells)} of {len(cells)} cells hidden")


if __name__ == "__main__":
    main()
