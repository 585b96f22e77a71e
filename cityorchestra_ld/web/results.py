"""Show the answer of a query in a page: the first rows of a table, the beginning of a graph, or yes and no."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import urlencode

import pyoxigraph as ox

from cityorchestra_ld.formats import GRAPH_FORMATS, RESULT_FORMATS, RESULTS_PARQUET, Format
from cityorchestra_ld.web.addresses import Addresses, is_web
from cityorchestra_ld.web.charts import Bars, Lines
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.maps import Map
from cityorchestra_ld.web.result_views import chart, place_map
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown, clean, shorten, show_literal

ROWS: Final = 500
GRAPH_LINES: Final = 2_000
TABLE_BYTES: Final = 2_000_000
GRAPH_BYTES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The part of an answer that a page shows, and where the whole is."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Shown | None, ...], ...] = ()
    answer: bool | None = None
    graph: str | None = None
    more: bool = False
    searched: int = 0  # things that a search of the query went beyond
    missing: tuple[str, ...] = ()  # services that failed a SERVICE SILENT
    bars: Bars | None = None
    lines: Lines | None = None
    map: Map | None = None
    downloads: tuple[tuple[str, str], ...] = ()


async def read_beginning(stream: AsyncIterator[bytes], *, lines: int, size: int) -> tuple[bytes, bool]:
    """Read whole lines from a stream up to a number of lines and of bytes; also tell whether there was more."""
    held = bytearray()
    async for chunk in stream:
        held += chunk
        if len(held) > size or held.count(b"\n") > lines:
            break
    else:
        return bytes(held), False
    kept = held[:size].split(b"\n")
    whole = kept[: min(lines, len(kept) - 1)]
    return b"\n".join(whole) + b"\n", True


class ResultView:
    """Make the model of a result page."""

    def __init__(
        self,
        addresses: Addresses,
        prefixes: Mapping[str, str],
        lang: Language,
        known: Callable[[str], bool],
        snapshot: Snapshot | None = None,
    ) -> None:
        self._addresses = addresses
        self._snapshot = snapshot  # where places are looked up for the map
        self._is_known = cache(known)
        self._spaces = sorted(prefixes.items(), key=lambda item: -len(item[1]))
        self._lang = lang

    def table(self, text: bytes, query: str, *, more: bool) -> Results:
        """Show the beginning of a table in TSV, in which a row is a line."""
        parsed = ox.parse_query_results(text, format=ox.QueryResultsFormat.TSV)
        if not isinstance(parsed, ox.QuerySolutions):
            return Results(answer=bool(parsed), downloads=downloads(query, is_graph=False))
        columns = tuple(variable.value for variable in parsed.variables)
        terms = [[solution[index] for index in range(len(columns))] for solution in parsed]
        more = more or len(terms) > ROWS
        terms = terms[:ROWS]
        rows = tuple(tuple(self._cell(term) for term in row) for row in terms)
        laid = (columns, terms, rows)
        bars, lines = chart(*laid, self._lang)
        return Results(
            columns=columns,
            rows=rows,
            more=more,
            bars=bars,
            lines=lines,
            map=place_map(self._snapshot, *laid) if self._snapshot else None,
            downloads=(*downloads(query, is_graph=False), _download(query, RESULTS_PARQUET)),
        )

    def answer(self, text: bytes, query: str) -> Results:
        """Show the answer of an ASK query in JSON."""
        parsed = ox.parse_query_results(text, format=ox.QueryResultsFormat.JSON)
        return Results(answer=bool(parsed), downloads=downloads(query, is_graph=False))

    def graph(self, text: bytes, query: str, *, more: bool) -> Results:
        """Show the beginning of a graph in Turtle."""
        shown = clean(text.decode("utf-8", "replace"))
        return Results(graph=shown, more=more, downloads=downloads(query, is_graph=True))

    def _cell(self, term: object) -> Shown | None:
        if isinstance(term, ox.Literal):
            return show_literal(term, self._lang)
        if isinstance(term, ox.NamedNode):
            return self.link(term.value)
        return None if term is None else Shown(kind="text", text=clean(shorten(str(term), 300)[0]))

    def link(self, iri: str) -> Shown:
        """Show an IRI by its prefixed name; it is a link only when it may be followed."""
        href = self._addresses.page(iri) if self._is_known(iri) else None
        name = next((f"{prefix}:{iri[len(space) :]}" for prefix, space in self._spaces if iri.startswith(space)), iri)
        text = clean(shorten(name, 200)[0])
        if href is None:
            return Shown(kind="iri", text=text, raw=clean(iri))
        outside = iri if name == iri and is_web(iri) and not self._addresses.is_ours(iri) else None
        return Shown(kind="link", text=text, raw=clean(iri), href=href, outside=outside)


def downloads(query: str, *, is_graph: bool) -> tuple[tuple[str, str], ...]:
    """List the addresses of the whole answer in every format."""
    formats = GRAPH_FORMATS if is_graph else RESULT_FORMATS
    return tuple(_download(query, form) for form in formats)


def _download(query: str, form: Format) -> tuple[str, str]:
    return form.label, "/sparql?" + urlencode({"query": query, "format": form.suffix})
