"""Media types that we write, and which of them an `Accept` header or a suffix asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import pyoxigraph as ox


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Format:
    """One way to write a graph, a table of results or a page; each is made once and known by itself."""

    name: str
    label: str
    media_type: str
    suffix: str
    names: tuple[str, ...] = ()  # further words that `format=` takes
    aliases: tuple[str, ...] = ()  # media types that the same bytes may honestly be called
    charset: bool = False
    rdf: ox.RdfFormat | None = None
    results: ox.QueryResultsFormat | None = None

    def is_called(self, word: str) -> bool:
        """Tell whether `format=word` means this format."""
        folded = word.strip().lower()
        return folded in (self.name, self.suffix, self.media_type, *self.names, *self.aliases)


TURTLE: Final = Format(
    name="turtle", label="Turtle", media_type="text/turtle", suffix="ttl", aliases=("application/x-turtle",), charset=True,
    rdf=ox.RdfFormat.TURTLE,
)  # fmt: skip
JSON_LD: Final = Format(
    name="json-ld", label="JSON-LD", media_type="application/ld+json", suffix="jsonld", names=("json",),
    aliases=("application/json",), rdf=ox.RdfFormat.JSON_LD,
)  # fmt: skip
N_TRIPLES: Final = Format(
    name="n-triples", label="N-Triples", media_type="application/n-triples", suffix="nt", names=("ntriples",), charset=True,
    rdf=ox.RdfFormat.N_TRIPLES,
)  # fmt: skip
RDF_XML: Final = Format(
    name="rdf-xml", label="RDF/XML", media_type="application/rdf+xml", suffix="rdf", names=("rdfxml", "xml"),
    aliases=("application/xml", "text/xml"), rdf=ox.RdfFormat.RDF_XML,
)  # fmt: skip
HTML: Final = Format(
    name="html", label="HTML", media_type="text/html", suffix="html", aliases=("application/xhtml+xml",), charset=True
)
RESULTS_JSON: Final = Format(
    name="json", label="JSON", media_type="application/sparql-results+json", suffix="srj", aliases=("application/json",),
    results=ox.QueryResultsFormat.JSON,
)  # fmt: skip
RESULTS_XML: Final = Format(
    name="xml", label="XML", media_type="application/sparql-results+xml", suffix="srx",
    aliases=("application/xml", "text/xml"), results=ox.QueryResultsFormat.XML,
)  # fmt: skip
RESULTS_CSV: Final = Format(
    name="csv", label="CSV", media_type="text/csv", suffix="csv", charset=True, results=ox.QueryResultsFormat.CSV
)
RESULTS_TSV: Final = Format(
    name="tsv", label="TSV", media_type="text/tab-separated-values", suffix="tsv", charset=True,
    results=ox.QueryResultsFormat.TSV,
)  # fmt: skip
TRIG: Final = Format(
    name="trig", label="TriG", media_type="application/trig", suffix="trig", aliases=("application/x-trig",), charset=True,
    rdf=ox.RdfFormat.TRIG,
)  # fmt: skip
N_QUADS: Final = Format(
    name="n-quads", label="N-Quads", media_type="application/n-quads", suffix="nq", names=("nquads",), charset=True,
    rdf=ox.RdfFormat.N_QUADS,
)  # fmt: skip
GEOJSON: Final = Format(name="geojson", label="GeoJSON", media_type="application/geo+json", suffix="geojson")
RESULTS_PARQUET: Final = Format(name="parquet", label="Parquet", media_type="application/vnd.apache.parquet", suffix="parquet")
RESULTS_ARROW: Final = Format(
    name="arrow", label="Arrow", media_type="application/vnd.apache.arrow.stream", suffix="arrows", names=("ipc",)
)

GRAPH_FORMATS: Final = (TURTLE, JSON_LD, N_TRIPLES, RDF_XML)  # in our order of preference
RESULT_FORMATS: Final = (RESULTS_JSON, RESULTS_XML, RESULTS_CSV, RESULTS_TSV)
DOCUMENT_FORMATS: Final = (*GRAPH_FORMATS, HTML)
QUERY_GRAPH_FORMATS: Final = (*GRAPH_FORMATS, TRIG, N_QUADS)  # what the SPARQL endpoint writes
QUERY_RESULT_FORMATS: Final = (*RESULT_FORMATS, GEOJSON, RESULTS_PARQUET, RESULTS_ARROW)


@dataclass(frozen=True, slots=True)
class Offer:
    """A format under one of its media types."""

    format: Format
    media_type: str

    @property
    def content_type(self) -> str:
        """Return the value of the `Content-Type` header."""
        return f"{self.media_type}; charset=utf-8" if self.format.charset else self.media_type


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an `Accept` header (RFC 9110, section 12.5.1)."""

    type: str
    subtype: str
    quality: float
    parameters: bool = False

    def specificity(self, media_type: str) -> int | None:
        """
        Say how closely this range describes a media type, or `None` when it does not.

        A range with parameters that we do not know (a profile, a version) still names the type, a little less closely than the
        bare type does.
        """
        if self.type == "*":
            return 0
        main, _, sub = media_type.partition("/")
        if self.type != main:
            return None
        if self.subtype == "*":
            return 1
        if self.subtype != sub:
            return None
        return 2 if self.parameters else 3


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WEIGHT = re.compile(r"0?\.\d{1,3}|0\.?|1(?:\.0{0,3})?")  # `.3` is not in the grammar and often sent


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at a separator that is not inside a quoted string."""
    start, quoted, escaped = 0, False, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()


def _media_range(element: str) -> MediaRange | None:
    name, *parameters = _split(element, ";")
    main, slash, sub = name.lower().partition("/")
    if not slash or not _TOKEN.fullmatch(main) or not _TOKEN.fullmatch(sub) or (main == "*" and sub != "*"):
        return None
    quality, further = 1.0, False
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            if not _WEIGHT.fullmatch(value.strip()):
                return None
            quality = float(value)
        elif parameter and key.strip().lower() != "charset":
            further = True
    return MediaRange(main, sub, quality, further)


def read_accept(accept: str | None) -> tuple[MediaRange, ...]:
    """
    Read an `Accept` header; elements that are not well-formed are passed over, and no header at all accepts everything.

    >>> read_accept("text/html;q=0.3, */*")
    (MediaRange(type='text', subtype='html', quality=0.3, parameters=False), MediaRange(type='*', subtype='*', \
quality=1.0, parameters=False))
    """
    if accept is None or not accept.strip():
        return (MediaRange("*", "*", 1.0),)
    ranges = tuple(read for element in _split(accept, ",") if element and (read := _media_range(element)) is not None)
    return ranges


def quality(ranges: Sequence[MediaRange], media_type: str) -> float:
    """Return the weight that the most specific matching range gives to a media type; 0 means not acceptable."""
    best, weight = -1, 0.0
    for item in ranges:
        specificity = item.specificity(media_type)
        if specificity is None or specificity < best:
            continue
        weight = item.quality if specificity > best else max(weight, item.quality)
        best = specificity
    return weight


def offers(formats: Sequence[Format]) -> tuple[Offer, ...]:
    """List what can be sent, best first: every format under its own name, then under its other names."""
    own = [Offer(item, item.media_type) for item in formats]
    return (*own, *(Offer(item, alias) for item in formats for alias in item.aliases))


@lru_cache(maxsize=1024)
def _negotiate(accept: str | None, formats: tuple[Format, ...]) -> Offer | None:
    ranges = read_accept(accept)
    best, chosen = 0.0, None
    for offer in offers(formats):
        weight = quality(ranges, offer.media_type)
        if weight > best:
            best, chosen = weight, offer
    return chosen


def negotiate(accept: str | None, formats: tuple[Format, ...]) -> Offer | None:
    """
    Choose what an `Accept` header asks for (RFC 9110, section 12.5.1), or `None` when nothing offered is acceptable.

    The most specific range decides the weight of a type, the highest weight wins, and our own order decides between equals.

    >>> negotiate("text/*;q=0.5, text/turtle;q=0.1, application/rdf+xml;q=0.2", DOCUMENT_FORMATS).media_type
    'text/html'
    >>> negotiate("image/png", DOCUMENT_FORMATS) is None
    True
    """
    if accept is not None and len(accept) > 1024:
        return _negotiate.__wrapped__(accept, formats)  # long headers are answered and not remembered
    return _negotiate(accept, formats)


def named(word: str, formats: Sequence[Format]) -> Offer | None:
    """
    Choose the format that `format=word` names, or `None` when it is not offered.

    >>> named("ttl", GRAPH_FORMATS).media_type
    'text/turtle'
    """
    for item in formats:
        if item.is_called(word):
            folded = word.strip().lower()
            return Offer(item, folded if folded in item.aliases else item.media_type)
    return None


def split_suffix(path: str, formats: Sequence[Format]) -> tuple[str, Format | None]:
    """
    Take a known suffix off the end of a path.

    >>> split_suffix("doc/stop/1001.ttl", DOCUMENT_FORMATS)[0]
    'doc/stop/1001'
    >>> split_suffix("doc/stop/1001.png", DOCUMENT_FORMATS)
    ('doc/stop/1001.png', None)
    """
    stem, dot, suffix = path.rpartition(".")
    if dot and stem and not stem.endswith("/") and "/" not in suffix:
        for item in formats:
            if item.suffix == suffix:
                return stem, item
    return path, None
