"""Refuse a generation in which people could learn from several datasets together what each of them hides."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.errors import Place, RefusedError, Text
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.queries import NamedQuery, read_queries
from cityorchestra_ld.store import Reader, inspect, query_once
from cityorchestra_ld.territory import Territory

_SHOWN: Final = 3
_JSON: Final = "application/sparql-results+json"


class _Term(msgspec.Struct, frozen=True):
    value: str


class _Bindings(msgspec.Struct, frozen=True):
    bindings: list[dict[str, _Term]] = []


class _Answer(msgspec.Struct, frozen=True):
    results: _Bindings


def watch(territory: Territory) -> Callable[[Generation], None]:
    """
    Make what looks at a generation before it is published: queries of `queries/rules` must have no answer in the public view.

    What it returns raises RefusedError with the rule, the resources and the datasets that they are in. A rule with a line
    `#+ if: predicate object` waits until such a triple is published.
    """
    queries = list(read_queries(territory.root / "queries" / "rules"))
    limits = replace(territory.limits, query_seconds=territory.limits.validation_seconds)  # our own queries, and nobody waits

    def look(generation: Generation) -> None:
        seen = view(generation.graphs)
        for query in _awake(generation, queries):
            out = io.BytesIO()
            inspected = inspect(query.text, limits)
            query_once(generation, inspected, seen, _JSON, limits, out, prefixes=prefixes(territory.base_iri))
            rows = msgspec.json.decode(out.getvalue(), type=_Answer).results.bindings
            if rows:
                found = [{name: term.value for name, term in row.items()} for row in rows]
                raise _refusal(query, found, _datasets(generation, found))

    return look


def _awake(generation: Generation, queries: list[NamedQuery]) -> list[NamedQuery]:
    with Reader(generation) as reader:
        return [query for query in queries if _has(reader, query.about.get("if", "").split())]


def _has(reader: Reader, wanted: list[str]) -> bool:
    if len(wanted) != 2:
        return True
    return next(reader.quads(None, ox.NamedNode(wanted[0]), ox.NamedNode(wanted[1])), None) is not None


def _datasets(generation: Generation, rows: list[dict[str, str]]) -> list[str]:
    """Name the datasets that the resources of some rows are in."""
    datasets = {info.graph: info.dataset for info in generation.graphs if info.dataset and info.role in ("data", "ref", "live")}
    found: set[str] = set()
    with Reader(generation) as reader:
        for value in {value for row in rows[:_SHOWN] for value in row.values()}:
            for quad in reader.quads(ox.NamedNode(value)):
                name = datasets.get(str(quad.graph_name).strip("<>"))
                if name:
                    found.add(name)
    return sorted(found)


def _refusal(query: NamedQuery, rows: list[dict[str, str]], datasets: list[str]) -> RefusedError:
    """Say which rule is broken; the datasets that break it together are named for who can publish without one of them."""
    pairs = [" + ".join(row.values()) for row in rows[:_SHOWN]]
    more = len(rows) - len(pairs)
    where = ", ".join(datasets)
    hint = query.about.get("hint.fr"), query.about.get("hint.en")
    error = RefusedError(
        Text(
            f"Publication refusée. {query.title.fr} Jeux de données : {where}.{f' Et {more} cas de plus.' if more else ''}",
            f"Publication refused. {query.title.en} Datasets: {where}.{f' And {more} more cases.' if more else ''}",
        ),
        place=Place(file=str(Path(*query.file.parts[-3:])), value="; ".join(pairs)),
        hint=Text(hint[0], hint[1]) if hint[0] and hint[1] else None,
    )
    error.datasets = tuple(datasets)
    return error
