"""A small bench for mappings: files and a mapping in, quads, errors or origins out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.mapping import MapReport, Plan, materialize, read_mapping
from cityorchestra_ld.model import Table

BASE = "http://example.com/"
PREFIXES = """
@prefix rml: <http://w3id.org/rml/> .
@prefix ex: <http://ex.org/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix fn: <https://ld.cityorchestra.example/def/fn#> .
@base <http://m.org/> .
"""


def as_table(name: str, path: Path, *, delimiter: str = ",", nulls: tuple[str, ...] = ("",), header_row: int = 1) -> Table:
    """Describe a file as the staging does, without any detection."""
    data = path.read_bytes()
    if not name.endswith(".csv"):
        return Table(name=name, format="json", path=path, original=path, label=name, sha256="", size=len(data))
    limit = csv.field_size_limit(2**31 - 1)
    rows = [row for row in csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter) if row]
    csv.field_size_limit(limit)
    return Table(
        name=name, format="csv", path=path, original=path, label=name, sha256="", size=len(data), records=len(rows) - 1,
        columns=tuple(rows[0]), labels=tuple(rows[0]), delimiter=delimiter, nulls=nulls, header_row=header_row,
    )  # fmt: skip


@dataclass
class Bench:
    """Runs mappings in one folder."""

    folder: Path

    def plan(self, mapping: str) -> Plan:
        path = self.folder / ("mapping.yml" if "mappings:" in mapping else "mapping.ttl")
        path.write_text(mapping if path.suffix == ".yml" else PREFIXES + mapping, encoding="utf-8")
        return read_mapping(path, base_iri=BASE)

    def tables(self, files: Mapping[str, str | bytes], **options: object) -> dict[str, Table]:
        tables = {}
        for name, content in files.items():
            path = self.folder / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            tables[name] = as_table(name, path, **options)  # type: ignore[arg-type]
        return tables

    def report(self, mapping: str, files: Mapping[str, str | bytes], **options: object) -> MapReport:
        return materialize(self.plan(mapping), self.tables(files, **options), self.folder / "out.nq")

    def run(self, mapping: str, files: Mapping[str, str | bytes], **options: object) -> set[str]:
        """Map, and return the statements as pyoxigraph writes them."""
        self.report(mapping, files, **options)
        return {str(quad)[:-2].rstrip() if str(quad).endswith(" .") else str(quad) for quad in self.quads()}

    def quads(self) -> list[ox.Quad]:
        return list(ox.parse(path=self.folder / "out.nq", format=ox.RdfFormat.N_QUADS))

    def values(self, mapping: str, files: Mapping[str, str | bytes], **options: object) -> set[str]:
        """Map, and return only the objects."""
        self.report(mapping, files, **options)
        return {str(quad.object) for quad in self.quads()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def csv_rule() -> Callable[..., str]:
    """Write a mapping with one triples map over data.csv, subject http://ex.org/{id}."""

    def write(*objects: str, subject: str = 'rml:template "http://ex.org/{id}"', more: str = "") -> str:
        poms = " ".join(
            f"rml:predicateObjectMap [ rml:predicate ex:p{n} ; rml:objectMap [ {o} ] ] ;" for n, o in enumerate(objects)
        )
        source = 'rml:source [ a rml:RelativePathSource ; rml:root rml:MappingDirectory ; rml:path "data.csv" ]'
        return (
            f"<#Rule> a rml:TriplesMap ;\n rml:logicalSource [ {source} ; rml:referenceFormulation rml:CSV ] ;\n"
            f" {poms} {more}\n rml:subjectMap [ {subject} ] ."
        )

    return write


@pytest.fixture
def json_rule() -> Callable[..., str]:
    """Write a mapping with one triples map over data.json, subject http://ex.org/{id}."""

    def write(
        *objects: str, subject: str = 'rml:template "http://ex.org/{$.id}"', iterator: str = "$[*]", more: str = ""
    ) -> str:
        poms = " ".join(
            f"rml:predicateObjectMap [ rml:predicate ex:p{n} ; rml:objectMap [ {o} ] ] ;" for n, o in enumerate(objects)
        )
        source = 'rml:source [ a rml:RelativePathSource ; rml:root rml:MappingDirectory ; rml:path "data.json" ]'
        return (
            f"<#Rule> a rml:TriplesMap ;\n rml:logicalSource [ {source} ; rml:referenceFormulation rml:JSONPath ; "
            f'rml:iterator "{iterator}" ] ;\n {poms} {more}\n rml:subjectMap [ {subject} ] .'
        )

    return write


CSV_SOURCE = (
    'rml:logicalSource [ rml:source [ a rml:RelativePathSource ; rml:path "{}" ] ; rml:referenceFormulation rml:CSV ] ;'
)
JOIN = """
<#Child> {child} rml:subjectMap [ rml:template "http://ex.org/c/{{id}}" ] ;
 rml:predicateObjectMap [ rml:predicate ex:of ; rml:objectMap [ rml:parentTriplesMap <#Parent> ; {conditions} ] ] .
<#Parent> {parent} rml:subjectMap [ rml:template "http://ex.org/p/{{name}}" ] ; {more}
 rml:predicateObjectMap [ rml:predicate rdfs:label ; rml:objectMap [ rml:reference "name" ] ] .
"""


@pytest.fixture
def join() -> Callable[..., str]:
    """Write a mapping whose rule Child links ex:of to rule Parent under join conditions."""

    def write(*conditions: str, more: str = "", child: str = "child.csv", parent: str = "parent.csv") -> str:
        written = " ; ".join(f"rml:joinCondition [ {condition} ]" for condition in conditions)
        return JOIN.format(child=CSV_SOURCE.format(child), parent=CSV_SOURCE.format(parent), conditions=written, more=more)

    return write
