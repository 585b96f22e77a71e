"""Put into one request to a worker what was asked, within which view, and how much of an answer there may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from cityorchestra_ld.model import Generation, Limits, View
from cityorchestra_ld.store.frames import Request, Searches
from cityorchestra_ld.store.generations import Merged
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.merge import default_graphs

_UNLIMITED: Final = 2**62


@dataclass(slots=True, kw_only=True)
class Question:
    """A query, who asks it, and what its answer may be."""

    inspected: Inspected
    view: View | Callable[[Generation], View]
    media_type: str
    seconds: float
    client: str = ""
    rows: int | None = None
    spent: Callable[[float], None] | None = None
    searches: Searches | None = None
    brief: bool = False  # it will hardly take a millisecond, as others of its shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What holds for all requests of a pool."""

    limits: Limits
    base: str | None  # what relative IRIs of queries start from

    def request(
        self,
        inspected: Inspected,
        view: View,
        media_type: str,
        generation: Generation,
        merged: Merged | None,
        most: int | None = None,
        searches: Searches | None = None,
    ) -> Request:
        """Make the request for a query on a generation, of at most so many rows, with what it searches by name."""
        rows = min(self.limits.result_rows, most or _UNLIMITED)
        own = inspected.form == "SELECT" and inspected.limit is not None and inspected.limit <= rows
        default = default_graphs(view, merged)
        named = view.named_graphs if searches is not None or inspected.joined or "GRAPH" in inspected.text.upper() else ()
        return Request(
            text=inspected.capped(rows),
            default_graphs=default,
            named_graphs=list(named),  # none for a query that cannot ask for one: there may be many
            media_type=media_type,
            rows=_UNLIMITED if own else rows,
            prefixes=dict(inspected.prefixes) if inspected.kind == "graph" else {},
            base=self.base,
            joined=inspected.joined,
            searches=searches and msgspec.structs.replace(searches, default_graphs=view.default_graphs),
            triples=_triples(generation, (*default, *named)) if len(default) > 1 else 0,
        )


def _triples(generation: Generation, graphs: Sequence[str]) -> int:
    """Count the triples of the graphs of a request; more than there can be for the merge, which is never copied."""
    sizes = {info.graph: info.triples for info in generation.graphs}
    return sum(sizes.get(name, _UNLIMITED) for name in graphs)
