"""Mint IRIs of a territory, and take them apart."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

_SAFE = "-._~"  # RFC 3986 unreserved, beside letters and digits


def mint(base: str, *segments: str) -> str:
    """
    Mint an IRI from a base and raw segments; each segment is percent-encoded exactly once.

    https://www.rfc-editor.org/rfc/rfc3986#section-2.1

    >>> mint("https://id.example/tree/", "Bd Foch", "n°3/a")
    'https://id.example/tree/Bd%20Foch/n%C2%B03%2Fa'
    """
    return base + "/".join(quote(segment, safe=_SAFE) for segment in segments)


def slug(text: str) -> str:
    """
    Reduce text to lower-case ASCII letters, digits and hyphens (NFKD).

    >>> slug("Plœuc-L'Hermitage")
    'ploeuc-l-hermitage'
    """
    folded = text.replace("œ", "oe").replace("Œ", "oe").replace("æ", "ae").replace("Æ", "ae")
    ascii_only = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Iris:
    """The IRIs of a territory, all under one base that ends with a slash."""

    base: str

    def id(self, concept: str, *reference: str) -> str:
        """Mint the IRI of a thing: `{base}id/{concept}/{reference}`."""
        return mint(f"{self.base}id/", concept, *reference)

    def dataset(self, key: str, version: str | None = None) -> str:
        """Mint the IRI of a dataset `partner/name`, or of one version of it."""
        return mint(f"{self.base}id/dataset/", *key.split("/"), *([version] if version else []))

    def graph(self, *path: str) -> str:
        """Mint the name of a graph: `{base}graph/{path}`."""
        return mint(f"{self.base}graph/", *path)

    def genid(self, scope: str, label: str) -> str:
        """
        Mint the IRI that stands for a blank node (RDF 1.1 Concepts, section 3.5, skolemisation).

        >>> Iris("https://x.example/").genid("star/reseau", "b0")
        'https://x.example/.well-known/genid/star/reseau/b0'
        """
        return mint(f"{self.base}.well-known/genid/", *scope.split("/"), label)
