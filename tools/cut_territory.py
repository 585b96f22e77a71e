"""Cut the published files of the territory, the census, STAR, Sailcoop and Vélib' down to what the repository keeps.

    python tools/cut_territory.py ORIGINALS [EXAMPLES]

ORIGINALS holds the files as they were published, in any sub-folders; each `examples/<partner>/<dataset>/SOURCE.md`
says where they come from. Records are never edited: they are chosen, and written as they were (the indented JSON of
STAR becomes one record on a line).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

BRITTANY = ("22", "29", "35", "56")


def find(originals: Path, name: str) -> Path:
    """Find one file by its name, wherever it is under the folder."""
    found = sorted(originals.rglob(name))
    if not found:
        raise SystemExit(f"{name}: not found under {originals}")
    return found[0]


def cut_lines(source: Path, target: Path, keep: Callable[[dict[str, object]], bool]) -> int:
    """Keep some records of a JSON list that is published with one record on each line."""
    lines = source.read_text(encoding="utf-8").splitlines()
    if lines[0] != "[" or lines[-1] != "]":
        raise SystemExit(f"{source}: expected a list with one record on each line")
    kept = [line for line in (raw.rstrip(",") for raw in lines[1:-1]) if keep(json.loads(line))]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("[\n" + ",\n".join(kept) + "\n]\n", encoding="utf-8")
    return len(kept)


def cut_official_code(originals: Path, examples: Path) -> None:
    """Regions and départements stay whole; EPCI that touch Brittany; communes of Brittany and of these EPCI."""
    insee = examples / "insee"
    for name in ("regions", "departements"):
        print(name, cut_lines(find(originals, f"{name}.json"), insee / name / f"{name}.json", lambda _: True))
    members: set[str] = set()

    def touches_brittany(epci: dict[str, object]) -> bool:
        codes = {str(member["code"]) for member in epci["membres"]}  # type: ignore[attr-defined]
        if not any(code.startswith(BRITTANY) for code in codes):
            return False
        members.update(codes)
        return True

    def is_kept(commune: dict[str, object]) -> bool:
        code, kind = str(commune["code"]), commune["type"]
        return code.startswith(BRITTANY) or (kind == "commune-actuelle" and code in members)

    print("epci", cut_lines(find(originals, "epci.json"), insee / "epci" / "epci.json", touches_brittany))
    print("communes", cut_lines(find(originals, "communes.json"), insee / "communes" / "communes.json", is_kept))


def cut_census(originals: Path, examples: Path) -> None:
    """Keep the IRIS of Brittany: the commune is the second column."""
    lines = find(originals, "iris_2021.csv").read_text(encoding="ascii").splitlines(keepends=True)
    kept = [lines[0], *(line for line in lines[1:] if line.split(",")[1].startswith(BRITTANY))]
    target = examples / "insee" / "iris-population" / "iris_2021_bretagne.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(kept), encoding="ascii")
    print("iris", len(kept) - 1)


def rewrap(source: Path, target: Path) -> None:
    """Write an indented JSON list with one record on each line; the records stay as they are."""
    records = json.loads(source.read_text(encoding="utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    target.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(target.stem, len(records))


def copy(originals: Path, name: str, target: Path) -> None:
    """Copy a file as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(find(originals, name), target)
    print(target.name, target.stat().st_size, "bytes")


def main(originals: Path, examples: Path) -> None:
    """Make every example again."""
    cut_official_code(originals, examples)
    cut_census(originals, examples)
    copy(originals, "communes-bretagne.geojson", examples / "ign" / "contours-communes" / "communes-bretagne.geojson")
    for name, dataset in (
        ("star_arrets.json", "arrets"),
        ("star_parcours_arrets.json", "parcours"),
        ("star_documents.json", "documents"),
        ("star_info_trafic.json", "info-trafic"),
    ):
        rewrap(find(originals, name), examples / "star" / dataset / name)
    copy(originals, "latest.zip", examples / "sailcoop" / "gtfs" / "latest.zip")
    for name in ("station_information.json", "station_status.json"):
        copy(originals, name, examples / "velib" / "gbfs" / name)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else "examples"))
