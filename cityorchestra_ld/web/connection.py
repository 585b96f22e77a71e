"""HTTP connections of the server: what can be answered on the spot goes out as it is read, without a task for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from cityorchestra_ld.web.again import ASKED, DIRECT, EVERYWHERE, Again, Whole, head_of, looked
from cityorchestra_ld.web.direct import Direct
from cityorchestra_ld.web.heads import BoundedHeads
from cityorchestra_ld.web.http_ import new_request_id

_STATUS: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_EVERYWHERE: Final = head_of(EVERYWHERE)
_AT_ONCE: Final = 16  # requests that came together and are answered before anybody else is heard
_COPIED: Final = 65_536  # bytes of a body that are put behind the headers; a longer one is sent beside them


class Connection(BoundedHeads):
    """One connection (RFC 9112)."""

    again: Again
    direct: Direct
    cycle: Any  # of the request under way or the last one, or what stands for it while a worker is asked
    trusts: Callable[[str], bool]
    _given = 0  # answers to requests that came together
    _trusted = False
    _idle: float | None = None  # since when nothing is under way
    _timer: asyncio.TimerHandle | None = None
    _dated: object = None  # the headers of the server that were written last, and how
    _own = b""

    def connection_made(self, transport: Any) -> None:
        """Begin; whether a proxy that is believed asks, is the same for all requests."""
        super().connection_made(transport)
        self._trusted = self.client is not None and self.trusts(self.client[0])

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and leave no timer."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def on_response_complete(self) -> None:
        """Go on after an answer; one timer watches for all of them whether another request comes."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._look_whether_idle)

    def _unset_keepalive_if_required(self) -> None:
        """Hear that data came; of requests that came together so many are answered at once, the rest take their turn."""
        self._idle, self._given = None, 0

    def _look_whether_idle(self) -> None:
        self._timer = None
        if self._idle is None:
            return
        left = self._idle + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look_whether_idle)
        else:
            self.timeout_keep_alive_handler()

    def on_message_complete(self) -> None:
        """End a request; what was put to a worker has no body that could go on."""
        if type(self.cycle) is _Reply:
            self._in_head, self._came, self.cycle.more_body = True, 0, False
        else:
            super().on_message_complete()

    def on_head(self) -> None:
        """Give a known answer at once, in its turn, or have a worker asked; leave everything else to the application."""
        began, parser = time.perf_counter(), self.parser
        waiting = self.cycle is not None and not self.cycle.response_complete
        if waiting or self._given >= _AT_ONCE or self.flow.write_paused or self.client is None or self._trusted:
            self._leave()
            return
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            self._leave()
            return
        scope: Any = self.scope
        found = self.again.find(self.url, scope["scheme"], scope["root_path"], self.headers, self.client[0])
        if isinstance(found, Whole):
            self._give(found, began)
        elif found is None or not self._put(found, scope):
            looked(scope, found)
            self._leave()

    def _leave(self) -> None:
        """Start a request, or let it wait for those that came before it."""
        super().on_head()
        self.scope[DIRECT] = partial(self.answer, self.cycle)  # type: ignore[typeddict-unknown-key]

    def _put(self, asked: Any, scope: Any) -> bool:
        """Put a plain query to a worker, where that can be done; its answer is all that becomes of the request."""
        before, self.cycle = self.cycle, (reply := _Reply(self, scope, self.url))
        if self.direct.ask(asked, reply):
            return True
        self.cycle = before
        return False

    def start(self, reply: _Reply) -> None:
        """Leave a request that had no cycle to the application."""
        scope, (path, _, query) = reply.scope, reply.address.partition(b"?")
        looked(scope, scope[ASKED])
        scope |= {"method": "GET", "path": path.decode(), "raw_path": path, "query_string": query}
        cycle = RequestResponseCycle(
            scope, self.transport, self.flow, self.logger, self.access_logger, self.access_log,
            self.server_state.default_headers, asyncio.Event(), expect_100_continue=False, keep_alive=reply.keep_alive,
            on_response=self.on_response_complete,
        )  # fmt: skip
        cycle.disconnected, cycle.more_body = reply.disconnected, reply.more_body
        scope[DIRECT] = partial(self.answer, cycle)
        if self.cycle is reply:
            self.cycle = cycle
        self._start_asgi_task(cycle, self.app)

    def is_clear(self, cycle: Any) -> bool:
        """Tell whether a whole answer can be sent in one go."""
        return not (cycle.disconnected or cycle.response_started or not cycle.keep_alive or self.flow.write_paused)

    def answer(self, cycle: Any, status: int, head: bytes, body: bytes, request_id: str) -> bool:
        """Send a whole answer in one go, where nothing is in the way; tell whether it was sent."""
        if not self.is_clear(cycle):
            return False
        self._write(status, head, body, request_id)
        cycle.response_started = cycle.response_complete = True
        cycle.on_response()
        return True

    def _write(self, status: int, headers: bytes, body: bytes, request_id: str) -> None:
        dated = self.server_state.default_headers  # others each second
        if dated is not self._dated:
            self._dated, self._own = dated, head_of(dated)
        head = (_STATUS[status], self._own, headers, _EVERYWHERE, b"x-request-id: ", request_id.encode(), b"\r\n\r\n")
        if len(body) <= _COPIED:
            self.transport.write(b"".join((*head, body)))
        else:
            self.transport.write(b"".join(head))
            self.transport.write(body)

    def _give(self, known: Whole, began: float) -> None:
        self._given += 1
        request_id = new_request_id()
        self.send(known, request_id)
        self.again.given(known, request_id, self.client, self.url, began)

    def send(self, known: Whole, request_id: str) -> None:
        """Send a whole answer, and go on."""
        self._write(known.status, known.head, known.body, request_id)
        self.on_response_complete()


class _Reply:
    """Where the answer goes to a request that a worker is asked for: what the server knows of it instead of a cycle."""

    __slots__ = ("_connection", "address", "disconnected", "keep_alive", "more_body", "response_complete", "scope")
    message_event = asyncio.Event()  # which nobody waits for

    def __init__(self, connection: Connection, scope: Any, address: bytes) -> None:
        self._connection, self.scope, self.address = connection, scope, address
        self.keep_alive = self.more_body = True
        self.disconnected = self.response_complete = False

    def is_clear(self) -> bool:
        """Tell whether a whole answer can be sent in one go."""
        return not self.disconnected and self.keep_alive and not self._connection.flow.write_paused

    def send(self, known: Whole, request_id: str) -> None:
        """Send one."""
        self.response_complete = True
        self._connection.send(known, request_id)

    def go_on(self) -> None:
        """Have the application answer."""
        self._connection.start(self)


def connections(again: Again, direct: Direct, trusts: Callable[[str], bool]) -> type[Connection]:
    """Make the type of connections; what comes through a proxy that is believed takes the usual way."""
    return type("Connection", (Connection,), {"again": again, "direct": direct, "trusts": staticmethod(trusts)})
