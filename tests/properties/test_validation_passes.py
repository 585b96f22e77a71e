"""However an engine is asked (node by node, set by set, with a context, in parts), the results are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityorchestra_ld.model import Limits
from cityorchestra_ld.validation import ShapesGraph, load_shapes, run, worker
from cityorchestra_ld.validation.rewrite import engine_shapes
from cityorchestra_ld.validation.run import Run
from cityorchestra_ld.validation.setwise import setwise
from cityorchestra_ld.validation.shapes import Shape
from cityorchestra_ld.validation.survey import survey
from cityorchestra_ld.validation.tally import Tally, path_of
from cityorchestra_ld.validation.worker import Row

X = "https://x.example/"
PREFIXES = (
    f"@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <{X}> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
)
TYPE, SUBCLASS = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", "<http://www.w3.org/2000/01/rdf-schema#subClassOf>"


class Here:
    """The fast engine in this process."""

    name, fast = "here", True

    def run(self, data: Path, shapes: bytes, budget: object, *, cap: int | None = None, blank: bool = True) -> Iterator[Row]:
        return worker.run_fast(str(data), shapes, cap, blank=blank)


class Slow:
    """The reference in this process."""

    name, fast = "slow", False

    def run(self, data: Path, shapes: bytes, budget: object, *, cap: int | None = None, blank: bool = True) -> Iterator[Row]:
        return worker.run_reference(str(data), shapes, cap, blank=blank)


def reduced(row: Row, shapes: ShapesGraph) -> tuple:
    return row.focus, path_of(row, shapes), row.value, row.component, row.severity, row.shape, tuple(sorted(row.messages))


def term(name: str) -> str:
    return f"<{X}{name}>"


nodes = st.sampled_from([term(f"n{i}") for i in range(6)])
values = st.one_of(
    nodes,
    st.sampled_from(
        [
            '"1"',
            '"a@b.fr"',
            '"12"^^<http://www.w3.org/2001/XMLSchema#integer>',
            '"3"^^<http://www.w3.org/2001/XMLSchema#integer>',
        ]
    ),
)
links = st.tuples(nodes, st.sampled_from([term("p"), term("q"), term("r")]), values)
types = st.tuples(nodes, st.just(TYPE), st.sampled_from([term("C"), term("D")]))
lines = st.one_of(links, links, types, st.just((term("D"), SUBCLASS, term("C")))).map(lambda t: f"{' '.join(t)} .\n")
graphs = st.lists(lines, min_size=1, max_size=20, unique=True)

QUERIES = [
    "SELECT $this ?path ?value { $this ?path ?value . FILTER(isLiteral(?value) && CONTAINS(STR(?value), '@')) }",
    "SELECT $this ?value WHERE { $this ex:p ?value . FILTER NOT EXISTS { ?value ex:q ?x . FILTER EXISTS { ?x a ex:C } } }",
    "SELECT DISTINCT $this WHERE { $this ex:p ?a ; ex:q ?b . OPTIONAL { ?b ex:r ?c } FILTER(!BOUND(?c) || ?a != ?b) }",
    "SELECT $this (?a AS ?value) WHERE { $this ex:p ?a . BIND(1 AS ?one) FILTER NOT EXISTS { $this ex:q ?a } }",
    "SELECT $this ?value WHERE { ?other ex:p $this . OPTIONAL { $this ex:q ?value } FILTER(?other != $this) }",
    "SELECT $this (COUNT(?a) AS ?value) WHERE { $this ex:p ?a } GROUP BY $this HAVING (COUNT(?a) > 1)",
    "SELECT $this ?value WHERE { { $this ex:p ?value } UNION { $this ex:q ?value } FILTER(isIRI(?value)) }",
    "SELECT $this WHERE { FILTER NOT EXISTS { $this ex:p ?x } }",
]
core = st.sampled_from(
    [
        "sh:property [ sh:path ex:p ; sh:class ex:C ]",
        "sh:property [ sh:path ( ex:p ex:q ) ; sh:minCount 1 ]",
        "sh:property [ sh:path ex:q ; sh:or ( [ sh:class ex:D ] [ sh:datatype xsd:integer ] ) ]",
        "sh:nodeKind sh:IRI ; sh:property [ sh:path [ sh:inversePath ex:p ] ; sh:maxCount 1 ]",
    ]
)
sparql = st.sampled_from(QUERIES).map(
    lambda query: f"""sh:sparql [ sh:prefixes ex:P ; sh:message "{{$this}} {{?value}}" ; sh:select "{query}" ]"""
)
targets = st.sampled_from(
    ["sh:targetClass ex:C", "sh:targetSubjectsOf ex:p", "sh:targetObjectsOf ex:q", "sh:targetNode ex:n0 , ex:n1"]
)
rules = st.lists(st.tuples(targets, st.one_of(core, sparql, sparql)), min_size=1, max_size=3).map(
    lambda found: (
        "".join(f"ex:S{n} a sh:NodeShape ; {' ; '.join(parts)} .\n" for n, parts in enumerate(found))
        + f'ex:P sh:declare [ sh:prefix "ex" ; sh:namespace "{X}"^^xsd:anyURI ] .'
    )
)


def judge(folder: Path, shapes: ShapesGraph, data: list[str], context: list[str], engine: Here | Slow) -> Counter:
    """Validate the way the product does, but in this process."""
    (folder / "data.nq").write_text("".join(data))
    (folder / "context.nq").write_text("".join(context))
    seen = survey(folder / "data.nq", [folder / "context.nq"] if context else [], shapes, folder)
    job = Run(shapes, seen, [engine], Limits(report_samples=10_000), folder, Tally(10_000))
    job.all()
    found = Counter(reduced(row, shapes) for row in job.tally.kept())
    assert job.tally.total == found.total()
    return found


def plainly(folder: Path, shapes: ShapesGraph, data: list[str], context: list[str], engine: Here | Slow) -> Counter:
    """Validate all triples at once, node by node, and keep the results about nodes of the data."""
    whole = folder / "whole.nq"
    whole.write_text("".join([*data, *context]))
    rows = engine.run(whole, engine_shapes(shapes, shapes.targeted), None)
    ours = (row for row in rows if not context or belongs(row.focus, data, shapes.shapes[shapes.shapes[row.shape].root]))
    return Counter(reduced(row, shapes) for row in ours)


def belongs(focus: str, data: list[str], shape: Shape) -> bool:
    subjects = {line.split(" ")[0] for line in data}
    pointed = {
        line.split(" ", 2)[2][:-3]
        for line in data
        for t in shape.targets
        if t.kind == "objects" and line.split(" ")[1] == str(t.term)
    }
    return focus in subjects | pointed | {str(t.term) for t in shape.targets if t.kind == "node"}


@pytest.fixture(params=[20_000, 3])
def cap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bound the results of one pass, once so that nothing is cut and once so that nearly everything is."""
    monkeypatch.setattr(run, "CAP", request.param)
    return request.param


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs, text=rules, cutting=st.integers(0, 20))
@pytest.mark.slow
def test_every_way_of_asking_gives_the_results_of_one_plain_validation(
    graph: list[str], text: str, cutting: int, cap: int
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shapes.ttl").write_text(PREFIXES + text)
        shapes = load_shapes([folder / "shapes.ttl"], base_iri="https://base.example/")
        data, context = graph[: max(1, cutting)], graph[max(1, cutting) :]
        assert judge(folder, shapes, data, context, Here()) == plainly(folder, shapes, data, context, Here())


@settings(max_examples=15, deadline=None)
@given(graph=graphs, text=rules)
def test_the_reference_gives_the_same_results_when_a_query_judges_all_nodes_at_once(graph: list[str], text: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shapes.ttl").write_text(PREFIXES + text)
        shapes = load_shapes([folder / "shapes.ttl"], base_iri="https://base.example/")
        assert judge(folder, shapes, graph, [], Slow()) == plainly(folder, shapes, graph, [], Slow())


def test_flat_queries_are_judged_set_by_set_and_others_are_not(tmp_path: Path) -> None:
    shapes = "".join(
        f'ex:S{n} sh:targetClass ex:C ; sh:sparql [ sh:prefixes ex:P ; sh:select "{query}" ] .\n'
        for n, query in enumerate(QUERIES)
    )
    (tmp_path / "s.ttl").write_text(f'{PREFIXES}{shapes}ex:P sh:declare [ sh:prefix "ex" ; sh:namespace "{X}"^^xsd:anyURI ] .')
    found = {item.shape for item in setwise(load_shapes([tmp_path / "s.ttl"], base_iri="https://base.example/"))}
    assert found == {term(f"S{n}") for n in (0, 1, 2, 3, 4, 7)}
