"""Answer queries that people wrote, in worker processes that can be killed."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Self

from cityorchestra_ld.model import Generation, Limits, View
from cityorchestra_ld.store.answers import Answer, EngineStoppedError
from cityorchestra_ld.store.asking import Asking, Question
from cityorchestra_ld.store.guard import Inspected, inspect
from cityorchestra_ld.store.held import Held, insist, keep_task
from cityorchestra_ld.store.quick import Quicks, Told
from cityorchestra_ld.store.searching import searches_of
from cityorchestra_ld.store.serialization import rdf_format, results_format
from cityorchestra_ld.store.shapes import Seen
from cityorchestra_ld.store.template import Template
from cityorchestra_ld.store.turns import Turns
from cityorchestra_ld.store.waiting import crowded
from cityorchestra_ld.store.workers import QueryWorker, copies_of

_LOOK_AGAIN: Final = 0.05  # seconds
_SHORT: Final = 0.5  # seconds after which another worker is started beside a query
_LONG: Final = 2.0  # seconds after which a query gives way to other processes
_RESTART: Final = 0.5  # seconds of work that a worker costs which has to be replaced


class Pool:
    """
    Query workers on one generation, and the queue in front of them.

    `size` workers take new queries. A query that takes long keeps its worker, later gives way to other processes, and another
    worker is started in its place, so that short queries never wait behind long ones. There may be `limits.long_queries` of
    those; one more, and the client that has most of them loses its newest. One worker is kept for clients that cost little.
    """

    def __init__(
        self,
        generation: Generation,
        size: int = 2,
        limits: Limits | None = None,
        *,
        prefixes: Mapping[str, str] | None = None,
        base: str | None = None,
        stall_seconds: float = 30.0,
    ) -> None:
        self._generation = generation
        self._size = size
        self._limits = limits or Limits()
        self._prefixes = dict(prefixes or {})
        self._base = base
        self._asking = Asking(limits=self._limits, base=base)
        self._stall = stall_seconds
        self._turns = Turns(size, self._limits.max_waiting)
        self._workers: set[QueryWorker] = set()
        self._held: dict[int, Held] = {}
        self._long: dict[QueryWorker, Answer] = {}
        self._timers: dict[Answer, asyncio.TimerHandle] = {}
        self._respawning: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._switching = asyncio.Lock()
        self._starting: Counter[int] = Counter()  # by generation
        self._splitting = 0  # workers that are about to have a copy

    # --- life -------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._turns.closed = False
        self._quicks = Quicks(self._turns, self._put)
        try:
            await self._populate(self._generation)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill all workers; whoever waits is sent away."""
        self._turns.closed = True
        for task in self._respawning:
            task.cancel()
        await asyncio.gather(*self._respawning, return_exceptions=True)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._turns.close()
        for worker in list(self._workers):
            self._discard(worker)
        self._turns.clear()
        await asyncio.gather(*self._stopping)
        for held in self._held.values():
            await held.close()
        self._held.clear()

    @property
    def generation(self) -> Generation:
        """Return the generation that new queries see."""
        return self._generation

    @property
    def confined(self) -> bool:
        """Tell whether every worker is without network."""
        return bool(self._workers) and all(worker.confined for worker in self._workers)

    @property
    def resident(self) -> bool:
        """Tell whether new queries are answered from memory."""
        held = self._held.get(self._generation.number)
        return held is not None and held.resident

    @property
    def idle(self) -> int:
        """Count the workers that wait for a query."""
        return len(self._turns.idle)

    @property
    def long(self) -> int:
        """Count the queries that take long."""
        return len(self._long)

    @property
    def waiting(self) -> int:
        """Count the queries that wait for a worker."""
        return self._turns.waiting

    @property
    def pids(self) -> tuple[int, ...]:
        """List the processes, for metrics and tests."""
        return tuple(sorted(worker.pid for worker in self._workers))

    async def switch(self, generation: Generation) -> None:
        """Serve another generation from now on; queries under way finish on the old one."""
        async with self._switching:
            if self._turns.closed or generation.number == self._generation.number:
                return
            await self._populate(generation)

    async def _populate(self, generation: Generation) -> None:
        if generation.number not in self._held:
            self._held[generation.number] = Held(generation)
        starts = [self._start(generation) for _ in range(self._size)]
        started = await asyncio.gather(*starts, return_exceptions=True)
        workers = [worker for worker in started if isinstance(worker, QueryWorker)]
        problem = next((error for error in started if isinstance(error, BaseException)), None)
        if problem is not None:
            for worker in workers:
                self._discard(worker)
            raise problem
        self._generation = generation
        self._put_in_place(workers)
        for number in self._held.keys() - {generation.number, *(worker.generation.number for worker in self._workers)}:
            keep_task(self._stopping, self._held.pop(number).close())

    def _put_in_place(self, workers: Sequence[QueryWorker]) -> None:
        """Let these workers take new queries, no others."""
        for old in self._turns.clear():
            self._discard(old)
        for worker in workers:
            self._turns.offer(worker)

    async def _start(self, generation: Generation, fresh: Template | None = None) -> QueryWorker:
        held = self._held[generation.number]
        template = fresh or await held.template()
        if fresh is None and not held.has_room(self._splitting + copies_of(self._workers, generation)):
            template = None
        memory, touch = self._limits.query_memory_mb, fresh is not None
        self._splitting += template is not None
        try:
            worker = await QueryWorker.start(generation, memory, self._prefixes, template, touch=touch)
        finally:
            self._splitting -= template is not None
        self._workers.add(worker)
        return worker

    async def warm(self, most: int) -> bool:
        """
        Have workers with the generation in memory from now on; the others answer until then. Tell whether that was done.

        There are never more than `most` of these: who takes the place of one more that has a long query reads the disk. The
        copy of an older generation goes before this one is made. Raises StoreError when it cannot be made.
        """
        generation = self._generation
        while len(self._held) > 1:
            await asyncio.sleep(_LOOK_AGAIN)
        template = await Template.start(generation, 0, {})
        workers: list[QueryWorker] = []
        try:
            while len(workers) < self._size and self._serves(generation):
                workers.append(await self._start(generation, template))
        finally:
            whole = len(workers) == self._size and self._serves(generation)
            if not whole:
                for worker in workers:
                    self._discard(worker)
                await template.stop()
        if whole:
            self._held[generation.number].keep(template, most)
            self._put_in_place(workers)
        return whole

    def _serves(self, generation: Generation) -> bool:
        return not self._turns.closed and generation.number == self._generation.number

    def _fits(self, worker: QueryWorker) -> bool:
        """Tell whether a worker may take new queries: not when it reads the disk and one with a copy may be in its place."""
        if not self._serves(worker.generation):
            return False
        if worker.resident or not self.resident:
            return True
        generation = worker.generation
        copies, kept = self._splitting + copies_of(self._workers, generation), copies_of(self._long, generation)
        return copies - kept < self._size and not self._held[generation.number].has_room(copies)

    # --- queries ----------------------------------------------------------------------------------------------------------

    async def query(
        self,
        query: str | Inspected,
        view: View | Callable[[Generation], View],
        media_type: str,
        *,
        deadline: float | None = None,
        client: str = "",
        rows: int | None = None,
        spent: Callable[[float], None] | None = None,
        begun: Answer | None = None,
    ) -> Answer:
        """
        Answer a query within a view; return once the first bytes are there.

        Raises QueryError (with line and character), UsageError for a format that does not fit, BusyError with `retry_after`
        when too many wait, QueryTimeoutError at the deadline or the memory limit. A failure after the first byte is raised by
        the iteration. A `view` that is a function is made for the very generation that answers: a publication may come between,
        and its graphs may be open to others. `client` names who asks, so that nobody fills the queue alone; `rows` lowers the
        row limit; `spent` hears once how many seconds the engine worked; `begun` is what `ask` told of the same query.
        """
        inspected = query if isinstance(query, Inspected) else inspect(query, self._limits)
        (rdf_format if inspected.kind == "graph" else results_format)(media_type)
        question = Question(
            inspected, view, media_type, client=client, rows=rows, spent=spent,
            seconds=min(deadline or math.inf, self._limits.query_seconds),
            searches=await searches_of(inspected.text, self._prefixes.get("co"), self._base),
        )  # fmt: skip
        answer = begun
        while True:
            while answer is None:
                answer = self._put(question, await self._turns.take(client, question.seconds))
            try:
                return await self._begun(answer)
            except EngineStoppedError:
                worker, answer = answer.worker, None
                held = self._held.get(worker.generation.number)
                if not worker.resident or (held is not None and not await held.is_lost()):
                    raise

    def ask(
        self, asked: Inspected | Seen, view: Callable[[Generation], View], media_type: str, *, client: str,
        spent: Callable[[float], None], told: Told, brief: bool = False,
    ) -> bool:  # fmt: skip
        """
        Put a query that searches nothing to a worker, without a task; tell whether that is so: too many may wait.

        `told` hears once what came, from here or later. What it hears of may be given to `query` as begun, which goes on.
        A query that is known to be `brief` may be put to a worker that is about to answer others of the same client.
        """
        question = Question(asked, view, media_type, self._limits.query_seconds, client, spent=spent, brief=brief)
        shared = self._turns.shared(client, self._workers) if brief else None
        return self._quicks.ask(question, told, shared if shared is not None and self._fits(shared) else None)

    def _put(self, question: Question, worker: QueryWorker) -> Answer | None:
        """Make the answer that a worker is to give; nothing when it has ended meanwhile."""
        if worker.line:
            if worker.closed:
                return None
        elif not worker.alive:
            self._turns.lost(worker)
            self._replace(worker)
            return None
        view, generation = question.view, worker.generation
        try:
            seen = view(generation) if callable(view) else view
        except BaseException:
            if not worker.line:
                self._released_unused(worker)
            raise
        request, rows = self._asking.written(question, seen, generation, self._held[generation.number].merged)
        worker.shared, worker.held = question.client if question.brief else None, worker.held + 1
        return Answer(worker, question, request, rows, self._stall, self._released)

    async def _begun(self, answer: Answer) -> Answer:
        """Ask, and return once the first bytes are there."""
        loop, worker = asyncio.get_running_loop(), answer.worker
        began = loop.time()
        if not answer.released:
            self._timers[answer] = loop.call_later(_SHORT, self._takes_long, worker, answer)
        await answer.begin()
        self._turns.took(loop.time() - began)
        return answer

    def _takes_long(self, worker: QueryWorker, answer: Answer) -> None:
        """
        Let a query go on beside the others; when too many do, the client that has most of them loses its newest.

        It gives way later; that of a client which costs much does so now, and to everybody.
        """
        if self._turns.lost(worker):
            worker.give_way(to_all=True)
        else:
            self._timers[answer] = asyncio.get_running_loop().call_later(_LONG - _SHORT, worker.give_way)
        self._long[worker] = answer
        if len(self._long) > self._limits.long_queries:
            clients = [other.client for other in self._long.values()]
            heaviest = max(reversed(clients), key=clients.count)
            next(other for other in reversed(self._long.values()) if other.client == heaviest).interrupt(crowded())
        if worker in self._long:
            self._fill(worker.generation)
        self._turns.dispatch()

    def _released(self, answer: Answer, reusable: bool) -> None:
        """Hear from an answer that it is done with its worker."""
        worker = answer.worker
        timer = self._timers.pop(answer, None)
        if timer is not None:
            timer.cancel()
        seconds = answer.end.seconds if answer.end else asyncio.get_running_loop().time() - answer.began
        worker.held -= 1
        if answer.dropped:  # with all that share the worker, which works once
            seconds = seconds / len(worker.line) if worker.held else _RESTART
        self._turns.worked(answer.client, seconds if reusable else seconds + _RESTART)
        if reusable and (worker.held or worker.is_wanted):
            return
        self._turns.lost(worker)
        was_long = self._long.pop(worker, None) is not None
        if was_long and (self._ready(worker.generation) > self._size + 1 or not worker.hurry()):
            reusable = False  # one worker more than needed is enough; and what gives way cannot be hurried again everywhere
        if reusable and not worker.line and not (worker.killed or worker.closed) and self._fits(worker):
            self._turns.offer(worker)
            if was_long:
                self._fill(worker.generation)
        else:
            self._replace(worker)
            self._turns.dispatch()

    def _released_unused(self, worker: QueryWorker) -> None:
        """Take back a worker that was asked nothing."""
        if self._fits(worker):
            self._turns.offer(worker)
        else:
            self._replace(worker)

    def _discard(self, worker: QueryWorker) -> None:
        if worker in self._workers:
            self._workers.discard(worker)
            worker.kill()
            keep_task(self._stopping, worker.stop())
        number = worker.generation.number
        if number != self._generation.number and all(other.generation.number != number for other in self._workers):
            held = self._held.pop(number, None)
            if held is not None:
                keep_task(self._stopping, held.close())

    def _replace(self, worker: QueryWorker) -> None:
        self._discard(worker)
        self._fill(worker.generation)

    def _fill(self, generation: Generation) -> None:
        """Start what is missing of the workers that take new queries, once those that stood in for others are gone."""
        if not self._serves(generation):
            return
        for worker in self._turns.without(self._fits):
            self._discard(worker)
        for _ in range(self._size - self._ready(generation) - self._starting[generation.number]):
            self._starting[generation.number] += 1
            keep_task(self._respawning, self._respawn(generation))

    def _ready(self, generation: Generation) -> int:
        """Count the workers of a generation that are not kept by a long query."""
        return sum(worker.generation.number == generation.number and worker not in self._long for worker in self._workers)

    async def _respawn(self, generation: Generation) -> None:
        try:
            worker = await insist(partial(self._start, generation), partial(self._serves, generation))
            if worker is not None:
                self._released_unused(worker)
        finally:
            self._starting[generation.number] -= 1
        self._fill(generation)
