"""Plain queries that share a worker are each answered once, whatever becomes of the worker, of the others or of who asked."""

from __future__ import annotations

import asyncio
import os
import signal
from urllib.parse import quote

import orjson
import pytest

from cityorchestra_ld.store import quick, shapes, turns
from cityorchestra_ld.web import direct
from cityorchestra_ld.web.again import ASKED
from cityorchestra_ld.web.app import create_app

LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
NAMED = "SELECT DISTINCT ?p ?name {{ <{0}> ?p ?o ; " + LABEL + " ?name }} ORDER BY ?p"
LINK = "https://id.example/id/link/{:03}"
JSON = b"application/sparql-results+json"


class Reply:
    """Where the answer to one request goes."""

    def __init__(self, app, text, client):
        self.app, self.leaves = app, False
        self.address = b"/sparql?query=" + quote(text, safe="").encode()
        self.scope = {
            "type": "http", "method": "GET", "scheme": "http", "path": "/sparql", "root_path": "", "http_version": "1.1",
            "raw_path": b"/sparql", "query_string": self.address.partition(b"?")[2], "client": (client, 1),
            "headers": [(b"host", b"x"), (b"accept", JSON)], "server": ("x", 80), "request_id": "r",
        }  # fmt: skip
        self.bodies = []
        self.done = asyncio.get_running_loop().create_future()

    def put(self):
        """Ask; tell whether a worker was."""
        found = self.app.again.look(self.scope, self.address, self.scope["client"][0])
        assert found is None
        return self.app.direct.ask(self.scope[ASKED], self)

    def is_clear(self):
        return not self.leaves

    def send(self, known, request_id):
        assert known.status == 200
        self.end(known.body)

    def go_on(self):
        self.task = asyncio.create_task(self.long_way())
        self.task.add_done_callback(self.gone_on)

    def gone_on(self, task):
        if task.exception() is not None and not self.done.done():
            self.done.set_exception(task.exception())

    async def long_way(self):
        pieces = []

        async def receive():
            await asyncio.sleep(3600)

        async def send(message):
            pieces.append(message.get("body", b""))

        await self.app.ask(self.scope, receive, send)
        assert b'"results"' in b"".join(pieces), pieces
        self.end(b"".join(pieces))

    def end(self, body):
        self.bodies.append(body)
        if not self.done.done():
            self.done.set_result(None)


def serve(city, scenario, monkeypatch, brief=60.0):
    """Run a scenario on a served city; see that each question was told of once, and that nothing is left under way."""
    told, inner = [], direct._Way.told

    def counted(way, stream, error):
        told.append(way.reply)
        inner(way, stream, error)

    async def rested(app):
        pool = app.service.pool
        async with asyncio.timeout(10):
            while not pool._size <= pool.idle == len(pool.pids) or pool.waiting:
                await asyncio.sleep(0.01)

    async def run():
        app = create_app(city)
        await app.service.start()
        try:
            await app.service._measuring
            await rested(app)
            learnt = Reply(app, NAMED.format("urn:learnt"), "203.0.113.1")
            if not learnt.put():
                learnt.go_on()
            await learnt.done
            told.clear()
            replies = await scenario(app)
            assert sorted(map(id, told)) == sorted(map(id, replies))
            assert [len(reply.bodies) for reply in replies] == [1] * len(replies)
            assert app.service.metrics.under_way == 0 and not app.endpoint.flights._flights
            await rested(app)
        finally:
            await app.service.stop()

    monkeypatch.setattr(direct._Way, "told", counted)
    monkeypatch.setattr(turns, "_FRESH", 60.0)
    monkeypatch.setattr(turns, "_MUCH", 3600.0)  # or what a busy machine makes slow would have to give way to all
    monkeypatch.setattr(shapes, "_BRIEF", brief)
    asyncio.run(run())


def put(app, numbers):
    """Put questions of clients, ten of each, to workers that do not go on."""
    for pid in app.service.pool.pids:
        os.kill(pid, signal.SIGSTOP)
    replies = [Reply(app, NAMED.format(LINK.format(number)), f"203.0.113.{number // 10}") for number in numbers]
    assert all([reply.put() for reply in replies])
    assert app.service.metrics.under_way == len(replies)
    assert max(len(worker.line) for worker in app.service.pool._workers) > 1
    return replies


def tell(app, number):
    for pid in app.service.pool.pids:
        os.kill(pid, number)


async def answered(replies, numbers):
    """See that each got its own answer."""
    async with asyncio.timeout(10):
        for number, reply in zip(numbers, replies, strict=True):
            await reply.done
            rows = orjson.loads(reply.bodies[0])["results"]["bindings"]
            assert {row["name"]["value"] for row in rows} == {f"Lien {number}"}
    return replies


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGKILL])
def test_each_is_answered_once_whether_the_worker_goes_on_or_dies(city, monkeypatch, number):
    async def scenario(app):
        replies = put(app, range(30))
        tell(app, number)
        return await answered(replies, range(30))

    serve(city, scenario, monkeypatch)


def test_each_is_answered_once_when_the_line_takes_too_long(city, monkeypatch):
    async def scenario(app):
        before, replies = set(app.service.pool.pids), put(app, range(12))
        await answered(replies, range(12))
        assert not before & set(app.service.pool.pids)
        return replies

    monkeypatch.setattr(quick, "_ASK_AGAIN", 0.05)
    serve(city, scenario, monkeypatch)


def test_who_leaves_takes_nothing_from_the_others(city, monkeypatch):
    async def scenario(app):
        replies = put(app, range(12))
        for reply in replies[::3]:
            reply.leaves = True
        tell(app, signal.SIGCONT)
        return await answered(replies, range(12))

    serve(city, scenario, monkeypatch)


def test_questions_share_a_worker_once_others_of_their_shape_were_quick(city, monkeypatch):
    async def scenario(app):
        pool, replies = app.service.pool, []

        async def asked_together():
            for pid in pool.pids:
                os.kill(pid, signal.SIGSTOP)
            two = [Reply(app, NAMED.format(f"urn:{len(replies) + number}"), "203.0.113.1") for number in range(2)]
            replies.extend(two)
            assert all([reply.put() for reply in two])
            longest = max(len(worker.line) for worker in pool._workers)
            tell(app, signal.SIGCONT)
            for reply in two:
                await reply.done
            return longest > 1

        assert not await asked_together()
        async with asyncio.timeout(10):
            while not await asked_together():
                pass
        return replies

    monkeypatch.setattr(quick, "_LOOK_EVERY", 2.0)
    serve(city, scenario, monkeypatch, brief=shapes._BRIEF)
