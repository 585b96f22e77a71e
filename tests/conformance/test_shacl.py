"""The W3C SHACL test suite through our port: full result sets, for the fast engine and for the reference."""

from __future__ import annotations

import importlib.util
import os
import random
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import ShapesError
from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.validation import load_shapes, worker
from cityorchestra_ld.validation.check import raw_results
from cityorchestra_ld.validation.engines import EngineRefusedError, FastValidator
from cityorchestra_ld.validation.graph import Graph
from cityorchestra_ld.validation.messages import Messenger
from cityorchestra_ld.validation.paths import read_path
from cityorchestra_ld.validation.rewrite import engine_shapes
from cityorchestra_ld.validation.tally import path_of
from cityorchestra_ld.validation.vocabulary import PARAMETERS, PATH_STEPS

SUITE = Path(os.environ.get("CITYORCHESTRA_SUITES", Path(__file__).parents[3] / "shared" / "suites")) / "shacl" / "tests"
LOCK = tomllib.loads(Path(__file__).with_name("shacl.toml").read_text())["shacl"]
BASE = "https://suite.example/"
MF, SHT = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#", "http://www.w3.org/ns/shacl-test#"
no_suite = pytest.mark.skipif(not SUITE.exists() and not os.environ.get("CI"), reason=f"NO CONFORMANCE SUITE at {SUITE}")
ENGINES = ("fast", "pyshacl")


def discover() -> dict[str, Path]:
    """Return every file that holds a test, by its path without the suffix."""
    return {
        str(path.relative_to(SUITE).with_suffix("")): path
        for path in sorted(SUITE.rglob("*.ttl"))
        if path.name != "manifest.ttl" and "sht:Validate" in path.read_text(encoding="utf-8")
    }


CASES = discover()
APPLICABLE = [name for name in CASES if name not in LOCK["not_applicable"]]


@cache
def triples(path: Path) -> tuple:
    """Parse a file once, so that its blank nodes have the same labels wherever they are used."""
    return tuple(ox.parse(path.read_bytes(), format=ox.RdfFormat.TURTLE, base_iri=path.as_uri()))


def read(path: Path) -> Graph:
    return Graph((quad.subject, quad.predicate.value, quad.object) for quad in triples(path))


def written(path: Path, folder: Path, name: str) -> Path:
    target = folder / f"{name}.nt"
    target.write_text("".join(f"{q.subject} {q.predicate} {q.object} .\n" for q in triples(path)), encoding="utf-8")
    return target


class Case:
    """One test: what to validate, and what must come out."""

    def __init__(self, path: Path) -> None:
        self.manifest = read(path)
        test = next(s for s, _ in self.manifest.pairs(f"{MF}action"))
        action = self.manifest.one(test, f"{MF}action")
        self.data, self.shapes = (
            Path(self.manifest.one(action, f"{SHT}{name}").value.removeprefix("file://"))
            for name in ("dataGraph", "shapesGraph")
        )
        self.expected = self.manifest.one(test, f"{MF}result")

    @property
    def must_fail(self) -> bool:
        return self.expected == ox.NamedNode(f"{SHT}Failure")

    @property
    def conforms(self) -> bool:
        return self.manifest.one(self.expected, f"{SH}conforms").value == "true"

    def results(self):
        """Yield (focus, path, value, component, severity, source shape) and the messages that are asked for."""
        for result in self.manifest.objects(self.expected, f"{SH}result"):
            get = lambda name, node=result: self.manifest.one(node, SH + name)  # noqa: E731
            path = get("resultPath")
            value = get("value")
            yield (
                (
                    str(get("focusNode")),
                    read_path(self.manifest, path).sparql() if path is not None else None,
                    str(value) if value is not None else None,
                    get("sourceConstraintComponent").value,
                    get("resultSeverity").value,
                    str(get("sourceShape")) if get("sourceShape") is not None else None,
                ),
                [message.value for message in self.manifest.objects(result, f"{SH}resultMessage")],
            )


def run(engine: str, data: Path, shapes):
    """Take the fast engine through its child process; the reference in this one, since it takes a second to start."""
    if engine == "fast":
        return raw_results(data, shapes, FastValidator())
    try:
        return list(worker.run_reference(str(data), engine_shapes(shapes, shapes.targeted), None, blank=True))
    except worker.RefusedError as error:
        raise EngineRefusedError(str(error)) from None


def without_blank(rows: Counter) -> Counter:
    """Forget the labels of blank nodes."""
    plain = Counter()
    for row, count in rows.items():
        plain[tuple("_:" if part is not None and part.startswith("_:") else part for part in row)] += count
    return plain


def judge(name: str, engine: str, folder: Path) -> str | None:
    """Return what differs from the expected report, or nothing."""
    case = Case(CASES[name])
    data, file = written(case.data, folder, "data"), written(case.shapes, folder, "shapes")
    try:
        shapes = load_shapes([file], base_iri=BASE, strict=False)
        rows = run(engine, data, shapes)
    except (ShapesError, EngineRefusedError) as error:
        return None if case.must_fail else f"refused: {error}"
    if case.must_fail:
        return "accepted what must fail"
    original = {minted: label for minted, label in shapes.renamed.items()}
    found = Counter(
        (row.focus, path_of(row, shapes), row.value, row.component, row.severity, original.get(row.shape, row.shape))
        for row in rows
    )
    expected = Counter(result for result, _ in case.results())
    if found != expected and (case.data == CASES[name] or without_blank(found) != without_blank(expected)):
        return f"missing {expected - found}, too many {found - expected}"
    if case.conforms is not (not rows):
        return "wrong sh:conforms"
    return wrong_message(case, rows, shapes)


def wrong_message(case: Case, rows, shapes) -> str | None:
    messenger = Messenger(shapes, {})
    said = {text for row in rows for message in [messenger.message(row)] for text in (message.fr, message.en)}
    wanted = {message for _, messages in case.results() for message in messages}
    return None if wanted <= said else f"messages {wanted - said} not among {said}"


@no_suite
@pytest.mark.parametrize("name", APPLICABLE or [pytest.param("none", marks=pytest.mark.skip(reason=f"NO SUITE at {SUITE}"))])
def test_a_third_engine_finds_the_same(name: str, tmp_path: Path) -> None:
    case = Case(CASES[name])
    data, file = written(case.data, tmp_path, "data"), written(case.shapes, tmp_path, "shapes")
    try:
        shapes = load_shapes([file], base_iri=BASE, strict=False)
        ours = run("fast", data, shapes)
    except (ShapesError, EngineRefusedError):
        assert case.must_fail
        return
    voice = load("third_voice", Path(__file__).parents[1])
    found = Counter((row.focus, row.value, row.component, row.severity, row.shape) for row in ours)
    agrees = voice.third_voice(data, engine_shapes(shapes, shapes.targeted)) == voice.masked(found)
    assert agrees is (name not in LOCK["known_failures"]["third"])


MUTABLE = {SH + name for name in (*PARAMETERS, "path", *PATH_STEPS)}
JUNK = [ox.Literal("junk"), ox.Literal(-1.5), ox.NamedNode("urn:junk"), ox.BlankNode(), ox.Literal("1", language="fr")]
OUTCOMES: dict[tuple[str, str], str | None] = {}


@no_suite
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", APPLICABLE or [pytest.param("none", marks=pytest.mark.skip(reason=f"NO SUITE at {SUITE}"))])
def test_the_report_is_the_expected_one(name: str, engine: str, tmp_path: Path) -> None:
    difference = OUTCOMES[name, engine] = judge(name, engine, tmp_path)
    known = LOCK["known_failures"][engine].get(name)
    if known is None:
        assert difference is None
    else:
        assert difference is not None, f"{name} passes now: take it out of shacl.toml"


@no_suite
def test_shapes_that_shacl_shacl_refuses_are_refused_by_our_lint(tmp_path: Path) -> None:
    """Break shapes of the suite at random, and hold our syntax rules against the official ones."""
    rules = load_shapes([SUITE.parent / "vocab" / "shacl-shacl.ttl"], base_iri=BASE, strict=False)
    official = engine_shapes(rules, rules.targeted, ease=True)
    chance, refused = random.Random(1), 0
    # The suite keeps paths that shacl-shacl refuses (a list that is something else too); engines read the list.
    files = [path for name, path in CASES.items() if name.startswith("core/") and "strange" not in name]
    for number in range(250):
        quads = list(triples(chance.choice(files)))
        spots = [i for i, q in enumerate(quads) if q.predicate.value in MUTABLE]
        if not spots:
            continue
        spot = chance.choice(spots)
        broken = ox.Quad(quads[spot].subject, quads[spot].predicate, chance.choice(JUNK))
        quads = [*quads, broken] if chance.random() < 0.3 else [*quads[:spot], broken, *quads[spot + 1 :]]
        file = tmp_path / f"{number}.nt"
        file.write_text("".join(f"{q.subject} {q.predicate} {q.object} .\n" for q in quads), encoding="utf-8")
        if list(worker.run_fast(str(file.rename(file.with_suffix(".nq"))), official, None, blank=False)):
            refused += 1
            with pytest.raises(ShapesError):
                load_shapes([file.with_suffix(".nq")], base_iri=BASE, strict=False)
                pytest.fail(f"{quads[spot]} became {broken}")
    assert refused > 50


@no_suite
def test_the_suite_is_whole_and_its_counts_are_recorded() -> None:
    assert len(CASES) == LOCK["cases"]
    assert set(LOCK["not_applicable"]) <= set(CASES)
    for engine in (*ENGINES, "third"):
        assert set(LOCK["known_failures"][engine]) <= set(CASES)
    outcomes = {name: OUTCOMES[name, "fast"] for name in APPLICABLE if (name, "fast") in OUTCOMES}
    if len(outcomes) == len(APPLICABLE):
        passed = sum(difference is None for difference in outcomes.values())
        reporting = load("reporting", Path(__file__).parent)
        reporting.record("shacl", len(APPLICABLE), passed, LOCK["known_failures"]["fast"] | LOCK["not_applicable"])


@cache
def load(name: str, folder: Path):
    spec = importlib.util.spec_from_file_location(f"conformance_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
