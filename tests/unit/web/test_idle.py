"""A connection on which nothing comes is closed when its time is over, and no earlier, by one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from cityorchestra_ld.web.again import Whole
from cityorchestra_ld.web.connection import Connection, connections

REQUEST = b"GET /doc/a HTTP/1.1\r\nHost: h\r\n\r\n"


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when, self.call, self.cancelled = when, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """What a connection needs of a loop; time passes when it is told to."""

    def __init__(self) -> None:
        self.now, self.timers, self.set = 100.0, list[Timer](), 0

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.set += 1
        self.timers.append(Timer(self.now + seconds, call))
        return self.timers[-1]

    def until(self, now: float) -> None:
        while due := sorted((one for one in self.timers if one.when <= now and not one.cancelled), key=lambda one: one.when):
            self.timers.remove(due[0])
            self.now = due[0].when
            due[0].call()
        self.now = now


class Wire(asyncio.Transport):
    closed = False
    answers = 0

    def write(self, data: Any) -> None:
        self.answers += 1

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 5000), "sockname": ("192.0.2.2", 80)}.get(name, default)


class Known:
    """Knows every answer."""

    def find(self, *_: object) -> Whole:
        return Whole(200, b"content-length: 1\r\n", b"a", "document")

    def given(self, *_: object) -> None:
        pass


async def nobody(scope: object, receive: object, send: object) -> None:
    raise AssertionError


@pytest.fixture
def opened() -> tuple[Connection, Wire, Clock]:
    """Open a connection that is closed after five seconds without a request."""
    config = Config(nobody, log_config=None, timeout_keep_alive=5)
    asked: list[str] = []
    kind: Any = connections(Known(), None, lambda address: asked.append(address) is not None)  # type: ignore[arg-type]
    clock, wire = Clock(), Wire()
    connection: Connection = kind(config, ServerState(), {}, _loop=clock)
    connection.connection_made(wire)
    assert asked == ["192.0.2.1"]  # once for all its requests
    return connection, wire, clock


def test_it_is_closed_when_the_time_after_the_last_answer_is_over(opened: tuple[Connection, Wire, Clock]) -> None:
    connection, wire, clock = opened
    for now in (100.0, 101.0, 104.5, 109.0):
        clock.until(now)
        connection.data_received(REQUEST)
    clock.until(113.9)
    assert not wire.closed and wire.answers == 4
    clock.until(114.0)
    assert wire.closed and not clock.timers


def test_many_requests_take_one_timer(opened: tuple[Connection, Wire, Clock]) -> None:
    connection, wire, clock = opened
    for _ in range(1000):
        connection.data_received(REQUEST)
    assert wire.answers == 1000 and clock.set == 1


def test_a_request_that_is_still_coming_is_waited_for(opened: tuple[Connection, Wire, Clock]) -> None:
    connection, wire, clock = opened
    connection.data_received(REQUEST)
    clock.until(104.0)
    connection.data_received(REQUEST[:10])
    clock.until(200.0)
    assert not wire.closed
    connection.data_received(REQUEST[10:])
    clock.until(204.9)
    assert not wire.closed and wire.answers == 2
    clock.until(205.0)
    assert wire.closed


def test_a_connection_that_was_lost_leaves_no_timer(opened: tuple[Connection, Wire, Clock]) -> None:
    connection, _, clock = opened
    connection.data_received(REQUEST)
    connection.connection_lost(ConnectionResetError())
    assert all(timer.cancelled for timer in clock.timers)
