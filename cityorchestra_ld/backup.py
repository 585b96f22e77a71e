"""Copy what an installation keeps into one archive while it serves and publishes, and put such a copy back, checked."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, Final, Protocol, cast

import msgspec
import zstandard

from cityorchestra_ld.errors import CityOrchestraError, Place, RefusedError, StoreError, Text, UsageError
from cityorchestra_ld.governance.tokens import FILE as TOKENS
from cityorchestra_ld.runs import exclusive
from cityorchestra_ld.store.generations import Hold, Layout, Manifest, read_manifest, read_pointer, sync_folder, sync_tree

CONTENTS: Final = "backup.json"
_LAYOUT: Final = 1
_TRIES: Final = 10  # to take a picture between two publications
_CHUNK: Final = 1 << 20
_GONE: Final = "gone.sqlite"
_PARTS: Final = ("store", "sources", "runs", "feed", TOKENS)


class Item(msgspec.Struct, frozen=True):
    """One file of a backup."""

    path: str
    size: int
    sha256: str


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself, in its last file."""

    made: datetime
    software: str
    generation: int
    triples: int
    files: tuple[Item, ...]
    layout: int = _LAYOUT

    @property
    def size(self) -> int:
        """Count the bytes of all files."""
        return sum(item.size for item in self.files)


# --- making -------------------------------------------------------------------------------------------------------------------


def backup(state: Path, target: Path) -> Contents:
    """
    Write what cannot be made again to a folder, or to an archive when the name ends with `.tar.zst`.

    That is the published generation, the contents that it names, the partners' files, the records of runs, the feeds and the
    tokens. Nobody waits for it. Raises StoreError when nothing is published or a file cannot be written, UsageError when the
    target is there already.
    """
    is_archive = target.name.endswith(".tar.zst")
    if target.exists() and (is_archive or not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            Text("La cible existe déjà.", "The target exists already."),
            place=Place(file=str(target)),
            hint=Text("Donnez un nouveau nom.", "Give a new name."),
        )
    with _explained(target), ExitStack() as stack:
        picture, manifest = _picture(state, stack)
        part = target.with_name(f".{target.name}.part")
        stack.callback(_remove, part)
        with _Archive.open(part) if is_archive else _Folder.open(part) as sink:
            items = [sink.add(name, path) for name, path in _files(picture)]
            contents = Contents(
                made=datetime.now(UTC), software=f"cityorchestra-ld {version('cityorchestra-ld')}", generation=manifest.number,
                triples=sum(info.triples for info in manifest.graphs), files=tuple(items),
            )  # fmt: skip
            told = picture / CONTENTS
            told.write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=1))
            sink.add(CONTENTS, told)
        if not is_archive and target.exists():
            target.rmdir()
        part.rename(target)
        sync_folder(target.parent)
    return contents


def _picture(state: Path, stack: ExitStack) -> tuple[Path, Manifest]:
    """Link everything that belongs together under one folder, in a moment; what is linked stays, whatever is deleted later."""
    for left in state.glob(".backup-*"):
        shutil.rmtree(left, ignore_errors=True)  # of a backup that was killed
    layout = Layout(state / "store")
    for _ in range(_TRIES):
        pointer = read_pointer(layout)
        if pointer is None:
            raise StoreError(Text("Rien n'est encore publié.", "Nothing is published yet."), place=Place(file=str(layout.root)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=state, prefix=".backup-")))
        try:
            with Hold(layout.generation(pointer.generation)):
                manifest = read_manifest(layout.generation(pointer.generation))
                _link_all(state, folder, manifest)
                if read_pointer(layout) == pointer and _seen(state / "feed") == _seen(folder / "feed"):
                    (folder / "store" / "CURRENT").write_bytes(msgspec.json.encode(pointer))
                    return folder, manifest
        except (FileNotFoundError, StoreError):
            continue  # a publication came between
    raise StoreError(
        Text("Des publications se suivent sans pause.", "Publications follow each other without a pause."),
        hint=Text("Recommencez dans un instant.", "Try again in a moment."),
    )


def _link_all(state: Path, folder: Path, manifest: Manifest) -> None:
    """Link the parts; raise FileNotFoundError when one that is needed went away in the meantime."""
    layout, copied = Layout(state / "store"), Layout(folder / "store")
    copied.prepare()
    _link_tree(layout.generation(manifest.number), copied.generation(manifest.number))
    wanted = {info.sha256 for info in (*manifest.graphs, manifest.merged) if info is not None}
    for sha256 in wanted:
        if layout.snapshot(sha256).exists():  # the store works without; old contents are deleted after a while
            _link(layout.snapshot(sha256), copied.snapshot(sha256))
    if (layout.root / _GONE).exists():
        with closing(sqlite3.connect(layout.root / _GONE)) as old, closing(sqlite3.connect(copied.root / _GONE)) as new:
            old.backup(new)
    needed = {identity for name, identity in manifest.meta.items() if name.startswith("run:")}
    for run in (state / "runs").glob("*"):
        if (run / "run.json").exists():
            _link_tree(run, folder / "runs" / run.name)
    for identity in needed:
        if (state / "runs" / identity).exists() != (folder / "runs" / identity).exists():
            raise FileNotFoundError(identity)
    _link_tree(state / "sources", folder / "sources")
    _link_tree(state / "feed", folder / "feed")
    if (state / TOKENS).exists():
        _link(state / TOKENS, folder / TOKENS)


def _remove(part: Path) -> None:
    """Remove what a backup that failed has written."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def _link_tree(source: Path, target: Path) -> None:
    """Link the files under a folder; what is being written has a name of its own kind and is left out."""
    for path in source.rglob("*") if source.exists() else ():
        if path.is_file() and not path.is_symlink() and _is_finished(path.relative_to(source)):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(path, place)


def _is_finished(path: PurePath) -> bool:
    return not path.name.endswith(".tmp") and not any(part.startswith(".") for part in path.parts)


def _seen(folder: Path) -> set[tuple[str, int, int]]:
    """Tell one state of a folder from another."""
    found = (path for path in folder.rglob("*") if path.is_file() and _is_finished(path.relative_to(folder)))
    return {(str(path.relative_to(folder)), path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def _files(picture: Path) -> Iterator[tuple[str, Path]]:
    """List the files of a picture, the pointer last."""
    found = sorted(path for path in picture.rglob("*") if path.is_file())
    last = picture / "store" / "CURRENT"
    for path in (*(path for path in found if path != last), last):
        yield path.relative_to(picture).as_posix(), path


class _Sink(Protocol):
    """Where a backup is written."""

    def add(self, name: str, path: Path) -> Item:
        """Write one file and return its checksum."""


@dataclass(slots=True)
class _Hashing:
    """A file that is hashed as it is read."""

    file: BinaryIO
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


@dataclass(slots=True)
class _Archive:
    """A compressed tar file; nobody but its owner may read it, because it holds what is not public."""

    tar: tarfile.TarFile

    @classmethod
    @contextmanager
    def open(cls, part: Path) -> Iterator[_Sink]:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as raw:
            with (
                zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False) as out,
                tarfile.open(fileobj=cast(BinaryIO, out), mode="w|") as tar,
            ):
                yield cls(tar)
            raw.flush()
            os.fsync(raw.fileno())

    def add(self, name: str, path: Path) -> Item:
        with path.open("rb") as file:
            info = tarfile.TarInfo(name)
            status = os.fstat(file.fileno())
            info.size, info.mtime, info.mode = status.st_size, int(status.st_mtime), 0o600
            hashing = _Hashing(file)
            self.tar.addfile(info, cast(BinaryIO, hashing))
        return Item(name, info.size, hashing.digest.hexdigest())


@dataclass(slots=True)
class _Folder:
    """A plain folder."""

    root: Path

    @classmethod
    @contextmanager
    def open(cls, part: Path) -> Iterator[_Sink]:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        yield cls(part)
        sync_tree(part)

    def add(self, name: str, path: Path) -> Item:
        with path.open("rb") as file:
            return _write(self.root, name, file)


# --- putting back -------------------------------------------------------------------------------------------------------------


def restore(source: Path, state: Path, *, force: bool = False) -> Contents:
    """
    Put a backup back as the state of an installation; nothing is touched before every checksum was compared.

    What was there is kept beside it, in `.replaced-…`. Raises RefusedError for a backup that is damaged and for a state that is
    not empty (unless `force`), BusyError while somebody publishes there, StoreError when a file cannot be written.
    """
    if not source.exists():
        raise UsageError(Text("Cette sauvegarde n'existe pas.", "There is no such backup."), place=Place(file=str(source)))
    present = [path for path in state.iterdir() if path.name not in ("run.lock",)] if state.exists() else []
    present = [path for path in present if not path.name.startswith(".")]
    if present and not force:
        raise RefusedError(
            Text("Le dossier d'état n'est pas vide.", "The state folder is not empty."),
            place=Place(file=str(state)),
            hint=Text("Donnez un dossier vide, ou --force ; l'ancien contenu est gardé à côté.",
                      "Give an empty folder, or --force; what is there is kept beside it."),
        )  # fmt: skip
    with _explained(source), exclusive(state), tempfile.TemporaryDirectory(dir=state, prefix=".restoring-") as folder:
        staged = Path(folder)
        try:
            contents = _unpack(source, staged)
        except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
            raise _damaged(source, str(error)) from None
        sync_tree(staged)
        if present:
            aside = state / f".replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
            aside.mkdir()
            for path in sorted(present, key=lambda path: path.name != "store"):  # the pointer goes first and comes last
                path.rename(aside / path.name)
        for path in sorted(staged.iterdir(), key=lambda path: path.name == "store"):
            path.rename(state / path.name)
        sync_folder(state)
    return contents


def _unpack(source: Path, staged: Path) -> Contents:
    """Write all files of a backup under a folder and compare them with what the backup says of itself."""
    found: dict[str, Item] = {}
    for name, file in _members(source):
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or parts[0] not in (*_PARTS, CONTENTS) or name in found:
            raise _damaged(source, name)
        found[name] = _write(staged, name, file)
    if CONTENTS not in found:
        raise _damaged(source, CONTENTS)
    told = staged / CONTENTS
    try:
        contents = msgspec.json.decode(told.read_bytes(), type=Contents)
    except msgspec.DecodeError:
        raise _damaged(source, CONTENTS) from None
    told.unlink()
    expected = {item.path: item for item in contents.files}
    for name in sorted(expected.keys() | (found.keys() - {CONTENTS})):
        if expected.get(name) != found.get(name):
            raise _damaged(source, name)
    if "store/CURRENT" not in found:
        raise _damaged(source, "store/CURRENT")
    return contents


def _members(source: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the files of a backup; raise RefusedError for anything that is not a file."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_symlink():
                raise _damaged(source, str(path.relative_to(source)))
            if path.is_file():
                with path.open("rb") as file:
                    yield path.relative_to(source).as_posix(), file
        return
    with (
        zstandard.open(source, "rb") as plain,
        tarfile.open(fileobj=cast(BinaryIO, plain), mode="r|") as tar,
    ):
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise _damaged(source, member.name)
            with content:
                yield member.name, cast(BinaryIO, content)


def _write(root: Path, name: str, file: BinaryIO) -> Item:
    """Write one file below a folder."""
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if name == TOKENS else 0o644)
    with os.fdopen(descriptor, "wb") as out:
        for data in _pieces(file):
            digest.update(data)
            size += len(data)
            out.write(data)
    return Item(name, size, digest.hexdigest())


def _pieces(file: BinaryIO) -> Iterable[bytes]:
    return iter(lambda: file.read(_CHUNK), b"")


def _damaged(source: Path, what: str) -> RefusedError:
    return RefusedError(
        Text("La sauvegarde est abîmée ; rien n'a changé.", "The backup is damaged; nothing has changed."),
        place=Place(file=str(source), value=what),
        hint=Text("Prenez-en une autre.", "Take another one."),
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system says into an error of ours."""
    try:
        yield
    except CityOrchestraError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            Text(f"Lecture ou écriture impossible : {error}", f"Reading or writing failed: {error}"),
            place=Place(file=str(path)),
            hint=Text("Reste-t-il de la place ?", "Is there room left?"),
        ) from None
