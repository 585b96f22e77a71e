"""HTTP connections of the server: what can be answered on the spot goes out as it is read, without a task for it."""

from __future__ import annotations

import time
from asyncio import TimerHandle
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from cityorchestra_ld.web.again import ASKED, DIRECT, EVERYWHERE, Again, Whole, head_of
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
    trusts: Callable[[str], bool]
    _given = 0  # answers to requests that came together
    _trusted = False
    _idle: float | None = None  # since when nothing is under way
    _timer: TimerHandle | None = None
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
        self._idle = None

    def _look_whether_idle(self) -> None:
        self._timer = None
        if self._idle is None:
            return
        left = self._idle + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look_whether_idle)
        else:
            self.timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        """Read requests that came together; so many go out at once, and the rest take their turn with everybody's."""
        self._given = 0
        super().data_received(data)

    def on_head(self) -> None:
        """Give a known answer at once, in its turn; leave everything else to the application."""
        began = time.perf_counter()
        known = self._known()
        if known is None:
            super().on_head()
            self.scope[DIRECT] = partial(self.answer, self.cycle)  # type: ignore[typeddict-unknown-key]
        else:
            self._give(known, began)

    def _known(self) -> Whole | None:
        parser: Any = self.parser
        scope: Any = self.scope
        waiting = self.cycle is not None and not self.cycle.response_complete
        if waiting or self._given >= _AT_ONCE or self.flow.write_paused or self.client is None or self._trusted:
            return None
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        return self.again.look(scope, self.url, self.client[0])

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Start a request; a plain query is put to a worker without a task, where that can be done."""
        asked = cycle.scope.get(ASKED)
        if asked is None or not self.direct.ask(asked, _Reply(self, cycle, app)):
            super()._start_asgi_task(cycle, app)

    def start(self, cycle: Any, app: Any) -> None:
        """Leave a request to the application."""
        super()._start_asgi_task(cycle, app)

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
        self._write(known.status, known.head, known.body, request_id)
        self.again.given(known, request_id, self.client, self.url, began)
        self.on_response_complete()


class _Reply:
    """Where the answer to one request of a connection goes."""

    __slots__ = ("_app", "_connection", "_cycle", "address", "scope")

    def __init__(self, connection: Connection, cycle: Any, app: Any) -> None:
        self._connection, self._cycle, self._app = connection, cycle, app
        self.scope, self.address = cycle.scope, connection.url

    def is_clear(self) -> bool:
        """Tell whether a whole answer can be sent in one go."""
        return self._connection.is_clear(self._cycle)

    def send(self, known: Whole, request_id: str) -> None:
        """Send one."""
        self._connection.answer(self._cycle, known.status, known.head, known.body, request_id)

    def go_on(self) -> None:
        """Have the application answer."""
        self._connection.start(self._cycle, self._app)


def connections(again: Again, direct: Direct, trusts: Callable[[str], bool]) -> type[Connection]:
    """Make the type of connections; what comes through a proxy that is believed takes the usual way."""
    return type("Connection", (Connection,), {"again": again, "direct": direct, "trusts": staticmethod(trusts)})
