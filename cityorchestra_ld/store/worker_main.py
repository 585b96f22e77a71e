"""A query worker: one process that holds one generation read-only and answers one query after the other."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.exact import Datasets
from cityorchestra_ld.store.frames import ErrorKind, Failure, Request, ResultKind, Settings
from cityorchestra_ld.store.functions import functions_for
from cityorchestra_ld.store.hidden import HIDDEN, Graph, graph_of
from cityorchestra_ld.store.rows import RowCounter, row_counter
from cityorchestra_ld.store.sandbox import be_expendable, deny_network, die_with_parent, limit_memory
from cityorchestra_ld.store.serialization import results_format, write_statements

if TYPE_CHECKING:
    from cityorchestra_ld.store.names import Names

_STACK = 256 * 1024 * 1024  # deep plans recurse; the guard bounds nesting, this bounds the rest
_KEPT_NODES = 10_000
_SMALL = 8_192  # bytes that nearly every request fits in
_TOGETHER = 0.0005  # seconds for which small answers wait for each other
_QUICK = 0.01  # seconds of an answer that cannot have taken much memory
_SOME = 64  # of such answers, after which memory is looked at all the same


class Line:
    """The blocking end of the socket; read and written as a plain file, because socket calls are denied."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = bytearray()  # what was read and not asked for yet
        self._out: list[bytes] = []  # small answers that go out together
        self._since = 0.0  # when the first of them was there

    def send(self, data: bytes) -> None:
        """Write everything; the parent's slowness is our back-pressure."""
        if self._out:
            data = b"".join((*self._out, data))
            self._out.clear()
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def send_soon(self, data: bytes) -> None:
        """Write this with what follows, if the next question is here already."""
        if not self._out:
            self._since = time.perf_counter()
        self._out.append(data)

    def receive(self) -> bytes | None:
        """Read one frame's payload, or nothing when the parent is gone."""
        held, start = self._held, frames.HEADER.size
        end = start
        if self._out and time.perf_counter() - self._since > _TOGETHER:
            self.send(b"")
        while len(held) < end or len(held) < (end := start + frames.HEADER.unpack_from(held)[1]):
            if self._out:
                self.send(b"")
            part = os.read(self._descriptor, _SMALL if end - len(held) < _SMALL else frames.CHUNK)
            if not part:
                return None
            held += part
        payload = bytes(held[start:end])
        del held[:end]
        return payload


class _Answer:
    """A file to the serialiser: gathers what is written and sends it in frames, the head before the first."""

    def __init__(self, line: Line, head: frames.Head, counter: RowCounter | None, began: float) -> None:
        self._line = line
        self._began = began  # processor time
        self._head: frames.Head | None = head
        self._counter = counter
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        """Take a piece of the answer."""
        piece = bytes(data)
        self._parts.append(piece)
        self._size += len(piece)
        if self._size >= frames.CHUNK:
            self._line.send(self._pending())
        return len(piece)

    def flush(self) -> None:
        """Do nothing; frames go out when they are full."""

    def finish(self, triples: int | None, limit: int, *, more: bool, retire: bool) -> None:
        """Send the rest and the end; all of it in one frame when nothing was sent yet."""
        head, data = self._head, b"".join(self._parts)
        if self._counter and data:
            self._counter.see(data)
        rows = self._counter.rows if self._counter else triples
        truncated = more or (self._counter is not None and self._counter.rows >= limit)
        end = frames.End(rows=rows, truncated=truncated, retire=retire, seconds=time.process_time() - self._began)
        if head is not None and not head.search_limit:
            self._line.send_soon(frames.whole(head.kind, end, data))
        else:
            self._line.send(self._framed(data) + frames.frame(frames.END, msgspec.json.encode(end)))

    def _pending(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._counter:
            self._counter.see(data)
        return self._framed(data)

    def _framed(self, data: bytes) -> bytes:
        """Put data in a frame, behind the head if that was not sent yet."""
        out = b""
        if self._head is not None:
            out, self._head = frames.frame(frames.HEAD, msgspec.json.encode(self._head)), None
        return out + frames.frame(frames.DATA, data) if data else out


class _Counted:
    """At most `limit` triples of an answer, counted."""

    def __init__(self, triples: Iterator[ox.Triple], limit: int) -> None:
        self._triples = triples
        self._limit = limit
        self.count = 0

    def __iter__(self) -> Iterator[ox.Triple]:
        for triple in islice(self._triples, self._limit):
            self.count += 1
            yield triple

    def more(self) -> bool:
        """Tell whether there was more than the limit."""
        return self.count >= self._limit and next(self._triples, None) is not None


class Opened(NamedTuple):
    """A store to read a generation from; with `merge_only` it holds what public queries read, and the disk has the rest."""

    store: ox.Store
    merge_only: bool = False


class Worker:
    """A generation open for reading, and the line to the parent."""

    def __init__(self, line: Line, settings: Settings, opened: Opened) -> None:
        self._line = line
        self._settings = settings
        self._nodes: dict[str, Graph] = {}
        self._quick = 0  # answers since memory was looked at
        self._datasets = Datasets(opened.store)
        self._merge_only = opened.merge_only
        self._rest: Datasets | None = None  # of the disk, once a query needs it
        self._began = 0.0
        self._before = _peak() if settings.resident else 0
        self._names: Names | None = None
        self._cut = 0  # things that a search went beyond

    def serve(self) -> None:
        """Answer until the parent hangs up."""
        while (payload := self._line.receive()) is not None:
            failure = self._try(msgspec.json.decode(payload, type=Request))
            if failure is not None:
                self._line.send(frames.frame(frames.ERROR, msgspec.json.encode(failure)))

    def _try(self, request: Request) -> Failure | None:
        try:
            self._answer(request)
        except SyntaxError as error:
            return failure("syntax", error)
        except UsageError as error:
            return failure("format", error)
        except MemoryError as error:
            return failure("memory", error)
        except (ValueError, RuntimeError, TypeError) as error:
            return failure("evaluation", error)
        except BrokenPipeError:
            raise
        except FileNotFoundError as error:
            return failure("names" if request.searches else "store", error)
        except OSError as error:
            return failure("store", error)
        return None

    def _answer(self, request: Request) -> None:
        self._began, self._cut = time.process_time(), 0
        default = [self._graph(name) for name in request.default_graphs]
        named = [node for name in request.named_graphs if isinstance(node := self._graph(name), ox.NamedNode)]
        datasets = self._on_disk() if self._merge_only and (named or request.default_graphs != [HIDDEN]) else self._datasets
        asked = datasets.choose(default, named, request.triples)
        text = self._text(request)
        result = asked.store.query(
            text, base_iri=request.base, default_graph=list(asked.default), named_graphs=list(asked.named),
            custom_functions=functions_for(text),
        )  # fmt: skip
        triples: int | None = None
        more = False
        if isinstance(result, ox.QueryTriples):
            answer = self._start("graph", request, None)
            counted = _Counted(result, request.rows)
            prefixes = self._settings.prefixes | request.prefixes
            write_statements(counted, cast("BinaryIO", answer), request.media_type, prefixes)
            triples, more = counted.count, counted.more()
        else:
            form = results_format(request.media_type)
            boolean = isinstance(result, ox.QueryBoolean)
            counter = None if boolean else row_counter(request.media_type)
            answer = self._start("boolean" if boolean else "solutions", request, counter)
            result.serialize(cast("BinaryIO", answer), form)
        del result
        answer.finish(triples, request.rows, more=more, retire=self._has_grown())

    def _on_disk(self) -> Datasets:
        """Open the whole generation. Raises OSError when it cannot be read."""
        if self._rest is None:
            self._rest = Datasets(_opened(self._settings).store)
        return self._rest

    def _start(self, kind: ResultKind, request: Request, counter: RowCounter | None) -> _Answer:
        head = frames.Head(kind=kind, media_type=request.media_type, row_limit=request.rows, search_limit=self._cut)
        return _Answer(self._line, head, counter, self._began)

    def _text(self, request: Request) -> str:
        """Return what is to be run: the query, with what was found elsewhere in its place."""
        if request.searches is not None:
            return self._searched(request, request.searches)
        if request.joined:
            from cityorchestra_ld.store.federating import put_in

            return put_in(request.text, request.joined)
        return request.text

    def _searched(self, request: Request, searches: frames.Searches) -> str:
        """Put what a query searches by name into its text."""
        from cityorchestra_ld.store import names, searching

        if self._names is None:
            self._names = names.Names(Path(self._settings.generation) / names.FILE)
        text, cut = searching.rewrite(request.text, request.base, searches, request.named_graphs, self._names, request.joined)
        self._cut = searching.MOST if cut else 0
        return text

    def _graph(self, name: str) -> Graph:
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= _KEPT_NODES:
                self._nodes.clear()
            node = self._nodes[name] = graph_of(name)
        return node

    def _has_grown(self) -> bool:
        """Tell whether a query ever took more than half of the memory; freed memory does not always go back."""
        self._quick += 1
        if self._quick < _SOME and time.process_time() - self._began < _QUICK:
            return False
        self._quick = 0
        half = self._before + self._settings.memory_mb * 500_000
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 <= half:
            return False
        return _peak() > half  # the figure above begins with what the parent had when it started us (getrusage(2))


def _peak() -> int:
    """Return the most bytes that this program itself ever had in memory, where the system tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024


def failure(kind: ErrorKind, error: BaseException) -> Failure:
    """Say why something could not be done."""
    return Failure(kind, str(error) or type(error).__name__)


def _opened(settings: Settings) -> Opened:
    return Opened(ox.Store.read_only(str(Path(settings.generation) / "db")))


def _run(line: Line, settings: Settings, opened: Opened) -> None:
    limit_memory(settings.memory_mb)
    confined = deny_network()
    line.send(frames.frame(frames.READY, msgspec.json.encode(frames.Ready(confined, os.getpid()))))
    try:
        Worker(line, settings, opened).serve()
    except BrokenPipeError:
        return


def work(line: Line, settings: Settings, opened: Opened) -> None:
    """Answer queries until the parent hangs up, in a thread with a large stack."""
    threading.stack_size(_STACK)
    thread = threading.Thread(target=_run, args=(line, settings, opened), name="queries")
    thread.start()
    thread.join()


def settings_from(line: Line) -> Settings | None:
    """Hear from the parent what to do, and end with it from now on; nothing when it is gone already."""
    payload = line.receive()
    if payload is None:
        return None
    settings = msgspec.json.decode(payload, type=Settings)
    die_with_parent(settings.parent)
    be_expendable()
    return settings


def main(arguments: list[str]) -> int:
    """Serve queries on the socket whose descriptor is the only argument."""
    line = Line(int(arguments[0]))
    settings = settings_from(line)
    if settings is None:
        return 0
    try:
        opened = _opened(settings)
    except OSError as error:
        line.send(frames.frame(frames.ERROR, msgspec.json.encode(failure("store", error))))
        return 1
    work(line, settings, opened)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
