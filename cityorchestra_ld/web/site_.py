"""What stays the same from request to request: the territory, its addresses, its pages, the queries that pages offer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from cityorchestra_ld.model import Text
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.queries import NamedQuery, Term, bind, read_queries
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.web.addresses import Addresses
from cityorchestra_ld.web.pages import Pages, design

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
        self.pages = Pages(territory)
        self.prefixes = prefixes(territory.base_iri)
        self.salt = hashlib.blake2b(f"{design()}{territory!r}".encode(), digest_size=8).hexdigest()
        self.examples = {query.name: _example(query) for query in read_queries(territory.root / "queries" / "competency")}
        self._own = {query.name: query for query in read_queries(_QUERIES)}
        self._datasets = {territory.iris.dataset(key): dataset for key, dataset in territory.datasets.items()}

    def dataset_at(self, iri: str) -> Dataset | None:
        """Return the dataset that an IRI names."""
        return self._datasets.get(iri)

    def query(self, name: str, **terms: Term) -> Example:
        """Return one of our own queries with terms bound."""
        found = self._own[name]
        return Example(found.name, found.title, _body(bind(found.text, **terms)))


def _body(text: str) -> str:
    """Drop the `#+` header lines of a query file."""
    return "\n".join(line for line in text.strip().splitlines() if not line.startswith("#+")).strip() + "\n"


def _example(query: NamedQuery) -> Example:
    return Example(query.name, query.title, _body(query.text))
