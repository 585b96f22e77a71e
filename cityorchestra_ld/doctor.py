"""Look at an installation as a whole: software, machine, territory folder, store; say what is well and what is not."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from cityorchestra_ld.errors import CityOrchestraError, StoreError, Text
from cityorchestra_ld.store import open_store, sandbox_available
from cityorchestra_ld.territory import Territory

_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "error"]
    text: Text
    exit_code: int = 0


def examine(territory: Territory) -> list[Examined]:
    """Look at everything; nothing is changed."""
    return [*_software(), *_machine(territory), *_territory(territory), *_store(territory)]


def _ok(fr: str, en: str) -> Examined:
    return Examined(level="ok", text=Text(fr, en))


def _software() -> Iterator[Examined]:
    python = platform.python_version()
    yield _ok(f"Python {python}", f"Python {python}")
    for package in ("cityorchestra-ld", "duckdb", "pyoxigraph", "pyshacl", "fastapi"):
        yield _ok(f"{package} {version(package)}", f"{package} {version(package)}")
    try:
        yield _ok(f"moteur SHACL rapide : shacl {version('shacl')}", f"fast SHACL engine: shacl {version('shacl')}")
    except PackageNotFoundError:
        yield Examined(
            level="warning",
            text=Text(
                "Le moteur SHACL rapide n'existe pas pour cette machine ; pySHACL valide, plus lentement.",
                "The fast SHACL engine does not exist for this machine; pySHACL validates, more slowly.",
            ),
        )


def _machine(territory: Territory) -> Iterator[Examined]:
    if sandbox_available():
        yield _ok("Les requêtes tournent sans réseau (seccomp).", "Queries run without network (seccomp).")
    else:
        yield Examined(
            level="warning",
            text=Text(
                f"Pas de seccomp sur {sys.platform} : bloquez les sorties réseau du service.",
                f"No seccomp on {sys.platform}: block the service's outgoing network.",
            ),
        )
    territory.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(territory.state).free
    if free < _FREE_BYTES:
        yield Examined(
            level="error",
            text=Text(
                f"Il reste {free // 10**6} Mo dans {territory.state}.", f"{free // 10**6} MB are left in {territory.state}."
            ),
            exit_code=6,
        )
    else:
        yield _ok(f"{free // 10**9} Go libres", f"{free // 10**9} GB free")


def _territory(territory: Territory) -> Iterator[Examined]:
    count = len(territory.datasets)
    yield _ok(f"{territory.name.fr} : {count} jeux de données", f"{territory.name.en}: {count} datasets")
    for dataset in territory.datasets.values():
        missing = [
            str(path.relative_to(territory.root))
            for path in (dataset.mapping, territory.root / "shapes" / f"{dataset.key}.ttl")
            if not path.exists()
        ]
        if missing:
            yield Examined(
                level="error",
                text=Text(f"{dataset.key} : il manque {', '.join(missing)}", f"{dataset.key}: missing {', '.join(missing)}"),
                exit_code=2,
            )


def _store(territory: Territory) -> Iterator[Examined]:
    folder = territory.state / "store"
    if not folder.exists():
        yield Examined(
            level="warning",
            text=Text(
                "Rien n'est encore publié : `cityorchestra run --all`.", "Nothing is published yet: `cityorchestra run --all`."
            ),
        )
        return
    try:
        with open_store(folder, territory.limits, territory.keep_generations, base_iri=territory.base_iri) as store:
            current = store.current()
            for problem in store.verify():
                yield Examined(level="error", text=problem, exit_code=StoreError.exit_code)
    except CityOrchestraError as error:
        yield Examined(level="error", text=error.message, exit_code=error.exit_code)
        return
    if current:
        number, triples = current.number, current.triples
        yield _ok(
            f"Génération {number} : {triples} triplets, {len(current.graphs)} graphes",
            f"Generation {number}: {triples} triples, {len(current.graphs)} graphs",
        )
