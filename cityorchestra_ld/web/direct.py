"""Plain queries that a worker answers at once: asked as they are read, and sent as the answer comes, without a task."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.web.again import ASKED, BEGAN, Whole
from cityorchestra_ld.web.asked import Begun, Flight
from cityorchestra_ld.web.dataset import decide
from cityorchestra_ld.web.http_ import Answer, new_request_id
from cityorchestra_ld.web.protocol import SparqlRequest
from cityorchestra_ld.web.spot import Plain

if TYPE_CHECKING:
    from cityorchestra_ld.store import Answer as Stream
    from cityorchestra_ld.web.service import Service
    from cityorchestra_ld.web.sparql import Endpoint
    from cityorchestra_ld.web.spot import Spot
    from cityorchestra_ld.web.watching import Watch

_LONG: Final = 0.1  # seconds that are counted for an answer which did not come at once
_NOTHING: Final = SparqlRequest(query=None)  # what a plain request says of graphs


class Reply(Protocol):
    """Where the answer to a request goes."""

    scope: Any
    address: bytes

    def is_clear(self) -> bool:
        """Tell whether a whole answer can be sent in one go."""

    def send(self, known: Whole, request_id: str) -> None:
        """Send one."""

    def go_on(self) -> None:
        """Have the application answer."""


class Direct:
    """Asks workers; whatever is not a small whole answer of the open generation goes on the long way, as far as it came."""

    def __init__(self, service: Service, endpoint: Endpoint, spot: Spot, watch: Watch) -> None:
        self._service, self._endpoint, self._spot, self._watch = service, endpoint, spot, watch
        self.metrics = service.metrics

    def ask(self, asked: object, reply: Reply) -> bool:
        """Put a query to a worker, if it is plain and nobody else asks the same; tell whether that was done."""
        pool, flights = self._service.open_pool, self._endpoint.flights
        if not isinstance(asked, Plain) or pool is None:
            return False
        shape, tag = asked.seen.shape, asked.tag
        if shape.small or shape.volatile or asked.seen.searching or tag in flights or tag in asked.snapshot.answers:
            return False
        way = _Way(self, asked, reply, flights.start(tag), time.perf_counter())
        client = asked.caller.name
        self.metrics.under_way += 1
        put = pool.ask(
            asked.seen, partial(decide, _NOTHING, shape.first, asked.caller), asked.offer.format.media_type, client=client,
            spent=partial(self._service.budget.charge, client), told=way.told, brief=shape.pace.is_brief,
        )  # fmt: skip
        if not put:
            self.metrics.under_way -= 1
            flights.end(tag, way.flight)
        return put

    def is_simple(self, asked: Plain, stream: Stream) -> bool:
        """Tell whether an answer is whole, says all, and comes from the generation that answers now."""
        if stream.end is None or stream.end.truncated or stream.head.search_limit:
            return False
        open_ = self._service.open_snapshot
        return open_ is asked.snapshot and stream.generation.number == asked.snapshot.generation.number

    def send(self, asked: Plain, flight: Flight, stream: Stream, reply: Reply, began: float) -> None:
        """Remember an answer, and send it."""
        if stream.end is not None:
            asked.seen.shape.pace.took(stream.end.seconds)
        snapshot, tag, form, body = asked.snapshot, asked.tag, asked.form, stream.taken()
        if stream.head.row_limit != form.rows:
            form = self._spot.form(snapshot, asked.seen.shape.first, asked.offer, stream.head.row_limit)
        snapshot.answers.missed()
        snapshot.answers.put(tag, Answer(200, form.lasting(tag), body))
        self._endpoint.known_as(tag, asked.query_string, asked.accept)
        self._endpoint.flights.end(tag, flight)
        known, request_id = form.whole(tag, self._service.budget.headers(asked.caller.name), body), new_request_id()
        reply.send(known, request_id)
        address = reply.scope["client"][0]
        self._watch.again(known, request_id, address, reply.address, time.perf_counter() - began)


@dataclass(slots=True)
class _Way:
    """One request on its way."""

    direct: Direct
    asked: Plain
    reply: Reply
    flight: Flight
    began: float

    def told(self, stream: Stream | None, error: CityOrchestraError | None) -> None:
        """Send what came, or have the application go on with it."""
        self.direct.metrics.under_way -= 1
        if stream is not None and self.direct.is_simple(self.asked, stream) and self.reply.is_clear():
            self.direct.send(self.asked, self.flight, stream, self.reply, self.began)
            return
        self.asked.seen.shape.pace.took(stream.end.seconds if stream is not None and stream.end else _LONG)
        scope = self.reply.scope
        scope[BEGAN] = self.began
        scope[ASKED] = self.asked.judged(Begun(self.asked.tag, self.flight, stream, error))
        self.reply.go_on()
