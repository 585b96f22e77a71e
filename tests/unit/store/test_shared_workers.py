"""Brief questions of a client share a worker: none gets another's answer, waits for another's long one, or is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cityorchestra_ld.errors import BusyError, CityOrchestraError, QueryError, Text, UsageError
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Limits, View
from cityorchestra_ld.store import EmbeddedStore, Pool, open_store, pool, quick, turns
from cityorchestra_ld.store.answers import Answer
from cityorchestra_ld.store.asking import Question
from cityorchestra_ld.store.guard import Inspected, inspect
from cityorchestra_ld.store.shapes import Pace
from cityorchestra_ld.store.workers import QueryWorker

JSON = "application/sparql-results+json"
GRAPH = "https://ld.cityorchestra.example/graph/data/a/open"
PUBLIC = View(default_graphs=(GRAPH,), named_graphs=(GRAPH,))
ONE = "SELECT ?o {{ <x:{}> <x:p> ?o }}"
LARGE = "SELECT ?s ?o { ?s <x:p> ?o } LIMIT 3000"
LATER = "SELECT (COUNT(*) AS ?o) { { SELECT ?a { ?a ?b ?c } LIMIT 1000 } { SELECT ?d { ?d ?e ?f } LIMIT 4000 } }"
COUNTED = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
REFUSED = "SELECT * { ?s ?p ?o FILTER(<http://x/unknown>(?o)) }"


def publish(store: EmbeddedStore, folder: Path, word: str) -> Generation:
    path = folder / f"{word}.nt"
    path.write_text("".join(f'<x:{number}> <x:p> "{word} {number} {"x" * 60}" .\n' for number in range(5_000)))
    return store.publish([GraphChange(info=GraphInfo(graph=GRAPH, role="data", dataset="a/open"), content=path)])


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    folder = tmp_path_factory.mktemp("shared")
    return publish(open_store(folder / "store", keep=3), folder, "old")


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a line stay open, and be waited for, however busy the machine is."""
    monkeypatch.setattr(turns, "_FRESH", 60.0)
    monkeypatch.setattr(quick, "_ASK_AGAIN", 5.0)


class Asked:
    """A brief question, as the server puts one: told once, then asked again or read on where that is needed."""

    def __init__(self, scene: Scene, text: str, client: str, view: Callable[[Generation], View] = lambda _: PUBLIC) -> None:
        self.scene, self.text, self.client, self.view = scene, text, client, view
        self.told: list[tuple[Answer | None, CityOrchestraError | None]] = []
        self.charged: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self) -> bool:
        put: bool = self.scene.pool.ask(
            known(self.text), self.view, JSON, client=self.client, spent=self.charged.append, told=self.hear, brief=True
        )
        return put

    def hear(self, stream: Answer | None, error: CityOrchestraError | None) -> None:
        self.told.append((stream, error))
        if not self.done.done():
            self.done.set_result(None)

    async def answer(self) -> bytes:
        """Return what the client gets in the end."""
        await self.done
        stream, error = self.told[0]
        if error is not None:
            raise error
        if stream is None:
            stream = await self.scene.pool.query(known(self.text), PUBLIC, JSON, client=self.client)
        elif not stream.whole:
            stream = await self.scene.pool.query(known(self.text), PUBLIC, JSON, client=self.client, begun=stream)
        return await stream.read()

    @property
    def again(self) -> bool:
        return bool(self.told) and self.told[0] == (None, None)


class Scene:
    """A pool, the questions that were put to it, and what each worker had before it when it was asked one."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.asked: list[Asked] = []
        self.lines: list[tuple[Question, list[str]]] = []
        answers: list[Any] = []
        put = self.pool._put

        def seen(question: Question, worker: QueryWorker) -> Answer | None:
            clients = {answer._reply: answer.client for answer in answers}
            before = [clients.get(reply, "unknown") for reply in worker.line]
            answer: Answer | None = put(question, worker)
            if answer is not None:
                answers.append(answer)
                self.lines.append((question, before))
            return answer

        self.pool._put = self.pool._quicks.put = seen

    @property
    def order(self) -> list[str]:
        """List the clients in the order in which workers were asked."""
        return [question.client for question, _ in self.lines]

    def put(self, *texts: str, client: str = "somebody") -> list[Asked]:
        found = [Asked(self, text, client) for text in texts]
        for each in found:
            self.asked.append(each)
            assert each.put()
        return found

    def stopped(self) -> int:
        """Hold up the only worker."""
        (pid,) = self.pool.pids
        os.kill(pid, signal.SIGSTOP)
        while not all(  # the threads of a process stop one after the other
            task.read_text().rpartition(")")[2].split()[0] == "T" for task in Path(f"/proc/{pid}/task").glob("*/stat")
        ):
            time.sleep(0.001)
        return int(pid)


_known: dict[str, Inspected] = {}


def known(text: str) -> Inspected:
    if text not in _known:
        _known[text] = inspect(text)
    return _known[text]


def within(generation: Generation, scenario: Callable[[Scene], Awaitable[None]], size: int = 1, **limits: object) -> None:
    """Run a scenario; see that each was told once, that nobody was in the line of another, and that the pool is whole."""

    async def run() -> None:
        async with Pool(generation, size, Limits(**limits), stall_seconds=0.5) as pool:  # type: ignore[arg-type]
            scene = Scene(pool)
            await scenario(scene)
            if not scene.pool._turns.closed:
                await whole(pool)
            assert [len(each.told) for each in scene.asked] == [1] * len(scene.asked)
            assert all(len(each.charged) <= 1 for each in scene.asked)
            assert all(set(before) <= ({question.client} if question.brief else set()) for question, before in scene.lines)
            await asyncio.sleep(0.03)
            assert not scene.pool._quicks._under_way and scene.pool._quicks._timer is None

    asyncio.run(run())


async def whole(pool: Any) -> None:
    """Wait until all workers are idle, each once, and nothing waits; on a busy machine there may be one more than needed."""
    async with asyncio.timeout(10):
        while not pool._size <= pool.idle == len(pool.pids) <= pool._size + 1 or pool._respawning or pool._stopping:
            await asyncio.sleep(0.01)
    idle = pool._turns.idle
    assert set(idle) == pool._workers and all(worker.alive and not worker.line for worker in idle)
    assert (pool.waiting, pool.long, len(pool._timers)) == (0, 0, 0)


def said(body: bytes) -> list[str]:
    return [row["o"]["value"].rstrip("x ") for row in msgspec.json.decode(body)["results"]["bindings"]]


def test_many_at_once_get_each_its_own_answer(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        asked = [scene.put(ONE.format(number), client=f"client {number % 7}")[0] for number in range(200)]
        assert scene.pool.waiting == 198
        for number, each in enumerate(asked):
            assert said(await each.answer()) == [f"old {number}"]
        assert sum(len(each.charged) for each in asked) == sum(not each.again for each in asked) > 0
        assert max(len(before) for _, before in scene.lines) == turns.TOGETHER - 1

    within(generation, scenario, size=2, max_waiting=200)


def test_the_line_of_a_client_is_joined_by_nobody_else(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        asked = scene.put(ONE.format(1), ONE.format(2), client="a")
        asked += scene.put(ONE.format(3), client="b")
        assert (scene.order, scene.pool.waiting) == (["a", "a"], 1)
        asked += scene.put(ONE.format(4), client="a")
        assert (scene.order, scene.pool.waiting) == (["a", "a"], 2), "nor by the client while somebody waits"
        os.kill(pid, signal.SIGCONT)
        assert [said(await each.answer()) for each in asked] == [[f"old {number}"] for number in range(1, 5)]
        assert scene.order == ["a", "a", "b", "a"]

    within(generation, scenario)


def test_another_client_gets_the_next_worker_before_the_rest_of_a_crowd(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        crowd = scene.put(*(ONE.format(number) for number in range(20)), client="crowd")
        (other,) = scene.put(ONE.format(20), client="other")
        assert (len(scene.order), scene.pool.waiting) == (8, 13)
        os.kill(pid, signal.SIGCONT)
        assert [said(await each.answer()) for each in (*crowd, other)] == [[f"old {number}"] for number in range(21)]
        assert scene.order == ["crowd"] * 8 + ["other"] + ["crowd"] * 12
        assert [len(before) for _, before in scene.lines] == [*range(8), 0, *range(8), *range(4)]

    within(generation, scenario)


def test_one_that_takes_long_delays_its_line_only_shortly(generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_ASK_AGAIN", 0.05)

    async def scenario(scene: Scene) -> None:
        before = scene.pool.pids
        asked = scene.put(ONE.format(1), COUNTED, ONE.format(2), ONE.format(3))
        others = [asked[0], *asked[2:]]
        async with asyncio.timeout(8):  # the long one has ten seconds
            bodies = [said(await each.answer()) for each in others]
        assert bodies == [["old 1"], ["old 2"], ["old 3"]]
        assert asked[1].again and all(each.again for each in others[1:])
        assert scene.pool.pids != before

    within(generation, scenario)


def test_a_line_that_is_dropped_costs_its_client_the_time_of_one_worker(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "_ASK_AGAIN", 0.05)

    async def scenario(scene: Scene) -> None:
        loop, costs = asyncio.get_running_loop(), []
        scene.stopped()
        monkeypatch.setattr(scene.pool._turns, "worked", lambda client, seconds: costs.append((client, seconds)))
        began = loop.time()
        asked = scene.put(*(ONE.format(number) for number in range(4)))
        await asyncio.gather(*(each.done for each in asked))
        assert all(each.again for each in asked) and len(costs) == 4
        assert {client for client, _ in costs} == {"somebody"}
        *shares, last = [seconds for _, seconds in costs]
        assert last == pool._RESTART and 0.0 < sum(shares) <= loop.time() - began

    within(generation, scenario)


def test_a_question_alone_is_never_asked_again_but_waited_for(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        before, pid = scene.pool.pids, scene.stopped()
        (asked,) = scene.put(ONE.format(1))
        await asked.done
        assert asked.told[0][0] is not None and not asked.told[0][0].whole
        os.kill(pid, signal.SIGCONT)
        assert said(await asked.answer()) == ["old 1"] and set(before) <= set(scene.pool.pids)

    within(generation, scenario)


def test_nobody_joins_a_question_that_is_not_brief(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        pid, slow = scene.stopped(), Asked(scene, ONE.format(1), "somebody")
        scene.asked.append(slow)
        assert scene.pool.ask(
            known(slow.text), PUBLIC, JSON, client=slow.client, spent=slow.charged.append, told=slow.hear, brief=False
        )
        (brief,) = scene.put(ONE.format(2))
        assert scene.pool.waiting == 1 and [len(worker.line) for worker in scene.pool._workers] == [1]
        os.kill(pid, signal.SIGCONT)
        assert [said(await each.answer()) for each in (slow, brief)] == [["old 1"], ["old 2"]]

    within(generation, scenario)


def test_who_shares_a_worker_that_dies_asks_again(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        asked = scene.put(*(ONE.format(number) for number in range(5)))
        assert [len(worker.line) for worker in scene.pool._workers] == [5]
        os.kill(pid, signal.SIGKILL)
        assert [said(await each.answer()) for each in asked] == [[f"old {number}"] for number in range(5)]
        assert all(each.again and not each.charged for each in asked) and scene.pool.pids != (pid,)

    within(generation, scenario)


def test_who_waits_for_a_worker_is_given_one_after_the_death_of_another(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        asked = scene.put(*(ONE.format(number) for number in range(20)))
        assert scene.pool.waiting == 12
        os.kill(pid, signal.SIGKILL)
        assert [said(await each.answer()) for each in asked] == [[f"old {number}"] for number in range(20)]

    within(generation, scenario)


def test_an_answer_that_streams_is_whole_and_so_are_those_behind_it(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        asked = scene.put(ONE.format(1), LARGE, ONE.format(2))
        first, large, last = await asyncio.gather(*(each.answer() for each in asked))
        assert len(large) > 3 * 65_536
        assert len(set(said(large))) == 3_000 and (said(first), said(last)) == (["old 1"], ["old 2"])

    within(generation, scenario)


def test_a_refused_question_fails_alone(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        before = scene.pool.pids
        asked = scene.put(ONE.format(1), REFUSED, ONE.format(2), REFUSED)
        found = await asyncio.gather(*(each.answer() for each in asked), return_exceptions=True)
        assert [said(each) for each in found[::2] if isinstance(each, bytes)] == [["old 1"], ["old 2"]]
        assert all(isinstance(each, QueryError) for each in found[1::2])
        assert set(before) <= set(scene.pool.pids)

    within(generation, scenario)


def test_no_answer_is_a_mixture_of_generations(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", keep=3)
    first = publish(store, tmp_path, "old")

    async def scenario(scene: Scene) -> None:
        old = set(scene.pool.pids)
        second = await asyncio.to_thread(publish, store, tmp_path, "new")
        asked = scene.put(*(ONE.format(number) for number in range(40)))
        switching = asyncio.create_task(scene.pool.switch(second))
        while not switching.done():
            number = len(asked) % 5_000
            asked += scene.put(ONE.format(number))
            await asyncio.sleep(0.0005)
        asked += scene.put(*(ONE.format(number) for number in range(5)))
        for each in asked:
            await each.done
            answer = each.told[0][0]
            (text,) = said(await each.answer())
            word, number_said = text.split()
            assert f"<x:{number_said}>" in each.text
            if answer is not None:
                assert word == ("old" if answer.generation == first else "new")
        assert {said(await each.answer())[0].split()[0] for each in scene.put(ONE.format(7))} == {"new"}
        await whole(scene.pool)
        assert not old & set(scene.pool.pids)
        assert set(scene.pool._held) == {second.number}

    within(first, scenario, size=2)


def test_a_worker_on_an_older_generation_is_not_asked_more(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", keep=3)
    first = publish(store, tmp_path, "old")

    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        second = await asyncio.to_thread(publish, store, tmp_path, "new")
        older = scene.put(ONE.format(1), ONE.format(2))
        await scene.pool.switch(second)
        newer = scene.put(ONE.format(1), ONE.format(2))
        assert [said(await each.answer()) for each in newer] == [["new 1"], ["new 2"]]
        os.kill(pid, signal.SIGCONT)
        assert [said(await each.answer()) for each in older] == [["old 1"], ["old 2"]]

    within(first, scenario)


def test_who_leaves_while_reading_costs_nobody_an_answer(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        asked = scene.put(ONE.format(1), LARGE.replace("3000", "4999"), *(ONE.format(number) for number in range(2, 6)))
        await asked[1].done
        stream = asked[1].told[0][0]
        if stream is not None:
            await stream.aclose()
        others = [asked[0], *asked[2:]]
        assert [said(await each.answer()) for each in others] == [[f"old {number}"] for number in range(1, 6)]

    within(generation, scenario)


def test_the_end_of_the_pool_is_told_to_all_in_a_line_and_to_all_that_wait(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        asked = scene.put(*(ONE.format(number) for number in range(20)))
        await scene.pool.close()
        async with asyncio.timeout(1):
            for each in asked:
                with pytest.raises(BusyError):
                    await each.answer()
        assert [each.again for each in asked] == [True] * 8 + [False] * 12
        assert scene.pool.pids == () and scene.pool.waiting == 0
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not Asked(scene, ONE.format(1), "late").put()
        with pytest.raises(BusyError):
            await scene.pool.query(known(ONE.format(1)), PUBLIC, JSON)

    within(generation, scenario)


def test_a_shape_is_brief_while_its_queries_are() -> None:
    pace = Pace()
    assert not pace.is_brief

    def quick_ones() -> int:
        count = 0
        while not pace.is_brief:
            pace.took(0.0001)
            count += 1
        return count

    assert quick_ones() == 7
    pace.took(0.001)
    assert pace.is_brief
    pace.took(0.1)
    assert not pace.is_brief
    assert quick_ones() == 44
    pace.took(0.0011)
    assert not pace.is_brief


# --- a worker that somebody still reads from, or that cannot be kept ---------------------------------------------------------


async def streaming(scene: Scene, large: str, *others: str) -> tuple[Answer, list[Asked]]:
    """Put a question whose answer is too large for one frame, with others behind it; return it as far as it came."""
    first, *rest = scene.put(large, *others, client="large")
    await first.done
    stream = first.told[0][0]
    assert stream is not None and not stream.whole
    return stream, rest


def test_a_worker_whose_answer_is_still_read_is_not_given_away_twice(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        stream, (other,) = await streaming(scene, LARGE.replace("3000", "1000"), ONE.format(1))
        assert said(await other.answer()) == ["old 1"]
        await scene.pool.query(known(LARGE), PUBLIC, JSON, begun=stream)
        await stream.read()
        assert scene.pool.idle == len(set(scene.pool._turns.idle)), "it is there twice"

    within(generation, scenario)


def test_who_leaves_an_answer_that_has_come_ends_nobody_elses_query(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        stream, (other,) = await streaming(scene, LARGE.replace("3000", "1000"), ONE.format(1))
        await other.answer()
        third = asyncio.create_task(scene.pool.query(LATER, PUBLIC, JSON))
        await asyncio.sleep(0.05)
        await stream.aclose()
        assert said(await (await third).read()) == ["4000000"]

    within(generation, scenario, query_seconds=30.0)


def test_a_stream_is_long_whoever_was_behind_it(generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_SHORT", 0.1)

    async def scenario(scene: Scene) -> None:
        scene.pool._stall = 30.0
        stream, (other,) = await streaming(scene, "SELECT * { ?a ?b ?c . ?d ?e ?f }", ONE.format(1))
        monkeypatch.setattr(quick, "_ASK_AGAIN", 0.05)
        await scene.pool.query(known(LARGE), PUBLIC, JSON, client="large", begun=stream)
        await other.done
        assert other.again
        async with asyncio.timeout(5):  # another worker takes the place of the one that is held
            assert said(await (await scene.pool.query(ONE.format(2), PUBLIC, JSON)).read()) == ["old 2"]
        await stream.aclose()

    within(generation, scenario, result_rows=10**9)


def test_nobody_joins_the_line_behind_a_stream(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        stream, _ = await streaming(scene, "SELECT * { ?a ?b ?c . ?d ?e ?f }")
        (other,) = scene.put(ONE.format(1), client="large")
        assert scene.pool.waiting == 1
        await stream.aclose()
        assert said(await other.answer()) == ["old 1"]

    within(generation, scenario, result_rows=10**9)


def test_one_behind_an_answer_of_a_worker_that_has_grown_asks_again(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        grown = "SELECT (COUNT(*) AS ?n) { VALUES ?v { 1 2 3 4 5 6 7 8 9 } ?s ?p ?o FILTER(STRLEN(?o) > ?v) }"
        first, second = scene.put(grown, LATER)
        await first.done
        assert first.told[0][0] is not None and first.told[0][0].end is not None and first.told[0][0].end.retire
        assert said(await second.answer()) == ["4000000"]

    within(generation, scenario, query_memory_mb=60, query_seconds=30.0)


@pytest.mark.parametrize("before", [3, 8])
def test_one_that_may_see_nothing_gives_its_worker_to_one_line_only(generation: Generation, before: int) -> None:
    def refuse(_: Generation) -> View:
        raise UsageError(Text("Non.", "No."))

    async def scenario(scene: Scene) -> None:
        pid = scene.stopped()
        held = scene.put(*(ONE.format(number) for number in range(before)))
        refused = Asked(scene, ONE.format(1), "somebody", refuse)
        assert refused.put() and bool(refused.told) == (before < 8)
        asked = [*held, *scene.put(ONE.format(2), ONE.format(3))]
        os.kill(pid, signal.SIGCONT)
        assert [len(said(await each.answer())) for each in asked] == [1] * len(asked)
        with pytest.raises(UsageError):
            await refused.answer()
        assert not refused.charged and len(refused.told) == 1

    within(generation, scenario)


def test_nobody_pays_for_what_others_in_the_line_asked(generation: Generation) -> None:
    async def scenario(scene: Scene) -> None:
        asked = scene.put("SELECT (COUNT(DISTINCT ?o) AS ?o) { ?s ?p ?o }", *(ONE.format(number) for number in range(7)))
        for each in asked:
            await each.answer()
        assert sum(each.charged[0] for each in asked[1:]) < asked[0].charged[0]

    within(generation, scenario)
