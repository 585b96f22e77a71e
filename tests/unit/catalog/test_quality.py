"""The quality of a version is a graph: exact counts, groups and results that lead to a row and a column."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.catalog.quality import quality
from cityorchestra_ld.model import Comparison, GroupChange, Origin, Result, ResultGroup, Severity, Text, ValidationReport
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.runs import Run, Status
from cityorchestra_ld.territory import load_territory

TERRITORY = load_territory(Path(__file__).resolve().parents[3])
KEY = "insee/regions"
PREFIXES = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in prefixes().items())
SHAPE = "<https://x.example/Name>"
GROUP = ResultGroup(
    shape=SHAPE,
    path="<https://x.example/name>",
    component="PatternConstraintComponent",
    severity=Severity.VIOLATION,
    count=1200,
    shown=1,
    title=Text("Nom", "Name"),
)
REPORT = ValidationReport(
    results=(
        Result(
            focus="<https://x.example/a>",
            path="<https://x.example/name>",
            value='"0612345678"',
            component="PatternConstraintComponent",
            severity=Severity.VIOLATION,
            shape=SHAPE,
            message=Text("Mauvais nom", "Wrong name"),
            origins=(Origin(file="regions.csv", row=7, column="nom", cell="0612345678", triples_map="<#region>"),),
        ),
    ),
    counts={Severity.VIOLATION: 1200},
    focus_nodes=3000,
    engine="shacl",
    shapes=(SHAPE,),
    groups=(GROUP,),
    comparison=Comparison(run="r0", groups=(GroupChange(group=GROUP, new=1000, fixed=3, remaining=200),)),
)


def described(report: ValidationReport | None) -> ox.Store:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = Run(
        id="r1", dataset=KEY, status=Status.PUBLISHED, started=now, finished=now, version="1-abc", triples=12, violations=1200
    )
    store = ox.Store()
    store.extend(ox.Quad(*triple) for triple in quality(TERRITORY, TERRITORY.dataset(KEY), run, report))
    return store


def asked(store: ox.Store, query: str) -> list[list[str | None]]:
    return [[term.value if term is not None else None for term in row] for row in store.query(PREFIXES + query)]


def test_measures_say_what_was_counted_and_how_that_changed() -> None:
    found = asked(described(REPORT), "SELECT ?m ?v { ?x dqv:isMeasurementOf ?m ; dqv:value ?v }")
    measures = {str(metric).rpartition("/")[2]: value for metric, value in found}
    assert measures["shacl-violations"] == "1200" and measures["shacl-focus-nodes"] == "3000"
    assert (measures["shacl-new"], measures["shacl-fixed"], measures["shacl-remaining"]) == ("1000", "3", "200")


def test_groups_have_exact_counts_and_results_lead_to_a_row_and_a_column() -> None:
    store = described(REPORT)
    assert asked(store, "SELECT ?n { ?report sh:conforms false ; co:resultGroup/co:resultCount ?n }") == [["1200"]]
    where = "?r a sh:ValidationResult ; co:sourceFile ?file ; co:sourceRow ?row ; co:sourceColumn ?column"
    assert asked(store, f"SELECT ?file ?row ?column {{ {where} }}") == [["regions.csv", "7", "nom"]]


def test_a_version_without_a_report_has_measures_only() -> None:
    store = described(None)
    assert asked(store, "SELECT ?r { ?r a sh:ValidationReport }") == []
    assert asked(store, "SELECT ?m { ?x dqv:isMeasurementOf ?m }")
