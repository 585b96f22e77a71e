"""Panels of pages: queries of the territory shown as figures, charts, maps and tables; search; what the editor proposes."""

from __future__ import annotations

import json

import pytest

BROWSER = {"accept": "text/html"}
INSEE = "http://id.insee.fr/geo/commune/35238"


def read(client, address):
    answer = client.get(address, headers=BROWSER)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


def test_the_page_of_a_place_brings_its_themes_together(client):
    page = read(client, "/territory/commune/35238")
    assert "<h1><bdi>Rennes</bdi></h1>" in page
    assert page.index(">Population</h2>") < page.index(">Mobilité</h2>")
    assert '<path class="dot l0"' in page
    assert 'href="/doc/stop/1001"' in page
    assert "225\u202f082" in page


def test_a_place_that_is_not_there_has_no_page(client):
    for address in ("/territory/commune/99999", "/territory/commune/a%2Fb", "/territory/planet/3", "/territory/commune/"):
        assert client.get(address, headers=BROWSER, follow_redirects=True).status_code == 404
    assert client.get("/story", headers=BROWSER).status_code == 404  # this territory has no query for it


def test_the_page_of_a_resource_leads_to_the_page_of_the_place(client):
    assert 'href="/territory/commune/35238"' in read(client, f"/describe?iri={INSEE}")


def test_pages_that_ask_the_workers_are_kept_and_validated(client):
    first = client.get("/territory/commune/35238", headers=BROWSER)
    tag = first.headers["etag"]
    again = client.get("/territory/commune/35238", headers=BROWSER | {"if-none-match": tag})
    assert (again.status_code, again.headers["etag"]) == (304, tag)
    assert client.get("/territory/commune/35238?lang=en", headers=BROWSER).headers["etag"] != tag
    assert client.get("/territory", headers={"accept": "text/turtle"}).status_code == 406
    assert client.post("/territory", headers=BROWSER).status_code == 405


@pytest.mark.parametrize("asked", ["republique", "RÉPUBLIQUE", "Républiq"])
def test_names_are_found_without_their_accents(client, asked):
    found = client.get("/search", params={"q": asked, "format": "json"}).json()
    assert [(hit["iri"], hit["name"]) for hit in found["results"]] == [("https://id.example/id/stop/1001", "République")]


def test_search_wants_all_words_and_puts_whole_names_first(client):
    names = [hit["name"] for hit in client.get("/search", params={"q": "jeu stops", "format": "json"}).json()["results"]]
    assert names[0] == "Jeu stops"
    assert "Jeu figures" not in names
    assert (
        client.get("/search", params={"q": "rennes", "format": "json"}).json()["results"][0]["page"]
        == "/territory/commune/35238"
    )


def test_search_shows_nothing_that_is_not_public(client):
    assert client.get("/search", params={"q": "montrer", "format": "json"}).json()["results"] == []
    assert "Rien ne porte ce nom" in read(client, "/search?q=montrer")


@pytest.mark.parametrize("asked", ["(((", ".*", '"', "<script>", "\\", "%", "'"])
def test_signs_in_a_search_mean_nothing(client, asked):
    page = client.get("/search", params={"q": asked}, headers=BROWSER)
    assert page.status_code == 200
    assert "<script>" not in page.text.replace('<script type="module"', "")


def test_a_search_too_long_is_refused(client):
    assert client.get("/search", params={"q": "x" * 121}, headers=BROWSER).status_code == 400


def test_the_editor_is_offered_what_is_defined_and_what_is_used(client):
    offered = client.get("/completion.json?lang=en").json()
    terms = {term["iri"]: term for term in offered["terms"]}
    assert terms["https://id.example/def/co#Tree"] == {
        "iri": "https://id.example/def/co#Tree",
        "kind": "class",
        "label": "Tree",
    }
    assert terms["http://vocab.gtfs.org/terms#code"]["kind"] == "property"
    assert offered["prefixes"]["gtfs"] == "http://vocab.gtfs.org/terms#"
    assert all("secret" not in graph for graph in offered["graphs"])


def test_results_are_seen_as_chart_and_map(client):
    label, stop = "<http://www.w3.org/2000/01/rdf-schema#label>", "<http://vocab.gtfs.org/terms#Stop>"
    query = f"SELECT ?s ?name (STRLEN(?name) AS ?n) {{ ?s {label} ?name ; a {stop} }}"
    page = client.get("/sparql", params={"query": query, "format": "html"}, headers=BROWSER).text
    assert 'id="view-chart"' in page
    assert page.count("<rect") >= 5
    assert 'id="view-map"' in page
    plain = client.get("/sparql", params={"query": "SELECT * { ?s ?p ?o } LIMIT 1", "format": "html"}, headers=BROWSER).text
    assert 'id="view-chart"' not in plain


def test_a_mistake_is_shown_with_the_lines_around_it(client):
    page = client.get("/sparql", params={"query": "SELECT *\nWHERE {\n  ?s ?p <b> ??\n}", "format": "html"}, headers=BROWSER)
    assert page.status_code == 400
    assert 'data-line="3"' in page.text
    assert '<mark><span class="no">3</span>   ?s ?p &lt;b&gt; ??</mark>' in page.text


def test_linked_data_inside_a_page_is_json_that_cannot_end_its_element(client):
    page = read(client, "/doc/stop/1001")
    script = page.split('<script type="application/ld+json">')[1].split("</script>")[0]
    assert json.loads(script)["@context"] == "https://schema.org"
    assert not set("<>&") & set(script)
