"""Answer with pages that have one form only: negotiate, validate what the client holds, build once a generation."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from cityorchestra_ld.formats import HTML, negotiate
from cityorchestra_ld.model import Generation
from cityorchestra_ld.web.http_ import CACHED, VARY, Answer, Ask, Headers, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import NotAcceptableError, Variant
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

Key = tuple[Hashable, ...]


def page_key(ask: Ask, snapshot: Snapshot) -> tuple[Key, str]:
    """Say what a page depends on, and under which media type it is sent; raises NotAcceptableError."""
    offer = negotiate(ask.accept, (HTML,))
    if offer is None:
        raise NotAcceptableError([Variant(HTML.media_type, f"{ask.root}{ask.path}")])
    measured = snapshot.statistics is not None
    number = snapshot.generation.number
    return (number, ask.path, ask.query_string, offer.media_type, ask.root, ask.origin, measured), offer.content_type


def page_tag(site: Site, snapshot: Snapshot, key: Key) -> str:
    """Make the entity tag of a page."""
    return etag(site.salt, snapshot.generation.created.isoformat(), *key)


def page_headers(ask: Ask, content_type: str, *further: tuple[str, str]) -> Headers:
    """List the headers of a page without its validators."""
    return (("Content-Type", content_type), ("Content-Language", ask.language), ("Vary", VARY), *further)


def validators(tag: str, generation: Generation) -> Headers:
    """List the headers by which a page can be kept."""
    return (("Cache-Control", CACHED), ("ETag", tag), ("Last-Modified", http_date(generation.created)))


def single_page(ask: Ask, site: Site, snapshot: Snapshot, make: Callable[[], bytes]) -> Answer:
    """Answer with a page, remembered as long as the generation answers; raises what `make` raises."""
    key, content_type = page_key(ask, snapshot)
    tag = page_tag(site, snapshot, key)
    if is_fresh(ask, tag, snapshot.generation.created):
        return not_modified(tag, snapshot.generation.created)
    answer = snapshot.answers.get(key)
    if answer is None:
        body = make()
        answer = Answer(200, (*page_headers(ask, content_type), *validators(tag, snapshot.generation)), body)
        snapshot.answers.put(key, answer)
    return answer
