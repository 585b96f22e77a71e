"""HTTP connections of the server: what was answered before goes out as it is read, without a task for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cityorchestra_ld.web.again import Again, Whole
from cityorchestra_ld.web.http_ import new_request_id

_STATUS: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_COPIED: Final = 65_536  # bytes of a body that are put behind the headers; a longer one is sent beside them


def connections(again: Again, trusts: Callable[[str], bool]) -> type[HttpToolsProtocol]:
    """Make the type of connections; what comes through a proxy that is believed takes the usual way."""

    class Connection(HttpToolsProtocol):
        """One connection (RFC 9112)."""

        def on_headers_complete(self) -> None:
            """Give a known answer at once, in its turn; leave everything else to the application."""
            known = self._known()
            if known is None:
                super().on_headers_complete()
            else:
                self._give(known)

        def on_message_complete(self) -> None:
            """End a request; the first of a connection may have had its answer without a cycle."""
            if self.cycle is not None:
                super().on_message_complete()

        def _known(self) -> Whole | None:
            parser: Any = self.parser
            waiting = self.cycle is not None and not self.cycle.response_complete
            if waiting or self.flow.write_paused or self.client is None or trusts(self.client[0]):
                return None
            if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
                return None
            return again.find(self.url, self.scheme or "http", self.root_path, self.headers)

        def _give(self, known: Whole) -> None:
            began, request_id = time.perf_counter(), new_request_id()
            own = (b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
            head = b"".join((_STATUS[known.status], *own, known.written, b"x-request-id: ", request_id.encode(), b"\r\n\r\n"))
            if len(known.body) <= _COPIED:
                self.transport.write(head + known.body)
            else:
                self.transport.write(head)
                self.transport.write(known.body)
            again.given(known, request_id, self.client, self.url, began)
            self.on_response_complete()

    return Connection
