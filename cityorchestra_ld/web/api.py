"""Answer query APIs: typed parameters become terms, a query worker answers, rows come in pages and in many forms."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final
from urllib.parse import urlencode

import orjson
import pyoxigraph as ox
from starlette.requests import Request
from starlette.responses import Response

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.formats import GEOJSON, HTML, RESULTS_CSV, Format, Offer, named, negotiate, split_suffix
from cityorchestra_ld.governance.views import public
from cityorchestra_ld.namespaces import RDF, SKOS
from cityorchestra_ld.parameters import RESERVED, read_values
from cityorchestra_ld.queries import bind
from cityorchestra_ld.store import Inspected, inspect
from cityorchestra_ld.web.api_catalog import OBJECTS, Api
from cityorchestra_ld.web.api_results import Rows, write_csv, write_features, write_objects, write_results
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, Language, ask_from, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, Variant, not_found
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.snapshot import Snapshot

_OFFERED: Final = 100  # codes in one list of a form
_USUAL: Final = 100
_MOST: Final = 10_000
_RESULTS: Final = "application/sparql-results+json"
_TRIPLES: Final = "application/n-triples"


@dataclass(frozen=True, slots=True)
class _Known:
    """What the visible graphs say about values of parameters."""

    snapshot: Snapshot

    def is_a(self, iri: str, kind: str) -> bool:
        """Tell whether a thing is of a class."""
        return self._says(iri, f"{RDF}type", kind)

    def in_scheme(self, iri: str, scheme: str) -> bool:
        """Tell whether a code belongs to a list."""
        return self._says(iri, f"{SKOS}inScheme", scheme) or self._says(iri, f"{SKOS}topConceptOf", scheme)

    def _says(self, subject: str, predicate: str, value: str) -> bool:
        pattern = (ox.NamedNode(subject), ox.NamedNode(predicate), ox.NamedNode(value))
        return next(self.snapshot.plain(*pattern), None) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a client asks of one API."""

    api: Api
    values: dict[str, str]
    limit: int
    offset: int
    offer: Offer
    named: bool  # the address names the form
    client: str = ""  # who asks, for the queue and the budget

    def address(self, root: str, offset: int | None = None, form: Format | None = None) -> str:
        """Return the address of another page, or of another form."""
        shown = form or (self.offer.format if self.named else None)
        fields = self.values | {"limit": str(self.limit), "offset": str(self.offset if offset is None else offset)}
        return f"{root}{self.api.path}?{urlencode(fields | ({'format': shown.suffix} if shown else {}))}"


class _MovedError(Exception):
    """The workers answer from another generation than the one that the request began with."""


class QueryApi:
    """The query APIs of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._site = service.site

    async def answer(self, request: Request) -> Response:
        """Answer one request; the application tells errors."""
        return _response(await self._answer(ask_from(request.scope), request.client.host if request.client else ""))

    async def _answer(self, ask: Ask, address: str) -> Answer:
        wanted = replace(self._read(ask), client=self._service.caller(ask, address).name)
        while True:
            try:
                return await self._page(ask, wanted, self._service.snapshot)
            except _MovedError:  # a publication came between: its values and its graphs may be others
                await asyncio.sleep(0.02)

    async def _page(self, ask: Ask, wanted: _Wanted, snapshot: Snapshot) -> Answer:
        terms = read_values(wanted.api.parameters, wanted.values, _Known(snapshot))
        generation = snapshot.generation
        bound = tuple(sorted((name, str(term)) for name, term in terms.items()))
        key = ("api", generation.number, wanted.api.name, bound, wanted.limit, wanted.offset, wanted.offer.media_type)
        tag = etag(self._site.salt, wanted.api.query.text, generation.created.isoformat(), key, wanted.named, ask.root)
        if is_fresh(ask, tag, generation.created):
            return not_modified(tag, generation.created)
        answer = snapshot.answers.get((tag, key))
        if answer is None:
            self._service.budget.require(wanted.client)
            body, more = await self._body(ask, wanted, bind(wanted.api.query.body, **terms), snapshot)
            validators = (("ETag", tag), ("Last-Modified", http_date(generation.created)))
            answer = Answer(200, (*self._headers(ask, wanted, more), *validators), body)
            snapshot.answers.put((tag, key), answer)
        return answer

    def _read(self, ask: Ask) -> _Wanted:
        stem = ask.path.removeprefix("/api/queries/")
        api, fixed = self._site.apis.get(stem), None
        if api is None:
            every = {form.suffix: form for known in self._site.apis.values() for form in known.formats}
            stem, fixed = split_suffix(stem, tuple(every.values()))
            api = self._site.apis.get(stem)
        if api is None or (fixed is not None and fixed not in api.formats):
            raise not_found(ask)
        values = {name: ask.one(name) or "" for name in ask.fields()}
        word = values.get("format")
        offer = Offer(fixed, fixed.media_type) if fixed else named(word, api.formats) if word else None
        if offer is None and not word:
            offer = negotiate(ask.accept, api.formats)
        own = {name: value for name, value in values.items() if name not in RESERVED}
        limit = _count(values, "limit", 1, _MOST, _USUAL)
        offset = _count(values, "offset", 0, 10_000_000, 0)
        if offer is None:
            forms = [
                Variant(form.media_type, f"{ask.root}{api.path}?{urlencode(own | {'format': form.suffix})}")
                for form in api.formats
            ]
            raise NotAcceptableError(forms, word or ask.accept or "")
        return _Wanted(api=api, values=own, limit=limit, offset=offset, offer=offer, named=bool(fixed or word))

    async def _body(self, ask: Ask, wanted: _Wanted, text: str, snapshot: Snapshot) -> tuple[bytes, bool]:
        """Ask a worker for one page; also tell whether there is another."""
        limits = self._site.territory.limits
        after = wanted.offset + wanted.limit
        if wanted.api.is_graph:
            media_type = wanted.offer.format.media_type
            asked = inspect(f"{text}LIMIT {wanted.limit}\nOFFSET {wanted.offset}\n", limits)
            body = await self._ask(asked, media_type, snapshot, wanted.client)
            more = await self._ask(inspect(f"{text}LIMIT 1\nOFFSET {after}\n", limits), _TRIPLES, snapshot, wanted.client)
            return body, bool(more.strip())
        asked = inspect(f"{text}LIMIT {wanted.limit + 1}\nOFFSET {wanted.offset}\n", limits)
        rows = Rows.read(await self._ask(asked, _RESULTS, snapshot, wanted.client), wanted.limit)
        following = wanted.address(ask.root, after) if rows.more else None
        form = wanted.offer.format
        if form is GEOJSON and wanted.api.geometry:
            links = [{"rel": "next", "type": GEOJSON.media_type, "href": following}] if following else []
            return write_features(rows, wanted.api.geometry, links), rows.more
        if form is OBJECTS:
            about = {
                "query": wanted.api.name,
                "parameters": wanted.values,
                "limit": wanted.limit,
                "offset": wanted.offset,
                "next": following,
            }
            return write_objects(rows, about), rows.more
        return (write_csv(rows) if form is RESULTS_CSV else write_results(rows)), rows.more

    async def _ask(self, inspected: Inspected, media_type: str, snapshot: Snapshot, client: str) -> bytes:
        spent = partial(self._service.budget.charge, client)
        stream = await self._service.pool.query(inspected, public, media_type, client=client, spent=spent)
        try:
            if stream.generation.number != snapshot.generation.number:
                raise _MovedError
            return await stream.read()
        finally:
            await stream.aclose()

    def _headers(self, ask: Ask, wanted: _Wanted, more: bool) -> tuple[tuple[str, str], ...]:
        links = [
            f'<{wanted.address(ask.root, form=form)}>; rel="alternate"; type="{form.media_type}"'
            for form in wanted.api.formats
            if form is not wanted.offer.format
        ]
        if more:
            links.append(f'<{wanted.address(ask.root, wanted.offset + wanted.limit)}>; rel="next"')
        if wanted.offset:
            links.append(f'<{wanted.address(ask.root, max(0, wanted.offset - wanted.limit))}>; rel="prev"')
        links.append(f'<{ask.root}/openapi.json>; rel="service-desc"')
        content_type = (
            "text/csv; charset=utf-8; header=present" if wanted.offer.format is RESULTS_CSV else wanted.offer.content_type
        )
        return (("Content-Type", content_type), ("Vary", VARY), ("Cache-Control", CACHED), ("Link", ", ".join(links)))

    async def listing(self, request: Request) -> Response:
        """List the query APIs with their parameters, forms and examples: as data, or as a page with a form for each."""
        ask = ask_from(request.scope)
        site, apis = self._site, list(self._site.apis.values())
        offer = negotiate(ask.accept, (OBJECTS, HTML))
        if offer is None:
            raise NotAcceptableError([Variant(form.media_type, f"{ask.root}/api/queries") for form in (OBJECTS, HTML)])
        spoken = (ask.language, ask.said_language, ask.root, self._service.generation)
        tag = etag(site.salt, "api", offer.media_type, spoken, [api.query.text for api in apis])
        headers = (
            ("Content-Type", offer.content_type),
            ("Content-Language", ask.language),
            ("Cache-Control", CACHED),
            ("ETag", tag),
            ("Vary", VARY),
        )
        if is_fresh(ask, tag):
            return _response(Answer(304, headers))
        if offer.format is HTML:
            options = self._options(ask.language)
            body = site.pages.render("queries.html", ask, self._service.generation, apis=apis, options=options)
        else:
            body = orjson.dumps({"queries": [_tell(api, ask) for api in apis]}, option=orjson.OPT_INDENT_2)
        return _response(Answer(200, headers, body))

    def _options(self, lang: Language) -> dict[str, list[tuple[str, str]]]:
        """List the codes that forms offer, by the list or class that a parameter names; long lists are typed instead."""
        found: dict[str, list[tuple[str, str]]] = {}
        snapshot = self._service.snapshot
        for parameter in (parameter for api in self._site.apis.values() for parameter in api.parameters):
            listed: list[str] = []
            if parameter.kind == "code":
                quads = snapshot.plain(None, ox.NamedNode(f"{SKOS}inScheme"), ox.NamedNode(parameter.of))
                listed = [quad.subject.value for quad in islice(quads, _OFFERED + 1) if isinstance(quad.subject, ox.NamedNode)]
            codes = listed if len(listed) <= _OFFERED else []
            found[parameter.of] = [(code, snapshot.labels.of(code, lang)) for code in sorted(set(codes))]
        return found


def _response(answer: Answer) -> Response:
    response = Response(answer.body, status_code=answer.status)
    response.raw_headers = answer.raw_headers()
    return response


def _tell(api: Api, ask: Ask) -> dict[str, object]:
    """Describe one API; this dictionary is the JSON document itself."""
    lang = ask.language
    return {
        "name": api.name,
        "title": api.query.title.get(lang),
        "href": f"{ask.root}{api.path}",
        "forms": [form.media_type for form in api.formats],
        "parameters": [
            {
                "name": parameter.name,
                "title": parameter.title.get(lang),
                "type": parameter.kind,
                "expects": parameter.expects().get(lang),
                "required": parameter.required,
                "default": parameter.default,
            }
            for parameter in api.parameters
        ],
        "examples": [
            f"{ask.root}{api.path}?{urlencode(example)}" if example else f"{ask.root}{api.path}" for example in api.examples
        ],
    }


def _count(values: dict[str, str], name: str, low: int, high: int, usual: int) -> int:
    text = values.get(name, str(usual))
    if text.isascii() and text.isdecimal() and low <= int(text[:12]) <= high:
        return int(text)
    raise UsageError(
        Text(
            f"Le paramètre « {name} » ne convient pas : attendu, un nombre entier de {low} à {high}.",
            f"The parameter '{name}' does not fit: expected a whole number from {low} to {high}.",
        ),
        place=Place(column=name, value=text),
    )
