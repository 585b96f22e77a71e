"""One query of one client, judged, and who else waits for the same answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.formats import Offer
from cityorchestra_ld.store import Answer as Stream
from cityorchestra_ld.store import Inspected
from cityorchestra_ld.web.callers import Caller
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.protocol import SparqlRequest

if TYPE_CHECKING:
    from cityorchestra_ld.web.federation import Questions

Flight = asyncio.Future[CityOrchestraError | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of one client, judged."""

    ask: Ask
    wanted: SparqlRequest
    caller: Caller
    inspected: Inspected
    offer: Offer
    questions: Questions | None = None  # that were put to other services
    small: bool = True  # whether it may be answered in this process
    tags: dict[int, str | None] = field(default_factory=dict)  # of its answer, by generation
    begun: Begun | None = None  # it was put to a worker already

    def judged(self) -> Asked:
        """Return this."""
        return self


@dataclass(frozen=True, slots=True)
class Begun:
    """A query that was put to a worker, as far as that came; whoever asks the same waits for the flight."""

    tag: str
    flight: Flight
    stream: Stream | None
    error: CityOrchestraError | None


class Flights:
    """The queries under way, by the tags of their answers: who asks the same waits."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def __contains__(self, tag: str) -> bool:
        """Tell whether somebody asks for this."""
        return tag in self._flights

    def get(self, tag: str) -> Flight | None:
        """Return what to wait for, if somebody asks for this."""
        return self._flights.get(tag)

    def start(self, tag: str) -> Flight:
        """Let whoever asks the same wait from now on."""
        flight = self._flights[tag] = asyncio.get_running_loop().create_future()
        return flight

    def end(self, tag: str, flight: Flight, failure: CityOrchestraError | None = None) -> None:
        """Let whoever waits go on; a query that failed for one has failed for all of them."""
        if not flight.done():
            flight.set_result(failure)
        if self._flights.get(tag) is flight:
            del self._flights[tag]
