"""Keep what validation found as a graph that anybody may query: measures, groups with exact counts, a sample of results."""

from __future__ import annotations

import pyoxigraph as ox

from cityorchestra_ld.catalog.triples import Graph, both, lit
from cityorchestra_ld.model import Result, ResultGroup, Text, ValidationReport
from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.runs import Run
from cityorchestra_ld.territory import Dataset, Territory
from cityorchestra_ld.validation import identity, parse_term

_N = ox.NamedNode
_GROUPS, _RESULTS = 200, 1_000  # that are listed; counts are those of all


def quality(territory: Territory, dataset: Dataset, run: Run, report: ValidationReport | None) -> Graph:
    """Describe the quality of a version (DQV, section 4; SHACL, section 3.6): values as the graph has them, no other cell."""
    graph = Graph(territory.base_iri)
    version = territory.iris.dataset(dataset.key, run.version)
    for name, (label, value) in _measures(run, report).items():
        _measure(graph, territory, dataset, run, (name, label, value))
    if report is not None:
        node = territory.iris.id("quality", *dataset.key.split("/"), run.version, "report")
        total = sum(report.counts.values())
        graph.add(
            node,
            ["sh:ValidationReport", "dqv:QualityMetadata"],
            dqv_computedOn=_N(version),
            sh_conforms=lit(total == 0),
            prov_wasGeneratedBy=_N(territory.iris.id("run", run.id)),
        )
        for group in report.groups[:_GROUPS]:
            _group(graph, node, group)
        for result in report.results[:_RESULTS]:
            _result(graph, node, result)
    return graph


def _measures(run: Run, report: ValidationReport | None) -> dict[str, tuple[Text, int]]:
    found = {
        "shacl-violations": (Text("Violations SHACL", "SHACL violations"), run.violations),
        "shacl-warnings": (Text("Avertissements SHACL", "SHACL warnings"), run.warnings),
        "shacl-infos": (Text("Remarques SHACL", "SHACL remarks"), run.infos),
        "records": (Text("Enregistrements lus", "Records read"), sum(run.records.values())),
        "rows-set-aside": (Text("Lignes fausses mises de côté", "Wrong rows set aside"), run.set_aside),
        "triples": (Text("Triplets publiés", "Triples published"), run.triples),
    }
    if report is not None:
        found["shacl-focus-nodes"] = (Text("Nœuds vérifiés", "Nodes checked"), report.focus_nodes)
        if report.comparison is not None:
            change = report.comparison
            found["shacl-new"] = (Text("Résultats nouveaux", "New results"), change.new)
            found["shacl-fixed"] = (Text("Résultats corrigés", "Fixed results"), change.fixed)
            found["shacl-remaining"] = (Text("Résultats qui demeurent", "Remaining results"), change.remaining)
    return found


def _measure(graph: Graph, territory: Territory, dataset: Dataset, run: Run, measure: tuple[str, Text, int]) -> None:
    name, label, value = measure
    iris = territory.iris
    version = iris.dataset(dataset.key, run.version)
    dimension = iris.id("code", "quality-dimension", "conformance")
    metric = iris.id("code", "quality-metric", name)
    node = iris.id("quality", *dataset.key.split("/"), run.version, name)
    graph.add(dimension, ["dqv:Dimension"], skos_prefLabel=both(Text("Conformité", "Conformance")))
    graph.add(metric, ["dqv:Metric"], skos_prefLabel=both(label), dqv_inDimension=_N(dimension))
    graph.add(
        node, ["dqv:QualityMeasurement"], dqv_isMeasurementOf=_N(metric), dqv_computedOn=_N(version), dqv_value=lit(value)
    )
    graph.add(version, dqv_hasQualityMeasurement=_N(node))


def _group(graph: Graph, report: str, group: ResultGroup) -> None:
    """Describe the results of one shape, path and component, with their exact number."""
    key = identity(_example(group))
    node = graph.add(
        f"{report}/group/{key}",
        ["co:ResultGroup"],
        rdfs_label=both(group.title),
        co_resultCount=lit(group.count),
        sh_sourceShape=_term(group.shape),
        sh_sourceConstraintComponent=_component(group.component),
        sh_resultSeverity=_N(f"{SH}{group.severity.value}"),
        co_resultPath=lit(group.path) if group.path else None,
    )
    graph.add(report, co_resultGroup=_N(node))


def _result(graph: Graph, report: str, result: Result) -> None:
    origin = result.origins[0] if result.origins else None
    focus = _term(result.focus)
    node = graph.add(
        f"{report}/result/{identity(result)}",
        ["sh:ValidationResult"],
        sh_focusNode=focus,
        sh_resultPath=_term(result.path) if result.path and _is_iri(result.path) else None,
        co_resultPath=lit(result.path) if result.path and not _is_iri(result.path) else None,
        sh_value=_term(result.value) if result.value is not None else None,
        sh_sourceShape=_term(result.shape),
        sh_sourceConstraintComponent=_component(result.component),
        sh_resultSeverity=_N(f"{SH}{result.severity.value}"),
        sh_resultMessage=both(result.message),
        co_sourceFile=lit(origin.file) if origin else None,
        co_sourceRow=lit(origin.row) if origin and origin.row is not None else None,
        co_sourceColumn=lit(origin.column) if origin and origin.column else None,
        co_mappingRule=lit(origin.triples_map) if origin else None,
    )
    graph.add(report, sh_result=_N(node))


def _example(group: ResultGroup) -> Result:
    """Stand for a whole group, so that it has a name that does not change from run to run."""
    return Result(
        focus="", path=group.path, value=None, component=group.component, severity=group.severity, shape=group.shape,
        message=group.title,
    )  # fmt: skip


def _term(text: str) -> ox.NamedNode | ox.Literal:
    """Read a term as N-Triples writes it; a node without a name is only told."""
    found = parse_term(text)
    return lit(text) if isinstance(found, ox.BlankNode) else found


def _component(component: str) -> ox.NamedNode:
    return _N(component if ":" in component else f"{SH}{component}")


def _is_iri(path: str) -> bool:
    return path.startswith("<") and path.endswith(">") and path.count("<") == 1
