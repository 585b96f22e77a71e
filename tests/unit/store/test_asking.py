"""What goes to a worker with a query."""

from __future__ import annotations

import pytest

from cityorchestra_ld.model import Limits, View
from cityorchestra_ld.store.asking import Asking
from cityorchestra_ld.store.frames import Joined, Searches
from cityorchestra_ld.store.guard import inspect


class GENERATION:
    graphs = ()


def named(inspected, searches=None):
    view = View(default_graphs=("urn:g",), named_graphs=("urn:g", "urn:h"))
    asking = Asking(limits=Limits(), base=None)
    return asking.request(inspected, view, "text/csv", GENERATION, None, searches=searches).named_graphs


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT * { ?s ?p ?o }", 0), ("SELECT * { GRAPH ?g { ?s ?p ?o } }", 2), ("SELECT * { graph ?g { ?s ?p ?o } }", 2),
        ("ASK { FILTER NOT EXISTS { gRaPh <urn:h> { ?s ?p ?o } } }", 2), ("SELECT * FROM NAMED <urn:h> { ?s ?p ?o }", 0),
    ],
)  # fmt: skip
def test_named_graphs_go_with_queries_that_can_ask_for_one(text, count):
    assert len(named(inspect(text))) == count


def test_named_graphs_go_with_what_is_put_into_a_query_later():
    plain = inspect("SELECT * { ?s ?p ?o }")
    assert len(named(plain, Searches(found=(), cuts=()))) == 2
    object.__setattr__(plain, "joined", (Joined(at=0, end=0, text=""),))
    assert len(named(plain)) == 2
