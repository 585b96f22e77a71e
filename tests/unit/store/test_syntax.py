"""What the engine says about a query that it cannot read becomes a place in the client's own text."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import QueryError
from cityorchestra_ld.store.syntax import syntax_error


def explain(text: str) -> QueryError:
    with pytest.raises(SyntaxError) as caught:
        ox.Store().query(text)
    return syntax_error(text, str(caught.value))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("SELECT * {\n  ?s ?p ?o .\n  ?é ?é ?é ?é\n}", 3, 12),
        ("SELECT * { ?s ?p ?o } ORDER ?s", 1, 29),
        ("SELECT * FROM <relative> {}", 1, 25),
    ],
)
def test_the_place_is_where_reading_stopped(text: str, line: int, column: int) -> None:
    error = explain(text)
    assert error.place is not None
    assert (error.place.line, error.place.column_number) == (line, column)
    assert "not valid SPARQL" in error.message.en


def test_the_place_of_a_broken_pattern_is_in_its_group_and_never_past_the_text() -> None:
    error = explain("SELECT * {\n ?s ?p\n}")
    assert error.place is not None
    assert error.place.line == 2


def test_what_is_wrong_with_the_query_as_a_whole_is_said_in_the_engines_words() -> None:
    error = explain("SELECT (1 AS ?a) (2 AS ?a) {}")
    assert error.message.en == "The query is not valid SPARQL: Duplicated variable name in SELECT."
    assert error.message.fr.startswith("La requête")


def test_words_that_we_do_not_know_are_passed_on() -> None:
    error = syntax_error("ASK {}", "something else")
    assert error.message.en.endswith("something else")
