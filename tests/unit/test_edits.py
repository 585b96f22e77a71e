"""What a steward sends is published whole or not at all, and what could harm is refused before a parser reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld.edits import publish
from cityorchestra_ld.governance.edits import Body, Edit, Job
from cityorchestra_ld.runs import RunFolder, exclusive
from cityorchestra_ld.store import current_generation
from cityorchestra_ld.territory import Territory, load_territory

BASE = "https://id.example/"
FREE = f"{BASE}graph/scenario/idea"
TREES = f"{BASE}graph/data/ville/trees"
TERRITORY = f"""
base_iri = "{BASE}"
name = {{ fr = "Ville", en = "City" }}
publisher = "ville"
[partners.ville]
name = "Ville"
"""
DATASET = """
title = { fr = "Arbres", en = "Trees" }
description = { fr = "Des arbres.", en = "Trees." }
publisher = "ville"
licence = "etalab-2.0"
attribution = "Ville"
policy = "open"
"""
SHAPES = f"""
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
<{BASE}shapes/tree> a sh:NodeShape ; sh:targetClass <{BASE}def/Tree> ; sh:property [
  sh:path rdfs:label ; sh:minCount 1 ; sh:message "Un arbre a un nom."@fr , "A tree has a name."@en ] .
"""
TREE = f'<{BASE}id/tree/1> a <{BASE}def/Tree> ; <http://www.w3.org/2000/01/rdf-schema#label> "Chêne" .'


@pytest.fixture(scope="module")
def territory(tmp_path_factory: pytest.TempPathFactory) -> Territory:
    root = tmp_path_factory.mktemp("edits")
    files = {
        "territory.toml": TERRITORY,
        "mappings/ville/trees/dataset.toml": DATASET,
        "mappings/ville/trees/mapping.yml": "mappings: {}",
        "shapes/ville/trees.ttl": SHAPES,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return load_territory(root)


def send(territory: Territory, tmp_path: Path, *contents: str | bytes, kind="text/turtle", **edit):
    bodies = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        bodies.append(Body(str(path), kind))
    values = {"graph": FREE, "action": "put", "bodies": tuple(bodies)} | edit
    return publish(territory, Job(str(territory.root), str(territory.state), "alice", (Edit(**values),)))


def test_a_graph_is_made_added_to_and_dropped(territory, tmp_path):
    made = send(territory, tmp_path, '<a> <b> "1", [ <c> 2 ] .')
    assert made.published and made.done[0].created and made.done[0].triples == 3
    same = send(territory, tmp_path, '<a> <b> "1", [ <c> 2 ] .')
    assert (same.published, same.done[0].sha256) == (False, made.done[0].sha256)
    more = send(territory, tmp_path, "<a> <b> [ <c> 3 ] .", "<a> <b> <d> .", action="post")
    assert more.done[0].triples == 6 and not more.done[0].created
    gone = send(territory, tmp_path, action="delete")
    assert gone.published
    assert send(territory, tmp_path, action="delete").refusal.status == 404


HARMFUL = {
    "malformed Turtle": ("<a> <b> <c> .\n<a> <b", "text/turtle", 400),
    "an IRI of a megabyte that is never closed": ("<a> <b> <http://x/" + "y" * 1_000_000, "text/turtle", 400),
    "DOCTYPE": ('<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><r/>', "application/rdf+xml", 400),
    "an external entity": ('<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>', "application/rdf+xml", 400),
    "RDF/XML nested 200 000 deep": ("<a>" * 200_000, "application/rdf+xml", 400),
    "JSON-LD nested 20 000 deep": ('{"a":' * 20_000, "application/ld+json", 400),
    "a context from elsewhere": ('{"@context": "http://127.0.0.1:1/c.jsonld", "a": 1}', "application/ld+json", 400),
    "several graphs": ('{"@id": "urn:g", "@graph": [{"@id": "urn:a", "urn:p": 1}]}', "application/ld+json", 400),
    "not UTF-8": (b"<a> <b> '\xff' .", "text/turtle", 400),
    "a UTF-16 document": ("<a> <b> 1 .".encode("utf-16"), "text/turtle", 400),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_cannot_be_read_harms_nothing(territory, tmp_path, name):
    before = send(territory, tmp_path, '<kept> <as> "it was" .')
    content, kind, status = HARMFUL[name]
    refused = send(territory, tmp_path, content, kind=kind)
    assert refused.refusal.status == status and refused.refusal.message.en
    assert current_generation(territory.state / "store").number == before.generation


def test_deep_blank_nodes_are_read(territory, tmp_path):
    nested = "<a> <b> " + "[ <b> " * 5000 + "1" + " ]" * 5000 + " ."
    assert send(territory, tmp_path, nested).done[0].triples == 5001


def test_a_dataset_is_judged_by_its_shapes_and_gets_a_version(territory, tmp_path):
    made = send(territory, tmp_path, TREE, graph=TREES, dataset="ville/trees")
    assert made.refusal is None, made.refusal
    version = made.done[0].version
    generation = current_generation(territory.state / "store")
    info = next(info for info in generation.graphs if info.graph == TREES)
    assert (info.dataset, info.role, info.version) == ("ville/trees", "data", version)
    run = RunFolder(territory.state).load(generation.meta["run:ville/trees"])
    assert run.sources[-1].label == "PUT, alice" and run.version == version
    refused = send(
        territory, tmp_path, f"<{BASE}id/tree/2> a <{BASE}def/Tree> .", graph=TREES, dataset="ville/trees", action="post"
    )
    assert (refused.refusal.status, refused.refusal.count) == (422, 1)
    assert refused.refusal.violations[0].message.fr == "Un arbre a un nom."
    assert current_generation(territory.state / "store").number == made.generation
    gone = send(territory, tmp_path, graph=TREES, dataset="ville/trees", action="delete")
    assert gone.published
    left = current_generation(territory.state / "store")
    assert not [info for info in left.graphs if info.dataset == "ville/trees"] and "run:ville/trees" not in left.meta


def test_who_looked_at_another_state_is_told(territory, tmp_path):
    first = send(territory, tmp_path, "<a> <b> 1 .")
    second = send(territory, tmp_path, "<a> <b> 2 .", expected=(first.done[0].sha256,))
    assert second.published
    assert send(territory, tmp_path, "<a> <b> 3 .", expected=(first.done[0].sha256,)).refusal.status == 412
    assert send(territory, tmp_path, "<a> <b> 3 .", absent=True).refusal.status == 412


def test_two_stewards_at_once_are_kept_apart(territory, tmp_path):
    with exclusive(territory.state):
        assert send(territory, tmp_path, "<a> <b> 4 .").refusal.status == 503
