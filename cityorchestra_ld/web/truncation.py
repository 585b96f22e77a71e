"""Say inside an answer that it was cut at the row limit, where the format has a place for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from cityorchestra_ld.formats import N_QUADS, N_TRIPLES, RDF_XML, RESULTS_JSON, RESULTS_XML, TRIG, TURTLE, Format
from cityorchestra_ld.store import Answer as Stream

_LINES: Final = (TURTLE, TRIG, N_TRIPLES, N_QUADS)
_XML: Final = (RESULTS_XML, RDF_XML)


async def noted(stream: Stream, form: Format) -> AsyncIterator[bytes]:
    """Yield an answer; one that was cut ends with a member (JSON) or a comment that says so. CSV and TSV have no place."""
    held = b""
    try:
        async for piece in stream:
            if held:
                yield held
            held = piece
        if stream.end is not None and stream.end.truncated:
            held = _note(held, form, stream.head.row_limit)
        yield held
    finally:
        await stream.aclose()


def _note(last: bytes, form: Format, limit: int) -> bytes:
    if form is RESULTS_JSON:
        return last.rstrip().removesuffix(b"}") + b',"truncated":{"rows":%d}}' % limit
    if form in _XML:
        return last + b"\n<!-- truncated at %d rows -->\n" % limit
    return last + b"\n# truncated at %d rows\n" % limit if form in _LINES else last
