"""Messages for people: one for every component of SHACL Core, in French and English, with values filled in."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cityorchestra_ld.validation.sentences import SENTENCES
from cityorchestra_ld.validation.vocabulary import COMPONENTS

SAID = tomllib.loads(Path(__file__).with_name("messages.toml").read_text(encoding="utf-8"))
CLOSED = ("La propriété « q » n'est pas prévue ici (valeur « 2 »).", "The property 'q' is not expected here (value '2').")
LABELS = 'ex:p rdfs:label "point"@fr , "point"@en . ex:Town rdfs:label "Ville"@fr , "Town"@en .'


def test_every_component_of_shacl_core_has_a_sentence_and_a_case() -> None:
    core = {component.removesuffix("ConstraintComponent") for component in COMPONENTS} - {"Property", "SPARQL"}
    assert len(core) == 28
    assert core == set(SAID) | {"Closed"}
    assert core | {"SPARQL"} <= set(SENTENCES)
    assert all(sentence.fr and sentence.en and sentence.fr != sentence.en for sentence in SENTENCES.values())


def test_every_component_says_what_is_wrong_in_both_languages(judged) -> None:
    """One run for all: each component has a property shape and a focus node of its own."""
    shapes, data = [], []
    for name, case in SAID.items():
        shapes.append(f"ex:{name} sh:targetNode ex:{name}-a ; sh:property [ sh:path ex:p ; {case['constraint']} ] .")
        data.append(case["data"].replace("ex:a ", f"ex:{name}-a "))
    report = judged("\n".join(shapes), "\n".join(data), LABELS)
    said = {result.component.removesuffix("ConstraintComponent"): result.message for result in report.results}
    assert {name: (text.fr, text.en) for name, text in said.items()} == {name: (c["fr"], c["en"]) for name, c in SAID.items()}


def test_a_closed_shape_names_the_property_that_is_too_many(judged) -> None:
    report = judged("ex:S sh:targetNode ex:a ; sh:closed true ; sh:property [ sh:path ex:p ] .", "ex:a ex:p 1 ; ex:q 2 .")
    assert [(r.message.fr, r.message.en) for r in report.results] == [CLOSED]


@pytest.mark.parametrize(
    ("bound", "values", "said"),
    [
        ("sh:minCount 1", "", "« p » manque."),
        ("sh:maxCount 1", "1 , 2", "« p » : une seule valeur est admise, il y en a plusieurs."),
        ("sh:maxCount 0", "1", "« p » ne doit pas être renseigné ici."),
    ],
)
def test_counts_of_nothing_and_of_one_read_naturally(bound: str, values: str, said: str, judged) -> None:
    report = judged(
        f"ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; {bound} ] .",
        f"ex:a ex:q 1 . {f'ex:a ex:p {values} .' if values else ''}",
    )
    assert [r.message.fr for r in report.results] == [said]


def test_the_words_of_the_author_come_first_and_ours_fill_the_missing_language(judged) -> None:
    both = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:message 'Remplissez p.'@fr , 'Fill p.'@en].",
        "ex:a ex:q 1 .",
    )
    assert (both.results[0].message.fr, both.results[0].message.en) == ("Remplissez p.", "Fill p.")
    one = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:message 'Remplissez p.'@fr] .",
        "ex:a ex:q 1 .",
    )
    assert (one.results[0].message.fr, one.results[0].message.en) == ("Remplissez p.", "'p' is missing.")
    plain = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:message 'p!' ] .", "ex:a ex:q 1 ."
    )
    assert (plain.results[0].message.fr, plain.results[0].message.en) == ("p!", "p!")


@pytest.mark.parametrize("engine", ["fast", "pyshacl"])
def test_messages_of_sparql_constraints_keep_their_language_and_what_the_engine_filled_in(engine: str, judged) -> None:
    rules = """ex:S sh:targetNode ex:a ; sh:sparql [
        sh:message "trop : {?value} de {?all}"@fr , "too many: {?value} of {?all}"@en ;
        sh:select "SELECT $this ?value ?all { $this <https://x.example/p> ?value . BIND(9 AS ?all) FILTER(?value > 3) }" ] ."""
    report = judged(rules, "ex:a ex:p 1 , 7 .", engine=engine)
    assert [(r.message.fr, r.message.en) for r in report.results] == [("trop : 7 de 9", "too many: 7 of 9")]


def test_names_given_by_the_shape_win_over_labels(judged) -> None:
    report = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:name 'le point'@fr , 'the point'@en ; sh:minCount 1 ] .",
        "ex:a ex:q 1 .",
        LABELS,
    )
    assert report.results[0].message.fr == "« le point » manque."
    assert report.groups[0].title.en == "the point"
