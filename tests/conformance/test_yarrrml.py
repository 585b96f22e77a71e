"""The translation tests of YARRRML: our RML says the same as the expected RML, compared by structure and not by node names."""

from __future__ import annotations

import csv
import os
import tomllib
from collections import Counter
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.mapping.yarrrml import CONDITION, translate

SUITE = Path(os.environ.get("CITYORCHESTRA_SUITES", Path(__file__).parents[3] / "shared" / "suites")) / "yarrrml"
LOCK = tomllib.loads(Path(__file__).with_name("yarrrml.toml").read_text())["yarrrml"]
KNOWN_FAILURES = LOCK["known_failures"]

RR, OLD, NEW = "http://www.w3.org/ns/r2rml#", "http://semweb.mmlab.be/ns/rml#", "http://w3id.org/rml/"
FNML, FNO = "http://semweb.mmlab.be/ns/fnml#", "https://w3id.org/function/ontology#"
CSVW, GREL = "http://www.w3.org/ns/csvw#", "http://users.ugent.be/~bjdmeest/function/grel.ttl#"
IDLAB = "https://w3id.org/imec/idlab/function#"
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"


def documents() -> dict[str, tuple[Path, Path]]:
    """Every pair of one YARRRML document and the RML (not R2RML) expected of it that is in the folder."""
    found = {}
    for expected in sorted(SUITE.rglob("*.rml.ttl")):
        stem = expected.name.removesuffix(".rml.ttl")
        sources = [f for f in expected.parent.glob(f"{stem}.*") if f.suffix in (".yml", ".yaml", ".yarrrml")]
        if sources:
            found[f"{expected.parent.relative_to(SUITE)}/{stem}"] = (sources[0], expected)
    return found


DOCUMENTS = documents()
no_suite = pytest.mark.skipif(not SUITE.exists() and not os.environ.get("CI"), reason=f"NO CONFORMANCE SUITE at {SUITE}")


# --- one structure for both vocabularies --------------------------------------------------------------------------------------


class Mapping:
    """Reads RML of either vocabulary to comparable tuples."""

    def __init__(self, quads):
        self.by_subject = {}
        for quad in quads:
            self.by_subject.setdefault(quad.subject, []).append((quad.predicate.value, quad.object))

    def all(self, node, *names):
        return [o for name in names for p, o in self.by_subject.get(node, []) if p in self.full(name)]

    def one(self, node, *names):
        found = self.all(node, *names)
        return found[0] if found else None

    @staticmethod
    def full(name):
        return {name} if ":" in name else {RR + name, OLD + name, NEW + name, FNML + name}

    def triples(self) -> Counter:
        """Count (source, subject, graphs, predicate, object, graphs) over all triples maps."""
        result = Counter()
        for node in [n for n in self.by_subject if self.one(n, "subjectMap") is not None]:
            source = self.source(self.one(node, "logicalSource"))
            for subject_map in self.all(node, "subjectMap"):
                here = (source, self.term(subject_map, "IRI", self.all(node, CONDITION)), self.graphs(subject_map))
                result[here] += 1
                result.update((*here, *pair) for pair in self.pairs(node, subject_map))
        return result

    def pairs(self, node, subject_map):
        for of_class in self.all(subject_map, "class"):
            yield self.constant(RDF_TYPE), self.constant(of_class.value), frozenset()
        for pom in self.all(node, "predicateObjectMap"):
            predicates = [self.term(p, "IRI") for p in self.all(pom, "predicateMap")]
            predicates += [self.constant(p.value) for p in self.all(pom, "predicate")]
            for predicate in predicates:
                for obj in self.all(pom, "objectMap"):
                    yield predicate, self.term(obj, "Literal", self.all(pom, CONDITION)), self.graphs(pom)

    @staticmethod
    def constant(iri):
        return ("constant", iri), "IRI", None, None, frozenset()

    def source(self, node):
        if node is None:
            return None
        at = self.one(node, "source")
        path = at if isinstance(at, ox.Literal) else self.one(at, "path", CSVW + "url", "http://www.w3.org/ns/dcat#downloadURL")
        dialect = self.one(at, CSVW + "dialect") if not isinstance(at, ox.Literal) else None
        delimiter = self.one(dialect, CSVW + "delimiter").value.replace("\\t", "\t") if dialect else None
        iterator = self.one(node, "iterator")
        formulation = self.one(node, "referenceFormulation").value.replace("#", "/").rsplit("/", 1)[1]
        return path.value, formulation, iterator.value if iterator else None, delimiter

    def graphs(self, node):
        return frozenset(self.term(graph, "IRI") for graph in self.all(node, "graphMap"))

    def term(self, node, default, conditions=()):
        if (parent := self.one(node, "parentTriplesMap")) is not None:
            label = self.one(parent, "http://www.w3.org/2000/01/rdf-schema#label").value.rpartition("#")[2]
            source = self.source(self.one(parent, "logicalSource"))
            return ("join", label, source, frozenset(self.joins(node)))
        inner, value_conditions = node, [self.function(c) for c in conditions]
        function = self.function(node)
        while function and function[0] == IDLAB + "trueCondition":  # how the old translator writes a condition
            value_conditions.append(self.function(self.argument(inner, "strBoolean")))
            inner = self.argument(inner, "str")
            function = self.function(inner) if inner is not None else None
        return (*self.expression(node, inner, function, default), frozenset(value_conditions))

    def expression(self, node, inner, function, default):
        kind = self.one(node, "termType") or (self.one(inner, "termType") if inner is not None else None)
        kind = kind.value.replace("#", "/").rsplit("/", 1)[1] if kind is not None else default
        if function:
            value = ("function", *function)
        elif inner is None:
            value = ("nothing",)
        else:
            value = self.value(inner)
        constant = self.one(inner, "constant") if inner is not None else None
        untyped_template = self.one(node, "termType") is None and inner is node and value[0] == "template"
        if isinstance(constant, ox.NamedNode) or untyped_template:
            kind = "IRI"
        language, datatype = self.annotations(node)
        if inner is not None and (language, datatype) == (None, None):
            language, datatype = self.annotations(inner)
        if isinstance(constant, ox.Literal) and constant.language:
            language = ("constant", constant.language)
        elif isinstance(constant, ox.Literal) and not constant.datatype.value.endswith("#string"):
            datatype = ("constant", constant.datatype.value)
        return value, kind, language, datatype

    def value(self, node):
        for name in ("constant", "reference", "template"):
            found = self.one(node, name)
            if found is not None:
                constant_template = name == "template" and "{" not in found.value
                return ("constant" if constant_template else name, found.value)
        return ("nothing",)

    def annotations(self, node):
        result = []
        for name in ("language", "datatype"):
            direct, mapped = self.one(node, name), self.one(node, name + "Map")
            value = ("constant", direct.value) if direct is not None else self.value(mapped) if mapped is not None else None
            result.append(value)
        return (result[0], None) if result[0] else tuple(result)  # a language says rdf:langString

    def function(self, node):
        """Return (function, {(parameter, value)}) of either vocabulary."""
        if (execution := self.one(node, "functionExecution")) is not None:
            inputs = [(self.one(i, "parameter").value, self.one(i, "inputValueMap")) for i in self.all(execution, "input")]
            return self.one(execution, "function").value, frozenset((p, self.parameter(v)) for p, v in inputs)
        if self.one(node, "functionValue") is None:
            return None
        name, inputs = self.old_call(node)
        return name, frozenset((p, self.parameter(v)) for p, v in inputs)

    def old_call(self, node):
        name, inputs = "", []
        for pom in self.all(self.one(node, "functionValue"), "predicateObjectMap"):
            predicate = self.value(self.one(pom, "predicateMap"))[1]
            value = self.one(pom, "objectMap")
            if predicate == FNO + "executes":
                name = self.value(value)[1]
            else:
                inputs.append((predicate, value))
        return name, inputs

    def argument(self, node, local):
        return next((v for p, v in self.old_call(node)[1] if p == IDLAB + local), None)

    def parameter(self, node):
        function = self.function(node)
        kind = self.one(node, "termType")
        kind = "IRI" if kind is not None and kind.value.endswith("IRI") else "Literal"
        return ("function", *function) if function else (*self.value(node), kind)

    def joins(self, node):
        for join in self.all(node, "joinCondition"):
            if self.one(join, "functionValue") is not None:
                yield from self.old_join(join)
                continue
            sides = []
            for side in ("child", "parent"):
                direct = self.one(join, side)
                sides.append(
                    ("reference", direct.value, "Literal")
                    if direct is not None
                    else self.parameter(self.one(join, side + "Map"))
                )
            yield tuple(sides)

    def old_join(self, node):
        name, inputs = self.old_call(node)
        if name == GREL + "boolean_and":
            for _, value in inputs:
                yield from self.old_join(value)
            return
        assert name == IDLAB + "equal"
        child = [self.parameter(v) for _, v in inputs if not self.is_parent(v)]
        parent = [self.of_parent(v) for _, v in inputs if self.is_parent(v)]
        yield (child[0], parent[0])

    def is_parent(self, node):
        if self.one(node, "parentTermMap") is not None:
            return True
        return self.one(node, "functionValue") is not None and any(self.is_parent(v) for _, v in self.old_call(node)[1])

    def of_parent(self, node):
        inner = self.one(node, "parentTermMap")
        if inner is not None:
            return self.parameter(inner)
        name, inputs = self.old_call(node)
        return ("function", name, frozenset((p, self.of_parent(v)) for p, v in inputs))


# --- the cases ----------------------------------------------------------------------------------------------------------------


@no_suite
def test_every_case_of_the_folder_is_run_or_left_out_for_a_reason():
    assert len(DOCUMENTS) == LOCK["cases"]
    assert set(KNOWN_FAILURES) <= set(DOCUMENTS)
    with (SUITE / "CASES.tsv").open(encoding="utf-8") as table:
        listed = {case["dir"] for case in csv.DictReader(table, delimiter="\t") if (SUITE / case["dir"]).exists()}
    run = {name.rpartition("/")[0] for name in DOCUMENTS}
    assert listed - run == set(LOCK["not_run"])


@no_suite
@pytest.mark.parametrize("name", sorted(DOCUMENTS) or ["suite not found"])
def test_a_document_translates_to_the_expected_rml(name, request):
    if name in KNOWN_FAILURES:
        request.node.add_marker(pytest.mark.xfail(reason=KNOWN_FAILURES[name], raises=MappingError, strict=True))
    source, expected = DOCUMENTS[name]
    quads, lines = translate(source.read_text(encoding="utf-8"), base_iri="http://mapping.example.com/", path=source)
    theirs = Mapping(ox.parse(path=str(expected), format=ox.RdfFormat.TURTLE, base_iri="http://mapping.example.com/"))
    assert Mapping(quads).triples() == theirs.triples()
    assert {quad.subject.value for quad in quads} == set(lines)


@no_suite
@pytest.mark.parametrize("name", ["invalid_yaml.yml", "po-without-o.yml"])
def test_an_invalid_document_is_refused_with_its_line(name):
    path = SUITE / "invalid" / name
    with pytest.raises(MappingError) as caught:
        translate(path.read_text(encoding="utf-8"), base_iri="http://mapping.example.com/", path=path)
    assert caught.value.place.line
