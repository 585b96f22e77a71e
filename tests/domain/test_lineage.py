"""Published triples lead back to the right row and column: a thousand of each dataset, each looked up in the partner's file."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import RefusedError, UsageError
from cityorchestra_ld.lineage import Explained, explain, explain_many
from cityorchestra_ld.mapping import Wanted, read_mapping
from cityorchestra_ld.mapping.plan import Fixed, Join, Plan, Reference, Template
from cityorchestra_ld.model import Origin
from cityorchestra_ld.runs import RunFolder
from cityorchestra_ld.store import Reader, current_generation
from cityorchestra_ld.territory import Territory, load_territory

ROOT = Path(__file__).resolve().parents[2]
KEYS = sorted(load_territory(ROOT).datasets)
PER_DATASET = 1000


# --- the partner's files, read without any code of ours -----------------------------------------------------------------------


@cache
def settings(key: str) -> dict[str, dict[str, Any]]:
    said = tomllib.loads((ROOT / "mappings" / key / "dataset.toml").read_text(encoding="utf-8"))
    return {Path(source.get("member") or source["path"]).name: source for source in said["source"]}


@cache
def content(key: str, name: str) -> Any:
    source = settings(key)[name]
    path = ROOT / source["path"]
    if source.get("member"):
        with zipfile.ZipFile(path) as archive:
            data = archive.read(next(n for n in archive.namelist() if n.endswith(source["member"])))
    else:
        data = path.read_bytes()
    if source.get("format") == "json":
        return json.loads(data)
    text = data.decode({"utf-8": "utf-8-sig"}.get(source.get("encoding", "utf-8"), source.get("encoding", "utf-8")))
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=source.get("delimiter", ",")))
    start = next(i for i, row in enumerate(rows) if row and (source.get("skip_until") in (None, row[0])))
    return rows, rows[start]


def at(document: Any, pointer: str) -> Any:
    for step in (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]):
        document = document[int(step)] if isinstance(document, list) else document.get(step)
    return document


def written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def cells(key: str, origin: Origin) -> list[str]:
    """Return the cells that an origin names, from the file itself."""
    name = Path(origin.file).name
    if settings(key)[name].get("format") == "json":
        record, labels = origin.pointer or "", (origin.column or "").split(", ")
        found = at(content(key, name), record)
        if len(labels) == 1 and record.endswith("/" + labels[0].replace(".", "/")):
            return [written(found)]
        values = [
            v
            for v in (
                at(found, "/" + label.removeprefix("$.").replace(".", "/")) if "*" not in label and label != "@" else None
                for label in labels
            )
        ]
        return [written(value) for value in values if value is not None]
    rows, header = content(key, name)
    row = rows[(origin.row or 0) - 1]
    return [row[header.index(label)] for label in (origin.column or "").split(", ") if label in header]


# --- what must agree ----------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    return re.sub(r"\W+", "", unquote(text)).casefold()


def made_of(plan: Plan, origin: Origin) -> set[type]:
    """Say how the rule of an origin makes its object: by a reference, a template, a function, a join or a constant."""
    item = plan.triples_map(origin.triples_map)
    kinds: set[type] = set()
    for pair in item.predicate_objects:
        for target in pair.objects:
            if origin.line in (pair.line, getattr(target, "line", None)):
                kinds.add(Join if isinstance(target, Join) else type(target.expression))
    return kinds or {Fixed}


def sample(territory: Territory, key: str) -> list[Wanted]:
    generation = current_generation(territory.state / "store")
    assert generation is not None
    graph = ox.NamedNode(territory.graph_of(territory.dataset(key)))
    with Reader(generation) as reader:
        every = [Wanted(str(q.subject), str(q.predicate), str(q.object)) for q in reader.quads(None, None, None, graph)]
    assert every
    return random.Random(f"lineage {key}").sample(every, min(PER_DATASET, len(every)))


def same(cell: str, file: str) -> bool:
    if cell[:1] in "[{" and file[:1] in "[{":
        return bool(json.loads(cell) == json.loads(file))
    return cell == file


def shows(item: Explained, cell: str) -> bool:
    """Tell whether the object of a triple is made of a cell: as text, as a number, or as an instant."""
    lexical = next(iter(ox.parse(f"<urn:s> <urn:p> {item.object} .", ox.RdfFormat.N_TRIPLES))).object.value
    if re.fullmatch(r"-?[0-9.]+", lexical) and re.fullmatch(r"-?[0-9.]+", cell) and float(lexical) == float(cell):
        return True
    return plain(cell.replace("+00:00", "Z")) in plain(lexical)


def verify(key: str, plan: Plan, item: Explained) -> Iterator[str]:
    """Yield what is wrong with an explanation."""
    for origin in item.origins:
        found = cells(key, origin)
        several = "*" in (origin.column or "") or origin.column == "@"
        if origin.cell is not None and not several and not same(origin.cell, ", ".join(cell for cell in found if cell != "")):
            yield f"{origin}: the file says {found}"
        if made_of(plan, origin) <= {Reference, Template} and origin.cell:
            yield from (f"{item.object} is not made of {cell}" for cell in found or [origin.cell] if not shows(item, cell))


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_random_triples_lead_to_the_cell_that_made_them(key: str, loaded: Territory) -> None:
    wanted = sample(loaded, key)
    plan = read_mapping(loaded.dataset(key).mapping, base_iri=loaded.base_iri)
    found = explain_many(loaded, key, wanted)
    assert [item for item in found if item.made_by == "unknown"] == []
    traced = [item for item in found if item.made_by == "mapping"]
    assert all(item.origins and item.rules for item in traced)
    assert [fault for item in traced for fault in verify(key, plan, item)][:3] == []


# --- one question -------------------------------------------------------------------------------------------------------------

STOP = "<https://ld.cityorchestra.example/id/stop/star/1002>"
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"


def test_a_label_is_explained_down_to_the_cell_and_the_line_of_the_mapping(loaded: Territory) -> None:
    item = explain(loaded, STOP, LABEL)[0]
    assert (item.made_by, item.dataset, item.object) == ("mapping", "star/arrets", '"Bouzat"@fr')
    origin = item.origins[0]
    assert (origin.file, origin.row, origin.column, origin.cell, origin.pointer) == (
        "star_arrets.json",
        1,
        "nom",
        "Bouzat",
        "/0/nom",
    )
    rule = item.rules[0]
    line = Path(rule.file).read_text(encoding="utf-8").splitlines()[(rule.line or 1) - 1]
    assert rule.triples_map == "arret" and "rdfs:label, $(nom)" in line
    assert item.note is None, "the mapping of that time was kept"


def test_a_subject_alone_gives_every_triple_with_its_own_column(loaded: Territory) -> None:
    found = explain(loaded, STOP)
    mapped = [item for item in found if item.made_by == "mapping"]
    columns = {item.predicate.strip("<>").rpartition("#")[2].rpartition("/")[2]: item.origins[0].column for item in mapped}
    assert columns["label"] == "nom" and columns["spatial"] == "codeinseecommune" and len(mapped) > 8
    (deduced,) = (item for item in found if item.made_by != "mapping")
    assert (deduced.made_by, deduced.predicate) == ("software", "<http://www.opengis.net/ont/geosparql#sfWithin>")


def test_what_no_mapping_makes_says_who_wrote_it(loaded: Territory) -> None:
    code = explain(loaded, "<https://ld.cityorchestra.example/id/code/indicator/population>")
    assert {item.made_by for item in code} == {"file"} and code[0].note is not None and "codelists" in code[0].note.en
    structure = explain(loaded, "<https://ld.cityorchestra.example/id/structure/rennes-metropole/compte-administratif>")
    assert {item.made_by for item in structure} == {"static"}
    record = explain(loaded, "<https://ld.cityorchestra.example/id/dataset/star/arrets>")
    assert "software" in {item.made_by for item in record}


def test_a_triple_that_is_not_published_is_refused_with_what_is(loaded: Territory) -> None:
    with pytest.raises(RefusedError) as caught:
        explain(loaded, STOP, "<http://xmlns.com/foaf/0.1/name>")
    assert caught.value.hint is not None and "rdfs:label" in caught.value.hint.en
    with pytest.raises(RefusedError):
        explain(loaded, STOP, graphs=[])
    with pytest.raises(UsageError):
        explain(loaded, STOP, run="20200101T000000Z-none-0000")


def test_a_past_run_is_explained_from_its_own_sources(loaded: Territory) -> None:
    generation = current_generation(loaded.state / "store")
    assert generation is not None
    identity = generation.meta["run:star/arrets"]
    item = explain(loaded, STOP, LABEL, run=identity)[0]
    assert item.run == identity and item.origins[0].cell == "Bouzat"
    assert set(RunFolder(loaded.state).load(identity).files) == {"mapping.yml", "dataset.toml"}
