"""Ask other services what queries ask of them (`SERVICE`): those that the territory allows, before a worker runs.

Each question goes out in a process of its own. Only the block itself is sent, never the rest of the query, nor who asks.
"""

from __future__ import annotations

import asyncio
import math
import os
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from cityorchestra_ld.errors import BusyError, CityOrchestraError, Place, QueryError, Text
from cityorchestra_ld.model import RemoteService
from cityorchestra_ld.store import Inspected
from cityorchestra_ld.store.answers import deadline_error
from cityorchestra_ld.store.errands import Brought, Errand, Trouble
from cityorchestra_ld.store.federating import Block, find_blocks, joined, nothing, probe
from cityorchestra_ld.store.frames import Joined
from cityorchestra_ld.store.lexer import place
from cityorchestra_ld.store.syntax import syntax_error
from cityorchestra_ld.store.waiting import FairQueue, QueueFullError
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web import request_log
from cityorchestra_ld.web.callers import Budget
from cityorchestra_ld.web.children import ChildDiedError, run_child
from cityorchestra_ld.web.http_ import Headers
from cityorchestra_ld.web.metrics import Metrics
from cityorchestra_ld.web.problems import ServiceError, ServiceTimeoutError

_MODULE: Final = "cityorchestra_ld.store.service_main"
_WAITING: Final = 8  # questions that may wait for each that is asked
_LONG: Final = 5_000  # letters of a query
_FAILED: Final[frozenset[Trouble]] = frozenset(("address", "unreachable", "slow", "status", "form"))  # what SILENT is about


@dataclass(slots=True)
class Questions:
    """What became of the questions of one query, for its log and its headers."""

    told: list[request_log.Errand] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # services that failed a SERVICE SILENT
    asked: list[RemoteService] = field(default_factory=list)

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licences of what came from elsewhere, those that are addresses."""
        return tuple(one.licence for one in self.asked if one.licence and one.licence.startswith(("http:", "https:")))

    def headers(self) -> Headers:
        """Say which services are missing in an answer."""
        return (("X-Service-Failed", ", ".join(dict.fromkeys(self.failed))),) if self.failed else ()


class _Gate:
    """Lets so many questions to one service through at once; the others wait, client by client."""

    def __init__(self, service: RemoteService) -> None:
        self._service = service
        self._free = service.at_once
        self._queue: FairQueue[None] = FairQueue(service.at_once * _WAITING, lambda _: self.leave())

    async def enter(self, client: str, seconds: float) -> None:
        """Wait for a place; raise BusyError when too many wait, or for too long."""
        if self._free:
            self._free -= 1
            return
        try:
            async with asyncio.timeout(seconds):
                await self._queue.wait(client)
        except (QueueFullError, TimeoutError):
            name = self._service.name
            error = BusyError(
                Text(f"Trop de requêtes interrogent « {name} ».", f"Too many queries are asking '{name}'."),
                hint=Text("Réessayez dans quelques secondes.", "Try again in a few seconds."),
            )
            error.retry_after = math.ceil(self._service.seconds)
            raise error from None

    def leave(self) -> None:
        """Give the place to whoever waits."""
        if self._queue.offer(None) is None:
            self._free += 1


class Federation:
    """The services that queries may ask."""

    def __init__(self, territory: Territory, budget: Budget, metrics: Metrics) -> None:
        self.services = {service.address: service for service in territory.services}
        self._gates = {address: _Gate(service) for address, service in self.services.items()}
        self._base = f"{territory.base_iri}sparql"
        self._blank = f"{territory.base_iri}.well-known/genid/"  # RDF 1.1 Concepts, section 3.5
        self._seconds = territory.limits.query_seconds
        self._budget, self._metrics = budget, metrics

    @property
    def open(self) -> bool:
        """Tell whether any service may be asked."""
        return bool(self.services)

    def blocks(self, text: str) -> tuple[Block, ...]:
        """List what a query asks of others; raise QueryError for a block that we do not send, with its place."""
        found = find_blocks(text, self._base)
        for block in found:
            if block.address not in self.services:
                names = " ".join(f"{service.name} <{service.address}>" for service in self.services.values())
                raise QueryError(
                    Text(
                        f"SERVICE <{block.address}> : ce service n'est pas autorisé ici.",
                        f"SERVICE <{block.address}>: this service is not allowed here.",
                    ),
                    place=place(text, block.at),
                    hint=Text(
                        f"Services autorisés : {names}. L'exploitant en ajoute par [[sparql.service]] dans territory.toml.",
                        f"Allowed services: {names}. The operator adds one by [[sparql.service]] in territory.toml.",
                    ),
                )
        return found

    async def join(
        self, inspected: Inspected, deadline: float | None, client: str, scope: MutableMapping[str, Any]
    ) -> tuple[Inspected, float, Questions]:
        """
        Ask what a query asks of others, all at once; return it with their rows, the seconds that are left, and what happened.

        Raises QueryError for a block that is not sent or that brings too many rows, ServiceError when a service fails
        (ServiceTimeoutError when it is too slow), BusyError when too many ask it, QueryTimeoutError at the deadline.
        """
        text, questions = inspected.text, Questions()
        scope["services"] = questions.told  # for the log
        seconds = min(self._seconds, deadline or math.inf)
        blocks = self.blocks(text) if len(text) < _LONG else await asyncio.to_thread(self.blocks, text)
        loop = asyncio.get_running_loop()
        began = loop.time()
        asking = _Asking(self, text, probe(text, blocks), client, seconds, began + seconds, questions)
        tasks = [loop.create_task(asking.ask(block)) for block in blocks]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._budget.take(client, loop.time() - began)
        return replace(inspected, joined=tuple(found)), asking.left(), questions

    def gate(self, service: RemoteService) -> _Gate:
        """Return what a question to a service has to pass."""
        return self._gates[service.address]

    def errand(self, block: Block, service: RemoteService, check: str, seconds: float) -> Errand:
        """Write what a process is to do."""
        return Errand(
            parent=os.getpid(), check=check, base=self._base, address=service.address, private=service.private,
            certificates=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
            asked=block.asked, variables=block.variables, blank=f"{self._blank}{secrets.token_hex(8)}-",
            seconds=seconds, rows=service.rows, max_bytes=service.max_bytes,
        )  # fmt: skip

    def heard(self, service: RemoteService, outcome: str, seconds: float, rows: int) -> None:
        """Hear what became of a question."""
        self._metrics.asked(service.name, outcome, seconds, rows)


@dataclass(frozen=True, slots=True)
class _Asking:
    """The questions of one query."""

    federation: Federation
    text: str
    check: str
    client: str
    seconds: float  # that the whole query may take
    ends: float
    questions: Questions

    async def ask(self, block: Block) -> Joined:
        """Ask one block, once its turn has come."""
        service = self.federation.services[block.address]
        gate = self.federation.gate(service)
        await gate.enter(self.client, self.left())
        try:
            brought = await self._send(block, service)
        finally:
            gate.leave()
        if brought.trouble is None:
            self.questions.asked.append(service)
            return joined(block, brought.text)
        if block.silent and brought.trouble in _FAILED:
            self.questions.failed.append(service.name)
            return nothing(block)
        raise self._error(block, service, brought.trouble, brought.said)

    def left(self) -> float:
        """Return the seconds that are left for the query; raise QueryTimeoutError when there are none."""
        left = self.ends - asyncio.get_running_loop().time()
        if left <= 0:
            raise deadline_error(self.seconds)
        return left

    async def _send(self, block: Block, service: RemoteService) -> Brought:
        loop = asyncio.get_running_loop()
        began, left = loop.time(), self.left()
        seconds = min(service.seconds, left)
        errand = self.federation.errand(block, service, self.check, seconds)
        brought = Brought(trouble="memory")
        try:
            said = await run_child(_MODULE, msgspec.json.encode(errand), seconds)
            brought = msgspec.json.decode(said, type=Brought)
        except TimeoutError:
            brought = Brought(trouble="slow")
        except ChildDiedError:
            pass
        finally:
            took, outcome = loop.time() - began, brought.trouble or "ok"
            self.questions.told.append(request_log.Errand(service.name, round(took * 1000, 1), brought.rows, outcome))
            self.federation.heard(service, outcome, took, brought.rows)
        if brought.trouble == "slow" and seconds == left:
            raise deadline_error(self.seconds)
        return brought

    def _error(self, block: Block, service: RemoteService, trouble: Trouble, said: str) -> CityOrchestraError:
        where = place(self.text, block.at)
        if trouble == "syntax":
            return syntax_error(self.text, said)
        if trouble == "rows":
            return _too_many(service, where)
        fr, en = _WORDS[trouble]
        kind = ServiceTimeoutError if trouble == "slow" else ServiceError
        more = {"seconds": f"{service.seconds:g}", "bytes": service.max_bytes}
        tells = said and trouble != "address"  # where a name leads in our own network is for nobody
        quoted = f" ({said.rstrip('.')})." if tells else "."
        return kind(
            Text(f"Le service « {service.name} » {fr.format(**more)}{quoted}", f"'{service.name}' {en.format(**more)}{quoted}"),
            place=where,
            hint=_HINTS.get(trouble),
        )


_WORDS: Final[dict[Trouble, tuple[str, str]]] = {
    "address": ("n'a pas une adresse publique", "has no public address"),
    "unreachable": ("est injoignable", "cannot be reached"),
    "slow": ("n'a pas répondu en {seconds} s", "did not answer within {seconds} s"),
    "status": ("refuse la question ou ne peut pas y répondre", "refuses the question or cannot answer it"),
    "form": ("n'a pas répondu par une table de résultats en JSON", "did not answer with a table of results in JSON"),
    "cut": ("a coupé sa réponse", "has cut its answer"),
    "size": ("a répondu par plus de {bytes} octets", "answered with more than {bytes} bytes"),
    "terms": ("a répondu par un triplet, et non par un terme", "answered with a triple as a term"),
    "memory": ("a répondu par plus que ce qui peut être lu", "answered with more than can be read"),
}  # fmt: skip
_LESS: Final = Text("Demandez-lui moins.", "Ask it for less.")
_HINTS: Final[dict[Trouble, Text]] = {
    "slow": Text("Ajoutez des conditions dans le bloc SERVICE.", "Add conditions inside the SERVICE block."),
    "address": Text("L'exploitant peut écrire private = true.", "The operator may write private = true."),
    "cut": _LESS,
    "size": _LESS,
    "memory": _LESS,
}


def _too_many(service: RemoteService, where: Place) -> QueryError:
    return QueryError(
        Text(
            f"Ce bloc SERVICE a plus de {service.rows} lignes à « {service.name} ».",
            f"This SERVICE block has more than {service.rows} rows at '{service.name}'.",
        ),
        place=where,
        hint=Text(
            "Il est évalué seul : ajoutez-y des conditions, VALUES, ou un sous-SELECT avec LIMIT.",
            "It is evaluated alone: add conditions inside it, VALUES, or a sub-SELECT with LIMIT.",
        ),
    )
