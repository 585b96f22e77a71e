"""Negotiation is a function of its arguments: what a client weighs, what we offer, our own order between equals."""

from __future__ import annotations

import pytest

from cityorchestra_ld.formats import (
    DOCUMENT_FORMATS,
    GRAPH_FORMATS,
    HTML,
    RESULT_FORMATS,
    TURTLE,
    named,
    negotiate,
    split_suffix,
)

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/turtle"),
        ("", "text/turtle"),
        ("*/*", "text/turtle"),
        (BROWSER, "text/html"),
        ("application/rdf+xml;q=0.5,text/html;q=.3", "application/rdf+xml"),
        ("application/rdf+xml;q=0.3, text/html;q=0.5", "text/html"),
        ("application/rdf+xml;q=0.5, text/html;q=0.5", "application/rdf+xml"),
        ("application/xhtml+xml", "application/xhtml+xml"),
        ("application/xhtml+xml;q=0.5, text/html;q=0.5", "text/html"),
        ("application/json", "application/json"),
        ("text/*", "text/turtle"),
        ("text/*, text/turtle;q=0", "text/html"),
        ("application/*", "application/ld+json"),
        ("*/*;q=0.1, application/n-triples", "application/n-triples"),
        ("TEXT/TURTLE;Q=1.000", "text/turtle"),
        ("text/turtle; charset=utf-8", "text/turtle"),
        ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"', "application/ld+json"),
        ('application/ld+json;profile="a, b";q=0.9, text/turtle;q=0.8', "application/ld+json"),
        ("text/turtle;q=0.2, application/ld+json;q=0.200", "text/turtle"),
        ("text/turtle;version=1.2, text/turtle;q=0.1, application/rdf+xml;q=0.5", "application/rdf+xml"),
        ("nonsense, text/html;q=2, application/n-triples;q=0.001", "application/n-triples"),
    ],
)
def test_the_most_specific_range_weighs_a_type_and_the_heaviest_type_is_sent(accept, expected):
    offer = negotiate(accept, DOCUMENT_FORMATS)
    assert offer is not None
    assert offer.media_type == expected


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/turtle;q=0", "*/*;q=0", "text/html;q=1.5", "nonsense", "*/turtle", "text", ",,,", '"', "text/plain"],
)
def test_nothing_acceptable_is_nothing(accept):
    assert negotiate(accept, GRAPH_FORMATS) is None


def test_results_and_graphs_share_words_that_the_offered_formats_tell_apart():
    assert named("xml", RESULT_FORMATS).media_type == "application/sparql-results+xml"
    assert named("xml", GRAPH_FORMATS).media_type == "application/rdf+xml"
    assert named("json", RESULT_FORMATS).media_type == "application/sparql-results+json"
    assert named("TTL", GRAPH_FORMATS).format is TURTLE
    assert named("text/html", DOCUMENT_FORMATS).format is HTML
    assert named("application/xml", GRAPH_FORMATS).media_type == "application/xml"
    assert named("parquet", RESULT_FORMATS) is None


def test_a_suffix_is_taken_off_only_when_it_is_one_of_ours():
    assert split_suffix("doc/stop/1001.ttl", DOCUMENT_FORMATS) == ("doc/stop/1001", TURTLE)
    assert split_suffix("doc/v1.2/a", DOCUMENT_FORMATS) == ("doc/v1.2/a", None)
    assert split_suffix("doc/.ttl", DOCUMENT_FORMATS) == ("doc/.ttl", None)
    assert split_suffix("ttl", DOCUMENT_FORMATS) == ("ttl", None)


def test_text_formats_say_that_they_are_utf_8():
    assert negotiate("text/turtle", DOCUMENT_FORMATS).content_type == "text/turtle; charset=utf-8"
    assert negotiate("application/ld+json", DOCUMENT_FORMATS).content_type == "application/ld+json"


def test_every_suffix_names_one_format():
    formats = {*DOCUMENT_FORMATS, *RESULT_FORMATS}
    assert len({item.suffix for item in formats}) == len(formats)
    assert all(split_suffix(f"/doc/x.{item.suffix}", tuple(formats)) == ("/doc/x", item) for item in formats)
