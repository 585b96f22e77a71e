"""Read the body of a request, never more of it than its limit."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request

from cityorchestra_ld.errors import Place, Text
from cityorchestra_ld.web.problems import MediaTypeError, TooLargeError


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield a body; raise TooLargeError beyond its limit, MediaTypeError when it is compressed: nothing is unpacked here."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise MediaTypeError(
            Text("Les corps compressés sont refusés.", "Compressed bodies are refused."),
            place=Place(column="Content-Encoding", value=coding[:80]),
            hint=Text("Envoyez le corps tel quel.", "Send the body as it is."),
        )
    declared = request.headers.get("content-length", "0")
    size = 0
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


async def read_body(request: Request, limit: int) -> bytes:
    """Return a body."""
    return b"".join([chunk async for chunk in pieces(request, limit)])


async def save_body(request: Request, path: Path, limit: int) -> str:
    """Write a body to a file and return its hash."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        async for chunk in pieces(request, limit):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        Text(f"Le corps dépasse {limit} octets.", f"The body is longer than {limit} bytes."),
        hint=Text("Envoyez moins à la fois.", "Send less at once."),
    )
