"""Places that have a page of their own (communes, IRIS), and where these pages are."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True)
class Places:
    """The kinds of places, each with the start of its IRIs; only those that the territory has questions about."""

    spaces: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, base: str, asked: frozenset[str]) -> Places:
        """List the kinds of places of a territory that some query of its pages asks about."""
        known = (("commune", "http://id.insee.fr/geo/commune/"), ("iris", f"{base}id/iris/"))
        return cls(tuple((kind, space) for kind, space in known if kind in asked))

    def page(self, iri: str) -> str | None:
        """Return the path of the page of a place, `None` when it has none."""
        for kind, space in self.spaces:
            reference = iri.removeprefix(space)
            if reference != iri and reference.isalnum():
                return f"/territory/{kind}/{quote(reference)}"
        return None

    def find(self, path: str) -> tuple[str, str] | None:
        """Return the kind and the IRI of the place that a path means."""
        kind, _, reference = unquote(path.removeprefix("/territory/")).partition("/")
        space = dict(self.spaces).get(kind)
        return (kind, space + reference) if space and reference.isalnum() and reference.isascii() else None
