"""The routes of the SPARQL service and of its stewards, and which methods an address takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from cityorchestra_ld.web.drafts import Drafts
from cityorchestra_ld.web.exports import Exports
from cityorchestra_ld.web.graph_store import GraphStore
from cityorchestra_ld.web.openapi import described
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.sparql import Endpoint

_ORDER: Final = ("GET", "HEAD", "QUERY", "POST", "PUT", "DELETE", "OPTIONS")


def add_service(app: Starlette, service: Service, endpoint: Endpoint) -> Exports:
    """Add the routes; return the exports, which start and stop with the service."""
    graphs, drafts, exports = GraphStore(service), Drafts(service), Exports(service)
    routes = (
        ("/sparql", endpoint.answer, ["GET", "POST", "QUERY"]),
        ("/sparql/", endpoint.answer, ["POST", "QUERY"]),
        ("/sparql/explain", endpoint.answer, ["GET", "POST", "QUERY"]),
        ("/graph-store", graphs.answer, ["GET", "PUT", "POST", "DELETE"]),
        ("/graph-store/{name:path}", graphs.answer, ["GET", "PUT", "POST", "DELETE"]),
        ("/drafts", drafts.collection, ["GET", "POST"]),
        ("/drafts/{name}", drafts.one, ["GET", "DELETE"]),
        ("/drafts/{name}/update", drafts.update, ["POST"]),
        ("/drafts/{name}/sparql", drafts.query, ["GET", "POST", "QUERY"]),
        ("/drafts/{name}/publish", drafts.publish, ["POST"]),
        ("/exports", exports.order, ["POST"]),
        ("/exports/{id}", exports.state, ["GET", "DELETE"]),
        ("/exports/{id}/file", exports.file, ["GET"]),
        ("/openapi.json", described(service), ["GET"]),
    )
    for path, handler, methods in routes:
        app.router.routes.append(Route(path, handler, methods=methods, include_in_schema=False))
    return exports


def allowed(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """List the methods that an address takes, as an `Allow` header has them; nothing when nobody answers there."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return ", ".join(method for method in _ORDER if method in found | {"OPTIONS"}) if found else ""
