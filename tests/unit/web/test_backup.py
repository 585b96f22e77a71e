"""A backup that was taken while others publish comes back whole, answers as before, and is refused when it is damaged."""

from __future__ import annotations

import json
import re
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import zstandard
from starlette.testclient import TestClient
from typer.testing import CliRunner

from cityorchestra_ld import backup as keeping
from cityorchestra_ld.backup import backup, restore
from cityorchestra_ld.catalog.snapshots import keep_source, restore_source
from cityorchestra_ld.cli.app import app
from cityorchestra_ld.errors import BusyError, RefusedError, StoreError, UsageError
from cityorchestra_ld.governance.tokens import Tokens
from cityorchestra_ld.runs import Run, RunFolder, Status, exclusive
from cityorchestra_ld.store import open_store
from cityorchestra_ld.web.app import create_app

QUERIES = (
    "SELECT * { ?s ?p ?o } ORDER BY ?s ?p ?o",
    "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY ?g",
)


def answers(territory):
    with TestClient(create_app(territory), follow_redirects=False) as client:
        found = [client.get("/sparql", params={"query": query, "format": "csv"}).text for query in QUERIES]
        found.append(client.get("/doc/stop/1001.ttl").text)
        assert len(found[0]) > 1000
        return found


def whole(state):
    with open_store(state / "store") as store:
        return store.current() is not None and store.verify(deep=True) == ()


@pytest.fixture
def town(tmp_path, make_city):
    """A city of a test's own."""
    return make_town(tmp_path, make_city)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, make_city):
    """A city, its backup as an archive and as a folder, for tests that change none of them."""
    folder = tmp_path_factory.mktemp("kept")
    territory = make_town(folder, make_city)
    backup(territory.state, folder / "b.tar.zst")
    backup(territory.state, folder / "b")
    return territory, folder / "b.tar.zst", folder / "b"


def make_town(tmp_path, make_city):
    """Make a city with a kept source, a run, a token, a feed, and what needs no backup."""
    territory = make_city(tmp_path / "town")
    state = territory.state
    (tmp_path / "file.csv").write_text("a,b\n1,2\n")
    keep_source(state, "ab" * 32, tmp_path / "file.csv")
    now = datetime.now(UTC)
    identity, _ = RunFolder(state).start("ville/stops", now)
    RunFolder(state).save(Run(id=identity, dataset="ville/stops", status=Status.PUBLISHED, started=now, finished=now))
    RunFolder(state).start("ville/stops", now)  # killed: it has no record
    Tokens.of(territory).new("ann", write=["*"])
    for name in ("feed/ville/stops/ledger.json", "exports/x/file", "cache/y", "feed/ville/stops/.adding-1/written"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text("{}")
    return territory


@pytest.mark.parametrize("name", ["town.tar.zst", "town-backup"])
@pytest.mark.slow
def test_publish_back_up_damage_restore_verify_and_serve_as_before(tmp_path, town, name):
    state, before = town.state, answers(town)
    made = backup(state, tmp_path / name)
    assert made.generation == 1 and made.triples > 100
    tops = {item.path.split("/")[0] for item in made.files}
    assert tops == {"store", "sources", "runs", "feed", "tokens.json"}
    assert [item.path for item in made.files if item.path.startswith("feed/")] == ["feed/ville/stops/ledger.json"]
    assert not list(state.glob(".backup-*")) and len([i for i in made.files if i.path.endswith("run.json")]) == 1
    if name.endswith(".zst"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    for path in sorted((state / "store").rglob("*")):
        if path.is_file():
            path.write_bytes(b"damaged")
    with pytest.raises(RefusedError):
        restore(tmp_path / name, state)
    with pytest.raises(StoreError):
        whole(state)
    restore(tmp_path / name, state, force=True)
    assert whole(state) and answers(town) == before
    assert (state / "tokens.json").stat().st_mode & 0o777 == 0o600 and not (state / "exports").exists()
    assert restore_source(state, "ab" * 32, tmp_path / "again").read_text() == "a,b\n1,2\n"
    assert len(RunFolder(state).list()) == 1 and len(list(state.glob(".replaced-*/store/CURRENT"))) == 1


def test_a_restored_state_goes_on_publishing(tmp_path, town, publish_stops):
    publish_stops(town, "<id/stop/1001> a gtfs:Stop ; rdfs:label 'Nouveau' .")
    backup(town.state, tmp_path / "b.tar.zst")
    elsewhere = replace(town, state=tmp_path / "elsewhere")
    restore(tmp_path / "b.tar.zst", elsewhere.state)
    with TestClient(create_app(elsewhere), follow_redirects=False) as client:
        assert client.get("/id/stop/nameless").status_code == 410  # what went away before is still known
    publish_stops(elsewhere, "<id/stop/1001> a gtfs:Stop ; rdfs:label 'Encore' .")
    with open_store(elsewhere.state / "store") as store:
        assert store.current().number == 3
    assert whole(elsewhere.state)


def test_backups_taken_while_others_publish_are_each_one_version(tmp_path, town, publish_stops):
    stop, failed = threading.Event(), []

    def publish():
        number = 0
        try:
            while not stop.is_set():
                number += 1
                publish_stops(town, f"<id/stop/1001> a gtfs:Stop ; gtfs:code '{number}' ; rdfs:label 'version {number}'@fr .")
        except BaseException as error:
            failed.append(error)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        made = [backup(town.state, tmp_path / f"{n}.tar.zst") for n in range(3)]
    finally:
        stop.set()
        publisher.join()
    assert not failed
    for n, contents in enumerate(made):
        restore(tmp_path / f"{n}.tar.zst", tmp_path / f"state-{n}")
        assert whole(tmp_path / f"state-{n}")
        with open_store(tmp_path / f"state-{n}" / "store") as store:
            assert store.current().number == contents.generation


def _cut(data):
    return data[: len(data) // 2]


def _flipped(data):
    plain = bytearray(zstandard.ZstdDecompressor().stream_reader(data).read())
    plain[plain.index(b"manifest.json") + 1024] ^= 1  # one bit of the content behind that name
    return zstandard.compress(bytes(plain))


@pytest.mark.parametrize("harm", [_cut, _flipped, lambda _: b"", lambda _: b"not an archive"])
def test_a_damaged_backup_is_refused_and_nothing_changes(tmp_path, kept, harm):
    town, good, _ = kept
    archive = tmp_path / "b.tar.zst"
    archive.write_bytes(harm(good.read_bytes()))
    there = {path: path.read_bytes() for path in town.state.rglob("*") if path.is_file() and path.name != "run.lock"}
    with pytest.raises(RefusedError):
        restore(archive, town.state, force=True)
    with pytest.raises(RefusedError):
        restore(archive, tmp_path / "new")
    assert not [path for path in (tmp_path / "new").rglob("*") if path.name != "run.lock"]
    assert {path: path.read_bytes() for path in town.state.rglob("*") if path.is_file() and path.name != "run.lock"} == there


@pytest.mark.parametrize("harm", ["missing", "more", "outside", "link"])
def test_a_folder_that_holds_something_else_than_it_says_is_refused(tmp_path, kept, harm):
    folder = tmp_path / "folder"
    shutil.copytree(kept[2], folder)
    if harm == "missing":
        next(folder.rglob("run.json")).unlink()
    elif harm == "more":
        (folder / "store" / "extra").write_text("x")
    elif harm == "outside":
        (folder / "elsewhere").write_text("x")
    else:
        (folder / "store" / "link").symlink_to("/etc/passwd")
    with pytest.raises(RefusedError):
        restore(folder, tmp_path / "new")


def test_names_that_lead_out_of_the_state_are_refused(tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    for name in ("../x", "/etc/x", "store/../../x", ""):
        monkeypatch.setattr(keeping, "_members", lambda _, name=name: iter([(name, None)]))
        with pytest.raises(RefusedError):
            restore(tmp_path / "b", tmp_path / "new")


def test_nothing_is_overwritten_and_nothing_is_taken_from_nothing(tmp_path, kept):
    town, archive, _ = kept
    (tmp_path / "there.tar.zst").write_text("x")
    with pytest.raises(UsageError):
        backup(town.state, tmp_path / "there.tar.zst")
    with pytest.raises(StoreError):
        backup(tmp_path / "nowhere", tmp_path / "b.tar.zst")
    with pytest.raises(UsageError):
        restore(tmp_path / "no.tar.zst", tmp_path / "new")
    with pytest.raises(StoreError):
        backup(town.state, tmp_path / "no folder" / "b.tar.zst")
    with exclusive(town.state), pytest.raises(BusyError):
        restore(archive, town.state, force=True)


def test_a_folder_without_links_is_copied(tmp_path, kept, monkeypatch):
    def refused(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(keeping.os, "link", refused)
    backup(kept[0].state, tmp_path / "b.tar.zst")
    restore(tmp_path / "b.tar.zst", tmp_path / "new")
    assert whole(tmp_path / "new")


def test_the_commands_back_up_restore_and_verify(tmp_path, town):
    def call(*arguments):
        return CliRunner().invoke(app, [*arguments, "--territory", str(town.root)], standalone_mode=False)

    made = call("backup", str(tmp_path / "b.tar.zst"), "--json")
    assert json.loads(made.stdout)["generation"] == 1
    assert call("verify", "--deep").return_value == 0
    shutil.rmtree(town.state)
    assert "remise en place" in call("restore", str(tmp_path / "b.tar.zst")).stdout
    assert call("verify", "--deep", "--json").stdout.strip() == "[]"
    assert call("restore", str(tmp_path / "b.tar.zst"), "--into", str(tmp_path / "other")).return_value == 0
    manifest = town.state / "store" / "generations" / "000001" / "manifest.json"
    manifest.write_text(re.sub(r'"triples":\s*', '"triples":1', manifest.read_text(), count=1))
    assert call("verify").return_value == 6
