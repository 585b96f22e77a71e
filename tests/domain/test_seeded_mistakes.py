"""Mistakes seeded in mappings and files: who reads only what check, map and explain print can repair each of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cityorchestra_ld.cli import main

DATASETS = ("insee/regions", "insee/departements", "insee/communes", "insee/epci", "insee/iris-population", "star/arrets",
            "etalab/irve")  # fmt: skip
Command = Callable[..., tuple[int, str]]


@dataclass(frozen=True)
class Mistake:
    """One mistake: what is changed in which file, the command that is typed, and what its answer must say."""

    dataset: str
    file: str  # mapping.yml, or a file of the examples
    old: str
    new: str
    code: str
    says: tuple[str, ...]  # sentence and hint
    line: str  # words of the line of the mapping, or the place in the file
    command: tuple[str, ...] = ("check",)
    exit: int = 4


MISTAKES = {
    "a column is misspelt": Mistake(
        "insee/iris-population", "mapping.yml", "$(logements_vacants)", "$(logement_vacants)", "MAP-101",
        ("'logement_vacants' is not in iris_2021_bretagne.csv", "The nearest is 'logements_vacants'"), "$(logement_vacants)",
    ),
    "a class does not exist": Mistake(
        "insee/iris-population", "mapping.yml", "[igeo:IRIS, igeo:Iris]", "[igeo:EPCI, igeo:Iris]", "MAP-201",
        ("There is no class igeo:EPCI", "ontology/"), "igeo:EPCI",
    ),
    "a property does not exist": Mistake(
        "star/arrets", "mapping.yml", "[gtfs:code, $(code)]", "[gtfs:codes, $(code)]", "MAP-202",
        ("There is no property gtfs:codes", "The nearest is 'gtfs:code'"), "gtfs:codes",
    ),
    "a name has no language": Mistake(
        "star/arrets", "mapping.yml", "[rdfs:label, $(nom), fr~lang]", "[rdfs:label, $(nom)]", "MAP-305",
        ("rdfs:label must be a text with its language", "fr~lang"), "[rdfs:label, $(nom)]",
    ),
    "a link is written as text": Mistake(
        "star/arrets", "mapping.yml", "com:$(codeinseecommune)~iri", "com:$(codeinseecommune)", "MAP-302",
        ("dct:spatial must be a link to a igeo:Commune", "Add ~iri"), "$(codeinseecommune)",
    ),
    "a join compares a column that the other file has not": Mistake(
        "insee/iris-population", "mapping.yml", "[str2, $(code), o]]\n          - mapping: region",
        "[str2, $(codes), o]]\n          - mapping: region", "MAP-105",
        ("compares 'codes', which is not in communes.json", "The nearest is 'code'"), "mapping: departement",
    ),
    "a required property is forgotten": Mistake(
        "star/arrets", "mapping.yml", "      - [rdfs:label, $(nom), fr~lang]\n", "", "MAP-308",
        ("no rule gives rdfs:label, which the shape StarArret-label requires", "Add '- [rdfs:label, $(…), fr~lang]'"),
        "gtfs:Stop",
    ),
    "a code is in no list": Mistake(
        "insee/iris-population", "mapping.yml", "indicator:dwellings~iri", "indicator:dwelling~iri", "MAP-304",
        ("'https://ld.cityorchestra.example/id/code/indicator/dwelling' is not an accepted value", "Correct the value"),
        "indicator:dwelling~iri",
    ),
    "two templates that should be one differ": Mistake(
        "star/arrets", "mapping.yml", "subject: stop:$(code)/geometry", "subject: stop:$(code)/geom", "MAP-303",
        ("geo:hasGeometry must lead to a geo:Geometry", "Nothing describes that thing: correct the IRI template"),
        "geo:hasGeometry",
    ),
    "a prefix is not declared": Mistake(
        "star/arrets", "mapping.yml", "subject: stop:$(code)\n", "subject: stp:$(code)\n", "MAP-401",
        ("The prefix 'stp' is not declared", "The nearest is 'stop'"), "stp:$(code)",
    ),
    "a meter number is published": Mistake(
        "etalab/irve", "mapping.yml", "[dct:identifier, $(id_pdc_itinerance)]", "[dct:identifier, $(num_pdl)]", "MAP-103",
        ("reads the forbidden column 'num_pdl'", "Take it out of the mapping"), "$(num_pdl)",
    ),
    "a function is misspelt": Mistake(
        "star/arrets", "mapping.yml", "function: fn:point\n", "function: fn:pont\n", "MAP-001",
        ("fn:pont is not allowed", "The nearest is fn:point"), "fn:pont",
    ),
    "the partner renamed a column": Mistake(
        "insee/iris-population", "iris_2021_bretagne.csv", "iris,com,typ_iris", "iris,com,type_iris", "MAP-005",
        ("The column 'typ_iris' is missing; the nearest is 'type_iris'", "add 'type_iris' to the aliases of 'typ_iris'"),
        "iris_2021_bretagne.csv, row 1, column 'typ_iris'",
    ),
    "the partner wrote words in a column of numbers": Mistake(
        "insee/iris-population", "iris_2021_bretagne.csv", "220010000,22001,Z,5,596,", "220010000,22001,Z,5,environ 600,", "",
        ("fn:integer expects a whole number",), "iris_2021_bretagne.csv, row 2, column 'pop', value 'environ 600'",
        ("map", "--preview", "2"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Copy the part of the reference territory that the mistakes need."""
    place = tmp_path_factory.mktemp("seeded")
    shutil.copy(root / "territory.toml", place)
    for folder in ("ontology", "shapes/core"):
        shutil.copytree(root / folder, place / folder)
    for key in DATASETS:
        shutil.copytree(root / "mappings" / key, place / "mappings" / key)
        shutil.copytree(root / "examples" / key, place / "examples" / key, ignore=shutil.ignore_patterns("broken"))
        (place / "shapes" / key).parent.mkdir(exist_ok=True)
        shutil.copy(root / "shapes" / f"{key}.ttl", place / "shapes" / f"{key}.ttl")
    return place


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    """Return a copy that may be spoiled."""
    return shutil.copytree(original, tmp_path / "territory")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that types a command, in English, and gives its exit code and what it printed."""
    monkeypatch.setenv("CITYORCHESTRA_LANG", "en")

    def typed(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cityorchestra", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out + printed.err

    return typed


def spoil(place: Path, mistake: Mistake) -> Path:
    folder = place / ("mappings" if mistake.file == "mapping.yml" else "examples") / mistake.dataset
    text = (folder / mistake.file).read_text(encoding="utf-8")
    assert mistake.old in text
    (folder / mistake.file).write_text(text.replace(mistake.old, mistake.new, 1), encoding="utf-8")
    return folder / mistake.file


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=[name.replace(" ", "-") for name in MISTAKES])
def test_a_seeded_mistake_is_named_with_its_place_and_a_way_to_repair_it(
    mistake: Mistake, place: Path, command: Command
) -> None:
    file = spoil(place, mistake)
    name, *options = mistake.command
    exit_code, said = command(name, mistake.dataset, *options, "--territory", str(place))
    assert exit_code == mistake.exit, said
    blocks = [block for block in said.split("\n\n") if mistake.says[0] in block]
    assert blocks, said
    for words in mistake.says:
        assert words in blocks[0]
    if mistake.code:
        assert f" {mistake.code}: " in blocks[0] and f"docs/check/{mistake.code}.md" in blocks[0]
    if mistake.file == "mapping.yml":
        named = [int(part.split(",")[0]) for part in blocks[0].split("mapping.yml, line ")[1:]]
        assert mistake.line in file.read_text(encoding="utf-8").splitlines()[named[0] - 1]
    else:
        assert mistake.line in blocks[0]


def test_without_mistakes_nothing_is_said(place: Path, command: Command) -> None:
    for key in ("insee/iris-population", "star/arrets", "etalab/irve"):
        assert command("check", key, "--territory", str(place)) == (0, f"{key}: nothing to report.\n")


def test_a_name_taken_from_the_wrong_column_is_found_by_explain(place: Path, command: Command) -> None:
    spoil(place, Mistake("insee/regions", "mapping.yml", "[rdfs:label, $(nom),", "[rdfs:label, $(chefLieu),", "", (), ""))
    where = ("--territory", str(place))
    assert command("run", "insee/regions", *where)[0] == 0
    exit_code, said = command("explain", "http://id.insee.fr/geo/region/53", "rdfs:label", *where)
    assert exit_code == 0
    assert "column 'chefLieu', value '35238' (rdfs:label)" in said and "from: regions.json, /" in said
    mapping = (place / "mappings/insee/regions/mapping.yml").read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(mapping, 1) if "label, $(chefLieu)" in text)
    assert f"rule: region, mappings/insee/regions/mapping.yml:{line}" in said
