"""A server process of ours on a territory of its own, for suites that speak HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyoxigraph as ox
import requests

from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.model import GraphChange, GraphInfo, Role
from cityorchestra_ld.store import open_store
from cityorchestra_ld.territory import Territory, load_territory

BASE = "http://suite.example/"
TOML = f"""
base_iri = "{BASE}"
name = {{ fr = "Suites", en = "Suites" }}
publisher = "suite"

[partners.suite]
name = "Suite"

[limits]
client_seconds = 0
"""


def make_territory(root: Path, graphs: Sequence[tuple[str, Role, Path]]) -> tuple[Territory, str]:
    """Write a territory, publish graphs in it, and make a steward's token for every graph."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "territory.toml").write_text(TOML, encoding="utf-8")
    territory = load_territory(root)
    changes = []
    for number, (graph, role, path) in enumerate(graphs):
        kind = ox.RdfFormat.from_extension(path.suffix.lstrip("."))
        target = root / f"{number}.nt"
        triples = [quad.triple for quad in ox.parse(path=str(path), format=kind, base_iri=path.as_uri())]
        target.write_bytes(ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES))
        changes.append(GraphChange(info=GraphInfo(graph=graph, role=role), content=target))
    with open_store(territory.state / "store", territory.limits, base_iri=BASE) as store:
        store.publish(changes)
    return territory, Tokens.of(territory).new("steward", write=["*", "http*:*"])


@contextmanager
def server(territory: Territory) -> Iterator[str]:
    """Run a server process; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"CITYORCHESTRA_STATE": str(territory.state), "CITYORCHESTRA_TERRITORY": str(territory.root)}
    command = [sys.executable, "-c", "from cityorchestra_ld.cli import main; main()", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                try:
                    if requests.get(f"{address}/-/ready", timeout=2).ok:
                        break
                except requests.ConnectionError:
                    time.sleep(0.1)
            else:
                raise TimeoutError("the server is not ready after 30 s")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)
