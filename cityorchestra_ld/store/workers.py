"""Start query workers, talk to them without blocking, and kill them."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, Self

import msgspec

from cityorchestra_ld.courtesy import follow, give_way, hurry
from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.frames import Ready, Settings
from cityorchestra_ld.store.replies import Reply, WorkerGoneError
from cityorchestra_ld.store.sandbox import child_environment

if TYPE_CHECKING:
    from cityorchestra_ld.store.template import Template

_START_SECONDS: Final = 20.0
_BUFFERED: Final = 4 * frames.CHUNK  # bytes of an answer that wait here while the client is slow
_OUT_OF_MEMORY: Final = (b"memory allocation of", b"std::bad_alloc", b"MemoryError")


class SplitOff:
    """A worker process that a template split off: what `subprocess.Popen` tells of a child, of one that is not ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)  # names this process for ever, unlike its number
        self._end = select.poll()
        self._end.register(self._handle, select.POLLIN)
        self._ended = False

    def poll(self) -> int | None:
        """Return something once the process has ended."""
        if not self._ended and self._end.poll(0):
            self._ended = True
            os.close(self._handle)
        return 0 if self._ended else None

    def kill(self) -> None:
        """End the process."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)


class QueryWorker(asyncio.Protocol):
    """One worker process and the socket to it."""

    start_seconds: ClassVar[float] = _START_SECONDS

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.confined = False
        self.gives_way = False
        self.shared: str | None = None  # the client whose brief questions it answers, who may ask another before it is done
        self.line: deque[Reply] = deque()  # what it was asked and has not answered to the end
        self.held = 0  # answers that were not read to their end, of those it was asked for
        self.killed = False  # by us, whatever it was doing
        self.asked_at = 0.0  # when it was last asked something while it was idle
        self._later: list[bytes] = []  # what it is asked behind others, and was not sent yet
        self._buffer = bytearray()
        self._waiting = 0  # bytes in complete frames
        self._paused = False
        self._closed = False
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | SplitOff | None = None
        self._said = -1

    # --- life -------------------------------------------------------------------------------------------------------------

    @classmethod
    async def start(
        cls,
        generation: Generation,
        memory_mb: int,
        prefixes: Mapping[str, str],
        template: Template | None = None,
        *,
        touch: bool = False,
    ) -> Self:
        """
        Start a worker on a generation, from the template if there is one; raise StoreError when it does not come up.

        A worker that shares memory with its template copies each page that it uses; with `touch` it does so before it is ready.
        """
        worker = cls(generation)
        ours, theirs = socket.socketpair()
        try:
            if template is None:
                worker._spawn(theirs)
            else:
                worker._split(template, theirs)
            ours.setblocking(False)
            await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
            parent = os.getpid() if template is None else template.pid
            settings = Settings(str(generation.path), parent, memory_mb, dict(prefixes), template is not None, touch)
            reply = worker.put(msgspec.json.encode(settings))
            async with asyncio.timeout(cls.start_seconds):
                await reply.wait()
            kind, payload = reply.pop()
            if kind != frames.READY:
                reason = msgspec.json.decode(payload, type=frames.Failure).message
                raise StoreError(Text(f"La génération ne s'ouvre pas : {reason}", f"The generation cannot be opened: {reason}"))
            ready = msgspec.json.decode(payload, type=Ready)
            worker.confined = ready.confined
            if template is not None:
                worker._process = SplitOff(ready.pid)
        except (WorkerGoneError, TimeoutError, OSError) as error:
            said = worker._last_words().decode("utf-8", "replace").strip()[-500:]
            await worker.stop()
            raise StoreError(
                Text(
                    f"Un processus de requêtes ne démarre pas : {said or error}",
                    f"A query worker does not start: {said or error}",
                )
            ) from None
        except BaseException:
            ours.close()
            await worker.stop()
            raise
        return worker

    def _spawn(self, theirs: socket.socket) -> None:
        with theirs:
            self._run("worker_main", theirs.fileno())

    def _run(self, module: str, *descriptors: int) -> None:
        self._said = _open_words()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", f"cityorchestra_ld.store.{module}", *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            env=child_environment(),
        )
        follow(self._process.pid)

    def _split(self, template: Template, theirs: socket.socket) -> None:
        self._said = _open_words()
        with theirs:
            template.split(theirs, self._said)

    def kill(self) -> None:
        """End the process, whatever it is doing; may be called twice, and somebody must call `stop` after it."""
        self.killed = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._transport is not None:
            self._transport.abort()
        if self._said >= 0:
            os.close(self._said)
            self._said = -1

    async def stop(self) -> None:
        """End the process and wait until it is gone, without holding the loop."""
        self.kill()
        while self._process is not None and self._process.poll() is None:
            await asyncio.sleep(0.005)

    def give_way(self, *, to_all: bool = False) -> None:
        """Let other processes run first from now on; with `to_all`, work only when no other does."""
        self.gives_way = True
        give_way(self.pid, to_all=to_all)

    def hurry(self) -> bool:
        """Give way to nobody any more; tell whether the system allows that."""
        if self.gives_way:
            self.gives_way = not hurry(self.pid)
        return not self.gives_way

    @property
    def alive(self) -> bool:
        """Tell whether the worker can take a query."""
        return not self._closed and self._process is not None and self._process.poll() is None

    @property
    def closed(self) -> bool:
        """Tell whether the line to the worker is cut."""
        return self._closed

    @property
    def resident(self) -> bool:
        """Tell whether the worker has its generation in memory."""
        return isinstance(self._process, SplitOff)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid if self._process else 0

    def _last_words(self) -> bytes:
        if self._said < 0:
            return b""
        size = os.fstat(self._said).st_size
        return os.pread(self._said, 4096, max(0, size - 4096))

    def is_out_of_memory(self) -> bool:
        """Tell whether the last words of the process say so."""
        words = self._last_words()
        return any(sign in words for sign in _OUT_OF_MEMORY)

    # --- talk -------------------------------------------------------------------------------------------------------------

    def put(self, payload: bytes) -> Reply:
        """
        Send a request; it is answered when those that were put before are.

        One behind others goes out with all that come in this turn of the loop.
        """
        if not self.line:
            self.asked_at = time.monotonic()
            self._write(payload)
        else:
            if not self._later:
                asyncio.get_running_loop().call_soon(self._write_later)
            self._later.append(payload)
        reply = Reply(self)
        self.line.append(reply)
        return reply

    def _write(self, *payloads: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"".join([frames.frame(b"Q", payload) for payload in payloads]))

    def _write_later(self) -> None:
        self._write(*self._later)
        self._later.clear()

    @property
    def is_wanted(self) -> bool:
        """Tell whether somebody still wants an answer that is to come."""
        return any(not reply.dropped for reply in self.line)

    def taken(self, size: int) -> None:
        """Hear that somebody took so many bytes of an answer."""
        self._waiting -= size
        if self._paused and self._waiting < _BUFFERED // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio.Protocol)."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Cut what arrives into frames (asyncio.Protocol)."""
        held: bytes | bytearray = data
        if self._buffer:
            held = self._buffer
            held += data
        start, size, ends = 0, frames.HEADER.size, len(held)
        while ends - start >= size:
            kind, length = frames.HEADER.unpack_from(held, start)
            end = start + size + length
            if ends < end:
                break
            self._add(kind, bytes(held[start + size : end]))
            start = end
        if held is data:
            if start < ends:
                self._buffer += data[start:]
        else:
            del self._buffer[:start]
        if self._waiting > _BUFFERED and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if self.line and self.line[0].frames:
            self.line[0].notify()

    def _add(self, kind: bytes, payload: bytes) -> None:
        """Give a frame to whom it is for; the last one of an answer is heard of at once."""
        if not self.line:
            return
        reply = self.line[0]
        if not reply.dropped:
            reply.frames.append((kind, payload))
            self._waiting += len(payload)
        if kind in frames.LAST:
            self.line.popleft()
            reply.ended = True
            reply.notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits for a frame (asyncio.Protocol)."""
        self._closed = True
        for reply in tuple(self.line):
            reply.notify()


def copies_of(workers: Iterable[QueryWorker], generation: Generation) -> int:
    """Count the workers that have a generation in memory."""
    return sum(worker.resident and worker.generation.number == generation.number for worker in workers)


def _open_words() -> int:
    """Open what a process writes its last words to."""
    return os.memfd_create("worker") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
