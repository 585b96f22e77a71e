"""The code lists that stand beside the ontology, for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import RDF, SKOS
from cityorchestra_ld.web.resource import ResourceView
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import Shown

_TYPE: Final = ox.NamedNode(f"{RDF}type")
_CONCEPT, _SCHEME = ox.NamedNode(f"{SKOS}Concept"), ox.NamedNode(f"{SKOS}ConceptScheme")


@dataclass(frozen=True, slots=True)
class CodeList:
    """One list of codes."""

    link: Shown
    codes: tuple[Shown, ...]


def code_lists(snapshot: Snapshot, view: ResourceView) -> list[CodeList]:
    """List the code lists of the territory with their codes, by name."""
    found = []
    for graph, info in snapshot.infos.items():
        if info.role != "codelist":
            continue
        for scheme in _named(snapshot, graph, _SCHEME):
            codes = tuple(view.link(code) for code in _named(snapshot, graph, _CONCEPT))
            found.append(CodeList(view.link(scheme), codes))
    return sorted(found, key=lambda item: item.link.text.lower())


def _named(snapshot: Snapshot, graph: str, kind: ox.NamedNode) -> list[str]:
    quads = snapshot.in_graph(graph, _TYPE, kind)
    return sorted({quad.subject.value for quad in quads if isinstance(quad.subject, ox.NamedNode)})
