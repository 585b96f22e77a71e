"""What is kept of a generation for as long as query workers are on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store.generations import Hold, read_manifest
from cityorchestra_ld.store.template import Template

_SOON: Final = 0.1  # seconds in which a process is known to have ended after those that end with it
_PAUSE: Final = 0.1  # seconds before something is started again, twice as many each time
_LONGEST_PAUSE: Final = 5.0
_LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Held:
    """A generation that is not deleted meanwhile, and the template of its workers when it is in memory."""

    def __init__(self, generation: Generation) -> None:
        self._hold = Hold(generation.path)
        self._template: Template | None = None
        self._most = 0
        self.merged = read_manifest(generation.path).merged

    @property
    def resident(self) -> bool:
        """Tell whether workers are split off from a process that has the generation in memory."""
        return self._template is not None

    async def template(self) -> Template | None:
        """Return the template, if there is one; when it has ended, workers read the disk again."""
        template = self._template
        if template is not None and not template.alive:
            self._template = None
            _LOG.warning("the process with the generation in memory has ended; queries are answered from disk")
            await template.stop()
            return None
        return template

    async def is_lost(self) -> bool:
        """Tell whether a worker ended because the template did: its query had no part in that."""
        if await self.template() is not None:
            await asyncio.sleep(_SOON)
        return await self.template() is None

    def keep(self, template: Template, most: int) -> None:
        """Make workers from this template from now on, so many at the same time."""
        self._template, self._most = template, most

    def has_room(self, workers: int) -> bool:
        """Tell whether there may be another worker from the template beside so many."""
        return self._template is not None and workers < self._most

    async def close(self) -> None:
        """Let the generation go."""
        template, self._template = self._template, None
        if template is not None:
            await template.stop()
        self._hold.close()


async def insist(start: Callable[[], Awaitable[T]], wanted: Callable[[], bool]) -> T | None:
    """Start something, again and again, until it comes up; nothing when it is not wanted any more."""
    pause = _PAUSE
    while wanted():
        try:
            return await start()
        except StoreError as error:
            _LOG.warning("a query worker does not start, trying again: %s", error.message.en)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
    return None


def keep_task(tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
    """Start a task, and keep it until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
