"""Choose what the engine is given beside its own functions: nothing is imported for a query that needs none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

if TYPE_CHECKING:
    from cityorchestra_ld.store.spatial import Function

_SPATIAL: Final = "/def/function/geosparql/"


def functions_for(text: str) -> dict[ox.NamedNode, Function] | None:
    """Return the functions that a query may call."""
    if _SPATIAL not in text:
        return None
    from cityorchestra_ld.store.spatial import FUNCTIONS

    return FUNCTIONS
