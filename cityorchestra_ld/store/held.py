"""What is kept of a generation for as long as query workers are on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

from cityorchestra_ld.model import Generation
from cityorchestra_ld.store.generations import Hold, read_manifest
from cityorchestra_ld.store.template import Template

_SOON: Final = 0.1  # seconds in which a process is known to have ended after those that end with it
_LOG = logging.getLogger(__name__)


class Held:
    """A generation that is not deleted meanwhile, and the template of its workers when it is in memory."""

    def __init__(self, generation: Generation) -> None:
        self._hold = Hold(generation.path)
        self._template: Template | None = None
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

    def keep(self, template: Template) -> None:
        """Make workers from this template from now on."""
        self._template = template

    async def close(self) -> None:
        """Let the generation go."""
        template, self._template = self._template, None
        if template is not None:
            await template.stop()
        self._hold.close()


def keep_task(tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
    """Start a task, and keep it until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
