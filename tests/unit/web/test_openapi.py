"""The description of the service says something of every route."""

from __future__ import annotations

from starlette.routing import Route


def test_every_route_is_described(client):
    described = client.get("/openapi.json").json()
    for route in client.app.router.routes:
        path = getattr(route, "path", "").replace(":path}", "}")
        if not isinstance(route, Route) or path == "/api/queries/{name}" or (path.endswith("/") and path != "/"):
            continue  # the API of queries is described query by query
        methods = {method.lower() for method in route.methods} & {"get", "post", "put", "delete"}
        assert methods <= set(described["paths"][path]), path
        assert all(described["paths"][path][method]["summary"] for method in methods)
    again = client.get("/openapi.json", headers={"if-none-match": client.get("/openapi.json").headers["etag"]})
    assert again.status_code == 304
