"""The store: immutable generations of an RDF dataset, published one after the other, read and queried within views."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # names are imported when they are first used: a query worker starts without the pool, the pool without zstd
    from cityorchestra_ld.store.answers import Answer
    from cityorchestra_ld.store.frames import End, Head
    from cityorchestra_ld.store.generations import Hold, current_generation, kept_generations, published_mark, read_generation
    from cityorchestra_ld.store.guard import Inspected, inspect
    from cityorchestra_ld.store.once import query_once
    from cityorchestra_ld.store.opening import store_of
    from cityorchestra_ld.store.pool import Pool
    from cityorchestra_ld.store.port import Store
    from cityorchestra_ld.store.publish import EmbeddedStore, open_store
    from cityorchestra_ld.store.reader import Reader
    from cityorchestra_ld.store.remote import RemoteStore
    from cityorchestra_ld.store.resident import Residence, copy_of, residence
    from cityorchestra_ld.store.sandbox import sandbox_available
    from cityorchestra_ld.store.tombstones import Gone, find_gone

__all__ = [
    "Answer", "EmbeddedStore", "End", "Gone", "Head", "Hold", "Inspected", "Pool", "Reader", "RemoteStore", "Residence",
    "Store", "copy_of", "current_generation", "find_gone", "inspect", "kept_generations", "open_store", "published_mark",
    "query_once", "read_generation", "residence", "sandbox_available", "store_of",
]  # fmt: skip

_HOMES = {
    "answers": ("Answer",),
    "frames": ("End", "Head"),
    "generations": ("Hold", "current_generation", "kept_generations", "published_mark", "read_generation"),
    "guard": ("Inspected", "inspect"),
    "tombstones": ("Gone", "find_gone"),
    "opening": ("store_of",),
    "once": ("query_once",),
    "pool": ("Pool",),
    "port": ("Store",),
    "publish": ("EmbeddedStore", "open_store"),
    "reader": ("Reader",),
    "remote": ("RemoteStore",),
    "resident": ("Residence", "copy_of", "residence"),
    "sandbox": ("sandbox_available",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
