"""Terms are bound to slots of a query; they never become syntax."""

from __future__ import annotations

import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.queries import bind, read_query, term

QUERY = "SELECT ?s ?o WHERE { VALUES ?o { UNDEF } ?s ?p ?o }"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_stays_one_literal(text: str) -> None:
    store = ox.Store()
    store.add(ox.Quad(ox.NamedNode("urn:s"), ox.NamedNode("urn:p"), ox.Literal(text)))
    found = [row["o"] for row in store.query(bind(QUERY, o=ox.Literal(text)))]
    assert found == [ox.Literal(text)]


@pytest.mark.parametrize("query", ["SELECT * { ?s ?p ?o }", QUERY + " VALUES ?o { UNDEF }"])
def test_a_missing_or_doubled_slot_is_refused(query: str) -> None:
    with pytest.raises(UsageError):
        bind(query, o=ox.Literal("x"))


@pytest.mark.parametrize("text", ["<not an iri>", '"open', "http://a b"])
def test_what_is_no_term_is_refused_or_stays_text(text: str) -> None:
    try:
        assert term(text) == ox.Literal(text)
    except UsageError as error:
        assert "IRI" in error.render("en")


def test_expectations_are_read_from_comments(tmp_path) -> None:
    file = tmp_path / "q.rq"
    file.write_text("#+ title.fr: Une question\n#+ expect: rows >= 1\nASK {}\n", encoding="utf-8")
    query = read_query(file)
    assert query.title.fr == "Une question" and query.expectations == ("rows >= 1",)
