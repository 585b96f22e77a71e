"""Servers that read a copied generation, with nothing else of the store, answer as the first one does and change nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.governance.tokens import FILE, Tokens
from cityorchestra_ld.model import Access, GraphChange, GraphInfo
from cityorchestra_ld.store import open_store
from cityorchestra_ld.store.replica import replica
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).resolve().parents[2]
BASE = "https://ld.cityorchestra.example/"
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    content = tmp_path / "content.nt"
    content.write_text("".join(f'<{BASE}id/stop/{n}> {LABEL} "arrêt {n}"@fr .\n' for n in range(500)), encoding="utf-8")
    open_info = GraphInfo(graph=f"{BASE}graph/data/star/arrets", role="data", dataset="star/arrets", version="1")
    closed = GraphInfo(graph=f"{BASE}graph/data/a/closed", role="data", dataset="a/closed", access=Access.RESTRICTED)
    secret = tmp_path / "secret.nt"
    secret.write_text(f'<{BASE}id/stop/1> {LABEL} "secret" .\n', encoding="utf-8")
    with open_store(tmp_path / "first" / "store", base_iri=BASE) as store:
        made = store.publish([GraphChange(info=open_info, content=content), GraphChange(info=closed, content=secret)])
    copied = tmp_path / "copied"
    shutil.copytree(made.path, copied)
    return copied


@contextmanager
def serving(*options: str, state: Path, **environment: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from cityorchestra_ld.cli import main; main()",
        "serve",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    settings = os.environ | {"CITYORCHESTRA_STATE": str(state), "CITYORCHESTRA_TERRITORY": str(ROOT)} | environment
    with subprocess.Popen([*command, *options], env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    if requests.get(f"{address}/-/ready", timeout=1).ok:
                        break
                except requests.RequestException:
                    pass
                time.sleep(0.1)
            else:
                pytest.fail("the server is not ready after 30 s")
            yield address
        finally:
            process.terminate()
            assert process.wait(timeout=15) is not None


ASKED = (
    ("/sparql?query=SELECT%20*%20%7B%20?s%20?p%20?o%20%7D%20ORDER%20BY%20?s", "application/sparql-results+json"),
    ("/doc/stop/7", "text/turtle"),
    ("/doc/stop/1", "application/n-triples"),
    ("/doc/stop/499", "text/html"),
)


@pytest.mark.slow
def test_two_servers_on_copies_answer_alike_as_the_first_does_and_let_nobody_change_anything(
    generation: Path, tmp_path: Path
) -> None:
    second = tmp_path / "again"
    shutil.copytree(generation, second)
    for folder in (generation, second):
        for path in folder.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
    tokens = tmp_path / FILE
    secret = Tokens(tokens).new("steward", write=["*", "urn:*"])
    bearer = {"Authorization": f"Bearer {secret}"}
    before = {path: path.stat().st_mtime_ns for path in generation.rglob("*")}
    with (
        serving(state=tmp_path / "first") as first,
        serving(
            "--read-only", "--generation", str(generation), state=tmp_path / "none", CITYORCHESTRA_TOKENS=str(tokens)
        ) as one,
        serving("--generation", str(second), state=tmp_path / "none") as two,
    ):
        for path, media_type in ASKED:
            answers = [requests.get(f"{at}{path}", headers={"Accept": media_type}, timeout=20) for at in (first, one, two)]
            assert len({(answer.status_code, answer.content.replace(at.encode(), b""), answer.headers.get("ETag"))
                        for at, answer in zip((first, one, two), answers, strict=True)}) == 1, path  # fmt: skip
            assert answers[0].status_code == 200
            assert b"secret" not in answers[1].content
        assert requests.get(f"{one}/doc/stop/501", timeout=20).status_code == 404
        refused = requests.put(
            f"{one}/graph-store?graph=urn:mine",
            data="<x:a> <x:p> <x:o> .",
            headers=bearer | {"Content-Type": "text/turtle"},
            timeout=20,
        )
        assert refused.status_code == 403
    assert not (tmp_path / "none").exists()
    assert {path: path.stat().st_mtime_ns for path in generation.rglob("*")} == before


def test_a_copy_that_is_not_whole_is_not_served(generation: Path) -> None:
    territory = load_territory(ROOT)
    shutil.rmtree(generation / "db")
    with pytest.raises(StoreError, match="not whole"), replica(territory, generation):
        pass
    (generation / "manifest.json").write_text(json.dumps({"number": 1}))
    with pytest.raises(StoreError, match="manifest cannot be read"), replica(territory, generation):
        pass
