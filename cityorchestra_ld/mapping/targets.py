"""Write statements to the targets that a mapping names: one filtered plan for each target, then its serialization."""

from __future__ import annotations

import codecs
import gzip
import itertools
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

import pyoxigraph as ox

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.mapping.engine import MapReport, disk_error, materialize
from cityorchestra_ld.mapping.plan import Fixed, Join, Plan, PredicateObject, Target, TermMap, TermType, TriplesMap
from cityorchestra_ld.mapping.terms import RDF_TYPE
from cityorchestra_ld.model import Table

_FORMATS: Final = {
    "N-Quads": ox.RdfFormat.N_QUADS, "N-Triples": ox.RdfFormat.N_TRIPLES, "TriG": ox.RdfFormat.TRIG, "N3": ox.RdfFormat.N3,
    "Turtle": ox.RdfFormat.TURTLE, "JSON-LD": ox.RdfFormat.JSON_LD, "RDF_XML": ox.RdfFormat.RDF_XML,
}  # fmt: skip
_GRAPHS: Final = {"N-Quads", "TriG", "JSON-LD"}


def write_targets(plan: Plan, tables: Mapping[str, Table], out: Path, folder: Path) -> MapReport:
    """
    Write each statement to its targets, files below `folder`, and what has none to `out` (RML-IO, logical targets).

    Raises MappingError as `materialize` does, and when a target cannot be written; files of targets appear only when whole.
    """
    report = materialize(only(plan, None), tables, out)
    per_map = dict(report.per_map)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, target in enumerate(plan.targets.values()):
            quads = folder / f".target{number}.nq"
            try:
                part = materialize(only(plan, target.name), tables, quads)
                _write(quads, target, folder / target.path, plan)
            finally:
                quads.unlink(missing_ok=True)
            per_map = {name: count + part.per_map.get(name, 0) for name, count in per_map.items()}
    except OSError as error:
        raise disk_error(error, folder) from error
    return MapReport(quads=sum(per_map.values()), records=report.records, per_map=per_map)


def refuse_targets(plan: Plan) -> None:
    """Raise MappingError for a plan with targets where there is one output only: nothing may be left out silently."""
    for target in plan.targets.values():
        raise MappingError(
            Text("Cette correspondance écrit dans des cibles (rml:logicalTarget) : dans quel dossier ?",
                 "This mapping writes to targets (rml:logicalTarget): into which folder?"),
            place=Place(file=str(plan.path), line=target.line, value=target.path),
            hint=Text("Donnez-le : cityorchestra map --mapping M --out F.nq --targets DOSSIER. Un jeu de données n'en a pas.",
                      "Give it: cityorchestra map --mapping M --out F.nq --targets DIR. A dataset has none."),
        )  # fmt: skip


# --- which statements go where ------------------------------------------------------------------------------------------------


def only(plan: Plan, target: str | None) -> Plan:
    """Return the plan of the statements that go to a target; without one, of those that go to none."""
    return replace(plan, maps=tuple(_only(item, target) for item in plan.maps))


def _only(item: TriplesMap, target: str | None) -> TriplesMap:
    """Take a rule apart into single statements, and keep those of the target."""
    kind = TermMap(expression=Fixed(ox.NamedNode(RDF_TYPE.strip("<>"))), type=TermType.IRI, line=item.line)
    classes = (TermMap(expression=Fixed(ox.NamedNode(name)), type=TermType.IRI, line=item.line) for name in item.classes)
    pairs = [PredicateObject(predicates=(kind,), objects=(term,), line=item.line) for term in classes]
    kept = []
    for pair in (*pairs, *item.predicate_objects):
        for predicate, value in itertools.product(pair.predicates, pair.objects):
            graphs: tuple[TermMap | None, ...] = (*item.graphs, *pair.graphs) or (None,)
            for graph in graphs:
                if _goes(target, item.subject, predicate, value, graph):
                    one = replace(pair, predicates=(predicate,), objects=(value,), graphs=(graph,) if graph else ())
                    kept.append(one)
    return replace(item, classes=(), graphs=(), predicate_objects=tuple(kept))


def _goes(target: str | None, *terms: TermMap | Join | None) -> bool:
    named = {name for term in terms if term is not None for name in _targets(term)}
    return target in named if target is not None else not named


def _targets(term: TermMap | Join) -> Iterator[str]:
    yield from term.targets
    if isinstance(term, TermMap):
        yield from itertools.chain(*(extra.targets for extra in (term.language, term.datatype) if extra is not None))


# --- how they are written -----------------------------------------------------------------------------------------------------


def _write(quads: Path, target: Target, path: Path, plan: Plan) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain, packed = path.with_name(f".{path.name}.plain"), path.with_name(f".{path.name}.part")
    try:
        _serialize(quads, target, plain, plan)
        if target.encoding != "utf-8":
            _encode(plain, target.encoding)
        _compress(plain, packed, target)
        packed.replace(path)
    finally:
        plain.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)


def _serialize(quads: Path, target: Target, plain: Path, plan: Plan) -> None:
    if target.serialization == "N-Quads":
        shutil.copyfile(quads, plain)
        return
    with quads.open("rb") as source, plain.open("wb") as out:
        parsed: Iterator[ox.Quad] = iter(ox.parse(source, ox.RdfFormat.N_QUADS))
        if target.serialization == "RDF_JSON":
            out.write(_rdf_json(_triples(parsed, target, plan)))
        elif target.serialization in _GRAPHS:
            ox.serialize(parsed, out, format=_FORMATS[target.serialization])
        else:
            ox.serialize(_triples(parsed, target, plan), out, format=_FORMATS[target.serialization])


def _triples(quads: Iterator[ox.Quad], target: Target, plan: Plan) -> Iterator[ox.Triple]:
    for quad in quads:
        if not isinstance(quad.graph_name, ox.DefaultGraph):
            raise MappingError(
                Text(f"{target.serialization} n'a pas de graphes nommés.", f"{target.serialization} has no named graphs."),
                place=Place(file=str(plan.path), line=target.line, value=str(quad.graph_name)),
                hint=Text("Écrivez cette cible en N-Quads, TriG ou JSON-LD.", "Write this target as N-Quads, TriG or JSON-LD."),
            )
        yield quad.triple


def _rdf_json(triples: Iterator[ox.Triple]) -> bytes:
    """Write triples as RDF/JSON (W3C Note, 7 November 2013)."""
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    for triple in triples:
        objects = found.setdefault(_name(triple.subject), {}).setdefault(_name(triple.predicate), [])
        value = _json_object(triple.object)
        if value not in objects:
            objects.append(value)
    return json.dumps(found, ensure_ascii=False, indent=1).encode()


def _name(term: object) -> str:
    return term.value if isinstance(term, ox.NamedNode) else str(term)


def _json_object(term: object) -> dict[str, str]:
    if not isinstance(term, ox.Literal):
        return {"type": "uri" if isinstance(term, ox.NamedNode) else "bnode", "value": _name(term)}
    value = {"type": "literal", "value": term.value}
    if term.language:
        value["lang"] = term.language
    elif term.datatype.value != "http://www.w3.org/2001/XMLSchema#string":
        value["datatype"] = term.datatype.value
    return value


def _encode(plain: Path, encoding: str) -> None:
    other = plain.with_name(plain.name + ".encoded")
    with plain.open(encoding="utf-8", newline="") as source, codecs.open(str(other), "w", encoding) as out:
        shutil.copyfileobj(source, out, 1 << 20)
    other.replace(plain)


def _compress(plain: Path, packed: Path, target: Target) -> None:
    name = PurePosixPath(target.path).name
    if target.compression == "none":
        plain.replace(packed)
    elif target.compression == "gzip":
        with plain.open("rb") as source, gzip.GzipFile(packed, "wb", mtime=0) as out:
            shutil.copyfileobj(source, cast(IO[bytes], out), 1 << 20)
    elif target.compression == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, name.removesuffix(".zip"))
    else:
        mode: Any = {"targz": "w:gz", "tarxz": "w:xz"}[target.compression]
        with tarfile.open(packed, mode) as archive:
            archive.add(plain, name.removesuffix(".gz").removesuffix(".xz").removesuffix(".tar"))
