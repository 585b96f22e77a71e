"""What stays the same from request to request: the territory, its addresses, its pages, the queries that pages offer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import orjson

from cityorchestra_ld.model import Text
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.queries import NamedQuery, Term, bind, read_queries
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.web.addresses import Addresses
from cityorchestra_ld.web.api_catalog import read_apis
from cityorchestra_ld.web.framing import Context, read_context
from cityorchestra_ld.web.pages import Pages, design
from cityorchestra_ld.web.places import Places

_QUERIES: Final = Path(__file__).with_name("queries")


@dataclass(frozen=True, slots=True)
class Example:
    """A ready query: its text, and links to the page that shows it or runs it."""

    name: str
    title: Text
    text: str

    @property
    def open(self) -> str:
        """Return the path of the query page with this query in it."""
        return "/sparql?" + urlencode({"example": self.name})

    @property
    def run(self) -> str:
        """Return the path that runs this query and shows the answer in a page."""
        return "/sparql?" + urlencode({"query": self.text, "format": "html"}) + "#results"


class Site:
    """One territory as the service knows it; built once."""

    def __init__(self, territory: Territory) -> None:
        self.territory = territory
        self.addresses = Addresses(territory.base_iri)
        self.prefixes = prefixes(territory.base_iri)
        self.panels = _panels(territory.root / "queries" / "pages")  # by page
        self.pages = Pages(territory, frozenset(self.panels))
        self.places = Places.of(territory.base_iri, frozenset(self.panels))
        asked = "".join(query.text for queries in self.panels.values() for query in queries)
        told = replace(territory, state=Path(), workers=1, server=None, read_only=False)  # what answers do not depend on
        self.salt = hashlib.blake2b(f"{design()}{told!r}{asked}".encode(), digest_size=8).hexdigest()
        self.examples = {query.name: _example(query) for query in read_queries(territory.root / "queries" / "competency")}
        self.context = _context(territory, self.prefixes)
        self.apis = read_apis(territory.root / "queries" / "api", self.prefixes)
        self._own = {query.name: query for query in read_queries(_QUERIES)}
        self._datasets = {territory.iris.dataset(key): dataset for key, dataset in territory.datasets.items()}

    def dataset_at(self, iri: str) -> Dataset | None:
        """Return the dataset that an IRI names."""
        return self._datasets.get(iri)

    def query(self, name: str, **terms: Term) -> Example:
        """Return one of our own queries with terms bound."""
        found = self._own[name]
        return Example(found.name, found.title, bind(found.body, **terms))


def _panels(folder: Path) -> dict[str, tuple[NamedQuery, ...]]:
    """Read the queries of each page, in the order of their file names."""
    return {page.name: tuple(read_queries(page)) for page in sorted(folder.glob("*")) if page.is_dir()}


def _context(territory: Territory, known: Mapping[str, str]) -> Context:
    """Read the JSON-LD context of the territory, or make one of the prefixes."""
    file = territory.root / "ontology" / "context.jsonld"
    document = file.read_bytes() if file.exists() else orjson.dumps({"@context": {"@version": 1.1, **known}})
    return read_context(str(file), document)


def _example(query: NamedQuery) -> Example:
    return Example(query.name, query.title, query.body)
