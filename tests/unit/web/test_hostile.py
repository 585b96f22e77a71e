"""Requests that nobody honest sends: the answer is a status, never a bug, and the service goes on."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ALLOWED = {200, 301, 303, 304, 400, 403, 404, 405, 406, 413, 415, 503}
several = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
header_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=120)
printable = st.characters(min_codepoint=0x21, exclude_characters="\x7f", exclude_categories=("Cs",))
paths = st.one_of(
    st.text(printable, max_size=40),
    st.lists(
        st.sampled_from(["id", "doc", "..", "", "%2e%2e", "%00", "%ff", "stop", "1001.ttl", "é", "def", "graph"]), max_size=6
    ).map("/".join),
)


@several
@given(accept=header_text, language=header_text, tag=header_text, since=header_text, profile=header_text)
def test_any_header_gets_an_answer(client, accept, language, tag, since, profile):
    headers = {"accept": accept, "accept-language": language, "if-none-match": tag, "if-modified-since": since}
    headers["accept-profile"] = profile
    for path in ("/doc/stop/1001", "/catalog", "/sparql?query=ASK%7B%7D", "/"):
        assert client.get(path, headers=headers).status_code in {200, 304, 406}


@several
@given(moment=header_text, profile=st.text(max_size=20), page=st.text(max_size=20))
def test_any_moment_profile_and_page_get_an_answer(client, moment, profile, page):
    assert client.get("/doc/stop/1001", headers={"accept-datetime": moment}).status_code in {302, 400}
    assert client.get("/doc/stop/1001", params={"_profile": profile}).status_code in {200, 406}
    assert client.get("/doc/stop/1001", params={"page": page}).status_code in {200, 400, 404}


@several
@given(path=paths, query=st.text(max_size=30))
def test_any_address_gets_an_answer(client, path, query):
    answer = client.get(f"http://testserver/{path}".split("#")[0].split("?")[0], params={"q": query, "lang": query})
    assert answer.status_code in ALLOWED
    assert "Traceback" not in answer.text


@several
@given(query=st.text(max_size=60))
def test_any_text_as_a_query_gets_an_answer(client, query):
    assert client.get("/sparql", params={"query": query}).status_code in {200, 400}


@several
@given(
    body=st.binary(max_size=80), kind=st.sampled_from(["application/x-www-form-urlencoded", "application/sparql-query", "x/y"])
)
def test_any_body_gets_an_answer(client, body, kind):
    assert client.post("/sparql", content=body, headers={"content-type": kind}).status_code in ALLOWED


@several
@given(iri=st.text(max_size=60))
def test_any_text_as_an_iri_gets_an_answer(client, iri):
    for accept in ("text/turtle", "text/html"):
        assert client.get("/describe", params={"iri": iri}, headers={"accept": accept}).status_code in {303, 400, 404}
