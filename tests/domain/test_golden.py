"""Golden rows: what stewards marked stays as it is, and a change shows as a difference of triples with row and rule."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cityorchestra_ld.cli import main
from cityorchestra_ld.golden import compare, file_of
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = load_territory(ROOT)
MARKED = [key for key in REFERENCE.datasets if file_of(REFERENCE, key).exists()]
Command = Callable[..., tuple[int, str]]


@pytest.mark.slow
@pytest.mark.parametrize("key", MARKED)
def test_the_marked_rows_of_a_dataset_give_the_triples_that_were_accepted(key: str) -> None:
    found = compare(REFERENCE, key)
    assert found and [item for item in found if not item.same] == []


def test_golden_rows_cover_csv_json_and_archives() -> None:
    assert {"star/arrets", "insee/iris-population", "sailcoop/gtfs", "enedis/conso-iris", "velib/gbfs"} <= set(MARKED)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a territory with one dataset that may be spoiled."""
    shutil.copy(ROOT / "territory.toml", tmp_path)
    for folder in ("mappings", "examples"):
        shutil.copytree(ROOT / folder / "star/arrets", tmp_path / folder / "star/arrets")
    return tmp_path


@pytest.fixture
def typed(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that types `cityorchestra golden` and gives its exit code and what it printed."""

    def run(*words: str, lang: str = "en") -> tuple[int, str]:
        monkeypatch.setenv("CITYORCHESTRA_LANG", lang)
        monkeypatch.setattr(sys, "argv", ["cityorchestra", "golden", *words, "--territory", str(place)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out + printed.err

    return run


def change(place: Path, old: str, new: str) -> None:
    mapping = place / "mappings/star/arrets/mapping.yml"
    text = mapping.read_text(encoding="utf-8")
    assert old in text
    mapping.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_change_of_the_mapping_shows_triples_with_their_row_and_rule(place: Path, typed: Command) -> None:
    change(place, "[rdfs:label, $(nom), fr~lang]", "[rdfs:label, $(nom), br~lang]")
    code, said = typed("star/arrets")
    assert code == 4
    blocks = said.split("star/arrets, ")
    assert blocks[1].startswith("star_arrets.json, row 1\n")
    lines = (place / "mappings/star/arrets/mapping.yml").read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "br~lang" in text)
    assert '  - <https://ld.cityorchestra.example/id/stop/star/1002> rdfs:label "Bouzat"@fr\n' in blocks[1]
    assert f'rdfs:label "Bouzat"@br  # arret:{line}\n' in blocks[1]
    assert "cityorchestra golden star/arrets --update" in said
    assert "ligne 1" in typed("star/arrets", lang="fr")[1]


def test_an_accepted_change_is_golden_from_then_on(place: Path, typed: Command) -> None:
    change(place, "[rdfs:label, $(nom), fr~lang]", "[rdfs:label, $(nom), br~lang]")
    assert typed("star/arrets", "--update", "--row", "4")[0] == 0
    assert typed("star/arrets") == (0, "star/arrets: 3 row(s) give what they must.\n")
    assert typed("--all")[0] == 0


def test_a_row_that_left_the_file_is_told(place: Path, typed: Command) -> None:
    (place / "examples/star/arrets/star_arrets.json").write_text("[]", encoding="utf-8")
    code, said = typed("star/arrets")
    assert code == 4 and said.count("the row is no longer there") == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("star/arrets", "--update", "--row", "stops.json:1"), "'stops.json' is not a source of star/arrets"),
        (("star/arrets", "--update", "--row", "0"), "There is no such row"),
        (("star/arrets", "--update", "--row", "one"), "Write FILE:ROW instead of 'one'"),
        (("star/arrets", "--row", "1"), "--row goes with --update"),
        ((), "Give P/D or --all"),
    ],
)
def test_what_cannot_be_marked_is_refused(words: tuple[str, ...], says: str, typed: Command) -> None:
    code, said = typed(*words)
    assert code == 2 and says in said


def test_a_broken_file_of_golden_rows_is_refused_with_its_line(place: Path, typed: Command) -> None:
    with (place / "examples/star/arrets/golden/expected.nt").open("a", encoding="utf-8") as file:
        file.write("not a triple\n")
    code, said = typed("star/arrets")
    assert code == 2 and "expected.nt, line 34" in said
