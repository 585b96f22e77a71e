"""Start a template of query workers, and ask it for workers."""

from __future__ import annotations

import socket
from typing import Final

from cityorchestra_ld.store.workers import QueryWorker

_LOAD_SECONDS: Final = 900.0


class Template(QueryWorker):
    """A process that has a generation in memory; workers that it splits off share that memory until they touch it."""

    start_seconds = _LOAD_SECONDS
    _requests: socket.socket | None = None

    def _spawn(self, theirs: socket.socket) -> None:
        self._requests, asked = socket.socketpair()
        self._requests.setblocking(False)
        with theirs, asked:
            self._run("template_main", theirs.fileno(), asked.fileno())

    def split(self, theirs: socket.socket, said: int) -> None:
        """Ask for a worker on a socket; it says who it is when it is ready. Raises OSError when the template has ended."""
        if self._requests is None:
            raise BrokenPipeError
        socket.send_fds(self._requests, [b"W"], [theirs.fileno(), said])

    def kill(self) -> None:
        """End the process and the workers that it split off."""
        super().kill()
        if self._requests is not None:
            self._requests.close()
            self._requests = None
