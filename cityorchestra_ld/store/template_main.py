"""A template of query workers: one process that has a generation in memory and splits off a worker whenever it is asked to."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, cast

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.courtesy import be_idle
from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.generations import read_manifest
from cityorchestra_ld.store.sandbox import deny_network
from cityorchestra_ld.store.worker_main import Line, Opened, failure, settings_from, work

_EVERYTHING: Final = "SELECT (COUNT(*) AS ?n) { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }"


def _load(generation: Path) -> Opened:
    """
    Copy a generation into memory: the merge of its public graphs if it keeps one, everything otherwise.

    Raises OSError or StoreError when it cannot be read.

    Another process reads the disk: the engine keeps threads for that, and a process with threads does not split safely. Until
    the copy is there the disk answers, so neither process is in a hurry.
    """
    merged = read_manifest(generation).merged
    merge_only = merged is not None and merged.is_default
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _dump(generation / "db", writing, merge_only=merge_only)
    os.close(writing)
    store = ox.Store()
    try:
        with ThreadPoolExecutor(1, initializer=be_idle) as behind:
            pipe = f"/proc/self/fd/{reading}"
            behind.submit(store.bulk_load, path=pipe, format=ox.RdfFormat.N_QUADS, lenient=True).result()
    finally:
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if status != 0:
        raise OSError(f"{generation} cannot be read")
    return Opened(store, merge_only)


def _dump(database: Path, writing: int, *, merge_only: bool) -> None:
    """Write a store into a pipe, and end, whatever happens: nothing of the template may run twice."""
    status = 1
    try:
        be_idle()
        with os.fdopen(writing, "wb") as pipe:
            store = ox.Store.read_only(str(database))
            if merge_only:
                store.dump(pipe, ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())  # lines of N-Quads as well
            else:
                store.dump(pipe, ox.RdfFormat.N_QUADS)
        status = 0
    finally:
        os._exit(status)


def _split(requests: socket.socket, opened: Opened) -> int:
    """Split off a worker for each pair of descriptors that comes: its socket, and where its last words go."""
    while True:
        _, descriptors, _, _ = socket.recv_fds(requests, 1, 2)
        if len(descriptors) != 2:
            return 0
        if os.fork() == 0:
            requests.close()
            os.dup2(descriptors[1], 2)
            os.close(descriptors[1])
            return _worker(Line(descriptors[0]), opened)
        for descriptor in descriptors:
            os.close(descriptor)


def _worker(line: Line, opened: Opened) -> int:
    settings = settings_from(line)
    if settings is not None:
        if settings.touch:
            cast("ox.QuerySolutions", opened.store.query(_EVERYTHING)).serialize(format=ox.QueryResultsFormat.CSV)
        _occupy_arena()
        work(line, settings, opened)
    return 0


def _occupy_arena() -> None:
    """
    Let a thread that does nothing have the part of the heap that the generation lies in (mallopt(3), M_ARENA_MAX).

    The thread that answers would get it otherwise, and look for room between a million small pieces at every step.
    """
    ready = threading.Event()
    threading.Thread(target=_rest, args=(ready,), daemon=True, name="arena").start()
    ready.wait()


def _rest(ready: threading.Event) -> None:
    ready.set()
    threading.Event().wait()


def main(arguments: list[str]) -> int:
    """Load the generation that comes on the socket of the first argument, then serve the socket of the second."""
    line, requests = Line(int(arguments[0])), socket.socket(fileno=int(arguments[1]))
    settings = settings_from(line)
    if settings is None:
        return 0
    try:
        opened = _load(Path(settings.generation))
    except (OSError, SyntaxError, ValueError, StoreError) as error:
        line.send(frames.frame(frames.ERROR, msgspec.json.encode(failure("store", error))))
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers
    confined = deny_network()
    gc.freeze()  # what is here stays shared
    line.send(frames.frame(frames.READY, msgspec.json.encode(frames.Ready(confined, os.getpid()))))
    return _split(requests, opened)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
