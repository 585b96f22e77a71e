"""Queries that people write run in workers that can be killed, within a view, without network, none harming another."""

from __future__ import annotations

import asyncio
import http.server
import io
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import BusyError, CityOrchestraError, QueryError, QueryTimeoutError, StoreError, Text, UsageError
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Limits, View
from cityorchestra_ld.store import EmbeddedStore, Inspected, Pool, open_store, query_once, sandbox_available, workers
from cityorchestra_ld.store import pool as pool_module

JSON = "application/sparql-results+json"
OPEN, CLOSED = (f"https://ld.cityorchestra.example/graph/data/{name}" for name in ("a/open", "b/closed"))
PUBLIC = View(default_graphs=(OPEN,), named_graphs=(OPEN,))
RUNAWAY = "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
COUNTED = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
ALL = "SELECT ?s ?p ?o { ?s ?p ?o }"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddedStore, Generation]:
    folder = tmp_path_factory.mktemp("pool")
    store = open_store(folder / "store", keep=2)
    changes = []
    for name, count in (("a/open", 20_000), ("b/closed", 10)):
        path = folder / f"{name[0]}.nt"
        path.write_text("".join(f'<x:{name}/{number}> <x:p> "{number} {"x" * 60}" .\n' for number in range(count)))
        info = GraphInfo(graph=f"https://ld.cityorchestra.example/graph/data/{name}", role="data", dataset=name)
        changes.append(GraphChange(info=info, content=path))
    return store, store.publish(changes)


@pytest.fixture
def generation(published: tuple[EmbeddedStore, Generation]) -> Generation:
    return published[1]


def within(generation: Generation, scenario: Callable[[Pool], Awaitable[object]], size: int = 1, **limits: object) -> None:
    """Run a scenario against a pool."""

    async def run() -> None:
        async with Pool(generation, size, Limits(**limits), stall_seconds=0.5) as pool:  # type: ignore[arg-type]
            await scenario(pool)

    asyncio.run(run())


async def rows(pool: Pool, text: str, view: View = PUBLIC) -> list[dict[str, dict[str, str]]]:
    answer = await pool.query(text, view, JSON)
    return msgspec.json.decode(await answer.read())["results"]["bindings"]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_every_form_answers_in_every_format_with_a_head_first(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        for media_type, text, kind, expected in (
            (JSON, "SELECT ?x { VALUES ?x { 1 } }", "solutions", b'"value":"1"'),
            ("application/sparql-results+xml", "SELECT ?x { VALUES ?x { 1 } }", "solutions", b">1</literal>"),
            ("text/csv", "SELECT ?x { VALUES ?x { 1 } }", "solutions", b"x\r\n1\r\n"),
            ("text/tab-separated-values", "SELECT ?x { VALUES ?x { 1 } }", "solutions", b"?x\n1\n"),
            (JSON, "ASK { ?s ?p ?o }", "boolean", b'"boolean":true'),
            ("text/turtle", "PREFIX e: <http://e/> CONSTRUCT { e:s a e:C } {}", "graph", b"@prefix e: <http://e/>"),
            ("application/n-triples", "CONSTRUCT { <x:s> <x:p> 1 } {}", "graph", b"<x:s> <x:p> "),
            ("application/ld+json", "CONSTRUCT { <x:s> <x:p> 1 } {}", "graph", b'"@id":"x:s"'),
            ("application/rdf+xml", "CONSTRUCT { <x:s> <http://e/p> 1 } {}", "graph", b"<rdf:RDF"),
            ("application/n-triples", "DESCRIBE <x:a/open/7>", "graph", b'"7 xxx'),
        ):
            answer = await pool.query(text, PUBLIC, media_type)
            assert (answer.head.kind, answer.head.media_type, answer.generation) == (kind, media_type, generation)
            assert expected in await answer.read()
            assert answer.end is not None
            assert not answer.end.truncated

    within(generation, scenario)


def test_a_large_answer_arrives_whole_in_bounded_pieces(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        answer = await pool.query(ALL, PUBLIC, "text/csv")
        pieces = [piece async for piece in answer]
        assert len(pieces) > 10
        assert max(map(len, pieces)) < 2 * 65_536
        assert b"".join(pieces).count(b"\r\n") == 20_001
        assert answer.end is not None
        assert (answer.end.rows, answer.end.truncated) == (20_000, False)

    within(generation, scenario)


def test_rows_are_capped_and_that_is_said(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        for text, media_type, truncated in (
            (ALL, JSON, True),
            (ALL + " LIMIT 100", JSON, False),
            (ALL + " LIMIT 101", "text/csv", True),
            ("SELECT * { VALUES ?x { 1 2 3 } }", "text/tab-separated-values", False),
            ("CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }", "application/n-triples", True),
            ("CONSTRUCT { ?s ?p ?o } { ?s ?p ?o } LIMIT 100", "application/n-triples", False),
        ):
            answer = await pool.query(text, PUBLIC, media_type)
            await answer.read()
            assert answer.end is not None
            assert answer.end.rows == (3 if "VALUES" in text else 100)
            assert answer.end.truncated is truncated, text

    within(generation, scenario, result_rows=100)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ?o { ?s ?p ?o FILTER(STRSTARTS(STR(?s), 'x:b')) }",
        f"SELECT ?o FROM <{CLOSED}> {{ ?s ?p ?o FILTER(STRSTARTS(STR(?s), 'x:b')) }}",
        f"SELECT ?o {{ GRAPH <{CLOSED}> {{ ?s ?p ?o }} }}",
        f"SELECT ?o FROM NAMED <{CLOSED}> {{ GRAPH ?g {{ ?s ?p ?o FILTER(STRSTARTS(STR(?s), 'x:b')) }} }}",
        f"SELECT ?o {{ VALUES ?o {{ 1 }} FILTER EXISTS {{ GRAPH <{CLOSED}> {{ ?s ?p ?q }} }} }}",
    ],
)
def test_no_query_sees_beyond_its_view(generation: Generation, text: str) -> None:
    async def scenario(pool: Pool) -> None:
        assert await rows(pool, text) == []
        assert await rows(pool, text, View(default_graphs=(), named_graphs=())) == []

    within(generation, scenario)


def test_a_runaway_query_is_killed_at_its_deadline_while_others_answer(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        before = set(pool.pids)
        slow = []

        async def run_away() -> None:
            started = time.monotonic()
            with pytest.raises(QueryTimeoutError, match=r"stopped after 1 s") as caught:
                await (await pool.query(COUNTED, PUBLIC, JSON, deadline=1)).read()
            slow.append(time.monotonic() - started)
            assert caught.value.http_status == 503

        task = asyncio.create_task(run_away())
        answered = 0
        while not task.done():
            assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1
            answered += 1
            await asyncio.sleep(0.02)
        await task
        assert answered > 0
        assert slow[0] >= 1.0
        killed = before - set(pool.pids)
        assert killed
        for _ in range(100):
            if pool.idle >= 2 and all(gone(pid) for pid in killed):
                break
            await asyncio.sleep(0.05)
        assert pool.idle >= 2, "the killed worker was not replaced"
        assert all(gone(pid) for pid in killed), "the killed worker is still there"

    within(generation, scenario, size=2)


@pytest.mark.slow
def test_a_stream_that_never_ends_is_cut_at_the_deadline(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        received = 0
        with pytest.raises(QueryTimeoutError):
            async for piece in await pool.query("SELECT * { ?a ?b ?c . ?d ?e ?f }", PUBLIC, "text/csv", deadline=1):
                received += len(piece)
        assert received > 0

    within(generation, scenario, query_seconds=1.0, result_rows=10**12)


def test_a_query_that_eats_memory_dies_alone_and_says_why(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        with pytest.raises(QueryTimeoutError, match="too much memory"):
            await (await pool.query(RUNAWAY + " ORDER BY ?c ?f", PUBLIC, JSON)).read()
        assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1

    within(generation, scenario, query_memory_mb=100, query_seconds=20.0)


def test_the_size_of_the_service_itself_ends_no_worker(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        before = pool.pids
        for _ in range(3):
            await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")
        await asyncio.sleep(0.05)
        assert pool.pids == before

    ballast = bytearray(b"x" * 200_000_000)  # workers are started by a process that is larger than half of what they may have
    within(generation, scenario, query_memory_mb=300)
    assert len(ballast) == 200_000_000


def test_a_worker_that_has_grown_is_replaced_after_its_answer(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        before = pool.pids
        answer = await pool.query(ALL + " ORDER BY ?o LIMIT 1", PUBLIC, JSON)
        await answer.read()
        assert answer.end is not None
        assert answer.end.retire
        for _ in range(100):
            if pool.idle:
                break
            await asyncio.sleep(0.05)
        assert pool.pids != before
        assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1

    within(generation, scenario, query_memory_mb=60)


def test_mistakes_point_into_the_clients_text_and_the_worker_lives_on(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        before = pool.pids
        for text, kind, line in (
            ("SELECT * {\n  ?s ?s ?s ?s\n}", QueryError, 2),
            ("SELECT * { ?s ?p }", QueryError, 1),
            ("SELECT * { ?s ?p ?o FILTER(<http://x/unknown>(?o)) }", QueryError, None),
            ("SELECT * { SERVICE <http://127.0.0.1/> {} }", QueryError, 1),
        ):
            with pytest.raises(kind) as caught:
                await pool.query(text, PUBLIC, JSON)
            assert caught.value.http_status == 400
            assert (caught.value.place.line if caught.value.place else None) == line
        with pytest.raises(UsageError, match="text/turtle"):
            await pool.query("ASK {}", PUBLIC, "text/turtle")
        with pytest.raises(UsageError, match="text/csv"):
            await pool.query("DESCRIBE <x:s>", PUBLIC, "text/csv")
        assert pool.pids == before

    within(generation, scenario)


@pytest.mark.slow
def test_deep_plans_do_not_end_a_worker(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        text = "ASK { ?s (" + "|".join(["<x:p>"] * 10_500) + ")* ?o }"  # an ordinary stack overflows
        answer = await (await pool.query(text, View(default_graphs=(), named_graphs=()), JSON)).read()
        assert b'"boolean"' in answer

    within(generation, scenario, query_seconds=60.0)


class _Hits(http.server.BaseHTTPRequestHandler):
    count = 0

    def do_GET(self) -> None:
        type(self).count += 1
        self.send_error(500)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def outside() -> Iterator[str]:
    """Serve HTTP on this machine and count who comes."""
    _Hits.count = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hits)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not sandbox_available(), reason="no seccomp on this machine")
def test_even_a_query_that_passed_the_guard_cannot_leave_the_worker(generation: Generation, outside: str) -> None:
    text = f"SELECT * {{ SERVICE <{outside}> {{ ?s ?p ?o }} }}"

    async def scenario(pool: Pool) -> None:
        assert pool.confined
        with pytest.raises(CityOrchestraError):
            await (await pool.query(Inspected(text=text, form="SELECT"), PUBLIC, JSON)).read()
        silent = Inspected(text=text.replace("SERVICE", "SERVICE SILENT"), form="SELECT")
        assert await (await pool.query(silent, PUBLIC, "text/csv")).read() is not None

    within(generation, scenario)
    assert _Hits.count == 0
    with pytest.raises((OSError, RuntimeError)):  # the engine alone does go out: the test can fail
        list(ox.Store().query(text))  # type: ignore[arg-type]
    assert _Hits.count == 1


def test_a_client_that_leaves_frees_its_worker(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        answer = await pool.query(ALL, PUBLIC, "text/csv")
        assert await anext(answer)
        await answer.aclose()
        task = asyncio.create_task(rows(pool, COUNTED))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1

    within(generation, scenario)


def test_a_client_that_does_not_read_loses_its_worker_and_is_told(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        answer = await pool.query(ALL, PUBLIC, "text/csv")
        await anext(answer)
        await asyncio.sleep(0.7)
        assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1
        with pytest.raises(QueryTimeoutError, match="was not read"):
            await answer.read()

    within(generation, scenario)


def test_a_small_answer_frees_its_worker_before_it_is_read(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        answer = await pool.query("SELECT ?x { VALUES ?x { 1 2 } }", PUBLIC, "text/csv")
        for _ in range(200):
            if pool.idle == 1:
                break
            await asyncio.sleep(0.02)
        assert pool.idle == 1
        await asyncio.sleep(0.6)  # longer than a stalled answer may wait
        assert await answer.read() == b"x\r\n1\r\n2\r\n"

    within(generation, scenario)


def test_too_many_waiting_are_sent_away_with_a_time_to_come_back(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        busy = [asyncio.create_task(pool.query(COUNTED, PUBLIC, JSON, deadline=1.5, client="greedy")) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert pool.waiting == 2
        with pytest.raises(BusyError) as caught:
            await pool.query("ASK {}", PUBLIC, JSON, client="other")
        assert caught.value.http_status == 503
        assert (caught.value.retry_after or 0) >= 1
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        assert pool.waiting == 0

    within(generation, scenario, max_waiting=2)


def test_long_queries_never_hold_up_short_ones_and_whoever_has_most_of_them_loses_the_newest(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        async def run_away(client: str) -> str:
            try:
                await (await pool.query(COUNTED, PUBLIC, JSON, deadline=3, client=client)).read()
            except BusyError:
                return "sent away"
            except QueryTimeoutError:
                return "deadline"
            return "answered"

        async def until(count: int) -> None:
            for _ in range(200):
                if pool.long == count and pool.idle >= 1:
                    return
                await asyncio.sleep(0.02)
            raise AssertionError((pool.long, pool.idle))

        long = []
        for client in ("modest", "greedy"):
            long.append(asyncio.create_task(run_away(client)))
            await until(len(long))
        assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1
        assert not any(task.done() for task in long), "the short query waited for a long one"
        long.append(asyncio.create_task(run_away("greedy")))
        assert await long[2] == "sent away"
        assert [await task for task in long[:2]] == ["deadline", "deadline"]
        await until(0)
        assert len(pool.pids) <= 2

    within(generation, scenario, long_queries=2)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no class for work that can wait")
def test_long_queries_of_who_cost_much_of_late_get_what_nobody_else_wants(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        async def policies(client: str) -> set[int]:
            started = asyncio.create_task(pool.query(COUNTED, PUBLIC, JSON, deadline=1.2, client=client))
            while pool.long == 0:
                await asyncio.sleep(0.02)
            found = {os.sched_getscheduler(pid) for pid in pool.pids}
            with pytest.raises(QueryTimeoutError):
                await (await started).read()
            return found

        assert await policies("modest") == {os.sched_getscheduler(0)}
        pool._turns.worked("greedy", 10)
        assert os.SCHED_IDLE in await policies("greedy")
        assert await policies("modest") == {os.sched_getscheduler(0)}

    within(generation, scenario)


def test_a_worker_that_gave_way_goes_on_with_others_once_it_is_done_where_the_system_allows_it(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_SHORT", 0.02)
    monkeypatch.setattr(pool_module, "_LONG", 0.04)

    async def scenario(pool: Pool) -> None:
        for allowed in (os.geteuid() == 0, False):
            answer = await pool.query("SELECT * { ?a ?b ?c . ?d ?e ?f }", PUBLIC, JSON, rows=50_000)
            worker = answer.worker
            before = os.getpriority(os.PRIO_PROCESS, worker.pid)
            while not worker.gives_way:
                await asyncio.sleep(0.005)
            assert os.getpriority(os.PRIO_PROCESS, worker.pid) > before
            await answer.read()
            assert (worker.pid in pool.pids) == allowed
            assert not allowed or os.getpriority(os.PRIO_PROCESS, worker.pid) == before
            assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1
            monkeypatch.setattr(workers, "hurry", lambda _: False)

    within(generation, scenario)


def test_a_worker_killed_from_outside_is_replaced(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        os.kill(pool.pids[0], 9)
        await asyncio.sleep(0.1)
        assert len(await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")) == 1

    within(generation, scenario)


def test_a_new_generation_is_served_while_old_answers_finish(
    published: tuple[EmbeddedStore, Generation], tmp_path: Path
) -> None:
    store, first = published
    path = tmp_path / "new.nt"
    path.write_text('<x:new> <x:p> "new" .\n')
    info = GraphInfo(graph=OPEN, role="data", dataset="a/open")

    async def scenario(pool: Pool) -> None:
        second = await asyncio.to_thread(store.publish, [GraphChange(info=info, content=path)])
        old = await pool.query(ALL, PUBLIC, "text/csv")  # the pool still serves the first generation
        begun = await anext(old)
        await pool.switch(second)
        assert pool.generation == second
        assert len(await rows(pool, ALL)) == 1
        rest = await old.read()
        assert old.generation == first
        assert (begun + rest).count(b"\r\n") == 20_001
        for _ in range(100):
            if len(pool.pids) == 1:
                break
            await asyncio.sleep(0.02)
        assert len(pool.pids) == 1
        await pool.switch(store.rollback(first.number))
        assert len(await rows(pool, ALL + " LIMIT 10")) == 10

    within(first, scenario)


def test_a_view_is_made_for_the_generation_that_answers(generation: Generation) -> None:
    async def scenario(pool: Pool) -> None:
        seen: list[Generation] = []

        def decide(published: Generation) -> View:
            seen.append(published)
            return PUBLIC

        def refuse(published: Generation) -> View:
            raise UsageError(Text("Non.", "No."))

        answer = await pool.query("ASK {}", decide, JSON)
        assert seen == [answer.generation] == [generation]
        await answer.read()
        with pytest.raises(UsageError):
            await pool.query("ASK {}", refuse, JSON)
        assert pool.idle == 1, "the worker that was asked nothing did not come back"

    within(generation, scenario)


def test_no_process_and_no_descriptor_is_left_behind(generation: Generation) -> None:
    pids: list[int] = []

    async def scenario(pool: Pool) -> None:
        pids.extend(pool.pids)
        await (await pool.query(ALL, PUBLIC, "text/csv")).aclose()
        await rows(pool, "SELECT ?x { VALUES ?x { 1 } }")
        pids.extend(pool.pids)

    within(generation, scenario)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    within(generation, scenario)
    after = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    assert after == before
    assert all(gone(pid) for pid in pids)


def test_a_generation_that_does_not_open_is_an_error_at_the_start(generation: Generation, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    (tmp_path / "db").mkdir()
    (tmp_path / "manifest.json").write_bytes((generation.path / "manifest.json").read_bytes())
    broken = Generation(number=9, path=tmp_path, created=generation.created, graphs=())
    with pytest.raises(StoreError, match="cannot be opened"):
        within(broken, lambda pool: rows(pool, ALL))


def test_the_command_line_asks_one_worker_once(generation: Generation) -> None:
    out = io.BytesIO()
    end = query_once(generation, ALL + " LIMIT 3", PUBLIC, "text/csv", Limits(), out)
    assert (end.rows, end.truncated) == (3, False)
    assert out.getvalue().count(b"\r\n") == 4
    with pytest.raises(QueryError):
        query_once(generation, "SELECT", PUBLIC, "text/csv", Limits(), out)
