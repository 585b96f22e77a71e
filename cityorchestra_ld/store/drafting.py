"""Drafts: a few graphs on a scratch store, changed and queried by a process of its own that can be killed at any moment."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec
import pyoxigraph as ox

from cityorchestra_ld.store.frames import Searches
from cityorchestra_ld.store.functions import functions_for
from cityorchestra_ld.store.sandbox import deny_network, limit_memory
from cityorchestra_ld.store.serialization import results_format, write_statements

_SHOWN: Final = 100  # lines of a difference that are listed


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do with the draft in a folder."""

    folder: str
    what: Literal["create", "update", "query", "compare"]
    loads: tuple[tuple[str, str], ...] = ()  # graph, N-Triples file
    text: str = ""
    base: str = ""
    media_type: str = ""
    out: str = ""  # where the answer of a query goes
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()
    searches: Searches | None = None
    triples: int = 0  # the draft may hold
    memory_mb: int = 1024


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How one graph of a draft differs from what it was made from."""

    graph: str
    before: int
    after: int
    added: int
    removed: int
    first_added: tuple[str, ...] = ()
    first_removed: tuple[str, ...] = ()
    file: str = ""  # its content now, as N-Triples


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an order."""

    triples: int = 0
    loose: int = 0  # triples in no named graph
    changes: tuple[Changed, ...] = ()
    kind: Literal["solutions", "boolean", "graph"] = "solutions"
    error: Literal["", "syntax", "evaluation", "size", "memory"] = ""
    message: str = ""


def run(order: Order) -> Outcome:
    """Do what is ordered; what the engine refuses is told in the outcome."""
    folder = Path(order.folder)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        doing = {"create": _create, "update": _update, "query": _query, "compare": _compare}[order.what]
        try:
            return doing(folder, order)
        except SyntaxError as error:
            return Outcome(error="syntax", message=str(error))
        except MemoryError:
            return Outcome(error="memory")
        except (ValueError, RuntimeError, TypeError) as error:
            return Outcome(error="evaluation", message=str(error))


def _create(folder: Path, order: Order) -> Outcome:
    store = ox.Store(str(folder / "db"))
    (folder / "base").mkdir()
    index: dict[str, str] = {}
    for number, (graph, path) in enumerate(order.loads):
        store.bulk_load(path=path, format=ox.RdfFormat.N_TRIPLES, to_graph=ox.NamedNode(graph))
        file = folder / "base" / f"{number}.nt"
        file.write_text("\n".join(_lines(store, graph)), encoding="utf-8")  # as the store writes it, so that both sides compare
        index[graph] = file.name
    (folder / "base" / "index.json").write_bytes(msgspec.json.encode(index))
    total = len(store)
    store.flush()
    del store
    return Outcome(triples=total, error="size" if total > order.triples else "")


def _update(folder: Path, order: Order) -> Outcome:
    """Change a linked copy of the draft, and put it in the draft's place when all went well."""
    _settle(folder)
    database, copy, old = (folder / name for name in ("db", "db-next", "db-old"))
    for leftover in (copy, old):
        shutil.rmtree(leftover, ignore_errors=True)
    ox.Store.read_only(str(database)).backup(str(copy))
    store = ox.Store(str(copy))
    store.update(order.text, base_iri=order.base)
    total = len(store)
    if total > order.triples:
        del store
        shutil.rmtree(copy)
        return Outcome(triples=total, error="size")
    loose = sum(1 for _ in store.quads_for_pattern(None, None, None, ox.DefaultGraph()))
    store.flush()
    del store
    database.rename(old)
    copy.rename(database)
    shutil.rmtree(old, ignore_errors=True)
    return Outcome(triples=total, loose=loose)


def _settle(folder: Path) -> None:
    """Finish the switch of a process that was killed between its two renames."""
    if not (folder / "db").exists():
        (folder / "db-next").rename(folder / "db")


def _opened(folder: Path) -> ox.Store:
    _settle(folder)
    return ox.Store.read_only(str(folder / "db"))


def _query(folder: Path, order: Order) -> Outcome:
    store = _opened(folder)
    asked = bool(order.default_graphs or order.named_graphs)
    result = store.query(
        _searched(store, order, order.searches) if order.searches else order.text,
        base_iri=order.base,
        use_default_graph_as_union=not asked,
        default_graph=[ox.NamedNode(name) for name in order.default_graphs] if asked else None,
        named_graphs=[ox.NamedNode(name) for name in order.named_graphs] if asked else None,
        custom_functions=functions_for(order.text),
    )
    with Path(order.out).open("wb") as out:
        if isinstance(result, ox.QueryTriples):
            write_statements(result, out, order.media_type)
            return Outcome(kind="graph")
        result.serialize(out, results_format(order.media_type))
    return Outcome(kind="boolean" if isinstance(result, ox.QueryBoolean) else "solutions")


def _searched(store: ox.Store, order: Order, searches: Searches) -> str:
    """Put what a query searches by name into its text; a draft has no index, so that one is made for this query."""
    from cityorchestra_ld.store import names, searching

    every = [node.value for node in store.named_graphs() if isinstance(node, ox.NamedNode)]
    asked = bool(order.default_graphs or order.named_graphs)
    default, named = (order.default_graphs, order.named_graphs) if asked else (tuple(every), tuple(every))
    path = Path(order.out).with_name(names.FILE)
    names.make(((graph, names.names_in(store, graph)) for graph in every), path)
    with contextlib.closing(names.Names(path)) as index:
        found = msgspec.structs.replace(searches, default_graphs=default)
        return searching.rewrite(order.text, order.base or None, found, named, index)[0]


def _compare(folder: Path, order: Order) -> Outcome:
    store = _opened(folder)
    index = msgspec.json.decode((folder / "base" / "index.json").read_bytes(), type=dict[str, str])
    names = sorted({*index, *(node.value for node in store.named_graphs() if isinstance(node, ox.NamedNode))})
    after = folder / "after"
    after.mkdir(exist_ok=True)
    changes = []
    for number, graph in enumerate(names):
        lines = list(_lines(store, graph))
        was = (folder / "base" / index[graph]).read_text(encoding="utf-8").split("\n") if graph in index else []
        before, now = {line for line in was if line}, set(lines)
        if before == now:
            continue
        file = after / f"{number}.nt"
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        added, removed = sorted(now - before), sorted(before - now)
        changes.append(
            Changed(
                graph=graph, before=len(before), after=len(now), added=len(added), removed=len(removed),
                first_added=tuple(added[:_SHOWN]), first_removed=tuple(removed[:_SHOWN]), file=str(file),
            )
        )  # fmt: skip
    loose = sum(1 for _ in store.quads_for_pattern(None, None, None, ox.DefaultGraph()))
    return Outcome(triples=len(store), loose=loose, changes=tuple(changes))


def _lines(store: ox.Store, graph: str) -> Iterator[str]:
    quads = store.quads_for_pattern(None, None, None, ox.NamedNode(graph))
    yield from sorted(f"{quad.triple} ." for quad in quads)


def main() -> int:
    """Read an order on standard input, do it without network and within its memory, and report on standard output."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    limit_memory(order.memory_mb)
    deny_network()
    sys.stdout.buffer.write(msgspec.json.encode(run(order)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
