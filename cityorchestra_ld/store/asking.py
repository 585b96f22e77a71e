"""Put into one request to a worker what was asked, within which view, and how much of an answer there may be.

Requests for queries of known shapes within one view differ in little more than their texts: the rest is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from cityorchestra_ld.model import Generation, Limits, View
from cityorchestra_ld.store.frames import Request, Searches
from cityorchestra_ld.store.generations import Merged
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.merge import default_graphs
from cityorchestra_ld.store.shapes import Seen

_UNLIMITED: Final = 2**62
_JSON: Final = msgspec.json.Encoder()
_BEFORE: Final = b'{"text":'  # in each request: its text comes first
_TEXTLESS: Final = len(_BEFORE) + 2


@dataclass(slots=True)
class Question:
    """A query, who asks it, and what its answer may be."""

    asked: Inspected | Seen
    view: View | Callable[[Generation], View]
    media_type: str
    seconds: float
    client: str = ""
    rows: int | None = None
    spent: Callable[[float], None] | None = None
    searches: Searches | None = None
    brief: bool = False  # it will hardly take a millisecond, as others of its shape


@dataclass(slots=True)
class _Written:
    """Requests within one view of one generation, without their texts."""

    view: View
    generation: Generation
    merged: Merged | None
    rests: dict[tuple[str, str, bool, bool], tuple[bytes, int]] = field(default_factory=dict)  # and how many rows there may be


@dataclass(slots=True, kw_only=True)
class Asking:
    """What holds for all requests of a pool."""

    limits: Limits
    base: str | None  # what relative IRIs of queries start from
    _last: _Written | None = None

    def written(self, question: Question, view: View, generation: Generation, merged: Merged | None) -> tuple[bytes, int]:
        """Write the request for a question on a generation; tell of how many rows its answer may be."""
        asked = question.asked
        if isinstance(asked, Seen):
            return self._plain(asked, view, question.media_type, generation, merged)
        request = self.request(asked, view, question.media_type, generation, merged, question.rows, question.searches)
        return _JSON.encode(request), request.rows

    def _plain(
        self, seen: Seen, view: View, media_type: str, generation: Generation, merged: Merged | None
    ) -> tuple[bytes, int]:
        """Put the text of a query of a known shape before what is the same for all of them."""
        last, first, most = self._last, seen.shape.first, self.limits.result_rows
        if last is None or last.view is not view or last.generation is not generation or last.merged is not merged:
            last = self._last = _Written(view, generation, merged)
        name = media_type, first.form, first.limit is not None and first.limit <= most, "GRAPH" in seen.text.upper()
        rest = None if first.kind == "graph" else last.rests.get(name)  # a graph is written with the prefixes of its query
        if rest is None:
            request = self.request(seen.inspected, view, media_type, generation, merged)
            rest = last.rests[name] = _JSON.encode(msgspec.structs.replace(request, text=""))[_TEXTLESS:], request.rows
        return b"".join((_BEFORE, _JSON.encode(seen.capped(most)), rest[0])), rest[1]

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
