"""Brief questions of a client share a worker, and take turns with everything else that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cityorchestra_ld.errors import BusyError
from cityorchestra_ld.store.turns import TOGETHER, Turns
from cityorchestra_ld.store.waiting import QueueFullError


class Worker:
    """What turns see of a worker."""

    def __init__(self) -> None:
        self.shared: str | None = None
        self.closed, self.asked_at = False, 0.0
        self.line: list[object] = []


class Waiter:
    """Asks the worker that it gets, as a brief or another question of a client; or finds it gone."""

    def __init__(self, name: str, client: str, log: list[str], *, brief: bool) -> None:
        self.name, self.client, self.log, self.brief = name, client, log, brief
        self.finds_it_gone = False
        self.worker: Any = None
        self.error: Exception | None = None

    def done(self) -> bool:
        return self.worker is not None or self.error is not None

    def set_result(self, worker: Any) -> None:
        assert not self.done()
        self.worker = worker
        self.log.append(self.name)
        if self.finds_it_gone:
            return
        if not worker.line:
            worker.asked_at = asyncio.get_running_loop().time()
        worker.shared = self.client if self.brief else None
        worker.line.append(self)

    def set_exception(self, error: Exception) -> None:
        assert not self.done()
        self.error = error


class Scene:
    """Turns, the workers behind them, and in which order who got one."""

    def __init__(self, size: int = 1, most: int = 64, *, idle: bool = False) -> None:
        self.turns: Any = Turns(size, most)
        self.turns.closed = False
        self.workers = [Worker() for _ in range(size)]
        self.log: list[str] = []
        for worker in self.workers if idle else ():
            self.offer(worker)

    def offer(self, worker: Any) -> None:
        worker.line.clear()
        self.turns.offer(worker)

    def ask(self, name: str, *, brief: bool = True, client: str = "") -> Waiter:
        waiter = Waiter(name, client or name, self.log, brief=brief)
        self.turns.take_soon(client or name, waiter, together=brief)
        return waiter

    def crowd(self, count: int, client: str = "crowd") -> list[Waiter]:
        return [self.ask(f"{client} {number}", client=client) for number in range(count)]

    def shared(self, client: str = "a") -> Any:
        return self.turns.shared(client, self.workers)

    def rounds(self, count: int) -> list[list[str]]:
        """Offer the first worker so many times; return who asked it each time."""
        given = []
        for _ in range(count):
            self.log.clear()
            self.offer(self.workers[0])
            given.append(list(self.log))
        return given


def within(scenario: Callable[[], None]) -> None:
    async def run() -> None:
        scenario()

    asyncio.run(run())


def test_a_worker_takes_several_brief_questions_of_a_client_by_turns_with_all_others() -> None:
    def scenario() -> None:
        scene = Scene()
        names = [waiter.name for waiter in scene.crowd(TOGETHER + 3)]
        for number in range(2):
            scene.ask(f"o{number}", brief=False)
        assert scene.turns.waiting == TOGETHER + 5
        assert scene.rounds(4) == [names[:TOGETHER], ["o0"], ["o1"], names[TOGETHER:]]
        assert scene.turns.waiting == 0 and not scene.turns.idle
        scene.offer(scene.workers[0])
        assert list(scene.turns.idle) == scene.workers

    within(scenario)


def test_the_next_worker_is_for_another_client_before_the_rest_of_a_crowd() -> None:
    def scenario() -> None:
        scene = Scene()
        names = [waiter.name for waiter in scene.crowd(2 * TOGETHER + 1)]
        for name in ("x", "y"):
            scene.ask(name)
        assert scene.rounds(5) == [names[:TOGETHER], ["x"], ["y"], names[TOGETHER:-1], names[-1:]]

    within(scenario)


def test_a_client_keeps_its_order_and_its_longer_questions_are_asked_alone() -> None:
    def scenario() -> None:
        scene = Scene()
        for name in ("b0", "b1", "o0", "o1", "b2", "b3"):
            scene.ask(name, client="a", brief=name[0] == "b")
        assert scene.rounds(4) == [["b0", "b1"], ["o0"], ["o1"], ["b2", "b3"]]

    within(scenario)


def test_nobody_follows_one_that_found_its_worker_gone() -> None:
    def scenario() -> None:
        scene = Scene()
        scene.workers[0].shared = "crowd"
        crowd = scene.crowd(3)
        crowd[0].finds_it_gone = True
        assert scene.rounds(2) == [["crowd 0"], ["crowd 1", "crowd 2"]]

    within(scenario)


def test_brief_questions_of_a_costly_client_leave_one_worker_to_the_others() -> None:
    def scenario() -> None:
        scene = Scene(size=2, idle=True)
        scene.turns.worked("greedy", 100.0)
        first = scene.ask("first", brief=False, client="greedy")
        brief = scene.crowd(3, "greedy")
        assert first.worker is not None and scene.turns.waiting == 3 and len(scene.turns.idle) == 1
        modest = scene.ask("modest")
        assert modest.worker is not None
        later = scene.ask("later")
        scene.offer(modest.worker)
        assert later.worker is modest.worker
        scene.offer(later.worker)
        assert scene.turns.waiting == 3 and scene.turns.idle
        scene.offer(first.worker)
        assert len({waiter.worker for waiter in brief}) == 1 and brief[0].worker.line == brief
        assert scene.turns.waiting == 0 and len(scene.turns.idle) == 1

    within(scenario)


def test_brief_questions_are_bounded_with_all_that_wait() -> None:
    def scenario() -> None:
        scene = Scene(most=3)
        scene.ask("o", brief=False)
        scene.crowd(2)
        with pytest.raises(QueueFullError):
            scene.ask("b")
        assert scene.turns.waiting == 3
        assert (scene.turns.full().retry_after or 0) >= 1
        assert scene.rounds(2) == [["o"], ["crowd 0", "crowd 1"]]

    within(scenario)


def test_who_leaves_or_is_sent_away_at_the_end_gets_no_worker() -> None:
    def scenario() -> None:
        scene = Scene()
        gone, stays, more = scene.crowd(3)
        other = scene.ask("other", brief=False)
        scene.turns.leave("crowd", gone)
        scene.turns.leave("crowd", gone)
        assert scene.turns.waiting == 3
        scene.offer(scene.workers[0])
        assert scene.log == ["crowd 1", "crowd 2"] and more.worker is stays.worker
        waiting = scene.crowd(2, "late")
        scene.turns.close()
        assert scene.turns.waiting == 0
        assert all(isinstance(each.error, BusyError) for each in (other, *waiting)) and gone.error is None
        scene.offer(scene.workers[0])
        assert len(scene.log) == 2

    within(scenario)


def test_nobody_waits_for_a_worker_after_the_end() -> None:
    def scenario() -> None:
        scene = Scene()
        scene.turns.close()
        for brief in (True, False):
            with pytest.raises(QueueFullError):
                scene.ask("late", brief=brief)
        assert scene.turns.waiting == 0

    within(scenario)


def test_a_worker_is_shared_until_its_line_is_full_and_the_shortest_line_is_joined() -> None:
    def scenario() -> None:
        scene = Scene(size=2, idle=True)
        assert scene.shared() is None, "both are idle"
        one, two = (scene.ask(name, client="a").worker for name in ("first", "second"))
        one.line += [1, 2, 3]
        assert one is not two and scene.shared() is two
        two.line += [1] * (TOGETHER - 1)
        assert scene.shared() is one
        one.line += [1] * (TOGETHER - 4)
        assert len(one.line) == TOGETHER and scene.shared() is None

    within(scenario)


def test_a_client_joins_its_own_line_only() -> None:
    def scenario() -> None:
        scene = Scene(size=2, idle=True)
        one, two = (scene.ask(name).worker for name in ("a", "b"))
        two.line += [1, 2]
        assert (scene.shared("a"), scene.shared("b"), scene.shared("c")) == (one, two, None)

    within(scenario)


@pytest.mark.parametrize("spoilt", ["old", "closed", "unfit", "long", "done", "waiting"])
def test_a_worker_that_is_not_about_to_be_free_again_is_not_shared(spoilt: str) -> None:
    def scenario() -> None:
        scene = Scene(idle=True)
        worker = scene.ask("a").worker
        assert scene.shared() is worker
        if spoilt == "old":
            worker.asked_at -= 0.003
        elif spoilt == "closed":
            worker.closed = True
        elif spoilt == "long":
            worker.shared = None
        elif spoilt == "done":
            worker.line.clear()
        elif spoilt == "waiting":
            scene.ask("b")
        else:
            scene.workers.clear()
        assert scene.shared() is None

    within(scenario)
