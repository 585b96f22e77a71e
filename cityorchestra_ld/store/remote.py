"""The store on a SPARQL 1.1 server: the server holds the published generation, this machine a working copy beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cityorchestra_ld.errors import Place, StoreError, Text
from cityorchestra_ld.model import Generation, GraphInfo, Limits, StoreServer
from cityorchestra_ld.namespaces import DEFAULT_BASE
from cityorchestra_ld.store.building import fill, require_snapshot, with_merged
from cityorchestra_ld.store.generations import (
    Manifest,
    Pointer,
    publisher_lock,
    read_generation,
    read_manifest,
    read_pointer,
    sync_folder,
    sync_tree,
    write_durably,
)
from cityorchestra_ld.store.housekeeping import delete_generation
from cityorchestra_ld.store.mirror import STATE, Mirror, State
from cityorchestra_ld.store.publish import EmbeddedStore
from cityorchestra_ld.store.snapshots import keep_snapshot
from cityorchestra_ld.store.sparql_server import SparqlServer


class RemoteStore(EmbeddedStore):
    """
    Generations that a SPARQL server holds, the current one at a time.

    The server's state is the truth: where the folder of this machine says something else, it is the folder that changes. The
    working copy in the folder is what changes are compared with, what the gates look at, and what people's queries are answered
    from: the graphs that each person may see cannot be left to servers that differ in how they limit a query to them.
    """

    def __init__(
        self, root: Path, server: StoreServer, limits: Limits | None = None, keep: int = 5, *, base_iri: str = DEFAULT_BASE
    ) -> None:
        super().__init__(root, limits, keep, base_iri=base_iri)
        self._server = SparqlServer(server)
        self._mirror = Mirror(self._server, self._layout, self.iris.base)

    def close(self) -> None:
        """Close the connections, and forget what was remembered of files."""
        super().close()
        self._server.close()

    def current(self) -> Generation | None:
        """Return the generation that the server holds, fetched when this machine has no copy of it; raise StoreError."""
        state = self._mirror.state()
        if state.manifest is None:
            return super().current()  # a server that holds nothing gets what is here at the next publication
        return self._copy(state.manifest) or self.follow()

    def follow(self) -> Generation | None:
        """
        Make the folder of this machine say what the server says, and return it.

        Fetches the graphs whose content is not here, and checks them against the hashes of the manifest. Raises StoreError when
        one is not what was published, BusyError while somebody publishes from this machine.
        """
        state = self._mirror.state()
        if not self._follows(state):
            self._layout.prepare()
            with self._explained(), publisher_lock(self._layout):
                self._adopt(self._mirror.state())
        return super().current()

    def verify(self, number: int | None = None, *, deep: bool = False) -> tuple[Text, ...]:
        """
        Compare the working copy, and for the current generation the server, with what was published; return what is wrong.

        Counts every graph; `deep` also fetches every graph of the server and compares hashes.
        """
        found = list(super().verify(number, deep=deep))
        if number is not None:
            return tuple(found)
        state = self._mirror.state()
        if state.manifest is None:
            if super().current() is not None:
                found.append(Text("Le serveur SPARQL ne contient rien.", "The SPARQL server holds nothing."))
            return tuple(found)
        if state.switching:
            found.append(
                Text(
                    "Une publication a été coupée sur le serveur SPARQL : publiez de nouveau.",
                    "A publication was cut off on the SPARQL server: publish again.",
                )
            )
        graphs = list(state.graphs.values())
        wrong = self._mirror.problems(graphs)
        found += wrong
        if deep and not wrong:
            found += self._changed(graphs)
        return tuple(found)

    # --- publishing -------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        state = self._mirror.state()
        pointer = read_pointer(self._layout)
        if state.manifest is None or state.pointer is None:
            if pointer is not None:
                self._send(pointer)
            return
        self._adopt(state)
        if state.switching:
            self._send(state.pointer)
        else:
            self._mirror.sweep(state.staged)

    def _switch(self, pointer: Pointer) -> None:
        self._send(pointer)
        super()._switch(pointer)

    def _send(self, pointer: Pointer) -> None:
        generation = read_generation(self._layout.generation(pointer.generation))
        manifest = read_manifest(generation.path)
        for info in with_merged({info.graph: info for info in generation.graphs}, manifest.merged).values():
            require_snapshot(self._layout, generation, info)
        with tempfile.TemporaryDirectory(dir=self._layout.staging, prefix="send-") as folder:
            self._mirror.switch(pointer, manifest, Path(folder))

    # --- following --------------------------------------------------------------------------------------------------------

    def _copy(self, manifest: Manifest) -> Generation | None:
        """Return the finished working copy of a generation, if this machine has it."""
        path = self._layout.generation(manifest.number)
        if not (path / "manifest.json").exists() or read_manifest(path) != manifest:
            return None
        return read_generation(path)

    def _follows(self, state: State) -> bool:
        if state.manifest is None:
            return True
        return read_pointer(self._layout) == state.pointer and self._copy(state.manifest) is not None

    def _adopt(self, state: State) -> None:
        """Take over what the server holds; only ever called under the lock."""
        if state.manifest is None or state.pointer is None or self._follows(state):
            return
        self._require_one_history(state.pointer, state.manifest)
        if self._copy(state.manifest) is None:
            self._fetch(state, state.manifest)
        write_durably(self._layout.pointer, msgspec.json.encode(state.pointer))

    def _require_one_history(self, pointer: Pointer, manifest: Manifest) -> None:
        """Raise StoreError when following the server would lose generations that were published from this machine."""
        known = read_pointer(self._layout)
        if known is None or known.latest < manifest.number:
            return
        if known.latest > pointer.latest or self._copy(manifest) is None:
            raise StoreError(
                Text(
                    f"Le serveur SPARQL en est à la génération {pointer.latest}, cette machine à une autre {known.latest}.",
                    f"The SPARQL server has come to generation {pointer.latest}, this machine to another {known.latest}.",
                ),
                place=Place(file=str(self.root), value=self._server.settings.query),
                hint=Text(
                    f"Pour garder ce qui est ici, supprimez le graphe {STATE} du serveur ; sinon, déplacez ce dossier.",
                    f"To keep what is here, drop the graph {STATE} of the server; else move this folder away.",
                ),
            )

    def _fetch(self, state: State, manifest: Manifest) -> None:
        with tempfile.TemporaryDirectory(dir=self._layout.staging, prefix="fetch-") as folder:
            for info in state.graphs.values():
                if info.triples and not self._layout.snapshot(info.sha256).exists():
                    self._require_same(info, Path(folder))
            generation = Path(folder) / "generation"
            generation.mkdir()
            fill(self._layout, generation / "db", state.graphs)
            (generation / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            (generation / "hold").touch()
            sync_tree(generation)
            target = self._layout.generation(manifest.number)
            if target.exists() and not delete_generation(self._layout, manifest.number):
                raise StoreError(
                    Text(
                        f"Une autre génération {manifest.number} est ouverte sur cette machine.",
                        f"Another generation {manifest.number} is open on this machine.",
                    ),
                    place=Place(file=str(target)),
                    hint=Text("Redémarrez le service, puis recommencez.", "Restart the service, then try again."),
                )
            generation.rename(target)
            sync_folder(self._layout.generations)

    def _require_same(self, info: GraphInfo, folder: Path) -> None:
        if self._fetched(info, folder) != info.sha256:
            raise StoreError(
                Text(
                    f"Le graphe <{info.graph}> du serveur SPARQL n'est pas ce qui a été publié.",
                    f"The graph <{info.graph}> of the SPARQL server is not what was published.",
                ),
                place=Place(file=self._server.settings.data, value=info.graph),
                hint=Text(
                    "Copiez le dossier snapshots/ de la machine qui publie, ou publiez de nouveau.",
                    "Copy the folder snapshots/ of the machine that publishes, or publish again.",
                ),
            )

    def _fetched(self, info: GraphInfo, folder: Path) -> str:
        """Fetch a graph, keep its content under its hash, and return the hash."""
        received = folder / "graph.nt"
        self._server.get(info.graph, received)
        return keep_snapshot(self._layout, received, lambda label: f"urn:blank:{label}").sha256

    def _changed(self, graphs: Sequence[GraphInfo]) -> list[Text]:
        self._layout.prepare()
        with tempfile.TemporaryDirectory(dir=self._layout.scratch) as folder:
            wrong = [info.graph for info in graphs if self._fetched(info, Path(folder)) != info.sha256]
        return [
            Text(f"<{graph}> : le contenu a changé sur le serveur.", f"<{graph}>: the content on the server has changed.")
            for graph in wrong
        ]
