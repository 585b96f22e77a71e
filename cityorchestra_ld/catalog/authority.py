"""Codes of published authority tables that catalogues use, with their words, and as nodes that harvesters can read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.catalog.triples import Graph, both, lit
from cityorchestra_ld.model import Text

EU: Final = "http://publications.europa.eu/resource/authority/"
SPDX: Final = "http://spdx.org/licenses/"
IANA: Final = "http://www.iana.org/assignments/media-types/"
HVD_LAW: Final = "http://data.europa.eu/eli/reg_impl/2023/138/oj"
_ADMS: Final = "http://purl.org/adms/"
_MOBILITY: Final = "https://w3id.org/mobilitydcat-ap/"
_FILE: Final = Path(__file__).with_name("authority.json")
Pairs = dict[str, tuple[str, str]]


class Codes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"licence_types": "licence-types"}):
    """The tables: code, words in French, words in English, and what else is known."""

    access: Pairs
    frequencies: Pairs
    themes: Pairs
    languages: Pairs
    licences: dict[str, tuple[str, str, str, str]]
    licence_types: dict[str, str]
    hvd: Pairs
    publishers: Pairs
    forms: dict[str, tuple[str, str, str, str]]
    availability: Pairs
    mobility: Pairs
    modes: Pairs


@cache
def codes() -> Codes:
    """Read the tables once."""
    return msgspec.json.decode(_FILE.read_bytes(), type=Codes)


class Authorities:
    """Adds to a graph, once each, the codes that its records name: a class, a scheme and words in both languages."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._told: set[str] = set()

    def _once(self, iri: str) -> bool:
        new = iri not in self._told
        self._told.add(iri)
        return new

    def _concept(
        self, scheme: str, code: str, words: Mapping[str, tuple[str, str]], *kinds: str, name: str = ""
    ) -> ox.NamedNode:
        iri = f"{name or scheme + '/'}{code}"
        if self._once(iri):
            text = Text(*words.get(code, (code, code)))
            label = both(text)
            concept = "skos:Concept" in kinds
            self._graph.add(
                iri,
                kinds,
                skos_prefLabel=label if concept else None,
                rdfs_label=None if concept else label,
                skos_inScheme=ox.NamedNode(scheme),
            )
        return ox.NamedNode(iri)

    def theme(self, code: str) -> ox.NamedNode:
        """Name a theme of European data portals."""
        return self._concept(f"{EU}data-theme", code, codes().themes, "skos:Concept")

    def taxonomy(self) -> ox.NamedNode:
        """Name the scheme that themes belong to."""
        iri = f"{EU}data-theme"
        if self._once(iri):
            self._graph.add(iri, ["skos:ConceptScheme"], dct_title=both(Text("Thèmes de données", "Data themes")))
        return ox.NamedNode(iri)

    def change(self, code: str) -> ox.NamedNode:
        """Say what became of a record since the harvest before."""
        return self._concept(f"{_ADMS}changetype/1.0", code, {}, "skos:Concept", name=f"{_ADMS}changetype/")

    def access(self, code: str) -> ox.NamedNode:
        """Name an access right."""
        return self._concept(f"{EU}access-right", code, codes().access, "dct:RightsStatement")

    def frequency(self, code: str) -> ox.NamedNode:
        """Name a frequency."""
        return self._concept(f"{EU}frequency", code, codes().frequencies, "dct:Frequency")

    def language(self, code: str) -> ox.NamedNode:
        """Name a language."""
        return self._concept(f"{EU}language", code, codes().languages, "dct:LinguisticSystem")

    def availability(self, code: str) -> ox.NamedNode:
        """Say how long a distribution is meant to stay."""
        return self._concept(f"{EU}planned-availability", code, codes().availability, "skos:Concept")

    def publisher(self, code: str) -> ox.NamedNode:
        """Name a kind of publisher."""
        return self._concept(
            f"{_ADMS}publishertype/1.0", code, codes().publishers, "skos:Concept", name=f"{_ADMS}publishertype/"
        )

    def hvd(self, code: str) -> ox.NamedNode:
        """Name a category of high-value datasets."""
        scheme = "http://data.europa.eu/bna/asd487ae75"
        return self._concept(scheme, code, codes().hvd, "skos:Concept", name="http://data.europa.eu/bna/")

    def law(self) -> ox.NamedNode:
        """Name the regulation on high-value datasets."""
        if self._once(HVD_LAW):
            text = Text("Règlement d'exécution (UE) 2023/138", "Implementing Regulation (EU) 2023/138")
            self._graph.add(HVD_LAW, ["eli:LegalResource"], rdfs_label=both(text))
        return ox.NamedNode(HVD_LAW)

    def form(self, code: str) -> tuple[ox.NamedNode, ox.NamedNode]:
        """Name a file type and its media type."""
        fr, en, file_type, media_type = codes().forms[code]
        words = {file_type: (fr, en)}
        kind = self._concept(f"{EU}file-type", file_type, words, "dct:MediaTypeOrExtent")
        return kind, self.media(media_type)

    def media(self, media_type: str) -> ox.NamedNode:
        """Name a media type."""
        iri = IANA + media_type
        if self._once(iri):
            self._graph.add(iri, ["dct:MediaType"], rdfs_label=lit(media_type))
        return ox.NamedNode(iri)

    def licence(self, identifier: str) -> ox.NamedNode:
        """Name a licence by its SPDX identifier or its address."""
        iri = identifier if identifier.startswith(("http://", "https://")) else SPDX + identifier
        if self._once(iri):
            words = codes().licences.get(identifier)
            kind = codes().licence_types.get(identifier, "OtherRestrictiveClauses")
            label = both(Text(words[0], words[1])) if words else lit(identifier)
            scheme, name = f"{_ADMS}licencetype/1.0", f"{_ADMS}licencetype/"
            kind_iri = self._concept(scheme, kind, {}, "skos:Concept", name=name)
            self._graph.add(iri, ["dct:LicenseDocument"], rdfs_label=label, dct_type=kind_iri)
        return ox.NamedNode(iri)

    def standard(self, iri: str, title: Text) -> ox.NamedNode:
        """Name a standard."""
        if self._once(iri):
            self._graph.add(iri, ["dct:Standard"], dct_title=both(title))
        return ox.NamedNode(iri)

    def place(self, iri: str) -> ox.NamedNode:
        """Name a place."""
        if self._once(iri):
            self._graph.add(iri, ["dct:Location"])
        return ox.NamedNode(iri)

    def policy(self, iri: str) -> ox.NamedNode:
        """Name conditions of use."""
        if self._once(iri):
            self._graph.add(iri, ["odrl:Policy"])
        return ox.NamedNode(iri)

    def mobility(self, code: str) -> ox.NamedNode:
        """Name a theme of mobility data (mobilityDCAT-AP)."""
        return self._concept(f"{_MOBILITY}mobility-theme", code, codes().mobility, "skos:Concept")

    def mode(self, code: str) -> ox.NamedNode:
        """Name a mode of transport (mobilityDCAT-AP)."""
        return self._concept(f"{_MOBILITY}transport-mode", code, codes().modes, "skos:Concept")
