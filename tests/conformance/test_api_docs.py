"""Every example of docs/api.md runs against a server process, in order, and none fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cityorchestra_ld.territory import load_territory

from .serving import make_territory, server

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BASE = "https://ld.cityorchestra.example/"
DATA = """
@prefix geo: <http://www.opengis.net/ont/geosparql#> .
<http://x.example/a> a <http://x.example/Place> ; geo:hasGeometry <http://x.example/g> .
<http://x.example/g> geo:asWKT "POINT(-1.68 48.11)"^^geo:wktLiteral .
"""


def test_every_example_runs(tmp_path: Path) -> None:
    (tmp_path / "data.ttl").write_text(DATA, encoding="utf-8")
    root = tmp_path / "territory"
    make_territory(root, [(f"{BASE}graph/data/x", "data", tmp_path / "data.ttl")])
    settings = (root / "territory.toml").read_text(encoding="utf-8")
    (root / "territory.toml").write_text(re.sub(r'base_iri = ".*"', f'base_iri = "{BASE}"', settings), encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with server(load_territory(root)) as address:
        script = "set -euo pipefail\n" + "\n".join(blocks).replace("http://localhost:8000", address)
        script = re.sub(r"\bcurl\b", "curl --fail-with-body -sS", script)
        environment = os.environ | {
            "CITYORCHESTRA_TERRITORY": str(root),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        ran = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=240
        )
    said = ran.stdout.decode("utf-8", "replace")
    assert ran.returncode == 0, said[-2000:] + ran.stderr.decode()
    assert len(blocks) > 6
    for expected in ('"Une idée"@fr', '"boolean":true', '"Point"', "multiply", '"sha256"', '"generation"', "An idea"):
        assert expected in said, expected
    for name in ("rows.parquet", "everything.csv", "everything.nt"):
        assert (tmp_path / name).stat().st_size > 0
