"""Copy the published files behind eight datasets into the examples, after checking that they are the ones we know.

    python tools/cut_examples.py ORIGINALS [EXAMPLES]

ORIGINALS holds the files as they were published, in any sub-folders; each `examples/<partner>/<dataset>/SOURCE.md` says
where they come from. Nothing is edited: a file is copied whole, byte for byte. The energy figures by IRIS are not
published files: `tools/synthetic_energy.py` makes them; the public actions are written by hand.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

FILES = {  # target under examples/: (name of the published file, beginning of its SHA-256)
    "ofb/onde/stations.json": ("onde_35_stations.json", "3d9c8657e98a963f"),
    "ofb/onde/campaigns.csv": ("onde_35_surveys.csv", "1db2cecab9044cc5"),
    "ofb/onde/observations.csv": ("onde_35_observations.csv", "1fff222fe9657e88"),
    "rennes-metropole/compte-administratif/ca-2020.csv": ("rm-compte-administratif-2020.csv", "3f44c2341d502a38"),
    "rennes-metropole/catalogue-rudi/datasets.json": ("datarennes_meta.json", "19cea1cb87cc9344"),
    "enedis/conso-regions/conso-regions.csv": ("data_t.csv", "e3bba51953a0066b"),
    "enedis/production/production.csv": ("dataprod.csv", "750337a2b8fd51dd"),
    "etalab/irve/irve-statique.csv": ("exemple-valide-statique.csv", "571614e92d9fd4ae"),
    "etalab/irve/irve-dynamique.csv": ("exemple-valide-dynamique.csv", "9659eaefa881e8c0"),
    "eco-compteur/comptages-velo/site.csv": ("site.csv", "c3800831926a1e11"),
    "eco-compteur/comptages-velo/channel.csv": ("channel.csv", "04c950f30c77bd55"),
    "eco-compteur/comptages-velo/measure.csv": ("measure.csv", "9c26c54ebe1fb7d5"),
}


def find(originals: Path, name: str, digest: str) -> Path:
    """Find the file with this name and this content, wherever it is under the folder."""
    for path in sorted(originals.rglob(name)):
        if hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest):
            return path
    raise SystemExit(f"{name}: no file with SHA-256 {digest}… under {originals}")


def main() -> None:
    """Copy every file."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    originals = Path(sys.argv[1])
    examples = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parent.parent / "examples"
    for target, (name, digest) in FILES.items():
        path = examples / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(find(originals, name, digest), path)
        print(f"{target}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
