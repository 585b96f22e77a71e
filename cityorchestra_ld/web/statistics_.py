"""Count what a generation holds, once, in a query worker: classes by graph, and the properties in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyoxigraph as ox

from cityorchestra_ld.model import View
from cityorchestra_ld.store import Pool
from cityorchestra_ld.web.site_ import Site


@dataclass(frozen=True, slots=True)
class Statistics:
    """Exact counts of one generation, within one view."""

    classes: Mapping[str, Mapping[str, int]]  # graph, class, number of things
    properties: tuple[str, ...]


async def _rows(pool: Pool, view: View, query: str) -> list[tuple[ox.NamedNode | ox.BlankNode | ox.Literal, ...]]:
    answer = await pool.query(query, view, "text/tab-separated-values", client="statistics")
    parsed = ox.parse_query_results(await answer.read(), format=ox.QueryResultsFormat.TSV)
    if not isinstance(parsed, ox.QuerySolutions):
        return []
    names = [variable.value for variable in parsed.variables]
    return [tuple(solution[name] for name in names) for solution in parsed]


async def measure(site: Site, pool: Pool, view: View) -> Statistics:
    """Ask the workers; raises what a query raises (BusyError, QueryTimeoutError)."""
    classes: dict[str, dict[str, int]] = {}
    for graph, kind, number in await _rows(pool, view, site.query("statistics-classes").text):
        if isinstance(graph, ox.NamedNode) and isinstance(kind, ox.NamedNode):
            classes.setdefault(graph.value, {})[kind.value] = int(number.value)
    found = await _rows(pool, view, site.query("statistics-properties").text)
    return Statistics(classes, tuple(sorted(row[0].value for row in found)))
