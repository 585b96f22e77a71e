"""The ledger of a dataset: its content at one moment, then every change that was published, kept whatever the store deletes."""

from __future__ import annotations

import heapq
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TextIO, cast

import msgspec
import zstandard

from cityorchestra_ld.catalog.lines import blocks
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.store.generations import Layout, sync_folder, write_durably
from cityorchestra_ld.store.snapshots import compare

PAGE: Final = 500  # things on one page of a feed
KEPT: Final = 100  # entries; beyond, the oldest become part of the base
Kind = Literal["base", "change"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One publication: when, which version, and how many things it wrote or took away."""

    number: int
    version: str
    sha256: str  # of the whole content after it
    moment: datetime
    kind: Kind
    written: int
    deleted: int

    @property
    def name(self) -> str:
        """Return the name of the entry in addresses; a base that moved forward has another one than the change it replaced."""
        return f"base-{self.number}" if self.kind == "base" else str(self.number)

    @property
    def file(self) -> str:
        """Return the name of the file that holds what was written."""
        return f"{self.number:06d}.{'base' if self.kind == 'base' else 'nt'}.zst"

    @property
    def pages(self) -> int:
        """Count the pages that show this entry."""
        return -(-(self.written + self.deleted) // PAGE)


class Ledger(msgspec.Struct, frozen=True):
    """All entries that are kept, the oldest first: a base, and changes."""

    entries: tuple[Entry, ...] = ()


def folder_of(state: Path, dataset: str) -> Path:
    """Return where the ledger of a dataset lies."""
    return state / "feed" / dataset


def read(state: Path, dataset: str) -> Ledger:
    """Read a ledger; an empty one when there is none."""
    try:
        return msgspec.json.decode((folder_of(state, dataset) / "ledger.json").read_bytes(), type=Ledger)
    except (OSError, msgspec.MsgspecError):
        return Ledger()


def record(state: Path, public: Iterable[GraphInfo], moment: datetime, *, keep: int = KEPT) -> None:
    """
    Bring all ledgers up to what is published now; what the public may not see any more loses its ledger.

    A publication that was cut short here is made good by the next one: the change is taken from the last entry on.
    """
    infos = {info.dataset: info for info in public if info.dataset}
    root = state / "feed"
    for folder in sorted(root.glob("*/*")) if root.exists() else ():
        if f"{folder.parent.name}/{folder.name}" not in infos:
            shutil.rmtree(folder, ignore_errors=True)
    for key, info in infos.items():
        snapshot = Layout(state / "store").snapshot(info.sha256)
        ledger = read(state, key)
        if snapshot.exists() and (not ledger.entries or ledger.entries[-1].sha256 != info.sha256):
            _Book(state, key, ledger).add(info, snapshot, moment, keep)


def things(state: Path, dataset: str, entry: Entry, page: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the things on one page of an entry, with their triples as written; one that is gone has none."""
    folder = folder_of(state, dataset)
    start = (page - 1) * PAGE
    with ExitStack() as stack:
        streams: list[Iterator[tuple[str, list[tuple[str, str]]]]] = []
        written = stack.enter_context(_lines(folder / entry.file))
        streams.append(blocks(written))
        if entry.deleted:
            gone = stack.enter_context(_lines(folder / f"{entry.number:06d}.gone.zst"))
            streams.append((line.rstrip("\n"), []) for line in gone)
        yield from itertools.islice(itertools.chain(*streams), start, start + PAGE)


def _lines(path: Path) -> TextIO:
    return cast(TextIO, zstandard.open(path, "rt", encoding="utf-8", newline="\n"))


def _into(path: Path) -> TextIO:
    return cast(TextIO, zstandard.open(path, "wt", encoding="utf-8", newline="\n"))


class _Book:
    """One ledger that is being written."""

    def __init__(self, state: Path, dataset: str, ledger: Ledger) -> None:
        self._folder = folder_of(state, dataset)
        self._ledger = ledger
        self._folder.mkdir(parents=True, exist_ok=True)

    def add(self, info: GraphInfo, snapshot: Path, moment: datetime, keep: int) -> None:
        """Write one entry, then the list that names it: a reader sees both or neither."""
        entries = self._ledger.entries
        number = entries[-1].number + 1 if entries else 1
        if entries and moment <= entries[-1].moment:  # a rollback: the generation is older than what came after it
            moment = datetime.now(moment.tzinfo)
        head = self._folder / "head.nt.zst"
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".adding-") as temporary:
            work = Path(temporary)
            if entries and head.exists():
                written, deleted = self._change(work, head, snapshot, number)
            else:
                entries, deleted = (), 0
                _keep(snapshot, self._folder / f"{number:06d}.base.zst")
                with _lines(snapshot) as lines:
                    written = sum(1 for _ in blocks(lines))
        kind: Kind = "change" if entries else "base"
        entry = Entry(
            number=number,
            version=info.version or "",
            sha256=info.sha256,
            moment=moment,
            kind=kind,
            written=written,
            deleted=deleted,
        )
        ledger = self._shortened(Ledger((*entries, entry)), keep)
        _keep(snapshot, head)
        sync_folder(self._folder)
        write_durably(self._folder / "ledger.json", msgspec.json.encode(ledger))
        self._sweep(ledger)

    def _change(self, work: Path, head: Path, snapshot: Path, number: int) -> tuple[int, int]:
        """Write the things that changed as they are now, and the names of those that are gone."""
        difference = compare(head, snapshot, work, "feed")
        changed = _subjects(difference.removals) | _subjects(difference.insertions)
        written = 0
        left = set(changed)
        with _lines(snapshot) as lines, _into(work / "written") as out:
            current = ""
            for line in lines:
                subject = line.partition(" ")[0]
                if subject in changed:
                    out.write(line)
                    if subject != current:
                        written, current = written + 1, subject
                        left.discard(subject)
        with _into(work / "gone") as out:
            out.writelines(f"{subject}\n" for subject in sorted(left))
        (work / "written").replace(self._folder / f"{number:06d}.nt.zst")
        (work / "gone").replace(self._folder / f"{number:06d}.gone.zst")
        return written, len(left)

    def _shortened(self, ledger: Ledger, keep: int) -> Ledger:
        """Fold the oldest entries into one base when there are too many: every thing keeps its last version."""
        entries = ledger.entries
        if len(entries) <= keep:
            return ledger
        cut = len(entries) - keep // 2
        base = self._folder / entries[0].file
        for entry in entries[1:cut]:
            base = self._folded(base, entry)
        last = entries[cut - 1]
        with _lines(base) as lines:
            written = sum(1 for _ in blocks(lines))
        first = msgspec.structs.replace(last, kind="base", written=written, deleted=0)
        base.replace(self._folder / first.file)
        return Ledger((first, *entries[cut:]))

    def _folded(self, base: Path, entry: Entry) -> Path:
        """Write the content after an entry, from the content before it."""
        target = self._folder / f".folded-{entry.number:06d}.zst"
        change, gone = self._folder / entry.file, self._folder / f"{entry.number:06d}.gone.zst"
        with _lines(change) as lines:
            new = list(lines)
        replaced = {line.partition(" ")[0] for line in new}
        with _lines(gone) as lines:
            replaced |= {line.rstrip("\n") for line in lines}
        with _lines(base) as lines, _into(target) as out:
            kept = (line for line in lines if line.partition(" ")[0] not in replaced)
            out.writelines(heapq.merge(kept, new))
        if base.name.startswith(".folded-"):
            base.unlink()
        return target

    def _sweep(self, ledger: Ledger) -> None:
        """Delete the files of entries that are not kept any more."""
        wanted = {"ledger.json", "head.nt.zst"}
        for entry in ledger.entries:
            wanted |= {entry.file} if entry.kind == "base" else {entry.file, f"{entry.number:06d}.gone.zst"}
        for path in self._folder.iterdir():
            if path.is_file() and path.name not in wanted:
                path.unlink()


def _subjects(lines: Path) -> set[str]:
    with lines.open(encoding="utf-8", newline="\n") as file:
        return {line.partition(" ")[0] for line in file}


def _keep(source: Path, target: Path) -> None:
    """Put a content under another name without a copy where the file system can; a reader sees the old or the new one."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
