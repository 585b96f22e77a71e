"""Lines about requests go out together and in order, keep nobody waiting, and are not kept for ever."""

from __future__ import annotations

import asyncio
import io
import logging
import threading

import pytest

from cityorchestra_ld.web import request_log
from cityorchestra_ld.web.request_log import RequestLines


def record(number: int) -> logging.LogRecord:
    return logging.LogRecord("requests", logging.INFO, __file__, 0, str(number), None, None)


class Slow(io.StringIO):
    """A log that takes a line only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.asked.set()
        assert self.may.wait(10)
        return super().write(text)


async def written(stream: io.StringIO, lines: int) -> None:
    async with asyncio.timeout(10):
        while stream.getvalue().count("\n") < lines:
            await asyncio.sleep(0.01)


def test_lines_of_a_loop_are_written_in_order_by_another_thread() -> None:
    stream, threads = io.StringIO(), set[int]()

    class Where(io.StringIO):
        def write(self, text: str) -> int:
            threads.add(threading.get_ident())
            return stream.write(text)

    async def requests() -> None:
        handler = RequestLines(Where())
        for number in range(500):
            handler.handle(record(number))
            if number % 100 == 0:
                await asyncio.sleep(0.06)
        assert not threads & {threading.get_ident()}
        await written(stream, 500)

    asyncio.run(requests())
    assert stream.getvalue() == "".join(f"{number}\n" for number in range(500))
    assert threading.get_ident() not in threads


def test_outside_a_loop_a_line_is_written_at_once() -> None:
    stream = io.StringIO()
    RequestLines(stream).handle(record(1))
    assert stream.getvalue() == "1\n"


def test_a_log_that_nobody_reads_keeps_nobody_waiting_and_what_it_loses_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(request_log, "_WAITING", 10)
    stream = Slow()

    async def requests() -> None:
        handler = RequestLines(stream)
        handler.handle(record(0))
        await asyncio.to_thread(stream.asked.wait, 10)  # the thread is held in its first line
        for number in range(1, 31):
            handler.handle(record(number))
        stream.may.set()
        await written(stream, 11)
        handler.handle(record(31))
        await written(stream, 12)

    asyncio.run(requests())
    assert stream.getvalue() == "".join(f"{number}\n" for number in (*range(11), 31))
    assert "20 requests have no line" in caplog.text


def test_a_log_that_breaks_is_told_of_once_and_the_service_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(io.StringIO):
        calls = 0

        def write(self, text: str) -> int:
            self.calls += 1
            raise BrokenPipeError("nobody reads")

    stream = Broken()

    async def requests() -> None:
        handler = RequestLines(stream)
        async with asyncio.timeout(10):
            while stream.calls < 3:
                handler.handle(record(0))
                await asyncio.sleep(0.02)

    asyncio.run(requests())
    assert caplog.text.count("nobody reads") == 1


def test_what_was_taken_is_written_when_the_program_ends() -> None:
    stream = io.StringIO()

    async def requests() -> RequestLines:
        handler = RequestLines(stream)
        handler.handle(record(7))
        return handler

    asyncio.run(requests()).flush()
    assert stream.getvalue() == "7\n"
