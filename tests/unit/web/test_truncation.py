"""An answer says what was cut off it, and a reader of the format still reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from cityorchestra_ld.formats import RESULTS_JSON, RESULTS_XML, TURTLE, Format
from cityorchestra_ld.store import Answer, End, Head
from cityorchestra_ld.web.truncation import noted


class Cut:
    """An answer of which a search went beyond its limit, and the rows too."""

    head = Head(kind="solutions", media_type="", row_limit=7, search_limit=9)
    end = End(rows=7, truncated=True)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"results":{"bindings":[]}}'

    async def aclose(self) -> None:
        """Do nothing."""


def written(form: Format, answer: Cut) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in noted(cast("Answer", cast("Any", answer)), form)])

    return asyncio.run(read())


def test_json_has_a_member_for_both() -> None:
    assert msgspec.json.decode(written(RESULTS_JSON, Cut()))["truncated"] == {"search": 9, "rows": 7}


@pytest.mark.parametrize(("form", "sign"), [(RESULTS_XML, "<!-- %s -->"), (TURTLE, "# %s")])
def test_other_formats_have_a_comment(form: Format, sign: str) -> None:
    said = "a search was cut at 9 things and truncated at 7 rows"
    assert (sign % said).encode() in written(form, Cut())
