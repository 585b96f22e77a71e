"""Hold the answers of queries against what their files expect, and refuse a generation in which one does not hold."""

from __future__ import annotations

import asyncio
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cityorchestra_ld.errors import CityOrchestraError, Place, RefusedError, Text, UsageError
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.parameters import read_examples, read_parameters, read_values
from cityorchestra_ld.queries import NamedQuery, bind, read_queries
from cityorchestra_ld.store import Pool, inspect
from cityorchestra_ld.territory import Territory

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge, "<=": operator.le, "=": operator.eq, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_COUNT: Final = re.compile(r"(rows|triples) (>=|<=|=|>|<) (\d+)")
_COLUMNS: Final = re.compile(r"columns (.+)")
_VALUES: Final = re.compile(r"(value|some|all) \?(\w+) (>=|<=|=|>|<) (.+)")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_SHOWN: Final = 5


class _Term(msgspec.Struct, frozen=True):
    value: str


class _Head(msgspec.Struct, frozen=True):
    vars: list[str] = []


class _Rows(msgspec.Struct, frozen=True):
    bindings: list[dict[str, _Term]] = []


class _Results(msgspec.Struct, frozen=True):
    head: _Head
    results: _Rows = _Rows()


@dataclass(frozen=True, slots=True)
class Table:
    """An answer as expectations look at it: names of columns, rows of texts; a graph has a row for each triple."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]

    @classmethod
    def of_results(cls, body: bytes) -> Table:
        """Read an answer in the SPARQL 1.1 Query Results JSON Format."""
        read = msgspec.json.decode(body, type=_Results)
        rows = ({name: term.value for name, term in row.items()} for row in read.results.bindings)
        return cls(tuple(read.head.vars), tuple(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An expectation that does not hold: which query, what it expects, what was found instead."""

    query: NamedQuery
    expected: str
    found: Text


def check(expectation: str, table: Table) -> Text | None:
    """
    Hold an answer against `rows >= 1`, `triples >= 1`, `columns a b`, `value ?n = 43`, `some ?n > 0` or `all ?n >= 0`.

    Returns what was found when it does not hold. Raises UsageError for words that are none of these.
    """
    if match := _COUNT.fullmatch(expectation):
        count = len(table.rows)
        return None if _COMPARE[match[2]](count, int(match[3])) else Text(f"{match[1]} = {count}", f"{match[1]} = {count}")
    if match := _COLUMNS.fullmatch(expectation):
        wanted = tuple(match[1].replace("?", "").replace(",", " ").split())
        listed = f"columns {' '.join(table.columns)}"
        return None if table.columns == wanted else Text(listed, listed)
    if match := _VALUES.fullmatch(expectation):
        return _check_values(match[1], match[2], _COMPARE[match[3]], match[4], table)
    raise UsageError(
        Text(f"Attente illisible : {expectation}", f"An expectation cannot be read: {expectation}"),
        hint=Text("Exemple : #+ expect: rows >= 1", "Example: #+ expect: rows >= 1"),
    )


def _check_values(which: str, name: str, compare: Callable[[Any, Any], bool], wanted: str, table: Table) -> Text | None:
    values = [row[name] for row in table.rows if name in row]
    if not values:
        return Text(f"aucune valeur de ?{name}", f"no value of ?{name}")
    looked_at = values[:1] if which == "value" else values
    if _NUMBER.fullmatch(wanted):
        results = [bool(_NUMBER.fullmatch(value)) and compare(float(value), float(wanted)) for value in looked_at]
    else:
        results = [compare(value, wanted.strip('"<>')) for value in looked_at]
    if any(results) if which == "some" else all(results):
        return None
    shown = ", ".join(value for value, holds in zip(looked_at, results, strict=True) if not holds)[:200]
    return Text(f"?{name} = {shown}", f"?{name} = {shown}")


def gate(territory: Territory) -> Callable[[Generation], None]:
    """
    Make what looks at a generation before it is published: each query of `queries/api` is run with its first example.

    A query waits until the datasets are loaded that its `#+ needs:` line names. What it returns raises RefusedError, naming
    query, expectation and finding.
    """
    queries = [query for query in read_queries(territory.root / "queries" / "api") if query.expectations]

    def look(generation: Generation) -> None:
        loaded = {info.dataset for info in generation.graphs}
        ready = [query for query in queries if loaded.issuperset(query.about.get("needs", "").split())]
        broken = asyncio.run(_run(territory, generation, ready)) if ready else []
        if broken:
            raise _refusal(broken)

    return look


async def _run(territory: Territory, generation: Generation, queries: Sequence[NamedQuery]) -> list[Broken]:
    known = prefixes(territory.base_iri)
    seen = view(generation.graphs)
    broken: list[Broken] = []
    async with Pool(generation, 1, territory.limits, prefixes=known) as pool:
        for query in queries:
            terms = read_values(read_parameters(query, known), read_examples(query)[0])
            inspected = inspect(bind(query.text, **terms), territory.limits)
            is_graph = inspected.kind == "graph"
            try:
                answer = await pool.query(
                    inspected, seen, "application/n-triples" if is_graph else "application/sparql-results+json"
                )
                body = await answer.read()
            except CityOrchestraError as error:
                broken.append(Broken(query=query, expected=query.expectations[0], found=error.message))
                continue
            table = Table((), ({},) * body.count(b"\n")) if is_graph else Table.of_results(body)
            for expectation in query.expectations:
                found = check(expectation, table)
                if found is not None:
                    broken.append(Broken(query=query, expected=expectation, found=found))
    return broken


def _refusal(broken: Sequence[Broken]) -> RefusedError:
    first = broken[0]
    french = "; ".join(f"« {one.query.name} » attend « {one.expected} », trouvé : {one.found.fr}" for one in broken[:_SHOWN])
    english = "; ".join(f"'{one.query.name}' expects '{one.expected}', found: {one.found.en}" for one in broken[:_SHOWN])
    more = len(broken) - _SHOWN
    return RefusedError(
        Text(
            f"Rien n'est publié : {french}{f' ; et {more} de plus' if more > 0 else ''}.",
            f"Nothing is published: {english}{f'; and {more} more' if more > 0 else ''}.",
        ),
        place=Place(file=_short(first.query.file), rule=f"expect: {first.expected}"),
        hint=Text(
            "Corrigez les données, ou changez l'attente si elle n'est plus juste.",
            "Correct the data, or change the expectation if it is no longer right.",
        ),
    )


def _short(file: Path) -> str:
    return str(Path(*file.parts[-3:]))
