"""Read a catalogue that speaks DCAT in any RDF syntax, page after page (Hydra)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.catalog.foreign import Described, Place, licence_of, theme_of, web_address
from cityorchestra_ld.catalog.portals import Get, same_site
from cityorchestra_ld.errors import Place as Where
from cityorchestra_ld.errors import SourceError, Text
from cityorchestra_ld.iris import mint
from cityorchestra_ld.namespaces import DCAT, DCT, FOAF, RDF, REUSED

N = ox.NamedNode
Term = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple
_TYPE: Final = N(f"{RDF}type")
_NEXT: Final = tuple(N(f"{REUSED['hydra']}{name}") for name in ("next", "nextPage"))
_PAGES: Final = 500


def dcat(url: str | None, content: bytes | None, get: Get, base: str, name: str) -> tuple[Described, ...]:
    """Read the datasets that the catalogue lists; when it lists none, every dataset that is not a version of another."""
    found: dict[str, Described] = {}
    for store in _pages(url, content, get):
        for dataset in _datasets(store, base, name):
            found.setdefault(dataset.iri, dataset)
    return tuple(found.values())


def _pages(url: str | None, content: bytes | None, get: Get) -> Iterator[_Page]:
    address, seen = url or "", set[str]()
    for _ in range(_PAGES):
        page = _Page(content if content is not None else get(address), address)
        yield page
        following = page.next_page()
        if following is None or not url:
            return
        seen.add(address)
        address, content = same_site(address, following), None
        if address in seen:
            return


def _read(data: bytes, base: str) -> list[ox.Triple]:
    """Parse RDF whose syntax its first characters tell."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    format_ = ox.RdfFormat.TURTLE
    if start[:5] == b"<?xml" or start[:4] == b"<rdf" or start[:9] == b"<!DOCTYPE":
        format_ = ox.RdfFormat.RDF_XML
    elif start[:1] in (b"{", b"["):
        format_ = ox.RdfFormat.JSON_LD
    try:
        return [quad.triple for quad in ox.parse(start, format=format_, base_iri=base or None)]
    except (SyntaxError, ValueError) as error:
        raise SourceError(
            Text(f"Ce n'est pas du RDF lisible : {error}", f"This is not RDF that can be read: {error}"),
            place=Where(file=base) if base else None,
        ) from None


class _Page:
    """The triples of one page, by subject."""

    def __init__(self, data: bytes, address: str) -> None:
        self._about: dict[Term, dict[str, list[Term]]] = {}
        for triple in _read(data, address):
            self._about.setdefault(triple.subject, {}).setdefault(triple.predicate.value, []).append(triple.object)

    def next_page(self) -> str | None:
        for about in self._about.values():
            for predicate in _NEXT:
                for target in about.get(predicate.value, ()):
                    if isinstance(target, ox.NamedNode | ox.Literal):
                        return target.value
        return None

    def of_type(self, kind: str) -> list[Term]:
        return [node for node, about in self._about.items() if N(DCAT + kind) in about.get(_TYPE.value, ())]

    def objects(self, node: Term, *predicates: str) -> list[Term]:
        return [value for predicate in predicates for value in self._about.get(node, {}).get(predicate, ())]

    def texts(self, node: Term, *predicates: str) -> dict[str, str]:
        """Return texts by language, the first of each."""
        found: dict[str, str] = {}
        for value in self.objects(node, *predicates):
            if isinstance(value, ox.Literal):
                found.setdefault(value.language or "", value.value)
        return found

    def text(self, node: Term, *predicates: str) -> str | None:
        texts = self.texts(node, *predicates)
        return next((texts[language] for language in ("fr", "", "en") if language in texts), next(iter(texts.values()), None))

    def address(self, node: Term, *predicates: str) -> str | None:
        values = self.objects(node, *predicates)
        return next((found for value in values if (found := web_address(getattr(value, "value", None)))), None)


def _datasets(page: _Page, base: str, name: str) -> Iterator[Described]:
    listed = [node for catalog in page.of_type("Catalog") for node in page.objects(catalog, f"{DCAT}dataset")]
    nodes = listed or [node for node in page.of_type("Dataset") if not page.objects(node, f"{DCAT}isVersionOf")]
    series = set(page.of_type("DatasetSeries"))
    for node in dict.fromkeys(nodes):
        if node not in series and page.objects(node, f"{DCT}title"):
            yield _described(page, node, base, name)


def _described(page: _Page, node: Term, base: str, name: str) -> Described:
    title = page.texts(node, f"{DCT}title")
    own = web_address(node.value) if isinstance(node, ox.NamedNode) else None
    identifier = page.text(node, f"{DCT}identifier") or own or next(iter(title.values()))
    publisher = next(iter(page.objects(node, f"{DCT}publisher")), None)
    themes = page.objects(node, f"{DCAT}theme")
    codes = [
        theme.value.rpartition("/")[2] for theme in themes if isinstance(theme, ox.NamedNode) and "/data-theme/" in theme.value
    ]
    words = [value.value for value in themes if isinstance(value, ox.Literal)]
    places = tuple(place for one in page.objects(node, f"{DCAT}distribution") if (place := _place(page, one)) is not None)
    access = next(iter(page.objects(node, f"{DCT}accessRights")), None)
    licences = (licence_of(page.address(node, f"{DCT}license")), *(place.licence for place in places))
    return Described(
        iri=own or mint(f"{base}id/dataset/", name, identifier),
        identifier=identifier,
        title=title,
        description=page.texts(node, f"{DCT}description") or title,
        publisher=page.text(publisher, f"{FOAF}name") if publisher is not None else None,
        publisher_iri=publisher.value if isinstance(publisher, ox.NamedNode) else None,
        themes=tuple(dict.fromkeys([*codes, *theme_of(words)])),
        keywords=_keywords(page, node),
        licence=next((licence for licence in licences if licence), None),
        issued=page.text(node, f"{DCT}issued"),
        modified=page.text(node, f"{DCT}modified"),
        landing_page=page.address(node, f"{DCAT}landingPage"),
        access=access.value.rpartition("/")[2] if isinstance(access, ox.NamedNode) else "PUBLIC",
        places=places,
    )


def _keywords(page: _Page, node: Term) -> tuple[tuple[str, str], ...]:
    values = page.objects(node, f"{DCAT}keyword")
    return tuple((value.language or "fr", value.value) for value in values if isinstance(value, ox.Literal) and value.value)


def _place(page: _Page, node: Term) -> Place | None:
    access, download = page.address(node, f"{DCAT}accessURL"), page.address(node, f"{DCAT}downloadURL")
    if not (access or download):
        return None
    media = next(iter(page.objects(node, f"{DCAT}mediaType", f"{DCT}format")), None)
    size = page.text(node, f"{DCAT}byteSize")
    text = media.value if isinstance(media, ox.NamedNode | ox.Literal) else ""
    return Place(
        url=download or access or "",
        title=page.text(node, f"{DCT}title") or "",
        media_type=text.partition("media-types/")[2] or (text if "/" in text and ":" not in text else None),
        size=int(size) if size is not None and size.isascii() and size.isdecimal() else None,
        is_file=download is not None,
        licence=licence_of(page.address(node, f"{DCT}license")),
    )
