"""Decide which graphs a principal may see in one request: the one place where views are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.model import DEFAULT_ROLES, Access, Generation, GraphInfo, View

_BESIDE: Final = frozenset(("policy", "quality", "prov", "shapes", "scenario"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: a name for logs, and the graphs that are not public but open to them."""

    name: str = "anonymous"
    granted: frozenset[str] = frozenset()


ANONYMOUS: Final = Principal()


def public(generation: Generation) -> View:
    """Decide what anybody sees of a generation who asks for no graph in particular."""
    return view(generation.graphs)


def view(
    graphs: Sequence[GraphInfo],
    *,
    principal: Principal = ANONYMOUS,
    asked_default: Iterable[str] = (),
    asked_named: Iterable[str] = (),
) -> View:
    """
    Decide what one request sees: both graph lists of its RDF dataset (SPARQL 1.1 Protocol, section 2.1.4).

    A plain request sees the public current data as its default graph; policies, provenance, shapes and scenarios lie beside,
    in named graphs. A request that asks for graphs sees exactly these, as far as they are visible; a refused graph is absent,
    as one that does not exist. What is asked comes from the request's parameters or, when it has none, from the query's own
    FROM and FROM NAMED: the engine always gets both lists, and then it does not look at FROM.

    >>> view([GraphInfo(graph="g:a", role="data"), GraphInfo(graph="g:b", role="prov")]).default_graphs
    ('g:a',)
    """
    visible = [info for info in graphs if _visible(info, principal)]
    asked = (tuple(dict.fromkeys(asked_default)), tuple(dict.fromkeys(asked_named)))
    if asked[0] or asked[1]:
        names = frozenset(info.graph for info in visible)
        default = tuple(name for name in asked[0] if name in names)
        named = tuple(name for name in asked[1] if name in names)
    else:
        default = tuple(info.graph for info in visible if info.role in DEFAULT_ROLES)
        named = tuple(info.graph for info in visible)
    return View(
        default_graphs=default,
        named_graphs=named,
        name=_name(principal, default, named, asked=bool(asked[0] or asked[1])),
        reasons=tuple(_reasons(visible, principal, asked=bool(asked[0] or asked[1]))),
    )


def _visible(info: GraphInfo, principal: Principal) -> bool:
    """Tell whether a principal may see a graph; a role that we do not know is not shown."""
    if info.role not in DEFAULT_ROLES and info.role not in _BESIDE:
        return False
    return info.access is Access.PUBLIC or info.graph in principal.granted


def _name(principal: Principal, default: Sequence[str], named: Sequence[str], *, asked: bool) -> str:
    """Name the view so that two views with other lists never share a name: caches rely on it."""
    if principal == ANONYMOUS and not asked:
        return "public"
    digest = hashlib.sha256("\n".join((*default, "", *named)).encode()).hexdigest()
    return f"{principal.name}-{digest[:24]}"


def _reasons(visible: Sequence[GraphInfo], principal: Principal, *, asked: bool) -> Iterable[str]:
    public = sum(info.access is Access.PUBLIC for info in visible)
    yield f"{public} public graphs"
    if len(visible) > public:
        yield f"{len(visible) - public} graphs granted to {principal.name}"
    if asked:
        yield "restricted to the graphs that the request names"
