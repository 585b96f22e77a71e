"""A service that is asked to stop finishes its answers within its time, and leaves no process behind."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

ROWS = 20_000
LONG = "SELECT ?a ?b ?c ?d ?e ?f {{ ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }} LIMIT {}"


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def refuses(port):
    with closing(socket.socket()) as connection:
        return connection.connect_ex(("127.0.0.1", port)) != 0


def eventually(check, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()


@pytest.fixture
def served(tmp_path, city):
    """Serve a copy of the city in a process of its own, with three seconds to stop; give the process, its port, its workers."""
    root = tmp_path / "city"
    shutil.copytree(city.root, root)
    with (root / "territory.toml").open("a", encoding="utf-8") as file:
        file.write("\n[serving]\nstop_seconds = 3\n")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from cityorchestra_ld.cli import main; main()", "serve", "--port", str(port)]
    environment = os.environ | {"CITYORCHESTRA_TERRITORY": str(root), "CITYORCHESTRA_STATE": str(root / "var")}
    with (
        (tmp_path / "out").open("wb") as out,
        (tmp_path / "err").open("wb") as err,
        subprocess.Popen(command, env=environment, stdout=out, stderr=err) as process,
    ):
        try:
            assert eventually(lambda: not refuses(port)), (tmp_path / "err").read_text()
            children = (Path(f"/proc/{process.pid}/task/{process.pid}/children")).read_text().split()
            assert len(children) == 2
            yield process, port, [int(child) for child in children], tmp_path
        finally:
            process.kill()


@pytest.mark.slow
def test_a_service_that_is_asked_to_stop_finishes_what_is_read_breaks_what_is_not_and_ends_its_workers(served):
    process, port, workers, folder = served
    with (
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as reading,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as stuck,
    ):
        for connection, rows in ((reading, ROWS), (stuck, 10 * ROWS)):
            connection.request("GET", "/sparql?" + urlencode({"query": LONG.format(rows), "format": "csv"}))
        with reading.getresponse() as answer, stuck.getresponse() as never_read:
            assert answer.status == never_read.status == 200
            start = answer.read(1000)
            process.send_signal(signal.SIGTERM)
            assert eventually(lambda: refuses(port))
            whole = start + answer.read()
            assert whole.count(b"\n") >= ROWS
            assert process.wait(20) == 0
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                never_read.read()
    assert eventually(lambda: not any(map(alive, workers)))
    lines = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    asked = {line.get("broken", False): line for line in lines if line["path"] == "/sparql"}
    assert asked[False]["bytes"] > 1_000_000 and asked[True]["status"] == 200
    said = [json.loads(line) for line in (folder / "err").read_text().splitlines()]
    assert any(line["message"].startswith("generation 1 is open") for line in said)
