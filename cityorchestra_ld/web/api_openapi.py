"""Describe the query APIs as OpenAPI 3.1 path items."""

from __future__ import annotations

from typing import Final

from cityorchestra_ld.formats import GEOJSON, HTML, Format
from cityorchestra_ld.parameters import Kind, Parameter
from cityorchestra_ld.web.api_catalog import OBJECTS, Api
from cityorchestra_ld.web.problems import PROBLEM
from cityorchestra_ld.web.site_ import Site

Json = dict[str, object]  # a part of the OpenAPI document itself

_TAG: Final = "queries"
_REFUSALS: Final = {
    400: "A parameter does not fit; `position.parameter` names it",
    401: "The token is not known",
    404: "There is no such form here",
    405: "Reading only",
    406: "None of the forms is acceptable",
    429: "The client has spent its budget of query seconds",
    503: "Too busy, or the query took too long",
}
_SCHEMAS: Final[dict[Kind, Json]] = {
    "iri": {"type": "string", "format": "iri"},
    "code": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "year": {"type": "string", "pattern": "^[0-9]{4}$"},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "text": {"type": "string"},
    "bbox": {"type": "string", "pattern": "^[^,]+,[^,]+,[^,]+,[^,]+$"},
}


def paths(site: Site) -> dict[str, Json]:
    """Return the path items of all query APIs, by path."""
    content: Json = {OBJECTS.media_type: {"schema": {"type": "object"}}, HTML.media_type: {}}
    listing: Json = {
        "get": {
            "operationId": "queries",
            "tags": [_TAG],
            "summary": "List the query APIs",
            "responses": {"200": {"description": "The query APIs", "content": content}, **_refusals(406, 503)},
        }
    }
    return {"/api/queries": listing} | {api.path: {"get": _operation(api)} for api in site.apis.values()}


def _operation(api: Api) -> Json:
    shared: list[Json] = [
        {
            "name": "limit",
            "in": "query",
            "description": "Rows in one page",
            "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100},
        },
        {
            "name": "offset",
            "in": "query",
            "description": "Rows to pass over",
            "schema": {"type": "integer", "minimum": 0, "maximum": 10_000_000, "default": 0},
        },
        {
            "name": "format",
            "in": "query",
            "description": "The form, instead of the Accept header",
            "schema": {"type": "string", "enum": [form.suffix for form in api.formats]},
        },
    ]
    return {
        "operationId": f"query-{api.name}",
        "tags": [_TAG],
        "summary": api.query.title.en,
        "description": f"{api.query.title.fr} Needs: {api.query.about.get('needs', 'nothing')}.",
        "parameters": [*(_parameter(api, parameter) for parameter in api.parameters), *shared],
        "responses": {
            "200": {
                "description": "One page; the header Link names the next",
                "headers": {
                    "ETag": {"schema": {"type": "string"}},
                    "Last-Modified": {"schema": {"type": "string"}},
                    "Link": {"schema": {"type": "string"}},
                },
                "content": {form.media_type: {"schema": _schema(form)} for form in api.formats},
            },
            **_refusals(400, 401, 404, 406, 429, 503),
        },
    }


def _refusals(*statuses: int) -> Json:
    content: Json = {PROBLEM.media_type: {"schema": {"type": "object"}}, HTML.media_type: {}}
    found: Json = {"304": {"description": "The client has this already"}}
    for status in (*statuses, 405):
        found[str(status)] = {"description": _REFUSALS[status], "content": content}
    return found


def _parameter(api: Api, parameter: Parameter) -> Json:
    schema: Json = dict(_SCHEMAS[parameter.kind])
    if parameter.default is not None:
        schema["default"] = int(parameter.default) if parameter.kind == "integer" else parameter.default
    bounds = ("maxLength",) if parameter.kind == "text" else ("maximum",)
    if parameter.low is not None:
        schema["minimum"] = parameter.low
    if parameter.high is not None:
        schema[bounds[0]] = parameter.high
    described: Json = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": f"{parameter.title.en}: {parameter.expects().en}",
        "schema": schema,
    }
    example = next((example[parameter.name] for example in api.examples if parameter.name in example), None)
    if example is not None:
        described["example"] = int(example) if parameter.kind == "integer" else example
    return described


def _schema(form: Format) -> Json:
    if form is OBJECTS:
        return {
            "type": "object",
            "required": ["query", "parameters", "limit", "offset", "next", "items"],
            "properties": {
                "query": {"type": "string"},
                "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
                "limit": {"type": "integer"},
                "offset": {"type": "integer"},
                "next": {"type": ["string", "null"]},
                "items": {"type": "array", "items": {"type": "object"}},
            },
        }
    return {"type": "object"} if form is GEOJSON or form.media_type.endswith("json") else {"type": "string"}
