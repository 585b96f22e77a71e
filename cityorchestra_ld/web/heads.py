"""Bound the head of a request, the line and the fields before its body, before anything is made of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cityorchestra_ld.errors import Text
from cityorchestra_ld.web.http_ import new_request_id

_SHORT: Final = 2048  # bytes of a head that is not looked at: whatever it holds costs little
_TARGET: Final = 65_535  # bytes that the parser of addresses reads
_FIELDS: Final = 32_768  # bytes of all fields
_CHOICE: Final = 2048  # bytes of a field that is read element by element for each form of an answer
_CHOICES: Final = frozenset(
    {b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"accept-profile", b"prefer", b"forwarded"}
)


class TooLongError(ValueError):
    """A part of a head is too long; the parser passes this on as a mistake in the request."""


class BoundedHeads(HttpToolsProtocol):
    """A connection (RFC 9112) that refuses with 414 or 431 what is longer than anybody needs, and closes."""

    _came = 0  # bytes since the last request ended, while the head of the next is incomplete
    _in_head = True
    _wrong = HTTPStatus.BAD_REQUEST

    def data_received(self, data: bytes) -> None:
        """Read what came; a head that does not end is cut off."""
        if not self._in_head:
            super().data_received(data)
            return
        self._came += len(data)
        super().data_received(data)
        if self._in_head and self._came > _TARGET + _FIELDS and not self.transport.is_closing():
            self._wrong = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Go on with a request whose head is of a usual size."""
        self._in_head = False
        if self._came > _SHORT:
            self._weigh()
        self.on_head()

    def on_head(self) -> None:
        """Go on with a request whose head is complete."""
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request; the first of a connection may have had its answer without a cycle."""
        self._in_head, self._came = True, 0
        if self.cycle is not None:
            super().on_message_complete()

    def _weigh(self) -> None:
        if len(self.url) > _TARGET:
            self._wrong = HTTPStatus.REQUEST_URI_TOO_LONG
            raise TooLongError
        long = sum(len(name) + len(value) for name, value in self.headers) > _FIELDS
        if long or any(len(value) > _CHOICE and name.lower() in _CHOICES for name, value in self.headers):
            self._wrong = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise TooLongError

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong with a head, and close: what follows on this connection is not read."""
        wrong = self._wrong
        language = "en" if b"lang=en" in getattr(self, "url", b"") else "fr"
        what, hint = (text.get(language) for text in _SAID[wrong])
        body = orjson.dumps({"title": wrong.phrase, "status": wrong.value, "detail": what, "hint": hint})
        head = (
            f"HTTP/1.1 {wrong.value} {wrong.phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nx-request-id: {new_request_id()}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


_SAID: Final = {
    HTTPStatus.BAD_REQUEST: (
        Text("La requête n'est pas du HTTP bien formé.", "The request is not well-formed HTTP."),
        Text("Voir RFC 9112.", "See RFC 9112."),
    ),
    HTTPStatus.REQUEST_URI_TOO_LONG: (
        Text("L'adresse demandée est trop longue.", "The address that was asked for is too long."),
        Text(f"Au plus {_TARGET} octets ; une requête peut venir par POST.", f"At most {_TARGET} bytes; POST a query instead."),
    ),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        Text("Les en-têtes de la requête sont trop longs.", "The header fields of the request are too long."),
        Text(
            f"Au plus {_FIELDS} octets en tout, et {_CHOICE} pour ceux qui choisissent une forme, comme Accept.",
            f"At most {_FIELDS} bytes together, and {_CHOICE} for those that choose a form, such as Accept.",
        ),
    ),
}
