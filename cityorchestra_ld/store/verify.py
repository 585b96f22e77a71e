"""Hold a generation against its manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Generation, GraphInfo
from cityorchestra_ld.store.generations import Layout, read_manifest
from cityorchestra_ld.store.merge import MERGED
from cityorchestra_ld.store.snapshots import keep_snapshot
from cityorchestra_ld.store.writing import count


def problems(layout: Layout, generation: Generation, *, deep: bool) -> Iterator[Text]:
    """Yield what is not as the manifest says: graphs, counts and, when `deep`, hashes."""
    store = ox.Store.read_only(str(generation.path / "db"))
    graphs = list(generation.graphs)
    merged = read_manifest(generation.path).merged
    if merged is not None:
        graphs.append(GraphInfo(graph=MERGED, role="data", triples=merged.triples, sha256=merged.sha256))
    listed = {info.graph for info in graphs}
    for graph in store.named_graphs():
        if isinstance(graph, ox.BlankNode) or graph.value not in listed:
            yield Text(f"Le graphe {graph} n'est pas au manifeste.", f"The graph {graph} is not in the manifest.")
    if next(store.quads_for_pattern(None, None, None, ox.DefaultGraph()), None) is not None:
        yield Text("Le graphe par défaut n'est pas vide.", "The default graph is not empty.")
    for info in graphs:
        found = count(store, info.graph)
        if found != info.triples:
            yield Text(
                f"<{info.graph}> : {found} triplets au lieu de {info.triples}.",
                f"<{info.graph}>: {found} triples instead of {info.triples}.",
            )
        elif deep and _hash(layout, store, info) != info.sha256:
            yield Text(f"<{info.graph}> : le contenu a changé.", f"<{info.graph}>: the content has changed.")


def _hash(layout: Layout, store: ox.Store, info: GraphInfo) -> str:
    layout.prepare()
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder:
        dump = Path(folder) / "graph.nt"
        store.dump(str(dump), ox.RdfFormat.N_TRIPLES, from_graph=ox.NamedNode(info.graph))
        return keep_snapshot(layout, dump, lambda label: f"urn:blank:{label}").sha256
