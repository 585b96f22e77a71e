"""Messages for people: one for every component of SHACL Core, in French and English, with values filled in."""

from __future__ import annotations

import pytest

from cityorchestra_ld.validation.sentences import SENTENCES
from cityorchestra_ld.validation.vocabulary import COMPONENTS

# constraint on ex:p, data about ex:a -> component, French, English
SAID = {
    "Class": ("sh:class ex:Town", "ex:a ex:p ex:b .", "« point » : « https://x.example/b » n'est pas connu comme Ville.", "'point': 'https://x.example/b' is not known as Town."),
    "Datatype": ("sh:datatype xsd:integer", 'ex:a ex:p "12x" .', "« point » : « 12x » est un texte sans langue ; il faut un nombre entier.", "'point': '12x' is a text without a language; a whole number is needed."),
    "NodeKind": ("sh:nodeKind sh:IRI", 'ex:a ex:p "b" .', "« point » : « b » est un texte sans langue ; il faut un lien (IRI).", "'point': 'b' is a text without a language; a link (IRI) is needed."),
    "MinCount": ("sh:minCount 2", "ex:a ex:p 1 .", "« point » : il faut au moins 2 valeurs.", "'point': at least 2 values are needed."),
    "MaxCount": ("sh:maxCount 2", "ex:a ex:p 1 , 2 , 3 .", "« point » : pas plus de 2 valeurs.", "'point': no more than 2 values."),
    "MinExclusive": ("sh:minExclusive 5", "ex:a ex:p 5 .", "« point » : « 5 » doit être plus grand que 5.", "'point': '5' must be greater than 5."),
    "MinInclusive": ("sh:minInclusive 5", "ex:a ex:p 4 .", "« point » : « 4 » doit être au moins 5.", "'point': '4' must be at least 5."),
    "MaxExclusive": ("sh:maxExclusive 5", "ex:a ex:p 5 .", "« point » : « 5 » doit être plus petit que 5.", "'point': '5' must be less than 5."),
    "MaxInclusive": ("sh:maxInclusive 5", "ex:a ex:p 6 .", "« point » : « 6 » doit être au plus 5.", "'point': '6' must be at most 5."),
    "MinLength": ("sh:minLength 3", 'ex:a ex:p "ab" .', "« point » : « ab » est trop court, il faut au moins 3 caractères.", "'point': 'ab' is too short, at least 3 characters are needed."),
    "MaxLength": ("sh:maxLength 3", 'ex:a ex:p "abcd" .', "« point » : « abcd » est trop long, pas plus de 3 caractères.", "'point': 'abcd' is too long, no more than 3 characters."),
    "Pattern": ('sh:pattern "^[0-9]+$"', 'ex:a ex:p "ab" .', "« point » : « ab » n'a pas la forme attendue (^[0-9]+$).", "'point': 'ab' does not have the expected form (^[0-9]+$)."),
    "LanguageIn": ('sh:languageIn ( "fr" "en" )', 'ex:a ex:p "Haus"@de .', "« point » : « Haus (de) » n'est pas dans une langue admise (fr, en).", "'point': 'Haus (de)' is not in an accepted language (fr, en)."),
    "UniqueLang": ("sh:uniqueLang true", 'ex:a ex:p "a"@fr , "b"@fr .', "« point » : il y a plusieurs textes dans la même langue.", "'point': there are several texts in the same language."),
    "Equals": ("sh:equals ex:q", "ex:a ex:p 1 .", "« point » doit avoir les mêmes valeurs que « q » ; « 1 » n'est que d'un côté.", "'point' must have the same values as 'q'; '1' is on one side only."),
    "Disjoint": ("sh:disjoint ex:q", "ex:a ex:p 1 ; ex:q 1 .", "« point » et « q » ne doivent pas avoir la même valeur : « 1 ».", "'point' and 'q' must not share a value: '1'."),
    "LessThan": ("sh:lessThan ex:q", "ex:a ex:p 2 ; ex:q 1 .", "« point » : « 2 » doit venir avant « q ».", "'point': '2' must come before 'q'."),
    "LessThanOrEquals": ("sh:lessThanOrEquals ex:q", "ex:a ex:p 2 ; ex:q 1 .", "« point » : « 2 » ne doit pas dépasser « q ».", "'point': '2' must not exceed 'q'."),
    "Not": ("sh:not [ sh:datatype xsd:integer ]", "ex:a ex:p 2 .", "« point » : « 2 » est ce qui est exclu ici (un nombre entier).", "'point': '2' is what is excluded here (a whole number)."),
    "And": ("sh:and ( [ sh:minInclusive 3 ] [ sh:maxInclusive 5 ] )", "ex:a ex:p 2 .", "« point » : « 2 » ne remplit pas toutes les conditions (à partir de 3 ; jusqu'à 5).", "'point': '2' does not meet all conditions (from 3; up to 5)."),
    "Or": ("sh:or ( [ sh:datatype xsd:integer ] [ sh:class ex:Town ] )", "ex:a ex:p 2.5 .", "« point » : « 2.5 » ne remplit aucune des conditions admises (un nombre entier ; connu comme Ville).", "'point': '2.5' meets none of the accepted conditions (a whole number; known as Town)."),
    "Xone": ("sh:xone ( [ sh:minInclusive 3 ] [ sh:maxInclusive 5 ] )", "ex:a ex:p 4 .", "« point » : « 4 » doit remplir une condition et une seule (à partir de 3 ; jusqu'à 5).", "'point': '4' must meet exactly one condition (from 3; up to 5)."),
    "Node": ("sh:node [ sh:property [ sh:path ex:q ; sh:minCount 1 ] ]", "ex:a ex:p ex:b .", "« point » : « https://x.example/b » n'est pas comme il faut (q : renseigné).", "'point': 'https://x.example/b' is not as it must be (q: present)."),
    "QualifiedMinCount": ("sh:qualifiedValueShape [ sh:class ex:Town ] ; sh:qualifiedMinCount 1", "ex:a ex:p ex:b .", "« point » : il faut au moins 1 (connu comme Ville).", "'point': at least 1 (known as Town) needed."),
    "QualifiedMaxCount": ("sh:qualifiedValueShape [ sh:nodeKind sh:IRI ] ; sh:qualifiedMaxCount 1", "ex:a ex:p ex:b , ex:c .", "« point » : pas plus de 1 (un lien (IRI)).", "'point': no more than 1 (a link (IRI))."),
    "HasValue": ("sh:hasValue ex:Town", "ex:a ex:p 1 .", "« point » : la valeur « Ville » manque.", "'point': the value 'Town' is missing."),
    "In": ('sh:in ( "a" ex:Town )', 'ex:a ex:p "c" .', "« point » : « c » n'est pas dans la liste admise (a, Ville).", "'point': 'c' is not in the accepted list (a, Town)."),
}  # fmt: skip
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
    for name, (constraint, triples, _, _) in SAID.items():
        shapes.append(f"ex:{name} sh:targetNode ex:{name}-a ; sh:property [ sh:path ex:p ; {constraint} ] .")
        data.append(triples.replace("ex:a ", f"ex:{name}-a "))
    report = judged("\n".join(shapes), "\n".join(data), LABELS)
    said = {result.component.removesuffix("ConstraintComponent"): result.message for result in report.results}
    assert {name: (text.fr, text.en) for name, text in said.items()} == {
        name: (fr, en) for name, (_, _, fr, en) in SAID.items()
    }


def test_a_closed_shape_names_the_property_that_is_too_many(judged) -> None:
    report = judged("ex:S sh:targetNode ex:a ; sh:closed true ; sh:property [ sh:path ex:p ] .", "ex:a ex:p 1 ; ex:q 2 .")
    assert [(r.message.fr, r.message.en) for r in report.results] == [CLOSED]


@pytest.mark.parametrize(("bound", "values", "said"), [("sh:minCount 1", "", "« p » manque."), ("sh:maxCount 1", "1 , 2", "« p » : une seule valeur est admise, il y en a plusieurs."), ("sh:maxCount 0", "1", "« p » ne doit pas être renseigné ici.")])  # fmt: skip
def test_counts_of_nothing_and_of_one_read_naturally(bound: str, values: str, said: str, judged) -> None:
    report = judged(
        f"ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; {bound} ] .",
        f"ex:a ex:q 1 . {f'ex:a ex:p {values} .' if values else ''}",
    )
    assert [r.message.fr for r in report.results] == [said]


def test_the_words_of_the_author_come_first_and_ours_fill_the_missing_language(judged) -> None:
    both = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:message 'Remplissez p.'@fr , 'Fill p.'@en ] .",
        "ex:a ex:q 1 .",
    )
    assert (both.results[0].message.fr, both.results[0].message.en) == ("Remplissez p.", "Fill p.")
    one = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:message 'Remplissez p.'@fr ] .",
        "ex:a ex:q 1 .",
    )
    assert (one.results[0].message.fr, one.results[0].message.en) == ("Remplissez p.", "'p' is missing.")
    plain = judged(
        "ex:S sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:message 'p!' ] .", "ex:a ex:q 1 ."
    )
    assert (plain.results[0].message.fr, plain.results[0].message.en) == ("p!", "p!")


@pytest.mark.parametrize("engine", ["fast", "pyshacl"])
def test_messages_of_sparql_constraints_keep_their_language_and_what_the_engine_filled_in(engine: str, judged) -> None:
    rules = """ex:S sh:targetNode ex:a ; sh:sparql [ sh:message "trop : {?value} de {?all}"@fr , "too many: {?value} of {?all}"@en ;
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
