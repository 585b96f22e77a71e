"""The child process: no network, no other program, no end of memory or time."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cityorchestra_ld.errors import ShapesError
from cityorchestra_ld.model import Limits
from cityorchestra_ld.validation import check, load_shapes, validate
from cityorchestra_ld.validation.engines import FastValidator, ReferenceValidator
from cityorchestra_ld.validation.sandbox import WORKER, Budget, EngineRefusedError, run_engine

SH = "http://www.w3.org/ns/shacl#"


@pytest.fixture
def listener():
    """Listen on the loopback and count who calls."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    calls: list[object] = []
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, address = server.accept()
            except TimeoutError:
                continue
            calls.append(address)
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/x", calls
    stop.set()
    thread.join()
    server.close()


HOSTILE = {
    "service": "SELECT $this { $this ?p ?o . SERVICE <URL> { ?a ?b ?c } }",
    "silent service in exists": "SELECT $this { $this ?p ?o FILTER EXISTS { SERVICE SILENT <URL> { ?a ?b ?c } } }",
    "service behind an escape": "SELECT $this { $this ?p ?o . SER\\u0056ICE <URL> { ?a ?b ?c } }",
    "from": "SELECT $this FROM <URL> { $this ?p ?o }",
    "from named": "SELECT $this FROM NAMED <URL> { GRAPH ?g { $this ?p ?o } }",
}


def hostile_shapes(select: str, url: str) -> bytes:
    query = json.dumps(select.replace("URL", url))
    return (
        f"<urn:s> <{SH}targetNode> <urn:a> .\n<urn:s> <{SH}sparql> <urn:q> .\n<urn:q> <{SH}select> {query} .\n"
        f"<urn:s> <http://www.w3.org/2002/07/owl#imports> <{url}> .\n"
    ).encode()


@pytest.mark.parametrize("attack", HOSTILE)
def test_no_call_leaves_an_engine_even_without_the_lint(attack: str, listener, tmp_path: Path) -> None:
    url, calls = listener
    data = tmp_path / "d.nq"
    data.write_text("<urn:a> <urn:p> <urn:b> .\n")
    for engine in ("fast", "pyshacl"):
        with contextlib.suppress(EngineRefusedError, ShapesError):
            list(run_engine(engine, data, hostile_shapes(HOSTILE[attack], url), Budget(seconds=30)))
    assert not calls


@pytest.mark.parametrize("attack", HOSTILE)
def test_the_lint_refuses_hostile_queries_before_any_engine(attack: str, listener, tmp_path: Path) -> None:
    url, calls = listener
    file = tmp_path / "s.nt"
    file.write_bytes(hostile_shapes(HOSTILE[attack], url))
    with pytest.raises(ShapesError):
        load_shapes([file], base_iri="https://base.example/", strict=False)
    assert not calls


@pytest.mark.parametrize("text", ['{"@context": "URL", "@id": "urn:a", "urn:p": 1}', '{"@context": ["URL"], "@id": "urn:a"}'])
def test_no_context_is_fetched_for_data(text: str, listener, file, shapes) -> None:
    url, calls = listener
    with pytest.raises(ShapesError):
        validate(
            file(text.replace("URL", url), "d.jsonld", plain=True), shapes("ex:S sh:targetNode <urn:a> ; sh:nodeKind sh:IRI .")
        )
    assert not calls


def run_confined(code: str, *, confined: bool = True) -> subprocess.CompletedProcess[str]:
    """Run code in a process that confines itself the way the worker does, or does not."""
    start = f"import importlib.util as u; s = u.spec_from_file_location('worker', {str(WORKER)!r}); w = u.module_from_spec(s)"
    program = f"{start}; s.loader.exec_module(w); how = {'w.deny_network()' if confined else None}\n{code}\nprint(how)"
    return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("confined", [False, True])
def test_what_calls_out_in_a_free_process_does_not_in_a_confined_one(confined: bool, listener) -> None:
    url, calls = listener
    query = f"SELECT * {{ SERVICE SILENT <{url}> {{ ?a ?b ?c }} }}"
    done = run_confined(f"import pyoxigraph\nlist(pyoxigraph.Store().query({query!r}))", confined=confined)
    assert done.stdout.split()[-1:] == (["seccomp" if sys.platform.startswith("linux") else "python"] if confined else ["None"])
    assert bool(calls) is not confined


def test_sockets_and_programs_are_denied_by_the_kernel_where_it_can() -> None:
    how = run_confined("").stdout.strip()
    assert how == ("seccomp" if sys.platform.startswith("linux") else "python")
    behind_python = "import _socket\ntry:\n    _socket.socket()\nexcept OSError as e:\n    print(type(e).__name__)"
    programs = "import os\ntry:\n    os.execv('/bin/true', ['true'])\nexcept OSError as e:\n    print(type(e).__name__)"
    polite = (
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError as e:\n    print(type(e).__name__)"
    )
    for attempt in (behind_python, programs, polite) if how == "seccomp" else (polite,):
        assert run_confined(attempt).stdout.split() == ["PermissionError", how]


def test_an_engine_that_takes_too_long_is_stopped_with_a_hint(file, shapes) -> None:
    rules = shapes(
        """ex:S sh:targetNode ex:a ; sh:sparql [
            sh:select "SELECT $this { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?c > ?f && ?f > ?i) }" ] ."""
    )
    data = file("".join(f'<urn:a{i}> <urn:p> "{i}" .\n' for i in range(2000)), "d.nt", plain=True)
    start = time.monotonic()
    with pytest.raises(ShapesError, match="more than 1 seconds") as caught:
        validate(data, rules, limits=Limits(validation_seconds=1))
    assert time.monotonic() - start < 5
    assert "validation_seconds" in caught.value.hint.en


def test_an_engine_that_takes_too_much_memory_is_stopped_with_a_hint(file, shapes) -> None:
    data = file("".join(f"<urn:a{i}> <urn:p> <urn:b{i}> .\n" for i in range(30_000)), "d.nt", plain=True)
    with pytest.raises(ShapesError, match="memory") as caught:
        validate(
            data, shapes("ex:S sh:targetSubjectsOf <urn:p> ; sh:nodeKind sh:Literal ."), limits=Limits(validation_memory_mb=150)
        )
    assert "validation_memory_mb" in caught.value.hint.en


def test_a_child_that_is_killed_is_told_and_leaves_nothing_behind(
    file, shapes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(check.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    broken = tmp_path / "worker.py"
    broken.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr("cityorchestra_ld.validation.sandbox.WORKER", broken)
    with pytest.raises(ShapesError, match="stopped"):
        validate(file("ex:a ex:p 1 ."), shapes("ex:S sh:targetSubjectsOf ex:p ; sh:nodeKind sh:IRI ."))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_engines_tell_their_name_and_version() -> None:
    assert FastValidator().name.startswith("shacl 0.3")
    assert ReferenceValidator().name.startswith("pyshacl ")
