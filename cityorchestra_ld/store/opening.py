"""Open the store that a territory names: in a folder of this machine, or on a SPARQL server that others may ask too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.store.publish import EmbeddedStore
from cityorchestra_ld.store.remote import RemoteStore
from cityorchestra_ld.territory import Territory

_EVERY: Final = 5.0  # seconds between two looks at the server
_log = logging.getLogger("cityorchestra_ld.store")


def store_of(territory: Territory) -> EmbeddedStore:
    """Open the store of a territory, which may not exist yet."""
    root, limits, keep, base = territory.state / "store", territory.limits, territory.keep_generations, territory.base_iri
    if territory.server is None:
        return EmbeddedStore(root, limits, keep, base_iri=base)
    return RemoteStore(root, territory.server, limits, keep, base_iri=base)


@contextmanager
def follow(territory: Territory, every: float = _EVERY) -> Iterator[None]:
    """Keep the folder of this machine as the SPARQL server of a territory says, for as long as this lasts."""
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(territory, every, stop), name="follow", daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join(timeout=every)


def _follow(territory: Territory, every: float, stop: threading.Event) -> None:
    said = ""
    with store_of(territory) as store:
        while True:
            try:
                if isinstance(store, RemoteStore):
                    store.follow()
                said = ""
            except CityOrchestraError as error:
                if error.message.en != said:
                    _log.warning("the SPARQL server is not followed: %s", error.message.en)
                said = error.message.en
            if stop.wait(every):
                return
