"""Decide whether a generation fits in memory, and keep a copy of it there in which subjects are looked up."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation, Limits
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.generations import Merged, read_manifest
from cityorchestra_ld.store.pieces_main import NUMBER, Order, piece_of
from cityorchestra_ld.store.sandbox import child_environment
from cityorchestra_ld.territory import Resident

_EACH: Final = 400  # bytes of a triple in memory
_EACH_OF_COPY: Final = 430  # in small pieces
_SHARE: Final = 2  # half of the memory of the machine may be taken, unless the setting says otherwise
_PIECE: Final = 2_000  # triples of one piece; letting one go stops the process for a quarter of a millisecond
_PAUSE: Final = 0.002  # seconds between two of these
_LOOK_UP: Final = 0.1  # seconds between two looks whether the copy is still wanted
_GROUPS: Final = Path("/sys/fs/cgroup")
_OWN_GROUP: Final = Path("/proc/self/cgroup")


# --- how much -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Residence:
    """What of a generation is kept in memory: for look-ups of the web process, for query workers."""

    web: bool
    workers: int  # that may have a copy at the same time; none when there is no room for those that take new queries
    web_bytes: int  # that the copy of the web process takes
    workers_bytes: int  # that copies of query workers take when each has touched all of its own, or would at least
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
    case each has one of its own, and there is one more from which they are made. What is left is for those that take the place
    of workers with long queries; where there is no room for them, they read the disk.
    """
    merged = read_manifest(generation.path).merged
    web = generation.triples * _EACH_OF_COPY
    copy = (_merge_only(merged) or generation.triples + (merged.triples if merged else 0)) * _EACH
    allowed = _allowed(setting)
    fits = setting != "never" and (allowed is None or web <= allowed)
    most = workers + limits.long_queries
    room = most if allowed is None else min(most, (allowed - web) // max(copy, 1) - 1)
    with_copy = room if fits and hasattr(os, "pidfd_open") and room >= workers else 0
    return Residence(
        web=fits, workers=with_copy, web_bytes=web, workers_bytes=copy * (1 + (with_copy or workers)), allowed=allowed
    )


def _merge_only(merged: Merged | None) -> int:
    """Count the triples of the merge of the public graphs when workers keep that alone, as the template does."""
    return merged.triples if merged is not None and merged.is_default else 0


def _allowed(setting: Resident) -> int | None:
    """Return the bytes that copies may take together, nothing when they may take what they want."""
    if isinstance(setting, int):
        return setting * 1_000_000
    return {"auto": machine_memory() // _SHARE, "never": 0, "always": None}[setting]


# --- the copy of the web process ----------------------------------------------------------------------------------------------


class Copy:
    """
    All named graphs of one generation in memory, without the hidden one, in pieces by subject.

    Only look-ups by subject are faster here than on disk, so there are no others. The pieces are small because the engine holds
    the interpreter while it frees a store, which takes a third of a second for a million triples.
    """

    def __init__(self, pieces: Sequence[ox.Store]) -> None:
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
        piece = pieces[piece_of(subject.value.encode(), len(pieces))]
        return iter(piece.quads_for_pattern(subject, predicate, object_, graph))

    def close(self) -> None:
        """Let the memory go, bit by bit; nobody may look anything up any more."""
        pieces, self._pieces = list(self._pieces), ()
        while pieces:
            pieces.pop()
            time.sleep(_PAUSE)  # others run meanwhile


def copy_of(generation: Generation, stop: threading.Event) -> Copy | None:
    """
    Copy a generation into memory, beside everything else that runs; nothing when `stop` is set meanwhile.

    Another process cuts it into pieces: here nothing is done but to load them, for which the engine leaves the interpreter to
    others. Raises StoreError when the generation cannot be read or is not what was published.
    """
    count = max(1, generation.triples // _PIECE)
    order = Order(
        parent=os.getpid(),
        database=str(generation.path / "db"),
        graphs=tuple(info.graph for info in generation.graphs),
        triples=generation.triples,
        pieces=count,
    )
    pieces = [ox.Store()] * count
    try:
        for number, lines in _cut(order, stop):
            pieces[number] = ox.Store()
            pieces[number].load(lines, ox.RdfFormat.N_QUADS, lenient=True)
    except (OSError, SyntaxError, ValueError) as error:
        Copy(pieces).close()
        raise StoreError(
            Text(f"La génération n'entre pas en mémoire : {error}", f"The generation cannot be brought into memory: {error}")
        ) from None
    copy = Copy(pieces)
    if stop.is_set():
        copy.close()
        return None
    return copy


def _cut(order: Order, stop: threading.Event) -> Iterator[tuple[int, bytes]]:
    """Have another process cut a generation into pieces; end early when `stop` is set. Raises OSError when it cannot."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "cityorchestra_ld.store.pieces_main"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=child_environment(),
    ) as process:
        try:
            asked, answer = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
            with asked:
                asked.write(msgspec.json.encode(order))
            while (frame := _frame(answer, stop)) is not None and frame[0] != frames.END:
                kind, payload = frame
                if kind == frames.ERROR:
                    raise OSError(payload.decode())
                yield int.from_bytes(payload[:NUMBER], "big"), payload[NUMBER:]
        finally:
            process.kill()


def _frame(answer: BinaryIO, stop: threading.Event) -> tuple[bytes, bytes] | None:
    head = _exactly(answer, frames.HEADER.size, stop)
    if head is None:
        return None
    kind, size = frames.HEADER.unpack(head)
    payload = _exactly(answer, size, stop)
    return None if payload is None else (kind, payload)


def _exactly(answer: BinaryIO, size: int, stop: threading.Event) -> bytes | None:
    """Read so many bytes; nothing when `stop` is set before they are there. Raises OSError when they never come."""
    held = bytearray()
    while len(held) < size:
        while not select.select([answer], [], [], _LOOK_UP)[0]:
            if stop.is_set():
                return None
        part = answer.read(size - len(held))
        if stop.is_set():
            return None
        if not part:
            raise BrokenPipeError("the process that cuts it ended")
        held += part
    return bytes(held)
