"""Cut what is long into pages: which part a client asks for, and what that part says about its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.namespaces import RDF, XSD
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.problems import NotFoundError

PAGE: Final = 5_000  # triples of one page
_HYDRA: Final = "http://www.w3.org/ns/hydra/core#"
_TREE: Final = "https://w3id.org/tree#"
_MOST: Final = 1_000_000
N = ox.NamedNode


@dataclass(frozen=True, slots=True)
class Part:
    """One page: its triples, those about paging among them, and its Link values."""

    number: int
    triples: Sequence[ox.Triple]
    links: tuple[str, ...] = ()


def page_number(ask: Ask) -> int:
    """Read `page=`; raise UsageError unless it is a whole number from 1."""
    text = ask.one("page") or "1"
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST:
        return int(text)
    raise UsageError(
        Text("Le paramètre « page » est un nombre entier à partir de 1.", "The parameter 'page' is a whole number from 1."),
        place=Place(column="page", value=text),
    )


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the pages of something long are: the path up to the number, below our base and where the service is mounted."""

    address: str
    base: str
    root: str = ""

    def iri(self, number: int) -> ox.NamedNode:
        """Return the IRI of a page."""
        return N(f"{self.base}{self.address.removeprefix('/')}{number}")

    def link(self, number: int, rel: str) -> str:
        """Return the Link value that leads to a page."""
        return f'<{self.root}{self.address}{number}>; rel="{rel}"'


def part_of(ordered: Sequence[ox.Triple], iri: str, pages: Pages, number: int, size: int = PAGE) -> Part:
    """Return one page of triples; all of them when they fit. Raises NotFoundError for a page after the last."""
    last = max(1, -(-len(ordered) // size))
    if number > last:
        raise no_page(number)
    if last == 1:
        return Part(1, ordered)
    start = (number - 1) * size
    part = told(ordered[start : start + size], iri, pages, number, more=number < last)
    total = ox.Literal(str(len(ordered)), datatype=N(f"{XSD}integer"))
    about = [
        ox.Triple(N(iri), N(f"{_HYDRA}totalItems"), total),
        ox.Triple(pages.iri(number), N(f"{_HYDRA}last"), pages.iri(last)),
    ]
    return Part(number, [*about, *part.triples], (*part.links, pages.link(last, "last")))


def told(triples: Sequence[ox.Triple], iri: str, pages: Pages, number: int, *, more: bool) -> Part:
    """Add to the triples of a page what Hydra and TREE say of pages: which this is, and where its neighbours are."""
    here = pages.iri(number)
    links = [pages.link(1, "first")]
    about = [
        ox.Triple(N(iri), N(f"{_HYDRA}view"), here),
        ox.Triple(N(iri), N(f"{_TREE}view"), here),
        ox.Triple(here, N(f"{RDF}type"), N(f"{_HYDRA}PartialCollectionView")),
        ox.Triple(here, N(f"{RDF}type"), N(f"{_TREE}Node")),
        ox.Triple(here, N(f"{_HYDRA}first"), pages.iri(1)),
    ]
    if number > 1:
        about.append(ox.Triple(here, N(f"{_HYDRA}previous"), pages.iri(number - 1)))
        links.append(pages.link(number - 1, "prev"))
    if more:
        relation = N(f"{here.value}#next")
        about += [
            ox.Triple(here, N(f"{_HYDRA}next"), pages.iri(number + 1)),
            ox.Triple(here, N(f"{_TREE}relation"), relation),
            ox.Triple(relation, N(f"{RDF}type"), N(f"{_TREE}Relation")),
            ox.Triple(relation, N(f"{_TREE}node"), pages.iri(number + 1)),
        ]
        links.append(pages.link(number + 1, "next"))
    return Part(number, [*about, *triples], tuple(links))


def no_page(number: int) -> NotFoundError:
    """Make the error for a page after the last."""
    return NotFoundError(
        Text(f"Il n'y a pas de page {number}.", f"There is no page {number}."), place=Place(column="page", value=str(number))
    )
