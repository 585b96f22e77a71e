"""Where an IRI of ours is served, and which IRI a path means: the one place that knows both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError

_UNRESERVED = "-._~"
_SUB_DELIMS = "!$&'()*+,;=:@"
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_UCSCHAR = re.compile("[\u00a0-\u200d\u2010-\u2029\u2030-\u2065\u206a-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000dffff]")
_SIMPLE = re.compile(r"[A-Za-z0-9._~/-]*")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_MAX_IRI = 4000


def _readable(match: re.Match[str]) -> str:
    """Write percent-encoded UTF-8 of non-ASCII characters as these characters, and other escapes in upper case."""
    try:
        text = unquote_to_bytes(match.group()).decode()
    except UnicodeDecodeError:
        return match.group().upper()
    return "".join(char if _UCSCHAR.match(char) else quote(char, safe="") if char not in _UNRESERVED else char for char in text)


def _escape(text: str, safe: str, *, keep_letters: bool) -> str:
    """Percent-encode one segment; letters outside ASCII stay when an IRI is wanted."""
    if not keep_letters:
        return quote(text, safe=safe)
    return "".join(char if _UCSCHAR.match(char) else quote(char, safe=safe) for char in text)


def spellings(path: str) -> tuple[str, ...]:
    """
    List the IRIs that a requested path may mean, nearest first: as sent, as we mint, as RML templates write.

    The slash that is part of a reference (`%2F`) is never confused with a separator.

    >>> spellings("id/stop/1001")
    ('id/stop/1001',)
    >>> spellings("id/pdc/FR*A68")
    ('id/pdc/FR*A68', 'id/pdc/FR%2AA68')
    """
    if _SIMPLE.fullmatch(path):
        return (path,)
    wire = _ESCAPES.sub(lambda match: match.group().upper(), path)
    found = [_ESCAPES.sub(_readable, path), wire]
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in path.split("/")]
    except UnicodeDecodeError:
        segments = []
    for safe in (_UNRESERVED, _SUB_DELIMS) if segments else ():
        for keep in (False, True):
            found.append("/".join(_escape(segment, safe, keep_letters=keep) for segment in segments))
    return tuple(dict.fromkeys(found))


def to_uri(iri: str) -> str:
    """
    Write an IRI with ASCII only, as headers and links want it (RFC 3987, section 3.1).

    >>> to_uri("https://x.example/id/Plœuc-L'Hermitage")
    "https://x.example/id/Pl%C5%93uc-L'Hermitage"
    """
    return quote(iri, safe="/%:@!$&'()*+,;=~-._?#[]")


def is_web(iri: str) -> bool:
    """Tell whether an IRI may become a link: http and https only, never `javascript:` or `data:`."""
    return iri.startswith(("https://", "http://"))


def is_iri(text: str) -> bool:
    """Tell whether a text is an absolute IRI (RFC 3987), as the engine sees it."""
    try:
        ox.NamedNode(text)
    except ValueError:
        return False
    return True


def checked_iri(text: str) -> str:
    """Return an IRI that somebody typed; raise UsageError unless it is an absolute IRI."""
    iri = text.strip().removeprefix("<").removesuffix(">")
    if not _ABSOLUTE.fullmatch(iri) or len(iri) > _MAX_IRI or not is_iri(iri):
        raise UsageError(
            Text("Ceci n'est pas une adresse (IRI) absolue.", "This is not an absolute IRI."),
            place=Place(value=text),
            hint=Text("Exemple : http://id.insee.fr/geo/commune/35238", "Example: http://id.insee.fr/geo/commune/35238"),
        )
    return iri


@dataclass(frozen=True, slots=True)
class Addresses:
    """The IRIs of a territory against the paths of this service; the base IRI need not be where the service runs."""

    base: str

    def iris(self, path: str) -> tuple[str, ...]:
        """List the IRIs that a request path such as `/id/stop/1001` may mean."""
        return tuple(iri for spelling in spellings(path.removeprefix("/")) if is_iri(iri := self.base + spelling))

    def is_ours(self, iri: str) -> bool:
        """Tell whether an IRI lies under the base of this territory."""
        return iri.startswith(self.base)

    def path(self, iri: str) -> str:
        """Return the path at which an IRI of ours is served."""
        return "/" + to_uri(iri.removeprefix(self.base))

    def page(self, iri: str) -> str | None:
        """Return the path of the page that describes an IRI, or `None` when it may not be a link at all."""
        if self.is_ours(iri):
            path = self.path(iri)
            return "/doc/" + path.removeprefix("/id/") if path.startswith("/id/") else path
        if is_web(iri):
            return "/describe?iri=" + quote(iri, safe="")
        return None
