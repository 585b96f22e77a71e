"""Describe the whole service as OpenAPI, from the route table and what is said here of each route."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cityorchestra_ld import __version__
from cityorchestra_ld.formats import (
    DOCUMENT_FORMATS,
    HTML,
    JSON_LD,
    N_TRIPLES,
    QUERY_GRAPH_FORMATS,
    QUERY_RESULT_FORMATS,
    RDF_XML,
    TURTLE,
)
from cityorchestra_ld.web import api_openapi
from cityorchestra_ld.web.http_ import ask_from, etag, is_fresh
from cityorchestra_ld.web.service import Service

Document = dict[str, Any]  # a part of the OpenAPI document itself
_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_METHODS: Final = ("GET", "POST", "PUT", "DELETE")
_TITLES: Final = {
    400: "Malformed: the problem has the position and a hint", 401: "A token is needed", 403: "The token does not allow this",
    404: "Not there, or not visible", 405: "Method not allowed", 406: "None of the forms asked for", 409: "Conflict",
    410: "Gone; the tombstone says when and why",
    412: "Changed in the meantime", 413: "Too large", 415: "Unsupported type of content", 422: "Does not conform to the shapes",
    429: "Budget of query seconds spent", 502: "A service that the query names failed",
    503: "Busy, stopped at a limit, or nothing published yet", 504: "A service that the query names was too slow",
}  # fmt: skip
_GOOD: Final = {
    200: "The answer", 201: "Made", 202: "Taken; the Location tells how it stands", 204: "Done", 206: "A part",
    303: "See the document", 301: "Moved for good", 302: "See the state of that moment", 304: "Still the same",
    416: "No such part",
}  # fmt: skip
_GRAPHS: Final = tuple(form.media_type for form in (TURTLE, JSON_LD, N_TRIPLES, RDF_XML))
_ANSWERS: Final = tuple(dict.fromkeys(form.media_type for form in (*QUERY_RESULT_FORMATS, *QUERY_GRAPH_FORMATS, HTML)))
_DOCUMENTS: Final = tuple(form.media_type for form in DOCUMENT_FORMATS)
_JSON: Final = ("application/json",)
_FORMS: Final = (*_DOCUMENTS, "application/geo+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is said of one method of one route."""

    summary: str
    types: tuple[str, ...] = ()
    good: tuple[int, ...] = (200,)
    bad: tuple[int, ...] = (400, 404, 406, 503)
    query: tuple[Document, ...] = ()
    body: Document | None = None
    token: bool = False


def _field(name: str, about: str, *, many: bool = False, required: bool = False, kind: Document | None = None) -> Document:
    schema: Document = kind or {"type": "string"}
    return {
        "name": name, "in": "query", "description": about, "required": required,
        "schema": {"type": "array", "items": schema} if many else schema,
    }  # fmt: skip


def _body(*types: str, form: Iterable[Document] = ()) -> Document:
    content: Document = {name: {"schema": {"type": "string"}} for name in types}
    fields = list(form)
    if fields:
        content["application/x-www-form-urlencoded"] = {
            "schema": {
                "type": "object",
                "properties": {field["name"]: field["schema"] for field in fields},
                "required": [field["name"] for field in fields if field["name"] in ("query", "update")],
            }
        }
    return {"required": True, "content": content}


_IRI: Final[Document] = {"type": "string", "format": "uri"}
_QUERY: Final = (
    _field("query", "A SPARQL 1.1 query"),
    _field("default-graph-uri", "Graphs of the default graph", many=True, kind=_IRI),
    _field("named-graph-uri", "Named graphs", many=True, kind=_IRI),
    _field("format", "A form, in place of Accept: json, csv, geojson, parquet, arrow, ttl, trig…"),
    _field("timeout", "A shorter deadline, in seconds", kind={"type": "number", "exclusiveMinimum": 0}),
    _field("explain", "1 to explain instead of to answer"),
)
_SPARQL: Final = (400, 401, 403, 404, 406, 413, 415, 429, 502, 503, 504)
_STEWARD: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_WRITE: Final = (400, 401, 403, 404, 409, 412, 413, 415, 422, 503)
_GRAPH: Final = (
    _field("graph", "The graph's IRI", kind=_IRI),
    _field("default", "The default graph"),
    _field("format", "A form, in place of Accept"),
)
_TURTLE: Final = tuple(form.media_type for form in QUERY_GRAPH_FORMATS)
_FORM: Final = (
    _field("format", "The form, instead of the Accept header"), _field("_profile", "The profile: a token or an IRI"),
    _field("page", "The page of a long description, from 1"), _field("lang", "The language of names: fr or en"),
)  # fmt: skip
_DRAFT: Final[Document] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"},
                    "graphs": {"type": "array", "items": _IRI},
                },
                "required": ["name"],
                "additionalProperties": False,
            }
        }
    },
}
_ASKING: Final = Operation(
    summary="Query (SPARQL 1.1 Protocol)", types=(*_ANSWERS, "application/json"), bad=_SPARQL, query=_QUERY
)
_POSTED: Final = Operation(
    summary="Query by a form or by the query itself", types=(*_ANSWERS, "application/json"), bad=_SPARQL,
    query=tuple(field for field in _QUERY if field["name"] != "query"),
    body=_body("application/sparql-query", form=_QUERY),
)  # fmt: skip
_SAID: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/sparql"): _ASKING,
    ("POST", "/sparql"): _POSTED,
    ("GET", "/sparql/explain"): Operation(
        summary="Explain a query: its view, what its patterns match, what multiplies", types=_JSON, bad=_SPARQL,
        query=(_field("query", "A SPARQL 1.1 query", required=True),),
    ),
    ("POST", "/sparql/explain"): Operation(
        summary="Explain a query", types=_JSON, bad=_SPARQL, body=_body("application/sparql-query", form=_QUERY)
    ),
    ("GET", "/graph-store"): Operation(summary="Read a graph", types=_TURTLE, bad=_SPARQL, query=_GRAPH),
    ("PUT", "/graph-store"): Operation(
        summary="Replace a graph, validated, as a new version", good=(201, 204), bad=_WRITE, query=_GRAPH,
        body=_body(*_GRAPHS), token=True,
    ),
    ("POST", "/graph-store"): Operation(
        summary="Add to a graph, or make one", good=(201, 204), bad=_WRITE, query=_GRAPH, body=_body(*_GRAPHS), token=True
    ),
    ("DELETE", "/graph-store"): Operation(summary="Drop a graph", good=(204,), bad=_WRITE, query=_GRAPH, token=True),
    ("GET", "/graph-store/{name}"): Operation(summary="Read a graph of ours", types=_TURTLE, bad=_SPARQL),
    ("PUT", "/graph-store/{name}"): Operation(
        summary="Replace a graph of ours", good=(201, 204), bad=_WRITE, body=_body(*_GRAPHS), token=True
    ),
    ("POST", "/graph-store/{name}"): Operation(
        summary="Add to a graph of ours", good=(201, 204), bad=_WRITE, body=_body(*_GRAPHS), token=True
    ),
    ("DELETE", "/graph-store/{name}"): Operation(summary="Drop a graph of ours", good=(204,), bad=_WRITE, token=True),
    ("GET", "/drafts"): Operation(summary="List your drafts", types=_JSON, bad=_STEWARD, token=True),
    ("POST", "/drafts"): Operation(summary="Make a draft", types=_JSON, good=(201,), bad=_STEWARD, body=_DRAFT, token=True),
    ("GET", "/drafts/{name}"): Operation(summary="See what a draft changes", types=_JSON, bad=_STEWARD, token=True),
    ("DELETE", "/drafts/{name}"): Operation(summary="Throw a draft away", good=(204,), bad=_STEWARD, token=True),
    ("POST", "/drafts/{name}/update"): Operation(
        summary="Change a draft (SPARQL 1.1 Update)", good=(204,), bad=_STEWARD, token=True,
        body=_body("application/sparql-update", form=(_field("update", "A SPARQL 1.1 update"),)),
    ),
    ("GET", "/drafts/{name}/sparql"): Operation(
        summary="Query a draft", types=_ANSWERS, bad=(*_STEWARD, 406), query=_QUERY[:4], token=True
    ),
    ("POST", "/drafts/{name}/sparql"): Operation(
        summary="Query a draft", types=_ANSWERS, bad=(*_STEWARD, 406), token=True,
        body=_body("application/sparql-query", form=_QUERY[:4]),
    ),
    ("POST", "/drafts/{name}/publish"): Operation(summary="Publish a draft", types=_JSON, bad=_WRITE, token=True),
    ("POST", "/exports"): Operation(
        summary="Order a long export", types=_JSON, good=(202,), bad=_SPARQL,
        body=_body("application/sparql-query", form=_QUERY[:4]),
    ),
    ("GET", "/exports/{id}"): Operation(summary="How an export stands", types=_JSON, bad=(400, 401, 404)),
    ("DELETE", "/exports/{id}"): Operation(summary="Throw an export away", good=(204,), bad=(401, 404, 409)),
    ("GET", "/exports/{id}/file"): Operation(summary="The file", types=("*/*",), good=(200, 206), bad=(401, 404, 409, 416)),
    ("GET", "/openapi.json"): Operation(summary="This description", types=("application/json",), bad=(405,)),
    ("GET", "/id/{name}"): Operation(
        summary="A thing: see its document, or what replaces it", good=(301, 303), bad=(400, 404, 410, 503)
    ),
    ("GET", "/doc/{name}"): Operation(
        summary="The document about a thing; Accept-Datetime leads to an older state", types=_FORMS,
        good=(200, 301, 302, 303), bad=(400, 404, 406, 410, 503), query=_FORM,
    ),
    ("GET", "/memento/{moment}/{name}"): Operation(
        summary="A document as it was (RFC 7089)", types=_FORMS, good=(200, 301, 302, 303), bad=(400, 404, 406, 410, 503),
        query=_FORM,
    ),
    ("GET", "/timemap/{name}"): Operation(summary="The states of a document that are kept", types=("application/link-format",)),
    ("GET", "/links"): Operation(
        summary="What points to a thing, page by page", types=_DOCUMENTS,
        query=(
            _field("iri", "The thing", required=True), _field("property", "Links by this property alone"),
            _field("page", "The number of the page, from 1"),
        ),
    ),
}  # fmt: skip
_ANY: Final = Operation(
    summary="Read", types=("*/*",), good=(200, 202, 204, 301, 303), bad=(400, 401, 403, 404, 406, 413, 422, 429, 503)
)
_WRITTEN: Final = Operation(summary="Change", types=("*/*",), good=(200, 201, 202, 204, 303), bad=_WRITE)


def describe(service: Service, routes: Iterable[Route]) -> Document:
    """Make the document (OpenAPI 3.1); a route that nothing is said of is described by its methods alone."""
    paths: Document = {}
    listed = [(route.path, sorted(route.methods or ())) for route in routes]
    for path, methods in [*listed, ("/id/{name:path}", ["GET"]), ("/doc/{name:path}", ["GET"])]:
        plain = _PARAMETER.sub(r"{\1}", path)
        if plain.endswith("/") and plain != "/":
            continue
        item = paths.setdefault(plain, {})
        for method in methods:
            if method in _METHODS:
                said = _SAID.get((method, plain)) or (_ANY if method == "GET" else _WRITTEN)
                item[method.lower()] = _operation(method, plain, said)
    paths.pop("/api/queries/{name}", None)
    paths |= api_openapi.paths(service.site)
    territory = service.site.territory
    return {
        "openapi": "3.1.0",
        "info": {
            "title": territory.name.en, "version": __version__,
            "description": "SPARQL, linked data, graphs and exports. Errors are problem details (RFC 9457).",
        },
        "servers": [{"url": territory.base_iri.rstrip("/")}, {"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
        },
    }  # fmt: skip


def _operation(method: str, path: str, said: Operation) -> Document:
    parameters: list[Document] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _PARAMETER.findall(path)
    ]
    content: Document = {name: {} for name in said.types}
    responses: Document = {
        str(status): {"description": _GOOD[status]} | ({"content": content} if content and status in (200, 201, 202) else {})
        for status in said.good
    }
    for status in sorted({*said.bad, 405}):
        responses[str(status)] = {
            "description": _TITLES.get(status) or _GOOD[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}, "text/html": {}},
        }
    name = re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_")
    operation: Document = {
        "operationId": name, "summary": said.summary, "parameters": [*parameters, *said.query], "responses": responses,
    }  # fmt: skip
    if said.body is not None:
        operation["requestBody"] = said.body
    if said.token:
        operation["security"] = [{"token": []}]
    return operation


_PROBLEM: Final[Document] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "instance": {"type": "string"}, "request_id": {"type": "string"}, "hint": {"type": "string"},
        "position": {"type": "object"}, "violations": {"type": "array"}, "variants": {"type": "array"},
    },
}  # fmt: skip


def described(service: Service) -> Callable[[Request], Awaitable[Response]]:
    """Return the route that answers with the description."""

    async def endpoint(request: Request) -> Response:
        routes = [route for route in request.app.router.routes if isinstance(route, Route)]
        body = orjson.dumps(describe(service, routes), option=orjson.OPT_INDENT_2)
        tag = etag(body)
        headers = {"ETag": tag, "Cache-Control": "public, no-cache", "Content-Type": "application/json"}
        if is_fresh(ask_from(request.scope), tag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)

    return endpoint
