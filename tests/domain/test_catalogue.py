"""The catalogue of the loaded territory says what is there: counts, files, services; others can harvest it, and so can we."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.catalog.foreign import Foreign, graph_of
from cityorchestra_ld.catalog.portals import ods, rudi
from cityorchestra_ld.catalog.portals_dcat import dcat
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.app import create_app

ROOT = Path(__file__).resolve().parents[2]
PREFIXES = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in prefixes().items())


@pytest.fixture(scope="module")
def store(loaded: Territory) -> ox.Store:
    return ox.Store.read_only(str(current_generation(loaded.state / "store").path / "db"))


@pytest.fixture(scope="module")
def client(loaded: Territory) -> Iterator[TestClient]:
    with TestClient(create_app(loaded), follow_redirects=False) as client:
        yield client


def graph(client: TestClient, path: str) -> ox.Store:
    """Fetch a document and read it."""
    answer = client.get(path, headers={"Accept": "application/n-triples"})
    assert answer.status_code == 200, answer.text
    found = ox.Store()
    found.load(answer.content, format=ox.RdfFormat.N_TRIPLES)
    return found


def rows(store: ox.Store, query: str) -> list[tuple[str, ...]]:
    solutions = store.query(PREFIXES + query)
    names = [variable.value for variable in solutions.variables]
    return [tuple(solution[name].value for name in names) for solution in solutions]


def test_void_counts_equal_sparql_counts(loaded: Territory, store: ox.Store, client: TestClient) -> None:
    void = graph(client, "/.well-known/void")
    checked = 0
    for key, dataset in loaded.datasets.items():
        name, here = loaded.graph_of(dataset), f"<{loaded.iris.dataset(key)}>"
        counts = rows(store, f"SELECT (COUNT(*) AS ?t) (COUNT(DISTINCT ?s) AS ?n) (COUNT(DISTINCT ?o) AS ?m) "
                             f"(COUNT(DISTINCT ?p) AS ?q) {{ GRAPH <{name}> {{ ?s ?p ?o }} }}")  # fmt: skip
        said = rows(void, f"SELECT ?t ?n ?m ?q {{ {here} void:triples ?t ; void:distinctSubjects ?n ; "
                          "void:distinctObjects ?m ; void:properties ?q }")  # fmt: skip
        assert said == counts
        parts = f"{here} void:classPartition [ void:class ?c ; void:entities ?n ]"
        shares = f"{here} void:propertyPartition [ void:property ?p ; void:triples ?n ]"
        classes = rows(store, f"SELECT ?c (COUNT(DISTINCT ?s) AS ?n) {{ GRAPH <{name}> {{ ?s a ?c }} }} GROUP BY ?c")
        assert sorted(classes) == sorted(rows(void, f"SELECT ?c ?n {{ {parts} }}"))
        used = rows(store, f"SELECT ?p (COUNT(*) AS ?n) {{ GRAPH <{name}> {{ ?s ?p ?o }} }} GROUP BY ?p")
        assert sorted(used) == sorted(rows(void, f"SELECT ?p ?n {{ {shares} }}"))
        checked += len(classes) + len(used)
    assert checked > 300


def test_linksets_count_the_links_that_are_there(loaded: Territory, store: ox.Store, client: TestClient) -> None:
    void = graph(client, "/.well-known/void")
    found = rows(void, "SELECT ?d ?p ?u ?n ?o { ?l a void:Linkset ; void:subjectsTarget ?d ; void:linkPredicate ?p ; "
                       "void:uriSpace ?u ; void:triples ?n ; void:objectsTarget ?o }")  # fmt: skip
    names = {loaded.iris.dataset(key): loaded.graph_of(dataset) for key, dataset in loaded.datasets.items()}
    for dataset, predicate, space, number, _ in found[:60]:
        [(counted,)] = rows(store, f"SELECT (COUNT(*) AS ?n) {{ GRAPH <{names[dataset]}> {{ ?s <{predicate}> ?o }} "
                                   f"FILTER(isIRI(?o) && REPLACE(STR(?o), '[^/#]*$', '') = '{space}') }}")  # fmt: skip
        assert counted == number, (dataset, predicate, space)
    communes, stops = loaded.iris.dataset("insee/communes"), loaded.iris.dataset("star/arrets")
    assert (stops, communes) in {(row[0], row[4]) for row in found}, "stops lead to communes, and VoID says to which dataset"


def test_every_file_is_what_its_record_says(client: TestClient) -> None:
    catalog = graph(client, "/catalog")
    files = rows(catalog, "SELECT ?u ?n ?c { ?d a dcat:Distribution ; dcat:downloadURL ?u ; dcat:byteSize ?n ; "
                          "spdx:checksum/spdx:checksumValue ?c }")  # fmt: skip
    assert len(files) > 100
    chosen = [
        row for row in files if any(name in row[0] for name in ("star/arrets", "insee/regions", "city-orchestra", "sailcoop"))
    ]
    for url, size, digest in chosen:
        answer = client.get(urlsplit(url).path)
        assert answer.status_code == 200 and len(answer.content) == int(size)
        assert hashlib.sha256(answer.content).hexdigest() == digest and answer.headers["ETag"] == f'"{digest}"'


def test_a_download_is_sent_in_parts_and_validated(client: TestClient) -> None:
    latest = client.get("/download/star/arrets/stop.csv")
    assert latest.status_code == 307
    path = latest.headers["Location"]
    whole = client.get(path)
    part = client.get(path, headers={"Range": "bytes=10-19", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert client.get(path, headers={"Range": "bytes=10-19", "If-Range": '"other"'}).status_code == 200
    assert client.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    head = client.head(path)
    assert head.content == b"" and head.headers["Content-Length"] == str(len(whole.content))
    assert len(list(csv.reader(io.StringIO(whole.text, newline="")))) == 1 + 1825
    folder = path.rpartition("/")[0]
    for bad in ("made.json", "nothing.csv", "%2e%2e/made.json", "..%2fmade.json"):
        assert client.get(f"{folder}/{bad}").status_code == 404
    assert client.get("/download/star/arrets/2020-00000000/stop.csv").status_code == 404


def test_forms_of_a_dataset_agree_with_one_another(loaded: Territory, client: TestClient, tmp_path: Path) -> None:
    quads = gzip.decompress(client.get(client.get("/download/star/arrets/arrets.nq.gz").headers["Location"]).content)
    assert len(quads.splitlines()) == 23708
    geojson = json.loads(client.get(client.get("/download/star/arrets/stop.geojson").headers["Location"]).content)
    (tmp_path / "stop.parquet").write_bytes(
        client.get(client.get("/download/star/arrets/stop.parquet").headers["Location"]).content
    )
    with duckdb.connect() as session:
        parquet = session.read_parquet(str(tmp_path / "stop.parquet")).fetchall()
    assert len(geojson["features"]) == len(parquet) == 1825
    assert {feature["id"] for feature in geojson["features"]} == {row[0] for row in parquet}


def pages(client: TestClient) -> tuple[list[str], object]:
    """Return a list that fills with addresses, and the function that fetches them from the served territory."""
    asked: list[str] = []

    def get(address: str) -> bytes:
        asked.append(address)
        parts = urlsplit(address)
        answer = client.get(f"{parts.path}?{parts.query}")
        assert answer.status_code == 200, answer.text
        return answer.content

    return asked, get


def test_our_own_harvester_finds_the_same_datasets_page_by_page(loaded: Territory, client: TestClient) -> None:
    asked, get = pages(client)
    found = dcat("http://testserver/catalog?page=1&page_size=5", None, get, "https://other.example/", "here")
    assert {dataset.iri: dataset.identifier for dataset in found} == {loaded.iris.dataset(key): key for key in loaded.datasets}
    assert len(asked) == -(-len(loaded.datasets) // 5)
    by_key = {dataset.identifier: dataset for dataset in found}
    for key, dataset in loaded.datasets.items():
        assert by_key[key].title == {"fr": dataset.title.fr, "en": dataset.title.en}
        assert set(by_key[key].themes) == set(dataset.themes) and by_key[key].publisher == dataset.publisher.name
        assert by_key[key].licence == dataset.licence and len(by_key[key].places) >= 3


def test_only_what_changed_since_a_moment_is_sent(loaded: Territory, client: TestClient) -> None:
    def members(moment: str) -> int:
        found = graph(client, f"/catalog?modified_since={moment}")
        return len(rows(found, "SELECT ?d { ?c a dcat:Catalog ; dcat:dataset ?d }"))

    assert members("2026-01-01") == len(loaded.datasets) and members("2999-01-01T00:00:00Z") == 0
    for bad in ("yesterday", "2026-13-01"):
        assert client.get(f"/catalog.ttl?modified_since={bad}").status_code == 400
    for bad in ("page=0", "page=x", "page_size=501", "page=%C2%B2"):
        assert client.get(f"/catalog.ttl?{bad}").status_code == 400
    assert client.get("/catalog.ttl?page=9").status_code == 404


def test_a_rudi_node_is_read_page_by_page_and_agrees_with_the_mapping(loaded: Territory, store: ox.Store) -> None:
    records = json.loads((ROOT / "examples/rennes-metropole/catalogue-rudi/datasets.json").read_text(encoding="utf-8"))

    def get(address: str) -> bytes:
        query = dict(part.split("=") for part in urlsplit(address).query.split("&"))
        start = int(query["offset"])
        assert urlsplit(address).path == "/api/v1/resources"
        return json.dumps(records[start : start + int(query["limit"])]).encode()

    found = rudi("https://node.example", None, get, loaded.base_iri)
    graph_name = loaded.graph_of(loaded.dataset("rennes-metropole/catalogue-rudi"))
    mapped = rows(store, f"SELECT ?d ?t {{ GRAPH <{graph_name}> {{ ?d a dcat:Dataset ; dct:title ?t }} }}")
    assert {(dataset.iri, dataset.title["fr"]) for dataset in found} == set(mapped) and len(found) == 387
    written = ox.Store()
    described = graph_of(loaded, Foreign(name="rudi", title="RUDI", url=None, datasets=found))
    written.extend(ox.Quad(t.subject, t.predicate, t.object) for t in described)
    status = rows(written, "SELECT DISTINCT ?s { ?d a dcat:Dataset ; adms:status ?s }")
    assert status == [(loaded.iris.id("code", "catalog-status", "described"),)]
    text = ox.serialize(described, format=ox.RdfFormat.N_TRIPLES).decode()
    assert "@rennes.fr" not in text and "mailto:" not in text


def test_an_opendatasoft_portal_is_read_with_its_licences_themes_and_exports(loaded: Territory) -> None:
    meta = {
        "title": "Arrêts",
        "description": "<p>Tous les <b>arrêts</b> ; écrire à jean.dupont@ville.fr</p>",
        "theme": ["Transports"],
        "license": "Open Database License (ODbL)",
        "publisher": "STAR",
        "modified": "2026-01-02T03:04:05+00:00",
        "keyword": None,
    }
    record = {"dataset_id": "arrets", "features": ["geo"], "has_records": True, "metas": {"default": meta}}
    answer = json.dumps({"total_count": 1, "results": [record]}).encode()
    asked: list[str] = []

    def get(address: str) -> bytes:
        asked.append(address)
        return answer

    [found] = ods("https://data.example/explore/", None, get, loaded.base_iri, "data-example")
    assert asked == ["https://data.example/api/explore/v2.1/catalog/datasets?limit=100&offset=0"]
    assert found.iri == f"{loaded.base_iri}id/dataset/data-example/arrets"
    assert (found.licence, found.themes, found.landing_page) == (
        "ODbL-1.0",
        ("TRAN",),
        "https://data.example/explore/dataset/arrets/",
    )
    assert [place.url.rpartition("/")[2] for place in found.places] == ["csv", "json", "parquet", "geojson"]
    written = ox.serialize(
        graph_of(loaded, Foreign(name="d", title="D", url=None, datasets=(found,))), format=ox.RdfFormat.N_TRIPLES
    )
    assert b"jean.dupont" not in written and "Tous les arrêts ; écrire à […]".encode() in written
