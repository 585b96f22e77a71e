"""Terms on a page: numbers and dates as people write them, hostile text made visible, names in a fixed order."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from cityorchestra_ld.web.labels import best
from cityorchestra_ld.web.terms import LONGEST, clean, date_text, number_text, show_literal
from cityorchestra_ld.web.vocabulary import known_label, licence, local_name, unit_symbol

XSD = "http://www.w3.org/2001/XMLSchema#"


@pytest.mark.parametrize(
    ("lexical", "french", "english"),
    [
        ("225081", "225\u202f081", "225,081"),
        ("2022", "2022", "2022"),
        ("5200.50", "5\u202f200,5", "5,200.5"),
        ("-0.25", "-0,25", "-0.25"),
        ("0", "0", "0"),
        ("1e3", "1000", "1000"),
        ("1E400", None, None),
        ("NaN", None, None),
        ("INF", None, None),
        ("abc", None, None),
    ],
)
def test_a_number_is_written_as_its_readers_do(lexical, french, english):
    assert number_text(lexical, "fr") == french
    assert number_text(lexical, "en") == english


@pytest.mark.parametrize(
    ("lexical", "kind", "french", "english"),
    [
        ("2024-03-01", "date", "1er mars 2024", "1 March 2024"),
        ("2024-12-31", "date", "31 décembre 2024", "31 December 2024"),
        ("2025-01-06T08:00:00Z", "dateTime", "6 janvier 2025 à 08:00 UTC", "6 January 2025, 08:00 UTC"),
        (
            "2025-01-06T08:00:30+01:00",
            "dateTime",
            "6 janvier 2025 à 08:00:30 (UTC+01:00)",
            "6 January 2025, 08:00:30 (UTC+01:00)",
        ),
        ("2025-13-01", "date", None, None),
        ("-0044-03-15", "date", None, None),
        ("soon", "dateTime", None, None),
    ],
)
def test_a_date_is_written_as_its_readers_do(lexical, kind, french, english):
    assert date_text(lexical, XSD + kind, "fr") == french
    assert date_text(lexical, XSD + kind, "en") == english


@pytest.mark.parametrize("lexical", ["2025-13-01", "", "x" * 10])
def test_a_value_that_does_not_fit_its_type_is_shown_as_it_is(lexical):
    shown = show_literal(ox.Literal(lexical, datatype=ox.NamedNode(f"{XSD}date")), "fr")
    assert (shown.kind, shown.text, shown.datatype) == ("text", lexical, "date")


def test_falsy_values_are_values():
    assert show_literal(ox.Literal(0), "fr").text == "0"
    assert show_literal(ox.Literal(False), "fr").text == "non"
    assert show_literal(ox.Literal(""), "fr").text == ""


def test_a_long_text_is_cut_and_says_how_long_it_is():
    shown = show_literal(ox.Literal("x" * 10_000), "fr")
    assert len(shown.text) == LONGEST
    assert shown.cut == 10_000


def test_hidden_characters_are_made_visible_and_lines_stay():
    assert clean("a\u202eb\u2066c\x00d\x1be") == "a[U+202E]b[U+2066]c[U+0000]d[U+001B]e"
    assert clean("deux\nlignes\tet é") == "deux\nlignes\tet é"


def test_labels_have_a_fixed_order_of_languages():
    labels = [ox.Literal("Roazhon", language="br"), ox.Literal("Rennes"), ox.Literal("Rennes (en)", language="en-GB")]
    assert best(labels, "en").value == "Rennes (en)"
    assert best(labels, "fr").value == "Rennes (en)"
    assert best([*labels, ox.Literal("Rennes (fr)", language="fr")], "fr").value == "Rennes (fr)"
    assert best(labels[:2], "en").value == "Rennes"
    assert best(labels[:1], "en").value == "Roazhon"
    assert best([ox.Literal("  ")], "fr") is None
    assert best(reversed(labels), "fr") == best(labels, "fr")


def test_published_vocabularies_units_and_licences_have_plain_words():
    assert known_label("http://purl.org/dc/terms/title").get("en") == "title"
    assert known_label("http://publications.europa.eu/resource/authority/access-right/PUBLIC").fr == "public"
    assert unit_symbol("http://qudt.org/vocab/unit/MegaW-HR") == "MWh"
    assert unit_symbol("https://id.example/unit/x") is None
    assert licence("ODbL-1.0").meaning is not None
    assert licence("none-such").iri == "http://spdx.org/licenses/none-such"


@pytest.mark.parametrize(
    ("iri", "words"),
    [
        ("http://xmlns.com/foaf/0.1/familyName", "family name"),
        ("https://id.example/id/stop/FR%2AA68", "FR*A68"),
        ("https://id.example/def/co#DPE", "DPE"),
        ("https://id.example/", "id.example"),
    ],
)
def test_an_iri_without_a_label_is_read_from_its_end(iri, words):
    assert local_name(iri) == words
