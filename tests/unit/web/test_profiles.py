"""One thing told in many ways: profiles, the languages of names, the served context, pages of what is long, another mount."""

from __future__ import annotations

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.web.app import create_app
from cityorchestra_ld.web.paging import Pages, part_of
from cityorchestra_ld.web.schema_org import schema_org

BASE = "https://id.example/"
STOP = f"{BASE}id/stop/1001"
ADDRESS = "/doc/stop/1001"
SCHEMA, FRAMED = "https://schema.org/", "http://www.w3.org/ns/json-ld#framed"
CBD, ALT = "http://www.w3.org/Submission/CBD/", "http://www.w3.org/ns/dx/connegp/altr"
NGSI = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"


def triples(content: bytes, form: ox.RdfFormat) -> set[ox.Triple]:
    return {quad.triple for quad in ox.parse(content, format=form)}


@pytest.mark.parametrize(
    ("address", "headers", "profile", "media_type"),
    [
        (ADDRESS, {}, f"{BASE}def/profile#plain", "text/turtle"),
        (f"{ADDRESS}?_profile=labelled", {}, f"{BASE}def/profile#labelled", "text/turtle"),
        (f"{ADDRESS}?_profile=cbd", {"accept": "application/n-triples"}, CBD, "application/n-triples"),
        (f"{ADDRESS}.jsonld?_profile=framed", {"accept": "image/png"}, FRAMED, "application/ld+json"),
        (f"{ADDRESS}?_profile=geojson", {}, "https://www.rfc-editor.org/info/rfc7946", "application/geo+json"),
        (f"{ADDRESS}.geojson", {}, "https://www.rfc-editor.org/info/rfc7946", "application/geo+json"),
        (ADDRESS, {"accept": "application/geo+json"}, "https://www.rfc-editor.org/info/rfc7946", "application/geo+json"),
        (f"{ADDRESS}?_profile={SCHEMA}&_mediatype=application/ld%2Bjson", {}, SCHEMA, "application/ld+json"),
        (f"{ADDRESS}?_profile=alt", {}, ALT, "text/turtle"),
        (ADDRESS, {"accept-profile": f"<{NGSI}>"}, NGSI, "application/ld+json"),
        (ADDRESS, {"accept-profile": f"<http://x.example/>, <{SCHEMA}>;q=0.4, <{CBD}>;q=0.6"}, CBD, "text/turtle"),
        (ADDRESS, {"accept-profile": f"<{SCHEMA}>;q=0, *;q=0.1"}, f"{BASE}def/profile#plain", "text/turtle"),
        (ADDRESS, {"accept-profile": f"<{SCHEMA}>, <{CBD}>;q=0.5", "accept": "text/turtle"}, CBD, "text/turtle"),
        (ADDRESS, {"accept": f'application/ld+json;profile="{FRAMED}"'}, FRAMED, "application/ld+json"),
        (ADDRESS, {"accept": 'text/turtle;profile="http://x.example/"'}, f"{BASE}def/profile#plain", "text/turtle"),
    ],
)
def test_a_profile_is_chosen_by_address_by_header_and_by_media_type(client, address, headers, profile, media_type):
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["content-profile"] == f"<{profile}>"
    assert f'<{profile}>; rel="profile"' in answer.headers["link"]
    assert {"Accept", "Accept-Profile", "Accept-Datetime"} <= set(answer.headers["vary"].split(", "))
    again = client.get(address, headers=headers | {"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.headers["vary"]) == (304, answer.headers["vary"])


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        (f"{ADDRESS}?_profile=nothing", {}),
        (f"{ADDRESS}?_profile=schema", {"accept": "text/turtle"}),
        (ADDRESS, {"accept-profile": "<http://x.example/>"}),
        ("/doc/obs/1?_profile=geojson", {}),
        ("/doc/obs/1", {"accept": "application/geo+json"}),
    ],
)
def test_a_profile_that_cannot_be_had_is_406_and_each_listed_variant_can(client, address, headers):
    answer = client.get(address, headers=headers)
    assert answer.status_code == 406
    variants = answer.json()["variants"]
    assert len({variant["profile"] for variant in variants}) >= 6
    for variant in variants:
        told = client.get(variant["href"])
        assert (told.status_code, told.headers["content-type"].partition(";")[0]) == (200, variant["type"])
        assert told.headers["content-profile"] == f"<{variant['profile']}>"


def test_every_representation_has_a_tag_of_its_own(client):
    listed = client.get(f"{ADDRESS}?_profile=nothing").json()["variants"]
    tags = {client.get(variant["href"]).headers["etag"] for variant in listed}
    assert len(tags) == len(listed) >= 16


def test_the_list_of_alternates_names_every_form_and_its_profile(client):
    found = triples(client.get(f"{ADDRESS}.nt?_profile=alt").content, ox.RdfFormat.N_TRIPLES)
    shown = {t.object.value for t in found if t.predicate.value.endswith(("#hasRepresentation", "#hasDefaultRepresentation"))}
    listed = {f"http://testserver{v['href']}" for v in client.get(f"{ADDRESS}?_profile=nothing").json()["variants"]}
    assert shown == listed


def test_names_come_in_the_language_that_is_accepted_and_vary_says_so(client):
    for headers, address, name in (
        ({"accept-language": "en-GB, fr;q=0.5"}, ADDRESS, "Republic Square"),
        ({"accept-language": "de"}, ADDRESS, "République"),
        ({"accept-language": "en"}, f"{ADDRESS}?lang=fr", "République"),
    ):
        told = client.get(address, headers=headers | {"accept": "application/geo+json"})
        assert told.json()["properties"]["name"] == name
        assert "Accept-Language" in told.headers["vary"]
    page = client.get(ADDRESS, headers={"accept": "text/html", "accept-language": "en"})
    assert page.headers["content-language"] == "fr"
    assert "Accept-Language" not in page.headers["vary"]


def test_labels_are_added_and_a_bounded_description_leaves_parts_out(client):
    plain, labelled, bounded = (
        triples(client.get(f"{ADDRESS}.nt?_profile={token}").content, ox.RdfFormat.N_TRIPLES)
        for token in ("plain", "labelled", "cbd")
    )
    label = ox.NamedNode(f"{RDFS}label")
    assert plain < labelled
    assert {triple.predicate for triple in labelled - plain} == {label}
    assert ox.Triple(ox.NamedNode("http://id.insee.fr/geo/commune/35238"), label, ox.Literal("Rennes")) in labelled
    assert bounded == plain  # its geometry has no name, so it belongs to it


@pytest.mark.parametrize("path", ["stop/1001", "hostile/1", "obs/1", "code/indicator/population", "dataset/ville/stops"])
def test_a_framed_tree_says_the_same_as_the_plain_triples(client, path):
    framed = client.get(f"/doc/{path}.jsonld?_profile=framed")
    assert f'profile="{FRAMED}"' in framed.headers["content-type"]
    document = framed.json()
    assert document["@context"] == "http://testserver/context.jsonld"
    context = client.get("/context.jsonld").json()
    import orjson

    told = triples(orjson.dumps(document | {"@context": context["@context"]}), ox.RdfFormat.JSON_LD)
    assert told == triples(client.get(f"/doc/{path}.nt").content, ox.RdfFormat.N_TRIPLES)


def test_an_entity_and_a_feature_say_where_a_thing_is(client):
    point = {"type": "Point", "coordinates": [-1.68, 48.11]}
    feature = client.get(f"{ADDRESS}.geojson").json()
    assert (feature["id"], feature["geometry"]) == (STOP, point)
    entity = client.get(f"{ADDRESS}?_profile=ngsi-ld").json()
    assert (entity["id"], entity["type"]) == (STOP, "gtfs:Stop")
    assert entity["location"] == {"type": "GeoProperty", "value": point}
    assert entity["rdfs:label"]["languageMap"] == {"fr": "République", "en": "Republic Square"}
    assert entity["dct:spatial"] == {"type": "Relationship", "object": "http://id.insee.fr/geo/commune/35238"}
    assert entity["@context"][-1] == NGSI


def test_schema_org_is_safe_in_a_page_and_links_only_to_the_web(client):
    snapshot = client.app.service.snapshot
    hostile = schema_org(snapshot, f"{BASE}id/hostile/1")
    assert b"<" not in hostile and b"javascript:" not in hostile
    assert client.get("/doc/hostile/1?_profile=schema").json()["name"]["@value"].startswith("</script>")
    stop = client.get(f"{ADDRESS}?_profile=schema").json()
    assert (stop["@type"], stop["geo"]["latitude"]) == ("BusStop", 48.11)
    assert client.get("/doc/dataset/ville/stops?_profile=schema").json()["@type"] == "Dataset"
    assert client.get("/doc/obs/1?_profile=schema").json()["value"] == 225081.5


def test_the_profiles_are_described_where_their_names_lead(client):
    told = triples(client.get("/def/profile.nt").content, ox.RdfFormat.N_TRIPLES)
    assert {f"{BASE}def/profile#plain", f"{BASE}def/profile#labelled", CBD} <= {triple.subject.value for triple in told}
    assert 'id="labelled"' in client.get("/def/profile.html").text
    assert client.get("/def/profile.png").status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_under_another_mount_links_follow_the_mount_and_names_the_base(city, method):
    with TestClient(create_app(city), root_path="/ld", follow_redirects=False) as mounted:
        seen = mounted.request(method, "/ld/id/stop/1001")
        assert seen.headers["location"] == "/ld/doc/stop/1001"
        told = mounted.request(method, "/ld/doc/stop/1001", headers={"accept": "text/turtle"})
        assert told.status_code == 200
        assert told.headers["content-location"] == "/ld/doc/stop/1001.ttl"
        link = told.headers["link"]
        for part in (
            '</ld/doc/stop/1001.jsonld>; rel="alternate"',
            f'<{BASE}doc/stop/1001>; rel="canonical"',
            '</ld/timemap/doc/stop/1001>; rel="timemap"',
            f'<{STOP}>; rel="describes"',
        ):
            assert part in link
        if method == "GET":
            assert STOP in told.text and "/ld/" not in told.text
            context = mounted.get("/ld/doc/stop/1001.jsonld?_profile=framed").json()["@context"]
            assert mounted.get(context.removeprefix("http://testserver")).status_code == 200


def test_what_is_long_comes_in_pages_that_know_their_neighbours():
    members = [ox.Triple(ox.NamedNode("x:s"), ox.NamedNode("x:p"), ox.Literal(f"{n:03}")) for n in range(25)]
    pages = Pages("/doc/x?page=", BASE, "/ld")
    parts = [part_of(members, "x:s", pages, number, size=10) for number in (1, 2, 3)]
    held = [[t for t in part.triples if t.predicate.value == "x:p"] for part in parts]
    assert [t for part in held for t in part] == members
    assert '</ld/doc/x?page=2>; rel="next"' in parts[0].links and '</ld/doc/x?page=2>; rel="prev"' in parts[2].links
    assert not any('rel="next"' in link for link in parts[2].links)
    said = {(t.predicate.value.rpartition("#")[2], t.object.value) for t in parts[1].triples}
    assert {("totalItems", "25"), ("next", f"{BASE}doc/x?page=3"), ("previous", f"{BASE}doc/x?page=1")} <= said
    assert part_of(members, "x:s", pages, 1).triples == members


@pytest.mark.parametrize(("page", "status"), [("1", 200), ("2", 404), ("0", 400), ("x", 400), ("9" * 30, 400)])
def test_a_page_that_is_not_there_is_404_and_no_number_400(client, page, status):
    assert client.get(f"{ADDRESS}?page={page}").status_code == status
