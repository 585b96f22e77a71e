"""Pages whose figures come from the query workers: asked once a generation, kept, answered like any other page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.queries import NamedQuery, Term
from cityorchestra_ld.web.http_ import Answer, Ask, is_fresh, not_modified
from cityorchestra_ld.web.panels import Panel, PanelView, ask_all, bound
from cityorchestra_ld.web.problems import MethodError
from cityorchestra_ld.web.resource import view_for
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.single import page_headers, page_key, page_tag, validators
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.tables import Table

Answers = Sequence[tuple[NamedQuery, str, Table | CityOrchestraError]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePage:
    """What a page asks, and how it is made from the answers."""

    queries: Sequence[NamedQuery]
    terms: Mapping[str, Term]
    make: Callable[[Snapshot, Answers], bytes]
    extra: str = ""  # further Link header values


async def answer_live(service: Service, ask: Ask, page: LivePage) -> Answer:
    """Answer with a page, 304 when the client has it already; raises NotAcceptableError, NotReadyError, MethodError."""
    if ask.method not in ("GET", "HEAD"):
        raise MethodError(ask.method, "GET, HEAD, OPTIONS")
    site, snapshot = service.site, service.snapshot
    key, content_type = page_key(ask, snapshot)
    tag = page_tag(site, snapshot, key)
    if is_fresh(ask, tag, snapshot.generation.created):
        return not_modified(tag, snapshot.generation.created)
    answer = snapshot.answers.get(key)
    if answer is not None:
        return answer
    texts = [bound(query, **page.terms) for query in page.queries]
    tables = await ask_all(service.pool, texts, snapshot.tables)
    answers = list(zip(page.queries, texts, tables, strict=True))
    body = await service.build(lambda: page.make(snapshot, answers))
    headers = page_headers(ask, content_type, *((("Link", page.extra),) if page.extra else ()))
    if any(isinstance(table, CityOrchestraError) for table in tables):  # something is missing: nobody should keep this
        return Answer(200, (*headers, ("Cache-Control", "no-store")), body)
    answer = Answer(200, (*headers, *validators(tag, snapshot.generation)), body)
    snapshot.answers.put(key, answer)
    return answer


def panels_for(ask: Ask, site: Site, snapshot: Snapshot, answers: Answers) -> list[Panel]:
    """Make the panels of a page; links to places lead to their territory pages."""
    resources = view_for(ask, site, snapshot)
    view = PanelView(snapshot, resources, ask.language, lambda iri: site.places.page(iri) or resources.href(iri))
    return [view.panel(query, text, table) for query, text, table in answers]
