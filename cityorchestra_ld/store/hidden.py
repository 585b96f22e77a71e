"""The hidden graph of a generation: what a plain query reads, as a name in manifests and as a graph of the engine."""

from __future__ import annotations

from typing import Final

import pyoxigraph as ox

HIDDEN: Final = "urn:cityorchestra:hidden"  # on a SPARQL server, a graph of this name; never in a list of named graphs

Graph = ox.NamedNode | ox.DefaultGraph


def graph_of(name: str) -> Graph:
    """
    Return the graph that the engine keeps under a name: the hidden one is its default graph, which no query can name.

    >>> graph_of(HIDDEN), graph_of("urn:g")
    (<DefaultGraph>, <NamedNode value=urn:g>)
    """
    return ox.DefaultGraph() if name == HIDDEN else ox.NamedNode(name)
