"""A view holds what a principal may see: nothing more, and without saying what is missing."""

from __future__ import annotations

import pytest

from cityorchestra_ld.governance.views import ANONYMOUS, Principal, view
from cityorchestra_ld.model import Access, GraphInfo

PLAIN = ("ontology", "codelist", "catalog", "ref", "data", "live")
BESIDE = ("policy", "quality", "prov", "shapes", "scenario")
GRAPHS = [
    *(GraphInfo(graph=f"g:{role}", role=role) for role in (*PLAIN, *BESIDE)),  # type: ignore[arg-type]
    GraphInfo(graph="g:restricted", role="data", access=Access.RESTRICTED),
    GraphInfo(graph="g:confidential", role="prov", access=Access.CONFIDENTIAL),
]
PARTNER = Principal(name="keolis", granted=frozenset(["g:restricted", "g:unknown"]))


def test_a_plain_request_sees_public_data_and_finds_the_rest_beside() -> None:
    seen = view(GRAPHS)
    assert seen.default_graphs == tuple(f"g:{role}" for role in PLAIN)
    assert seen.named_graphs == tuple(f"g:{role}" for role in (*PLAIN, *BESIDE))
    assert seen.name == "public"
    assert seen.reasons == ("11 public graphs",)


@pytest.mark.parametrize("access", [access for access in Access if access is not Access.PUBLIC])
def test_only_public_graphs_are_public(access: Access) -> None:
    assert view([GraphInfo(graph="g:x", role="data", access=access)]).named_graphs == ()


def test_a_role_that_we_do_not_know_is_not_shown() -> None:
    assert view([GraphInfo(graph="g:x", role="secret")]).named_graphs == ()  # type: ignore[arg-type]


def test_a_grant_opens_one_graph_to_one_principal() -> None:
    seen = view(GRAPHS, principal=PARTNER)
    assert "g:restricted" in seen.default_graphs
    assert "g:restricted" in seen.named_graphs
    assert "g:confidential" not in seen.named_graphs
    assert "g:unknown" not in seen.named_graphs
    assert "g:restricted" not in view(GRAPHS, principal=ANONYMOUS).named_graphs
    assert "1 graphs granted to keolis" in seen.reasons


def test_a_request_sees_exactly_the_graphs_that_it_asks_for() -> None:
    seen = view(GRAPHS, asked_default=["g:prov", "g:data", "g:prov"], asked_named=["g:scenario"])
    assert seen.default_graphs == ("g:prov", "g:data")
    assert seen.named_graphs == ("g:scenario",)
    only_named = view(GRAPHS, asked_named=["g:data"])
    assert (only_named.default_graphs, only_named.named_graphs) == ((), ("g:data",))


def test_a_refused_graph_looks_like_one_that_does_not_exist() -> None:
    refused = view(GRAPHS, asked_default=["g:restricted"], asked_named=["g:confidential"])
    absent = view(GRAPHS, asked_default=["g:nothing"], asked_named=["g:nowhere"])
    assert refused == absent
    assert (refused.default_graphs, refused.named_graphs) == ((), ())


def test_views_with_other_lists_never_share_a_name() -> None:
    views = [
        view(GRAPHS),
        view(GRAPHS, principal=PARTNER),
        view(GRAPHS, asked_default=["g:data"]),
        view(GRAPHS, asked_named=["g:data"]),
        view(GRAPHS, asked_default=["g:data", "g:prov"]),
        view(GRAPHS, asked_default=["g:data"], asked_named=["g:prov"]),
        view(GRAPHS, asked_default=["g:restricted"], principal=PARTNER),
        view(GRAPHS, asked_default=["g:nothing"]),
    ]
    assert len({(seen.default_graphs, seen.named_graphs) for seen in views}) == len(views)
    assert len({seen.name for seen in views}) == len(views)
