"""Serve a copied generation on a machine that has nothing else of the store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from cityorchestra_ld.errors import Place, StoreError, Text
from cityorchestra_ld.store.generations import Layout, Pointer, read_generation
from cityorchestra_ld.territory import Territory


@contextmanager
def replica(territory: Territory, folder: Path) -> Iterator[Territory]:
    """
    Make a territory whose published generation is the one in a folder, which nobody may change.

    The folder is only read; it may lie on a medium that cannot be written. Raises StoreError when it is not a whole generation.
    """
    folder = folder.resolve()
    generation = read_generation(folder)
    if not (folder / "db").is_dir() or not (folder / "hold").is_file():
        raise StoreError(
            Text("Cette copie d'une génération n'est pas entière.", "This copy of a generation is not whole."),
            place=Place(file=str(folder)),
            hint=Text(
                "Copiez tout le dossier, avec rsync -a par exemple.", "Copy the whole folder, with rsync -a for example."
            ),
        )
    with tempfile.TemporaryDirectory(prefix="cityorchestra-") as state:
        layout = Layout(Path(state) / "store")
        layout.generations.mkdir(parents=True)
        layout.generation(generation.number).symlink_to(folder, target_is_directory=True)
        layout.pointer.write_bytes(msgspec.json.encode(Pointer(generation.number, generation.number)))
        yield replace(territory, state=Path(state), server=None, read_only=True)
