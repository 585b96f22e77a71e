"""Run folders: what each execution of the pipeline read, made and found, kept as JSON."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from cityorchestra_ld.errors import BusyError, CityOrchestraError, Place, Text, UsageError
from cityorchestra_ld.model import SetAside

_ID = re.compile(r"\d{8}T\d{6}Z-[a-z0-9-]{1,120}-[0-9a-f]{4}")


class Status(StrEnum):
    """How a run ended."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    CHECKED = "checked"  # everything but the publication was asked for
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One partner file as it was read."""

    name: str
    label: str
    sha256: str
    size: int
    records: int | None
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The error that ended a run."""

    kind: str
    exit_code: int
    message: Text
    place: Place | None = None
    hint: Text | None = None

    @classmethod
    def of(cls, error: CityOrchestraError) -> Failure:
        """Keep an error of ours."""
        return cls(
            kind=type(error).__name__, exit_code=error.exit_code, message=error.message, place=error.place, hint=error.hint
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of the pipeline on one dataset."""

    id: str
    dataset: str
    status: Status
    started: datetime
    finished: datetime
    fingerprint: str = ""
    rules: str = ""  # digest of what decides the validation, the data apart
    version: str = ""
    generation: int | None = None
    records: Mapping[str, int] = field(default_factory=dict)  # per logical source
    per_map: Mapping[str, int] = field(default_factory=dict)  # quads per triples map
    triples: int = 0
    violations: int = 0
    warnings: int = 0
    infos: int = 0
    judged: int | None = None  # focus nodes judged again when only a change was validated; nothing: all were
    new: int = 0  # results that the run before did not have
    fixed: int = 0  # results of the run before that are gone
    engine: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)  # per stage
    sources: tuple[SourceRecord, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # mapping.yml, dataset.toml… as they were: name → kept hash
    set_aside: int = 0  # wrong rows that were left out; all are in quarantine.csv
    quarantine: tuple[SetAside, ...] = ()  # the first of them
    failure: Failure | None = None

    @property
    def results(self) -> int:
        """Count validation results of all severities."""
        return self.violations + self.warnings + self.infos

    @property
    def exit_code(self) -> int:
        """Return the exit code that tells how the run ended."""
        return self.failure.exit_code if self.failure else 0


class RunFolder:
    """The folder of all runs of one installation: `{state}/runs/{id}/`."""

    def __init__(self, state: Path) -> None:
        self.root = state / "runs"

    def start(self, dataset: str, now: datetime) -> tuple[str, Path]:
        """Make the folder of a new run; its name sorts by time."""
        slug = dataset.replace("/", "-")[:80]
        identity = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{slug}-{secrets.token_hex(2)}"
        folder = self.root / identity
        folder.mkdir(parents=True)
        return identity, folder

    def save(self, run: Run) -> None:
        """Write `run.json`; a reader sees the old file or the new one."""
        folder = self.root / run.id
        temporary = folder / ".run.json"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2))
        temporary.replace(folder / "run.json")

    def load(self, identity: str) -> Run:
        """Read one run; raise UsageError when there is none of that name."""
        file = self.root / identity / "run.json"
        if not _ID.fullmatch(identity) or not file.exists():
            raise UsageError(
                Text(f"Aucun passage « {identity} ».", f"There is no run '{identity}'."),
                hint=Text("`cityorchestra runs list` les énumère.", "`cityorchestra runs list` lists them."),
            )
        return msgspec.json.decode(file.read_bytes(), type=Run)

    def list(self, *, limit: int = 200) -> tuple[Run, ...]:
        """Read the newest runs, newest first; a run that was killed left no `run.json` and is not listed."""
        found: list[Run] = []
        for folder in sorted(self.root.glob("*"), reverse=True):
            if len(found) >= limit:
                break
            file = folder / "run.json"
            if file.exists():
                found.append(msgspec.json.decode(file.read_bytes(), type=Run))
        return tuple(found)

    def sweep(self, keep: int) -> None:
        """Remove what killed runs left behind, and all but the newest `keep` run folders; call it under the lock."""
        folders = sorted(self.root.glob("*"), reverse=True)
        whole = [folder for folder in folders if (folder / "run.json").exists()]
        for folder in {*folders} - {*whole[:keep]}:
            shutil.rmtree(folder)


@contextmanager
def exclusive(state: Path) -> Iterator[None]:
    """Hold the one lock that keeps two runs apart; raise BusyError naming the holder when it is taken."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "run.lock").open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "?"
            raise BusyError(
                Text(f"Un autre passage est en cours ({holder}).", f"Another run is under way ({holder})."),
                place=Place(file=str(state)),
                hint=Text("Attendez sa fin, puis recommencez.", "Wait until it ends, then try again."),
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(f"pid {os.getpid()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}")
        handle.flush()
        yield
