"""Decide the RDF dataset of a request: what the client may see, narrowed to the graphs that it names."""

from __future__ import annotations

from cityorchestra_ld.governance.tokens import principal
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation, View
from cityorchestra_ld.store import Inspected
from cityorchestra_ld.web.callers import Caller
from cityorchestra_ld.web.protocol import SparqlRequest


class _Last:
    """The public view of the generation that was asked last."""

    generation: Generation | None = None
    seen: View


def _public(generation: Generation) -> View:
    """Return what anybody sees who names no graph; made once for each generation that is open."""
    if _Last.generation is not generation:
        _Last.seen = view(generation.graphs)
        _Last.generation = generation
    return _Last.seen


def decide(wanted: SparqlRequest, inspected: Inspected, caller: Caller, generation: Generation) -> View:
    """Decide the view: the graphs of the request win over the query's own FROM (SPARQL 1.1 Protocol, section 2.1.4)."""
    if wanted.default_graphs or wanted.named_graphs:
        asked = (wanted.default_graphs, wanted.named_graphs)
    else:
        asked = (inspected.from_default, inspected.from_named)
    if caller.token is None and not any(asked):
        return _public(generation)
    who = principal(caller.token, generation.graphs)
    return view(generation.graphs, principal=who, asked_default=asked[0], asked_named=asked[1])
