"""Look at an installation as a whole: software, machine, territory folder, store; say what is well and what is not."""

from __future__ import annotations

import io
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from cityorchestra_ld.errors import CityOrchestraError, StoreError, Text, UsageError
from cityorchestra_ld.governance.tokens import FILE as TOKENS
from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store import query_once, residence, sandbox_available, store_of
from cityorchestra_ld.territory import Territory

_FREE_BYTES = 2_000_000_000
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "error"]
    text: Text
    hint: Text | None = None
    exit_code: int = 0


def examine(territory: Territory) -> list[Examined]:
    """Look at everything; nothing is changed."""
    return [
        *_software(), *_machine(territory), *_clock(territory), *_access(territory), *_territory(territory), *_store(territory)
    ]  # fmt: skip


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
    try:
        territory.state.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=territory.state).close()
    except OSError as error:
        yield Examined(
            level="error",
            text=Text(f"Le dossier d'état n'est pas inscriptible : {error}", f"The state folder cannot be written: {error}"),
            hint=Text("Lancez la commande sous le compte du service.", "Run the command as the service's user."),
            exit_code=6,
        )
        return
    free = shutil.disk_usage(territory.state).free
    if free < _FREE_BYTES:
        yield Examined(
            level="error",
            text=Text(
                f"Il reste {free // 10**6} Mo dans {territory.state}.", f"{free // 10**6} MB are left in {territory.state}."
            ),
            hint=Text(
                "Faites de la place, ou gardez moins de générations ([store] keep_generations).",
                "Make room, or keep fewer generations ([store] keep_generations).",
            ),
            exit_code=6,
        )
    else:
        yield _ok(f"{free // 10**9} Go libres", f"{free // 10**9} GB free")


def _clock(territory: Territory) -> Iterator[Examined]:
    """Hold the clock of the machine against what the disk and the last publication say."""
    now = datetime.now(UTC)
    known = [datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in (Path(__file__), territory.root / "territory.toml")]
    pointer = territory.state / "store" / "CURRENT"
    if pointer.exists():
        known.append(datetime.fromtimestamp(pointer.stat().st_mtime, UTC))
    latest = max(known)
    if latest > now + _SKEW:
        yield Examined(
            level="warning",
            text=Text(
                f"L'horloge dit {now:%Y-%m-%d %H:%M} UTC, un fichier {latest:%Y-%m-%d %H:%M} UTC.",
                f"The clock says {now:%Y-%m-%d %H:%M} UTC, a file {latest:%Y-%m-%d %H:%M} UTC.",
            ),
            hint=Text("Réglez l'heure (NTP) avant de publier.", "Set the time (NTP) before publishing."),
        )
    else:
        yield _ok(f"Horloge : {now:%Y-%m-%d %H:%M} UTC", f"Clock: {now:%Y-%m-%d %H:%M} UTC")


def _access(territory: Territory) -> Iterator[Examined]:
    """Look at who may read the tokens, at tokens that have ended, and at whom the service believes."""
    named = os.environ.get("CITYORCHESTRA_TOKENS")
    file = Path(named) if named else territory.state / TOKENS
    if file.exists():
        if file.stat().st_mode & 0o077:
            yield Examined(
                level="error",
                text=Text(f"D'autres comptes peuvent lire {file}.", f"Other accounts can read {file}."),
                hint=Text(f"chmod 600 {file}", f"chmod 600 {file}"),
                exit_code=UsageError.exit_code,
            )
        try:
            tokens = Tokens.of(territory).list()
        except UsageError as error:
            yield Examined(level="error", text=error.message, exit_code=error.exit_code)
            tokens = ()
        ended = [token.name for token in tokens if token.expires and token.expires <= datetime.now(UTC)]
        if ended:
            yield Examined(
                level="warning",
                text=Text(f"Jetons périmés : {', '.join(ended)}", f"Expired tokens: {', '.join(ended)}"),
                hint=Text("cityorchestra token revoke NOM", "cityorchestra token revoke NAME"),
            )
    if "*" in os.environ.get("FORWARDED_ALLOW_IPS", ""):
        yield Examined(
            level="warning",
            text=Text("FORWARDED_ALLOW_IPS croit tout le monde.", "FORWARDED_ALLOW_IPS believes everybody."),
            hint=Text("Nommez les adresses de vos proxys.", "Name the addresses of your proxies."),
        )


def _workers(generation: Generation, territory: Territory) -> Iterator[Examined]:
    """Start one query process and ask it something."""
    began, out = time.monotonic(), io.BytesIO()
    try:
        query_once(generation, "ASK { }", view(generation.graphs), "application/sparql-results+json", territory.limits, out)
    except CityOrchestraError as error:
        yield Examined(
            level="error",
            text=error.message,
            hint=Text(
                "Mémoire ? `[limits] query_memory_mb`, et la limite du service.",
                "Memory? `[limits] query_memory_mb`, and the limit of the service.",
            ),
            exit_code=error.exit_code,
        )
        return
    took = time.monotonic() - began
    yield _ok(f"Un processus de requêtes répond en {took:.1f} s", f"A query process answers in {took:.1f} s")


def _memory(generation: Generation, territory: Territory) -> Iterator[Examined]:
    """Tell what of the generation a service keeps in memory, and what it would take."""
    found = residence(generation, territory.resident, territory.workers, territory.limits)
    web, workers = (-(-size // 10**6) for size in (found.web_bytes, found.workers_bytes))
    if found.workers:
        yield _ok(
            f"En mémoire : pages et requêtes, {web} + {workers} Mo au plus",
            f"In memory: pages and queries, {web} + {workers} MB at most",
        )
        return
    allowed = (found.allowed or 0) // 10**6
    hint = Text(
        f"Les requêtes seraient plus rapides avec {web + workers} Mo ; {allowed} sont permis ([store] resident).",
        f"Queries would be faster with {web + workers} MB; {allowed} are allowed ([store] resident).",
    )
    text = Text(f"En mémoire : pages, {web} Mo", f"In memory: pages, {web} MB")
    if not found.web:
        text = Text("La génération est lue sur le disque.", "The generation is read from disk.")
    yield Examined(level="ok", text=text, hint=None if territory.resident == "never" else hint)


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
        with store_of(territory) as store:
            current = store.current()
            for problem in store.verify():
                yield Examined(level="error", text=problem, exit_code=StoreError.exit_code)
    except CityOrchestraError as error:
        yield Examined(
            level="error",
            text=error.message,
            hint=Text("cityorchestra restore SAUVEGARDE --force", "cityorchestra restore BACKUP --force"),
            exit_code=error.exit_code,
        )
        return
    if current:
        number, triples = current.number, current.triples
        yield _ok(
            f"Génération {number} : {triples} triplets, {len(current.graphs)} graphes",
            f"Generation {number}: {triples} triples, {len(current.graphs)} graphs",
        )
        yield from _workers(current, territory)
        yield from _memory(current, territory)
