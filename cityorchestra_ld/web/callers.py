"""Who asks: the bearer of a token or an address, and what each client may still spend."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cityorchestra_ld.errors import RefusedError, Text
from cityorchestra_ld.governance.tokens import Token, Tokens
from cityorchestra_ld.model import Limits
from cityorchestra_ld.web.http_ import Ask, Headers
from cityorchestra_ld.web.problems import TooManyError, UnauthorizedError

_REMEMBERED: Final = 20_000  # clients


@dataclass(frozen=True, slots=True)
class Caller:
    """One client: `name` is what budgets, queues and logs know it by."""

    name: str
    token: Token | None = None

    def steward(self) -> Token:
        """Return the token; raise UnauthorizedError when none was shown, RefusedError when it may change nothing."""
        if self.token is None:
            raise UnauthorizedError(Text("Il faut un jeton.", "A token is needed."))
        if not self.token.write:
            raise RefusedError(
                Text("Ce jeton ne permet pas de modifier.", "This token does not allow changes."),
                hint=Text("Demandez à l'administrateur du service.", "Ask the administrator of the service."),
            )
        return self.token


def identify(ask: Ask, address: str, tokens: Tokens) -> Caller:
    """Tell who asks (RFC 6750, section 2.1); raise UnauthorizedError for a token that we do not know."""
    shown = ask.headers.get("authorization")
    if shown is None:
        return stranger(address)
    scheme, _, secret = shown.partition(" ")
    token = tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise UnauthorizedError(
            Text("Ce jeton n'est pas connu, ou n'est plus valable.", "This token is not known, or no longer valid."),
            invalid=True,
        )
    return Caller(f"token {token.name}", token)


@lru_cache(maxsize=4096)
def stranger(address: str) -> Caller:
    """Name a caller who shows no token."""
    return Caller(_network(address))


def _network(address: str) -> str:
    """Take an IPv6 network of 64 bits as one client: one household has them all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


class Budget:
    """A bucket of query seconds for each client: it empties as queries run and fills with time."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        heard: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._heard = heard  # of the seconds of every query
        self._most = limits.client_seconds
        self._refill = limits.client_refill
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, client: str) -> float:
        """Return the seconds that a client may still spend; less than nothing after a query that took longer than that."""
        level, then = self._left.get(client, (self._most, 0.0))
        return min(self._most, level + (self._clock() - then) * self._refill)

    def require(self, client: str) -> None:
        """Raise TooManyError, with the time to wait, when a client has nothing left."""
        left = self.left(client)
        if self._most > 0 and left <= 0:
            raise TooManyError(math.ceil((1 - left) / self._refill) if self._refill > 0 else 3600)

    def charge(self, client: str, seconds: float) -> None:
        """Take what the engine worked for a query."""
        self._heard(seconds)
        self.take(client, seconds)

    def take(self, client: str, seconds: float) -> None:
        """Take seconds in which a client was worked for."""
        if self._most > 0:
            self._left[client] = (self.left(client) - seconds, self._clock())
            self._left.move_to_end(client)
            if len(self._left) > _REMEMBERED:
                self._left.popitem(last=False)

    def headers(self, client: str) -> Headers:
        """Tell a client its budget (draft-ietf-httpapi-ratelimit-headers)."""
        if self._most <= 0:
            return ()
        left = max(0.0, self.left(client))
        window = math.ceil(self._most / self._refill) if self._refill > 0 else 0
        full = math.ceil((self._most - left) / self._refill) if self._refill > 0 else 0
        return (
            ("RateLimit-Policy", f'"query-seconds";q={self._most:.0f};w={window}'),
            ("RateLimit", f'"query-seconds";r={left:.0f};t={full}'),
        )
