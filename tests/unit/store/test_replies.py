"""Several questions are put to a worker one behind the other: each gets what is said to it, however the bytes come."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cityorchestra_ld.store import frames, worker_main
from cityorchestra_ld.store.frames import End, Failure, Head, Request
from cityorchestra_ld.store.replies import Reply, WorkerGoneError
from cityorchestra_ld.store.worker_main import Line
from cityorchestra_ld.store.workers import QueryWorker

REQUEST = msgspec.json.encode(Request(text="ASK {}", default_graphs=[], named_graphs=[], media_type="text/csv", rows=1))
HEAD = msgspec.json.encode(Head(kind="solutions", media_type="text/csv"))
END = msgspec.json.encode(End(rows=1))
ERROR = msgspec.json.encode(Failure("evaluation", "no"))
LIMIT = 4 * frames.CHUNK


class Wire:
    """A transport that remembers what was done with it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.done: list[str] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")


class Asked:
    """One question, and what was heard of it."""

    def __init__(self, worker: QueryWorker, order: list[int], name: int = 0) -> None:
        self.frames: list[tuple[bytes, bytes]] = []
        self.heard = 0
        self.order, self.name = order, name
        self.reply = worker.put(REQUEST)
        self.reply.listen(self.take)

    def take(self) -> None:
        self.heard += 1
        while self.reply.frames:
            self.frames.append(self.reply.pop())
        if self.frames and self.frames[-1][0] in frames.LAST:
            self.order.append(self.name)


def made() -> tuple[Any, Wire]:
    worker: Any = QueryWorker(None)  # type: ignore[arg-type]
    wire = Wire()
    worker.connection_made(wire)
    return worker, wire


def within(scenario: Callable[[], Any]) -> None:
    async def run() -> None:
        found = scenario()
        if found is not None:
            await found

    asyncio.run(run())


def streamed(number: int, pieces: int = 3) -> list[tuple[bytes, bytes]]:
    return [(frames.HEAD, HEAD), *((frames.DATA, b"%d-%d" % (number, n)) for n in range(pieces)), (frames.END, END)]


ANSWERS: list[list[tuple[bytes, bytes]]] = [
    [(frames.WHOLE, b"first")], streamed(1), [(frames.ERROR, ERROR)], [(frames.WHOLE, b"")], streamed(4),
    [(frames.HEAD, HEAD), (frames.ERROR, ERROR)],
]  # fmt: skip


def bytes_of(answers: list[list[tuple[bytes, bytes]]]) -> bytes:
    return b"".join(frames.frame(*each) for answer in answers for each in answer)


def test_each_question_gets_its_own_answer_wherever_the_bytes_are_cut() -> None:
    def scenario() -> None:
        data = bytes_of(ANSWERS)
        cuts = [[at] for at in range(len(data) + 1)] + [list(range(1, len(data), step)) for step in (1, 2, 3, 5, 7)]
        for cut in cuts:
            worker, _ = made()
            order: list[int] = []
            asked = [Asked(worker, order, number) for number in range(len(ANSWERS))]
            for start, end in zip([0, *cut], [*cut, len(data)], strict=True):
                worker.data_received(data[start:end])
            assert [each.frames for each in asked] == ANSWERS, cut
            assert order == list(range(len(ANSWERS)))
            assert all(each.reply.ended for each in asked)
            assert (list(worker.line), worker._waiting, bytes(worker._buffer)) == ([], 0, b"")

    within(scenario)


def test_questions_go_out_in_their_order_all_behind_the_first_together_and_the_first_of_a_line_sets_its_age() -> None:
    async def scenario() -> None:
        worker, wire = made()
        first = worker.put(REQUEST)
        began = worker.asked_at
        await asyncio.sleep(0.001)
        others = [b"%d" % number for number in range(3)]
        replies = [first, *map(worker.put, others)]
        assert list(worker.line) == replies and worker.asked_at == began
        await asyncio.sleep(0)
        sent = [[frames.frame(b"Q", each) for each in part] for part in ([REQUEST], others)]
        assert wire.written == [b"".join(part) for part in sent]
        worker.data_received(bytes_of([[(frames.WHOLE, b"")]] * 4))
        worker.put(REQUEST)
        assert worker.asked_at > began and wire.written[2:] == wire.written[:1]

    within(scenario)


def test_what_nobody_wants_is_thrown_away_and_holds_nobody_up() -> None:
    def scenario() -> None:
        worker, wire = made()
        order: list[int] = []
        asked = [Asked(worker, order, number) for number in range(3)]
        asked[1].reply.drop()
        assert worker.is_wanted and len(worker.line) == 3
        large = [(frames.HEAD, HEAD), *[(frames.DATA, b"x" * frames.CHUNK)] * 20, (frames.END, END)]
        worker.data_received(bytes_of([ANSWERS[0], large[:-1]]))
        assert (worker._waiting, wire.done) == (0, [])
        assert [each.reply.ended for each in asked] == [True, False, False]
        worker.data_received(bytes_of([large[-1:], ANSWERS[4]]))
        assert asked[1].reply.ended
        assert [each.frames for each in asked] == [ANSWERS[0], [], ANSWERS[4]]
        assert asked[1].heard == 0 and order == [0, 2] and not worker.line and not worker.is_wanted

    within(scenario)


def test_one_dropped_in_the_middle_of_its_answer_gives_its_bytes_back() -> None:
    def scenario() -> None:
        worker, wire = made()
        slow, other = worker.put(REQUEST), worker.put(REQUEST)
        worker.data_received(bytes_of([[(frames.HEAD, HEAD), *[(frames.DATA, b"x" * frames.CHUNK)] * 5]]))
        assert wire.done == ["pause"] and worker._waiting > LIMIT
        slow.drop()
        assert wire.done == ["pause", "resume"] and worker._waiting == 0 and not slow.frames
        worker.data_received(bytes_of([[(frames.DATA, b"x" * frames.CHUNK)] * 9, [(frames.END, END)], ANSWERS[0]]))
        assert wire.done == ["pause", "resume"] and not slow.frames
        assert other.pop() == ANSWERS[0][0] and worker._waiting == 0

    within(scenario)


def test_a_line_is_wanted_until_all_in_it_were_dropped() -> None:
    def scenario() -> None:
        worker, _ = made()
        replies = [worker.put(REQUEST) for _ in range(3)]
        wanted = []
        for reply in replies:
            wanted.append(worker.is_wanted)
            reply.drop()
        assert wanted == [True] * 3 and not worker.is_wanted and len(worker.line) == 3

    within(scenario)


def test_a_slow_reader_pauses_the_worker_and_reading_on_wakes_it() -> None:
    def scenario() -> None:
        worker, wire = made()
        reply = worker.put(REQUEST)
        for _ in range(6):
            worker.data_received(bytes_of([[(frames.DATA, b"x" * frames.CHUNK)]]))
        assert wire.done == ["pause"]
        while reply.frames:
            reply.pop()
        assert wire.done == ["pause", "resume"] and worker._waiting == 0

    within(scenario)


def test_all_in_a_line_hear_of_the_end_of_their_worker() -> None:
    async def scenario() -> None:
        worker, _ = made()
        order: list[int] = []
        heard = [Asked(worker, order, number) for number in range(2)]
        replies = [worker.put(REQUEST) for _ in range(2)]
        waiting = [asyncio.create_task(reply.wait()) for reply in replies]
        await asyncio.sleep(0)
        worker.data_received(bytes_of([ANSWERS[0], streamed(1)[:2]]))
        worker.connection_lost(None)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [WorkerGoneError, WorkerGoneError]
        assert heard[0].frames == ANSWERS[0] and heard[0].heard == 1
        assert heard[1].frames == streamed(1)[:2] and heard[1].heard == 2
        assert heard[0].reply.ended and not heard[1].reply.ended
        with pytest.raises(WorkerGoneError):
            await worker.put(REQUEST).wait()

    within(scenario)


def test_what_nobody_asked_for_is_ignored() -> None:
    def scenario() -> None:
        worker, wire = made()
        worker.data_received(bytes_of([[(frames.WHOLE, b"x" * 2 * LIMIT)], streamed(1)]))
        assert worker._waiting == 0 and wire.done == []
        asked = Asked(worker, [])
        worker.data_received(bytes_of([ANSWERS[0], [(frames.WHOLE, b"more")]]))
        assert asked.frames == ANSWERS[0] and asked.heard == 1

    within(scenario)


def test_who_hears_an_answer_may_ask_the_same_worker_at_once() -> None:
    def scenario() -> None:
        worker, _ = made()
        further: list[Asked] = []
        order: list[int] = []

        def again() -> None:
            assert first not in worker.line, "it is answered"
            first.pop()
            further.append(Asked(worker, order, 7))

        first = worker.put(REQUEST)
        first.listen(again)
        second = Asked(worker, order, 2)
        worker.data_received(bytes_of([ANSWERS[0], ANSWERS[1], ANSWERS[3]]))
        assert second.frames == ANSWERS[1] and further[0].frames == ANSWERS[3] and order == [2, 7]

    within(scenario)


def test_waiting_for_a_reply_ends_in_time() -> None:
    async def scenario() -> None:
        worker, _ = made()
        reply: Reply = worker.put(REQUEST)
        with pytest.raises(TimeoutError):
            await reply.wait(0.001)
        worker.data_received(bytes_of([ANSWERS[0]]))
        await reply.wait(0.0)
        assert reply.pop() == ANSWERS[0][0]

    within(scenario)


# --- the worker's end -------------------------------------------------------------------------------------------------------


class Ends:
    """Both ends of a socket: the worker's as a line, ours as it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, theirs = socket.socketpair()
        self.theirs = theirs
        self.line = Line(theirs.fileno())
        self.ours.setblocking(False)
        monkeypatch.setattr(worker_main, "_TOGETHER", 60.0)
        monkeypatch.setattr(os, "read", self.read)
        self.before: list[bytes] = []  # what was out each time the worker was about to wait for more

    def read(self, descriptor: int, size: int) -> bytes:
        if descriptor == self.theirs.fileno():
            self.before.append(self.out())
        return self.theirs.recv(size)

    def out(self) -> bytes:
        try:
            return self.ours.recv(1_000_000)
        except BlockingIOError:
            return b""

    def ask(self, *payloads: bytes, short: int = 0) -> None:
        data = b"".join(frames.frame(b"Q", payload) for payload in payloads)
        self.ours.send(data[: len(data) - short])


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Ends(monkeypatch)
    yield made
    made.ours.close()
    made.theirs.close()


def test_answers_go_out_together_while_the_next_question_is_there(ends: Ends) -> None:
    ends.ask(b"1", b"2", b"3")
    assert ends.line.receive() == b"1"
    ends.line.send_soon(b"one ")
    assert ends.line.receive() == b"2"
    ends.line.send_soon(b"two ")
    assert ends.line.receive() == b"3" and ends.out() == b""
    ends.line.send_soon(b"three")
    ends.ask(b"4")
    assert ends.line.receive() == b"4"
    assert ends.before == [b"", b"one two three"]


@pytest.mark.parametrize("there", range(1, frames.HEADER.size + 4))
def test_answers_go_out_before_the_worker_waits_for_the_rest_of_a_question(ends: Ends, there: int) -> None:
    whole = frames.frame(b"Q", b"next")
    ends.ask(b"1")
    ends.ours.send(whole[:there])
    assert ends.line.receive() == b"1"
    ends.line.send_soon(b"one")
    ends.ours.send(whole[there:])
    assert ends.line.receive() == b"next"
    assert ends.before == [b"", b"one"] and ends.out() == b""


def test_answers_keep_their_order_when_one_of_them_goes_out_at_once(ends: Ends) -> None:
    ends.ask(b"1", b"2", b"3", b"4")
    ends.line.receive()
    ends.line.send_soon(b"a")
    ends.line.receive()
    ends.line.send_soon(b"b")
    ends.line.receive()
    ends.line.send(b"c")
    assert ends.out() == b"abc"
    ends.line.send_soon(b"d")
    ends.line.receive()
    assert ends.out() == b""
    ends.line.send(b"e")
    assert ends.out() == b"de"


def test_answers_do_not_wait_longer_than_they_may(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.ask(b"1", b"2", b"3")
    ends.line.receive()
    ends.line.send_soon(b"one")
    ends.line.receive()
    assert ends.out() == b""
    monkeypatch.setattr(worker_main, "_TOGETHER", -1.0)
    assert ends.line.receive() == b"3" and ends.out() == b"one"


def test_answers_go_out_before_the_parent_is_found_gone(ends: Ends) -> None:
    ends.ask(b"1")
    ends.line.receive()
    ends.line.send_soon(b"one")
    ends.ours.shutdown(socket.SHUT_WR)
    assert ends.line.receive() is None and ends.before[-1] == b"one"
