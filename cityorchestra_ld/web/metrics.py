"""Count what the service does, and tell it in the text format of Prometheus (version 0.0.4), to those who operate it."""

from __future__ import annotations

import ipaddress
import os
import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from starlette.types import Scope

from cityorchestra_ld import __version__
from cityorchestra_ld.errors import RefusedError, Text
from cityorchestra_ld.governance.tokens import may_read
from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.problems import UnauthorizedError

if TYPE_CHECKING:
    from cityorchestra_ld.web.service import Service

READ: Final = "urn:cityorchestra:metrics"  # what a token must be allowed to read
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via", "origin")
_CLASSES: Final[Mapping[str, str]] = {  # first part of the path → class of route; whatever else there is, is a page
    "id": "identifier", "doc": "document", "memento": "document", "timemap": "document", "describe": "document",
    "sparql": "sparql", "graph-store": "graph-store", "drafts": "drafts", "exports": "exports", "api": "api",
    "catalog": "catalog", "download": "download", "feed": "feed", "static": "static", "-": "operations",
    ".well-known": "document",
}  # fmt: skip

Labels = tuple[tuple[str, str], ...]


def route_class(path: str) -> str:
    """
    Name the class of routes that a path belongs to; there are few, whatever clients ask for.

    >>> route_class("/id/stop/1"), route_class("/catalog.ttl"), route_class("/wp-login.php")
    ('identifier', 'catalog', 'page')
    """
    first = path[1:].partition("/")[0]
    found = _CLASSES.get(first)
    return found or ("catalog" if first.startswith("catalog.") else "page")


class _Times:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class Metrics:
    """What was counted since the process started."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)  # class of route, status
    times: dict[str, _Times] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    under_way: int = 0
    query_seconds: _Times = field(default_factory=_Times)
    services: Counter[tuple[str, str]] = field(default_factory=Counter)  # name, outcome
    service_times: dict[str, _Times] = field(default_factory=dict)
    service_rows: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)  # pages are built in threads

    def answered(self, scope: Scope, status: int, seconds: float, size: int, *, whole: bool) -> None:
        """Count an answer that was sent, whole or not."""
        self.broken += not whole
        self.counted(route_class(scope["path"].removeprefix(scope.get("root_path", ""))), status, seconds, size)

    def counted(self, route: str, status: int, seconds: float, size: int) -> None:
        """Count an answer of a class of routes."""
        self.requests[route, status] += 1
        times = self.times.get(route)
        if times is None:
            times = self.times[route] = _Times()
        times.add(seconds)
        self.sizes[route] += size

    def problem(self, kind: str) -> None:
        """Count a problem that a client was told of: busy, timeout, budget, query, not-found…"""
        with self._lock:
            self.problems[kind] += 1

    def queried(self, seconds: float) -> None:
        """Count what the engine worked for one query."""
        self.query_seconds.add(seconds)

    def asked(self, service: str, outcome: str, seconds: float, rows: int) -> None:
        """Count a question to another service."""
        self.services[service, outcome] += 1
        self.service_times.setdefault(service, _Times()).add(seconds)
        self.service_rows[service] += rows


# --- who may read -------------------------------------------------------------------------------------------------------------


def answer(ask: Ask, address: str, service: Service) -> Answer:
    """Answer with all figures; raise UnauthorizedError or RefusedError for those who may not see them."""
    _require(ask, address, service)
    body = render(service).encode()
    return Answer(200, (("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")), body)


def _require(ask: Ask, address: str, service: Service) -> None:
    """Let in the machine itself, asking directly (not a proxy on it, not a page in its browser), or a token made for it."""
    if "authorization" in ask.headers:
        token = service.caller(ask, address).token
        if token is None or not may_read(token, READ):
            raise RefusedError(
                Text("Ce jeton ne permet pas de lire les mesures.", "This token does not allow reading the metrics."),
                hint=Text(f"`cityorchestra token new NOM --read {READ}`", f"`cityorchestra token new NAME --read {READ}`"),
            )
        return
    allowed = service.site.territory.serving.metrics == "loopback"
    if not allowed or not _is_loopback(address) or any(name in ask.headers for name in _FORWARDED):
        raise UnauthorizedError(Text("Les mesures demandent un jeton.", "The metrics take a token."))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


# --- writing ------------------------------------------------------------------------------------------------------------------


def render(service: Service) -> str:
    """Write all figures (Prometheus text-based format)."""
    metrics = service.metrics
    lines: list[str] = []
    for part in (
        _traffic(metrics), _queries(metrics), _services(metrics), _workers(service), _generation(service), _memory(service),
        _cache(service), _process(),
    ):  # fmt: skip
        lines += part
    return "\n".join(lines) + "\n"


def _sample(name: str, value: float, labels: Labels = ()) -> str:
    told = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
    number = f"{value:d}" if isinstance(value, int) else repr(float(value))
    return f"{name}{{{told}}} {number}" if told else f"{name} {number}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _family(name: str, kind: str, told: str, samples: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield _sample(name, value, labels)


def _one(name: str, kind: str, told: str, value: float) -> Iterator[str]:
    return _family(name, kind, told, [((), value)])


def _histogram(name: str, told: str, found: Mapping[Labels, _Times]) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} histogram"
    for labels, times in sorted(found.items()):
        total = 0
        for bound, count in zip((*map(repr, _BOUNDS), "+Inf"), times.counts, strict=True):
            total += count
            yield _sample(f"{name}_bucket", total, (*labels, ("le", bound)))
        yield _sample(f"{name}_sum", times.sum, labels)
        yield _sample(f"{name}_count", total, labels)


def _traffic(metrics: Metrics) -> Iterator[str]:
    counted = (
        ((("route", route), ("status", str(status))), count) for (route, status), count in sorted(metrics.requests.items())
    )
    yield from _family("cityorchestra_requests_total", "counter", "Answers sent, by class of route and status.", counted)
    times: dict[Labels, _Times] = {(("route", route),): found for route, found in metrics.times.items()}
    yield from _histogram("cityorchestra_request_seconds", "Seconds from request to last byte.", times)
    sizes = (((("route", route),), size) for route, size in sorted(metrics.sizes.items()))
    yield from _family("cityorchestra_response_bytes_total", "counter", "Bytes of bodies sent.", sizes)
    yield from _one("cityorchestra_requests_under_way", "gauge", "Requests that are being answered.", metrics.under_way)
    problems = (((("reason", reason),), count) for reason, count in sorted(metrics.problems.items()))
    yield from _family(
        "cityorchestra_rejected_total", "counter", "Problems that clients were told of: busy, timeout, budget, …", problems
    )
    yield from _one(
        "cityorchestra_broken_answers_total", "counter", "Answers that ended before they were whole.", metrics.broken
    )


def _queries(metrics: Metrics) -> Iterator[str]:
    return _histogram(
        "cityorchestra_query_seconds", "Seconds that the engine worked for one query.", {(): metrics.query_seconds}
    )


def _services(metrics: Metrics) -> Iterator[str]:
    """Tell what other services were asked."""
    asked = (((("service", name), ("outcome", outcome)), count) for (name, outcome), count in sorted(metrics.services.items()))
    yield from _family("cityorchestra_service_asked_total", "counter", "Questions to other services (SERVICE).", asked)
    times: dict[Labels, _Times] = {(("service", name),): found for name, found in metrics.service_times.items()}
    yield from _histogram("cityorchestra_service_seconds", "Seconds that another service took.", times)
    rows = (((("service", name),), count) for name, count in sorted(metrics.service_rows.items()))
    yield from _family("cityorchestra_service_rows_total", "counter", "Rows that other services sent.", rows)


def _workers(service: Service) -> Iterator[str]:
    pool = service.open_pool
    pids = pool.pids if pool else ()
    states = {"alive": len(pids), "idle": pool.idle if pool else 0, "long": pool.long if pool else 0}
    yield from _family(
        "cityorchestra_workers", "gauge", "Query processes: all, without a query, with a query that takes long.",
        (((("state", state),), count) for state, count in states.items()),
    )  # fmt: skip
    yield from _one("cityorchestra_queries_waiting", "gauge", "Queries that wait for a worker.", pool.waiting if pool else 0)
    yield from _one(
        "cityorchestra_workers_resident_bytes",
        "gauge",
        "Memory of all query processes; what they share counts for each.",
        sum(map(_resident, pids)),
    )


def _generation(service: Service) -> Iterator[str]:
    generation = service.generation
    yield from _one("cityorchestra_ready", "gauge", "1 when a generation is open and the newest can be opened.",
                    int(generation is not None and service.broken is None))  # fmt: skip
    if generation is not None:
        yield from _one("cityorchestra_generation", "gauge", "Number of the generation that answers.", generation.number)
        yield from _one("cityorchestra_generation_created_seconds", "gauge", "When it was published, as Unix time.",
                        generation.created.timestamp())  # fmt: skip
        yield from _one("cityorchestra_triples", "gauge", "Triples of the generation that answers.", generation.triples)
    yield from _family("cityorchestra_build_info", "gauge", "Which software answers.", [(_build(), 1)])


def _memory(service: Service) -> Iterator[str]:
    """Tell what of the generation is in memory, and why more is not."""
    yield from _family("cityorchestra_resident", "gauge", "1 when this is answered from memory, 0 when from disk.",
                       (((("process", name),), int(there)) for name, there in service.resident.items()))  # fmt: skip
    wanted = service.residence
    if wanted is not None:
        needed = {"web": wanted.web_bytes, "workers": wanted.workers_bytes}
        yield from _family("cityorchestra_resident_needed_bytes", "gauge", "Memory that it takes there at most, or wants.",
                           (((("process", name),), size) for name, size in needed.items()))  # fmt: skip
        if wanted.allowed is not None:
            yield from _one("cityorchestra_resident_allowed_bytes", "gauge", "Memory that both may take ([store] resident).",
                            wanted.allowed)  # fmt: skip


@cache
def _build() -> Labels:
    engines = tuple((package, version(package)) for package in ("pyoxigraph", "duckdb"))
    return (("version", __version__), ("python", platform.python_version()), *engines)


def _cache(service: Service) -> Iterator[str]:
    snapshot = service.open_snapshot
    hits = snapshot.answers.hits + snapshot.again.hits if snapshot else 0
    held = snapshot.answers.held + snapshot.again.held if snapshot else 0
    misses = snapshot.answers.misses if snapshot else 0
    yield from _one("cityorchestra_cache_hits_total", "counter", "Answers that were remembered, in this generation.", hits)
    yield from _one("cityorchestra_cache_misses_total", "counter", "Answers that had to be made, in this generation.", misses)
    yield from _one("cityorchestra_cache_bytes", "gauge", "Memory of remembered answers.", held)


def _resident(pid: int | str) -> int:
    """Read the resident memory of a process; nothing where /proc does not say, or when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _process() -> Iterator[str]:
    """Tell the usual figures of a process, under their usual names."""
    times = os.times()
    yield from _one("process_resident_memory_bytes", "gauge", "Memory of the web process.", _resident("self"))
    yield from _one("process_cpu_seconds_total", "counter", "Processor time of the web process.", times.user + times.system)
    try:
        count = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return
    yield from _one("process_open_fds", "gauge", "Open file descriptors of the web process.", count)
