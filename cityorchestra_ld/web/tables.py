"""Ask the query workers for a table of terms."""

from __future__ import annotations

from dataclasses import dataclass

import pyoxigraph as ox

from cityorchestra_ld.governance.views import public
from cityorchestra_ld.store import Pool

Row = dict[str, ox.NamedNode | ox.BlankNode | ox.Literal]


@dataclass(frozen=True, slots=True)
class Table:
    """The solutions of a SELECT; a row leaves out what is not bound."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


async def read_table(pool: Pool, query: str, *, client: str) -> Table:
    """Ask a worker what the public sees; raises what a query raises (QueryError, BusyError, QueryTimeoutError)."""
    answer = await pool.query(query, public, "text/tab-separated-values", client=client)
    parsed = ox.parse_query_results(await answer.read(), format=ox.QueryResultsFormat.TSV)
    if not isinstance(parsed, ox.QuerySolutions):
        return Table((), ())
    names = tuple(variable.value for variable in parsed.variables)
    rows = tuple({name: term for name in names if (term := solution[name]) is not None} for solution in parsed)
    return Table(names, rows)
