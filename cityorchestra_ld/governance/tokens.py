"""Bearer tokens of people and programs: kept as hashes, found in constant time, with the datasets each may read and change."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.governance.views import ANONYMOUS, Principal
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.territory import Dataset, Territory

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PREFIX: Final = "co_"
FILE: Final = "tokens.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What one token allows; the token itself is never kept."""

    name: str
    sha256: str
    created: datetime
    read: tuple[str, ...] = ()  # datasets that are not public, as partner/name; `*` stands for anything
    write: tuple[str, ...] = ()  # datasets, or graphs when it has a colon
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A graph that a steward wants to change."""

    graph: str
    dataset: Dataset | None = None


class Tokens:
    """The tokens of an installation: `{state}/tokens.json`, or the file that `CITYORCHESTRA_TOKENS` names."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._read: tuple[int, tuple[Token, ...]] = (-1, ())

    @classmethod
    def of(cls, territory: Territory) -> Tokens:
        """Find the file of a territory's tokens, which may not exist yet."""
        named = os.environ.get("CITYORCHESTRA_TOKENS")
        return cls(Path(named) if named else territory.state / FILE, read_only=territory.read_only)

    def list(self) -> tuple[Token, ...]:
        """Read all tokens; raise UsageError when the file is not what we wrote."""
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return ()
        if changed != self._read[0]:
            try:
                self._read = (changed, msgspec.json.decode(self._path.read_bytes(), type=tuple[Token, ...]))
            except msgspec.DecodeError as error:
                raise UsageError(
                    Text(f"Fichier de jetons illisible : {error}", f"The file of tokens cannot be read: {error}"),
                    place=Place(file=str(self._path)),
                ) from None
        return self._read[1]

    def new(self, name: str, *, read: Sequence[str] = (), write: Sequence[str] = (), expires: datetime | None = None) -> str:
        """Make a token and return it, the only time that it can be seen; raise UsageError when the name is taken or not one."""
        known = self.list()
        if not _NAME.fullmatch(name) or any(token.name == name for token in known):
            raise UsageError(
                Text(f"« {name} » est déjà pris, ou n'est pas un nom.", f"'{name}' is taken, or is not a name."),
                hint=Text("Minuscules, chiffres et tirets.", "Lower-case letters, digits and hyphens."),
            )
        secret = _PREFIX + secrets.token_urlsafe(32)
        made = Token(
            name=name, sha256=_hash(secret), created=datetime.now(UTC), read=tuple(read), write=tuple(write), expires=expires
        )
        self._save((*known, made))
        return secret

    def revoke(self, name: str) -> None:
        """Forget a token; raise UsageError when there is none of that name."""
        known = self.list()
        kept = tuple(token for token in known if token.name != name)
        if len(kept) == len(known):
            raise UsageError(Text(f"Aucun jeton « {name} ».", f"There is no token '{name}'."))
        self._save(kept)

    def find(self, secret: str) -> Token | None:
        """Find the token that somebody shows, which changes nothing where all is read-only, in constant time."""
        shown, found = _hash(secret), None
        for token in self.list():
            if hmac.compare_digest(token.sha256, shown):
                found = token
        if found is None or (found.expires and found.expires <= datetime.now(UTC)):
            return None
        return replace(found, read=(*found.read, *found.write), write=()) if self._read_only else found

    def _save(self, tokens: tuple[Token, ...]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(tokens), indent=2))
        temporary.replace(self._path)


def _hash(secret: str) -> str:
    """Hash a token; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def principal(token: Token | None, graphs: Iterable[GraphInfo]) -> Principal:
    """Say what the bearer of a token may see beyond what is public, in one generation."""
    if token is None:
        return ANONYMOUS
    allowed = (*token.read, *token.write)
    granted = frozenset(info.graph for info in graphs if _matches(allowed, info.graph, info.dataset))
    return replace(ANONYMOUS, name=token.name, granted=granted)


def may_read(token: Token, graph: str) -> bool:
    """Tell whether a token names a graph, or something of ours that has the name of one, among what it may read."""
    return _matches(token.read, graph, None)


def may_write(token: Token, territory: Territory, graph: str) -> Target | None:
    """Tell what a token may change at a graph's name: the triples of a dataset, a graph of nobody's, or nothing."""
    for dataset in territory.datasets.values():
        if territory.graph_of(dataset) == graph:
            return Target(graph=graph, dataset=dataset) if _matches(token.write, graph, dataset.key) else None
    own = territory.iris.graph("")
    made = graph.startswith("urn:cityorchestra:") or (
        graph.startswith(own) and not graph.startswith(territory.iris.graph("scenario") + "/")
    )
    return None if made or not _matches(token.write, graph, None) else Target(graph=graph)


def _matches(patterns: Iterable[str], graph: str, dataset: str | None) -> bool:
    return any(
        fnmatch.fnmatchcase(graph, pattern) if ":" in pattern else dataset is not None and fnmatch.fnmatchcase(dataset, pattern)
        for pattern in patterns
    )
