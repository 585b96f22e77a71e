"""Hold a generation against its manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Generation, GraphInfo
from cityorchestra_ld.store.building import with_merged
from cityorchestra_ld.store.generations import Layout, read_manifest
from cityorchestra_ld.store.hidden import HIDDEN, graph_of
from cityorchestra_ld.store.snapshots import keep_snapshot
from cityorchestra_ld.store.writing import count


def problems(layout: Layout, generation: Generation, *, deep: bool) -> Iterator[Text]:
    """Yield what is not as the manifest says: graphs, counts and, when `deep`, hashes."""
    store = ox.Store.read_only(str(generation.path / "db"))
    graphs = with_merged({info.graph: info for info in generation.graphs}, read_manifest(generation.path).merged)
    for graph in store.named_graphs():
        if isinstance(graph, ox.BlankNode) or graph.value not in graphs:
            yield Text(f"Le graphe {graph} n'est pas au manifeste.", f"The graph {graph} is not in the manifest.")
    if HIDDEN not in graphs and next(store.quads_for_pattern(None, None, None, ox.DefaultGraph()), None) is not None:
        yield Text("Le graphe par défaut n'est pas vide.", "The default graph is not empty.")
    for info in graphs.values():
        found = count(store, info.graph)
        if found != info.triples:
            name = _called(info)
            yield Text(
                f"{name.fr} : {found} triplets au lieu de {info.triples}.",
                f"{name.en}: {found} triples instead of {info.triples}.",
            )
        elif deep and _hash(layout, store, info) != info.sha256:
            name = _called(info)
            yield Text(f"{name.fr} : le contenu a changé.", f"{name.en}: the content has changed.")


def _called(info: GraphInfo) -> Text:
    if info.graph == HIDDEN:
        return Text("Graphe par défaut", "The default graph")
    return Text(f"<{info.graph}>", f"<{info.graph}>")


def _hash(layout: Layout, store: ox.Store, info: GraphInfo) -> str:
    layout.prepare()
    with tempfile.TemporaryDirectory(dir=layout.scratch) as folder:
        dump = Path(folder) / "graph.nt"
        store.dump(str(dump), ox.RdfFormat.N_TRIPLES, from_graph=graph_of(info.graph))
        return keep_snapshot(layout, dump, lambda label: f"urn:blank:{label}").sha256
