"""One request and one answer as values: languages, fields, validators."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.web.cache import AnswerCache
from cityorchestra_ld.web.http_ import Answer, Ask, etag, is_fresh, read_fields

MOMENT = datetime(2026, 11, 22, 3, 0, 0, 500_000, tzinfo=UTC)


def test_fields_are_decoded_once_and_kept_apart():
    assert read_fields("a=%252F&a=1%2B1&b=x+y&c=") == {"a": ("%2F", "1+1"), "b": ("x y",), "c": ("",)}


@pytest.mark.parametrize("text", ["a=%FF", "&".join(["a=b"] * 300)])
def test_fields_that_cannot_be_read_are_refused(text):
    with pytest.raises(UsageError):
        read_fields(text)


@pytest.mark.parametrize(
    ("headers", "fresh"),
    [
        ({}, False),
        ({"if-none-match": '"a"'}, True),
        ({"if-none-match": 'W/"a"'}, True),
        ({"if-none-match": '"b", "a"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"b"'}, False),
        ({"if-none-match": "a"}, False),
        ({"if-modified-since": "Sun, 22 Nov 2026 03:00:00 GMT"}, True),
        ({"if-modified-since": "Sun, 22 Nov 2026 02:59:59 GMT"}, False),
        ({"if-modified-since": "yesterday"}, False),
        ({"if-modified-since": "Sun, 22 Nov 2026 03:00:00 GMT", "if-none-match": '"b"'}, False),
    ],
)
def test_a_client_that_holds_the_representation_is_told_so(headers, fresh):
    assert is_fresh(Ask(headers=headers), '"a"', MOMENT) is fresh
    assert is_fresh(Ask(method="POST", headers=headers), '"a"', MOMENT) is False


def test_tags_differ_when_anything_differs():
    assert (
        len({etag(1, "a", "text/turtle"), etag(2, "a", "text/turtle"), etag(1, "b", "text/turtle"), etag(1, "a", "text/html")})
        == 4
    )


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("ld.example", "http://ld.example"),
        ("localhost:8000", "http://localhost:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("evil.example/<script>", ""),
        ("a b", ""),
        ("", ""),
    ],
)
def test_only_a_host_is_taken_for_a_host(host, origin):
    assert Ask(headers={"host": host}).origin == origin


def test_the_cache_stays_within_its_budget_and_drops_what_was_not_used():
    cache = AnswerCache(budget=40_000)
    for number in range(10):
        cache.put(number, Answer(200, (), b"x" * 4_000))
        cache.get(0)
    assert cache.get(0) is not None
    assert cache.get(1) is None
    assert sum(cache.get(number) is not None for number in range(10)) == 8
    cache.put("large", Answer(200, (), b"x" * 30_000))
    assert cache.get("large") is None
