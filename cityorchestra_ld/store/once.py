"""Answer one query through one worker process, for the command line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import BinaryIO

from cityorchestra_ld.model import Generation, Limits, View
from cityorchestra_ld.store.frames import End
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.pool import Pool


def query_once(
    generation: Generation,
    query: str | Inspected,
    view: View,
    media_type: str,
    limits: Limits,
    out: BinaryIO,
    *,
    prefixes: Mapping[str, str] | None = None,
) -> End:
    """Answer one query through one worker process into `out`; for the command line, outside any event loop."""

    async def once() -> End:
        async with Pool(generation, 1, limits, prefixes=prefixes) as pool:
            answer = await pool.query(query, view, media_type)
            async for chunk in answer:
                out.write(chunk)
            return answer.end or End()

    with contextlib.closing(asyncio.Runner()) as runner:
        return runner.run(once())
