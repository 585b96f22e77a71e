"""Every address of every kind, in every form: the Linked Data checks as one table."""

from __future__ import annotations

from xml.etree import ElementTree

import pyoxigraph as ox
import pytest

BASE = "https://id.example/"
INSEE = "http://id.insee.fr/geo/commune/35238"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
RDF = {
    "text/turtle": ox.RdfFormat.TURTLE,
    "application/x-turtle": ox.RdfFormat.TURTLE,
    "application/ld+json": ox.RdfFormat.JSON_LD,
    "application/json": ox.RdfFormat.JSON_LD,
    "application/n-triples": ox.RdfFormat.N_TRIPLES,
    "application/rdf+xml": ox.RdfFormat.RDF_XML,
    "application/xml": ox.RdfFormat.RDF_XML,
}
PAGES = {"text/html", "application/xhtml+xml"}

# what is asked for, the IRI that must be a subject of the answer, and how many redirects come first
RESOURCES = [
    pytest.param("/id/stop/1001", f"{BASE}id/stop/1001", [303], id="thing"),
    pytest.param("/doc/stop/1001", f"{BASE}id/stop/1001", [], id="document"),
    pytest.param("/id/obs/1", f"{BASE}id/obs/1", [303], id="observation"),
    pytest.param("/id/code/indicator/population", f"{BASE}id/code/indicator/population", [303], id="code"),
    pytest.param("/id/dataset/ville/stops", f"{BASE}id/dataset/ville/stops", [303], id="dataset"),
    pytest.param("/id/dataset/ville/stops/1-aaaa", f"{BASE}id/dataset/ville/stops/1-aaaa", [303], id="version"),
    pytest.param("/id/catalog/main", f"{BASE}id/catalog/main", [303], id="catalogue thing"),
    pytest.param("/id/commune/35238", INSEE, [303], id="alias of an IRI of others"),
    pytest.param(f"/describe?iri={INSEE}", INSEE, [], id="IRI of others"),
    pytest.param(f"/describe?iri={BASE}id/stop/1001", f"{BASE}id/stop/1001", [303], id="IRI of ours, described"),
    pytest.param("/def/co", f"{BASE}def/co", [], id="ontology"),
    pytest.param("/graph/data/ville/stops", f"{BASE}graph/data/ville/stops", [], id="graph"),
    pytest.param("/catalog", f"{BASE}id/dataset/ville/stops", [], id="catalogue"),
    pytest.param(
        "/.well-known/genid/city/stops/b0", f"{BASE}.well-known/genid/city/stops/b0", [], id="stand-in of a blank node"
    ),
    pytest.param("/id/stop/Pl%C5%93uc-L'Hermitage", f"{BASE}id/stop/Plœuc-L%27Hermitage", [303], id="accents"),
    pytest.param("/id/stop/FR*A68*E1", f"{BASE}id/stop/FR%2AA68%2AE1", [303], id="stars"),
    pytest.param("/id/scenario/2030", f"{BASE}id/scenario/2030", [303], id="scenario"),
]

ACCEPTS = [
    (None, "text/turtle"),
    ("*/*", "text/turtle"),
    ("text/turtle", "text/turtle"),
    ("application/ld+json", "application/ld+json"),
    ("application/n-triples", "application/n-triples"),
    ("application/rdf+xml", "application/rdf+xml"),
    ("application/xhtml+xml,text/html", "text/html"),
    ("application/rdf+xml;q=0.5,text/html;q=.3", "application/rdf+xml"),
    ("application/rdf+xml;q=0.3,text/html;q=.5", "text/html"),
    ("application/rdf+xml;q=0.5,text/html;q=.5", "application/rdf+xml"),
    ("application/rdf+xml,text/html", "application/rdf+xml"),
    ("text/html,application/rdf+xml", "application/rdf+xml"),
    ("application/rdf+xml;q=0.5", "application/rdf+xml"),
    ("text/html;q=0.5", "text/html"),
    ("application/xhtml+xml;q=0.5", "application/xhtml+xml"),
    ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"', "application/ld+json"),
    (BROWSER, "text/html"),
]


def follow(client, address, headers=None, method="GET"):
    """Follow redirects by hand; return the last answer and the statuses before it."""
    statuses = []
    answer = client.request(method, address, headers=headers)
    while answer.status_code in (301, 303) and len(statuses) < 5:
        statuses.append(answer.status_code)
        answer = client.request(method, answer.headers["location"], headers=headers)
    return answer, statuses


def media_type(answer):
    return answer.headers["content-type"].partition(";")[0]


def subjects(answer, form):
    return {quad.subject.value for quad in ox.parse(answer.content, format=form)}


@pytest.mark.parametrize(("address", "iri", "redirects"), RESOURCES)
@pytest.mark.parametrize(("accept", "expected"), ACCEPTS)
def test_every_kind_of_resource_answers_in_the_form_asked_for(client, address, iri, redirects, accept, expected):
    headers = {"accept": accept} if accept else {"accept": ""}
    answer, statuses = follow(client, address, headers)
    assert (answer.status_code, statuses) == (200, redirects)
    assert media_type(answer) == expected
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "*"
    if expected in RDF:
        assert iri in subjects(answer, RDF[expected])
    else:
        ElementTree.fromstring(answer.text.partition("?>")[2] or answer.text.removeprefix("<!DOCTYPE html>"))


@pytest.mark.parametrize(("address", "iri", "redirects"), RESOURCES)
def test_what_nobody_can_send_is_406_with_the_list_of_forms(client, address, iri, redirects):
    answer, _ = follow(client, address, {"accept": "image/png"})
    assert answer.status_code == 406
    assert media_type(answer) == "application/problem+json"
    listed = {variant["type"]: variant["href"] for variant in answer.json()["variants"]}
    assert {"text/turtle", "application/ld+json", "application/n-triples", "application/rdf+xml", "text/html"} <= set(listed)
    for expected, href in listed.items():
        variant = client.get(href)
        assert variant.status_code == 200
        assert media_type(variant) == expected


@pytest.mark.parametrize(("address", "iri", "redirects"), RESOURCES)
def test_each_form_has_a_tag_of_its_own_and_is_not_sent_twice(client, address, iri, redirects):
    tags = {}
    for accept in ("text/turtle", "application/ld+json", "application/n-triples", "application/rdf+xml", "text/html"):
        answer, _ = follow(client, address, {"accept": accept})
        tags[accept] = answer.headers["etag"]
        again, _ = follow(client, address, {"accept": accept, "if-none-match": f'"other", {answer.headers["etag"]}'})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == answer.headers["etag"]
        assert "Accept" in again.headers["vary"]
        since, _ = follow(client, address, {"accept": accept, "if-modified-since": answer.headers["last-modified"]})
        assert since.status_code == 304
    assert len(set(tags.values())) == len(tags)
    crossed, _ = follow(client, address, {"accept": "text/html", "if-none-match": tags["text/turtle"]})
    assert crossed.status_code == 200


@pytest.mark.parametrize(("address", "iri", "redirects"), RESOURCES)
def test_head_says_what_get_says_without_the_body(client, address, iri, redirects):
    for accept in ("text/turtle", "text/html"):
        got, _ = follow(client, address, {"accept": accept})
        head, statuses = follow(client, address, {"accept": accept}, "HEAD")
        assert head.status_code == 200
        assert statuses == redirects
        assert head.content == b""
        told = {name: value for name, value in head.headers.items() if name != "x-request-id"}
        assert told == {name: value for name, value in got.headers.items() if name != "x-request-id"}


def test_the_same_data_come_in_every_form(client):
    forms = {
        suffix: {quad.triple for quad in ox.parse(client.get(f"/doc/hostile/1.{suffix}").content, format=form)}
        for suffix, form in {
            "ttl": ox.RdfFormat.TURTLE,
            "nt": ox.RdfFormat.N_TRIPLES,
            "jsonld": ox.RdfFormat.JSON_LD,
            "rdf": ox.RdfFormat.RDF_XML,
        }.items()
    }
    assert forms["ttl"] == forms["nt"] == forms["jsonld"] == forms["rdf"]
    assert len(forms["nt"]) == 8


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        ("ttl", "text/turtle"),
        ("jsonld", "application/ld+json"),
        ("nt", "application/n-triples"),
        ("rdf", "application/rdf+xml"),
        ("html", "text/html"),
    ],
)
@pytest.mark.parametrize("address", ["/doc/stop/1001", "/def/co", "/graph/data/ville/stops", "/catalog"])
def test_a_suffix_decides_whatever_is_accepted(client, address, suffix, expected):
    answer = client.get(f"{address}.{suffix}", headers={"accept": "image/png"})
    assert answer.status_code == 200
    assert media_type(answer) == expected


@pytest.mark.parametrize(
    "address",
    [
        "/id/stop/9999",
        "/doc/stop/9999",
        "/doc/stop/9999.ttl",
        "/doc/stop/1001.png",
        "/id/stop/1001.ttl",
        "/id/stop/1001/more",
        "/id/secret/1",
        "/doc/secret/1",
        "/graph/data/ville/secret",
        "/graph/nothing",
        "/def/nothing",
        "/def/co/0.1.0",
        "/id/commune/99999",
        "/id/commune/../../etc",
        "/describe?iri=https://nobody.example/x",
        "/catalog.png",
        "/nothing",
        "/doc/%ff%fe",
        "/doc/",
        "/id/stop/%00",
        "/static/app.py",
        "/static/..%2Fapp.py",
    ],
)
@pytest.mark.parametrize("accept", ["text/turtle", "text/html", "image/png"])
def test_what_is_not_there_is_404_even_when_the_form_is_impossible(client, address, accept):
    answer, _ = follow(client, address, {"accept": accept})
    assert answer.status_code == 404
    if accept == "text/html":
        assert "<h1>Introuvable</h1>" in answer.text
    else:
        assert media_type(answer) == "application/problem+json"
        assert answer.json()["type"] == f"{BASE}def/problem#not-found"


@pytest.mark.parametrize(
    "path",
    [
        "Pl%C5%93uc-L%27Hermitage",
        "Pl%c5%93uc-L'Hermitage",
        "Plœuc-L'Hermitage",
        "Plœuc-L%27Hermitage",
    ],
)
def test_accents_and_apostrophes_mean_the_same_stop_encoded_or_not(client, path):
    answer = client.get(f"/id/stop/{path}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/doc/stop/Pl%C5%93uc-L%27Hermitage"
    found = client.get(answer.headers["location"])
    assert f"{BASE}id/stop/Plœuc-L%27Hermitage" in subjects(found, ox.RdfFormat.TURTLE)


@pytest.mark.parametrize("path", ["%C3%8Ele-de-Br%C3%A9hat", "Île-de-Bréhat"])
def test_an_iri_that_was_minted_with_escapes_is_found_by_its_letters(client, path):
    answer = client.get(f"/id/stop/{path}")
    assert answer.headers["location"] == "/doc/stop/%C3%8Ele-de-Br%C3%A9hat"
    assert f"{BASE}id/stop/%C3%8Ele-de-Br%C3%A9hat" in subjects(client.get(answer.headers["location"]), ox.RdfFormat.TURTLE)


def test_a_slash_inside_a_reference_is_not_a_separator(client):
    assert client.get("/id/stop/a%2Fb").headers["location"] == "/doc/stop/a%2Fb"
    assert client.get("/doc/stop/a%2Fb").status_code == 200
    assert client.get("/id/stop/a/b").status_code == 404


def test_a_slash_that_ends_a_reference_is_no_slash_too_many(client):
    for address in ("/id/stop/nothing%2F", "/doc/stop/nothing%2F", "/%2Fevil.example"):
        assert client.get(address).status_code == 404, address


def test_a_reference_that_ends_like_a_suffix_is_the_thing_itself(client):
    answer = client.get("/doc/stop/readme.ttl", headers={"accept": "application/n-triples"})
    assert media_type(answer) == "application/n-triples"
    assert f"{BASE}id/stop/readme.ttl" in subjects(answer, ox.RdfFormat.N_TRIPLES)
    assert media_type(client.get("/doc/stop/readme.ttl.jsonld")) == "application/ld+json"


@pytest.mark.parametrize("address", ["/id/stop/1001/", "/doc/stop/1001/", "/catalog/", "/sparql/", "/def/co/?lang=en"])
def test_a_slash_too_many_is_a_permanent_redirect(client, address):
    answer = client.get(address)
    assert answer.status_code == 301
    assert answer.headers["location"] == address.replace("/?", "?").rstrip("/")


@pytest.mark.parametrize("path", ["//evil.example/", "///evil.example", "//evil.example/%2F..", "/%5Cevil.example/"])
def test_no_redirect_leaves_for_another_host(client, path):
    scope_path = f"http://testserver{path}"
    answer = client.get(scope_path)
    location = answer.headers.get("location", "/")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_links_lead_to_the_other_forms_the_record_and_the_licence(client):
    link = client.get("/doc/stop/1001", headers={"accept": "text/turtle"}).headers["link"]
    for part in (
        '</doc/stop/1001.jsonld>; rel="alternate"; type="application/ld+json"',
        '</doc/stop/1001.html>; rel="alternate"; type="text/html"',
        f'<{BASE}id/stop/1001>; rel="describes"',
        '</doc/dataset/ville/stops>; rel="describedby"',
        '<http://spdx.org/licenses/etalab-2.0>; rel="license"',
    ):
        assert part in link
    assert "</doc/stop/1001.ttl>" not in link
    assert 'rel="describedby"' in client.get("/id/stop/1001").headers["link"]


def test_a_description_brings_its_nested_nodes_and_nothing_of_scenarios(client):
    quads = set(ox.parse(client.get("/doc/stop/1001.nt").content, format=ox.RdfFormat.N_TRIPLES))
    objects = {quad.object.value for quad in quads}
    assert "POINT(-1.68 48.11)" in objects
    assert "0054" in objects
    assert "9999" not in objects


def test_an_iri_that_is_only_mentioned_is_described_by_what_mentions_it(client):
    answer = client.get("/describe?iri=http://qudt.org/vocab/unit/MegaW-HR", headers={"accept": "application/n-triples"})
    triples = [quad.triple for quad in ox.parse(answer.content, format=ox.RdfFormat.N_TRIPLES)]
    assert [triple.subject.value for triple in triples] == [f"{BASE}id/obs/1"]


@pytest.mark.parametrize(
    "iri",
    ["", "stop", "http://x/ y", "http://x/<y>", 'http://x/"', "http://x/{y}", "http://[", "http://x/" + "y" * 5000, "//x"],
)
def test_what_is_not_an_absolute_iri_is_refused(client, iri):
    answer = client.get("/describe", params={"iri": iri})
    assert answer.status_code == 400
    assert answer.json()["title"] == "Demande mal formée"


def test_a_parameter_given_twice_is_refused(client):
    assert client.get(f"/describe?iri={INSEE}&iri={INSEE}").status_code == 400
    assert client.get(f"/describe?iri={INSEE}&format=ttl&format=nt").status_code == 400


def test_format_chooses_the_form_and_an_unknown_one_is_406(client):
    assert media_type(client.get(f"/describe?iri={INSEE}&format=nt")) == "application/n-triples"
    assert media_type(client.get("/doc/stop/1001?format=ld")) == "application/problem+json"
    assert client.get("/doc/stop/1001?format=ld").status_code == 406


@pytest.mark.parametrize("address", ["/id/stop/1001", "/doc/stop/1001", "/catalog", "/def/co", "/"])
def test_only_reading_is_possible(client, address):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = client.request(method, address)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    options = client.options(address)
    assert options.status_code == 204
    assert options.headers["allow"] == "GET, HEAD, OPTIONS"


def test_an_ontology_comes_with_all_its_terms(client):
    found = subjects(client.get("/def/co.ttl"), ox.RdfFormat.TURTLE)
    assert found == {f"{BASE}def/co", f"{BASE}def/co#Tree", f"{BASE}def/co#indicator"}


def test_a_graph_tells_its_size_and_its_dataset(client):
    nodes = {(quad.predicate.value, quad.object.value) for quad in ox.parse(client.get("/graph/data/ville/stops.ttl").content,
             format=ox.RdfFormat.TURTLE) if quad.subject.value == f"{BASE}graph/data/ville/stops"}  # fmt: skip
    assert ("http://purl.org/dc/terms/isPartOf", f"{BASE}id/dataset/ville/stops") in nodes
    assert any(predicate == "http://rdfs.org/ns/void#triples" and int(value) > 20 for predicate, value in nodes)
