"""Read the logical targets of a mapping (RML-IO): files below a folder, with a serialization, an encoding, a compression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.plan import Target
from cityorchestra_ld.mapping.vocabulary import Document, Term, nearest, short_name

SERIALIZATIONS: Final = ("N-Quads", "N-Triples", "TriG", "Turtle", "N3", "JSON-LD", "RDF_XML", "RDF_JSON")
COMPRESSIONS: Final = ("none", "gzip", "zip", "targz", "tarxz")
ENCODINGS: Final = ("utf-8", "utf-16")


def read_targets(document: Document) -> dict[str, Target]:
    """Read each target that a term map names; raise MappingError for what is no file below a folder, or cannot be written."""
    named = {target.value: target for node in document.order for target in document.all(node, "logicalTarget")}
    return {name: _target(document, node) for name, node in named.items()}


def _target(document: Document, node: Term) -> Target:
    access = None if isinstance(node, ox.Literal) else document.one(node, "target")
    path = document.text(access, "path") if access is not None else None
    if not path:
        raise document.error(
            "Une cible est un fichier : rml:target avec rml:path.", "A target is a file: rml:target with rml:path.", node
        )
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.name or "\\" in path:
        raise document.error(
            "Une cible reste dans le dossier des cibles.", "A target stays in the folder of targets.", node, value=path,
            hint=Text("Donnez un chemin relatif, sans « .. ».", "Give a relative path without '..'."),
        )  # fmt: skip
    return Target(
        name=node.value,
        path=str(parts),
        serialization=_one_of(document, node, "serialization", SERIALIZATIONS),
        encoding=_one_of(document, node, "encoding", ENCODINGS),
        compression=_one_of(document, node, "compression", COMPRESSIONS),
        line=document.line(node),
    )


def _one_of(document: Document, node: Term, predicate: str, known: Sequence[str]) -> str:
    said = document.one(node, predicate)
    if said is None:
        return known[0]
    name = short_name(said).lower() if known is ENCODINGS else short_name(said)
    if name not in known:
        raise document.error(
            f"« {name} » ne convient pas à rml:{predicate}.", f"'{name}' does not fit rml:{predicate}.", node, value=said.value,
            hint=nearest(name, known) or Text(", ".join(known), ", ".join(known)),
        )  # fmt: skip
    return name
