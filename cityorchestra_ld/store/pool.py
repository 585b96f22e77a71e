"""Answer queries that people wrote, in worker processes that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import BinaryIO, Final, Self

from cityorchestra_ld.errors import BusyError, StoreError, Text
from cityorchestra_ld.model import Generation, Limits, View
from cityorchestra_ld.store.answers import Answer, Patience
from cityorchestra_ld.store.frames import End, Request
from cityorchestra_ld.store.generations import Hold, Merged, read_manifest
from cityorchestra_ld.store.guard import Inspected, inspect
from cityorchestra_ld.store.merge import default_graphs
from cityorchestra_ld.store.serialization import rdf_format, results_format
from cityorchestra_ld.store.waiting import FairQueue, QueueFullError
from cityorchestra_ld.store.workers import QueryWorker

_LOG = logging.getLogger(__name__)
_UNLIMITED: Final = 2**62


class Pool:
    """
    A fixed number of query workers on one generation, and the queue in front of them.

    Use it inside one event loop: `async with Pool(generation, 2, limits) as pool`.
    """

    def __init__(
        self,
        generation: Generation,
        size: int = 2,
        limits: Limits | None = None,
        *,
        prefixes: Mapping[str, str] | None = None,
        stall_seconds: float = 30.0,
    ) -> None:
        self._generation = generation
        self._size = size
        self._limits = limits or Limits()
        self._prefixes = dict(prefixes or {})
        self._stall = stall_seconds
        self._idle: deque[QueryWorker] = deque()
        self._workers: set[QueryWorker] = set()
        self._queue: FairQueue[QueryWorker] = FairQueue(self._limits.max_waiting, self._offer)
        self._holds: dict[int, Hold] = {}
        self._merged: dict[int, Merged | None] = {}
        self._respawning: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._switching = asyncio.Lock()
        self._closed = True
        self._typical = 0.1  # seconds that an answer takes, smoothed

    # --- life -------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._closed = False
        try:
            await self._populate(self._generation)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill all workers; whoever waits is sent away."""
        self._closed = True
        for task in self._respawning:
            task.cancel()
        await asyncio.gather(*self._respawning, return_exceptions=True)
        self._queue.fail(_closing())
        for worker in list(self._workers):
            self._discard(worker)
        self._idle.clear()
        await asyncio.gather(*self._stopping)
        for hold in self._holds.values():
            hold.close()
        self._holds.clear()
        self._merged.clear()

    @property
    def generation(self) -> Generation:
        """Return the generation that new queries see."""
        return self._generation

    @property
    def confined(self) -> bool:
        """Tell whether every worker is without network."""
        return bool(self._workers) and all(worker.confined for worker in self._workers)

    @property
    def idle(self) -> int:
        """Count the workers that wait for a query."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Count the queries that wait for a worker."""
        return len(self._queue)

    @property
    def pids(self) -> tuple[int, ...]:
        """List the processes, for metrics and tests."""
        return tuple(sorted(worker.pid for worker in self._workers))

    async def switch(self, generation: Generation) -> None:
        """Serve another generation from now on; queries under way finish on the old one."""
        async with self._switching:
            if self._closed or generation.number == self._generation.number:
                return
            await self._populate(generation)

    async def _populate(self, generation: Generation) -> None:
        if generation.number not in self._holds:
            self._holds[generation.number] = Hold(generation.path)
            self._merged[generation.number] = read_manifest(generation.path).merged
        starts = [self._start(generation) for _ in range(self._size)]
        started = await asyncio.gather(*starts, return_exceptions=True)
        workers = [worker for worker in started if isinstance(worker, QueryWorker)]
        problem = next((error for error in started if isinstance(error, BaseException)), None)
        if problem is not None:
            for worker in workers:
                self._discard(worker)
            raise problem
        self._generation = generation
        for old in list(self._idle):
            self._discard(old)
        self._idle.clear()
        for worker in workers:
            self._offer(worker)

    async def _start(self, generation: Generation) -> QueryWorker:
        worker = await QueryWorker.start(generation, self._limits.query_memory_mb, self._prefixes)
        self._workers.add(worker)
        return worker

    # --- queries ----------------------------------------------------------------------------------------------------------

    async def query(
        self, query: str | Inspected, view: View, media_type: str, *, deadline: float | None = None, client: str = ""
    ) -> Answer:
        """
        Answer a query within a view; return once the first bytes are there.

        Raises QueryError (with line and character), UsageError for a format that does not fit, BusyError with `retry_after`
        when too many wait, QueryTimeoutError at the deadline or the memory limit. A failure after the first byte is raised by
        the iteration. `client` names who asks, so that nobody fills the queue alone.
        """
        inspected = query if isinstance(query, Inspected) else inspect(query, self._limits)
        (rdf_format if inspected.kind == "graph" else results_format)(media_type)
        seconds = min(deadline or math.inf, self._limits.query_seconds)
        worker = await self._acquire(client, seconds)
        request = self._request(inspected, view, media_type, self._merged[worker.generation.number])
        answer = Answer(worker, inspected.text, request, Patience(seconds, self._stall), self._released)
        began = asyncio.get_running_loop().time()
        await answer.begin()
        self._typical += (asyncio.get_running_loop().time() - began - self._typical) * 0.1
        return answer

    def _request(self, inspected: Inspected, view: View, media_type: str, merged: Merged | None) -> Request:
        rows = self._limits.result_rows
        own = inspected.form == "SELECT" and inspected.limit is not None and inspected.limit <= rows
        return Request(
            text=inspected.capped(rows),
            default_graphs=default_graphs(view, merged),
            named_graphs=list(view.named_graphs),
            media_type=media_type,
            rows=_UNLIMITED if own else rows,
            prefixes=dict(inspected.prefixes) if inspected.kind == "graph" else {},
        )

    async def _acquire(self, client: str, seconds: float) -> QueryWorker:
        while True:
            worker = self._idle.popleft() if self._idle else await self._wait(client, seconds)
            if worker.alive:
                return worker
            self._replace(worker)

    async def _wait(self, client: str, seconds: float) -> QueryWorker:
        if self._closed:
            raise _closing()
        try:
            async with asyncio.timeout(seconds):
                return await self._queue.wait(client)
        except (QueueFullError, TimeoutError):
            error = BusyError(
                Text("Trop de requêtes attendent.", "Too many queries are waiting."),
                hint=Text("Réessayez dans quelques secondes.", "Try again in a few seconds."),
            )
            error.retry_after = float(max(1, math.ceil(self._typical * (len(self._queue) + 1) / self._size)))
            raise error from None

    def _released(self, worker: QueryWorker, reusable: bool) -> None:
        """Hear from an answer that it is done with its worker."""
        if reusable and worker.alive and worker.generation.number == self._generation.number and not self._closed:
            self._offer(worker)
        else:
            self._replace(worker)

    def _offer(self, worker: QueryWorker) -> None:
        if not self._queue.offer(worker):
            self._idle.append(worker)

    def _discard(self, worker: QueryWorker) -> None:
        if worker in self._workers:
            self._workers.discard(worker)
            worker.kill()
            _keep(self._stopping, worker.stop())
        number = worker.generation.number
        if number != self._generation.number and all(other.generation.number != number for other in self._workers):
            hold = self._holds.pop(number, None)
            if hold is not None:
                hold.close()
                del self._merged[number]

    def _replace(self, worker: QueryWorker) -> None:
        self._discard(worker)
        if not self._closed and worker.generation.number == self._generation.number:
            _keep(self._respawning, self._respawn(worker.generation))

    async def _respawn(self, generation: Generation) -> None:
        pause = 0.1
        while not self._closed and generation.number == self._generation.number:
            try:
                worker = await self._start(generation)
            except StoreError as error:
                _LOG.warning("a query worker does not start, trying again: %s", error.message.en)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            if generation.number == self._generation.number:
                self._offer(worker)
            else:
                self._discard(worker)
            return


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
    """Start a task, and keep it until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _closing() -> BusyError:
    return BusyError(Text("Le service s'arrête.", "The service is stopping."))


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
