"""The Linked Data checks, as a table, against a real server process: every kind of resource in every representation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import pyoxigraph as ox
import pytest
import requests

from cityorchestra_ld import pipeline
from cityorchestra_ld.territory import Territory

from .reporting import record
from .serving import server

ROOT = Path(__file__).resolve().parents[2]
BASE = "https://ld.cityorchestra.example/"
COMMUNE = "http://id.insee.fr/geo/commune/35238"
REMOVED = "1200"  # a stop that the second generation has no more
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PARSERS = {
    "text/turtle": ox.RdfFormat.TURTLE,
    "application/ld+json": ox.RdfFormat.JSON_LD,
    "application/n-triples": ox.RdfFormat.N_TRIPLES,
    "application/rdf+xml": ox.RdfFormat.RDF_XML,
}
TREES = ("framed", "schema", "ngsi-ld")  # JSON-LD that names contexts elsewhere

# kind, address, IRI that the answer is about, redirects on the way; `thing` has profiles and older states
KINDS = [
    ("stop", "id/stop/star/1002", "id/stop/star/1002", [303], True),
    ("IRIS", "id/iris/352380101", "id/iris/352380101", [303], True),
    ("intercommunal body", "id/epci/243500139", "id/epci/243500139", [303], True),
    ("figure", "id/obs/insee/iris-population/2021/352380101-population", None, [303], True),
    ("reading", "id/obs/etalab/irve/2022-10-18T12%3A35%3A49%2B0000/FRA68P68021001-state", None, [303], True),
    ("escapes in lower case", "id/obs/etalab/irve/2022-10-18T12%3a35%3a49%2b0000/FRA68P68021001-state",
     "id/obs/etalab/irve/2022-10-18T12%3A35%3A49%2B0000/FRA68P68021001-state", [303], True),
    ("code", "id/code/flow-state/3", "id/code/flow-state/3", [303], True),
    ("code list", "id/code/flow-state", "id/code/flow-state", [303], True),
    ("dataset", "id/dataset/star/arrets", "id/dataset/star/arrets", [303], True),
    ("organisation", "id/org/star", "id/org/star", [303], True),
    ("action", "id/action/conseil-energie", "id/action/conseil-energie", [303], True),
    ("policy", "id/policy/open-etalab", "id/policy/open-etalab", [303], True),
    ("catalogue record", "id/catalog/main", "id/catalog/main", [303], True),
    ("structure", "id/structure/insee/iris-population", "id/structure/insee/iris-population", [303], True),
    ("document", "doc/stop/star/1002", "id/stop/star/1002", [], True),
    ("alias of an IRI of others", "id/commune/35238", COMMUNE, [303], False),
    ("commune that was merged", "id/commune/35301", "http://id.insee.fr/geo/commune/35184", [301, 303], False),
    ("IRI of others", f"describe?iri={COMMUNE}", COMMUNE, [], False),
    ("IRI that is only mentioned", "describe?iri=http://qudt.org/vocab/unit/MegaW-HR", "", [], False),
    ("IRI of ours, described", f"describe?iri={BASE}id/stop/star/1002", "id/stop/star/1002", [303], True),
    ("ontology", "def/co", "def/co", [], False),
    ("profiles", "def/profile", "def/profile#plain", [], False),
    ("graph", "graph/data/star/arrets", "graph/data/star/arrets", [], False),
    ("links", f"links?iri={BASE}id/code/flow-state/3", "", [], False),
]  # fmt: skip


def accepts(rdf: str) -> list[tuple[str | None, str]]:
    """List what is accepted, and which type must come; the order of the server decides between equals: data come first."""
    return [
        (None, "text/turtle"),
        ("*/*", "text/turtle"),
        (rdf, rdf),
        ("application/xhtml+xml,text/html", "text/html"),
        (f"{rdf};q=0.5,text/html;q=.3", rdf),
        (f"{rdf};q=0.3,text/html;q=.5", "text/html"),
        (f"{rdf};q=0.5,text/html;q=.5", rdf),
        (f"{rdf},text/html", rdf),
        (f"text/html,{rdf}", rdf),
        (f"{rdf};q=0.5", rdf),
        ("text/html;q=0.5", "text/html"),
        ("application/xhtml+xml;q=0.5", "application/xhtml+xml"),
        (f'{rdf};profile="http://x.example/"', rdf),
        (BROWSER, "text/html"),
    ]


@dataclass
class Checks:
    """Counts what holds, and keeps what does not."""

    address: str
    cases: int = 0
    failures: list[str] = field(default_factory=list)

    def that(self, name: str, holds: bool, seen: object = "") -> bool:
        self.cases += 1
        if not holds:
            self.failures.append(f"{name}: {seen}")
        return holds

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[requests.Response, list[int]]:
        """Ask with these headers only, and follow redirects; names of headers are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = SESSION.request(
            method, f"{self.address}/{path}", headers={"Accept": sent.pop("Accept", None), **sent}, timeout=20
        )  # type: ignore[arg-type]
        return answer, [step.status_code for step in answer.history]


SESSION = requests.Session()
SESSION.headers.clear()


@pytest.fixture(scope="module")
def checks(loaded: Territory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checks]:
    """Serve two generations: the second one lacks a stop."""
    folder = tmp_path_factory.mktemp("linked-data")
    shutil.copytree(loaded.state / "store", folder / "state" / "store")
    shutil.copytree(loaded.state / "runs", folder / "state" / "runs")
    territory = replace(loaded, state=folder / "state")
    stops = json.loads((ROOT / "examples/star/arrets/star_arrets.json").read_text(encoding="utf-8"))
    fewer = folder / "star_arrets.json"
    fewer.write_text(json.dumps([stop for stop in stops if stop["code"] != REMOVED]), encoding="utf-8")
    outcome = pipeline.run(territory, ["star/arrets"], files={"star_arrets.json": fewer}, force=True)
    assert outcome.published, outcome.runs
    with server(territory) as address:
        yield Checks(address)


def full(iri: str) -> str:
    return iri if iri.startswith("http") else BASE + iri


def subjects(answer: requests.Response) -> set[str]:
    media_type = answer.headers["Content-Type"].partition(";")[0]
    return {quad.subject.value for quad in ox.parse(answer.content, format=PARSERS[media_type])}


def negotiates(checks: Checks, kind: str, path: str, iri: str | None, redirects: list[int]) -> None:
    """Run the sequence of requests for each way to write RDF (httpRange-14, Best Practice Recipes, RFC 9110 section 12)."""
    about = full(path if iri is None else iri)
    for rdf in PARSERS:
        for accept, expected in accepts(rdf):
            answer, steps = checks.ask(path, **({"Accept": accept} if accept else {}))
            name, seen = f"{kind}, {accept}", (answer.status_code, steps, answer.headers.get("Content-Type"))
            checks.that(f"{name}: status and redirects", (answer.status_code, steps) == (200, redirects), seen)
            checks.that(f"{name}: type", answer.headers.get("Content-Type", "").startswith(expected), seen)
            checks.that(f"{name}: Vary", "Accept" in answer.headers.get("Vary", "").split(", "), answer.headers.get("Vary"))
            if expected in PARSERS and answer.ok:
                checks.that(f"{name}: it is about the resource", iri == "" or about in subjects(answer))


def validates(checks: Checks, kind: str, path: str, redirects: list[int], thing: bool) -> None:
    """Look at every representation: what it is, its tag, 304, HEAD, links, and what scripts of others may read."""
    refused, _ = checks.ask(path, Accept="image/png")
    checks.that(f"{kind}: an unknown type is 406", refused.status_code == 406, refused.status_code)
    variants = refused.json().get("variants", [])
    checks.that(f"{kind}: 406 lists the forms", len(variants) >= (18 if thing else 5), len(variants))
    tags: dict[str, str] = {}
    for variant in variants:
        href = variant["href"].removeprefix("/")
        answer, steps = checks.ask(href, Accept="image/png")
        name = f"{kind}, {href}"
        headers = answer.headers
        ok = answer.status_code == 200 and not steps and headers["Content-Type"].startswith(variant["type"])
        if not checks.that(f"{name}: it is what the list says", ok, (answer.status_code, headers.get("Content-Type"))):
            continue
        if variant["type"] in PARSERS and not any(f"_profile={token}" in href for token in TREES):
            checks.that(f"{name}: it parses", bool(subjects(answer)))
        elif variant["type"].endswith("json"):
            checks.that(f"{name}: it parses", isinstance(answer.json(), dict))
        checks.that(
            f"{name}: profile", headers.get("Content-Profile") == f"<{variant['profile']}>", headers.get("Content-Profile")
        )
        link = headers.get("Link", "")
        wanted = ['rel="profile"', 'rel="alternate"'] + (
            ['rel="describes"', "timegate", 'rel="timemap"', 'rel="canonical"'] if thing else []
        )
        checks.that(f"{name}: links", all(part in link for part in wanted), link)
        checks.that(f"{name}: open to scripts of others", headers.get("Access-Control-Allow-Origin") == "*")
        exposed = headers.get("Access-Control-Expose-Headers", "")
        checks.that(
            f"{name}: exposed", all(h in exposed for h in ("ETag", "Link", "Content-Profile", "Memento-Datetime")), exposed
        )
        checks.that(f"{name}: Last-Modified", parsedate_to_datetime(headers["Last-Modified"]).tzinfo is not None)
        tag = headers["ETag"]
        checks.that(f"{name}: a strong tag of its own", tag.startswith('"') and tag not in tags, tag)
        tags[tag] = href
        revalidates(checks, name, href, answer)


def revalidates(checks: Checks, name: str, href: str, answer: requests.Response) -> None:
    for condition in ({"If_None_Match": answer.headers["ETag"]}, {"If_Modified_Since": answer.headers["Last-Modified"]}):
        again, _ = checks.ask(href, Accept="*/*", **condition)
        same = again.headers.get("ETag") == answer.headers["ETag"] and again.headers.get("Vary") == answer.headers["Vary"]
        checks.that(
            f"{name}: 304 for {[*condition]}", again.status_code == 304 and same and not again.content, again.status_code
        )
    crossed, _ = checks.ask(href, Accept="*/*", If_None_Match='"another"')
    checks.that(f"{name}: 200 for another tag", crossed.status_code == 200)
    head, _ = checks.ask(href, "HEAD", Accept="image/png")
    volatile = {"x-request-id", "date", "connection"}
    told, got = ({n.lower(): v for n, v in a.headers.items() if n.lower() not in volatile} for a in (head, answer))
    checks.that(f"{name}: HEAD equals GET", told == got and not head.content, set(told.items()) ^ set(got.items()))


def behaves(checks: Checks, kind: str, path: str, iri: str | None, redirects: list[int], thing: bool) -> None:
    """Look at methods, preflights, suffixes, profiles by header, and older states."""
    options, _ = checks.ask(path, "OPTIONS", Origin="https://x.example", Access_Control_Request_Method="GET")
    allowed = options.headers.get("Access-Control-Allow-Headers", "")
    checks.that(f"{kind}: OPTIONS", options.status_code == 204 and "GET" in options.headers.get("Allow", ""), options.headers)
    checks.that(
        f"{kind}: preflight", all(h in allowed for h in ("Accept-Profile", "Accept-Datetime", "If-None-Match")), allowed
    )
    for method in ("POST", "PUT", "DELETE"):
        refused, _ = checks.ask(path, method, Accept="*/*")
        checks.that(f"{kind}: {method} is 405", refused.status_code == 405 and "GET" in refused.headers.get("Allow", ""))
    if not thing:
        return
    at_rest, _ = checks.ask(path, Accept="text/turtle")
    document = at_rest.url.removeprefix(f"{checks.address}/")
    nothing, _ = checks.ask(f"{document}.png", Accept="*/*")
    checks.that(f"{kind}: an unknown suffix is 404", nothing.status_code == 404, nothing.status_code)
    unknown, _ = checks.ask(path, Accept="*/*", Accept_Profile="<http://x.example/>")
    checks.that(f"{kind}: an unknown profile is 406", unknown.status_code == 406, unknown.status_code)
    told, steps = checks.ask(path, Accept="*/*", Accept_Profile="<http://x.example/>;q=0.9, <https://schema.org/>;q=0.1")
    checks.that(f"{kind}: Accept-Profile", told.ok and told.headers["Content-Profile"] == "<https://schema.org/>", steps)
    english, _ = checks.ask(f"{document}?_profile=labelled", Accept="text/turtle", Accept_Language="en")
    french, _ = checks.ask(f"{document}?_profile=labelled", Accept="text/turtle", Accept_Language="fr")
    differ = english.headers["ETag"] != french.headers["ETag"] and "Accept-Language" in english.headers["Vary"]
    checks.that(f"{kind}: names in a language", differ, english.headers["Vary"])
    remembers(checks, kind, document)


def remembers(checks: Checks, kind: str, document: str) -> None:
    """Look at the states of a document (RFC 7089)."""
    listed, _ = checks.ask(f"timemap/{document}", Accept="*/*")
    mementos = [line for line in listed.text.split(",\n") if "memento" in line]
    is_list = listed.status_code == 200 and listed.headers["Content-Type"] == "application/link-format"
    checks.that(f"{kind}: time map", is_list and bool(mementos), listed.text[:200])
    for line in mementos:
        href = line[line.index("<") + 1 : line.index(">")].removeprefix(f"{checks.address}/")
        memento, steps = checks.ask(href, Accept="text/turtle")
        moment = memento.headers.get("Memento-Datetime", "")
        ok = memento.status_code == 200 and not steps and moment and f'datetime="{moment}"' in line
        checks.that(f"{kind}: memento {href}", bool(ok), (memento.status_code, moment))
        gate, passed = checks.ask(document, Accept="text/turtle", Accept_Datetime=moment)
        checks.that(f"{kind}: the gate leads to {href}", passed == [302] and gate.url.endswith(href), (passed, gate.url))
        varies = gate.history[0].headers.get("Vary", "") if gate.history else ""
        checks.that(f"{kind}: the gate varies", "Accept-Datetime" in varies, varies)
        link = memento.headers.get("Link", "")
        checks.that(f"{kind}: memento links", all(part in link for part in ('rel="original timegate"', 'rel="timemap"')), link)


def ends_well(checks: Checks) -> None:
    """Look at what was taken away, what never was, and what nobody can read."""
    for path in (f"id/stop/star/{REMOVED}", f"doc/stop/star/{REMOVED}", f"doc/stop/star/{REMOVED}.ttl"):
        for accept in ("*/*", "text/turtle", "text/html", "application/ld+json"):
            answer, _ = checks.ask(path, Accept=accept)
            checks.that(f"{path}, {accept}: gone", answer.status_code == 410, answer.status_code)
    tombstone = checks.ask(f"id/stop/star/{REMOVED}", Accept="application/json")[0].json().get("tombstone", {})
    checks.that("the tombstone says when and by which version", {"removed", "dataset", "version"} <= set(tombstone), tombstone)
    older, _ = checks.ask(f"timemap/doc/stop/star/{REMOVED}", Accept="*/*")
    checks.that("what is gone is still in older states", older.text.count("memento") == 2, older.text)
    for path in (
        "id/stop/star/never",
        "doc/stop/star/never.ttl",
        "def/never",
        "graph/never",
        "describe?iri=urn:never",
        "never",
    ):
        for accept in ("*/*", "text/html", "image/png"):
            answer, _ = checks.ask(path, Accept=accept)
            checks.that(f"{path}, {accept}: not found", answer.status_code == 404, answer.status_code)
    for path in (
        "describe",
        "describe?iri=x",
        f"describe?iri={quote('javascript:alert(1) x')}",
        "links?iri=x",
        "doc/stop/star/1002?page=x",
    ):
        answer, _ = checks.ask(path, Accept="*/*")
        checks.that(f"{path}: not well-formed", answer.status_code == 400, answer.status_code)
    answer, _ = checks.ask("context.jsonld", Accept="application/ld+json")
    checks.that("the context is served", answer.ok and "@context" in answer.json())


def test_every_kind_of_resource_answers_as_linked_data_should(checks: Checks) -> None:
    for kind, path, iri, redirects, thing in KINDS:
        negotiates(checks, kind, path, iri, redirects)
        validates(checks, kind, path, redirects, thing)
        behaves(checks, kind, path, iri, redirects, thing)
    ends_well(checks)
    record("linked-data", checks.cases, checks.cases - len(checks.failures), {})
    assert not checks.failures, f"{len(checks.failures)} of {checks.cases}:\n" + "\n".join(checks.failures[:40])
    assert checks.cases > 10_000
