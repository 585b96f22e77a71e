"""A generation in memory answers as the one on disk does, is given up with it, and never costs more memory than allowed."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import CityOrchestraError, QueryTimeoutError, StoreError
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Access, Generation, GraphChange, GraphInfo, Limits, View
from cityorchestra_ld.store import EmbeddedStore, Pool, Reader, copy_of, open_store, residence, resident
from cityorchestra_ld.store.generations import read_manifest

JSON = "application/sparql-results+json"
BASE = "https://ld.cityorchestra.example/graph/data/"
CLOSED = f"{BASE}c/closed"
QUERIES = (
    "SELECT ?s ?p ?o { ?s ?p ?o }",
    "SELECT ?g ?s ?p ?o { GRAPH ?g { ?s ?p ?o } }",
    "SELECT ?g { GRAPH ?g {} }",
    "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    "SELECT ?s ?t { ?s <x:p> ?o . ?t <x:p> ?o FILTER(?s != ?t) }",
    "SELECT ?o { <x:2> <x:next>+ ?o }",
    f"SELECT ?s ?o FROM <{CLOSED}> {{ ?s <x:p> ?o }}",
    f"SELECT ?s {{ GRAPH <{CLOSED}> {{ ?s ?p ?o }} }}",
    "SELECT ?s ?o { GRAPH <urn:cityorchestra:hidden> { ?s ?p ?o } }",
)
CROSSED = "SELECT * { ?a ?b ?c . ?d ?e ?f }"


def change(folder: Path, name: str, lines: list[str], access: Access = Access.PUBLIC) -> GraphChange:
    path = folder / f"{name.replace('/', '-')}-{len(lines)}.nt"
    path.write_text("".join(f"{line} .\n" for line in lines), encoding="utf-8")
    return GraphChange(info=GraphInfo(graph=BASE + name, role="data", dataset=name, access=access), content=path)


def lines(count: int) -> list[str]:
    own = [f'<x:{number}> <x:p> "{number % 7}é"@fr' for number in range(count)]
    return [*own, *(f"<x:{number}> <x:next> <x:{number + 1}>" for number in range(20))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    folder = tmp_path_factory.mktemp("resident")
    made = open_store(folder / "store", keep=3)
    shared = [change(folder, "b/too", [*lines(30), "<x:é/ü> <x:p> <x:é/ü>"])]
    made.publish([change(folder, "a/open", lines(300)), *shared, change(folder, "c/closed", lines(3), Access.RESTRICTED)])
    return made


@pytest.fixture(scope="module")
def generation(store: EmbeddedStore) -> Generation:
    found = store.current()
    assert found is not None
    return found


def run(generation: Generation, scenario: Callable[[Pool], Awaitable[None]], size: int = 1, **limits: object) -> None:
    async def within() -> None:
        async with Pool(generation, size, Limits(**limits)) as pool:  # type: ignore[arg-type]
            await scenario(pool)

    asyncio.run(within())


async def answers(pool: Pool, seen: View, query: str) -> list[str]:
    answer = await pool.query(query, seen, JSON)
    found = msgspec.json.decode(await answer.read())["results"]["bindings"]
    return sorted(msgspec.json.encode(row, order="sorted").decode() for row in found)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.01)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def children_of(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


# --- how much -----------------------------------------------------------------------------------------------------------------


def test_what_fits_in_half_of_the_memory_is_kept_there_look_ups_first(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits()
    most = residence(generation, "always", 2, limits)
    merged = read_manifest(generation.path).merged
    assert merged is not None
    copy = merged.triples * 400
    assert (most.web, most.workers, most.allowed) == (True, 2 + limits.long_queries, None)
    assert most.web_bytes == generation.triples * 430
    assert most.workers_bytes == copy * (1 + most.workers)
    wanted = most.web_bytes + copy * (1 + 2)
    for allowed, found in (
        (wanted + copy * limits.long_queries, (True, 2 + limits.long_queries)),
        (wanted + copy * limits.long_queries - 1, (True, 1 + limits.long_queries)),
        (wanted + copy, (True, 3)),
        (wanted, (True, 2)),
        (wanted - 1, (True, 0)),
        (most.web_bytes, (True, 0)),
        (most.web_bytes - 1, (False, 0)),
    ):
        monkeypatch.setattr(resident, "machine_memory", lambda memory=2 * allowed: memory)
        decided = residence(generation, "auto", 2, limits)
        assert (decided.web, decided.workers) == found
        assert decided.allowed == allowed
        assert decided.workers_bytes == copy * (1 + (decided.workers or 2))


def test_a_generation_whose_merge_is_not_the_default_graph_is_copied_whole(generation: Generation, tmp_path: Path) -> None:
    manifest = read_manifest(generation.path)
    assert manifest.merged is not None
    for merged, triples in (
        (None, generation.triples),
        (
            msgspec.structs.replace(manifest.merged, graph="urn:cityorchestra:merged"),
            generation.triples + manifest.merged.triples,
        ),
    ):
        other = replace(generation, path=tmp_path)
        (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, merged=merged)))
        assert residence(other, "always", 2, Limits()).workers_bytes == triples * 400 * (1 + 2 + Limits().long_queries)


def test_a_setting_in_megabytes_allows_that_much_and_never_means_never(generation: Generation) -> None:
    large = replace(generation, graphs=tuple(replace(info, triples=1_000_000) for info in generation.graphs))
    for setting, found in ((100_000, (True, 6)), (1_291, (True, 6)), (1_290, (True, 0)), (1_289, (False, 0)), (0, (False, 0)),
                           ("never", (False, 0))):  # fmt: skip
        decided = residence(large, setting, 2, Limits())
        assert (decided.web, decided.workers) == found, setting
    empty = replace(generation, graphs=())
    assert not residence(empty, "never", 2, Limits()).web


def test_the_memory_of_a_control_group_counts_when_it_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "cgroup"
    monkeypatch.setattr(resident, "_GROUPS", tmp_path)
    monkeypatch.setattr(resident, "_OWN_GROUP", own)
    whole = resident.machine_memory()
    service = tmp_path / "system.slice" / "city.service"
    service.mkdir(parents=True)
    own.write_text("3:cpu:/elsewhere\n0::/system.slice/city.service\n")
    for group, text, found in (
        (tmp_path, "max\n", whole),
        (tmp_path, f"{whole * 2}\n", whole),
        (service.parent, "2000000\n", 2_000_000),
        (service, "1000000\n", 1_000_000),
        (service, "max\n", 2_000_000),
        (tmp_path, "500000\n", 500_000),
    ):
        (group / "memory.max").write_text(text)
        assert resident.machine_memory() == found


# --- look-ups -----------------------------------------------------------------------------------------------------------------


def test_look_ups_find_in_memory_what_they_find_on_disk(generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "_PIECE", 50)  # several pieces
    copy = copy_of(generation, threading.Event())
    assert copy is not None
    with Reader(generation) as disk, Reader(generation) as memory:
        memory.keep(copy)
        assert memory.resident
        assert not disk.resident
        graphs = [None, *(ox.NamedNode(info.graph) for info in generation.graphs)]
        subjects = [None, ox.NamedNode("x:none"), ox.NamedNode("x:é/ü"), *(ox.NamedNode(f"x:{number}") for number in range(25))]
        for subject in subjects:
            for predicate in (None, ox.NamedNode("x:p")):
                for obj in (None, ox.Literal("3é", language="fr")):
                    for graph in graphs:
                        pattern = (subject, predicate, obj, graph)
                        known = {ox.NamedNode(info.graph) for info in generation.graphs}
                        expected = [quad for quad in disk.quads(*pattern) if quad.graph_name in known]
                        found = [quad for quad in memory.quads(*pattern) if quad.graph_name in known]
                        assert len(found) == len(set(found))
                        assert set(found) == set(expected)
    with pytest.raises(StoreError, match="closed"):
        memory.quads(ox.NamedNode("x:1"))
    with pytest.raises(StoreError, match="closed"):
        copy.quads(ox.NamedNode("x:1"), None, None, None)


def test_a_copy_that_comes_too_late_is_let_go(generation: Generation) -> None:
    copy = copy_of(generation, threading.Event())
    assert copy is not None
    reader = Reader(generation)
    reader.close()
    reader.keep(copy)
    assert not reader.resident


def test_a_copy_that_nobody_wants_any_more_is_not_finished(generation: Generation) -> None:
    stop = threading.Event()
    stop.set()
    assert copy_of(generation, stop) is None


def test_what_is_not_what_was_published_is_not_kept(generation: Generation) -> None:
    first = generation.graphs[0]
    other = replace(generation, graphs=(replace(first, triples=first.triples + 1), *generation.graphs[1:]))
    with pytest.raises(StoreError, match=f"{generation.triples} / {generation.triples + 1}"):
        copy_of(other, threading.Event())
    with pytest.raises(StoreError):
        copy_of(replace(generation, path=generation.path / "elsewhere"), threading.Event())


# --- queries ------------------------------------------------------------------------------------------------------------------


def test_queries_see_in_memory_what_they_see_on_disk_and_no_more(generation: Generation) -> None:
    public = view(generation.graphs)
    whole = View(default_graphs=(*public.default_graphs, CLOSED), named_graphs=(*public.named_graphs, CLOSED))

    async def scenario(pool: Pool) -> None:
        before = {(seen.named_graphs, query): await answers(pool, seen, query) for seen in (public, whole) for query in QUERIES}
        disk = pool.pids
        assert not pool.resident
        assert await pool.warm(9)
        assert pool.resident
        assert pool.confined
        assert all(int(Path(f"/proc/{pid}/oom_score_adj").read_text()) >= 500 for pid in (*disk, *pool.pids) if not ended(pid))
        assert not set(disk) & set(pool.pids)
        for seen in (public, whole):
            for query in QUERIES:
                assert await answers(pool, seen, query) == before[seen.named_graphs, query], query
        assert before[public.named_graphs, QUERIES[-1]] == before[public.named_graphs, QUERIES[-2]] == []
        assert len(before[whole.named_graphs, QUERIES[-2]]) == 23
        with pytest.raises(CityOrchestraError):
            await pool.query("SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }", public, JSON)

    run(generation, scenario, 2)


@pytest.mark.slow
def test_a_worker_in_memory_is_killed_at_its_deadline_and_at_its_memory_limit_alone(generation: Generation) -> None:
    public = view(generation.graphs)
    crossed = " . ".join(f"?a{n} ?b{n} ?c{n}" for n in range(4))

    async def scenario(pool: Pool) -> None:
        await pool.warm(9)
        with pytest.raises(QueryTimeoutError, match="memory"):
            await (await pool.query(f"SELECT * {{ {crossed} }} ORDER BY ?c0 ?c3", public, JSON)).read()
        with pytest.raises(QueryTimeoutError, match="stopped after"):
            await (await pool.query(f"SELECT (COUNT(*) AS ?n) {{ {crossed} }}", public, JSON, deadline=0.3)).read()
        assert len(await answers(pool, public, QUERIES[0])) == 321
        assert pool.resident

    run(generation, scenario, query_memory_mb=100)


def test_who_takes_the_place_of_a_long_query_reads_the_disk_when_there_is_no_room_for_another_copy(
    generation: Generation,
) -> None:
    public = view(generation.graphs)

    async def scenario(pool: Pool) -> None:
        await pool.warm(2)
        in_memory = set(pool.pids)
        long = [await pool.query(CROSSED, public, JSON) for _ in range(2)]  # unread, they hold their workers
        await until(lambda: pool.long == 2 and pool.idle == 1)
        (stand_in,) = set(pool.pids) - in_memory - {answer.worker.pid for answer in long}
        assert pool.resident
        assert [answer.worker.resident for answer in long] == [True, True]
        third = await pool.query(QUERIES[0], public, JSON)
        assert (third.worker.pid, third.worker.resident) == (stand_in, False)
        assert third.end is not None
        assert third.end.rows == 321
        await third.aclose()
        back = long[0].worker
        await long[0].read()
        await until(lambda: pool.pids == tuple(sorted((back.pid, long[1].worker.pid))))
        assert pool.idle == 1
        await long[1].aclose()
        last = await pool.query(QUERIES[0], public, JSON)
        assert last.worker is back
        assert pool.pids == (back.pid,)

    run(generation, scenario, 1)


def test_graphs_that_are_named_are_read_from_disk_by_workers_that_have_the_merge_in_memory(generation: Generation) -> None:
    public = view(generation.graphs)

    async def scenario(pool: Pool) -> None:
        await pool.warm(9)
        assert open_files(pool.pids[0], generation) == 0
        assert len(await answers(pool, public, QUERIES[0])) == 321
        assert open_files(pool.pids[0], generation) == 0
        assert len(await answers(pool, public, QUERIES[1])) == 320 + 51
        assert open_files(pool.pids[0], generation) > 0

    run(generation, scenario)


def open_files(pid: int, generation: Generation) -> int:
    """Count the files of a generation that a process has open."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum(str(generation.path) in str(link.readlink()) for link in links if link.exists())


@pytest.mark.slow
def test_a_publication_ends_the_copy_and_every_process_on_it_once_its_queries_are_done(
    store: EmbeddedStore, generation: Generation, tmp_path: Path
) -> None:
    async def scenario(pool: Pool) -> None:
        started = children_of(os.getpid())
        await pool.warm(9)
        template = (children_of(os.getpid()) - started).pop()
        old = {template, *pool.pids}
        answer = await pool.query(QUERIES[0], view(generation.graphs), JSON)  # holds its worker
        new = store.publish([change(tmp_path, "a/open", lines(100))])
        await pool.switch(new)
        assert not pool.resident
        assert await answers(pool, view(new.graphs), QUERIES[3]) == ['{"n":' + _integer(121) + "}"]
        assert len(msgspec.json.decode(await answer.read())["results"]["bindings"]) == 321
        assert await pool.warm(9)
        assert await answers(pool, view(new.graphs), QUERIES[3]) == ['{"n":' + _integer(121) + "}"]
        await until(lambda: all(map(ended, old)))

    before = children_of(os.getpid())
    run(generation, scenario)
    assert children_of(os.getpid()) <= before


def _integer(number: int) -> str:
    return msgspec.json.encode(
        {"datatype": "http://www.w3.org/2001/XMLSchema#integer", "type": "literal", "value": str(number)}
    ).decode()


@pytest.mark.slow
def test_when_the_process_with_the_copy_is_killed_queries_go_on_from_disk(
    generation: Generation, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(pool: Pool) -> None:
        started = children_of(os.getpid())
        await pool.warm(9)
        template = (children_of(os.getpid()) - started).pop()
        workers = pool.pids
        os.kill(template, 9)
        await until(lambda: all(map(ended, workers)))
        assert len(await answers(pool, view(generation.graphs), QUERIES[0])) == 321
        assert not pool.resident

    run(generation, scenario)
    assert "answered from disk" in caplog.text


@pytest.mark.slow
def test_a_generation_that_cannot_be_read_into_memory_is_an_error_and_disk_goes_on(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(pool: Pool) -> None:
        broken = replace(generation, path=generation.path / "elsewhere")
        monkeypatch.setattr(pool, "_generation", broken)
        with pytest.raises(StoreError, match="cannot be"):
            await pool.warm(9)
        monkeypatch.setattr(pool, "_generation", generation)
        assert len(await answers(pool, view(generation.graphs), QUERIES[0])) == 321
        assert not pool.resident

    run(generation, scenario)
