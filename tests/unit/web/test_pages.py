"""Pages: two languages, readable without scripts, well-formed, safe with hostile values, honest about what is not there."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

BASE = "https://id.example/"
INSEE = "http://id.insee.fr/geo/commune/35238"
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
XHTML = "{http://www.w3.org/1999/xhtml}"
PAGES = [
    "/",
    "/catalog",
    "/catalog?state=described&amp;q=jeu".replace("&amp;", "&"),
    "/search?q=republique",
    "/territory",
    "/territory/commune/35238",
    "/story",
    "/quality/ville/stops",
    "/provenance?iri=https://id.example/id/stop/1001",
    "/sparql",
    "/sparql?query=SELECT+*+%7B%3Fs+%3Fp+%3Fo%7D+LIMIT+300",
    "/def/co",
    "/def/problem",
    "/graph/data/ville/stops",
    "/doc/stop/1001",
    "/doc/stop/nameless",
    "/doc/hostile/1",
    "/doc/obs/1",
    "/doc/dataset/ville/stops",
    "/doc/dataset/ville/figures",
    f"/describe?iri={INSEE}",
    "/describe?iri=javascript:alert(1)",
    "/nothing",
    "/sparql?query=SELECT",
]
ABSENT = ("/nothing", "/sparql?query=SELECT", "/story", "/quality/ville/stops")  # here these are pages of an error


def read(client, address, **headers):
    answer = client.get(address, headers=BROWSER | headers)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def parsed(text):
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_page_is_well_formed_and_can_be_walked_by_ear(client, address, language):
    page = parsed(read(client, f"{address}{'&' if '?' in address else '?'}lang={language}"))
    assert page.get("lang") == language
    assert page.find(f".//{XHTML}title").text.strip()
    skip = page.find(f".//{XHTML}a")
    assert skip.get("href") == "#main"
    assert page.find(f".//{XHTML}main").get("id") == "main"
    assert len(page.findall(f".//{XHTML}h1")) == 1
    assert all(nav.get("aria-label") for nav in page.iter(f"{XHTML}nav"))
    identifiers = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(identifiers) == len(set(identifiers))
    labelled = {element.get("for") for element in page.iter(f"{XHTML}label")}
    fields = [f for name in ("input", "select", "textarea") for f in page.iter(XHTML + name) if f.get("type") != "hidden"]
    assert {field.get("id") for field in fields} <= labelled
    for section in page.iter(f"{XHTML}section"):
        assert section.get("aria-labelledby") is None or section.get("aria-labelledby") in identifiers


@pytest.mark.parametrize("address", PAGES)
def test_pages_run_our_scripts_only_and_fetch_nothing_from_elsewhere(client, address):
    answer = client.get(address, headers=BROWSER)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    page = parsed(answer.text)
    for element in page.iter():
        tag = element.tag.removeprefix(XHTML)
        assert tag not in ("style", "iframe", "img")
        assert not any(name.startswith("on") or name == "style" for name in element.attrib)
        if tag == "script":
            assert element.get("type") == "application/ld+json" or element.get("src").startswith("/static/build/app.js?v=")
        if tag == "link" and element.get("rel") in ("stylesheet", "icon"):
            assert element.get("href").startswith("/static/")
        if tag == "a":
            assert element.get("href").startswith(("/", "#", "https://", "http://"))
        if tag == "form":
            assert element.get("action").startswith("/")


@pytest.mark.parametrize("address", [page for page in PAGES if page not in ABSENT])
def test_links_of_ours_lead_somewhere(client, address):
    page = parsed(read(client, address))
    targets = {a.get("href") for a in page.iter(f"{XHTML}a") if a.get("href").startswith("/")}
    assert targets
    for target in sorted(targets)[:60]:
        answer = client.get(target, headers=BROWSER)
        assert answer.status_code in (200, 303), target


def test_french_comes_first_and_english_by_its_own_address(client):
    assert "Les données partagées" in read(client, "/catalog")
    assert "Les données partagées" in read(client, "/catalog", **{"accept-language": "en-GB,en;q=0.9,fr;q=0.1"})
    english = read(client, "/catalog?lang=en", **{"accept-language": "fr"})
    assert "The shared data" in english
    assert 'href="/doc/dataset/ville/stops?lang=en"' in english
    assert 'href="/catalog?lang=fr"' in english
    assert client.get("/catalog?lang=en", headers=BROWSER).headers["content-language"] == "en"
    tags = {client.get(f"/catalog?lang={lang}", headers=BROWSER).headers["etag"] for lang in ("fr", "en")}
    assert len(tags) == 2


def test_labels_follow_the_language_and_fall_back_in_a_fixed_order(client):
    assert "<bdi>République</bdi></h1>" in read(client, "/doc/stop/1001")
    assert "<bdi>Republic Square</bdi></h1>" in read(client, "/doc/stop/1001?lang=en")
    assert "<bdi>nameless</bdi></h1>" in read(client, "/doc/stop/nameless")


def test_hostile_values_are_shown_and_harmless(client):
    page = read(client, "/doc/hostile/1")
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    assert "photo[U+202E]gpj.exe" in page
    assert "\u202e" not in page
    assert "nul[U+0001] [U+0085]" in page
    assert "javascript:alert(1)" in page
    assert not re.search(r'href="(javascript|data)', page)
    assert "1\u202f000\u202f000 caractères" in page
    assert 'href="/doc/hostile/1.nt"' in page
    assert len(page) < 40_000


def test_many_links_are_cut_and_counted(client):
    page = read(client, "/doc/hostile/1")
    assert page.count('href="/doc/link/') == 10
    assert "… et 50 autres" in page
    listing = re.search(r'href="(/links\?iri=[^"]+)"[^>]*>Tout ce qui y renvoie', page)
    assert listing is not None
    assert 'href="/doc/link/059"' in read(client, listing.group(1).replace("&amp;", "&"))


def test_an_observation_has_a_name_a_figure_and_its_unit(client):
    page = read(client, "/doc/obs/1")
    assert "<bdi>Population, Rennes, 2022</bdi></h1>" in page
    assert "<strong>225\u202f081,5</strong> MWh" in page
    assert "<strong>225,081.5</strong> MWh" in read(client, "/doc/obs/1?lang=en")


def test_a_hidden_figure_says_why(client):
    assert "Valeur masquée : secret statistique" in read(client, "/doc/obs/2")
    assert "Value hidden: statistical secrecy" in read(client, "/doc/obs/2?lang=en")


def test_a_dataset_page_says_who_under_which_conditions_and_what_is_in_it(client):
    page = read(client, "/doc/dataset/ville/stops")
    for words in (
        "Jeu stops",
        "Licence Ouverte 2.0",
        "à condition de citer la source",
        "Ville d&#39;essai, 2026",
        "Mobilités",
        "tous les ans",
        "1-aaaa",
        f"{BASE}graph/data/ville/stops",
        'href="/doc/stop/1001"',
        "GRAPH ?graph { ?thing a ?class }",
    ):
        assert words in page, words
    assert "Chiffres inventés." not in page
    assert "Chiffres inventés." in read(client, "/doc/dataset/ville/figures")


def test_a_dataset_page_counts_exactly_what_is_in_it(client):
    page = read(client, "/doc/dataset/ville/stops")
    stops = re.search(r">arrêt</bdi>.*?class=\"count\">(\d+)\+?<", page, re.DOTALL)
    assert stops is not None
    assert stops.group(1) == "7"
    assert "+</span>" not in page
    assert '<h3><a href="/describe?iri=http%3A%2F%2Fwww.opengis.net' not in page  # says little of a dataset of stops


def test_a_geometry_is_shown_and_sent_with_the_thing_that_has_it(client):
    page = read(client, "/doc/stop/1001")
    assert "POINT(-1.68 48.11)" in page
    assert 'href="/.well-known/genid' not in page


def test_two_properties_of_one_name_share_a_row(client):
    page = parsed(read(client, f"/describe?iri={INSEE}"))
    names = ["".join(term.itertext()).strip() for term in page.iter(f"{XHTML}dt")]
    assert len(names) == len(set(names))


def test_the_queries_of_a_dataset_page_run(client):
    page = read(client, "/doc/dataset/ville/stops")
    runs = re.findall(r'class="button" href="([^"]+)"', page)
    assert len(runs) == 3
    for run in runs:
        answer = read(client, run.replace("&amp;", "&"))
        assert "<tbody>" in answer
    assert "gtfs:Stop" in read(client, runs[0].replace("&amp;", "&"))


def test_the_catalogue_lists_what_is_there_and_marks_what_is_not(client):
    page = read(client, "/catalog")
    assert 'href="/doc/dataset/ville/stops"' in page
    assert "Jeu planned" in page
    assert "/doc/dataset/ville/planned" not in page
    assert '<span class="badge">décrit</span>' in page
    assert "sur demande" in page


def test_facets_choose_by_the_address_alone_and_say_what_each_choice_leaves(client):
    assert "Jeu planned" not in read(client, "/catalog?state=loaded")
    described = read(client, "/catalog?state=described")
    assert "Jeu planned" in described
    assert "Jeu stops" not in described
    assert 'href="/catalog" aria-current="true"' in described  # the choice can be taken back
    assert "Jeu stops" in read(client, "/catalog?theme=TRAN&access=PUBLIC&q=STOPS")
    assert "Aucun jeu de données ne correspond" in read(client, "/catalog?partner=nobody")
    whole = client.get("/catalog", headers=BROWSER)
    assert whole.headers["etag"] != client.get("/catalog?state=loaded", headers=BROWSER).headers["etag"]
    assert client.get("/catalog?theme=TRAN&theme=ENER", headers=BROWSER).status_code == 400


def test_what_is_restricted_is_named_without_its_content(client):
    page = read(client, "/doc/dataset/ville/secret")
    assert "sur demande" in page
    assert "Ne pas montrer" not in page
    assert "id/secret/1" not in page
    assert "Ne pas montrer" not in read(client, "/doc/stop/1001")


def test_the_source_of_a_fact_and_its_warning_are_on_its_page(client):
    page = read(client, "/doc/hostile/1")
    assert "Chiffres inventés." in page
    assert 'href="/doc/dataset/ville/figures"' in page


def test_an_ontology_page_has_an_anchor_for_each_term(client):
    page = parsed(read(client, "/def/co"))
    assert {article.get("id") for article in page.iter(f"{XHTML}article")} == {"Tree", "indicator"}


def test_the_home_page_counts_and_offers_questions(client):
    page = read(client, "/")
    assert "<strong>4</strong> jeux de données" in page
    assert "Combien d&#39;arrêts sans nom ?" in page
    assert "Il y en a 7." in page
    assert "curl -L -H 'Accept: text/turtle' http://testserver/id/stop/1001" in page
    assert client.get("/", headers={"accept": "text/turtle"}).status_code == 406


def test_a_forged_host_is_never_repeated(client):
    page = read(client, "/", host="evil.example/<script>")
    assert "evil.example" not in page
    described = client.get("/sparql", headers={"accept": "text/turtle", "host": 'x"><y'})
    assert f"<{BASE}sparql>" in described.text


def test_pages_work_below_a_path(city):
    from starlette.testclient import TestClient

    from cityorchestra_ld.web.app import create_app

    with TestClient(create_app(city), follow_redirects=False, root_path="/ld") as mounted:
        assert mounted.get("/ld/id/stop/1001").headers["location"] == "/ld/doc/stop/1001"
        page = mounted.get("/ld/doc/stop/1001", headers=BROWSER).text
        assert 'href="/ld/static/style.css' in page
        assert 'href="/ld/catalog"' in page
        links = mounted.get("/ld/doc/stop/1001").headers["link"]
        assert "</ld/doc/stop/1001.html>" in links
