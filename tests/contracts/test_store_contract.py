"""What every implementation of the store port does; a new implementation is one more entry of `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cityorchestra_ld.errors import StoreError
from cityorchestra_ld.model import Access, GraphChange, GraphInfo
from cityorchestra_ld.store import Store, open_store

STORES: dict[str, Callable[[Path], Store]] = {"embedded": lambda folder: open_store(folder / "store", keep=3)}
BASE = "https://ld.cityorchestra.example/"


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()


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


def content(store: Store, name: str, folder: Path) -> set[str]:
    path = store.export(f"{BASE}graph/data/{name}", folder)
    return set() if path is None else set(path.read_text(encoding="utf-8").splitlines())


def test_a_new_store_has_published_nothing(store: Store) -> None:
    assert store.current() is None
    assert store.generations() == ()
    assert store.verify() == ()


def test_all_graphs_of_a_publication_appear_together(store: Store, change: Changes, tmp_path: Path) -> None:
    made = store.publish(
        [change("a/x", "<x:a> <x:p> 'é\\n' .".replace("'", '"')), change("b/y", "<x:b> <x:p> <x:o> .")], run="r1"
    )
    assert store.current() == made
    assert (made.number, made.parent, made.run, made.triples) == (1, None, "r1", 2)
    assert [(info.graph.removeprefix(BASE), info.triples) for info in made.graphs] == [
        ("graph/data/a/x", 1),
        ("graph/data/b/y", 1),
    ]
    assert content(store, "a/x", tmp_path) == {'<x:a> <x:p> "é\\n" .'}
    assert store.verify(deep=True) == ()


def test_graphs_that_are_not_named_stay_as_they_are(store: Store, change: Changes, tmp_path: Path) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> ."), change("b/y", "<x:b> <x:p> <x:o> .")])
    second = store.publish([change("a/x", "<x:a> <x:p> <x:changed> .")])
    assert second.parent == first.number
    assert content(store, "a/x", tmp_path) == {"<x:a> <x:p> <x:changed> ."}
    assert content(store, "b/y", tmp_path) == {"<x:b> <x:p> <x:o> ."}


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


def test_a_dropped_graph_is_gone(store: Store, change: Changes, tmp_path: Path) -> None:
    store.publish([change("a/x", "<x:a> <x:p> <x:o> ."), change("b/y", "<x:b> <x:p> <x:o> .")])
    made = store.publish([change("a/x")])
    assert [info.dataset for info in made.graphs] == ["b/y"]
    assert content(store, "a/x", tmp_path) == set()
    assert store.verify() == ()


def test_changing_the_spelling_of_a_value_loses_nothing(store: Store, change: Changes, tmp_path: Path) -> None:
    integer = "^^<http://www.w3.org/2001/XMLSchema#integer>"
    lines = [f'<x:{number}> <x:p> "{number}"{integer} .' for number in range(1, 20)]
    store.publish([change("a/x", *lines, f'<x:1> <x:p> "01"{integer} .')])
    made = store.publish([change("a/x", *lines, '<x:more> <x:p> "x" .')])
    assert made.triples == 20
    assert f'<x:1> <x:p> "1"{integer} .' in content(store, "a/x", tmp_path)
    assert store.verify(deep=True) == ()


def test_blank_nodes_get_names_of_their_dataset(store: Store, change: Changes, tmp_path: Path) -> None:
    store.publish([change("a/x", "_:b0 <x:p> <x:o> ."), change("b/y", "_:b0 <x:p> <x:o> .")])
    assert content(store, "a/x", tmp_path) == {f"<{BASE}.well-known/genid/a/x/b0> <x:p> <x:o> ."}
    assert content(store, "b/y", tmp_path) == {f"<{BASE}.well-known/genid/b/y/b0> <x:p> <x:o> ."}


def test_a_graph_that_does_not_parse_publishes_nothing_at_all(store: Store, change: Changes, tmp_path: Path) -> None:
    first = store.publish([change("a/x", "<x:a> <x:p> <x:o> .")])
    with pytest.raises(StoreError, match="N-Quads"):
        store.publish([change("a/x", "<x:a> <x:p> <x:new> ."), change("b/y", "this is not RDF")])
    assert store.current() == first
    assert content(store, "a/x", tmp_path) == {"<x:a> <x:p> <x:o> ."}


def test_a_graph_named_twice_is_refused(store: Store, change: Changes) -> None:
    with pytest.raises(StoreError, match="twice"):
        store.publish([change("a/x", "<x:a> <x:p> <x:o> ."), change("a/x", "<x:b> <x:p> <x:o> .")])


def test_rolling_back_shows_the_older_state_and_publishing_goes_on_from_there(
    store: Store, change: Changes, tmp_path: Path
) -> None:
    store.publish([change("a/x", "<x:a> <x:p> <x:one> .")])
    store.publish([change("a/x", "<x:a> <x:p> <x:two> .")])
    assert store.rollback().number == 1
    assert content(store, "a/x", tmp_path) == {"<x:a> <x:p> <x:one> ."}
    made = store.publish([change("b/y", "<x:b> <x:p> <x:o> .")])
    assert (made.number, made.parent) == (3, 1)
    assert content(store, "a/x", tmp_path) == {"<x:a> <x:p> <x:one> ."}
    assert store.rollback(2).number == 2
    assert content(store, "a/x", tmp_path) == {"<x:a> <x:p> <x:two> ."}


def test_rolling_back_to_what_is_not_kept_is_refused(store: Store, change: Changes) -> None:
    with pytest.raises(StoreError, match="Nothing is published"):
        store.rollback()
    store.publish([change("a/x", "<x:a> <x:p> <x:one> .")])
    with pytest.raises(StoreError, match="previous generation is not kept"):
        store.rollback()
    with pytest.raises(StoreError, match="generation 7 is not kept"):
        store.rollback(7)
    assert store.current() is not None


def test_a_snapshot_tells_count_and_hash_before_anything_is_published(store: Store, change: Changes) -> None:
    wanted = change("a/x", "<x:a> <x:p> <x:o> .", "<x:a> <x:p> <x:o> .", "_:b <x:p> <x:o> .")
    assert wanted.content is not None
    info = store.snapshot(wanted.info, wanted.content, scope="a/x")
    assert (info.triples, len(info.sha256)) == (2, 64)
    assert store.current() is None
    assert store.publish([wanted]).graphs == (info,)
