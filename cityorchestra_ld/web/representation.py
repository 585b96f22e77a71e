"""Answer with one of the forms of a document: choose it, validate what the client holds, build it once a generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.formats import DOCUMENT_FORMATS, HTML, Format, Offer
from cityorchestra_ld.namespaces import DCT, RDF
from cityorchestra_ld.web.http_ import CACHED, Answer, Ask, Headers, Language, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.languages import spoken
from cityorchestra_ld.web.paging import Pages, Part, page_number, part_of
from cityorchestra_ld.web.problems import NotAcceptableError, Variant
from cityorchestra_ld.web.profiles import ALTERNATES, FEATURE, FRAMED, PLAIN, Choice, Profile, choose
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.writing import order, write_graph, write_ordered

_ALTR: Final = "http://www.w3.org/ns/dx/connegp/altr#"
_STEM: Final = "\0"  # stands for the address of a document where links are remembered
_VARY: Final = "Accept, Accept-Profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a profile makes of a document; `by_language` when it holds names in one language only."""

    profile: Profile
    make: Callable[[Format, Language], bytes]
    by_language: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something with several forms: where it is, what it says, how its page is made."""

    iri: str
    path: str  # without suffix
    triples: Callable[[], Sequence[ox.Triple]]
    page: Callable[[], bytes]
    query: str = ""  # `?iri=…` when the address needs one; then forms are chosen by `format=`
    links: Callable[[], Sequence[str]] = tuple  # further Link values
    formats: tuple[Format, ...] = DOCUMENT_FORMATS
    further: tuple[Rendering, ...] = ()
    vary: str = _VARY
    own_pages: bool = False  # it is one page of something already
    variant: str = ""  # what else of its address the page depends on

    def form_path(self, form: Format, root: str = "", profile: Profile = PLAIN) -> str:
        """Return the address of one form."""
        return f"{root}{self.path}{self.query}{_ending(form, profile, queried=bool(self.query))}"

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """List the profiles that can be had, the usual one first."""
        return (_usual(self.formats), *(rendering.profile for rendering in self.further), ALTERNATES)

    @property
    def variants(self) -> tuple[tuple[Profile, Format], ...]:
        """List all forms of all profiles."""
        return tuple((profile, form) for profile in self.profiles for form in profile.formats)


@lru_cache(maxsize=64)
def _usual(formats: tuple[Format, ...]) -> Profile:
    return PLAIN if formats == PLAIN.formats else replace(PLAIN, formats=formats)


def _ending(form: Format, profile: Profile, *, queried: bool) -> str:
    """Return what the address of a form has behind that of its document."""
    told = "" if profile.token in (PLAIN.token, FEATURE.token) else f"_profile={profile.token}"
    if queried:
        return f"&format={form.suffix}{'&' if told else ''}{told}"
    return f".{form.suffix}{'?' if told else ''}{told}"


def represent(ask: Ask, site: Site, snapshot: Snapshot, document: Document, fixed: Format | None = None) -> Answer:
    """
    Answer with a form of a document, 304 when the client has it already (RFC 9110, sections 8.8 and 12).

    Raises NotAcceptableError with the list of forms when none is acceptable, UsageError for parameters that cannot be read.
    """
    base = site.territory.base_iri
    choice = choose(ask, document.profiles, base, fixed)
    if choice is None:
        raise _not_acceptable(ask, document, base)
    token, form = choice.profile.token, choice.offer.format
    rendering = next((item for item in document.further if item.profile.token == token), None)
    lang = spoken(ask) if rendering is not None and rendering.by_language else None
    page = page_number(ask) if token == PLAIN.token and form is not HTML and not document.own_pages else 1
    vary = f"{document.vary}, Accept-Language" if lang else document.vary
    created = snapshot.generation.created
    key = depends_on(ask, site, snapshot, document, choice, fixed, page, lang)
    tag = etag(*key)
    if is_fresh(ask, tag, created):
        return not_modified(tag, created, vary)
    answer = snapshot.answers.get(key)
    if answer is None:
        part = None
        if rendering is not None:
            body = rendering.make(form, lang or "fr")
        elif token == ALTERNATES.token:
            body = write_graph(list(_alternates(ask, document, base)), form, site.prefixes, document.iri)
        elif form is HTML:
            body = document.page()
        else:
            pages = Pages(_page_path(document, form, fixed), base, ask.root)
            ordered = order(document.triples(), document.iri)
            part = part_of(ordered, document.iri, pages, page)
            if part.triples is ordered:
                body = write_ordered(ordered, form, site.prefixes)
            else:
                body = write_graph(part.triples, form, site.prefixes, document.iri)
        headers = (*_headers(ask, document, choice, base, fixed, part), *_validators(vary, tag, created))
        answer = Answer(200, headers, body)
        snapshot.answers.put(key, answer)
    return answer


def depends_on(
    ask: Ask, site: Site, snapshot: Snapshot, document: Document, choice: Choice,
    fixed: Format | None = None, page: int = 1, lang: Language | None = None,
) -> tuple[object, ...]:  # fmt: skip
    """List everything that a form of a document depends on."""
    generation, form = snapshot.generation, choice.offer.format
    told = (choice.profile.token, choice.offer.media_type, fixed is None, page)
    seen = (*_seen_by(ask, snapshot, choice), lang, document.variant if form is HTML else "")
    return (site.salt, generation.created.isoformat(), generation.number, document.iri, document.path, *told, *seen)


def whole_headers(ask: Ask, site: Site, snapshot: Snapshot, document: Document, choice: Choice, tag: str) -> Headers:
    """Write the headers of a document that fits on one page, under its own address."""
    told = _headers(ask, document, choice, site.territory.base_iri, None, None)
    return (*told, *_validators(document.vary, tag, snapshot.generation.created))


def _validators(vary: str, tag: str, created: datetime) -> Headers:
    return (("Vary", vary), ("ETag", tag), ("Last-Modified", http_date(created)))


def _seen_by(ask: Ask, snapshot: Snapshot, choice: Choice) -> tuple[object, ...]:
    """List what a representation depends on, beside what it is about."""
    if choice.offer.format is HTML:
        return (ask.language, ask.said_language, ask.root, snapshot.statistics is not None)
    told_where = choice.profile.token in (FRAMED.token, ALTERNATES.token)
    return (ask.root, ask.origin) if told_where else (ask.root,)


def _not_acceptable(ask: Ask, document: Document, base: str) -> NotAcceptableError:
    variants = [
        Variant(form.media_type, document.form_path(form, ask.root, profile), profile.iri(base))
        for profile, form in document.variants
    ]
    return NotAcceptableError(variants, ask.one("_profile") or ask.one("format") or ask.accept or "")


def _page_path(document: Document, form: Format, fixed: Format | None) -> str:
    """Return the address that pages of a long document have, up to the number."""
    if document.query:
        return f"{document.form_path(form)}&page="
    return f"{document.form_path(form)}?page=" if fixed else f"{document.path}?page="


def _headers(
    ask: Ask, document: Document, choice: Choice, base: str, fixed: Format | None, part: Part | None
) -> list[tuple[str, str]]:
    offer, profile = choice.offer, choice.profile
    headers = [("Content-Type", _content_type(offer, profile)), ("Cache-Control", CACHED)]
    if offer.format is HTML:
        headers.append(("Content-Language", ask.language))
    if fixed is None and not document.query and (part is None or part.number == 1):
        headers.append(("Content-Location", document.form_path(offer.format, ask.root, profile)))
    headers.append(("Content-Profile", f"<{profile.iri(base)}>"))
    others = _alternate_links(document.profiles, choice, base, queried=bool(document.query))
    links = [others.replace(_STEM, f"{ask.root}{document.path}{document.query}")]
    if not document.query:
        links.append(f'<{base}{document.path.removeprefix("/")}>; rel="canonical"')
    headers.append(("Link", ", ".join([*links, *(part.links if part else ()), *document.links()])))
    return headers


def _content_type(offer: Offer, profile: Profile) -> str:
    if profile.token == FRAMED.token:
        return f'{offer.content_type}; profile="{profile.name}"'
    return offer.content_type


@lru_cache(maxsize=1024)
def _alternate_links(profiles: tuple[Profile, ...], choice: Choice, base: str, *, queried: bool) -> str:
    """Link to every other form of the usual profile, and to the first form of every other profile; `_STEM` for the address."""
    found = []
    for profile in profiles:
        forms = profile.formats if profile.token == PLAIN.token else profile.formats[:1]
        for form in forms:
            if (profile.token, form) != (choice.profile.token, choice.offer.format):
                named = "" if profile.token == PLAIN.token else f'; profile="{profile.iri(base)}"'
                address = f"{_STEM}{_ending(form, profile, queried=queried)}"
                found.append(f'<{address}>; rel="alternate"; type="{form.media_type}"{named}')
    return ", ".join([f'<{choice.profile.iri(base)}>; rel="profile"', *found])


def _alternates(ask: Ask, document: Document, base: str) -> Sequence[ox.Triple]:
    """Tell the forms of a document as data (Content Negotiation by Profile, section 6.4.1)."""
    start = ask.origin or base.rstrip("/")
    subject, altr = ox.NamedNode(document.iri), _ALTR
    found: list[ox.Triple] = []
    for number, (profile, form) in enumerate(document.variants):
        node = ox.NamedNode(f"{start}{document.form_path(form, ask.root, profile)}")
        found += [
            ox.Triple(subject, ox.NamedNode(f"{altr}{'hasRepresentation' if number else 'hasDefaultRepresentation'}"), node),
            ox.Triple(node, ox.NamedNode(f"{RDF}type"), ox.NamedNode(f"{altr}Representation")),
            ox.Triple(node, ox.NamedNode(f"{DCT}conformsTo"), ox.NamedNode(profile.iri(base))),
            ox.Triple(node, ox.NamedNode(f"{DCT}format"), ox.Literal(form.media_type)),
            ox.Triple(
                ox.NamedNode(profile.iri(base)),
                ox.NamedNode("http://www.w3.org/ns/dx/prof/hasToken"),
                ox.Literal(profile.token),
            ),
        ]
    return found
