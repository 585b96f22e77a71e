"""The W3C suites about SPARQL over HTTP, run against a server process: protocol, graph store, description, result formats."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pyoxigraph as ox
import pytest
import requests

from .reporting import record
from .serving import BASE, make_territory, server

SUITES = Path(os.environ.get("CITYORCHESTRA_SUITES", Path(__file__).parents[3] / "shared" / "suites"))
ROOT = SUITES / "sparql" / "sparql11"
LOCK = tomllib.loads(Path(__file__).with_name("sparql.toml").read_text(encoding="utf-8"))
HT = "http://www.w3.org/2011/http#"
MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
QT = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#"
CNT = "http://www.w3.org/2011/content#"
SD = "http://www.w3.org/ns/sparql-service-description#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DATA = "http://kasei.us/2009/09/sparql/data/data{}.rdf"
GENID = re.compile(rf"{re.escape(BASE)}\.well-known/genid/.*")

pytestmark = pytest.mark.skipif(not ROOT.exists() and not os.environ.get("CI"), reason=f"NO CONFORMANCE SUITES at {ROOT}")


class Manifest:
    """A manifest, walked by predicates."""

    def __init__(self, path: Path) -> None:
        self.store = ox.Store()
        self.store.load(path=str(path), format=ox.RdfFormat.TURTLE, base_iri=path.as_uri())
        self.path = path

    def all(self, node, predicate):
        return [quad.object for quad in self.store.quads_for_pattern(node, ox.NamedNode(predicate), None)]

    def one(self, node, predicate):
        return next(iter(self.all(node, predicate)), None)

    def text(self, node, predicate):
        found = self.one(node, predicate) if node is not None else None
        return None if found is None else found.value

    def items(self, head) -> Iterator:
        while head is not None and head.value != RDF + "nil":
            yield self.one(head, RDF + "first")
            head = self.one(head, RDF + "rest")

    def entries(self) -> list:
        lists = [quad.object for quad in self.store.quads_for_pattern(None, ox.NamedNode(MF + "entries"), None)]
        return [node for head in lists for node in self.items(head)]

    def headers(self, node) -> dict[str, str]:
        found = {}
        for head in self.all(node, HT + "headers"):
            for header in self.items(head):
                found[self.text(header, HT + "fieldName").lower()] = self.text(header, HT + "fieldValue")
        return found


@dataclass(frozen=True)
class Exchange:
    """One request of a case and what is expected of its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    statuses: tuple[str, ...]
    format: str | None
    boolean: bool | None
    location: str | None
    expected_headers: dict[str, str]
    content: str | None


def exchanges(manifest: Manifest, case) -> list[Exchange]:
    connection = manifest.one(case, MF + "action")
    found = []
    for node in manifest.items(manifest.one(connection, HT + "requests")):
        body, answer = manifest.one(node, HT + "body"), manifest.one(node, HT + "resp")
        chars = manifest.text(body, CNT + "chars")
        boolean = manifest.text(answer, MF + "expectedBoolean")
        found.append(
            Exchange(
                method=manifest.text(node, HT + "methodName"),
                path=manifest.text(node, HT + "absolutePath"),
                headers=manifest.headers(node),
                body=None if chars is None else chars.encode(manifest.text(body, CNT + "characterEncoding")),
                statuses=tuple(status.value.partition("#")[2] for status in manifest.all(answer, MF + "expectedStatus")),
                format=manifest.text(answer, MF + "expectedFormat"),
                boolean=None if boolean is None else boolean == "true",
                location=manifest.text(answer, MF + "expectedLocation"),
                expected_headers=manifest.headers(answer),
                content=manifest.text(manifest.one(answer, HT + "body"), CNT + "chars"),
            )
        )
    return found


STATUSES = {"OK": "200", "Created": "201", "NoContent": "204", "NotFound": "404"}


def as_expected(answer: requests.Response, exchange: Exchange) -> None:
    wanted = [STATUSES.get(name, name.removeprefix("StatusCode").replace("xx", "")) for name in exchange.statuses]
    assert any(str(answer.status_code).startswith(status) for status in wanted), (answer.status_code, wanted, answer.text[:500])
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if exchange.boolean is not None:
        assert answer.json()["boolean"] is exchange.boolean, answer.text
    if exchange.format in ("boolean", "tabular"):
        assert kind in ("application/sparql-results+json", "application/sparql-results+xml", "text/csv"), kind
    if exchange.format == "RDF":
        assert ox.RdfFormat.from_media_type(kind) is not None, kind
    for name, value in exchange.expected_headers.items():
        if value is not None:
            assert answer.headers.get(name, "").lower() == value.lower(), (name, answer.headers)
    if exchange.content is not None:
        base = "http://www.example/gsp/"
        assert isomorphic(graph(answer.text, base), graph(exchange.content, base)), answer.text


def graph(text: str, base: str) -> list[ox.Quad]:
    """Parse Turtle; blank nodes that we named when they were published become blank again (RDF 1.1 Concepts, section 3.5)."""
    return [
        ox.Quad(_blank(quad.subject), quad.predicate, _blank(quad.object))
        for quad in ox.parse(text, format=ox.RdfFormat.TURTLE, base_iri=base)
    ]


def _blank(term):
    if isinstance(term, ox.NamedNode) and GENID.fullmatch(term.value):
        return ox.BlankNode("b" + term.value.encode().hex())
    return term


def isomorphic(one: list[ox.Quad], other: list[ox.Quad]) -> bool:
    left, right = ox.Dataset(one), ox.Dataset(other)
    for dataset in (left, right):
        dataset.canonicalize(ox.CanonicalizationAlgorithm.UNSTABLE)
    return left == right


@dataclass(frozen=True)
class Served:
    """The server under test."""

    address: str
    token: str

    def send(self, exchange: Exchange, path: str, *, steward: bool) -> requests.Response:
        headers = {"Accept": "*/*", **exchange.headers}
        if exchange.format in ("boolean", "tabular"):
            headers["Accept"] = "application/sparql-results+json"
        if steward:
            headers["Authorization"] = f"Bearer {self.token}"
        request = requests.Request(exchange.method, self.address + path, headers=headers, data=exchange.body).prepare()
        if exchange.body is not None and "content-type" not in exchange.headers:
            request.headers.pop("Content-Type", None)
        with requests.Session() as session:
            return session.send(request, timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    graphs = [(DATA.format(number), "data", ROOT / "protocol" / f"data{number}.nt") for number in (1, 2, 3)]
    for name in ("csv-tsv-res/data.ttl", "csv-tsv-res/data2.ttl", "json-res/data.ttl"):
        graphs.append((f"{BASE}graph/scenario/{name}", "scenario", ROOT / name))
    territory, token = make_territory(tmp_path_factory.mktemp("suite"), graphs)
    with server(territory) as address:
        yield Served(address, token)


def counted(suite: str, cases: dict[str, Callable[[], None]]) -> None:
    """Run cases, write the counts, and fail on what is not as the lock file says."""
    lock = LOCK[suite]
    known = lock["known_failures"]
    failed: dict[str, str] = {}
    for name, run in cases.items():
        try:
            run()
        except (AssertionError, ValueError, KeyError, SyntaxError) as error:
            failed[name] = str(error)[:600]
    record(f"sparql-{suite}", len(cases), len(cases) - len(failed), known)
    assert len(cases) == lock["cases"]
    surprises = {name: reason for name, reason in failed.items() if name not in known}
    assert not surprises, json.dumps(surprises, indent=2)
    assert set(known) <= set(failed), f"passes unexpectedly: {set(known) - set(failed)}"


def test_the_protocol_suite(served: Served) -> None:
    manifest = Manifest(ROOT / "protocol" / "manifest.ttl")
    counted("protocol", {_name(case): lambda case=case: _protocol(served, manifest, case) for case in manifest.entries()})


def _name(case) -> str:
    return case.value.partition("#")[2]


def _protocol(served: Served, manifest: Manifest, case) -> None:
    """Run a case; updates, and the queries that look at what they did, work on a draft of their own."""
    found = exchanges(manifest, case)
    name = _name(case)
    if "update" not in name:
        for exchange in found:
            as_expected(served.send(exchange, exchange.path.replace("/sparql/", "/sparql", 1), steward=False), exchange)
        return
    steward = {"Authorization": f"Bearer {served.token}"}
    draft = "suite-" + name.replace("_", "-").lower()[:30]
    made = requests.post(f"{served.address}/drafts", json={"name": draft}, headers=steward, timeout=60)
    assert made.status_code == 201, made.text
    try:
        for exchange in found:
            text = (exchange.body or b"").decode("utf-8", "replace")
            query = text.startswith("ASK") or "query=" in text
            path = exchange.path.replace("/sparql/", f"/drafts/{draft}/{'sparql' if query else 'update'}", 1)
            as_expected(served.send(exchange, path, steward=True), exchange)
    finally:
        assert requests.delete(f"{served.address}/drafts/{draft}", headers=steward, timeout=60).status_code == 204


def test_the_graph_store_protocol_suite(served: Served) -> None:
    cases: dict[str, Callable[[], None]] = {}
    for kind in ("indirect", "direct"):
        manifest = Manifest(ROOT / "graph-store-protocol" / f"manifest-{kind}.ttl")
        for case in manifest.entries():
            cases[_name(case)] = lambda manifest=manifest, case=case: _graph_store(served, manifest, case)
    counted("graph-store-protocol", cases)


def _graph_store(served: Served, manifest: Manifest, case) -> None:
    location = ""
    found = exchanges(manifest, case)
    if found[0].method in ("PUT", "POST"):  # what earlier cases left is in the way
        for path in {_graph_path(exchange.path) for exchange in found if "$" not in exchange.path}:
            headers = {"Authorization": f"Bearer {served.token}"}
            requests.delete(served.address + path, headers=headers, timeout=60)
    for exchange in found:
        path = location if "$LOCATION$" in exchange.path else _graph_path(exchange.path)
        answer = served.send(exchange, path, steward=exchange.method not in ("GET", "HEAD"))
        as_expected(answer, exchange)
        if exchange.location:
            location = answer.headers["Location"]
            assert location


def _graph_path(path: str) -> str:
    """Put our addresses in place of the suite's: graphs of the path lie among our scenarios."""
    return re.sub(r"^/gsp/", "/graph-store/scenario/", path).replace("/gsp", "/graph-store", 1)


def test_the_service_description_suite(served: Served) -> None:
    endpoint = f"{served.address}/sparql"
    answer = requests.get(endpoint, headers={"Accept": "text/turtle"}, timeout=30)

    def described() -> ox.Store:
        store = ox.Store()
        store.load(input=answer.content, format=ox.RdfFormat.TURTLE)
        return store

    def returns_rdf() -> None:
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/turtle")
        assert len(described()) > 0

    def has_endpoint_triple() -> None:
        found = [quad.object.value for quad in described().quads_for_pattern(None, ox.NamedNode(SD + "endpoint"), None)]
        assert found == [endpoint], found

    def conforms_to_schema() -> None:
        store = described()

        def holds(query: str) -> bool:
            return bool(store.query(f"PREFIX sd: <{SD}> ASK {{ {query} }}"))

        assert holds(
            "?s a sd:Service ; sd:endpoint ?e ; sd:defaultDataset ?d . ?d a sd:Dataset ; sd:defaultGraph [ a sd:Graph ]"
        )
        assert holds("?s sd:supportedLanguage sd:SPARQL11Query ; sd:resultFormat ?f FILTER(isIRI(?f))")
        assert not holds(
            "?d sd:namedGraph ?n FILTER NOT EXISTS { ?n a sd:NamedGraph ; sd:name ?name ; sd:graph ?g . ?g a sd:Graph }"
        )
        known = "Service", "Dataset", "Graph", "NamedGraph"
        types = {quad.object.value for quad in store.quads_for_pattern(None, ox.NamedNode(RDF + "type"), None)}
        assert types <= {SD + name for name in known}, types

    manifest = Manifest(ROOT / "service-description" / "manifest.ttl")
    checks = {"returns-rdf": returns_rdf, "has-endpoint-triple": has_endpoint_triple, "conforms-to-schema": conforms_to_schema}
    counted("service-description", {_name(case): checks[_name(case)] for case in manifest.entries()})


TYPES = {".csv": "text/csv", ".tsv": "text/tab-separated-values", ".srj": "application/sparql-results+json"}


@pytest.mark.parametrize("suite", ["csv-tsv-res", "json-res"])
def test_the_suites_of_result_formats(served: Served, suite: str) -> None:
    manifest = Manifest(ROOT / suite / "manifest.ttl")
    counted(suite, {_name(case): lambda case=case: _results(served, manifest, case, suite) for case in manifest.entries()})


def _results(served: Served, manifest: Manifest, case, suite: str) -> None:
    action = manifest.one(case, MF + "action")
    query = (ROOT / suite / Path(manifest.text(action, QT + "query")).name).read_text(encoding="utf-8")
    data = Path(manifest.text(action, QT + "data")).name
    expected = ROOT / suite / Path(manifest.text(case, MF + "result")).name
    fields = urlencode({"query": query, "default-graph-uri": f"{BASE}graph/scenario/{suite}/{data}"})
    answer = requests.get(f"{served.address}/sparql?{fields}", headers={"Accept": TYPES[expected.suffix]}, timeout=30)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith(TYPES[expected.suffix])
    assert table(answer.content, expected.suffix) == table(expected.read_bytes(), expected.suffix)


def table(content: bytes, suffix: str):
    """Read a result as a set of rows; columns by name, labels of blank nodes and ways to write a number do not matter."""
    if suffix == ".csv":
        head, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        return sorted(sorted(zip(head, (_number(cell) for cell in row), strict=True)) for row in rows if row)
    kind = ox.QueryResultsFormat.TSV if suffix == ".tsv" else ox.QueryResultsFormat.JSON
    parsed = ox.parse_query_results(content, kind)
    if isinstance(parsed, ox.QueryBoolean):
        return bool(parsed)
    names = [variable.value for variable in parsed.variables]
    return sorted(sorted((name, _written(row[name])) for name in names) for row in parsed)


def _number(cell: str) -> str:
    if cell.startswith("_:") or GENID.fullmatch(cell):
        return "_:"
    return str(float(cell)) if re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", cell) else cell


def _written(term) -> str:
    if isinstance(term, ox.BlankNode) or (isinstance(term, ox.NamedNode) and GENID.fullmatch(term.value)):
        return "_:"
    if isinstance(term, ox.Literal) and "XMLSchema#" in term.datatype.value:
        return f"{_number(term.value)}^^{term.datatype.value}"
    return str(term)
