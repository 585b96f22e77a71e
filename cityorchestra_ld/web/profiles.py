"""Profiles: the ways in which we tell what is known of a thing, and which of them a client asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cityorchestra_ld.errors import Text
from cityorchestra_ld.formats import GEOJSON, GRAPH_FORMATS, HTML, JSON_LD, Format, Offer, named, negotiate
from cityorchestra_ld.web.http_ import Ask

_PROFILE: Final = re.compile(r'profile\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
_RANGE: Final = re.compile(r"\s*(?:<([^<>]*)>|(\*)|([^\s;,<>]+))\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?|\.\d{1,3}))?\s*(?:,|$)")


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One way to tell what is known of a thing; each is made once and known by itself."""

    token: str  # what `_profile=` takes, beside the IRI
    name: str  # its IRI, relative to our base when we coined it ourselves
    title: Text
    formats: tuple[Format, ...]

    def iri(self, base: str) -> str:
        """Return the IRI that names the profile."""
        return self.name if self.name.startswith("http") else base + self.name


PLAIN: Final = Profile(
    "plain", "def/profile#plain",
    Text("ce qui est publié, avec ses parties", "what is published, with its parts"), (*GRAPH_FORMATS, HTML),
)  # fmt: skip
LABELLED: Final = Profile(
    "labelled", "def/profile#labelled",
    Text("et le nom de tout ce qui est cité", "and the name of everything that is mentioned"), GRAPH_FORMATS,
)  # fmt: skip
CBD: Final = Profile(
    "cbd", "http://www.w3.org/Submission/CBD/",
    Text("la ressource et ses nœuds sans nom, rien d'autre", "the resource and its unnamed nodes, nothing else"), GRAPH_FORMATS,
)  # fmt: skip
FRAMED: Final = Profile(
    "framed", "http://www.w3.org/ns/json-ld#framed",
    Text("un arbre JSON-LD avec notre contexte", "a JSON-LD tree with our context"), (JSON_LD,),
)  # fmt: skip
SCHEMA: Final = Profile(
    "schema",
    "https://schema.org/",
    Text("schema.org, pour les moteurs de recherche", "schema.org, for search engines"),
    (JSON_LD,),
)
NGSI: Final = Profile(
    "ngsi-ld", "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
    Text("une entité NGSI-LD, pour les jumeaux numériques", "an NGSI-LD entity, for digital twins"), (JSON_LD,),
)  # fmt: skip
FEATURE: Final = Profile(
    "geojson", "https://www.rfc-editor.org/info/rfc7946",
    Text("un objet GeoJSON, pour les cartes", "a GeoJSON feature, for maps"), (GEOJSON,),
)  # fmt: skip
ALTERNATES: Final = Profile(
    "alt", "http://www.w3.org/ns/dx/connegp/altr",
    Text("la liste des profils et des formes", "the list of profiles and forms"), GRAPH_FORMATS,
)  # fmt: skip
PROFILES: Final = (PLAIN, LABELLED, CBD, FRAMED, SCHEMA, NGSI, FEATURE, ALTERNATES)
_UNASKED: Final = (PLAIN.token, FEATURE.token)  # profiles that a media type alone can choose
_LONG: Final = 1_024  # characters of what is asked from which a choice is not remembered


@dataclass(frozen=True, slots=True)
class Choice:
    """A profile in one form."""

    profile: Profile
    offer: Offer


def choose(ask: Ask, offered: tuple[Profile, ...], base: str, fixed: Format | None) -> Choice | None:
    """
    Choose profile and form, or `None` when nothing offered is acceptable (Content Negotiation by Profile, section 7).

    `_profile=` decides, then Accept-Profile, then the profile inside an Accept header; among profiles of the same weight the
    form decides: the suffix, then `format=`, then Accept.
    """
    asked, word = ask.one("_profile") or "", ask.one("format") or ask.one("_mediatype") or ""
    said = (asked, ask.headers.get("accept-profile", "").strip(), ask.accept, word)
    chosen = _choose if sum(len(text or "") for text in said) <= _LONG else _choose.__wrapped__
    return chosen(said, offered, base, fixed)


@lru_cache(maxsize=1024)
def _choose(
    said: tuple[str, str, str | None, str], offered: tuple[Profile, ...], base: str, fixed: Format | None
) -> Choice | None:
    asked, header, accept, word = said
    if asked:
        groups = [[profile for profile in offered if asked in (profile.token, profile.iri(base))]]
    elif header:
        groups = _weighed(header, offered, base)
    else:
        usual = [profile for profile in offered if profile.token in _UNASKED]
        groups = [_inside(accept or "", offered, base), usual]
    for group in groups:
        choice = _form(accept, word, group, fixed)
        if choice is not None:
            return choice
    return None


def _weighed(header: str, offered: Sequence[Profile], base: str) -> list[list[Profile]]:
    """Group the profiles that an Accept-Profile header accepts, the most wanted first."""
    weights: dict[str, float] = {}
    for bracketed, star, bare, weight in _RANGE.findall(header):
        weights.setdefault(bracketed or star or bare, float(weight or 1))
    usual = weights.get("*", 0.0)
    found: dict[float, list[Profile]] = {}
    for profile in offered:
        weight = weights.get(profile.iri(base), weights.get(profile.token, usual if profile.token in _UNASKED else 0.0))
        if weight > 0:
            found.setdefault(weight, []).append(profile)
    return [found[weight] for weight in sorted(found, reverse=True)]


def _inside(accept: str, offered: Sequence[Profile], base: str) -> list[Profile]:
    """Find the profile that a media type of an Accept header names; one that we do not know is passed over."""
    wanted = {iri for quoted, bare in _PROFILE.findall(accept) for iri in (quoted or bare).split()}
    return [profile for profile in offered if profile.iri(base) in wanted and profile is not PLAIN]


def _form(accept: str | None, word: str, group: Sequence[Profile], fixed: Format | None) -> Choice | None:
    forms = tuple(dict.fromkeys(form for profile in group for form in profile.formats))
    if fixed is not None:
        offer = Offer(fixed, fixed.media_type) if fixed in forms else None
    else:
        offer = named(word, forms) if word else negotiate(accept, forms)
    if offer is None:
        return None
    return Choice(next(profile for profile in group if offer.format in profile.formats), offer)
