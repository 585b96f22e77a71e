"""Ask a service as a client with one connection does, as if from a machine of its own."""

from __future__ import annotations

import functools
import http.client
import os


def ask(connection: http.client.HTTPConnection, path: str, accept: str) -> tuple[int, bytes]:
    """Send a GET request; give status and body, or 0 and the error, after which the connection opens anew."""
    try:
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return 0, repr(error).encode()


def another_machine() -> None:
    """
    Let this thread go before everybody on this machine, the service too: in life a client waits for answers only.

    Otherwise the longest waits that are measured are those of the client itself, behind whoever computes here.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(2))
    except OSError as error:
        _say_once(f"clients compete with what they measure: they may not go first here ({error.strerror})")


@functools.cache
def _say_once(line: str) -> None:
    print(line, flush=True)
