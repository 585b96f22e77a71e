"""What every executor of a plan must do: the same graph, the same counts, the same errors; DuckDB alone is the measure."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cityorchestra_ld import pipeline
from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping import MapReport, Plan, materialize, read_mapping
from cityorchestra_ld.mapping.spark import materialize_on_spark
from cityorchestra_ld.model import Limits, Table
from cityorchestra_ld.sources import open_loose, stage
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = importlib.util.find_spec("pyspark") is not None and shutil.which("java") is not None
Executor = Callable[..., MapReport]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the gateway to Java
    pytest.mark.skipif(
        not INSTALLED and not os.environ.get("CI"), reason="NO SPARK: `make spark` installs it; it needs Java 17"
    ),
]


def workloads() -> ModuleType:
    """Load the workloads of the benchmark, which is no package."""
    path = ROOT / "bench" / "mapping_workloads.py"
    spec = importlib.util.spec_from_file_location("mapping_workloads", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    """Return Spark on two local cores, cutting sources into pieces of a thousand records."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield partial(materialize_on_spark, session=session, records=1000)
    session.stop()


def read(mapping: Path, folder: Path, tmp_path: Path) -> tuple[Plan, dict[str, Table]]:
    plan = read_mapping(mapping, base_iri="http://example.com/")
    specs = {source.spec.name: replace(source.spec, path=folder / source.spec.name) for source in plan.sources}
    return plan, {name: open_loose(spec, tmp_path / "staged", Limits()) for name, spec in specs.items()}


def lines(path: Path) -> set[bytes]:
    return set(path.read_bytes().splitlines())


def both(executor: Executor, plan: Plan, tables: dict[str, Table], tmp_path: Path, **more: Any) -> set[bytes]:
    one = materialize(plan, tables, tmp_path / "duckdb.nq", **more)
    two = executor(plan, tables, tmp_path / "spark.nq", **more)
    assert (two.quads, dict(two.records), dict(two.per_map)) == (one.quads, dict(one.records), dict(one.per_map))
    expected, got = lines(tmp_path / "duckdb.nq"), lines(tmp_path / "spark.nq")
    assert got == expected
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set(), "no working file is left"
    return got


@pytest.mark.parametrize(("name", "rows"), [("flat", 20_000), ("joined", 20_000), ("nested", 3_000)])
def test_the_workloads_of_the_benchmark_give_the_same_graph(name: str, rows: int, executor: Executor, tmp_path: Path) -> None:
    made = getattr(workloads(), name)(tmp_path / "work", rows)
    plan, tables = read(made.mapping, made.folder, tmp_path)
    assert len(both(executor, plan, tables, tmp_path)) > 3 * rows


@pytest.mark.parametrize("key", ["star/arrets", "eco-compteur/comptages-velo", "velib/gbfs", "insee/iris-population"])
def test_datasets_of_the_territory_give_the_same_graph(key: str, executor: Executor, tmp_path: Path) -> None:
    territory = load_territory(ROOT, state=tmp_path / "state")
    dataset = territory.dataset(key)
    plan = read_mapping(dataset.mapping, base_iri=territory.base_iri)
    tables = {spec.name: stage(spec, tmp_path / "staged", territory.limits) for spec in dataset.sources}
    assert both(executor, plan, tables, tmp_path, default_graph=territory.graph_of(dataset))


def test_a_territory_that_maps_on_spark_publishes_the_same_graph(executor: Executor, tmp_path: Path) -> None:
    digests = []
    for name in ("duckdb", "spark"):
        territory = replace(load_territory(ROOT, state=tmp_path / name), executor=name)
        outcome = pipeline.run(territory, ["insee/regions"])
        assert outcome.exit_code == 0 and outcome.generation is not None
        graph = territory.graph_of(territory.dataset("insee/regions"))
        digests += [info.sha256 for info in outcome.generation.graphs if info.graph == graph]
    assert len(digests) == 2 and digests[0] == digests[1]


HEAD = """@prefix rml: <http://w3id.org/rml/> . @prefix ex: <http://example.com/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<#m> a rml:TriplesMap ; rml:logicalSource [ rml:source [ a rml:RelativePathSource ; rml:path "t.csv" ] ;
    rml:referenceFormulation rml:CSV ] ;
"""
FRESH = (
    HEAD
    + """  rml:subjectMap [ rml:termType rml:BlankNode ; rml:template "n{id}" ] ;
  rml:predicateObjectMap [ rml:predicate ex:of ; rml:objectMap [ rml:reference "name" ] ] .
"""
)
WRONG = (
    HEAD
    + """  rml:subjectMap [ rml:template "http://example.com/{id}" ] ;
  rml:predicateObjectMap [ rml:predicate ex:v ; rml:objectMap [ rml:reference "v" ; rml:datatype xsd:integer ] ] .
"""
)


def table(tmp_path: Path, mapping: str, rows: list[str]) -> tuple[Plan, dict[str, Table]]:
    (tmp_path / "t.csv").write_text("\n".join(["id,name,v", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "m.ttl").write_text(mapping, encoding="utf-8")
    return read(tmp_path / "m.ttl", tmp_path, tmp_path)


def test_blank_nodes_of_different_pieces_stay_apart_and_those_of_one_name_together(executor: Executor, tmp_path: Path) -> None:
    plan, tables = table(tmp_path, FRESH, [f"{n % 2500},name {n},1" for n in range(5000)])
    got = both(executor, plan, tables, tmp_path)
    assert len({line.split()[0] for line in got}) == 2500 and len(got) == 5000


def test_an_error_names_the_same_row_column_and_value(executor: Executor, tmp_path: Path) -> None:
    plan, tables = table(tmp_path, WRONG, [f"{n},x,{'twelve' if n in (3210, 4000) else n}" for n in range(5000)])
    told = []
    for run in (materialize, executor):
        with pytest.raises(MappingError) as caught:
            run(plan, tables, tmp_path / "out.nq")
        told.append((caught.value.message, caught.value.place, caught.value.hint))
    assert told[0] == told[1] and told[0][1].row == 3212 and told[0][1].value == "twelve"
    assert not (tmp_path / "out.nq").exists()


def test_an_empty_table_gives_an_empty_graph(executor: Executor, tmp_path: Path) -> None:
    plan, tables = table(tmp_path, WRONG, [])
    assert both(executor, plan, tables, tmp_path) == set()
