"""Things are found by the names that the graphs of a view give them, whatever is typed, in the generation that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.errors import QueryError, StoreError
from cityorchestra_ld.model import Generation, GraphChange, View
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.store import EmbeddedStore, Pool, names, searching
from cityorchestra_ld.store.names import Names, words_of

JSON = "application/sparql-results+json"
CO = prefixes()["co"]
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
Change = Callable[..., GraphChange]
Sees = Callable[..., View]


def named(number: int, name: str) -> str:
    return f'<x:{number}> {LABEL} "{name}" .'


def entries(generation: Generation) -> set[tuple[str, str, str]]:
    """List everything in an index: what begins with each letter and digit."""
    graphs = [info.graph for info in generation.graphs]
    index = Names(generation.path / names.FILE)
    try:
        found = (hit for char in "abcdefghijklmnopqrstuvwxyz0123456789" for hit in index.find(char, graphs, 10_000, apart=True))
        return {(hit.graph, hit.iri, hit.name) for hit in found}
    finally:
        index.close()


Found = tuple[list[dict[str, str]], int]


def ask(generation: Generation, *questions: tuple[str, View]) -> list[Found]:
    """Return for each question the rows of its answer, and the limit that a search went beyond."""

    async def run() -> list[Found]:
        found = []
        async with Pool(generation, 1, prefixes=prefixes()) as pool:
            for text, view in questions:
                answer = await pool.query(f"PREFIX co: <{CO}> {text}", view, JSON)
                rows = msgspec.json.decode(await answer.read())["results"]["bindings"]
                found.append(([{name: cell["value"] for name, cell in row.items()} for row in rows], answer.head.search_limit))
        return found

    return asyncio.run(run())


def test_a_search_in_a_query_sees_the_graphs_of_its_view(store: EmbeddedStore, change: Change, sees: Sees) -> None:
    generation = store.publish(
        [change("a/open", named(1, "Gare Sud"), named(2, "Place")), change("b/closed", named(3, "Gare cachée"))]
    )
    asked = 'SELECT ?s ?score { ?s co:search "gares" ; co:score ?score } ORDER BY DESC(?score)'
    hidden = 'SELECT ?s { GRAPH <https://ld.cityorchestra.example/graph/data/b/closed> { ?s co:search "gare" } }'
    both = sees("a/open", "b/closed")
    alone, together, closed = ask(generation, (asked, sees("a/open")), (asked, both), (hidden, sees("a/open")))
    assert alone[0] == [{"s": "x:1", "score": "0.625"}]
    assert [row["s"] for row in together[0]] == ["x:1", "x:3"]
    assert closed[0] == []
    assert sorted(path.name for path in generation.path.iterdir()) == ["db", "hold", "manifest.json", names.FILE]
    with pytest.raises(QueryError) as caught:
        ask(generation, ('\nSELECT ?s { ?s co:search "gare" .\n ?s ?p }', sees("a/open")))
    assert caught.value.place is not None and caught.value.place.line == 3


@pytest.mark.slow
def test_a_search_that_finds_too_much_says_so(store: EmbeddedStore, change: Change, sees: Sees) -> None:
    most = searching.MOST
    generation = store.publish([change("a/b", *(named(number, f"gare {number}") for number in range(most + 1)))])
    texts = ('SELECT (COUNT(?s) AS ?n) { ?s co:search "gare" }', f'SELECT ?s {{ ?s co:search "gare {most}" }}')
    cut, whole = ask(generation, *((text, sees("a/b")) for text in texts))
    assert cut == ([{"n": str(most)}], most)
    assert whole == ([{"s": f"x:{most}"}], 0)


def test_a_generation_without_an_index_is_said_to_have_none(store: EmbeddedStore, change: Change, sees: Sees) -> None:
    generation = store.publish([change("a/b", named(1, "gare"))])
    (generation.path / names.FILE).unlink()
    with pytest.raises(StoreError, match="no index of names"):
        ask(generation, ('SELECT ?s { ?s co:search "gare" }', sees("a/b")))
    repaired = store.publish([change("a/b", named(2, "gare"))])
    assert {iri for _, iri, _ in entries(repaired)} == {"x:2"}


def test_an_index_that_followed_changes_is_that_of_a_new_store(
    store: EmbeddedStore, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [named(number, f"Arrêt {number}") for number in range(60)]
    store.publish([change("a/b", *first), change("c/d", named(1, "Arrêt 1"), '<x:9> <x:p> "arrêt" .')])
    second = [*first[3:], named(0, "Œuvre"), '<x:0> <http://purl.org/dc/terms/title> "l\\"arrêt"@fr .']
    followed = store.publish([change("a/b", *second)])
    made = entries(followed)
    assert {name for _, iri, name in made if iri == "x:0"} == {"Œuvre", 'l"arrêt'}
    assert len(made) == 57 + 2 + 1
    monkeypatch.setattr(names, "can_follow", lambda *_: False)
    other = store.publish([change("c/d")])
    assert entries(other) == {entry for entry in made if entry[0].endswith("/a/b")}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Names:
    path = tmp_path_factory.mktemp("names") / names.FILE
    said = [("x:1", "École de l'Œuvre", "fr"), ("x:2", "School", "en"), ("x:3", "Les arrêts", ""), ("x:4", "m² et ½", "")]
    names.make([("x:g", said), ("x:h", [("x:1", "Autre", "")])], path)
    return Names(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ecoles oeuvre", ["x:1"]), ("œuvr", ["x:1"]), ("OEUVRE école", ["x:1"]), ("arret", ["x:3"]), ("arrêts les", ["x:3"]),
        ("cole", []), ("école arrêt", []), ("m2", ["x:4"]), ("autre", []), ("NEAR(école, 2)", []), ("école OR arrêts", []),
    ],
)  # fmt: skip
def test_words_are_found_in_any_order_and_without_their_accents(index: Names, text: str, found: list[str]) -> None:
    assert [hit.iri for hit in index.find(text, ["x:g"], 10)] == found


def test_a_language_may_be_asked_for(index: Names) -> None:
    assert [hit.iri for hit in index.find("school", ["x:g"], 10, language="en")] == ["x:2"]
    assert index.find("school", ["x:g"], 10, language="FR") == []


@given(st.text(max_size=60))
def test_whatever_is_typed_is_words_and_never_a_command(index: Names, text: str) -> None:
    found = index.find(text, ["x:g", "x:h"], 10)
    assert not found or words_of(text)


PLACED = [  # what is refused, and at which character
    ("SELECT * { ?s co:search/co:x 'gare' }", 15), ("SELECT * { ?s ^co:search ?t }", 16),
    ("SELECT * { ?s co:search ?x }", 15), ("SELECT * { ?s co:search 'a', 'b' }", 15), ("SELECT * { [] co:search 'a' }", 15),
    ("SELECT * { ?s co:search '?!' }", 25), ("SELECT * { ?s co:search 'a'^^co:t }", 15),
    ("CONSTRUCT WHERE { ?s co:search 'a' }", 22),
    ("SELECT * { ?s a [ co:search 'a' ] }", 19), ("SELECT * { FILTER(EXISTS { ?s co:search 'a' }) }", 31),
    ("SELECT * { ?s co:score ?n }", 24), ("SELECT * { ?s co:search 'a', 'b' ; co:score ?n }", 15),
    ("SELECT * { ?s co:search 'a' ; co:score 1 }", 31),
    ("SELECT * { GRAPH ?g { { SELECT ?s { ?s co:search 'a' } } } }", 40),
]  # fmt: skip


@pytest.mark.parametrize(("text", "at"), PLACED)
def test_what_is_not_a_plain_search_is_refused_where_it_stands(text: str, at: int) -> None:
    prologue = f"PREFIX co: <{CO}>\n"
    with pytest.raises(QueryError) as caught:
        searching.find_searches(prologue + text, CO, CO)
    assert caught.value.place is not None
    assert (caught.value.place.line, caught.value.place.column_number) == (2, at)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { co:search ?p ?o }", "SELECT * { ?s ?p co:search }", "DESCRIBE co:search", "SELECT * { ?s ?p 'co:search' }",
        "SELECT * { GRAPH ?g { { SELECT ?s { ?s ?p co:search } } } }",
        "SELECT * { VALUES ?x { co:search co:score } ?x ?p ?o }", "SELECT * { ?s ?p ?o } # co:search",
    ],
)  # fmt: skip
def test_the_terms_themselves_may_be_spoken_of(text: str) -> None:
    assert searching.find_searches(f"PREFIX co: <{CO}> {text}", CO) is None


@pytest.mark.parametrize("name", ["<co#search>", "<../def/co#se\\u0061rch>", "x:rch", "co:search"])
def test_the_term_is_known_however_it_is_written(name: str) -> None:
    text = f"BASE <{CO[:-3]}> PREFIX x: <co#sea> PREFIX co: <{CO}> SELECT * {{ ?s {name} 'gare' }}"
    found = searching.find_searches(text, CO)
    assert found is not None and found.found[0].text == "gare"
