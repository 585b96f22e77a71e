"""A query that a worker answers without a task is answered as by the application; whatever is not simple goes on there."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.connection import connections

STOP = "https://id.example/id/stop/1001"
HOSTILE = "https://id.example/id/hostile/1"
SUBJECTS = (STOP, "https://id.example/id/stop/nameless", HOSTILE, "https://id.example/id/secret/1", "urn:none",
            "https://id.example/id/stop/Plœuc-L%27Hermitage", "http://id.insee.fr/geo/commune/35238",
            "https://id.example/id/code/indicator/search", "id/stop/1001")  # fmt: skip
LABEL, PART = "<http://www.w3.org/2000/01/rdf-schema#label>", "<http://purl.org/dc/terms/isPartOf>"
JSON = "application/sparql-results+json"
JOINED = "SELECT ?p ?name {{ <{0}> ?p ?o ; " + LABEL + " ?name FILTER(STRLEN(?name) > 0) }}"  # which look-ups do not answer
MOVING = ("x-request-id", "ratelimit", "content-length", "transfer-")
TEMPLATES = (
    JOINED, JOINED + " LIMIT 1", JOINED + " LIMIT 100000", "ASK {{ <{0}> ?p ?o . ?o ?q ?r }}", JOINED + " ORDER BY ?p",
    "SELECT (COUNT(*) AS ?n) {{ <{0}> ?p ?o }}", "SELECT ?s ?g {{ GRAPH ?g {{ ?s ?p <{0}> ; ?q ?o }} }}",
    "SELECT ?o {{ <{0}> <http://purl.org/dc/terms/description>|" + LABEL + " ?o }}",  # much of one thing
    "SELECT ?a ?b {{ ?a " + PART + " <{0}> ; " + LABEL + " ?n . ?b " + PART + " <{0}> }}",  # more rows than the limit
    "SELECT ?n {{ ?s " + PART + "+ <{0}> ; " + LABEL + " ?n }}", "SELECT (1/0 AS ?x) {{ <{0}> ?p ?o . ?s ?p ?q }} LIMIT 3",
    "SELECT ?n {{ ?s ?p ?o ; ?q <{0}> }} VALUES ?n {{ 'a' <{0}> }}", "SELECT ?n (UUID() AS ?u) {{ <{0}> ?n ?o ; a ?t }}",
)  # fmt: skip


class Wire(asyncio.Transport):
    """Takes what a server writes."""

    def __init__(self):
        super().__init__()
        self.written = bytearray()
        self.closing = False

    def get_extra_info(self, name, default=None):
        return {"peername": ("203.0.113.9", 5000), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def pause_reading(self):
        pass

    resume_reading = pause_reading


class Client:
    """One connection to an application."""

    def __init__(self, app):
        config = Config(app, log_config=None, proxy_headers=False, server_header=False, access_log=False)
        config.load()
        self.wire = Wire()
        self.protocol = connections(app.again, app.direct, lambda _: False)(config, ServerState(), {})
        self.protocol.connection_made(self.wire)

    def send(self, *texts, further=""):
        self.wire.written.clear()
        start = "".join(
            f"GET /sparql?query={quote(text, safe='')} HTTP/1.1\r\nhost: x\r\naccept: {JSON}\r\n{further}\r\n" for text in texts
        )
        self.protocol.data_received(start.encode())

    async def received(self):
        while self.protocol.pipeline or not (self.protocol.cycle is None or self.protocol.cycle.response_complete):
            await asyncio.sleep(0.002)
        self.protocol._unset_keepalive_if_required()
        return bytes(self.wire.written)

    async def ask(self, *texts, **further):
        self.send(*texts, **further)
        return await self.received()


def read(data):
    """Take an answer apart: its status, what of its headers stays, its body with rows in one order."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = sorted(line for line in lines if not line.startswith(MOVING))
    if b"transfer-encoding: chunked" in head:
        pieces, rest = [], body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            pieces.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        body = b"".join(pieces)
    found = orjson.loads(body)
    found.pop("request_id", None)
    if "results" in found:
        found["results"]["bindings"].sort(key=orjson.dumps)
    return first, headers, found


def serve(city, scenario, **limits):
    """Run a scenario on a served city, then see that nothing is left under way."""

    async def run():
        app = create_app(replace(city, limits=replace(city.limits, **limits)))
        await app.service.start()
        await app.service._measuring  # which asks the workers, too
        await rested(app)
        app.service.pool._fill = lambda _: None  # a new worker would answer beside those that are held up
        try:
            await scenario(app)
            refill(app)
            assert app.service.metrics.under_way == 0 and not app.endpoint.flights._flights
            await rested(app)
        finally:
            await app.service.stop()

    asyncio.run(run())


async def rested(app):
    """Wait until all workers are idle."""
    pool = app.service.pool
    async with asyncio.timeout(10):
        while pool.idle < pool._size or pool.idle < len(pool.pids) or pool.waiting:
            await asyncio.sleep(0.01)


def refill(app):
    pool = app.service.pool
    vars(pool).pop("_fill", None)
    pool._fill(pool.generation)


def tell_workers(app, number):
    for pid in app.service.pool.pids:
        os.kill(pid, number)
        while number == signal.SIGSTOP and not all(  # the threads of a process stop one after the other
            task.read_text().rpartition(")")[2].split()[0] == "T" for task in Path(f"/proc/{pid}/task").glob("*/stat")
        ):
            time.sleep(0.001)


async def held_up(app):
    """Give a client whose question is with a worker that does not go on."""
    client = Client(app)
    await client.ask(JOINED.format("urn:first"))
    tell_workers(app, signal.SIGSTOP)
    client.send(JOINED.format(STOP))
    return client


def by_task(app):
    """Count the queries that the application is given."""
    inner, seen = app.endpoint.with_query, []

    async def counted(asked):
        seen.append(asked)
        return await inner(asked)

    app.endpoint.with_query = counted
    return seen


def test_both_ways_give_the_same_answers(city):
    async def scenario(app):
        quick, slow = Client(app), create_app(replace(city, limits=app.service.site.territory.limits))
        slow.direct.ask = lambda *_: False
        await slow.service.start()
        usual, direct = Client(slow), 0
        try:
            for template in TEMPLATES:
                seen = by_task(app)
                for subject in ("urn:first", *SUBJECTS):
                    text = template.format(subject)
                    one, other = await quick.ask(text), await usual.ask(text)
                    if "UUID" not in text and "LIMIT 1" not in text.split("\n")[0][-7:] and "PartOf> <" not in text:
                        assert read(one) == read(other), text
                    else:
                        assert read(one)[:2] == read(other)[:2], text
                    assert read(await quick.ask(text))[1] == read(one)[1]
                direct += len(seen) < len(SUBJECTS)
        finally:
            await slow.service.stop()
        assert direct >= 8

    serve(city, scenario, result_rows=250)


def test_requests_that_come_together_are_answered_in_their_order_and_a_last_one_closes(city):
    async def scenario(app):
        client = Client(app)
        await client.ask(JOINED.format("urn:first"))
        found = await client.ask(*(JOINED.format(name) for name in (STOP, "urn:none", HOSTILE)))
        parts = found.split(b"HTTP/1.1 ")[1:]
        assert [part.count(b'"name":{') > 0 for part in parts] == [True, False, True]
        closing = await client.ask(JOINED.format("urn:last"), further="connection: close\r\n")
        assert b"connection: close" in closing and client.wire.closing

    serve(city, scenario)


def test_who_asks_the_same_meanwhile_waits_and_more_clients_than_workers_take_turns(city):
    async def scenario(app):
        seen, clients = by_task(app), [Client(app) for _ in range(8)]
        await clients[0].ask(JOINED.format("urn:first"))
        seen.clear()
        tell_workers(app, signal.SIGSTOP)
        for number, client in enumerate(clients):
            client.send(JOINED.format(STOP if number < 2 else f"urn:{number}"))
        assert app.service.pool.waiting == 5 and app.service.metrics.under_way == 7
        tell_workers(app, signal.SIGCONT)
        answers = [read(await client.received()) for client in clients]
        assert answers[0] == answers[1] and all(answer[0] == "HTTP/1.1 200 OK" for answer in answers)
        assert seen and seen[0].begun is None

    serve(city, scenario)


def test_what_takes_longer_is_waited_for_in_a_task_until_its_deadline(city):
    async def scenario(app):
        seen, client = by_task(app), await held_up(app)
        while not seen or seen[-1].begun is None:
            await asyncio.sleep(0.01)
        assert seen[-1].begun.stream is not None
        tell_workers(app, signal.SIGCONT)
        assert b"200 OK" in await client.received()
        tell_workers(app, signal.SIGSTOP)
        status, _, problem = read(await client.ask(JOINED.format(HOSTILE)))
        assert status.startswith("HTTP/1.1 503 ") and "1 s" in problem["detail"]

    serve(city, scenario, query_seconds=1.0)


def test_what_follows_one_that_takes_longer_waits_for_it_and_a_server_that_ends_closes_after_its_answer(city):
    async def scenario(app):
        client = await held_up(app)
        for text in (STOP, "urn:none"):
            client.protocol.data_received(f"GET /sparql?query={quote(JOINED.format(text), safe='')} HTTP/1.1\r\n\r\n".encode())
        assert len(client.protocol.pipeline) == 2
        await asyncio.sleep(0.05)
        tell_workers(app, signal.SIGCONT)
        parts = (await client.received()).split(b"HTTP/1.1 200 OK")[1:]
        assert [part.count(b'"name":{') > 0 for part in parts] == [True, True, False]
        for pause in (0.0, 0.05):
            app.service.open_snapshot.answers._answers.clear()
            last = await held_up(app)
            await asyncio.sleep(pause)
            last.protocol.shutdown()
            tell_workers(app, signal.SIGCONT)
            assert b"connection: close" in await last.received() and last.wire.closing

    serve(city, scenario)


def test_who_waits_for_a_worker_until_the_deadline_is_sent_away(city):
    async def scenario(app):
        clients = [Client(app) for _ in range(4)]
        await clients[0].ask(JOINED.format("urn:first"))
        tell_workers(app, signal.SIGSTOP)
        for number, client in enumerate(clients):
            client.send(JOINED.format(f"urn:{number}"))
        answers = [read(await client.received()) for client in clients]
        assert [answer[0][:13] for answer in answers] == ["HTTP/1.1 503 "] * 4

    serve(city, scenario, query_seconds=0.3)


def test_a_worker_that_dies_is_replaced_and_its_client_is_told(city):
    async def scenario(app):
        client = await held_up(app)
        tell_workers(app, signal.SIGKILL)
        assert read(await client.received())[0].startswith("HTTP/1.1 503 ")
        refill(app)
        async with asyncio.timeout(10):
            while read(await client.ask(JOINED.format(HOSTILE)))[0] != "HTTP/1.1 200 OK":
                await asyncio.sleep(0.05)

    serve(city, scenario)


def test_a_client_that_leaves_gets_nothing_and_frees_its_worker(city):
    async def scenario(app):
        client, other = await held_up(app), Client(app)
        client.wire.close()
        client.protocol.connection_lost(None)
        tell_workers(app, signal.SIGCONT)
        assert read(await other.ask(JOINED.format(STOP)))[0] == "HTTP/1.1 200 OK"
        await asyncio.sleep(0.05)
        assert not client.wire.written

    serve(city, scenario)


def test_a_client_without_budget_is_refused(city):
    async def scenario(app):
        client = Client(app)
        await client.ask(JOINED.format("urn:first"))
        left = app.service.budget.left("203.0.113.9")
        assert b"ratelimit: " in await client.ask(JOINED.format(STOP)) and app.service.budget.left("203.0.113.9") < left + 0.01
        app.service.budget.take("203.0.113.9", 1_000)
        assert (await client.ask(JOINED.format(HOSTILE))).startswith(b"HTTP/1.1 429 ")

    serve(city, scenario, client_refill=0.0)


@pytest.mark.parametrize("late", [False, True])
def test_an_answer_of_an_older_generation_is_given_and_not_remembered(tmp_path, make_city, publish_stops, late):
    async def scenario(app):
        client, old = await held_up(app), app.service.pool.pids
        if late:
            await asyncio.sleep(0.1)
        publish_stops(own, f'<{STOP}> <http://www.w3.org/2000/01/rdf-schema#label> "Autre" .')
        await app.service.refresh()
        for pid in old:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
        assert "Autre" not in str(read(await client.received())[2])
        assert "Autre" in str(read(await client.ask(JOINED.format(STOP)))[2])

    own = make_city(tmp_path)
    serve(own, scenario)
