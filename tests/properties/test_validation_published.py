"""What changed, and the report before, give the report of everything: counts, groups, focus nodes and messages."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import ValidationReport
from cityorchestra_ld.namespaces import RDF, RDFS
from cityorchestra_ld.validation import Published, ShapesGraph, check, load_shapes, published, validate, validate_change, worker
from cityorchestra_ld.validation.worker import Row

X, B, XSD = "https://x.example/", "https://base.example/", "http://www.w3.org/2001/XMLSchema#"
GRAPH, CODES, HIDDEN = f"{B}graph/data", f"{B}graph/codes", f"{B}graph/hidden"
RULES = f"""@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <{X}> . @prefix xsd: <{XSD}> .
@prefix csh: <{B}def/shapes#> . @prefix rdfs: <{RDFS}> .
ex:Count sh:targetClass ex:C ; sh:property ex:Common , [ sh:path ex:p ; sh:minCount 1 ; sh:maxCount 2 ; sh:class ex:D ] .
ex:Other sh:targetSubjectsOf ex:r ; sh:property ex:Common , [ sh:path ex:q ; sh:nodeKind sh:IRI ; sh:severity sh:Info ] .
ex:Common sh:path ex:s ; sh:maxCount 1 ; sh:severity sh:Warning .
ex:Back sh:targetObjectsOf ex:p ; sh:property [ sh:path [ sh:inversePath ex:q ] ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] .
ex:Chain sh:targetSubjectsOf ex:q ; sh:property [ sh:path ( ex:p ex:q ) ; sh:minCount 1 ] .
ex:Written sh:targetSubjectsOf ex:s ; sh:property [ sh:path ex:s ; sh:pattern "^[1-9]" ; sh:datatype xsd:byte ] .
ex:Fixed sh:targetNode ex:n0 , ex:n1 ; sh:property [ sh:path [ sh:zeroOrMorePath ex:q ] ; sh:maxCount 3 ] .
ex:Alone csh:scope csh:DataOnly ; sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:class ex:D ; sh:severity sh:Warning ] .
ex:Query sh:targetClass ex:C ; sh:sparql [ sh:message "{{?value}} !"@fr , "{{?value}}!"@en ; sh:select '''
    SELECT $this ?value WHERE {{ $this <{X}p> ?value . FILTER NOT EXISTS {{ ?value a <{X}D> }} }}''' ] .
"""
FAR = f"""ex:Shared sh:targetSubjectsOf ex:q ; sh:property ex:Common ; sh:sparql [ sh:select '''
    SELECT $this ?value WHERE {{ $this <{X}q> ?hub . ?value <{X}q> ?hub FILTER(?value != $this) }}''' ] .
ex:Elsewhere sh:targetClass ex:D ; sh:sparql [ sh:select '''
    SELECT $this ?value WHERE {{ $this <{X}p> ?value . ?any <{X}r> ?same FILTER(?same = ?value) }}''' ] .
"""  # what these read is far from their focus nodes, or anywhere


class Here:
    """The fast engine in this process."""

    name, fast = "here", True

    def run(self, data: Path, shapes: bytes, budget: object, *, cap: int | None = None, blank: bool = True) -> Iterator[Row]:
        return worker.run_fast(str(data), shapes, cap, blank=blank)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (check, published):
        monkeypatch.setattr(module, "choose", lambda engine: [Here()])


@pytest.fixture
def shapes(tmp_path: Path) -> ShapesGraph:
    return rules(tmp_path, RULES)


def rules(folder: Path, text: str) -> ShapesGraph:
    (folder / "shapes.ttl").write_text(text)
    return load_shapes([folder / "shapes.ttl"], base_iri=B)


def some_line(chance: random.Random) -> str:
    number = chance.randrange(9)
    subject = f"<{X}n{number}>"
    if chance.random() < 0.25:
        return f"{subject} <{RDF}type> <{X}{chance.choice(['C', 'D', 'Sub'])}> .\n"
    name = chance.choice("pqrs")
    if name == "s":  # each node has its own way to write a number: another way to write the same value would be no change
        way, kind = ("0{}", "{}")[number % 2], ("byte", "integer")[number // 2 % 2]
        return f'{subject} <{X}s> "{way.format(chance.choice([1, 7, 200]))}"^^<{XSD}{kind}> .\n'
    return f"{subject} <{X}{name}> <{X}n{chance.randrange(12)}> .\n"


def stored(lines: set[str]) -> set[str]:
    """Write lines as the database does."""
    store = ox.Store()
    store.load("".join(lines).encode(), format=ox.RdfFormat.N_TRIPLES)
    return {f"{quad.triple} .\n" for quad in store}


class World:
    """A database with a graph, its context and a graph that shapes must not see; and its report."""

    def __init__(self, folder: Path, shapes: ShapesGraph, lines: set[str], context: set[str]) -> None:
        self.folder, self.shapes, self.lines, self.context = folder, shapes, lines, stored(context)
        self.files = [self.write("context", self.context)] if context else []
        self.report = self.full(lines)
        path = folder / "db"
        shutil.rmtree(path, ignore_errors=True)
        store = ox.Store(str(path))
        for graph, content in (
            (GRAPH, lines),
            (CODES, context),
            (HIDDEN, {line.replace(X + "n1", X + "n2") for line in lines}),
        ):
            store.load("".join(content).encode(), format=ox.RdfFormat.N_TRIPLES, to_graph=ox.NamedNode(graph))
        store.flush()
        del store
        self.published = Published(database=path, graph=GRAPH, context=(CODES,) if context else (), report=self.report)

    def write(self, name: str, lines: set[str]) -> Path:
        path = self.folder / f"{name}.nt"
        path.write_text("".join(sorted(lines)))
        return path

    def full(self, lines: set[str]) -> ValidationReport:
        return validate(self.write("data", lines), self.shapes, context=self.files, allow_empty=True)

    def change(self, lines: set[str], *, apart: bool = False) -> ValidationReport | None:
        old, new = stored(self.lines), stored(lines)
        return validate_change(
            self.published,
            self.write("in", new - old),
            self.write("out", old - new),
            self.shapes,
            content=self.write("content", lines),
            context=(lambda: self.files) if apart else None,
        )


def without_notes(report: ValidationReport) -> ValidationReport:
    """Leave out what may differ: the clock, the note, who answered."""
    return replace(report, seconds=0, notes=(), engine="", judged=None)


def random_changes(count: int, seed: int, folder: Path, shapes: ShapesGraph, *, apart: bool) -> int:
    """Compare as many random changes, one after the other, and return how many changed the report."""
    chance = random.Random(seed)
    context = {f"<{X}n{i}> <{RDF}type> <{X}D> .\n" for i in range(8, 12)} | {f"<{X}Sub> <{RDFS}subClassOf> <{X}C> .\n"}
    context |= {f"<{X}n3> <{RDF}type> <{X}C> .\n", f'<{X}p> <{RDFS}label> "lien"@fr .\n'} | {
        some_line(chance) for _ in range(9)
    }
    lines, changed = {some_line(chance) for _ in range(60)}, 0
    for number in range(count):
        world = World(folder, shapes, lines, context if number % 3 else set())
        removed = set(chance.sample(sorted(lines), min(len(lines), chance.choice([0, 1, 2, 5]))))
        after = (lines - removed) | {some_line(chance) for _ in range(chance.choice([0, 1, 2, 5]))}
        found, expected = world.change(after, apart=apart), world.full(after)
        assert found is not None
        assert without_notes(found) == without_notes(expected), f"change {number}"
        changed += without_notes(found) != without_notes(world.report)
        lines = after
    return changed


def test_the_report_of_a_change_is_the_report_of_everything(shapes: ShapesGraph, tmp_path: Path) -> None:
    assert random_changes(8, 5, tmp_path, shapes, apart=False) > 3


def test_shapes_that_look_far_are_judged_apart_and_the_report_is_that_of_everything(tmp_path: Path) -> None:
    far = rules(tmp_path, RULES + FAR)
    assert random_changes(6, 7, tmp_path, far, apart=True) > 2
    world = World(tmp_path, far, DATA | lines_of("n1 q n2", "n3 q n2"), set())
    changed = world.lines | lines_of("n3 s n4")
    assert world.change(changed) is None
    found = world.change(changed, apart=True)
    assert found is not None and found.judged == 1
    assert without_notes(found) == without_notes(world.full(changed))


@pytest.mark.slow
def test_the_report_of_hundreds_of_changes_is_that_of_everything_where_shapes_look_far(tmp_path: Path) -> None:
    assert random_changes(250, 8, tmp_path, rules(tmp_path, RULES + FAR), apart=True) > 75


@pytest.mark.slow
def test_the_report_of_hundreds_of_changes_is_the_report_of_everything(shapes: ShapesGraph, tmp_path: Path) -> None:
    assert random_changes(500, 6, tmp_path, shapes, apart=False) > 150


# --- when only a validation of everything will do -----------------------------------------------------------------------------


def lines_of(*triples: str) -> set[str]:
    short = {"a": f"<{RDF}type>", "sub": f"<{RDFS}subClassOf>"}
    return {
        " ".join(short.get(word) or (word if word[0] in '"_' else f"<{X}{word}>") for word in t.split()) + " .\n"
        for t in triples
    }


DATA = lines_of("n1 a C", "n1 p n2", "n2 a D", "n3 a C")


@pytest.mark.parametrize(
    "new",
    [
        lines_of("D sub C"),
        {f"<{X}n1> <{X}p> <{B}.well-known/genid/data/b0> .\n"},
        {f"<{X}n1> <{X}p> _:b .\n"},
        lines_of(*(f"m{i} a C" for i in range(25_000))),
    ],
    ids=["class hierarchy", "named blank node", "blank node", "too many"],
)
def test_everything_is_needed(new: set[str], shapes: ShapesGraph, tmp_path: Path) -> None:
    world = World(tmp_path, shapes, DATA, set())
    changed = validate_change(world.published, world.write("in", new), world.write("out", set()), shapes)
    assert changed is None


def test_everything_is_needed_when_the_report_before_is_a_sample_or_a_lower_bound(shapes: ShapesGraph, tmp_path: Path) -> None:
    world = World(tmp_path, shapes, DATA, set())
    nothing = world.write("none", set())
    for report in (replace(world.report, results=world.report.results[1:]), replace(world.report, truncated=("<urn:s>",))):
        assert validate_change(replace(world.published, report=report), nothing, nothing, shapes) is None
    assert validate_change(world.published, nothing, nothing, shapes) is not None


def test_everything_is_needed_when_a_result_may_come_from_several_nodes(tmp_path: Path) -> None:
    text = "ex:S sh:targetClass ex:C ; sh:property [ sh:path ex:p ; sh:property [ sh:path ex:q ; sh:minCount 1 ] ] ."
    nested = rules(tmp_path, RULES.split("ex:Count", maxsplit=1)[0] + text)
    world = World(tmp_path, nested, DATA, set())
    assert world.report.results[0].focus == f"<{X}n2>"
    assert world.change(DATA | lines_of("n3 p n4")) is None
    clean = World(tmp_path, nested, DATA | lines_of("n2 q n1"), set())
    found = clean.change(clean.lines | lines_of("n3 p n4"))
    assert [(result.focus, result.component) for result in found.results] == [(f"<{X}n4>", "MinCountConstraintComponent")]


def test_a_custom_component_needs_everything(tmp_path: Path) -> None:
    text = """ex:S sh:targetClass ex:C ; ex:most 1 .
        ex:Most a sh:ConstraintComponent ; sh:parameter [ sh:path ex:most ] ; sh:validator [ a sh:SPARQLAskValidator ;
            sh:ask "ASK { FILTER(STRLEN(STR($value)) > $most) }" ] ."""
    custom = rules(tmp_path, RULES.split("ex:Count", maxsplit=1)[0] + text)
    world = World(tmp_path, custom, DATA, set())
    assert world.change(DATA | lines_of("n4 a C")) is None


def test_a_shape_that_looks_at_nothing_needs_nothing(tmp_path: Path) -> None:
    idle = rules(
        tmp_path, RULES + FAR.replace("ex:D ;", "ex:Nowhere ;").replace("sh:targetSubjectsOf ex:q", "sh:targetClass ex:No")
    )
    world = World(tmp_path, idle, DATA, set())
    changed = DATA | lines_of("n4 a C")
    found = world.change(changed)
    assert found is not None and without_notes(found) == without_notes(world.full(changed))
    assert world.change(DATA | lines_of("n4 a Nowhere")) is None
