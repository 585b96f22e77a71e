"""What shapes can see: the reads behind paths, components and SPARQL."""

from __future__ import annotations

import pytest

from cityorchestra_ld.validation.navigation import navigate

X = "https://x.example/"


@pytest.fixture
def seen(shapes):
    """Return what the only targeted shape reads, as short text, or nothing when that cannot be told."""

    def read(text: str) -> set[str] | None:
        loaded = shapes(text)
        found = navigate(loaded, loaded.targeted[0])
        if found.opaque:
            return None
        short = lambda iri: iri.rpartition("#")[2] if "#" in iri else iri.removeprefix(X)  # noqa: E731
        return {
            " ".join(
                [*(part.label() for part in r.walk), ("^" if r.inverse else "") + (short(r.predicate) if r.predicate else "*")]
            )
            for r in found.reads
        } - {"type"}

    return read


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("sh:property [ sh:path ex:p ; sh:minCount 1 ]", {"p"}),
        ("sh:property [ sh:path ex:p ; sh:class ex:D ]", {"p", "p type"}),
        ("sh:property [ sh:path ( ex:p ex:q ) ; sh:minCount 1 ]", {"p", "p q"}),
        ("sh:property [ sh:path [ sh:inversePath ex:p ] ; sh:property [ sh:path ex:q ; sh:minCount 1 ] ]", {"^p", "^p q"}),
        ("sh:property [ sh:path [ sh:zeroOrMorePath ex:p ] ; sh:class ex:D ]", {"p* p", "p* type"}),
        ("sh:closed true", {"*"}),
        ("sh:property [ sh:path ex:p ; sh:lessThan ex:q ]", {"p", "q"}),
        ("sh:or ( [ sh:property [ sh:path ex:p ; sh:node [ sh:closed true ] ] ] [ sh:nodeKind sh:IRI ] )", {"p", "p *"}),
        ("sh:property [ sh:path ex:p ; sh:qualifiedMinCount 1 ; sh:qualifiedValueShape [ sh:equals ex:q ] ]", {"p", "p q"}),
        ("sh:deactivated false ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:deactivated true ]", set()),
    ],
)  # fmt: skip
def test_core_components_read_what_their_paths_say(rules: str, expected: set[str], seen) -> None:
    assert seen(f"ex:S sh:targetClass ex:C ; {rules} .") == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("$this ex:p ?a . ?a ex:q ?b", {"p", "p q"}),
        ("$this ex:p ?a . ?b ex:q ?a ; ex:r ?c", {"p", "p ^q", "p ^q r"}),
        ("$this ?path ?value . FILTER(isLiteral(?value))", {"*"}),
        ("$this ex:p+/^ex:q ?a", {"p* p", "p+ ^q"}),
        ("$this ex:p ?a . FILTER NOT EXISTS { ?a ex:q ?b . FILTER EXISTS { ?b ex:r ?c } }", {"p", "p q", "p q r"}),
        ("$this ex:p ?a . OPTIONAL { ?a ex:q ?b }", {"p", "p q"}),
        ("{ $this ex:p ?a } UNION { $this ex:q ?a . ?a ex:r ?b }", {"p", "q", "q r"}),
        ("$this ex:p ?a ; ex:q ?b . ?a ex:r ?b", {"p", "q", "p r"}),
        ("$this ex:p ?a . BIND(?a + 1 AS ?b) FILTER(?b > 3)", {"p"}),
        ("$this ex:p [ ex:q ?a ]", {"p", "p q"}),
        ("$this ex:p ?a . { SELECT $this (COUNT(?b) AS ?n) { $this ex:q ?b } GROUP BY $this } FILTER(?n > 1)", {"p", "q"}),
        ("$this ex:p ?a . ?b a ex:Rule", None),
        ("$this ex:p ?a . OPTIONAL { ?rule ex:limit ?b FILTER EXISTS { ?rule ex:of ?a } }", None),
        ("GRAPH ?g { $this ex:p ?a }", None),
        ("$this ?any ?a . ?a ex:q ?b", None),
    ],
)
def test_sparql_reads_what_its_patterns_reach_from_this(where: str, expected: set[str] | None, seen) -> None:
    query = f"SELECT $this WHERE {{ {where} }}".replace("ex:", "x:").replace('"', "'")
    declared = f'ex:P sh:declare [ sh:prefix "x" ; sh:namespace "{X}"^^xsd:anyURI ] .'
    assert seen(f'ex:S sh:targetClass ex:C ; sh:sparql [ sh:prefixes ex:P ; sh:select "{query}" ] . {declared}') == expected


def test_a_group_is_read_from_its_own_patterns_and_those_around_it_only(seen) -> None:
    """?a may be reached by ex:q inside the OPTIONAL alone; the other branch must be read from its own."""
    where = f"OPTIONAL {{ $this <{X}q> ?a . ?a <{X}r> ?b }} OPTIONAL {{ $this <{X}s> ?a . ?a <{X}t> ?c }}"
    found = seen(f'ex:S sh:targetClass ex:C ; sh:sparql [ sh:select "SELECT $this WHERE {{ $this <{X}p> ?x {where} }}" ] .')
    assert {"q r", "s t"} <= found


def test_a_custom_component_is_opaque(seen) -> None:
    component = """ex:Component a sh:ConstraintComponent ; sh:parameter [ sh:path ex:limit ] ;
        sh:validator [ a sh:SPARQLAskValidator ; sh:ask "ASK { FILTER($value < $limit) }" ] ."""
    assert seen(f"{component} ex:S sh:targetClass ex:C ; ex:limit 3 .") is None


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("sh:property [ sh:path ( ex:p ex:q ) ; sh:minCount 1 ]", False),
        ("sh:property [ sh:path [ sh:inversePath ex:p ] ; sh:minCount 1 ]", False),
        ("sh:property [ sh:path [ sh:inversePath ( ex:p ex:q ) ] ; sh:minCount 1 ]", False),
        ("sh:property [ sh:path ( [ sh:inversePath ex:p ] ex:q ) ; sh:minCount 1 ]", False),
        ("sh:property [ sh:path ( ex:p [ sh:inversePath ex:q ] ) ; sh:minCount 1 ]", True),
        ("sh:property [ sh:path ex:p ; sh:node [ sh:property [ sh:path [ sh:inversePath ex:q ] ; sh:maxCount 1 ] ] ]", True),
        ("sh:sparql [ sh:select 'SELECT $this { $this <x:p> ?a . ?b <x:p> ?a }' ]", True),
        ("sh:sparql [ sh:select 'SELECT $this { $this <x:p> ?a . ?a <x:p> ?b }' ]", False),
    ],
)  # fmt: skip
def test_a_shape_turns_back_when_it_comes_back_from_a_node_that_others_may_share(rules: str, expected: bool, shapes) -> None:
    loaded = shapes(f"ex:S sh:targetClass ex:C ; {rules} .")
    assert navigate(loaded, loaded.targeted[0]).turns_back is expected
