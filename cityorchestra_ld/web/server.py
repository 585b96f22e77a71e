"""Run the service in a process of its own until it is asked to stop; nothing is imported that only publishing needs."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Final, NoReturn

import uvicorn

from cityorchestra_ld.courtesy import go_first
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.connection import connections
from cityorchestra_ld.web.request_log import configuration
from cityorchestra_ld.web.watching import BehindProxy

_YOUNG: Final = 2_000  # objects that may be made before the youngest are looked through, which takes a millisecond then
_TURN: Final = 0.0005  # seconds that a thread may compute while the one that answers waits for the interpreter


def _leave(*_: object) -> NoReturn:
    """End as a command that did what it was asked for; whoever called may close what it opened."""
    raise SystemExit(0)


def serve(territory: Territory, host: str, port: int) -> int:
    """Serve the published generation; when asked to stop, finish the answers under way within `[serving] stop_seconds`."""
    trusted = os.environ.get("FORWARDED_ALLOW_IPS", "")  # proxies whose headers are believed; nobody's, if not set
    signal.signal(signal.SIGTERM, _leave)  # before the server listens, and again when it has stopped
    app = create_app(territory)
    gc.collect()
    gc.freeze()  # what is here now stays: nobody waits while it is looked through again
    gc.set_threshold(_YOUNG, 100, 50)
    sys.setswitchinterval(_TURN)
    proxied = BehindProxy(app, trusted)
    go_first()  # this thread alone, which becomes the loop: it answers everybody, in short steps
    uvicorn.run(
        proxied, http=connections(app.again, app.direct, proxied.trusts), host=host, port=port, server_header=False,
        proxy_headers=False, access_log=False, log_config=configuration(territory.log.format),
        timeout_graceful_shutdown=territory.serving.stop_seconds,
    )  # fmt: skip
    return 0
