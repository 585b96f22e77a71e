"""Conditions of use are named in two languages, cover every dataset, and keep to the part of ODRL that is understood."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.model import Access
from cityorchestra_ld.namespaces import DCT, DEFAULT_BASE, ODRL, RDF, RDFS, SKOS, XSD
from cityorchestra_ld.territory import load_territory
from cityorchestra_ld.validation import load_shapes, validate

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "policies").glob("*.ttl"))
POLICY = f"{DEFAULT_BASE}id/policy/"
SPDX = "http://spdx.org/licenses/"
CC = "http://creativecommons.org/ns#"
N = ox.NamedNode


@cache
def store() -> ox.Store:
    loaded = ox.Store()
    for file in FILES:
        loaded.extend(ox.parse(path=str(file), format=ox.RdfFormat.TURTLE))
    return loaded


def objects(subject: str, predicate: str) -> set[str]:
    return {quad.object.value for quad in store().quads_for_pattern(N(subject), N(predicate), None)}


def languages(subject: str, predicate: str) -> list[str]:
    return sorted(quad.object.language or "" for quad in store().quads_for_pattern(N(subject), N(predicate), None))


def policies() -> list[str]:
    kinds = (N(f"{ODRL}Set"), N(f"{ODRL}Agreement"))
    return sorted(quad.subject.value for kind in kinds for quad in store().quads_for_pattern(None, N(f"{RDF}type"), kind))


def actions(rules: set[str]) -> set[str]:
    return {action for rule in rules for action in objects(rule, f"{ODRL}action")}


@pytest.mark.parametrize("policy", policies(), ids=lambda iri: iri.removeprefix(POLICY))
def test_a_policy_is_named_and_explained_in_two_languages(policy: str) -> None:
    assert policy.startswith(POLICY)
    assert objects(policy, f"{ODRL}uid") == {policy}
    assert languages(policy, f"{RDFS}label") == ["en", "fr"]
    assert languages(policy, f"{DCT}description") == ["en", "fr"]
    assert objects(policy, f"{ODRL}permission")


def test_rules_have_names_and_actions_and_no_blank_node() -> None:
    kinds = ("Permission", "Prohibition", "Duty", "Constraint")
    rules = [q.subject for kind in kinds for q in store().quads_for_pattern(None, N(f"{RDF}type"), N(ODRL + kind))]
    assert rules
    for rule in rules:
        assert isinstance(rule, ox.NamedNode)
        assert languages(rule.value, f"{RDFS}label") == ["en", "fr"]
        assert objects(rule.value, f"{ODRL}action") or objects(rule.value, f"{ODRL}leftOperand")
    assert not [q for q in store() if isinstance(q.object, ox.BlankNode)]


@pytest.mark.parametrize(
    ("name", "licence"), [("open-etalab", "etalab-2.0"), ("open-odbl", "ODbL-1.0"), ("open-eupl", "EUPL-1.2")]
)
def test_an_open_licence_allows_any_use_and_asks_for_attribution(name: str, licence: str) -> None:
    policy = POLICY + name
    assert objects(policy, f"{DCT}license") == {SPDX + licence}
    permissions = objects(policy, f"{ODRL}permission")
    assert f"{ODRL}use" in actions(permissions)
    for permission in permissions:
        assert f"{ODRL}attribute" in actions(objects(permission, f"{ODRL}duty"))
        assert not objects(permission, f"{ODRL}constraint"), "open data has no condition on who, why or when"
        assert not objects(permission, f"{ODRL}assignee")
    assert not objects(policy, f"{ODRL}prohibition")


def test_share_alike_is_a_duty_on_what_is_derived_and_not_on_plain_use() -> None:
    for name, expected in (("open-odbl", True), ("open-eupl", True), ("open-etalab", False)):
        deriving = {p for p in objects(POLICY + name, f"{ODRL}permission") if f"{ODRL}derive" in objects(p, f"{ODRL}action")}
        duties = {duty for permission in deriving for duty in objects(permission, f"{ODRL}duty")}
        assert (f"{CC}ShareAlike" in actions(duties)) is expected
    using = {p for p in objects(f"{POLICY}open-odbl", f"{ODRL}permission") if f"{ODRL}use" in objects(p, f"{ODRL}action")}
    assert f"{CC}ShareAlike" not in actions({duty for p in using for duty in objects(p, f"{ODRL}duty")})


def test_the_example_agreement_is_labelled_as_an_illustration_wherever_somebody_may_meet_it() -> None:
    agreement, dataset = f"{POLICY}illustration-agreement", f"{DEFAULT_BASE}id/dataset/illustration/consommation-par-adresse"
    for subject, predicate in ((agreement, f"{RDFS}label"), (agreement, f"{DCT}description"), (agreement, f"{SKOS}note"),
                               (dataset, f"{DCT}title"), (dataset, f"{DCT}description"), (dataset, f"{SKOS}note")):  # fmt: skip
        texts = objects(subject, predicate)
        assert len(texts) == 2
        assert all("llustration" in text for text in texts)


def test_the_example_agreement_says_who_why_and_until_when_and_forbids_passing_on() -> None:
    agreement = f"{POLICY}illustration-agreement"
    (permission,) = objects(agreement, f"{ODRL}permission")
    assert objects(permission, f"{ODRL}assignee") == {f"{DEFAULT_BASE}id/org/audiar"}
    constraints = {
        (*objects(c, f"{ODRL}leftOperand"), *objects(c, f"{ODRL}operator"), *objects(c, f"{ODRL}rightOperand"))
        for c in objects(permission, f"{ODRL}constraint")
    }
    assert constraints == {
        (f"{ODRL}purpose", f"{ODRL}isA", "https://w3id.org/dpv#PublicPolicyMaking"),
        (f"{ODRL}dateTime", f"{ODRL}lteq", "2027-12-31"),
    }
    ends = [
        q.object for q in store().quads_for_pattern(None, N(f"{ODRL}rightOperand"), None) if isinstance(q.object, ox.Literal)
    ]
    assert [end.datatype.value for end in ends] == [f"{XSD}date"]
    (prohibition,) = objects(agreement, f"{ODRL}prohibition")
    assert objects(prohibition, f"{ODRL}action") == {f"{ODRL}distribute"}
    assert objects(agreement, f"{ODRL}conflict") == {f"{ODRL}prohibit"}


def test_every_dataset_has_a_policy_that_exists_and_fits_its_licence() -> None:
    territory = load_territory(ROOT)
    assert territory.datasets
    differing = set()
    for dataset in territory.datasets.values():
        policy = POLICY + dataset.policy
        assert policy in policies(), dataset.key
        if dataset.access is Access.PUBLIC and objects(policy, f"{DCT}license") != {SPDX + dataset.licence}:
            differing.add(dataset.key)
    assert differing == set()


def test_the_described_dataset_and_its_agreement_obey_the_rules_of_the_catalogue(tmp_path: Path) -> None:
    data = tmp_path / "policies.nt"
    data.write_text("".join(f"{q.subject} {q.predicate} {q.object} .\n" for q in store()), encoding="utf-8")
    shapes = load_shapes(
        [ROOT / "shapes" / "core" / name for name in ("catalog.ttl", "personal-data.ttl", "labels.ttl")], base_iri=DEFAULT_BASE
    )
    report = validate(data, shapes)
    assert report.focus_nodes > 0
    assert list(report.results) == []
