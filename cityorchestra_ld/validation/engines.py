"""One door to the SHACL engines: the fast one, and the reference that answers when the fast one cannot."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal, Protocol

from cityorchestra_ld.errors import ShapesError, Text
from cityorchestra_ld.validation.sandbox import Budget, EngineKey, EngineRefusedError, run_engine
from cityorchestra_ld.validation.worker import Row

EngineName = Literal["fast", "pyshacl", "auto"]

__all__ = ["Budget", "EngineName", "EngineRefusedError", "FastValidator", "ReferenceValidator", "Row", "Validator", "choose"]


class Validator(Protocol):
    """A SHACL engine: bytes of shapes and a local N-Quads file in, raw results out; graph names are ignored."""

    fast: bool  # it stops at the cap, and likes its shapes eased

    @property
    def name(self) -> str:
        """Return package and version, for reports."""
        ...

    def run(self, data: Path, shapes: bytes, budget: Budget, *, cap: int | None = None, blank: bool = True) -> Iterator[Row]:
        """Validate; raise EngineRefusedError when the engine does not do what the shapes ask for."""
        ...


class _Packaged:
    """An engine that lives in a package of the Python index."""

    def __init__(self, key: EngineKey, package: str) -> None:
        self._key: EngineKey = key
        self._package = package
        self.fast = key == "fast"

    @property
    def name(self) -> str:
        """Return package and version, for reports."""
        try:
            return f"{self._package} {version(self._package)}"
        except PackageNotFoundError:
            return self._package

    def run(self, data: Path, shapes: bytes, budget: Budget, *, cap: int | None = None, blank: bool = True) -> Iterator[Row]:
        """Validate in a limited child process."""
        return run_engine(self._key, data, shapes, budget, cap=cap, blank=blank)


class FastValidator(_Packaged):
    """The Rust engine `shacl`: about two hundred times the reference; stops early when asked."""

    def __init__(self) -> None:
        super().__init__("fast", "shacl")


class ReferenceValidator(_Packaged):
    """PySHACL: slow, pure Python, everywhere; it knows no cap."""

    def __init__(self) -> None:
        super().__init__("pyshacl", "pyshacl")


_CHOICES: Final[dict[EngineName, tuple[type[_Packaged], ...]]] = {
    "fast": (FastValidator,),
    "pyshacl": (ReferenceValidator,),
    "auto": (FastValidator, ReferenceValidator),
}


def choose(engine: EngineName) -> list[Validator]:
    """Return the engines to try, in order."""
    return [kind() for kind in _CHOICES[engine]]  # type: ignore[call-arg]


def refusal(reasons: list[str]) -> ShapesError:
    """Return the error for shapes that no engine accepts."""
    said = " ; ".join(reasons)
    return ShapesError(
        Text(f"Aucun moteur n'accepte ces formes : {said}", f"No engine accepts these shapes: {said}"),
    )
