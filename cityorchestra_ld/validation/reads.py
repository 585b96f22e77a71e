"""Single reads of triples around a focus node, and how a property path is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cityorchestra_ld.validation.paths import Path


class OpaqueError(Exception):
    """What a constraint reads cannot be told from its text."""


@dataclass(frozen=True, slots=True)
class Read:
    """Triples with a predicate (`None`: any) that leave, or enter, the nodes at the end of a walk from the focus node."""

    walk: tuple[Path, ...]
    predicate: str | None
    inverse: bool = False


def steps(path: Path, walk: tuple[Path, ...], *, inverse: bool = False) -> Iterator[Read]:
    """Take a path apart into the single triples that it reads."""
    match path.operator:
        case "predicate":
            yield Read(walk, path.iri, inverse)
        case "inverse":
            yield from steps(path.parts[0], walk, inverse=not inverse)
        case "alternative":
            for part in path.parts:
                yield from steps(part, walk, inverse=inverse)
        case "sequence":
            for part in reversed(path.parts) if inverse else path.parts:
                yield from steps(part, walk, inverse=inverse)
                walk = (*walk, Path("inverse", parts=(part,)) if inverse else part)
        case _:
            inner = Path("inverse", parts=path.parts) if inverse else path.parts[0]
            repeated = walk if path.operator == "optional" else (*walk, Path("star", parts=(inner,)))
            yield from steps(path.parts[0], repeated, inverse=inverse)
