"""Older states of documents (RFC 7089): `/doc` leads to them by date, `/memento` holds them, `/timemap` lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from cityorchestra_ld.errors import Place, StoreError, Text, UsageError
from cityorchestra_ld.formats import Format, negotiate
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store import Reader, kept_generations
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, etag, http_date, is_fresh, not_modified, redirect, with_headers
from cityorchestra_ld.web.problems import NotAcceptableError, NotFoundError, Variant
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot

VARY: Final = "Accept, Accept-Profile, Accept-Datetime"
LINKS: Final = Format(name="link-format", label="Link Format", media_type="application/link-format", suffix="link")
_STAMP: Final = "%Y%m%d%H%M%S"
_ADDRESS: Final = re.compile(r"/memento/(\d{14})(/doc/.+)")


def states(site: Site, snapshot: Snapshot) -> tuple[Generation, ...]:
    """List the kept generations up to the one that answers, oldest first; of two in one second the later one counts."""
    found = {
        stamp(generation): generation
        for generation in kept_generations(site.territory.state / "store")
        if generation.number < snapshot.generation.number
    }
    return (*(found | {stamp(snapshot.generation): snapshot.generation}).values(),)


def stamp(generation: Generation) -> str:
    """Return the part of an address that says when a generation was published."""
    return generation.created.astimezone(UTC).strftime(_STAMP)


def asked_moment(ask: Ask) -> datetime | None:
    """Read `Accept-Datetime` (section 2.1.1); raise UsageError when it is not an HTTP date."""
    text = ask.headers.get("accept-datetime")
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise UsageError(
            Text("Accept-Datetime n'est pas une date HTTP.", "Accept-Datetime is not an HTTP date."),
            place=Place(column="Accept-Datetime", value=text),
            hint=Text("Exemple : Sun, 22 Nov 2026 05:00:00 GMT", "Example: Sun, 22 Nov 2026 05:00:00 GMT"),
        )
    return moment


def timegate(ask: Ask, site: Site, snapshot: Snapshot, moment: datetime) -> Answer:
    """Send to the state of a document at a moment (section 4.1); before the first state to the first."""
    found = _at(states(site, snapshot), moment)
    kept = f"?{ask.query_string}" if ask.query_string else ""
    headers = (("Vary", VARY), ("Cache-Control", CACHED), ("Link", ", ".join(links(ask, ask.path))))
    return redirect(302, f"{ask.root}/memento/{stamp(found)}{ask.path}{kept}", headers)


def _at(found: tuple[Generation, ...], moment: datetime) -> Generation:
    return next((state for state in reversed(found) if state.created.replace(microsecond=0) <= moment), found[0])


def links(ask: Ask, path: str) -> list[str]:
    """Link from a document, or a state of it, to where its other states are found."""
    return [
        f'<{ask.root}{path}>; rel="original timegate"',
        f'<{ask.root}/timemap{path}>; rel="timemap"; type="application/link-format"',
    ]


@contextmanager
def opened(site: Site, snapshot: Snapshot, generation: Generation) -> Iterator[Snapshot]:
    """
    Open an older generation for one answer; a graph that is hidden or gone today is hidden in older states too.

    Raises NotFoundError when it was deleted in the meantime.
    """
    if generation.number == snapshot.generation.number:
        yield snapshot
        return
    visible = [info for info in generation.graphs if snapshot.sees(info.graph)]
    try:
        reader = Reader(generation)
    except StoreError:
        raise NotFoundError(Text("Cet état n'est plus gardé.", "This state is not kept any more.")) from None
    with reader:
        yield Snapshot(generation, reader, view(visible), site.territory.base_iri)


def split(path: str) -> tuple[str, str] | None:
    """Take the address of a state apart into its moment and the address of the document."""
    match = _ADDRESS.fullmatch(path)
    return (match[1], match[2]) if match else None


def find_state(site: Site, snapshot: Snapshot, moment: str) -> tuple[Generation, bool]:
    """Return the state that an address names, or the one that was valid then; also tell whether it names it exactly."""
    try:
        wanted = datetime.strptime(moment, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise NotFoundError(
            Text("Cette adresse ne donne pas de date.", "This address does not hold a date."), place=Place(value=moment)
        ) from None
    found = _at(states(site, snapshot), wanted)
    return found, stamp(found) == moment


def dated(ask: Ask, answer: Answer, generation: Generation, path: str) -> Answer:
    """Say of an answer which moment it shows (section 2.1.1)."""
    return with_headers(answer, ("Memento-Datetime", http_date(generation.created)), ("Link", ", ".join(links(ask, path))))


def time_map(ask: Ask, path: str, snapshot: Snapshot, held: tuple[Generation, ...]) -> Answer:
    """List the states of a document (section 5); `held` are the generations that know it."""
    if negotiate(ask.accept, (LINKS,)) is None:
        raise NotAcceptableError([Variant(LINKS.media_type, f"{ask.root}/timemap{path}")])
    tag = etag("timemap", snapshot.generation.number, path, [stamp(one) for one in held], ask.root, ask.origin)
    if is_fresh(ask, tag):
        return not_modified(tag, snapshot.generation.created)
    here = f"{ask.origin}{ask.root}"
    listed = [f'<{here}{path}>; rel="original timegate"']
    span = f'; from="{http_date(held[0].created)}"; until="{http_date(held[-1].created)}"'
    listed.append(f'<{here}/timemap{path}>; rel="self"; type="application/link-format"{span}')
    for number, one in enumerate(held):
        place = " ".join(word for word, holds in (("first", number == 0), ("last", number == len(held) - 1)) if holds)
        rel = f"{place} memento".strip()
        listed.append(f'<{here}/memento/{stamp(one)}{path}>; rel="{rel}"; datetime="{http_date(one.created)}"')
    headers = (("Content-Type", LINKS.media_type), ("Vary", "Accept"), ("Cache-Control", CACHED), ("ETag", tag))
    return Answer(200, headers, (",\n".join(listed) + "\n").encode())


def without_date(ask: Ask, path: str) -> Ask:
    """Make the request for the document behind the address of a state."""
    kept = {name: value for name, value in ask.headers.items() if name != "accept-datetime"}
    return replace(ask, path=path, headers=kept)
