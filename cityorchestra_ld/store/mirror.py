"""What a SPARQL server holds of a store: the current generation, and how it goes to the next in one update request."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec
import pyoxigraph as ox
import zstandard

from cityorchestra_ld.errors import Place, StoreError, Text
from cityorchestra_ld.model import GraphInfo
from cityorchestra_ld.store.building import with_merged
from cityorchestra_ld.store.generations import Layout, Manifest, Pointer
from cityorchestra_ld.store.snapshots import compare
from cityorchestra_ld.store.sparql_server import SparqlServer, iri

STATE: Final = "urn:cityorchestra:state"  # the graph that says which generation the server holds, and its subject
_GENERATION: Final = "urn:cityorchestra:generation"
_LATEST: Final = "urn:cityorchestra:latest"
_MANIFEST: Final = "urn:cityorchestra:manifest"
_TERRITORY: Final = "urn:cityorchestra:territory"  # the base IRI of whose generation it is
_STAGED: Final = "urn:cityorchestra:staged"  # a graph that a publisher uploads
_SWITCHING: Final = "urn:cityorchestra:switching"  # a graph that the update of a publisher changes
_STAGING: Final = "urn:cityorchestra:staging:"
_EVERY: Final = "{ ?s ?p ?o }"
_REMOVAL_COST: Final = 3.0  # taking one triple away, against loading one
_INTEGER: Final = ox.NamedNode("http://www.w3.org/2001/XMLSchema#integer")


@dataclass(frozen=True, slots=True)
class State:
    """What the state graph says; `staged` and `switching` are left by a publisher that did not come to its end."""

    pointer: Pointer | None = None
    manifest: Manifest | None = None
    staged: tuple[str, ...] = ()
    switching: tuple[str, ...] = ()

    @property
    def graphs(self) -> dict[str, GraphInfo]:
        """Return what every graph on the server should be, the hidden one included."""
        if self.manifest is None:
            return {}
        return with_merged({info.graph: info for info in self.manifest.graphs}, self.manifest.merged)


@dataclass(slots=True)
class _Upload:
    """The staging graphs of one publication, and the update that makes them the published ones."""

    staged: list[tuple[str, Path, int]] = field(default_factory=list)  # graph, its lines, how many
    steps: list[str] = field(default_factory=list)
    prefix: str = field(default_factory=lambda: f"{_STAGING}{secrets.token_hex(8)}:")

    def stage(self, content: Path, triples: int) -> str:
        """Plan to upload a file; return its graph as written in an update."""
        graph = f"{self.prefix}{len(self.staged)}"
        self.staged.append((graph, content, triples))
        return iri(graph)

    def replace(self, graph: str, content: Path, triples: int) -> None:
        """Plan to make a graph be what a file says; not by MOVE, with which some servers lose triples."""
        self.steps.append(f"DROP SILENT GRAPH {iri(graph)}")
        self.apply("INSERT", graph, content, triples)

    def apply(self, verb: Literal["DELETE", "INSERT"], graph: str, content: Path, triples: int) -> None:
        """Plan to take the triples of a file from a graph, or to add them."""
        staged = self.stage(content, triples)
        self.steps.append(f"{verb} {{ GRAPH {iri(graph)} {_EVERY} }} WHERE {{ GRAPH {staged} {_EVERY} }}")
        self.steps.append(f"DROP SILENT GRAPH {staged}")


class Mirror:
    """A server that holds the current generation of a store."""

    def __init__(self, server: SparqlServer, layout: Layout, base_iri: str) -> None:
        self.server = server
        self._layout = layout
        self._base = base_iri

    def state(self) -> State:
        """Read which generation the server holds; raise StoreError when the server does not answer, or is not ours."""
        rows = self.server.select(f"SELECT ?p ?o WHERE {{ GRAPH {iri(STATE)} {{ {iri(STATE)} ?p ?o }} }} ORDER BY ?p")
        said: dict[str, list[str]] = {}
        for row in rows:
            said.setdefault(row["p"], []).append(row["o"])
        left = State(staged=tuple(said.get(_STAGED, ())), switching=tuple(said.get(_SWITCHING, ())))
        if _MANIFEST not in said:
            return left
        try:
            pointer = Pointer(*(int(said[name][0]) for name in (_GENERATION, _LATEST)))
            manifest = msgspec.json.decode(said[_MANIFEST][0], type=Manifest)
        except (KeyError, ValueError, msgspec.DecodeError) as error:
            raise StoreError(
                Text(
                    f"L'état de la publication sur le serveur est illisible : {error}",
                    f"The state of the publication on the server cannot be read: {error}",
                ),
                place=Place(file=self.server.settings.query, value=STATE),
            ) from None
        if said.get(_TERRITORY) != [self._base]:
            raise StoreError(
                Text("Ce serveur SPARQL sert un autre territoire.", "This SPARQL server serves another territory."),
                place=Place(file=self.server.settings.query, value=" ".join(said.get(_TERRITORY, ()))),
                hint=Text("Donnez à chaque territoire un serveur à lui.", "Give each territory a server of its own."),
            )
        return State(pointer, manifest, left.staged, left.switching)

    def switch(self, pointer: Pointer, manifest: Manifest, work: Path) -> None:
        """
        Make the server hold a generation, as one update after all uploads.

        Raises StoreError; the server then holds what it held before, unless the message says otherwise.
        """
        before = self.state()
        self.sweep(before.staged)
        target = State(pointer, manifest)
        known = {name: info for name, info in before.graphs.items() if name not in before.switching}  # cut there: send it anew
        upload = _Upload()
        changed = self._plan(known, target.graphs, upload, work)
        dropped = sorted((before.graphs.keys() | set(before.switching)) - target.graphs.keys())
        upload.steps += [f"DROP SILENT GRAPH {iri(graph)}" for graph in dropped]
        state = work / "state.nt"
        lines = self._state_lines(pointer, manifest)
        state.write_text("".join(lines), encoding="utf-8")
        upload.replace(STATE, state, len(lines))
        self._say(*((_STAGED, graph) for graph, _, _ in upload.staged))
        try:
            for graph, content, triples in upload.staged:
                self.server.put(graph, content)
                self._require(graph, triples)
            self._say(*((_SWITCHING, graph) for graph in (*dropped, *(info.graph for info in changed))))
        except StoreError:
            with suppress(StoreError):  # else the next publication does it
                self.sweep([graph for graph, _, _ in upload.staged])
            raise
        try:
            self.server.update(" ;\n".join(upload.steps))
        except StoreError:
            if self.state().manifest != manifest:  # done nevertheless, when only the answer was lost
                raise
        self._check(manifest, changed)

    def sweep(self, staged: Sequence[str]) -> None:
        """Drop staging graphs and forget that they were there."""
        if staged:
            drops = [f"DROP SILENT GRAPH {iri(graph)}" for graph in staged if graph.startswith(_STAGING)]
            gone = f"DELETE WHERE {{ GRAPH {iri(STATE)} {{ {iri(STATE)} {iri(_STAGED)} ?graph }} }}"
            self.server.update(" ;\n".join([*drops, gone]))

    def _plan(
        self, before: Mapping[str, GraphInfo], after: Mapping[str, GraphInfo], upload: _Upload, work: Path
    ) -> list[GraphInfo]:
        """Plan what becomes of each graph; return those that change."""
        changed = []
        for name, info in after.items():
            old = before.get(name)
            if old is not None and old.sha256 == info.sha256:
                continue
            changed.append(info)
            if not info.triples:
                upload.steps.append(f"DROP SILENT GRAPH {iri(name)}")
            elif not self._by_difference(old, info, upload, work):
                content = work / f"{info.sha256}.nt"
                with self._layout.snapshot(info.sha256).open("rb") as source, content.open("wb") as out:
                    zstandard.ZstdDecompressor().copy_stream(source, out)
                upload.replace(name, content, info.triples)
        return changed

    def _by_difference(self, old: GraphInfo | None, new: GraphInfo, upload: _Upload, work: Path) -> bool:
        """Plan to send only what changes in a graph; tell whether that is worth while."""
        if old is None or not old.triples or not self.server.product.exact:
            return False
        files = [self._layout.snapshot(info.sha256) for info in (old, new)]
        if not files[0].exists():
            return False
        difference = compare(files[0], files[1], work, f"remote-{len(upload.staged)}")
        if difference.removed * _REMOVAL_COST + difference.inserted > new.triples:
            return False
        if difference.removed:
            upload.apply("DELETE", new.graph, difference.removals, difference.removed)
        if difference.inserted:
            upload.apply("INSERT", new.graph, difference.insertions, difference.inserted)
        return True

    def _say(self, *facts: tuple[str, str]) -> None:
        if not facts:
            return
        lines = " . ".join(f"{iri(STATE)} {iri(predicate)} {iri(value)}" for predicate, value in facts)
        self.server.update(f"INSERT DATA {{ GRAPH {iri(STATE)} {{ {lines} }} }}")

    def _require(self, graph: str, triples: int) -> None:
        found = self.server.count(graph)
        if found != triples:
            raise StoreError(
                Text(
                    f"Le serveur SPARQL garde {found} triplets sur {triples} ; rien n'est publié.",
                    f"The SPARQL server keeps {found} triples of {triples}; nothing is published.",
                ),
                place=Place(file=self.server.settings.data, value=graph),
                hint=None
                if self.server.product.exact
                else Text(
                    "Ce produit confond des valeurs égales, par exemple 1 et 1.0, d'un même sujet et prédicat.",
                    "This product confounds equal values, such as 1 and 1.0, of one subject and predicate.",
                ),
            )

    def _check(self, manifest: Manifest, changed: Sequence[GraphInfo]) -> None:
        """Count what was published; when that is wrong, have the next publication send it anew."""
        wrong = list(self.problems(changed))
        if self.state().manifest != manifest or wrong:
            self._say(*((_SWITCHING, info.graph) for info in changed))
            said = wrong[0] if wrong else Text("l'état n'a pas changé", "the state did not change")
            raise StoreError(
                Text(
                    f"Le serveur SPARQL n'a pas fait ce qui lui fut demandé : {said.fr}",
                    f"The SPARQL server did not do what it was asked to: {said.en}",
                ),
                place=Place(file=self.server.settings.update),
                hint=Text(
                    "Publiez encore : ces graphes seront envoyés de nouveau.", "Publish again: these graphs will be sent anew."
                ),
            )

    def problems(self, graphs: Sequence[GraphInfo]) -> list[Text]:
        """Compare the number of triples of graphs with what it should be."""
        found = [(info, self.server.count(info.graph)) for info in graphs]
        return [
            Text(
                f"<{info.graph}> : {number} triplets sur le serveur au lieu de {info.triples}.",
                f"<{info.graph}>: {number} triples on the server instead of {info.triples}.",
            )
            for info, number in found
            if number != info.triples
        ]

    def _state_lines(self, pointer: Pointer, manifest: Manifest) -> list[str]:
        facts = (
            (_GENERATION, ox.Literal(str(pointer.generation), datatype=_INTEGER)),
            (_LATEST, ox.Literal(str(pointer.latest), datatype=_INTEGER)),
            (_TERRITORY, ox.Literal(self._base)),
            (_MANIFEST, ox.Literal(msgspec.json.encode(manifest).decode())),
        )
        return [f"{iri(STATE)} {iri(predicate)} {value} .\n" for predicate, value in facts]
