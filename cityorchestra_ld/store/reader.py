"""Look things up in one generation, in this process: for answers that are known to be cheap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self, cast

import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store.generations import Hold
from cityorchestra_ld.store.hidden import Graph
from cityorchestra_ld.store.names import FILE, Names, no_names_error
from cityorchestra_ld.store.resident import Copy

Node = ox.NamedNode | ox.BlankNode
Object = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple


class Reader:
    """
    One generation, held and open for reading.

    What `quads` hands out must stay in the thread that asked: the engine aborts the process when another touches it.
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._copy: Copy | None = None
        self._names: Names | None = None
        self._hold = Hold(generation.path)
        try:
            self._store: ox.Store | None = ox.Store.read_only(str(generation.path / "db"))
        except (OSError, RuntimeError) as error:
            self._hold.close()
            raise StoreError(
                Text(f"La génération ne s'ouvre pas : {error}", f"The generation cannot be opened: {error}")
            ) from None

    def close(self) -> None:
        """Let the generation go; takes a moment when it is in memory."""
        self._store = None
        index, self._names = self._names, None
        if index is not None:
            index.close()
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()
        self._hold.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> Names:
        """Return the index of names; raise StoreError for a generation that has none."""
        if self._names is None:
            try:
                self._names = Names(self.generation.path / FILE)
            except FileNotFoundError:
                raise no_names_error() from None
        return self._names

    @property
    def resident(self) -> bool:
        """Tell whether subjects are looked up in memory."""
        return self._copy is not None

    def keep(self, copy: Copy) -> None:
        """Look subjects up in a copy of this generation from now on; what this reader is asked for is the same."""
        if self._store is None:
            copy.close()
        else:
            self._copy = copy

    @property
    def _open(self) -> ox.Store:
        if self._store is None:
            raise StoreError(Text("Ce lecteur est fermé.", "This reader is closed."))
        return self._store

    def quads(
        self,
        subject: Node | None = None,
        predicate: ox.NamedNode | None = None,
        object_: Object | None = None,
        graph: ox.NamedNode | None = None,
    ) -> Iterator[ox.Quad]:
        """Yield the quads that match, in any graph when none is given: the caller restricts them to a view."""
        copy = self._copy
        if copy is not None and isinstance(subject, ox.NamedNode):
            return copy.quads(subject, predicate, object_, graph)
        return iter(self._open.quads_for_pattern(subject, predicate, object_, graph))

    def query(self, text: str, graph: Graph, base: str | None) -> ox.QuerySolutions:
        """Answer a SELECT that is known to be cheap, on this graph and no other; raises what the engine raises."""
        return cast(
            "ox.QuerySolutions",
            self._open.query(text, base_iri=base, default_graph=[graph], named_graphs=[]),
        )
