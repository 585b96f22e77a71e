"""Decide whether a generation fits in memory, and keep a copy of it there in which subjects are looked up."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation, Limits
from cityorchestra_ld.store.generations import read_manifest
from cityorchestra_ld.territory import Resident

_EACH: Final = 400  # bytes of a triple in memory
_SHARE: Final = 4  # a quarter of the memory of the machine may be taken, unless the setting says otherwise
_PIECE: Final = 20_000  # triples of one piece; letting one go stops the process for some milliseconds
_PIECES: Final = 64
_GROUPS: Final = Path("/sys/fs/cgroup")
_OWN_GROUP: Final = Path("/proc/self/cgroup")


# --- how much -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Residence:
    """What of a generation is kept in memory: for look-ups of the web process, for query workers."""

    web: bool
    workers: bool
    web_bytes: int  # that the copy of the web process takes
    workers_bytes: int  # that the copies of all query workers take when each has touched all of its own
    allowed: int | None  # bytes; no limit when nothing is said


def machine_memory() -> int:
    """Return the bytes of memory that this process may use: those of the machine, or of its control group if fewer."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _limits_of_groups():
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    return min(found)


def _limits_of_groups() -> Iterator[Path]:
    """Name the files that may limit the memory of this process: of its control group and of those around it (cgroups(7))."""
    yield _GROUPS / "memory" / "memory.limit_in_bytes"  # version 1, in a container
    yield _GROUPS / "memory.max"
    try:
        lines = _OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):
            own = PurePosixPath(line.removeprefix("0::/"))
            yield from (_GROUPS / group / "memory.max" for group in (own, *own.parents))


def residence(generation: Generation, setting: Resident, workers: int, limits: Limits) -> Residence:
    """
    Decide what of a generation is kept in memory.

    The copy of the web process comes first. A query worker shares its copy with the others until it touches it; in the worst
    case each has one of its own, those of long queries too, and there is one more from which they are made.
    """
    merged = read_manifest(generation.path).merged
    web = generation.triples * _EACH
    all_workers = (generation.triples + (merged.triples if merged else 0)) * _EACH * (1 + workers + limits.long_queries)
    allowed = _allowed(setting)
    fits = setting != "never" and (allowed is None or web <= allowed)
    return Residence(
        web=fits,
        workers=fits and hasattr(os, "pidfd_open") and (allowed is None or web + all_workers <= allowed),
        web_bytes=web,
        workers_bytes=all_workers,
        allowed=allowed,
    )


def _allowed(setting: Resident) -> int | None:
    """Return the bytes that copies may take together, nothing when they may take what they want."""
    if isinstance(setting, int):
        return setting * 1_000_000
    return {"auto": machine_memory() // _SHARE, "never": 0, "always": None}[setting]


# --- the copy of the web process ----------------------------------------------------------------------------------------------


class Copy:
    """
    All named graphs of one generation in memory, without the hidden one, in pieces by subject.

    Only look-ups by subject are faster here than on disk, so there are no others. There are pieces because the engine holds the
    interpreter while it frees a store, which takes a third of a second for a million triples.
    """

    def __init__(self, pieces: list[ox.Store]) -> None:
        self._pieces = tuple(pieces)

    def quads(
        self,
        subject: ox.NamedNode,
        predicate: ox.NamedNode | None,
        object_: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple | None,
        graph: ox.NamedNode | None,
    ) -> Iterator[ox.Quad]:
        """Yield the quads of a subject that match."""
        pieces = self._pieces
        if not pieces:
            raise StoreError(Text("Ce lecteur est fermé.", "This reader is closed."))
        piece = pieces[zlib.crc32(subject.value.encode()) % len(pieces)]
        return iter(piece.quads_for_pattern(subject, predicate, object_, graph))

    def close(self) -> None:
        """Let the memory go, bit by bit; nobody may look anything up any more."""
        pieces, self._pieces = list(self._pieces), ()
        while pieces:
            pieces.pop()
            time.sleep(0.001)  # others run meanwhile


def copy_of(generation: Generation, stop: threading.Event) -> Copy | None:
    """
    Copy a generation into memory, beside everything else that runs; nothing when `stop` is set meanwhile.

    Raises StoreError when it cannot be read or is not what was published.
    """
    count = max(1, min(_PIECES, generation.triples // _PIECE))
    pieces: list[ox.Store] = []
    try:
        with ExitStack() as stack:
            files = [cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile())) for _ in range(count)]
            _sort(generation, files, stop)
            for file in files:
                if stop.is_set():
                    raise BrokenPipeError
                pieces.append(ox.Store())
                pieces[-1].bulk_load(path=f"/proc/self/fd/{file.fileno()}", format=ox.RdfFormat.N_QUADS, lenient=True)
                file.close()
    except (OSError, SyntaxError, ValueError) as error:
        Copy(pieces).close()
        if stop.is_set():
            return None
        raise StoreError(
            Text(f"La génération n'entre pas en mémoire : {error}", f"The generation cannot be brought into memory: {error}")
        ) from None
    return Copy(pieces)


def _sort(generation: Generation, files: list[BinaryIO], stop: threading.Event) -> None:
    """Write the graphs of a generation into files by subject; raise ValueError unless all that was published is there."""
    sorter = _Sorter(files, stop)
    disk = ox.Store.read_only(str(generation.path / "db"))
    for info in generation.graphs:
        sorter.begin(info.graph)
        disk.dump(cast("BinaryIO", sorter), ox.RdfFormat.N_TRIPLES, from_graph=ox.NamedNode(info.graph))
    if sorter.lines != generation.triples:
        raise ValueError(f"{sorter.lines} / {generation.triples}")
    for file in files:
        file.flush()


class _Sorter:
    """A file to the engine: puts each line of a graph into the file of its subject, as N-Quads."""

    def __init__(self, files: list[BinaryIO], stop: threading.Event) -> None:
        self._files = files
        self._stop = stop
        self._graph = b""
        self._rest = b""
        self.lines = 0

    def begin(self, graph: str) -> None:
        """Take the lines of this graph from now on."""
        self._graph = f"<{graph}> .\n".encode()

    def write(self, data: bytes) -> int:
        """Take a piece of the dump; raise BrokenPipeError when nobody wants it any more."""
        if self._stop.is_set():
            raise BrokenPipeError  # not InterruptedError: the engine would try again, for ever
        lines = (self._rest + bytes(data)).split(b"\n")
        self._rest = lines.pop()
        files, count, graph, crc = self._files, len(self._files), self._graph, zlib.crc32
        for line in lines:
            files[crc(line[1 : line.index(b">")]) % count].write(line[:-1] + graph)
        self.lines += len(lines)
        return len(data)

    def flush(self) -> None:
        """Do nothing; files are flushed when they are read."""
