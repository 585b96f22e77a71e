"""Files that the database writes: written without waiting for the disk, counted, and put together as one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Final

_OFTEN: Final = 0.005  # seconds
_SELDOM: Final = 0.05
_WHOLE: Final = 1 << 30  # bytes; a shorter file stays in memory, since it will soon be read
_STEP: Final = 1 << 26
_LATER: Final = 1 << 29


@contextmanager
def followed(path: Path) -> Iterator[None]:
    """
    Follow a file that the database makes in this block, so that it need not wait for the disk.

    The database truncates the file that it has just made, and ext4 (auto_da_alloc) then writes the whole of it to the disk when
    it is next closed, by whom it may be: it is closed here as soon as it holds something. Of a long file, what was written a
    while ago goes to the disk and out of memory while more is written.
    """
    done = Event()
    with ThreadPoolExecutor(1) as beside:
        following = beside.submit(_follow, path, done)
        try:
            yield
        finally:
            done.set()
        following.result()


def _follow(path: Path, done: Event) -> None:
    while not (path.exists() and path.stat().st_size):
        if done.wait(_OFTEN):
            return
    path.open("rb").close()
    with path.open("rb") as file:
        begun = gone = 0
        while not done.wait(_SELDOM):
            size = os.fstat(file.fileno()).st_size
            if size > _WHOLE and size >= begun + 2 * _STEP and hasattr(os, "posix_fadvise"):
                # what is not yet on the disk goes there, what is already there goes out of memory
                os.posix_fadvise(file.fileno(), gone, size - _STEP - gone, os.POSIX_FADV_DONTNEED)
                gone, begun = max(gone, begun - _LATER), size - _STEP


def line_ends(path: Path) -> int:
    """Count the lines of a file."""
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def join(pieces: Iterable[Path], target: Path) -> None:
    """Make one file of the pieces; the largest is renamed, the others are copied after it."""
    existing = [piece for piece in pieces if piece.exists()]
    existing.sort(key=lambda piece: -piece.stat().st_size)
    if not existing:
        target.write_bytes(b"")
        return
    existing[0].replace(target)
    with target.open("ab") as out:
        for piece in existing[1:]:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)
