"""The territory's own graphs: ontology, code lists, shapes and policies, read from its Turtle files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.model import Access, GraphInfo, Role
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.turtle import read_turtle


def system_graphs(territory: Territory, folder: Path) -> Iterator[tuple[GraphInfo, Path]]:
    """Write each of the territory's own graphs as N-Triples into `folder`, and name it (MODEL: graphs)."""
    iris, root = territory.iris, territory.root
    groups: list[tuple[str, Role, Access, list[Path]]] = [
        (iris.graph("ontology"), "ontology", Access.PUBLIC,
         [*sorted((root / "ontology").glob("*.ttl")), *sorted((root / "ontology" / "imports").glob("*.ttl"))]),
        (iris.graph("shapes"), "shapes", Access.PUBLIC, sorted((root / "shapes").rglob("*.ttl"))),
        (iris.graph("policy"), "policy", Access.PUBLIC, sorted((root / "policies").glob("*.ttl"))),
        (iris.graph("policy", "private"), "policy", Access.CONFIDENTIAL, sorted((root / "policies" / "private").glob("*.ttl"))),
    ]  # fmt: skip
    for path in sorted((root / "ontology" / "codelists").glob("*.ttl")):
        groups.append((iris.graph("codelist", path.stem), "codelist", Access.PUBLIC, [path]))
    for number, (graph, role, access, files) in enumerate(groups):
        if not files:
            continue
        target = folder / f"system-{number}.nt"
        with target.open("wb") as out:
            for file_number, file in enumerate(files):
                label = Labels(f"f{file_number}")
                triples = (label.apart(triple) for triple in read_turtle(file, territory.base_iri))
                ox.serialize(triples, out, format=ox.RdfFormat.N_TRIPLES)
        yield GraphInfo(graph=graph, role=role, access=access), target


class Labels:
    """Blank nodes of one file: kept apart from those of others, and called the same each time the file is read."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._known: dict[str, ox.BlankNode] = {}

    def apart(self, triple: ox.Triple) -> ox.Triple:
        """Relabel the blank nodes of a triple by the order in which the file names them."""
        subject = self._node(triple.subject) if isinstance(triple.subject, ox.BlankNode) else triple.subject
        value = self._node(triple.object) if isinstance(triple.object, ox.BlankNode) else triple.object
        return ox.Triple(subject, triple.predicate, value)

    def _node(self, node: ox.BlankNode) -> ox.BlankNode:
        return self._known.setdefault(node.value, ox.BlankNode(f"{self._file}n{len(self._known)}"))
