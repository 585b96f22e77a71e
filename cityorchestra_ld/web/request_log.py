"""Write one line for each request, as JSON or as text: what it was and what it cost; of who asked, no more than the network."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import threading
from collections import deque
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import msgspec
import orjson

from cityorchestra_ld.errors import CityOrchestraError

LOGGER: Final = "cityorchestra_ld.requests"
_PATH: Final = 300  # characters
_QUERY: Final = 2_000
_ODD: Final = re.compile(r"[^\x20-\x7e]|\\")
_TOGETHER: Final = 0.05  # seconds of requests whose lines are written together
_WAITING: Final = 100_000  # lines that may wait for a slow log
_WRITTEN: Final = msgspec.json.Encoder()
_LOG = logging.getLogger(__name__)


class Errand(msgspec.Struct):
    """What is kept of a question to another service."""

    service: str
    ms: float
    rows: int
    outcome: str


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of one request."""

    time: str
    id: str
    client: str
    method: str
    path: str
    status: int
    ms: float
    bytes: int
    problem: str = ""  # the type of the problem that the client was told of
    broken: bool = False  # the answer ended before it was whole
    services: list[Errand] = []
    query: str = ""  # only where `[log] queries = true`


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """
    Take from an address what points to one person: its last 8 bits, or all but 48 bits of IPv6.

    >>> network("192.0.2.77"), network("2001:db8:1:2::3"), network("testclient")
    ('192.0.2.0/24', '2001:db8:1::/48', '-')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "-"
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def path_of(raw: bytes) -> str:
    """Take the path of a request as it was sent; whatever could forge a line of log is written as an escape."""
    return _path_of(raw.partition(b"?")[0][: _PATH + 1])  # no more of it: these are kept


@lru_cache(maxsize=256)
def _path_of(raw: bytes) -> str:
    path = raw.decode("latin-1")
    return shown(path if len(path) <= _PATH else path[:_PATH] + "...")


def query_of(text: str) -> str:
    """Take the beginning of a query, for operators who asked for it."""
    return text if len(text) <= _QUERY else text[:_QUERY] + "..."


def shown(text: str) -> str:
    """
    Escape what a terminal or a reader of lines would take for something else.

    >>> shown("a\\nb")
    'a\\\\x0ab'
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return _ODD.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def moment(seconds: float) -> str:
    """Write a time in UTC to the millisecond."""
    return _moment(int(seconds * 1000))


@lru_cache(maxsize=8)
def _moment(milliseconds: int) -> str:
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_USUAL: Final = logging.LogRecord(LOGGER, logging.INFO, __file__, 0, "request", None, None).__dict__


class LineRecord(logging.LogRecord):
    """One line about a request as `logging` passes it on, without looking each time for what is always the same."""

    def __init__(self, line: Line, seconds: float) -> None:
        own = self.__dict__ = _USUAL.copy()
        own["created"], own["msecs"], own["line"] = seconds, seconds % 1 * 1000, line


class RequestLines(logging.StreamHandler[TextIO]):
    """
    Writes lines about requests, many at once, in a thread of its own: a log that is slow, or not read, keeps nobody waiting.

    Lines that come outside an event loop are written at once. Those that do not go out in time are not kept for ever.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lines: deque[str] = deque()
        self._lost = 0
        self._due = False
        self._writing = threading.Lock()  # not that of the handler, on which a request would wait
        self._wanted = threading.Event()
        self._writer: threading.Thread | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a line, without the lock of the handler: a queue needs none."""
        if len(self._lines) >= _WAITING:
            self._lost += 1
            return True
        self._lines.append(self.format(record))
        if not self._due:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self.flush()
            else:
                self._due = True
                loop.call_later(_TOGETHER, self._hand_over)
        return True

    def flush(self) -> None:
        """Write what was taken."""
        self._due = False
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            lost, self._lost = self._lost, 0
            if lines:
                self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
        if lost:
            _LOG.warning("%d requests have no line: the log was too slow", lost)

    def _hand_over(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="request log", daemon=True)
            self._writer.start()
        self._wanted.set()

    def _write(self) -> None:
        said = ""
        while self._wanted.wait():
            self._wanted.clear()
            try:
                self.flush()
            except (OSError, ValueError) as error:
                if said != (said := str(error)):
                    _LOG.warning("lines about requests cannot be written: %s", error)


class JsonLines(logging.Formatter):
    """Everything that is logged as JSON objects, one a line: requests, and what the service and its server say."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = getattr(record, "line", None)
        if isinstance(line, Line):
            return _WRITTEN.encode(line).decode()
        said: dict[str, Any] = {
            "time": moment(record.created), "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(),
        }  # fmt: skip
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return orjson.dumps(said, default=str).decode()


class TextLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = getattr(record, "line", None)
        if not isinstance(line, Line):
            said = f"{moment(record.created)} {record.levelname.lower():7} {record.getMessage()}"
            return f"{said}\n{self.formatException(record.exc_info)}" if record.exc_info else said
        parts = [line.time, line.client, line.method, line.path, line.status, f"{line.ms:.1f}ms", f"{line.bytes}B", line.id]
        if line.problem:
            parts.append(line.problem)
        if line.broken:
            parts.append("broken")
        parts += [f"{one.service}:{one.outcome}:{one.rows}rows:{one.ms:.0f}ms" for one in line.services]
        if line.query:
            parts.append(shown(line.query))
        return " ".join(map(str, parts))


class Untold(logging.Filter):
    """Keeps away what has a line already: an answer that we broke ourselves because of an error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is worth keeping."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(getattr(error, "__cause__", None) or error, CityOrchestraError)


def configuration(form: Literal["json", "text"]) -> dict[str, Any]:
    """Say where lines go, as `logging.config` wants it: requests to standard output, all else to standard error."""
    here = __name__
    made = {"()": f"{here}.{'JsonLines' if form == 'json' else 'TextLines'}"}
    plain = {"formatter": "ours"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": made},
        "filters": {"untold": {"()": f"{here}.Untold"}},
        "handlers": {
            "requests": plain | {"class": f"{here}.RequestLines", "stream": "ext://sys.stdout"},
            "rest": plain | {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "filters": ["untold"]},
        },
        "root": {"handlers": ["rest"], "level": "WARNING"},
        "loggers": {
            "uvicorn": {"level": "INFO", "handlers": ["rest"], "propagate": False},
            "cityorchestra_ld": {"level": "INFO", "handlers": ["rest"], "propagate": False},
            LOGGER: {"level": "INFO", "handlers": ["requests"], "propagate": False},
        },
    }
