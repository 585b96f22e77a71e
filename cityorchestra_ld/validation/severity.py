"""Let a dataset decide which results block its publication, which warn and which inform; secrecy rules cannot be softened."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.model import Level, Severity, Strictness
from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.validation.graph import Graph, local_name
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph

_SEVERITIES: Final[Mapping[Level, str]] = {
    "block": f"{SH}{Severity.VIOLATION.value}",
    "warn": f"{SH}{Severity.WARNING.value}",
    "inform": f"{SH}{Severity.INFO.value}",
}
_ORDER: Final = (_SEVERITIES["block"], _SEVERITIES["warn"], _SEVERITIES["inform"])


def with_strictness(shapes: ShapesGraph, strictness: Strictness) -> ShapesGraph:
    """
    Give shapes the severity that a dataset wants (SHACL, section 2.1.4); results, counts and reports then agree by themselves.

    Raises ShapesError for a shape that does not exist, and for a common rule that blocks and would block no more.
    """
    if strictness == Strictness():
        return shapes
    _require_known(shapes, strictness)
    wanted = {shape.id: severity for shape in shapes.shapes.values() if (severity := _severity(shape, strictness))}
    said = f"{SH}severity"
    kept = [triple for triple in shapes.graph if not (triple[1] == said and str(triple[0]) in wanted)]
    kept += [(ox.NamedNode(identity.strip("<>")), said, ox.NamedNode(severity)) for identity, severity in wanted.items()]
    changed = {
        identity: replace(shape, severity=wanted.get(identity, shape.severity)) for identity, shape in shapes.shapes.items()
    }
    return replace(shapes, graph=Graph(kept), shapes=MappingProxyType(changed))


def _severity(shape: Shape, strictness: Strictness) -> str | None:
    """Return the severity that a shape must have, or nothing when it keeps its own."""
    level = strictness.shapes.get(local_name(shape.root))
    if level is not None:
        return _SEVERITIES[level]
    return _SEVERITIES[strictness.warnings] if shape.severity == _SEVERITIES["warn"] else None


def _require_known(shapes: ShapesGraph, strictness: Strictness) -> None:
    known: dict[str, list[Shape]] = {}
    for shape in shapes.shapes.values():
        known.setdefault(local_name(shape.root), []).append(shape)
    for name, level in strictness.shapes.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            raise ShapesError(
                Text(f"Aucune forme ne s'appelle « {name} ».", f"No shape is called '{name}'."),
                place=Place(value=f"[validation.shapes] {name}"),
                hint=Text(f"La plus proche est « {near[0]} ».", f"The nearest is '{near[0]}'.") if near else None,
            )
        for shape in known[name]:
            common = Path(shape.file).parent.name == "core"
            if common and shape.severity == _ORDER[0] and level != "block":
                raise ShapesError(
                    Text(
                        f"« {name} » est une règle commune qui bloque : un jeu de données ne peut pas l'adoucir.",
                        f"'{name}' is a common rule that blocks: a dataset cannot soften it.",
                    ),
                    place=Place(file=shape.file, value=f"[validation.shapes] {name}"),
                )
