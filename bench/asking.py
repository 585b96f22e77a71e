"""Ask a service as a client with one connection does."""

from __future__ import annotations

import http.client


def ask(connection: http.client.HTTPConnection, path: str, accept: str) -> tuple[int, bytes]:
    """Send a GET request; give status and body, or 0 and the error, after which the connection opens anew."""
    try:
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return 0, repr(error).encode()
