"""A small store, and the files that fill it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cityorchestra_ld.model import GraphChange, GraphInfo, View
from cityorchestra_ld.store import EmbeddedStore, open_store

BASE = "https://ld.cityorchestra.example/"


def graph(name: str) -> str:
    """Name the graph of a dataset `partner/name`."""
    return f"{BASE}graph/data/{name}"


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    """Return an empty store."""
    return open_store(tmp_path / "store", keep=3)


@pytest.fixture
def change(tmp_path: Path) -> Callable[..., GraphChange]:
    """Return a maker of changes: `change("star/stops", "<x:s> <x:p> <x:o> .")`; no lines drop the graph."""
    count = 0

    def make(name: str, *lines: str, **more: object) -> GraphChange:
        nonlocal count
        count += 1
        info = GraphInfo(graph=graph(name), role="data", dataset=name, **more)  # type: ignore[arg-type]
        if not lines:
            return GraphChange(info=info, content=None)
        path = tmp_path / f"content-{count}.nq"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return GraphChange(info=info, content=path)

    return make


@pytest.fixture
def sees() -> Callable[..., View]:
    """Return a maker of views: `sees("star/stops")` shows the graph of one dataset, plain and named."""

    def make(*names: str) -> View:
        graphs = tuple(graph(name) for name in names)
        return View(default_graphs=graphs, named_graphs=graphs)

    return make
