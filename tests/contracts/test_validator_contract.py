"""One contract for every SHACL engine behind our port: what the specification says, and that the engines agree."""

from __future__ import annotations

import importlib.util
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityorchestra_ld.validation import load_shapes, worker
from cityorchestra_ld.validation.check import raw_results
from cityorchestra_ld.validation.engines import FastValidator, ReferenceValidator, Row
from cityorchestra_ld.validation.messages import short_component
from cityorchestra_ld.validation.rewrite import engine_shapes


def third() -> ModuleType:
    """Load the third engine, which stands beside the tests."""
    spec = importlib.util.spec_from_file_location("third_voice", Path(__file__).parents[1] / "third_voice.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


THIRD = third()
TABLE = tomllib.loads(Path(__file__).with_name("shacl_cases.toml").read_text(encoding="utf-8"))
CASES, WHOLE = TABLE["case"], TABLE["whole"]
KNOWN = {(engine, known["constraint"], known["values"]) for known in TABLE["known"] for engine in known["engines"]}
BASE = "https://case.example/"
PREFIXES = f"""
@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix ex: <{BASE}> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""


def written(folder: Path, shapes: str, data: str) -> tuple[Path, Path]:
    (folder / "shapes.ttl").write_text(PREFIXES + shapes, encoding="utf-8")
    (folder / "data.ttl").write_text(PREFIXES + data, encoding="utf-8")
    return folder / "data.ttl", folder / "shapes.ttl"


def run(engine: str, data: Path, shapes: Path) -> list[Row]:
    loaded = load_shapes([shapes], base_iri=BASE)
    return raw_results(data, loaded, FastValidator() if engine == "fast" else ReferenceValidator())


def here(engine: str, data: Path, shapes: Path) -> list[Row]:
    """Run an engine in this process, where it need not start each time."""
    loaded = load_shapes([shapes], base_iri=BASE)
    rules = engine_shapes(loaded, loaded.targeted, ease=engine == "fast")
    return list(worker.ENGINES[engine](str(plain_copy(data)), rules, None, blank=True))


def plain_copy(data: Path) -> Path:
    plain = data.with_suffix(".nq")
    quads = ox.parse(path=str(data), format=ox.RdfFormat.TURTLE)
    plain.write_text("".join(f"{quad.subject} {quad.predicate} {quad.object} .\n" for quad in quads), encoding="utf-8")
    return plain


def elsewhere(data: Path, shapes: Path) -> Counter:
    """Ask the third engine."""
    loaded = load_shapes([shapes], base_iri=BASE)
    return THIRD.third_voice(plain_copy(data), engine_shapes(loaded, loaded.targeted))


def short(component: str) -> str:
    return short_component(component).removesuffix("ConstraintComponent")


def same(rows: list[Row]) -> Counter:
    """Reduce results to what engines must agree on; paths come from the shapes."""
    return Counter((row.focus, row.value, row.component, row.severity, row.shape) for row in rows)


@pytest.fixture(scope="module", params=["fast", "pyshacl", "third"])
def verdicts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Counter]]:
    """Judge all small cases in one run: each has a focus node, a property and a class hierarchy of its own."""
    shapes, data = [], []
    for number, case in enumerate(CASES):
        prefix = f"@prefix ex: <{BASE}n{number}-> .\n"
        shapes.append(
            f"{prefix}ex:S a sh:NodeShape ; sh:targetNode ex:a ; sh:property [ sh:path ex:p ; {case['constraint']} ] ."
        )
        data.append(f"{prefix}ex:{'a' if case['values'] else 'b'} ex:p {case['values'] or 1} . {case.get('more', '')}")
    files = written(tmp_path_factory.mktemp("cases"), "\n".join(shapes), "\n".join(data))
    results = elsewhere(*files) if request.param == "third" else same(run(request.param, *files))
    found: dict[str, Counter] = {}
    for (_, _, component, _, shape), count in results.items():
        found.setdefault(shape.rpartition("/n")[2].partition("-")[0], Counter())[short(component)] += count
    return request.param, found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_small_case_fires_what_the_specification_says(number: int, verdicts: tuple[str, dict[str, Counter]]) -> None:
    engine, found = verdicts
    case = CASES[number]
    agrees = found.get(str(number), Counter()) == Counter(case["fires"].split())
    is_known = (engine, case["constraint"], case["values"]) in KNOWN
    assert agrees is not is_known, f"{case}: {found.get(str(number))}"


def test_there_are_a_hundred_cases_and_known_differences_name_some_of_them() -> None:
    assert len(CASES) + len(WHOLE) >= 100
    assert {known[1:] for known in KNOWN} <= {(case["constraint"], case["values"]) for case in CASES}


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["shapes"][:60])
def test_a_whole_shape_fires_what_the_specification_says(case: dict[str, str], tmp_path: Path) -> None:
    files = written(tmp_path, case["shapes"], case["data"])
    fast = run("fast", *files)
    assert Counter(short(row.component) for row in fast) == Counter(case["fires"].split())
    assert same(fast) == same(here("pyshacl", *files))
    assert THIRD.masked(same(fast)) == elsewhere(*files)


# --- random graphs and random shapes: the engines agree with each other -------------------------------------------------------


def each(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def several(strategy: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(strategy, min_size=1, max_size=most)


nodes = each(*(f"ex:n{i}" for i in range(5)))
literals = each("1", "2", "10", "2.5", '"a"', '"bb"', '"a"@fr', '"b"@en')
triples = st.one_of(
    st.tuples(nodes, each("ex:p", "ex:q", "ex:r"), st.one_of(nodes, literals)),
    st.tuples(nodes, st.just("a"), each("ex:C", "ex:D")),
    st.just(("ex:D", "rdfs:subClassOf", "ex:C")),
)
paths = each(
    *("ex:p", "ex:q", "ex:r", "[ sh:inversePath ex:p ]", "( ex:p ex:q )", "[ sh:alternativePath ( ex:p ex:r ) ]"),
    *("[ sh:zeroOrMorePath ex:p ]", "[ sh:oneOrMorePath ex:q ]", "[ sh:zeroOrOnePath ex:r ]"),
)
simple = each(
    *("sh:nodeKind sh:IRI", "sh:nodeKind sh:Literal", "sh:datatype xsd:integer", "sh:class ex:C", "sh:class ex:D"),
    *("sh:minInclusive 2", "sh:maxExclusive 10", "sh:minLength 2", 'sh:pattern "^a"', 'sh:languageIn ( "fr" )'),
    "sh:in ( 1 2 ex:n1 )",
)
counted = each(
    *("sh:minCount 1", "sh:maxCount 1", "sh:hasValue ex:n1", "sh:uniqueLang true", "sh:equals ex:q", "sh:disjoint ex:r"),
)


def of_members(members: list[str]) -> st.SearchStrategy[str]:
    return each(*(f"[ sh:{name} ( {' '.join(members)} ) ]" for name in ("or", "and", "xone")))


inner = st.recursive(
    simple.map(lambda text: f"[ {text} ]"),
    lambda child: st.one_of(
        several(child).flatmap(of_members),
        child.map(lambda one: f"[ sh:not {one} ]"),
        st.tuples(paths, each("sh:minCount 1", "sh:maxCount 1")).map(lambda p: f"[ sh:property [ sh:path {p[0]} ; {p[1]} ] ]"),
    ),
    max_leaves=4,
)
nested = st.one_of(
    inner.map(lambda shape: f"sh:node {shape}"),
    inner.map(lambda shape: f"sh:not {shape}"),
    several(inner).map(lambda shapes: f"sh:or ( {' '.join(shapes)} )"),
    inner.map(lambda shape: f"sh:qualifiedValueShape {shape} ; sh:qualifiedMinCount 1"),
)
constraints = st.lists(st.one_of(simple, counted, nested), min_size=1, max_size=3, unique_by=lambda text: text.split()[0])
properties = st.tuples(paths, constraints).map(lambda pair: f"sh:property [ sh:path {pair[0]} ; {' ; '.join(pair[1])} ]")
targets = each("sh:targetClass ex:C", "sh:targetNode ex:n0", "sh:targetSubjectsOf ex:p", "sh:targetObjectsOf ex:q")
graphs = st.lists(triples, min_size=1, max_size=25).map(lambda found: "".join(f"{s} {p} {o} .\n" for s, p, o in found))
shapes_graphs = several(st.tuples(targets, several(properties))).map(
    lambda shapes: "".join(f"ex:S{n} a sh:NodeShape ; {t} ; {' ; '.join(p)} .\n" for n, (t, p) in enumerate(shapes))
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=graphs, shapes=shapes_graphs)
@pytest.mark.slow
def test_engines_agree_on_random_graphs_and_shapes(data: str, shapes: str, tmp_path: Path) -> None:
    files = written(tmp_path, shapes, data)
    fast = same(here("fast", *files))
    assert fast == same(here("pyshacl", *files))
    assert THIRD.masked(fast) == elsewhere(*files)
