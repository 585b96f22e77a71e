"""What operators and robots ask: health, readiness, version, robots.txt, static files, the list of problem types."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import orjson

from cityorchestra_ld import __version__
from cityorchestra_ld.errors import Text
from cityorchestra_ld.formats import HTML, negotiate
from cityorchestra_ld.model import Generation
from cityorchestra_ld.web.http_ import VARY, Answer, Ask, etag, is_fresh
from cityorchestra_ld.web.pages import STATIC, static_version
from cityorchestra_ld.web.problems import KINDS, NotAcceptableError, NotReadyError, Variant, not_found
from cityorchestra_ld.web.site_ import Site

_TYPES: Final = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
_HASHED: Final = re.compile(r"-[0-9A-Z]{8}\.(js|css)$")  # the front end names its parts by what they hold
_LIVE: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
_ROBOTS: Final = (
    b"User-agent: *\nDisallow: /sparql\nDisallow: /describe\nDisallow: /provenance\nDisallow: /search\n"
    b"Disallow: /-/\nAllow: /\nCrawl-delay: 2\n"
)


def _json(value: object) -> bytes:
    return orjson.dumps(value)


def health() -> Answer:
    """Answer while the process lives."""
    return Answer(200, _LIVE, _json({"status": "ok"}))


def ready(generation: Generation | None, broken: Text | None) -> Answer:
    """Answer 200 when a generation is open; raise NotReadyError until then."""
    if generation is None:
        raise NotReadyError(
            broken or Text("Aucune donnée n'est encore publiée.", "No data are published yet."),
            hint=Text("Lancez `cityorchestra run --all`.", "Run `cityorchestra run --all`."),
        )
    return Answer(200, _LIVE, _json({"status": "ready", "generation": generation.number, "triples": generation.triples}))


def version(site: Site, generation: Generation | None) -> Answer:
    """Say which software serves which data."""
    facts = {
        "software": "cityorchestra_ld",
        "version": __version__,
        "base_iri": site.territory.base_iri,
        "generation": generation.number if generation else None,
        "published": generation.created.isoformat(timespec="seconds") if generation else None,
    }
    return Answer(200, _LIVE, _json(facts))


def robots() -> Answer:
    """Tell crawlers where not to go."""
    return Answer(200, (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "public, max-age=86400")), _ROBOTS)


@cache
def _static_files() -> dict[str, bytes]:
    return {file.relative_to(STATIC).as_posix(): file.read_bytes() for file in STATIC.rglob("*") if file.suffix in _TYPES}


def static(ask: Ask, name: str) -> Answer:
    """Answer with a static file of ours; an address with its hash may be kept for ever."""
    body = _static_files().get(name)
    if body is None:
        raise not_found(ask)
    tag = etag("static", static_version(name))
    lasting = ask.query_string == f"v={static_version(name)}" or _HASHED.search(name) is not None
    headers = (
        ("Content-Type", _TYPES["." + name.rpartition(".")[2]]),
        ("Cache-Control", "public, max-age=31536000, immutable" if lasting else "public, no-cache"),
        ("ETag", tag),
    )
    return Answer(304, headers) if is_fresh(ask, tag) else Answer(200, headers, body)


def problems(ask: Ask, site: Site, generation: Generation | None) -> Answer:
    """Explain the types of problems that programs are given."""
    offer = negotiate(ask.accept, (HTML,))
    if offer is None:
        raise NotAcceptableError([Variant(HTML.media_type, f"{ask.root}/def/problem")])
    listed = [{"name": kind.name, "title": kind.title, "status": error.http_status} for error, kind in KINDS.items()]
    headers = (("Content-Type", offer.content_type), ("Content-Language", ask.language), ("Vary", VARY))
    return Answer(200, headers, site.pages.render("problems.html", ask, generation, problems=listed))
