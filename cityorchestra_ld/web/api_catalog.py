"""The query APIs of a territory: each file of `queries/api`, read once, with its parameters and its forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.formats import GEOJSON, GRAPH_FORMATS, RESULTS_CSV, RESULTS_JSON, Format
from cityorchestra_ld.parameters import Parameter, read_examples, read_parameters
from cityorchestra_ld.queries import NamedQuery, bind, read_queries
from cityorchestra_ld.store import inspect

OBJECTS: Final = Format(name="json", label="JSON", media_type="application/json", suffix="json")
_TABLE_FORMATS: Final = (OBJECTS, RESULTS_CSV, RESULTS_JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One query that is served as an API."""

    query: NamedQuery
    parameters: tuple[Parameter, ...]
    examples: tuple[Mapping[str, str], ...]
    formats: tuple[Format, ...]
    is_graph: bool
    geometry: str | None  # the column that holds the geometry of a row

    @property
    def name(self) -> str:
        """Return the last part of its address."""
        return self.query.name

    @property
    def path(self) -> str:
        """Return its address."""
        return f"/api/queries/{self.name}"


def read_apis(folder: Path, prefixes: Mapping[str, str]) -> dict[str, Api]:
    """Read all query APIs of a folder; raise UsageError, naming the file, for one that cannot be served."""
    return {query.name: _read(query, prefixes) for query in read_queries(folder)}


def _read(query: NamedQuery, prefixes: Mapping[str, str]) -> Api:
    inspected = inspect(query.body)
    if inspected.form not in ("SELECT", "CONSTRUCT") or inspected.limit is not None:
        raise UsageError(
            Text(
                "Une requête servie comme API est un SELECT ou un CONSTRUCT sans LIMIT.",
                "A query that is served as an API is a SELECT or a CONSTRUCT without LIMIT.",
            ),
            place=Place(file=str(query.file)),
        )
    parameters = read_parameters(query, prefixes)
    for parameter in parameters:  # each has its slot
        bind(query.body, **{parameter.name: ox.Literal("")})
    is_graph = inspected.kind == "graph"
    geometry = query.about.get("geometry")
    located = (OBJECTS, GEOJSON, *_TABLE_FORMATS[1:]) if geometry else _TABLE_FORMATS
    return Api(
        query=query,
        parameters=parameters,
        examples=read_examples(query),
        formats=GRAPH_FORMATS if is_graph else located,
        is_graph=is_graph,
        geometry=geometry,
    )
