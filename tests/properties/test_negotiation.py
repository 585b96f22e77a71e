"""Whatever an Accept header says, the answer is one of the offered types or none, and it is the best one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.formats import DOCUMENT_FORMATS, RESULT_FORMATS, negotiate, offers, quality, read_accept

OFFERED = {offer.media_type for offer in offers(DOCUMENT_FORMATS)}

weights = st.sampled_from(["", ";q=1", ";q=0", ";q=0.5", "; q=0.123", ";Q=.3", ";q=1.0", ";q=2", ";q=abc", ";q="])
parameters = st.sampled_from(["", ";charset=utf-8", ';profile="a,b;c"', ";version=1.2", ';x="\\""'])
names = st.sampled_from(
    [*sorted(OFFERED), "text/*", "application/*", "*/*", "image/png", "*", "text", "text/html/x", "", "é/ü"]
)
elements = st.builds(lambda name, parameter, weight: name + parameter + weight, names, parameters, weights)
headers = st.lists(elements, max_size=8).map(", ".join)
anything = st.one_of(headers, st.text(max_size=200), st.text(alphabet='*/;,="q.01 \\', max_size=60))


@given(anything)
def test_any_header_gives_an_offered_type_or_nothing(accept):
    for formats in (DOCUMENT_FORMATS, RESULT_FORMATS):
        offer = negotiate(accept, formats)
        assert offer is None or offer in offers(formats)


@given(anything)
def test_no_offered_type_weighs_more_than_the_one_that_is_sent(accept):
    ranges = read_accept(accept)
    offer = negotiate(accept, DOCUMENT_FORMATS)
    sent = quality(ranges, offer.media_type) if offer else 0.0
    assert all(quality(ranges, media_type) <= sent for media_type in OFFERED)
    assert offer is None or sent > 0


@given(st.lists(elements, max_size=6).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_the_elements_changes_nothing(both):
    first, second = both
    assert negotiate(", ".join(first), DOCUMENT_FORMATS) == negotiate(", ".join(second), DOCUMENT_FORMATS)


@given(headers, st.sampled_from(["image/png", "image/png;q=0.1", "video/*"]))
def test_a_type_that_is_not_offered_changes_nothing(accept, other):
    if accept.strip():
        assert negotiate(f"{accept}, {other}", DOCUMENT_FORMATS) == negotiate(accept, DOCUMENT_FORMATS)


@given(st.sampled_from(sorted(OFFERED)))
def test_a_type_asked_for_alone_is_the_type_that_is_sent(media_type):
    assert negotiate(media_type, DOCUMENT_FORMATS).media_type == media_type
    refused = negotiate(f"{media_type};q=0, */*", DOCUMENT_FORMATS)
    assert refused is not None
    assert refused.media_type != media_type
