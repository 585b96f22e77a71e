"""The port of the store: what every implementation, embedded or remote, does for the other stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo
from cityorchestra_ld.store.snapshots import Difference


class Store(Protocol):
    """An RDF dataset that changes only by publication, one generation after the other."""

    def current(self) -> Generation | None:
        """Return the generation that is published, or nothing."""

    def generations(self) -> tuple[Generation, ...]:
        """List the published generations that are kept, oldest first."""

    def snapshot(self, info: GraphInfo, content: Path, *, scope: str | None = None) -> GraphInfo:
        """Canonicalise and keep the content of a graph without publishing it; return its count and its hash."""

    def difference(self, info: GraphInfo, folder: Path) -> Difference:
        """Compare a graph as `snapshot` kept it with the published one; with nothing when there is no such graph."""

    def publish(
        self,
        changes: Sequence[GraphChange],
        *,
        run: str | None = None,
        meta: Mapping[str, str] | None = None,
        gate: Callable[[Generation], None] | None = None,
    ) -> Generation:
        """
        Publish all changes as one new generation, or nothing at all; return the current one when nothing changes.

        `gate` looks at the finished generation before anybody else sees it; what it raises leaves everything as it was.
        """

    def rollback(self, to: int | None = None) -> Generation:
        """Point at an older generation, the parent of the current one when none is named."""

    def export(self, graph: str, folder: Path) -> Path | None:
        """Write the current content of a graph as N-Triples into a folder; nothing when there is no such graph."""

    def verify(self, number: int | None = None, *, deep: bool = False) -> tuple[Text, ...]:
        """Compare a generation with what was published; return what is wrong."""

    def close(self) -> None:
        """Let go of what is held."""
