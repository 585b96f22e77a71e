"""The query page: a form that works without scripts, ready queries, results, mistakes at their line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.model import Generation, Text
from cityorchestra_ld.web.http_ import Answer, Ask, single
from cityorchestra_ld.web.problems import kind_of, problem_headers
from cityorchestra_ld.web.results import Results
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.terms import clean, shorten

_USEFUL: Final = ("co", "dcat", "dct", "geo", "gtfs", "igeo", "qb", "rdfs", "sa", "sd", "skos", "sm", "sosa", "xsd")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a query, for its page."""

    title: Text
    detail: str
    where: str
    hint: str
    line: int | None = None
    character: int | None = None
    excerpt: tuple[tuple[int, str], ...] = ()  # the lines around the mistake


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits that the page states."""

    seconds: int
    rows: int
    services: str


def query_page(
    ask: Ask,
    site: Site,
    generation: Generation | None,
    *,
    text: str | None = None,
    results: Results | None = None,
    error: Mistake | None = None,
) -> bytes:
    """Render the query page."""
    if text is None:
        name = single(ask.fields(), "example") if "example" in ask.fields() else None
        example = site.examples.get(name or "")
        text = example.text if example else site.query("start").text
    limits = site.territory.limits
    return site.pages.render(
        "sparql.html",
        ask,
        generation,
        text=text,
        rows=max(8, min(30, text.count("\n") + 2)),
        results=results,
        error=error,
        examples=list(site.examples.values()),
        limits=Rules(int(limits.query_seconds), limits.result_rows, ", ".join(one.address for one in site.territory.services)),
        prefixes=[(name, site.prefixes[name]) for name in _USEFUL],
    )


def failed_page(ask: Ask, site: Site, generation: Generation | None, error: CityOrchestraError, text: str | None) -> Answer:
    """Answer a browser whose query failed: the same page, the query kept, the mistake said."""
    lang = ask.language
    mistake = Mistake(
        kind_of(error).title,
        error.message.get(lang),
        error.place.describe(lang) if error.place else "",
        error.hint.get(lang) if error.hint else "",
        error.place.line if error.place else None,
        error.place.column_number if error.place else None,
        _excerpt(text or "", error.place.line if error.place else None),
    )
    headers = (("Content-Type", "text/html; charset=utf-8"), ("Content-Language", lang), *problem_headers(error))
    return Answer(error.http_status, headers, query_page(ask, site, generation, text=text, error=mistake))


def _excerpt(text: str, line: int | None) -> tuple[tuple[int, str], ...]:
    """Return the line of a mistake with those beside it."""
    if line is None:
        return ()
    lines = text.splitlines()
    first = max(0, line - 3)
    return tuple((first + place + 1, clean(shorten(kept, 200)[0])) for place, kept in enumerate(lines[first : line + 2]))
