"""Look things up in one generation, in this process: for answers that are known to be cheap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Generation
from cityorchestra_ld.store.generations import Hold

Node = ox.NamedNode | ox.BlankNode
Object = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple


class Reader:
    """
    One generation, held and open for reading.

    What `quads` hands out must stay in the thread that asked: the engine aborts the process when another touches it.
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._hold = Hold(generation.path)
        try:
            self._store: ox.Store | None = ox.Store.read_only(str(generation.path / "db"))
        except (OSError, RuntimeError) as error:
            self._hold.close()
            raise StoreError(
                Text(f"La génération ne s'ouvre pas : {error}", f"The generation cannot be opened: {error}")
            ) from None

    def close(self) -> None:
        """Let the generation go."""
        self._store = None
        self._hold.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        return iter(self._open.quads_for_pattern(subject, predicate, object_, graph))
