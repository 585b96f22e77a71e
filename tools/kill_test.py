#!/usr/bin/env python3
"""
Kill a publishing process again and again, with no warning; look each time whether the store is old or new, never between.

    tools/kill_test.py                              50 kills of a process that publishes two graphs as one
    tools/kill_test.py --kills 50 --prepare "PUBLISH THE OLD STATE {state}" "PUBLISH THE NEW STATE {state}"

A command of your own is started in a copy of the state that `--prepare` made (an empty one without it); `{state}` is the folder
that holds `store/`. Exit code 0 when every trial left a store that opens and is whole.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.model import GraphChange, GraphInfo
from cityorchestra_ld.store import open_store

GRAPHS = ("https://ld.cityorchestra.example/graph/data/test/a", "https://ld.cityorchestra.example/graph/data/test/b")
VERSION = ox.NamedNode("https://ld.cityorchestra.example/def/co#version")


def publish(state: Path, version: int, triples: int) -> None:
    """Publish one version of two graphs; a quarter of the lines differ from one version to the next, every fourth all."""
    changes = []
    with tempfile.TemporaryDirectory() as folder:
        for name in GRAPHS:
            path = Path(folder) / f"{name.rsplit('/', 1)[-1]}.nt"
            with path.open("w", encoding="utf-8") as out:
                out.write(f'<{name}> {VERSION} "{version}" .\n')
                for number in range(triples):
                    value = number if number % 4 and version % 4 else number + version * triples
                    out.write(f'<{name}/{number}> <{VERSION.value}Value> "{value}" .\n')
            info = GraphInfo(graph=name, role="data", dataset=f"test/{path.stem}")
            changes.append(GraphChange(info=info, content=path))
        open_store(state / "store").publish(changes)


def look(state: Path, own: bool) -> str:
    """Say in which generation a store is; raise SystemExit naming what is broken."""
    store = open_store(state / "store")
    try:
        current = store.current()
        problems = [str(problem) for problem in store.verify(deep=own)]
    except CityOrchestraError as error:
        raise SystemExit(f"BROKEN: {error}") from None
    if problems:
        raise SystemExit("BROKEN: " + "; ".join(problems))
    if current is None:
        return "nothing published"
    if own:
        with store.reader() as reader:
            versions = {quad.object.value for quad in reader.quads(None, VERSION)}
        if len(versions) != 1:
            raise SystemExit(f"BROKEN: graphs of versions {sorted(versions)} in one generation")
    return f"generation {current.number}"


def run(command: list[str], delay: float | None) -> bool:
    """Run a command to its end, or kill it and all its children after a delay; tell whether it ended by itself."""
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ended = True
    try:
        _, said = process.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        ended = False
        os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
    if ended and process.returncode != 0:
        raise SystemExit(f"the command failed by itself with {process.returncode}: {said.decode()[-2000:]}")
    return ended


def main() -> int:
    """Kill, look, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", help="what to kill; our own publisher when left out")
    parser.add_argument("--prepare", help="command that makes the state before each trial")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--triples", type=int, default=20_000, help="triples of each graph of our own publisher")
    parser.add_argument("--publish", nargs=2, metavar=("STATE", "VERSION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(Path(arguments.publish[0]), int(arguments.publish[1]), arguments.triples)
        return 0
    own = arguments.command is None
    with tempfile.TemporaryDirectory(prefix="kill-test-") as folder:
        return trials(arguments, own, Path(folder))


def trials(arguments: argparse.Namespace, own: bool, folder: Path) -> int:
    """Run all trials on copies of one prepared state."""
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    chance = random.Random(seed)
    base, state = folder / "base", folder / "state"
    base.mkdir()

    def command(where: Path, version: int) -> list[str]:
        if own:
            return [sys.executable, __file__, "--triples", str(arguments.triples), "--publish", str(where), str(version)]
        return shlex.split(arguments.command.format(state=where))

    if own:
        run(command(base, 1), None)
    elif arguments.prepare:
        run(shlex.split(arguments.prepare.format(state=base)), None)
    before = look(base, own)
    shutil.copytree(base, state)
    started = time.perf_counter()
    run(command(state, 2), None)
    lasts = time.perf_counter() - started
    print(f"seed {seed}; before: {before}; after a whole run of {lasts:.2f} s: {look(state, own)}")
    found: Counter[str] = Counter()
    for trial in range(arguments.kills):
        shutil.rmtree(state)
        shutil.copytree(base, state)
        version = 2 + trial % 3
        ended = run(command(state, version), chance.uniform(0.0, lasts * 1.02))
        seen = look(state, own)
        found[f"{seen}{' (ended before the kill)' if ended else ''}"] += 1
        run(command(state, version), None)  # whatever was left, the next run must work
        look(state, own)
    for what, times in sorted(found.items()):
        print(f"{times:4d} x {what}")
    print(f"{arguments.kills} kills, 0 broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
