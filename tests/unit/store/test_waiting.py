"""The queue is bounded, serves clients in turn, and loses nothing when somebody leaves."""

from __future__ import annotations

import asyncio

import pytest

from cityorchestra_ld.store.waiting import FairQueue, QueueFullError, Spending


def test_clients_are_served_in_turn_and_not_by_how_much_they_ask() -> None:
    async def scenario() -> list[str]:
        queue: FairQueue[int] = FairQueue(10, lambda item: None)
        served: list[str] = []

        async def ask(client: str) -> None:
            await queue.wait(client)
            served.append(client)

        tasks = [asyncio.create_task(ask(client)) for client in ("greedy", "greedy", "greedy", "greedy", "a", "b")]
        await asyncio.sleep(0)
        for item in range(6):
            assert queue.offer(item) is not None
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert len(queue) == 0
        assert queue.offer(7) is None
        return served

    assert asyncio.run(scenario()) == ["greedy", "a", "b", "greedy", "greedy", "greedy"]


def test_nobody_waits_beyond_the_bound() -> None:
    async def scenario() -> None:
        queue: FairQueue[int] = FairQueue(1, lambda item: None)
        task = asyncio.create_task(queue.wait("a"))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await queue.wait("b")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(queue) == 0

    asyncio.run(scenario())


def test_who_leaves_in_the_moment_of_the_offer_gives_it_back() -> None:
    async def scenario() -> list[int]:
        given_back: list[int] = []
        queue: FairQueue[int] = FairQueue(5, given_back.append)
        task = asyncio.create_task(queue.wait("a"))
        await asyncio.sleep(0)
        assert queue.offer(1) == "a"
        task.cancel()  # before the task runs again
        await asyncio.gather(task, return_exceptions=True)
        return given_back

    assert asyncio.run(scenario()) == [1]


def test_closing_sends_everybody_away() -> None:
    async def scenario() -> list[BaseException | int]:
        queue: FairQueue[int] = FairQueue(5, lambda item: None)
        tasks = [asyncio.create_task(queue.wait(client)) for client in "aab"]
        await asyncio.sleep(0)
        queue.fail(RuntimeError("closing"))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert len(queue) == 0
        return results

    assert [str(result) for result in asyncio.run(scenario())] == ["closing"] * 3


def test_who_cost_least_of_late_comes_first_and_who_cost_too_much_may_wait() -> None:
    async def scenario() -> list[str | None]:
        now = [0.0]
        spending = Spending(lambda: now[0])
        spending.add("heavy", 8.0)
        spending.add("light", 0.5)
        queue: FairQueue[int] = FairQueue(5, lambda item: None, spending.of)
        tasks = [asyncio.create_task(queue.wait(client)) for client in ("heavy", "light", "new")]
        await asyncio.sleep(0)
        took = [queue.offer(n, most=1.0) for n in range(3)]
        now[0] = 240.0  # four times half of it forgotten
        took.append(queue.offer(3, most=1.0))
        await asyncio.gather(*tasks)
        return took

    assert asyncio.run(scenario()) == ["new", "light", None, "heavy"]


class Waiter:
    """Who waits for a number."""

    def __init__(self) -> None:
        self.got: list[int] = []

    def done(self) -> bool:
        return bool(self.got)

    def set_result(self, item: int, /) -> None:
        self.got.append(item)

    def set_exception(self, error: Exception, /) -> None:
        raise error


def test_only_the_next_of_the_same_client_goes_along_and_only_if_it_may() -> None:
    queue: FairQueue[int] = FairQueue(9, lambda item: None)
    one, two, alone, last, other = (Waiter() for _ in range(5))
    for waiter in (one, two, alone, last):
        queue.enter("a", waiter, together=waiter is not alone)
    queue.enter("b", other, together=True)
    assert queue.next_with("unknown") is None
    assert queue.next() == ("a", one)
    assert queue.next_with("a") is two and len(queue) == 3
    assert queue.next_with("a") is None and len(queue) == 3, "it goes alone, and nobody overtakes it"
    assert queue.next() == ("b", other) and queue.next_with("b") is None
    assert queue.next() == ("a", alone)
    assert queue.next_with("a") is last and queue.next_with("a") is None and len(queue) == 0
    assert queue.next() is None


def test_who_left_goes_along_with_nobody_and_may_come_again_to_go_alone() -> None:
    queue: FairQueue[int] = FairQueue(9, lambda item: None)
    one, two, three = (Waiter() for _ in range(3))
    for waiter in (one, two, three):
        queue.enter("a", waiter, together=True)
    queue.leave("a", two)
    queue.enter("a", two)
    assert queue.next() == ("a", one)
    assert queue.next_with("a") is three
    assert queue.next_with("a") is None and queue.next() == ("a", two)
