"""Say inside an answer that it was cut at the row limit, or a search in it, where the format has a place for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import orjson

from cityorchestra_ld.formats import N_QUADS, N_TRIPLES, RDF_XML, RESULTS_JSON, RESULTS_XML, TRIG, TURTLE, Format
from cityorchestra_ld.store import Answer as Stream

_LINES: Final = (TURTLE, TRIG, N_TRIPLES, N_QUADS)
_WORDS: Final = {"rows": "truncated at %d rows", "search": "a search was cut at %d things"}
_XML: Final = (RESULTS_XML, RDF_XML)


async def noted(stream: Stream, form: Format) -> AsyncIterator[bytes]:
    """Yield an answer; one that was cut ends with a member (JSON) or a comment that says so. CSV and TSV have no place."""
    held = b""
    try:
        async for piece in stream:
            if held:
                yield held
            held = piece
        yield _last(held, stream, form)
    finally:
        await stream.aclose()


def noted_whole(stream: Stream, form: Format) -> bytes:
    """Return an answer of which all is here, in the same way."""
    return _last(stream.taken(), stream, form)


def _last(piece: bytes, stream: Stream, form: Format) -> bytes:
    said = {"search": stream.head.search_limit} if stream.head.search_limit else {}
    if stream.end is not None and stream.end.truncated:
        said["rows"] = stream.head.row_limit
    return _note(piece, form, said) if said else piece


def _note(last: bytes, form: Format, limits: Mapping[str, int]) -> bytes:
    if form is RESULTS_JSON:
        return last.rstrip().removesuffix(b"}") + b',"truncated":' + orjson.dumps(limits) + b"}"
    said = " and ".join(_WORDS[name] % limit for name, limit in limits.items()).encode()
    if form in _XML:
        return last + b"\n<!-- " + said + b" -->\n"
    return last + b"\n# " + said + b"\n" if form in _LINES else last
