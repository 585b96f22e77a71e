"""What every implementation of the store port does: in a folder, and on three SPARQL servers of other people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import RefusedError, StoreError, Text
from cityorchestra_ld.model import Access, Generation, GraphChange, GraphInfo
from cityorchestra_ld.store import EmbeddedStore, RemoteStore, Store, open_store

BASE = "https://ld.cityorchestra.example/"
SERVERS = ("oxigraph", "fuseki", "virtuoso")
STORES = ["embedded", *(pytest.param(kind, marks=pytest.mark.slow) for kind in SERVERS)]


@dataclass(frozen=True)
class Opened:
    """A store, and how somebody who does not know us reads a graph where it is published."""

    store: Store
    read: Callable[[str], set[str]]


def embedded(store: EmbeddedStore) -> Opened:
    def read(graph: str) -> set[str]:
        generation = store.current()
        if generation is None:
            return set()
        quads = ox.Store.read_only(str(generation.path / "db")).quads_for_pattern(None, None, None, ox.NamedNode(graph))
        return {f"{quad.triple} ." for quad in quads}

    return Opened(store, read)


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    if request.param == "embedded":
        made = embedded(open_store(tmp_path / "store", keep=3))
    else:
        running = request.getfixturevalue("server")(request.param)
        made = Opened(RemoteStore(tmp_path / "store", running.settings, keep=3), running.lines)
    yield made
    made.store.close()


@pytest.fixture
def store(opened: Opened) -> Store:
    return opened.store


class Changes:
    """Makes changes from lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __call__(self, name: str, *lines: str, **more: object) -> GraphChange:
        self.count += 1
        path = self.folder / f"{self.count}.nq"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        info = GraphInfo(graph=f"{BASE}graph/data/{name}", role="data", dataset=name, **more)  # type: ignore[arg-type]
        return GraphChange(info=info, content=path if lines else None)


@pytest.fixture
def change(tmp_path: Path) -> Changes:
    return Changes(tmp_path)


@pytest.fixture
def content(opened: Opened, tmp_path: Path) -> Callable[[str], set[str]]:
    """Read the content of a graph: as the store exports it, which is what others read."""

    def read(name: str) -> set[str]:
        graph = f"{BASE}graph/data/{name}"
        path = opened.store.export(graph, tmp_path)
        lines = set() if path is None else set(path.read_text(encoding="utf-8").splitlines())
        assert opened.read(graph) == lines
        return lines

    return read


Content = Callable[[str], set[str]]


def test_a_new_store_has_published_nothing(store: Store) -> None:
    assert store.current() is None
    assert store.generations() == ()
    assert store.verify() == ()


def test_all_graphs_of_a_publication_appear_together(store: Store, change: Changes, content: Content) -> None:
    made = store.publish(
        [change("a/x", "<x:a> <x:p> 'é\\n' .".replace("'", '"')), change("b/y", "<x:b> <x:p> <x:o> .")], run="r1"
    )
    assert store.current() == made
    assert (made.number, made.parent, made.run, made.triples) == (1, None, "r1", 2)
    assert [(info.graph.removeprefix(BASE), info.triples) for info in made.graphs] == [
        ("graph/data/a/x", 1),
        ("graph/data/b/y", 1),
    ]
    assert content("a/x") == {'<x:a> <x:p> "é\\n" .'}
    assert store.verify(deep=True) == ()


def test_graphs_that_are_not_named_stay_as_they_are(store: Store, change: Changes, content: Content) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> ."), change("b/y", "<x:b> <x:p> <x:o> .")])
    second = store.publish([change("a/x", "<x:a> <x:p> <x:changed> .")])
    assert second.parent == first.number
    assert content("a/x") == {"<x:a> <x:p> <x:changed> ."}
    assert content("b/y") == {"<x:b> <x:p> <x:o> ."}


def test_publishing_the_same_again_makes_no_generation(store: Store, change: Changes) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> .", "<x:b> <x:p> <x:o> .")], run="r1")
    again = store.publish([change("a/x", "<x:b> <x:p> <x:o> <x:g> .", "<x:a> <x:p> <x:o> .", "<x:a> <x:p> <x:o> .")], run="r2")
    assert again == first


def test_a_change_of_access_alone_is_a_new_generation(store: Store, change: Changes) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> .")])
    second = store.publish([change("a/x", "<x:a> <x:p> <x:o> .", access=Access.RESTRICTED)])
    assert second.number == first.number + 1
    assert second.graphs[0].access is Access.RESTRICTED
    assert store.verify(deep=True) == ()


def test_what_is_remembered_beside_the_graphs_is_published_with_them(store: Store, change: Changes) -> None:
    store.publish([change("a/x", "<x:a> <x:p> <x:o> .")], meta={"run:a/x": "r1"})
    assert store.publish([]).meta == {"run:a/x": "r1"}
    assert store.publish([], meta={"run:a/x": "r2"}).meta == {"run:a/x": "r2"}


def test_a_dropped_graph_is_gone(store: Store, change: Changes, content: Content) -> None:
    store.publish([change("a/x", "<x:a> <x:p> <x:o> ."), change("b/y", "<x:b> <x:p> <x:o> .")])
    made = store.publish([change("a/x")])
    assert [info.dataset for info in made.graphs] == ["b/y"]
    assert content("a/x") == set()
    assert store.verify() == ()


def test_changing_the_spelling_of_a_value_loses_nothing(store: Store, change: Changes, content: Content) -> None:
    integer = "^^<http://www.w3.org/2001/XMLSchema#integer>"
    lines = [f'<x:{number}> <x:p> "{number}"{integer} .' for number in range(1, 20)]
    store.publish([change("a/x", *lines, f'<x:1> <x:p> "01"{integer} .')])
    made = store.publish([change("a/x", *lines, '<x:more> <x:p> "x" .')])
    assert made.triples == 20
    assert f'<x:1> <x:p> "1"{integer} .' in content("a/x")
    assert store.verify(deep=True) == ()


def test_blank_nodes_get_names_of_their_dataset(store: Store, change: Changes, content: Content) -> None:
    store.publish([change("a/x", "_:b0 <x:p> <x:o> ."), change("b/y", "_:b0 <x:p> <x:o> .")])
    assert content("a/x") == {f"<{BASE}.well-known/genid/a/x/b0> <x:p> <x:o> ."}
    assert content("b/y") == {f"<{BASE}.well-known/genid/b/y/b0> <x:p> <x:o> ."}


def test_a_graph_that_does_not_parse_publishes_nothing_at_all(store: Store, change: Changes, content: Content) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> .")])
    with pytest.raises(StoreError, match="N-Quads"):
        store.publish([change("a/x", "<x:a> <x:p> <x:new> ."), change("b/y", "this is not RDF")])
    assert store.current() == first
    assert content("a/x") == {"<x:a> <x:p> <x:o> ."}


def test_a_graph_named_twice_is_refused(store: Store, change: Changes) -> None:
    with pytest.raises(StoreError, match="twice"):
        store.publish([change("a/x", "<x:a> <x:p> <x:o> ."), change("a/x", "<x:b> <x:p> <x:o> .")])


def test_rolling_back_shows_the_older_state_and_publishing_goes_on_from_there(
    store: Store, change: Changes, content: Content
) -> None:
    store.publish([change("a/x", "<x:a> <x:p> <x:one> .")])
    store.publish([change("a/x", "<x:a> <x:p> <x:two> .")])
    assert store.rollback().number == 1
    assert content("a/x") == {"<x:a> <x:p> <x:one> ."}
    made = store.publish([change("b/y", "<x:b> <x:p> <x:o> .")])
    assert (made.number, made.parent) == (3, 1)
    assert content("a/x") == {"<x:a> <x:p> <x:one> ."}
    assert store.rollback(2).number == 2
    assert content("a/x") == {"<x:a> <x:p> <x:two> ."}


def test_rolling_back_to_what_is_not_kept_is_refused(store: Store, change: Changes) -> None:
    with pytest.raises(StoreError, match="Nothing is published"):
        store.rollback()
    store.publish([change("a/x", "<x:a> <x:p> <x:one> .")])
    with pytest.raises(StoreError, match="previous generation is not kept"):
        store.rollback()
    with pytest.raises(StoreError, match="generation 7 is not kept"):
        store.rollback(7)
    assert store.current() is not None


def test_a_snapshot_tells_count_and_hash_before_anything_is_published(store: Store, change: Changes, content: Content) -> None:
    wanted = change("a/x", "<x:a> <x:p> <x:o> .", "<x:a> <x:p> <x:o> .", "_:b <x:p> <x:o> .")
    assert wanted.content is not None
    info = store.snapshot(wanted.info, wanted.content, scope="a/x")
    assert (info.triples, len(info.sha256)) == (2, 64)
    assert store.current() is None
    assert store.publish([wanted]).graphs == (info,)
    assert content("a/x") == {"<x:a> <x:p> <x:o> .", f"<{BASE}.well-known/genid/a/x/b> <x:p> <x:o> ."}


def test_what_a_gate_refuses_is_not_published(store: Store, change: Changes, content: Content) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> .")])
    seen: list[int] = []

    def gate(staged: Generation) -> None:
        seen.append(staged.triples)
        raise RefusedError(Text("non", "no"))

    with pytest.raises(RefusedError, match="no"):
        store.publish([change("a/x", "<x:a> <x:p> <x:o> .", "<x:b> <x:p> <x:o> .")], gate=gate)
    assert seen == [2]
    assert store.current() == first
    assert content("a/x") == {"<x:a> <x:p> <x:o> ."}


def test_a_difference_is_what_a_publication_would_change(store: Store, change: Changes, tmp_path: Path) -> None:
    store.publish([change("a/x", "<x:a> <x:p> <x:o> .", "<x:b> <x:p> <x:o> .")])
    wanted = change("a/x", "<x:a> <x:p> <x:o> .", "<x:c> <x:p> <x:o> .", "<x:d> <x:p> <x:o> .")
    assert wanted.content is not None
    difference = store.difference(store.snapshot(wanted.info, wanted.content), tmp_path)
    assert (difference.removed, difference.inserted) == (1, 2)
    assert difference.removals.read_text(encoding="utf-8") == "<x:b> <x:p> <x:o> .\n"
