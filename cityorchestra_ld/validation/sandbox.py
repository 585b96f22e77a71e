"""Run one engine on one graph in a limited child process, and read its results as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cityorchestra_ld.errors import ShapesError, Text
from cityorchestra_ld.validation.worker import Row

WORKER: Final = Path(__file__).with_name("worker.py")
EngineKey = Literal["fast", "pyshacl"]


class EngineRefusedError(Exception):
    """An engine does not do what these shapes ask for, or is not installed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run of an engine may cost."""

    seconds: float = 600.0
    memory_mb: int = 4096


def run_engine(
    engine: EngineKey, data: Path, shapes: bytes, budget: Budget, *, cap: int | None = None, blank: bool = True
) -> Iterator[Row]:
    """Yield raw results; raise EngineRefusedError when the engine cannot, ShapesError when it took too much time or memory."""
    request = {
        "engine": engine,
        "data": str(data),
        "memory_mb": budget.memory_mb,
        "seconds": int(budget.seconds) + 1,
        "cap": cap,
        "blank": blank,
    }
    with tempfile.TemporaryFile() as noise, _start(noise.fileno()) as child:
        timer = threading.Timer(budget.seconds, child.kill)
        timer.start()
        try:
            yield from _converse(child, request, shapes)
        except (BrokenPipeError, _NoEndingError):
            child.wait()
            noise.seek(0)
            raise _failure(child.returncode, budget, noise.read()[-2000:].decode(errors="replace"), timer) from None
        finally:
            timer.cancel()
            child.kill()


class _NoEndingError(Exception):
    """The child stopped in the middle."""


def _start(noise: int) -> subprocess.Popen[bytes]:
    threads = str(min(4, os.cpu_count() or 1))
    environment = {"MALLOC_ARENA_MAX": "2", "RAYON_NUM_THREADS": threads, "LANG": "C.UTF-8", "PATH": os.defpath}
    return subprocess.Popen(  # noqa: S603 - our own file, our own interpreter
        [sys.executable, "-I", "-X", "utf8", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=noise,
        env=environment,
        close_fds=True,
    )


def _converse(child: subprocess.Popen[bytes], request: dict[str, object], shapes: bytes) -> Iterator[Row]:
    if child.stdin is None or child.stdout is None:
        raise _NoEndingError
    with child.stdin as question:
        question.write(json.dumps(request).encode() + b"\n" + shapes)
    for line in child.stdout:
        answer = json.loads(line)
        if isinstance(answer, dict):
            if answer["end"] == "done":
                return
            if answer["end"] == "memory":
                raise _NoEndingError
            raise EngineRefusedError(answer["why"])
        focus, path, value, component, severity, shape, messages = answer
        yield Row(focus, path, value, component, severity, shape, tuple(messages))
    raise _NoEndingError


def _failure(code: int | None, budget: Budget, noise: str, timer: threading.Timer) -> ShapesError:
    if not timer.is_alive() or code == -24:  # SIGXCPU
        return ShapesError(
            Text(
                f"La validation a dépassé {budget.seconds:g} secondes.",
                f"Validation took more than {budget.seconds:g} seconds.",
            ),
            hint=Text(
                "Validez moins de données à la fois, ou augmentez validation_seconds dans territory.toml.",
                "Validate less data at a time, or raise validation_seconds in territory.toml.",
            ),
        )
    return ShapesError(
        Text(
            f"Le moteur de validation s'est arrêté (mémoire limitée à {budget.memory_mb} Mo ?). {noise}".strip(),
            f"The validation engine stopped (memory is limited to {budget.memory_mb} MB?). {noise}".strip(),
        ),
        hint=Text(
            "Augmentez validation_memory_mb dans territory.toml, ou validez moins de données à la fois.",
            "Raise validation_memory_mb in territory.toml, or validate less data at a time.",
        ),
    )
