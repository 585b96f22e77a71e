"""A service answers from disk, then from memory, never from two generations; what is too large is said to stay on disk."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from cityorchestra_ld.doctor import examine
from cityorchestra_ld.store import resident
from cityorchestra_ld.web.app import create_app

COUNT = "SELECT (COUNT(?s) AS ?n) { ?s a <http://vocab.gtfs.org/terms#Stop> }"
HERE = ("127.0.0.1", 50_000)


def eventually(check, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()


def stops(client):
    """Count the stops by a query, and see whether one of them is there by a look-up, with the generation that each was."""
    asked = client.get("/sparql", params={"query": COUNT}, headers={"accept": "text/csv"})
    found = client.get("/doc/stop/1001", headers={"accept": "text/turtle"})
    return asked.text.split()[-1], found.status_code, found.content


def told(client):
    lines = client.get("/-/metrics").text.splitlines()
    return dict(
        line.removeprefix("cityorchestra_").rsplit(" ", 1) for line in lines if line.startswith("cityorchestra_resident")
    )


def in_memory(client):
    return all(client.app.service.resident.values())


@pytest.mark.slow
def test_a_new_generation_is_served_at_once_from_disk_and_soon_from_memory(tmp_path, make_city, publish_stops):
    city = replace(make_city(tmp_path), resident="auto")
    with TestClient(create_app(city), follow_redirects=False, client=HERE) as client:
        before = stops(client)
        assert before[1] == 200
        assert eventually(lambda: in_memory(client))
        assert told(client) | {'resident{process="web"}': "1", 'resident{process="workers"}': "1"} == told(client)
        assert stops(client) == before
        old = client.app.service.snapshot.reader

        publish_stops(city, f'<{city.base_iri}id/stop/1001> a <http://vocab.gtfs.org/terms#Stop> ; dct:title "Moved" .')
        assert eventually(lambda: client.app.service.snapshot.reader is not old)
        after = stops(client)
        assert after[0] == "1" != before[0]
        assert b"Moved" in after[2]
        assert eventually(lambda: not old.resident)
        assert eventually(lambda: in_memory(client))
        assert stops(client) == after


@pytest.mark.slow
def test_what_is_too_large_stays_on_disk_and_metrics_and_doctor_say_so(city, monkeypatch):
    city = replace(city, resident="auto")
    monkeypatch.setattr(resident, "machine_memory", lambda: 4_000)
    with TestClient(create_app(city), client=HERE) as client:
        assert eventually(lambda: "resident_allowed_bytes" in told(client))
        said = told(client)
        assert said["resident_allowed_bytes"] == "2000"
        assert int(said['resident_needed_bytes{process="web"}']) > 2000
        time.sleep(0.2)
        assert client.app.service.resident == {"web": False, "workers": False}
        assert said['resident{process="web"}'] == said['resident{process="workers"}'] == "0"
        assert stops(client)[1] == 200
    finding = next(finding for finding in examine(city) if "read from disk" in finding.text.en)
    assert "0 are allowed" in finding.hint.en
    finding = next(finding for finding in examine(replace(city, resident="never")) if "read from disk" in finding.text.en)
    assert finding.hint is None
    assert any("In memory: pages and queries" in finding.text.en for finding in examine(replace(city, resident="always")))
