"""Start query workers, talk to them without blocking, and kill them."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, Self

import msgspec

from cityorchestra_ld.courtesy import follow, give_way
from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store import frames
from cityorchestra_ld.store.frames import Ready, Request, Settings
from cityorchestra_ld.store.sandbox import child_environment

if TYPE_CHECKING:
    from cityorchestra_ld.store.template import Template

_START_SECONDS: Final = 20.0
_BUFFERED: Final = 4 * frames.CHUNK  # bytes of an answer that wait here while the client is slow
_OUT_OF_MEMORY: Final = (b"memory allocation of", b"std::bad_alloc", b"MemoryError")


class WorkerGoneError(Exception):
    """The worker ended in the middle of an answer."""

    def __init__(self, *, memory: bool) -> None:
        super().__init__("out of memory" if memory else "the worker ended")
        self.memory = memory


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
        self._frames: deque[tuple[bytes, bytes]] = deque()
        self._buffer = bytearray()
        self._waiting = 0  # bytes in complete frames
        self._paused = False
        self._closed = False
        self._wake: asyncio.Future[None] | None = None
        self._listener: Callable[[], None] | None = None
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
            worker._send(msgspec.json.encode(settings))
            async with asyncio.timeout(cls.start_seconds):
                await worker.wait()
            kind, payload = worker.pop()
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

    # --- talk -------------------------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        """Send a query; frames of the answer follow."""
        self._send(msgspec.json.encode(request))

    def _send(self, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frames.HEADER.pack(b"Q", len(payload)) + payload)

    @property
    def has_frame(self) -> bool:
        """Tell whether a frame of the answer is there."""
        return bool(self._frames)

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until a frame is there; raise WorkerGoneError when the worker ends first, TimeoutError when it takes longer."""
        loop = asyncio.get_running_loop()
        timer = None if seconds is None else loop.call_later(seconds, self._too_late)
        try:
            while not self._frames:
                if self._closed:
                    words = self._last_words()
                    raise WorkerGoneError(memory=any(sign in words for sign in _OUT_OF_MEMORY))
                self._wake = loop.create_future()
                await self._wake
        finally:
            if timer is not None:
                timer.cancel()

    def _too_late(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_exception(TimeoutError())
        self._wake = None

    def pop(self) -> tuple[bytes, bytes]:
        """Take the next frame: its kind and its payload."""
        kind, payload = self._frames.popleft()
        self._waiting -= len(payload)
        if self._paused and self._waiting < _BUFFERED // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return kind, payload

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio.Protocol)."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Cut what arrives into frames (asyncio.Protocol)."""
        buffer = self._buffer
        size = frames.HEADER.size
        if not buffer and len(data) >= size:
            kind, length = frames.HEADER.unpack_from(data)
            if len(data) == size + length:  # as nearly always
                self._frames.append((kind, data[size:]))
                self._waiting += length
                self._notify()
                return
        buffer += data
        start = 0
        while len(buffer) - start >= frames.HEADER.size:
            kind, length = frames.HEADER.unpack_from(buffer, start)
            end = start + frames.HEADER.size + length
            if len(buffer) < end:
                break
            self._frames.append((kind, bytes(buffer[start + frames.HEADER.size : end])))
            self._waiting += length
            start = end
        del buffer[:start]
        if self._waiting > _BUFFERED and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits for a frame (asyncio.Protocol)."""
        self._closed = True
        self._notify()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call this whenever something came, or the worker ended; one that listens does not wait."""
        self._listener = listener

    def _notify(self) -> None:
        if self._listener is not None:
            self._listener()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        self._wake = None


def _open_words() -> int:
    """Open what a process writes its last words to."""
    return os.memfd_create("worker") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
