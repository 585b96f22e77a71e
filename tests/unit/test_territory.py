"""A territory folder is read into frozen values, and each mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityorchestra_ld.errors import UsageError
from cityorchestra_ld.territory import load_territory

TERRITORY = """
base_iri = "https://x.example/"
name = { fr = "Essai", en = "Trial" }
[partners.ville]
name = "Ville"
"""
DATASET = """
title = { fr = "Arbres", en = "Trees" }
description = { fr = "Les arbres.", en = "The trees." }
publisher = "ville"
licence = "etalab-2.0"
attribution = "Ville"
policy = "open-etalab"
[[source]]
name = "arbres.csv"
path = "examples/arbres.csv"
[[source.column]]
name = "id"
kind = "code"
"""


def write(root: Path, territory: str = TERRITORY, dataset: str | None = DATASET) -> Path:
    (root / "territory.toml").write_text(territory, encoding="utf-8")
    if dataset is not None:
        folder = root / "mappings" / "ville" / "arbres"
        folder.mkdir(parents=True)
        (folder / "dataset.toml").write_text(dataset, encoding="utf-8")
    return root


def test_a_territory_and_its_dataset_are_read(tmp_path: Path) -> None:
    territory = load_territory(write(tmp_path))
    dataset = territory.dataset("ville/arbres")
    assert dataset.title.en == "Trees"
    assert dataset.publisher.iri == "https://x.example/id/org/ville"
    assert dataset.sources[0].columns[0].kind == "code"
    assert dataset.sources[0].path == tmp_path / "examples" / "arbres.csv"
    assert territory.graph_of(dataset) == "https://x.example/graph/data/ville/arbres"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("policy =", "polycy =", "polycy"),
        ('kind = "code"', 'kind = "kode"', "kode"),
        ('kind = "code"', "kind = 3", "kind"),
        ('publisher = "ville"', 'publisher = "vile"', "ville"),
        ('title = { fr = "Arbres", en = "Trees" }', 'title = "Arbres"', "title"),
        ('path = "examples/arbres.csv"', 'path = "../../etc/passwd"', "etc/passwd"),
        ('path = "examples/arbres.csv"', "", "path"),
        ('licence = "etalab-2.0"', "", "licence"),
        ('licence = "etalab-2.0"', 'licence = "etalab-2.0"\naccess = "OPEN"', "OPEN"),
        ("[[source]]", "[[source", "TOML"),
    ],
)
def test_a_mistake_in_a_dataset_is_named_with_its_file(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in DATASET
    with pytest.raises(UsageError) as raised:
        load_territory(write(tmp_path, dataset=DATASET.replace(old, new)))
    assert said in raised.value.render("fr") and "dataset.toml" in raised.value.render("fr")


@pytest.mark.parametrize(
    "text",
    [
        TERRITORY.replace("https://x.example/", "https://x.example"),
        TERRITORY.replace("https://x.example/", "javascript:alert(1)/"),
        TERRITORY + "\n[limits]\nquery_second = 1.0\n",
        TERRITORY + '\n[store]\nworkers = "two"\n',
        TERRITORY + '\n[store]\nresident = "sometimes"\n',
        TERRITORY + "\n[store]\nresident = -1\n",
        "",
    ],
)
def test_a_mistake_in_a_territory_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_territory(write(tmp_path, territory=text))
    assert "territory.toml" in raised.value.render()


def test_an_unknown_dataset_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        load_territory(write(tmp_path)).dataset("ville/arbre")
    assert "ville/arbres" in raised.value.render()


def test_a_folder_without_a_territory_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        load_territory(tmp_path)
    assert "--territory" in raised.value.render()


SERVER = """
[store]
kind = "sparql"
[store.server]
query = "http://127.0.0.1:3030/ds/query"
update = "http://127.0.0.1:3030/ds/update"
data = "http://127.0.0.1:3030/ds/data"
user = "publisher"
password_env = "STORE_PASSWORD"
"""


def test_a_store_on_a_sparql_server_is_read_with_its_settings(tmp_path: Path) -> None:
    server = load_territory(write(tmp_path, TERRITORY + SERVER)).server
    assert server is not None
    assert (server.data, server.user, server.product) == ("http://127.0.0.1:3030/ds/data", "publisher", "standard")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "sparql"', 'kind = "sparkle"', "sparkle"),
        ('kind = "sparql"', "", "embedded"),
        ("password_env", "pasword_env", "password_env"),
        ('user = "publisher"', 'product = "oracle"', "product"),
        ('data = "http://127', 'data = "ftp://127', "ftp"),
        ('data = "http://127', 'data = "http://me:secret@127', "password_env"),
    ],
)
def test_a_mistake_in_the_settings_of_a_server_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_territory(write(tmp_path, (TERRITORY + SERVER).replace(old, new)))
    assert said in str(raised.value)


SERVICE = """
[[sparql.service]]
name = "far"
address = "https://far.example/sparql"
"""


def test_services_that_queries_may_ask_are_read_with_their_limits(tmp_path: Path) -> None:
    near = SERVICE.replace("far", "near").replace("https", "http") + 'private = true\nrows = 7\nlicence = "etalab-2.0"\n'
    far, intranet = load_territory(write(tmp_path, TERRITORY + SERVICE + near, None)).services
    assert (far.name, far.address, far.private) == ("far", "https://far.example/sparql", False)
    assert (far.seconds, far.rows, far.max_bytes, far.at_once) == (5.0, 10_000, 10_000_000, 4)
    assert (intranet.private, intranet.rows, intranet.licence) == (True, 7, "etalab-2.0")


def test_no_service_may_be_asked_unless_one_is_named(tmp_path: Path) -> None:
    assert load_territory(write(tmp_path, TERRITORY, None)).services == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https:", "http:"),
        ("https:", "file:"),
        ("far.example", "user:secret@far.example"),
        ("/sparql", "/sparql#x"),
        ("/sparql", "/spa rql"),
        ("/sparql", "/> } #"),
        ('"far"', '"Far one"'),
        ('name = "far"', 'name = "far"\nrows = 0'),
        ('name = "far"', 'name = "far"\nseconds = -1.0'),
        ('name = "far"', 'name = "far"\nrow = 5'),
        ('name = "far"\n', ""),
        ("[[sparql.service]]", "[[sparql.services]]"),
        (SERVICE, SERVICE + SERVICE),
    ],
)
def test_a_service_that_could_not_be_asked_safely_is_refused(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_territory(write(tmp_path, TERRITORY + SERVICE.replace(old, new), None))
    assert "territory.toml" in str(caught.value.place)
    assert "secret" not in str(caught.value)
