"""Count what a generation holds, once, in a query worker: classes by graph, and the properties in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyoxigraph as ox

from cityorchestra_ld.store import Pool
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.tables import read_table


@dataclass(frozen=True, slots=True)
class Statistics:
    """Exact counts of one generation, within one view."""

    classes: Mapping[str, Mapping[str, int]]  # graph, class, number of things
    properties: tuple[str, ...]


async def measure(site: Site, pool: Pool) -> Statistics:
    """Ask the workers; raises what a query raises (BusyError, QueryTimeoutError)."""
    classes: dict[str, dict[str, int]] = {}
    for row in (await read_table(pool, site.query("statistics-classes").text, client="statistics")).rows:
        graph, kind, number = row.values()
        if isinstance(graph, ox.NamedNode) and isinstance(kind, ox.NamedNode):
            classes.setdefault(graph.value, {})[kind.value] = int(number.value)
    found = await read_table(pool, site.query("statistics-properties").text, client="statistics")
    return Statistics(classes, tuple(sorted(term.value for row in found.rows for term in row.values())))
