"""Hold the generation that answers now, notice a new one, and let requests in flight finish on the old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from cityorchestra_ld.errors import CityOrchestraError, Text
from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store import Pool, Reader, Residence, copy_of, current_generation, published_mark, residence
from cityorchestra_ld.web.callers import Budget, Caller, identify
from cityorchestra_ld.web.children import Children
from cityorchestra_ld.web.federation import Federation
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.metrics import Metrics
from cityorchestra_ld.web.problems import NotReadyError
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.statistics_ import measure

_Made = TypeVar("_Made")
_BUILDERS: Final = 2  # threads that make pages
_LOOK_EVERY: Final = 0.1  # seconds
_log = logging.getLogger("cityorchestra_ld.web")


class Service:
    """The open generation and its query workers; `start` and `stop` belong to one event loop."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._folder = site.territory.state / "store"
        self._snapshot: Snapshot | None = None
        self._reader: Reader | None = None
        self._pool: Pool | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._builders = ThreadPoolExecutor(_BUILDERS, thread_name_prefix="pages")
        self._building: set[asyncio.Future[object]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._broken: Text | None = None
        self._seen: tuple[int, int] | None = None  # the pointer to the generation that is open
        self.residence: Residence | None = None  # what of the generation is to be in memory
        self.tokens = Tokens.of(site.territory)
        self.metrics = Metrics()
        self.budget = Budget(site.territory.limits, heard=self.metrics.queried)
        self.federation = Federation(site.territory, self.budget, self.metrics)
        self.children = Children()
        self.after_opening: list[Callable[[Service, Snapshot], Awaitable[None]]] = []  # what to ask before anybody does

    def caller(self, ask: Ask, address: str) -> Caller:
        """Tell who asks; raise UnauthorizedError for a token that we do not know."""
        return identify(ask, address, self.tokens)

    @property
    def generation(self) -> Generation | None:
        """Return the generation that answers, `None` before the first is open."""
        return self._snapshot.generation if self._snapshot else None

    @property
    def open_pool(self) -> Pool | None:
        """Return the query workers, if they run."""
        return self._pool

    @property
    def resident(self) -> dict[str, bool]:
        """Tell who answers from memory: look-ups of this process, query workers."""
        return {"web": bool(self._reader and self._reader.resident), "workers": bool(self._pool and self._pool.resident)}

    @property
    def broken(self) -> Text | None:
        """Say why the newest generation cannot be opened, when it cannot."""
        return self._broken

    @property
    def snapshot(self) -> Snapshot:
        """Return what pages read from; raise NotReadyError before a generation is open."""
        if self._snapshot is None:
            raise self._not_ready()
        return self._snapshot

    @property
    def open_snapshot(self) -> Snapshot | None:
        """Return what pages read from, `None` before a generation is open."""
        return self._snapshot

    @property
    def pool(self) -> Pool:
        """Return the query workers; raise NotReadyError before they run."""
        if self._snapshot is None or self._pool is None:
            raise self._not_ready()
        return self._pool

    def _not_ready(self) -> NotReadyError:
        return NotReadyError(
            self._broken or Text("Aucune donnée n'est encore publiée.", "No data are published yet."),
            hint=Text("Revenez dans un instant.", "Come back in a moment."),
        )

    async def start(self) -> None:
        """Open the current generation, and watch for the next."""
        await self.refresh()
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Close everything."""
        for task in (self._watcher, self._measuring):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._watcher = self._measuring = None
        if self._pool is not None:
            await self._pool.close()
            self._pool = None
        self._snapshot = None
        await self._close(self._reader)
        self._reader = None
        await asyncio.gather(*self._closing)
        self._builders.shutdown()

    async def build(self, make: Callable[[], _Made]) -> _Made:
        """Make a page in a thread, so that queries and identifiers do not wait for it; lookups start and end in that thread."""
        future: asyncio.Future[_Made] = asyncio.get_running_loop().run_in_executor(self._builders, make)
        self._building.add(future)  # type: ignore[arg-type]
        future.add_done_callback(self._building.discard)
        return await future

    async def refresh(self) -> bool:
        """Open the published generation unless it is open already; tell whether anything changed."""
        async with self._changing:
            mark = published_mark(self._folder)
            if mark is not None and mark == self._seen:
                return False
            try:
                changed = await self._refresh()
            except (CityOrchestraError, OSError) as error:
                said = error.message if isinstance(error, CityOrchestraError) else Text(str(error), str(error))
                if said != self._broken:
                    _log.error("the published generation cannot be opened: %s", said.en)
                self._broken = said
                return False
            self._seen = mark
            return changed

    async def _refresh(self) -> bool:
        generation = current_generation(self._folder)
        known = self.generation
        if generation is None or (known and (generation.number, generation.created) == (known.number, known.created)):
            return False
        reader = await asyncio.to_thread(Reader, generation)
        try:
            if self._pool is None:
                territory = self.site.territory
                pool = Pool(
                    generation,
                    territory.workers,
                    territory.limits,
                    prefixes=self.site.prefixes,
                    base=f"{territory.base_iri}sparql",
                )
                self._pool = await pool.__aenter__()
            else:
                await self._pool.switch(generation)
        except BaseException:
            reader.close()
            raise
        if self._reader is not None:
            closing = asyncio.get_running_loop().create_task(self._close(self._reader))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._reader = reader
        self._snapshot = Snapshot(generation, reader, view(generation.graphs), self.site.territory.base_iri)
        self._broken = None
        if self._measuring is not None:
            self._measuring.cancel()
        self._measuring = asyncio.get_running_loop().create_task(self._prepare(self._snapshot, reader))
        _log.info(
            "generation %d is open: %d triples in %d graphs", generation.number, generation.triples, len(generation.graphs)
        )
        return True

    async def _prepare(self, snapshot: Snapshot, reader: Reader) -> None:
        """Do for a new generation what its first answers need not wait for."""
        self.residence = None
        await self._measure(snapshot)
        try:
            await self._bring_in(reader)
        except (CityOrchestraError, OSError) as error:
            said = error.message.en if isinstance(error, CityOrchestraError) else str(error)
            _log.warning("generation %d is answered from disk: %s", reader.generation.number, said)

    async def _bring_in(self, reader: Reader) -> None:
        """Bring the generation into memory if it may be there: for look-ups first, once the older one is gone."""
        territory, generation = self.site.territory, reader.generation
        wanted = self.residence = residence(generation, territory.resident, territory.workers, territory.limits)
        await asyncio.gather(*self._closing)
        if wanted.web:
            stop = threading.Event()
            try:
                copy = await asyncio.to_thread(copy_of, generation, stop)
            finally:
                stop.set()
            if copy is not None:
                reader.keep(copy)
        if wanted.workers:
            await self.pool.warm(wanted.workers)
        told = [name for name, there in self.resident.items() if there]
        _log.info("generation %d is in memory: %s", generation.number, ", ".join(told) or "no, it is read from disk")

    async def _measure(self, snapshot: Snapshot) -> None:
        """Count what the generation holds; pages do with samples until that is done, or when it takes too long."""
        try:
            snapshot.statistics = await measure(self.site, self.pool)
            for prepare in self.after_opening:
                await prepare(self, snapshot)
        except CityOrchestraError as error:
            _log.warning("generation %d is not measured: %s", snapshot.generation.number, error.message.en)

    async def _close(self, reader: Reader | None) -> None:
        """Close a reader once the pages that are being made from it are done."""
        if self._building:
            await asyncio.wait(self._building)
        if reader is not None:
            await asyncio.to_thread(reader.close)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.refresh()
