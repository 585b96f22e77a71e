"""Remove what nobody needs any more: leavings of killed publishers, old generations, contents that no generation names."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from cityorchestra_ld.store.generations import Layout, read_manifest, read_pointer

_SCRATCH_SECONDS: Final = 86_400  # temporary files this old belong to nobody


def sweep(layout: Layout) -> None:
    """Remove what a killed publisher left: unfinished and never published generations; only ever called under the lock."""
    for leftover in layout.staging.iterdir():
        shutil.rmtree(leftover, ignore_errors=True)
    pointer = read_pointer(layout)
    for number in layout.numbers():
        if number > (pointer.latest if pointer else 0):
            delete_generation(layout, number)
    for leftover in _older(layout.scratch, _SCRATCH_SECONDS):
        shutil.rmtree(leftover, ignore_errors=True)


def retain(layout: Layout, keep: int, keep_snapshots: timedelta) -> None:
    """Delete all but the last `keep` generations unless somebody reads them, then old contents that none of them names."""
    pointer = read_pointer(layout)
    for number in layout.numbers()[:-keep]:
        if pointer is not None and number != pointer.generation:
            delete_generation(layout, number)
    manifests = [read_manifest(layout.generation(number)) for number in layout.numbers()]
    wanted = {info.sha256 for manifest in manifests for info in (*manifest.graphs, manifest.merged) if info is not None}
    for path in _older(layout.snapshots, keep_snapshots.total_seconds()):
        if path.name.partition(".")[0] not in wanted:
            path.unlink()


def _older(folder: Path, seconds: float) -> Iterator[Path]:
    oldest = time.time() - seconds
    return (path for path in list(folder.iterdir()) if path.stat().st_mtime < oldest)


def delete_generation(layout: Layout, number: int) -> bool:
    """Delete a generation unless a reader holds it; tell whether it is gone."""
    path = layout.generation(number)
    try:
        descriptor = os.open(path / "hold", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = -1  # an orphan that was never finished
    try:
        if descriptor >= 0:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        grave = layout.staging / f"deleted-{number:06d}"
        path.rename(grave)
    except BlockingIOError:
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    shutil.rmtree(grave, ignore_errors=True)
    return True
