"""Where generations, snapshots and the pointer to the current state lie, who may change them, and who holds one open."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import msgspec

from cityorchestra_ld.errors import BusyError, Place, StoreError, Text
from cityorchestra_ld.model import Generation, GraphInfo
from cityorchestra_ld.store.hidden import HIDDEN

_LAYOUT: Final = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a store."""

    root: Path

    @property
    def pointer(self) -> Path:
        """Return the file that names the current generation."""
        return self.root / "CURRENT"

    @property
    def generations(self) -> Path:
        """Return the folder of finished generations."""
        return self.root / "generations"

    @property
    def snapshots(self) -> Path:
        """Return the folder of graph contents, named by their hash."""
        return self.root / "snapshots"

    @property
    def staging(self) -> Path:
        """Return the folder of unfinished generations; whatever is in it at the start of a publication is garbage."""
        return self.root / "staging"

    @property
    def scratch(self) -> Path:
        """Return the folder of temporary files of those who do not hold the publisher's lock."""
        return self.root / "scratch"

    @property
    def lock(self) -> Path:
        """Return the file that the one publisher locks."""
        return self.root / "publish.lock"

    def generation(self, number: int) -> Path:
        """Return the folder of one generation."""
        return self.generations / f"{number:06d}"

    def snapshot(self, sha256: str) -> Path:
        """Return the file of one graph content."""
        return self.snapshots / f"{sha256}.nt.zst"

    def prepare(self) -> None:
        """Create the folders that are missing."""
        for folder in (self.generations, self.snapshots, self.staging, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)

    def numbers(self) -> list[int]:
        """List the generations that are on disk, oldest first."""
        if not self.generations.is_dir():
            return []
        return sorted(int(path.name) for path in self.generations.iterdir() if path.name.isdecimal())


class Pointer(msgspec.Struct, frozen=True):
    """What CURRENT says; a generation with a higher number than `latest` was never published."""

    generation: int
    latest: int


class Merged(msgspec.Struct, frozen=True):
    """
    The hidden graph that holds the merge of all graphs of the public default graph.

    What earlier versions made has another `graph`, and leaves out the triples of the one `beside` it.
    """

    members: tuple[str, ...]
    sha256: str
    triples: int
    beside: str | None = None
    graph: str = "urn:cityorchestra:merged"

    @property
    def is_default(self) -> bool:
        """Tell whether the default graph of the engine is the merge, all of it."""
        return self.graph == HIDDEN and self.beside is None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation's folder says about itself."""

    number: int
    created: datetime
    graphs: tuple[GraphInfo, ...]
    parent: int | None = None
    run: str | None = None
    meta: dict[str, str] = {}
    method: str = "rebuild"  # or "difference", or "unchanged" when only descriptions of graphs changed
    removed: int = 0
    inserted: int = 0
    churn: int = 0  # triples removed and inserted since the last rebuild
    merged: Merged | None = None
    layout: int = _LAYOUT


# --- durable writes -----------------------------------------------------------------------------------------------------------


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Make every file under a folder durable; a file with another link was made so when an older generation was published."""
    for folder, _, files in os.walk(path):
        for name in files:
            descriptor = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                if os.fstat(descriptor).st_nlink == 1:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(folder))


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file so that readers, and the disk after a power cut, see the old or the new content."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_pointer(layout: Layout) -> Pointer | None:
    """Read CURRENT; nothing when nothing was ever published."""
    try:
        return msgspec.json.decode(layout.pointer.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise StoreError(
            Text(f"Le pointeur du dépôt est illisible : {error}", f"The store's pointer cannot be read: {error}"),
            place=Place(file=str(layout.pointer)),
        ) from None


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a generation's folder."""
    try:
        return msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
    except (msgspec.DecodeError, OSError) as error:
        raise StoreError(
            Text(f"Le manifeste d'une génération est illisible : {error}", f"A generation's manifest cannot be read: {error}"),
            place=Place(file=str(path / "manifest.json")),
        ) from None


def read_generation(path: Path) -> Generation:
    """Describe the generation in a folder, which may be a copy on another machine."""
    manifest = read_manifest(path)
    return Generation(
        number=manifest.number,
        path=path,
        created=manifest.created,
        graphs=manifest.graphs,
        parent=manifest.parent,
        run=manifest.run,
        meta=manifest.meta,
    )


def published_mark(root: Path) -> tuple[int, int] | None:
    """Return what is another after each publication in a store folder, without reading anything; nothing before the first."""
    try:
        found = Layout(root).pointer.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def current_generation(root: Path) -> Generation | None:
    """Return the generation that is published in a store folder, or nothing; reads two small files."""
    layout = Layout(root)
    pointer = read_pointer(layout)
    return None if pointer is None else read_generation(layout.generation(pointer.generation))


def kept_generations(root: Path) -> tuple[Generation, ...]:
    """List the published generations that are kept in a store folder, oldest first; one that is being deleted is left out."""
    layout = Layout(root)
    pointer = read_pointer(layout)
    found = []
    for number in layout.numbers():
        if pointer is not None and number <= pointer.latest:
            with suppress(StoreError):
                found.append(read_generation(layout.generation(number)))
    return tuple(found)


# --- locks --------------------------------------------------------------------------------------------------------------------


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    since: datetime


@contextmanager
def publisher_lock(layout: Layout) -> Iterator[None]:
    """Be the only publisher; raise BusyError saying who is when it is somebody else."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(layout, os.pread(descriptor, 4096, 0)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(_Holder(os.getpid(), datetime.now(UTC))), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _busy(layout: Layout, said: bytes) -> BusyError:
    try:
        holder = msgspec.json.decode(said, type=_Holder)
        who, since = f"processus {holder.pid}", f"{holder.since:%Y-%m-%d %H:%M:%S} UTC"
        text = Text(
            f"Une publication est en cours ({who}, depuis {since}).",
            f"A publication is under way (process {holder.pid}, since {since}).",
        )
    except msgspec.DecodeError:
        text = Text("Une publication est en cours.", "A publication is under way.")
    return BusyError(
        text,
        place=Place(file=str(layout.lock)),
        hint=Text("Attendez sa fin, puis recommencez.", "Wait until it ends, then try again."),
    )


class Hold:
    """A reader's claim on a generation: while it lasts, no publisher deletes the folder."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path / "hold", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise _gone(path) from None
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        try:
            same = os.fstat(self._descriptor).st_ino == (path / "hold").stat().st_ino
        except OSError:
            same = False
        if not same:  # deleted between open and lock
            self.close()
            raise _gone(path)

    def close(self) -> None:
        """Give the claim up; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _gone(path: Path) -> StoreError:
    return StoreError(
        Text("Cette génération n'existe plus.", "This generation does not exist any more."),
        place=Place(file=str(path)),
        hint=Text("Relisez la génération courante.", "Read the current generation again."),
    )
