"""The embedded store: publish all changes of a run as one new generation, go back to an older one, look whether all is well."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import msgspec
import zstandard

from cityorchestra_ld.errors import CityOrchestraError, Place, StoreError, Text
from cityorchestra_ld.iris import Iris
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Limits
from cityorchestra_ld.namespaces import DEFAULT_BASE
from cityorchestra_ld.store import tombstones
from cityorchestra_ld.store.building import build, require_snapshot
from cityorchestra_ld.store.generations import (
    Hold,
    Layout,
    Manifest,
    Pointer,
    current_generation,
    kept_generations,
    publisher_lock,
    read_generation,
    read_pointer,
    sync_folder,
    sync_tree,
    write_durably,
)
from cityorchestra_ld.store.housekeeping import retain, sweep
from cityorchestra_ld.store.reader import Reader
from cityorchestra_ld.store.snapshots import Difference, Snapshot, compare, is_large, keep_snapshot
from cityorchestra_ld.store.successor import keep_successor
from cityorchestra_ld.store.verify import problems

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_KEEP_SNAPSHOTS: Final = timedelta(days=30)


class EmbeddedStore:
    """Generations in a folder of this machine."""

    def __init__(
        self,
        root: Path,
        limits: Limits | None = None,
        keep: int = 5,
        *,
        base_iri: str = DEFAULT_BASE,
        keep_snapshots: timedelta = _KEEP_SNAPSHOTS,
    ) -> None:
        self.root = root
        self.limits = limits or Limits()
        self.keep = max(1, keep)
        self.iris = Iris(base_iri)
        self._layout = Layout(root)
        self._keep_snapshots = keep_snapshots
        self._canonical: dict[tuple[str, int, int, str], Snapshot] = {}
        self._compared: dict[tuple[Path | None, Path | None], Difference] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was remembered of files; no file of the store is open between calls."""
        self._canonical.clear()
        for known in self._compared.values():
            shutil.rmtree(known.removals.parent, ignore_errors=True)
        self._compared.clear()

    # --- reading ----------------------------------------------------------------------------------------------------------

    def current(self) -> Generation | None:
        """Return the generation that is published, or nothing."""
        return current_generation(self.root)

    def generations(self) -> tuple[Generation, ...]:
        """List the published generations that are kept, oldest first."""
        return kept_generations(self.root)

    def reader(self, number: int | None = None) -> Reader:
        """Open a generation for lookups, the current one when none is named."""
        for _ in range(5):  # the current one may be replaced, and deleted, between two lines
            generation = self._generation(number)
            with suppress(StoreError):
                return Reader(generation)
        return Reader(self._generation(number))

    def export(self, graph: str, folder: Path) -> Path | None:
        """Write the current content of a graph as N-Triples into a folder; nothing when there is no such graph."""
        generation = self.current()
        info = next((info for info in generation.graphs if info.graph == graph), None) if generation else None
        if generation is None or info is None:
            return None
        target = folder / f"{info.sha256}.nt"
        with self._explained():
            require_snapshot(self._layout, generation, info)
            with self._layout.snapshot(info.sha256).open("rb") as source, target.open("wb") as out:
                zstandard.ZstdDecompressor().copy_stream(source, out)
        return target

    def _generation(self, number: int | None) -> Generation:
        generation = self.current() if number is None else read_generation(self._layout.generation(number))
        if generation is None:
            raise StoreError(
                Text("Rien n'est encore publié.", "Nothing is published yet."),
                place=Place(file=str(self.root)),
                hint=Text("Lancez `cityorchestra run --all`.", "Run `cityorchestra run --all`."),
            )
        return generation

    # --- publishing -------------------------------------------------------------------------------------------------------

    def snapshot(self, info: GraphInfo, content: Path, *, scope: str | None = None) -> GraphInfo:
        """Canonicalise and keep the content of a graph without publishing it; return its count and its hash."""
        with self._explained():
            self._layout.prepare()
            generation = current_generation(self.root)
            old = next((known for known in generation.graphs if known.graph == info.graph), None) if generation else None
            return self._described(info, content, scope or _scope(info), old)

    def difference(self, info: GraphInfo, folder: Path) -> Difference:
        """Compare a graph as `snapshot` kept it with the published one; with nothing when there is no such graph."""
        generation = self.current()
        old = next((known for known in generation.graphs if known.graph == info.graph), None) if generation else None
        with self._explained():
            if generation is not None and old is not None:
                require_snapshot(self._layout, generation, old)
            files = [self._layout.snapshot(found.sha256) if found else None for found in (old, info)]
            return self._compare(files[0], files[1], folder, "change")

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

        Readers see the old state or the new one. `gate` looks at the finished generation before anybody else sees it; what it
        raises leaves everything as it was. Raises BusyError while somebody else publishes, StoreError when a file does not
        parse, the disk is full, or the result is not what it should be.
        """
        _require_once_each(changes)
        with self._explained():
            self._layout.prepare()
            with publisher_lock(self._layout):
                self._settle()
                sweep(self._layout)
                generation = self._publish(changes, run, meta, gate)
                retain(self._layout, self.keep, self._keep_snapshots)
                return generation

    def rollback(self, to: int | None = None) -> Generation:
        """Point at an older generation, the parent of the current one when none is named."""
        with self._explained():
            self._layout.prepare()
            with publisher_lock(self._layout):
                self._settle()
                current = self._generation(None)
                number = current.parent if to is None else to
                kept = {generation.number: generation for generation in self.generations()}
                if number is None or number not in kept:
                    raise StoreError(
                        Text(
                            f"La génération {number if number is not None else 'précédente'} n'est pas gardée.",
                            f"The {'previous generation' if number is None else f'generation {number}'} is not kept.",
                        ),
                        hint=Text(
                            f"Générations gardées : {', '.join(map(str, kept))}.",
                            f"Kept generations: {', '.join(map(str, kept))}.",
                        ),
                    )
                pointer = read_pointer(self._layout)
                self._switch(Pointer(number, pointer.latest if pointer else number))
                return kept[number]

    def _publish(
        self,
        changes: Sequence[GraphChange],
        run: str | None,
        meta: Mapping[str, str] | None,
        gate: Callable[[Generation], None] | None,
    ) -> Generation:
        parent = self.current()
        before = {info.graph: info for info in parent.graphs} if parent else {}
        after = dict(before)
        for change in changes:
            if change.content is None:
                after.pop(change.info.graph, None)
            else:
                after[change.info.graph] = self._described(
                    change.info, change.content, _scope(change.info), before.get(change.info.graph)
                )
        graphs = tuple(after[name] for name in sorted(after))
        kept_meta = dict(parent.meta) if parent else {}
        new_meta = kept_meta if meta is None else dict(meta)
        if parent is not None and graphs == parent.graphs and new_meta == kept_meta:
            return parent
        pointer = read_pointer(self._layout)
        number = pointer.latest + 1 if pointer else 1
        with tempfile.TemporaryDirectory(dir=self._layout.staging, prefix="publish-") as folder:
            work = Path(folder)
            generation = work / "generation"
            generation.mkdir()
            built = build(self._layout, work, parent, before, after, self._compare)
            manifest = Manifest(
                number=number,
                created=datetime.now(UTC),
                graphs=graphs,
                parent=parent.number if parent else None,
                run=run,
                meta=new_meta,
                method=built.method,
                removed=built.removed,
                inserted=built.inserted,
                churn=built.churn,
                merged=built.merged,
            )
            (generation / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            (generation / "hold").touch()
            staged = read_generation(generation)
            if gate is not None:
                gate(staged)
            if parent is not None:
                tombstones.record(self.root, sorted(work.glob("*.removed.nt")), parent, staged, f"{self.iris.base}id/")
            sync_tree(generation)
            generation.rename(self._layout.generation(number))
            sync_folder(self._layout.generations)
        self._switch(Pointer(number, number))
        return read_generation(self._layout.generation(number))

    def _described(self, info: GraphInfo, content: Path, scope: str, old: GraphInfo | None) -> GraphInfo:
        status = content.stat()
        key = (str(content), status.st_mtime_ns, status.st_size, scope)
        known = self._canonical.get(key)
        if known is None or not self._layout.snapshot(known.sha256).exists():
            known = self._canonical[key] = self._keep(content, self._namer(scope), old)
        return replace(info, triples=known.triples, sha256=known.sha256, rewritten=known.rewritten)

    def _keep(self, content: Path, namer: Callable[[str], str], old: GraphInfo | None) -> Snapshot:
        """Keep a snapshot; when it differs little from the published one, remember how."""
        if old is not None and is_large(content):
            folder = Path(tempfile.mkdtemp(dir=self._layout.scratch))
            made = keep_successor(self._layout, content, namer, old, folder)
            if made is not None:
                files = self._layout.snapshot(old.sha256), self._layout.snapshot(made[0].sha256)
                self._compared[files] = made[1]
                return made[0]
            folder.rmdir()
        return keep_snapshot(self._layout, content, namer)

    def _compare(self, old: Path | None, new: Path | None, folder: Path, name: str) -> Difference:
        """Do as `compare`, with what is known already."""
        known = self._compared.get((old, new))
        if known is None or not known.insertions.exists():
            return compare(old, new, folder, name)
        files = [folder / f"{name}.{kind}.nt" for kind in ("removed", "inserted")]
        for source, target in zip((known.removals, known.insertions), files, strict=True):
            shutil.copyfile(source, target)
        return replace(known, removals=files[0], insertions=files[1])

    def _namer(self, scope: str) -> Callable[[str], str]:
        return lambda label: self.iris.genid(scope, label)

    def _settle(self) -> None:
        """Finish what an interrupted publication left undone elsewhere, before anything else is done under the lock."""

    def _switch(self, pointer: Pointer) -> None:
        write_durably(self._layout.pointer, msgspec.json.encode(pointer))

    def verify(self, number: int | None = None, *, deep: bool = False) -> tuple[Text, ...]:
        """
        Compare a generation with its manifest, the current one when none is named; return what is wrong.

        Counts every graph; `deep` also reads every triple and compares hashes. Nothing published is nothing wrong.
        """
        if number is None and self.current() is None:
            return ()
        generation = self._generation(number)
        with self._explained(), Hold(generation.path):
            return tuple(problems(self._layout, generation, deep=deep))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the system or the engine says into an error of ours."""
        try:
            yield
        except CityOrchestraError:
            raise
        except (OSError, RuntimeError, zstandard.ZstdError) as error:
            number = error.errno if isinstance(error, OSError) else None
            full = number in _FULL or "No space left" in str(error) or "File too large" in str(error)
            raise StoreError(
                Text("Le disque est plein : rien n'est publié.", "The disk is full: nothing is published.")
                if full
                else Text(
                    f"Le dépôt ne s'ouvre ou ne s'écrit pas : {error}", f"The store cannot be opened or written: {error}"
                ),
                place=Place(file=str(self.root)),
                hint=Text("Faites de la place, puis recommencez.", "Make room, then try again.") if full else None,
            ) from error


def _scope(info: GraphInfo) -> str:
    """Name what blank nodes of a graph are local to: the dataset for its triples, else the graph."""
    if info.dataset and info.role in ("data", "ref", "live"):
        return info.dataset
    return info.graph.rpartition("/graph/")[2]


def _require_once_each(changes: Sequence[GraphChange]) -> None:
    names = [change.info.graph for change in changes]
    for name in names:
        if names.count(name) > 1:
            raise StoreError(
                Text(f"Le graphe <{name}> est changé deux fois.", f"The graph <{name}> is changed twice."),
            )


def open_store(root: Path, limits: Limits | None = None, keep: int = 5, *, base_iri: str = DEFAULT_BASE) -> EmbeddedStore:
    """Open the store of a territory, which may not exist yet: `open_store(territory.state / "store", territory.limits)`."""
    return EmbeddedStore(root, limits, keep, base_iri=base_iri)
